//! Numbers and durations as scripts write them.

/// The longest prefix of `text` that is a number: its value, and what follows.
pub(crate) fn number_prefix(text: &str) -> Option<(f64, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let word = unsigned.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unsigned.len());
    if word > 0 {
        let (word, rest) = unsigned.split_at(word);
        let value = match word.to_ascii_lowercase().as_str() {
            "inf" => sign * f64::INFINITY,
            "nan" => model::value::normal_nan(),
            _ => return None,
        };
        return Some((value, rest));
    }
    let mut end = 0;
    let bytes = unsigned.as_bytes();
    while let Some(byte) = bytes.get(end) {
        let exponent_sign =
            matches!(byte, b'+' | b'-') && end > 0 && matches!(bytes.get(end - 1), Some(b'e' | b'E'));
        if !(byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'e' | b'E') || exponent_sign) {
            break;
        }
        end += 1;
    }
    let (digits, rest) = unsigned.split_at(end);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let digits = digits.replace('_', "");
    let octal =
        digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
    let value = if octal {
        i64::from_str_radix(&digits, 8).ok()? as f64
    } else {
        model::number::parse_float(&digits)?
    };
    Some((sign * value, rest))
}

/// A whole number: its value.
pub(crate) fn number(text: &str) -> Option<f64> {
    number_prefix(text).filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

/// A duration without sign, in ms.
pub(crate) fn duration(text: &str) -> Option<i64> {
    model::duration::parse(text).ok().and_then(|duration| i64::try_from(duration.as_millis()).ok())
}

/// The longest prefix that is a duration with a sign, in ms, and what follows. `x` ends it.
pub(crate) fn signed_duration_prefix(text: &str) -> Option<(i64, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let unit = unsigned.get(digits..)?;
    let unit = unit.find(|c: char| !c.is_ascii_alphabetic() || c == 'x').unwrap_or(unit.len());
    let (duration_text, rest) = unsigned.split_at(digits + unit);
    let ms = duration(duration_text)?;
    Some((if text.starts_with('-') { -ms } else { ms }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_where_they_end() {
        assert_eq!(number_prefix("1+2x3"), Some((1.0, "+2x3")));
        assert_eq!(number_prefix("-1e+3-2x4"), Some((-1000.0, "-2x4")));
        assert_eq!(number("010"), Some(8.0));
        assert_eq!(number("1_000"), Some(1000.0));
        assert_eq!(number("-Inf"), Some(f64::NEG_INFINITY));
        assert_eq!(number("stale"), None);
        assert_eq!(number("x"), None);
    }

    #[test]
    fn durations_may_have_a_sign_and_be_followed_by_a_count() {
        assert_eq!(signed_duration_prefix("-1mx3"), Some((-60_000, "x3")));
        assert_eq!(signed_duration_prefix("30s+10sx2"), Some((30_000, "+10sx2")));
        assert_eq!(signed_duration_prefix("m"), None);
    }
}
