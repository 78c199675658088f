//! What numbers, durations and strings say. Sources: Go's `strconv`, prometheus/common's `model.ParseDuration`,
//! `util/strutil/quote.go`.

use model::duration;
use model::labels::quote;
use model::value::normal_nan;

/// The value of a number token.
///
/// # Errors
/// What Go's `strconv.ParseFloat` says.
pub(super) fn number(text: &str) -> Result<f64, String> {
    if let Some(value) = integer(text) {
        return Ok(value as f64);
    }
    if text.eq_ignore_ascii_case("nan") {
        return Ok(normal_nan());
    }
    if text.eq_ignore_ascii_case("inf") {
        return Ok(f64::INFINITY);
    }
    let reason = match text.replace('_', "").parse::<f64>() {
        Ok(value) if value.is_finite() && underscores_separate_digits(text) => return Ok(value),
        Ok(value) if value.is_infinite() => "value out of range",
        _ => "invalid syntax",
    };
    Err(format!("strconv.ParseFloat: parsing {}: {reason}", quote(text)))
}

/// Go's `strconv.ParseInt(text, 0, 64)`: hexadecimal after `0x`, octal after `0`, else decimal.
fn integer(text: &str) -> Option<i64> {
    if !underscores_separate_digits(text) {
        return None;
    }
    let digits = text.replace('_', "");
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        i64::from_str_radix(hex, 16).ok()
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(&digits, 8).ok()
    } else {
        digits.parse().ok()
    }
}

/// Underscores stand singly between digits, or after `0x`.
fn underscores_separate_digits(text: &str) -> bool {
    if !text.contains('_') {
        return true;
    }
    let bytes = text.as_bytes();
    let is_hex = matches!(bytes, [b'0', b'x' | b'X', ..]);
    let is_digit = |byte: &u8| if is_hex { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
    let (mut before, rest) = if is_hex { (b'0', bytes.get(2..).unwrap_or_default()) } else { (b'.', bytes) };
    for (at, byte) in rest.iter().enumerate() {
        let after = rest.get(at + 1);
        if *byte == b'_' && !(is_digit(&before) && after.is_some_and(is_digit)) {
            return false;
        }
        before = *byte;
    }
    true
}

/// The seconds of a duration token.
///
/// # Errors
/// What is wrong with it, in Prometheus's words.
pub(super) fn duration_seconds(text: &str) -> Result<f64, String> {
    let duration = duration::parse(text).map_err(|error| error.to_string())?;
    Ok(duration.as_secs() as f64 + f64::from(duration.subsec_nanos()) / 1e9)
}

/// Whole milliseconds of `seconds`, as Go gets them by way of nanoseconds: what does not fit becomes the least.
pub(super) fn milliseconds(seconds: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let nanos = (seconds * 1e9).round();
    let nanos = if (-LIMIT..LIMIT).contains(&nanos) { nanos as i64 } else { i64::MIN };
    nanos / 1_000_000
}

/// Whether `seconds` are too many for a 64-bit count of nanoseconds.
pub(super) fn is_out_of_range(seconds: f64) -> bool {
    // 2^63 ns, as near as a float comes.
    const LIMIT: f64 = 9_223_372_036.854_776;
    seconds.abs() > LIMIT
}

/// What a string token says: bytes, for `\xff` is one. `None` where the token is malformed, which the lexer does
/// not let through.
pub(super) fn unquote(token: &str) -> Option<Vec<u8>> {
    let quote = token.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let body = token.strip_prefix(quote)?.strip_suffix(quote)?;
    if quote == '`' || !body.contains('\\') {
        return Some(body.as_bytes().to_vec());
    }
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        let (plain, escape) = rest.split_at_checked(at)?;
        out.extend_from_slice(plain.as_bytes());
        rest = unescape(escape.strip_prefix('\\')?, quote, &mut out)?;
    }
    out.extend_from_slice(rest.as_bytes());
    Some(out)
}

/// Appends what an escape says, and gives what follows it.
fn unescape<'a>(escape: &'a str, quote: char, out: &mut Vec<u8>) -> Option<&'a str> {
    let c = escape.chars().next()?;
    let tail = escape.get(c.len_utf8()..)?;
    let byte = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        _ if c == quote => u8::try_from(c).ok()?,
        '0'..='7' => {
            out.push(u8::from_str_radix(escape.get(..3)?, 8).ok()?);
            return escape.get(3..);
        }
        'x' => {
            out.push(u8::from_str_radix(tail.get(..2)?, 16).ok()?);
            return tail.get(2..);
        }
        'u' | 'U' => {
            let digits = if c == 'u' { 4 } else { 8 };
            let decoded = char::from_u32(u32::from_str_radix(tail.get(..digits)?, 16).ok()?)?;
            out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
            return tail.get(digits..);
        }
        _ => return None,
    };
    out.push(byte);
    Some(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, value) in [
            ("0x1F", 31.0),
            ("017", 15.0),
            ("08", 8.0),
            ("1_000", 1000.0),
            ("0x_1F", 31.0),
            ("1_0.5", 10.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("iNf", f64::INFINITY),
        ] {
            assert_eq!(number(text), Ok(value), "{text}");
        }
        assert!(number("NaN").unwrap().is_nan());
        assert!(number("1_").unwrap_err().ends_with("invalid syntax"));
        assert!(number("1e999").unwrap_err().ends_with("value out of range"));
    }

    #[test]
    fn strings_are_bytes() {
        assert_eq!(unquote(r#""\xff\u00e9\101\n""#), Some(b"\xff\xc3\xa9A\n".to_vec()));
        assert_eq!(unquote(r"`\d+`"), Some(br"\d+".to_vec()));
        assert_eq!(unquote(r"'it\'s'"), Some(b"it's".to_vec()));
        assert_eq!(unquote(r#""\'""#), None);
    }

    #[test]
    fn durations_beyond_64_bits_of_nanoseconds_are_out_of_range() {
        assert!(is_out_of_range(9.5e10) && is_out_of_range(-9.5e10));
        assert!(!is_out_of_range(9.2e9));
        assert_eq!(milliseconds(-1.5), -1500);
        assert_eq!(milliseconds(f64::NAN), i64::MIN / 1_000_000);
    }
}
