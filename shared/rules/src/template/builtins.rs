//! Go's own template functions.

use std::cmp::Ordering;
use std::sync::Arc;

use super::value::{UintKind, Value};
use super::{STRING_BYTES_MAX, gofmt, host};

type Called = Result<Value, String>;

/// Calls one of Go's functions; `None` where `name` is none of them.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Called> {
    let first = args.first().unwrap_or(&Value::Invalid);
    let second = args.get(1).unwrap_or(&Value::Invalid);
    let rest = args.get(1..).unwrap_or(&[]);
    let bool = |result: Result<bool, String>| result.map(Value::Bool);
    let printed = |print: fn(&[Value]) -> String| {
        let weight = args.iter().map(Value::weight).fold(0, usize::saturating_add);
        if weight > STRING_BYTES_MAX {
            return Err("arguments are too large".to_owned());
        }
        Ok(Value::string(print(args)))
    };
    Some(match name {
        "not" => Ok(Value::Bool(!first.is_true())),
        "eq" => bool(eq(first, rest)),
        "ne" => bool(eq(first, rest).map(|equal| !equal)),
        "lt" => bool(less(first, second)),
        "le" => bool(less_or_equal(first, second)),
        "gt" => bool(less_or_equal(first, second).map(|le| !le)),
        "ge" => bool(less(first, second).map(|lt| !lt)),
        "len" => length(first),
        "index" => index(first, rest),
        "slice" => slice(first, rest),
        "print" => printed(gofmt::sprint),
        "println" => printed(gofmt::sprintln),
        "printf" => printed(|args| match args.first().map(Value::as_concrete) {
            Some(Value::String(format)) => gofmt::sprintf(format, args.get(1..).unwrap_or(&[])),
            _ => String::new(),
        }),
        "html" => printed(|args| html_escape(&text_of(args))),
        "js" => printed(|args| js_escape(&text_of(args))),
        "urlquery" => printed(|args| host::query_escape(&text_of(args))),
        _ => return None,
    })
}

/// Go's `evalArgs`: as `print`, pointers followed.
fn text_of(args: &[Value]) -> String {
    let followed: Vec<Value> = args
        .iter()
        .map(|arg| match arg.as_concrete() {
            value @ (Value::Invalid | Value::Sample(_)) => Value::string(gofmt::printed(value)),
            value => value.clone(),
        })
        .collect();
    gofmt::sprint(&followed)
}

/// The kinds that compare with each other.
enum Basic<'v> {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(&'v str),
}

fn basic(value: &Value) -> Option<Basic<'_>> {
    Some(match value.as_concrete() {
        Value::Bool(value) => Basic::Bool(*value),
        Value::Int(value, _) => Basic::Int(*value),
        Value::Duration { ns, pointer: false } => Basic::Int(*ns),
        Value::Uint(value, _) => Basic::Uint(*value),
        Value::Float(value) => Basic::Float(*value),
        Value::String(text) | Value::Html(text) => Basic::Text(text),
        _ => return None,
    })
}

fn incompatible(a: &Value, b: &Value) -> String {
    let (a, b) = (a.as_concrete().type_name(), b.as_concrete().type_name());
    format!("incompatible types for comparison: {a} and {b}")
}

fn eq(value: &Value, others: &[Value]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equal(value, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[expect(clippy::float_cmp, reason = "Go's == on floats is exact")]
fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    Ok(match (basic(a), basic(b)) {
        (Some(Basic::Bool(a)), Some(Basic::Bool(b))) => a == b,
        (Some(Basic::Int(a)), Some(Basic::Int(b))) => a == b,
        (Some(Basic::Uint(a)), Some(Basic::Uint(b))) => a == b,
        (Some(Basic::Float(a)), Some(Basic::Float(b))) => a == b,
        (Some(Basic::Text(a)), Some(Basic::Text(b))) => a == b,
        (Some(Basic::Int(int)), Some(Basic::Uint(uint)))
        | (Some(Basic::Uint(uint)), Some(Basic::Int(int))) => u64::try_from(int) == Ok(uint),
        (None, None) => equal_references(a.as_concrete(), b.as_concrete())?,
        _ => match (a.as_concrete(), b.as_concrete()) {
            (Value::Invalid, _) | (_, Value::Invalid) => false,
            _ => return Err(incompatible(a, b)),
        },
    })
}

fn equal_references(a: &Value, b: &Value) -> Result<bool, String> {
    let is_nil = |value: &Value| matches!(value, Value::Invalid);
    if is_nil(a) || is_nil(b) {
        return Ok(is_nil(a) == is_nil(b));
    }
    Ok(match (a, b) {
        (Value::Sample(a), Value::Sample(b)) => Arc::ptr_eq(a, b),
        (Value::Time { ns: a, pointer: false }, Value::Time { ns: b, pointer: false }) => a == b,
        (Value::Time { pointer: true, .. }, Value::Time { pointer: true, .. })
        | (Value::Duration { pointer: true, .. }, Value::Duration { pointer: true, .. }) => false,
        _ => {
            let (name, shown) = (b.type_name(), gofmt::sprint(std::slice::from_ref(b)));
            return Err(format!("non-comparable type {shown}: {name}"));
        }
    })
}

fn less(a: &Value, b: &Value) -> Result<bool, String> {
    let invalid = || "invalid type for comparison".to_owned();
    let (left, right) = (basic(a).ok_or_else(invalid)?, basic(b).ok_or_else(invalid)?);
    Ok(match (left, right) {
        (Basic::Bool(_), Basic::Bool(_)) => return Err(invalid()),
        (Basic::Int(a), Basic::Int(b)) => a < b,
        (Basic::Uint(a), Basic::Uint(b)) => a < b,
        (Basic::Float(a), Basic::Float(b)) => a.partial_cmp(&b) == Some(Ordering::Less),
        (Basic::Text(a), Basic::Text(b)) => a < b,
        (Basic::Int(int), Basic::Uint(uint)) => i128::from(int) < i128::from(uint),
        (Basic::Uint(uint), Basic::Int(int)) => i128::from(uint) < i128::from(int),
        _ => return Err(incompatible(a, b)),
    })
}

fn less_or_equal(a: &Value, b: &Value) -> Result<bool, String> {
    if less(a, b)? {
        return Ok(true);
    }
    equal(a, b)
}

fn length(value: &Value) -> Called {
    Ok(Value::length(match value.as_concrete() {
        Value::String(text) | Value::Html(text) => text.len(),
        Value::StringMap(map) => map.len(),
        Value::Map(map) => map.entries().len(),
        Value::List(list) => list.len(),
        Value::QueryResult(samples) => samples.len(),
        Value::Invalid => return Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        Value::Sample(_) => return Err("len of type template.sample".to_owned()),
        value => return Err(format!("len of type {}", value.type_name().trim_start_matches('*'))),
    }))
}

/// An index into something of `limit` elements; `limit` itself is allowed.
fn index_arg(index: &Value, limit: usize) -> Result<usize, String> {
    let number = match index.as_concrete() {
        Value::Int(value, _) => *value,
        Value::Duration { ns, pointer: false } => *ns,
        Value::Uint(value, _) => i64::try_from(*value).unwrap_or(-1),
        Value::Invalid => return Err("cannot index slice/array with nil".to_owned()),
        value => return Err(format!("cannot index slice/array with type {}", value.type_name())),
    };
    usize::try_from(number)
        .ok()
        .filter(|index| *index <= limit)
        .ok_or_else(|| format!("index out of range: {number}"))
}

fn key_arg(index: &Value) -> Result<&str, String> {
    match index.as_concrete() {
        Value::String(key) => Ok(key),
        Value::Invalid => Err("value is nil; should be of type string".to_owned()),
        value => Err(format!("value has type {}; should be string", value.type_name())),
    }
}

fn index(item: &Value, indexes: &[Value]) -> Called {
    let mut item = item.clone().concrete();
    if let Value::Invalid = item {
        return Err("index of untyped nil".to_owned());
    }
    for index in indexes {
        let of_slice = |length: usize| {
            let at = index_arg(index, length)?;
            if at < length { Ok(at) } else { Err("reflect: slice index out of range".to_owned()) }
        };
        item = match item.as_concrete() {
            Value::String(text) | Value::Html(text) => {
                let at = index_arg(index, text.len())?;
                let byte = text.as_bytes().get(at).ok_or("reflect: string index out of range")?;
                Value::Uint(u64::from(*byte), UintKind::Uint8)
            }
            Value::List(list) => list.get(of_slice(list.len())?).cloned().unwrap_or(Value::Invalid),
            Value::QueryResult(samples) => match samples.get(of_slice(samples.len())?) {
                Some(sample) => Value::Sample(Arc::clone(sample)),
                None => Value::Invalid,
            },
            map @ (Value::StringMap(_) | Value::Map(_)) => {
                map.field(key_arg(index)?).unwrap_or(Value::Invalid)
            }
            Value::Invalid => return Err("index of nil pointer".to_owned()),
            value => {
                let name = value.type_name().trim_start_matches('*');
                return Err(format!("can't index item of type {name}"));
            }
        };
    }
    Ok(item)
}

fn slice(item: &Value, indexes: &[Value]) -> Called {
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let length = match item.as_concrete() {
        Value::Invalid => return Err("slice of untyped nil".to_owned()),
        Value::String(_) | Value::Html(_) if indexes.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Value::String(text) | Value::Html(text) => text.len(),
        Value::List(list) => list.len(),
        Value::QueryResult(samples) => samples.len(),
        value => {
            let name = value.type_name().trim_start_matches('*');
            return Err(format!("can't slice item of type {name}"));
        }
    };
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = index_arg(index, length)?;
    }
    let [from, until, _] = bounds;
    if from > until {
        return Err(format!("invalid slice index: {from} > {until}"));
    }
    let bytes =
        |text: &str| String::from_utf8_lossy(text.as_bytes().get(from..until).unwrap_or(&[])).into_owned();
    Ok(match item.as_concrete() {
        Value::String(text) => Value::string(bytes(text)),
        Value::Html(text) => Value::Html(bytes(text).into()),
        Value::List(list) => Value::List(list.get(from..until).unwrap_or(&[]).into()),
        Value::QueryResult(samples) => Value::QueryResult(samples.get(from..until).unwrap_or(&[]).into()),
        _ => Value::Invalid,
    })
}

fn html_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

fn js_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c < ' ' || (c > '~' && c.is_control()) => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}
