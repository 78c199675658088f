//! The functions that templates may call: their signatures, and Prometheus's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::regex::SearchRegex;

use super::value::{AnyMap, IntKind, Sample, UintKind, Value};
use super::{Queries, STRING_BYTES_MAX, builtins, gofmt, gotime, host, title};

/// The Go type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// `interface {}`, or `reflect.Value` of Go's own functions.
    Any,
    Text,
    QueryResult,
    Sample,
    Int,
    Duration,
    Time,
}

impl Type {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Text => "string",
            Self::QueryResult => "template.queryResult",
            Self::Sample => "*template.sample",
            Self::Int => "int",
            Self::Duration => "time.Duration",
            Self::Time => "time.Time",
        }
    }
}

/// What a function takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signature {
    pub(super) fixed: &'static [Type],
    /// The type of the rest, where it takes any number.
    pub(super) variadic: Option<Type>,
}

/// What the functions know of the world.
pub(super) struct Env<'e> {
    pub(super) now_ms: i64,
    pub(super) external_url: &'e str,
    pub(super) queries: &'e Queries,
}

/// Why a call gives nothing.
#[derive(Debug)]
pub(super) enum CallError {
    /// It failed.
    Failed(String),
    /// It needs the result of this query first.
    Query(String),
}

impl From<String> for CallError {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

impl From<&str> for CallError {
    fn from(message: &str) -> Self {
        Self::Failed(message.to_owned())
    }
}

const fn takes(fixed: &'static [Type]) -> Signature {
    Signature { fixed, variadic: None }
}

const fn takes_rest(fixed: &'static [Type], rest: Type) -> Signature {
    Signature { fixed, variadic: Some(rest) }
}

/// Whether there is such a function.
pub(super) fn exists(name: &str) -> bool {
    signature(name).is_some()
}

/// What the function `name` takes.
pub(super) fn signature(name: &str) -> Option<Signature> {
    use Type::{Any, QueryResult, Sample, Text};
    Some(match name {
        "and" | "or" | "call" | "eq" | "index" | "slice" => takes_rest(&[Any], Any),
        "args" | "html" | "js" | "print" | "println" | "urlquery" => takes_rest(&[], Any),
        "printf" => takes_rest(&[Text], Any),
        "len" | "not" | "humanize" | "humanize1024" | "humanizeDuration" | "humanizePercentage"
        | "humanizeTimestamp" | "toDuration" | "toTime" => takes(&[Any]),
        "ge" | "gt" | "le" | "lt" | "ne" => takes(&[Any, Any]),
        "graphLink" | "parseDuration" | "query" | "safeHtml" | "stripDomain" | "stripPort" | "tableLink"
        | "title" | "toLower" | "toUpper" | "urlQueryEscape" => takes(&[Text]),
        "match" => takes(&[Text, Text]),
        "reReplaceAll" => takes(&[Text, Text, Text]),
        "first" => takes(&[QueryResult]),
        "label" => takes(&[Text, Sample]),
        "strvalue" | "value" => takes(&[Sample]),
        "sortByLabel" => takes(&[Text, QueryResult]),
        "externalURL" | "now" | "pathPrefix" => takes(&[]),
        _ => return None,
    })
}

/// Calls the function `name`, whose arguments have been checked against its signature. `and` and `or` are not called:
/// they evaluate their own arguments.
pub(super) fn call(name: &str, args: &[Value], env: &Env<'_>) -> Result<Value, CallError> {
    if let Some(result) = builtins::call(name, args) {
        return result.map_err(CallError::Failed);
    }
    let first = args.first().unwrap_or(&Value::Invalid);
    let second = args.get(1).unwrap_or(&Value::Invalid);
    Ok(match name {
        "query" => return query(text(first), env),
        "first" => {
            let found = samples(first).first().cloned();
            Value::Sample(found.ok_or("first() called on vector with no elements")?)
        }
        "label" => label_of(second, text(first))?,
        "strvalue" => label_of(first, "__value__")?,
        "value" => match first.as_concrete() {
            Value::Sample(sample) => Value::Interface(Box::new(Value::Float(sample.value))),
            _ => return Err(NIL_POINTER.into()),
        },
        "sortByLabel" => sort_by_label(text(first), samples(second)),
        "args" => named_args(args)?,
        "reReplaceAll" => replace_all(text(first), text(second), text(args.get(2).unwrap_or(first)))?,
        "match" => {
            let regex = SearchRegex::new(text(first)).map_err(|error| error.to_string())?;
            Value::Bool(regex.is_match(text(second)))
        }
        "safeHtml" => Value::Html(text(first).into()),
        "title" => Value::string(title::title(text(first))),
        "toUpper" => Value::string(map_chars(text(first), |c| single(c, c.to_uppercase()))),
        "toLower" => Value::string(map_chars(text(first), |c| single(c, c.to_lowercase()))),
        "graphLink" => Value::string(format!("/graph?g0.expr={}&g0.tab=0", host::query_escape(text(first)))),
        "tableLink" => Value::string(table_link(text(first))),
        "urlQueryEscape" => Value::string(host::query_escape(text(first))),
        "stripPort" => Value::string(host::strip_port(text(first))),
        "stripDomain" => Value::string(host::strip_domain(text(first))),
        "humanize" => Value::string(humanize(to_float(first)?)),
        "humanize1024" => Value::string(humanize1024(to_float(first)?)),
        "humanizeDuration" => Value::string(humanize_duration(to_float(first)?)),
        "humanizePercentage" => Value::string(format!("{}%", gofmt::four_digits(to_float(first)? * 100.0))),
        "humanizeTimestamp" => {
            let value = to_float(first)?;
            Value::string(if value.is_finite() {
                gotime::time_string(to_time(value)?)
            } else {
                gofmt::four_digits(value)
            })
        }
        "toTime" => Value::Time { ns: to_time(to_float(first)?)?, pointer: true },
        "toDuration" => Value::Duration { ns: go_int64(to_float(first)? * 1e9), pointer: true },
        "parseDuration" => Value::Float(parse_duration(text(first))?),
        "now" => Value::Float(env.now_ms as f64 / 1000.0),
        "externalURL" => Value::string(env.external_url),
        "pathPrefix" => Value::string(host::url_path(env.external_url)),
        _ => return Err(format!("{} is not a defined function", model::labels::quote(name)).into()),
    })
}

const NIL_POINTER: &str = "runtime error: invalid memory address or nil pointer dereference";

/// The relative link to an expression's table, of which a `generatorURL` is made.
pub(crate) fn table_link(expr: &str) -> String {
    format!("/graph?g0.expr={}&g0.tab=1", host::query_escape(expr))
}

fn text(value: &Value) -> &str {
    match value.as_concrete() {
        Value::String(text) | Value::Html(text) => text,
        _ => "",
    }
}

fn samples(value: &Value) -> &[Arc<Sample>] {
    match value.as_concrete() {
        Value::QueryResult(samples) => samples,
        _ => &[],
    }
}

fn query(expr: &str, env: &Env<'_>) -> Result<Value, CallError> {
    match env.queries.get(expr) {
        Some(Ok(samples)) => Ok(Value::QueryResult(Arc::clone(samples))),
        Some(Err(error)) => Err(CallError::Failed(error.clone())),
        None => Err(CallError::Query(expr.to_owned())),
    }
}

fn label_of(sample: &Value, label: &str) -> Result<Value, CallError> {
    match sample.as_concrete() {
        Value::Sample(sample) => Ok(Value::string(sample.labels.get(label).map_or("", String::as_str))),
        _ => Err(NIL_POINTER.into()),
    }
}

fn sort_by_label(label: &str, samples: &[Arc<Sample>]) -> Value {
    let mut sorted = samples.to_vec();
    sorted.sort_by(|a, b| {
        let key = |sample: &Arc<Sample>| sample.labels.get(label).cloned().unwrap_or_default();
        key(a).cmp(&key(b))
    });
    Value::QueryResult(sorted.into())
}

fn named_args(args: &[Value]) -> Result<Value, CallError> {
    let entries: BTreeMap<String, Value> =
        args.iter().enumerate().map(|(index, arg)| (format!("arg{index}"), arg.clone().concrete())).collect();
    let value = Value::Map(Arc::new(AnyMap::new(entries)));
    if value.weight() > STRING_BYTES_MAX || value.depth() > 16 {
        return Err("arguments are too large".into());
    }
    Ok(value)
}

fn replace_all(pattern: &str, replacement: &str, text: &str) -> Result<Value, CallError> {
    let regex = SearchRegex::new(pattern)
        .map_err(|error| format!("regexp: Compile({}): {error}", go_quote_pattern(pattern)))?;
    // Each variable of the replacement may stand for the whole text.
    let longest =
        text.len().saturating_mul(replacement.matches('$').count()).saturating_add(replacement.len());
    if longest > 16 * STRING_BYTES_MAX {
        return Err("arguments are too large".into());
    }
    Ok(Value::string(regex.replace_all(text, replacement, STRING_BYTES_MAX)))
}

/// As `regexp.MustCompile` quotes a pattern in its panic.
fn go_quote_pattern(pattern: &str) -> String {
    if pattern.contains(['`', '\n', '\r']) { model::labels::quote(pattern) } else { format!("`{pattern}`") }
}

/// Go maps character by character, so what would become several stays as it is.
fn single(c: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(mapped), None) => mapped,
        _ => c,
    }
}

fn map_chars(text: &str, map: impl Fn(char) -> char) -> String {
    text.chars().map(map).collect()
}

/// Prometheus's `ConvertToFloat`.
fn to_float(value: &Value) -> Result<f64, CallError> {
    match value.as_concrete() {
        Value::Float(value) => Ok(*value),
        Value::String(text) => parse_float(text),
        Value::Int(value, IntKind::Int | IntKind::Int64) => Ok(*value as f64),
        Value::Uint(value, UintKind::Uint64) => Ok(*value as f64),
        Value::Duration { ns, pointer: false } => Ok(*ns as f64 / 1e9),
        value => Err(format!("can't convert {} to float", value.type_name()).into()),
    }
}

/// Go's `strconv.ParseFloat`, with its errors.
fn parse_float(text: &str) -> Result<f64, CallError> {
    let fail = |why: &str| format!("strconv.ParseFloat: parsing {}: {why}", model::labels::quote(text));
    let value = model::number::parse_float(text).ok_or_else(|| fail("invalid syntax"))?;
    if value.is_infinite() && text.bytes().any(|b| b.is_ascii_digit()) {
        return Err(fail("value out of range").into());
    }
    Ok(value)
}

/// A Go conversion to `int64` on amd64: what does not fit becomes the smallest number.
pub(super) fn go_int64(value: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
        value as i64
    } else {
        i64::MIN
    }
}

/// Seconds to a time in ns, whole milliseconds.
fn to_time(seconds: f64) -> Result<i128, CallError> {
    if !seconds.is_finite() {
        return Err("value is NaN or Inf".into());
    }
    let ns = seconds * 1e9;
    if !(-9_223_372_036_854_775_808.0..=9_223_372_036_854_775_808.0).contains(&ns) {
        let value = model::number::format_g(seconds);
        let why = "cannot be represented as a nanoseconds timestamp since it overflows int64";
        return Err(format!("{value} {why}").into());
    }
    Ok(i128::from(go_int64(ns) / 1_000_000) * 1_000_000)
}

fn parse_duration(text: &str) -> Result<f64, CallError> {
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let duration = model::duration::parse(magnitude).map_err(|error| error.to_string())?;
    Ok(sign * duration.as_secs_f64())
}

fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return gofmt::four_digits(value);
    }
    if value.abs() >= 1.0 {
        return scaled(value, &["", "k", "M", "G", "T", "P", "E", "Z", "Y"], 1000.0);
    }
    shrunk(value, "")
}

fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return gofmt::four_digits(value);
    }
    scaled(value, &["", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"], 1024.0)
}

fn scaled(mut value: f64, prefixes: &[&str], base: f64) -> String {
    let mut prefix = "";
    for next in prefixes.iter().skip(1) {
        if value.abs() < base {
            break;
        }
        prefix = next;
        value /= base;
    }
    format!("{}{prefix}", gofmt::four_digits(value))
}

/// A number below one in thousandths, millionths and so on.
fn shrunk(mut value: f64, unit: &str) -> String {
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    format!("{}{prefix}{unit}", gofmt::four_digits(value))
}

fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return gofmt::four_digits(value);
    }
    if value == 0.0 {
        return format!("{}s", gofmt::four_digits(value));
    }
    if value.abs() < 1.0 {
        return shrunk(value, "s");
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let duration = go_int64(value.abs());
    let (seconds, minutes) = (duration % 60, duration / 60 % 60);
    let (hours, days) = (duration / 3600 % 24, duration / 86_400);
    if days != 0 {
        return format!("{sign}{days}d {hours}h {minutes}m {seconds}s");
    }
    if hours != 0 {
        return format!("{sign}{hours}h {minutes}m {seconds}s");
    }
    if minutes != 0 {
        return format!("{sign}{minutes}m {seconds}s");
    }
    format!("{sign}{}s", gofmt::four_digits(value.abs()))
}
