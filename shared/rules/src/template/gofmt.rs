//! Go's `fmt`: `Sprint`, `Sprintln`, `Sprintf` over template values, with Go's marks for mistakes (`%!d(string=hi)`).

use std::fmt::Write;
use std::sync::Arc;

use model::labels::quote;
use model::number::format_g;

use super::value::Value;

/// Widths and precisions beyond it are refused, as Go refuses those beyond a million.
const WIDTH_MAX: usize = 10_000;

/// Go's `fmt.Sprint`: a space between operands when neither is a string.
pub(super) fn sprint(args: &[Value]) -> String {
    let mut out = String::new();
    let mut previous_is_string = true;
    for (index, arg) in args.iter().enumerate() {
        let is_string = matches!(arg.as_concrete(), Value::String(_) | Value::Html(_));
        if index > 0 && !is_string && !previous_is_string {
            out.push(' ');
        }
        out.push_str(&plain(arg));
        previous_is_string = is_string;
    }
    out
}

/// Go's `fmt.Sprintln`: a space between operands, a newline at the end.
pub(super) fn sprintln(args: &[Value]) -> String {
    let mut out = args.iter().map(plain).collect::<Vec<_>>().join(" ");
    out.push('\n');
    out
}

/// What a template prints for a value: pointers are followed, nothing is `<no value>`.
pub(super) fn printed(value: &Value) -> String {
    match value.as_concrete() {
        Value::Invalid => "<no value>".to_owned(),
        Value::Sample(sample) => sample_struct(sample, &plain),
        value => plain(value),
    }
}

/// `%v` of a value.
fn plain(value: &Value) -> String {
    verb_text(value, 'v', &Flags::default())
}

/// Go's `fmt.Sprintf`.
pub(super) fn sprintf(format: &str, args: &[Value]) -> String {
    let mut out = String::with_capacity(format.len());
    let mut state = Args { args, next: 0, reordered: false, good_index: true };
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(rest.get(..at).unwrap_or(""));
        rest = rest.get(at + 1..).unwrap_or("");
        rest = directive(&mut out, rest, &mut state);
        if out.len() > super::STRING_BYTES_MAX {
            // The caller refuses it for its length.
            return out;
        }
    }
    out.push_str(rest);
    if !state.reordered && state.next < args.len() {
        let extra: Vec<String> = args
            .iter()
            .skip(state.next)
            .map(|arg| match arg.as_concrete() {
                Value::Invalid => "<nil>".to_owned(),
                arg => format!("{}={}", arg.type_name(), plain(arg)),
            })
            .collect();
        let _ = write!(out, "%!(EXTRA {})", extra.join(", "));
    }
    out
}

struct Args<'a> {
    args: &'a [Value],
    next: usize,
    reordered: bool,
    good_index: bool,
}

#[derive(Clone, Default)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Formats one directive, whose `%` is past; what follows it.
fn directive<'f>(out: &mut String, format: &'f str, state: &mut Args<'_>) -> &'f str {
    let mut flags = Flags::default();
    let mut rest = format;
    state.good_index = true;
    while let Some(c) = rest.chars().next() {
        match c {
            '#' => flags.sharp = true,
            '0' => flags.zero = true,
            '+' => flags.plus = true,
            '-' => flags.minus = true,
            ' ' => flags.space = true,
            _ => break,
        }
        rest = rest.get(1..).unwrap_or("");
    }
    let mut after_index;
    (rest, after_index) = arg_number(rest, state);
    if let Some(tail) = rest.strip_prefix('*') {
        rest = tail;
        match star(state) {
            Some(width) => {
                flags.minus |= width < 0;
                flags.width = usize::try_from(width.unsigned_abs()).ok();
            }
            None => out.push_str("%!(BADWIDTH)"),
        }
        after_index = false;
    } else {
        let (tail, width) = digits(rest);
        flags.width = width;
        if after_index && width.is_some() {
            state.good_index = false;
        }
        rest = tail;
    }
    if let Some(tail) = rest.strip_prefix('.') {
        if after_index {
            state.good_index = false;
        }
        (rest, after_index) = arg_number(tail, state);
        if let Some(tail) = rest.strip_prefix('*') {
            rest = tail;
            match star(state) {
                Some(precision) => flags.precision = usize::try_from(precision).ok(),
                None => out.push_str("%!(BADPREC)"),
            }
            after_index = false;
        } else {
            let (tail, precision) = digits(rest);
            flags.precision = Some(precision.unwrap_or(0));
            rest = tail;
        }
    }
    if !after_index {
        (rest, _) = arg_number(rest, state);
    }
    let Some(verb) = rest.chars().next() else {
        out.push_str("%!(NOVERB)");
        return "";
    };
    rest = rest.get(verb.len_utf8()..).unwrap_or("");
    if verb == '%' {
        out.push('%');
    } else if !state.good_index {
        let _ = write!(out, "%!{verb}(BADINDEX)");
    } else if let Some(arg) = state.args.get(state.next) {
        state.next += 1;
        out.push_str(&verb_text(arg, verb, &flags));
    } else {
        let _ = write!(out, "%!{verb}(MISSING)");
    }
    rest
}

/// Reads `[n]`; whether there was one.
fn arg_number<'f>(format: &'f str, state: &mut Args<'_>) -> (&'f str, bool) {
    let Some(tail) = format.strip_prefix('[') else { return (format, false) };
    state.reordered = true;
    let Some((index, rest)) = tail.split_once(']') else {
        state.good_index = false;
        return (tail, false);
    };
    match index.parse::<usize>() {
        Ok(index) if index >= 1 && index <= state.args.len() => {
            state.next = index - 1;
            (rest, true)
        }
        _ => {
            state.good_index = false;
            (rest, true)
        }
    }
}

fn star(state: &mut Args<'_>) -> Option<i64> {
    let arg = state.args.get(state.next)?;
    state.next += 1;
    match arg.as_concrete() {
        Value::Int(value, _) if value.unsigned_abs() <= WIDTH_MAX as u64 => Some(*value),
        Value::Uint(value, _) if *value <= WIDTH_MAX as u64 => i64::try_from(*value).ok(),
        _ => None,
    }
}

fn digits(format: &str) -> (&str, Option<usize>) {
    let length = format.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = format.split_at_checked(length).unwrap_or(("", format));
    (rest, number.parse().ok().map(|width: usize| width.min(WIDTH_MAX)))
}

fn verb_text(value: &Value, verb: char, flags: &Flags) -> String {
    let value = value.as_concrete();
    if verb == 'T' {
        return pad(value.type_name(), flags);
    }
    if let Value::Invalid = value {
        return if verb == 'v' { pad("<nil>", flags) } else { format!("%!{verb}(<nil>)") };
    }
    if matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
        && let Some(text) = value.stringer()
    {
        return string(&text, verb, flags).unwrap_or_default();
    }
    let text = match value {
        Value::Bool(value) => match verb {
            't' | 'v' => Some(pad(if *value { "true" } else { "false" }, flags)),
            _ => None,
        },
        Value::Int(value, _) => integer(i128::from(*value), verb, flags),
        Value::Uint(value, _) => integer(i128::from(*value), verb, flags),
        Value::Duration { ns, .. } => integer(i128::from(*ns), verb, flags),
        Value::Float(value) => float(*value, verb, flags),
        Value::String(text) | Value::Html(text) => string(text, verb, flags),
        _ => return composite(value, verb, flags),
    };
    text.unwrap_or_else(|| format!("%!{verb}({}={})", value.type_name(), verb_text(value, 'v', flags)))
}

fn composite(value: &Value, verb: char, flags: &Flags) -> String {
    let element = |value: &Value| verb_text(value, verb, flags);
    let text = |text: &str| element(&Value::string(text));
    let joined = |parts: Vec<String>| parts.join(" ");
    match value {
        Value::StringMap(map) => {
            format!("map[{}]", joined(map.iter().map(|(k, v)| format!("{}:{}", text(k), text(v))).collect()))
        }
        Value::Map(map) => {
            format!(
                "map[{}]",
                joined(map.entries().iter().map(|(k, v)| format!("{}:{}", text(k), element(v))).collect())
            )
        }
        Value::List(list) => format!("[{}]", joined(list.iter().map(element).collect())),
        // Go prints addresses here; the samples themselves say more.
        Value::QueryResult(samples) => {
            format!("[{}]", joined(samples.iter().map(|sample| sample_struct(sample, &element)).collect()))
        }
        Value::Sample(sample) => format!("&{}", sample_struct(sample, &element)),
        Value::Alert(data) => format!(
            "{{{} {} {} {}}}",
            element(&Value::StringMap(Arc::clone(&data.labels))),
            element(&Value::StringMap(Arc::clone(&data.external_labels))),
            text(&data.external_url),
            element(&Value::Float(data.value))
        ),
        _ => String::new(),
    }
}

fn sample_struct(sample: &super::Sample, element: &dyn Fn(&Value) -> String) -> String {
    let labels = element(&Value::StringMap(Arc::clone(&sample.labels)));
    format!("{{{labels} {}}}", element(&Value::Float(sample.value)))
}

fn pad(text: &str, flags: &Flags) -> String {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    let fill = " ".repeat(missing);
    if flags.minus { format!("{text}{fill}") } else { format!("{fill}{text}") }
}

/// Pads a number; zeros go between sign and digits.
fn pad_number(sign: &str, digits: &str, flags: &Flags) -> String {
    if flags.zero && !flags.minus {
        let used = sign.chars().count() + digits.chars().count();
        let zeros = "0".repeat(flags.width.unwrap_or(0).saturating_sub(used));
        return format!("{sign}{zeros}{digits}");
    }
    pad(&format!("{sign}{digits}"), flags)
}

fn integer(value: i128, verb: char, flags: &Flags) -> Option<String> {
    let magnitude = value.unsigned_abs();
    let mut prefix = "";
    let mut digits = match verb {
        'v' | 'd' => magnitude.to_string(),
        'b' => format!("{magnitude:b}"),
        'o' | 'O' => format!("{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        'c' | 'q' => {
            let c = u32::try_from(value).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
            let text = if verb == 'c' { c.to_string() } else { quote_char(c) };
            return Some(pad(&text, flags));
        }
        'U' => {
            // As Go prints it, a negative number is its two's complement.
            let code = value as u64;
            let c =
                u32::try_from(code).ok().and_then(char::from_u32).filter(|c| flags.sharp && !c.is_control());
            let shown = c.map_or(String::new(), |c| format!(" '{c}'"));
            return Some(pad(&format!("U+{code:04X}{shown}"), flags));
        }
        _ => return None,
    };
    if flags.sharp {
        prefix = match verb {
            'b' => "0b",
            'o' => "0",
            'x' => "0x",
            'X' => "0X",
            _ => "",
        };
    }
    if verb == 'O' {
        prefix = "0o";
    }
    if let Some(precision) = flags.precision {
        if precision == 0 && value == 0 {
            return Some(pad("", flags));
        }
        let zeros = "0".repeat(precision.saturating_sub(digits.len()));
        digits = format!("{zeros}{digits}");
    }
    let sign = sign(value < 0, flags);
    let flags =
        if flags.precision.is_some() { Flags { zero: false, ..flags.clone() } } else { flags.clone() };
    Some(pad_number(&format!("{sign}{prefix}"), &digits, &flags))
}

fn sign(negative: bool, flags: &Flags) -> &'static str {
    match (negative, flags.plus, flags.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

fn float(value: f64, verb: char, flags: &Flags) -> Option<String> {
    if !matches!(verb, 'v' | 'g' | 'G' | 'e' | 'E' | 'f' | 'F') {
        return None;
    }
    if !value.is_finite() {
        let text = match (value.is_nan(), value > 0.0) {
            (true, _) if flags.plus => "+NaN",
            (true, _) => "NaN",
            (false, true) => "+Inf",
            (false, false) => "-Inf",
        };
        return Some(pad(text, flags));
    }
    let magnitude = value.abs();
    let mut digits = match (verb, flags.precision) {
        ('v' | 'g' | 'G', None) => format_g(magnitude),
        ('v' | 'g' | 'G', Some(precision)) => format_g_precision(magnitude, precision),
        ('e' | 'E', precision) => fix_exponent(&format!("{magnitude:.*e}", precision.unwrap_or(6))),
        (_, precision) => format!("{magnitude:.*}", precision.unwrap_or(6)),
    };
    if verb.is_ascii_uppercase() {
        digits = digits.to_ascii_uppercase();
    }
    let negative = value.is_sign_negative();
    Some(pad_number(sign(negative, flags), &digits, flags))
}

/// Go's `FormatFloat(value, 'g', precision, 64)` of a finite, non-negative number.
pub(super) fn format_g_precision(value: f64, precision: usize) -> String {
    let precision = precision.max(1);
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:.*e}", precision - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let threshold = i32::try_from(precision).unwrap_or(i32::MAX);
    // With few digits than the point needs, Go still writes them out up to the precision; 21 is for `%v` alone.
    if exponent < -4 || exponent >= threshold {
        return fix_exponent(&format!("{mantissa}e{exponent}"));
    }
    let digits = mantissa.chars().filter(char::is_ascii_digit).count();
    let decimals = i32::try_from(digits).unwrap_or(0) - 1 - exponent;
    let rounded: f64 = scientific.parse().unwrap_or(value);
    format!("{rounded:.*}", usize::try_from(decimals).unwrap_or(0))
}

/// Rust's `1.5e7` as Go's `1.5e+07`.
fn fix_exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn string(text: &str, verb: char, flags: &Flags) -> Option<String> {
    let cut: String;
    let text = match flags.precision {
        Some(precision) if matches!(verb, 'v' | 's' | 'q') => {
            cut = text.chars().take(precision).collect();
            cut.as_str()
        }
        _ => text,
    };
    let shown = match verb {
        'v' | 's' => text.to_owned(),
        'q' if flags.sharp && !text.contains('`') => format!("`{text}`"),
        'q' if flags.plus => quote_ascii(text),
        'q' => quote(text),
        'x' | 'X' => hex(text, verb, flags),
        _ => return None,
    };
    Some(pad(&shown, flags))
}

fn hex(text: &str, verb: char, flags: &Flags) -> String {
    let limit = flags.precision.unwrap_or(usize::MAX);
    let bytes: Vec<String> = text
        .bytes()
        .take(limit)
        .map(|byte| if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") })
        .collect();
    let prefix = match (flags.sharp, verb) {
        (true, 'x') => "0x",
        (true, _) => "0X",
        _ => "",
    };
    match (flags.space, bytes.is_empty()) {
        (_, true) => String::new(),
        (true, false) => bytes.iter().map(|byte| format!("{prefix}{byte}")).collect::<Vec<_>>().join(" "),
        (false, false) => format!("{prefix}{}", bytes.concat()),
    }
}

/// As [`quote`], with escapes for all that is not ASCII.
fn quote_ascii(text: &str) -> String {
    let mut out = String::new();
    for c in quote(text).chars() {
        match u32::from(c) {
            0..0x80 => out.push(c),
            code @ 0x80..0x1_0000 => out.push_str(&format!("\\u{code:04x}")),
            code => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    out
}

fn quote_char(c: char) -> String {
    match c {
        '\'' => "'\\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => {
            let quoted = quote(&c.to_string());
            format!("'{}'", quoted.trim_start_matches('"').trim_end_matches('"'))
        }
    }
}

/// `%.4g`, which all the humanize functions use.
pub(super) fn four_digits(value: f64) -> String {
    float(value, 'g', &Flags { precision: Some(4), ..Flags::default() }).unwrap_or_default()
}
