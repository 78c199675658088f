//! Values and timestamps: what Go's `strconv` accepts, and a fast way for what clients write.

use crate::error::quote_bytes;

/// Powers of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Integers up to this are doubles.
const EXACT_INTEGER_MAX: u64 = 1 << 53;
/// So many digits fit a `u64` whatever they are.
const DIGITS_MAX: usize = 19;

/// Why a text is not a number, as Go says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NumberError {
    #[error("unsupported character in float")]
    UnsupportedCharacter,
    #[error("strconv.{function}: parsing {text}: invalid syntax")]
    Syntax { function: &'static str, text: String },
    #[error("strconv.{function}: parsing {text}: value out of range")]
    Range { function: &'static str, text: String },
}

/// A sample's value. NaN gets Prometheus's bits.
pub(crate) fn parse_value(text: &[u8]) -> Result<f64, NumberError> {
    // Go reads hexadecimal floats and digit separators; the text format has neither.
    if text.iter().any(|byte| matches!(byte, b'p' | b'P' | b'_')) {
        return Err(NumberError::UnsupportedCharacter);
    }
    let value = std::str::from_utf8(text).ok().and_then(model::number::parse_float);
    match value {
        None => Err(NumberError::Syntax { function: "ParseFloat", text: quote_bytes(text) }),
        Some(value) if value.is_infinite() && !names_infinity(text) => {
            Err(NumberError::Range { function: "ParseFloat", text: quote_bytes(text) })
        }
        Some(value) => Ok(value),
    }
}

/// A timestamp: digits only, as the lexer has seen to.
pub(crate) fn parse_timestamp(text: &[u8]) -> Result<i64, NumberError> {
    let out_of_range = || NumberError::Range { function: "ParseInt", text: quote_bytes(text) };
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(out_of_range)
}

/// The number that a label value is; unlike a sample's value it may use all that Go reads, but for hexadecimal.
pub(crate) fn parse_label_float(text: &str) -> Option<f64> {
    parse_value(text.as_bytes()).ok()
}

/// The value that starts at `at` and where it ends, at a blank or newline; `None` where it must be looked at again.
pub(crate) fn scan_value(line: &[u8], at: usize) -> Option<(f64, usize)> {
    let negative = line.get(at)? == &b'-';
    let first_digit = at + usize::from(negative);
    let (integer, mut end) = scan_digits(line, first_digit, 0);
    let mut mantissa = integer;
    let mut digits = end - first_digit;
    let mut decimals = 0;
    if line.get(end) == Some(&b'.') {
        let point = end;
        (mantissa, end) = scan_digits(line, point + 1, mantissa);
        decimals = end - point - 1;
        digits += decimals;
    }
    let ends_here = matches!(line.get(end)?, b' ' | b'\t' | b'\n');
    if ends_here && (1..=DIGITS_MAX).contains(&digits) && mantissa <= EXACT_INTEGER_MAX {
        // Both operands are exact, so one correctly rounded division gives the nearest double.
        let value = mantissa as f64 / EXACT_POWERS.get(decimals)?;
        return Some((if negative { -value } else { value }, end));
    }
    let length = line.get(at..)?.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'{'))?;
    let value = parse_value(line.get(at..at + length)?).ok()?;
    Some((value, at + length))
}

/// The timestamp that starts at `at` and where it ends.
pub(crate) fn scan_timestamp(line: &[u8], at: usize) -> Option<(i64, usize)> {
    let (value, end) = scan_digits(line, at, 0);
    if end - at >= DIGITS_MAX {
        return None;
    }
    Some((i64::try_from(value).ok()?, end))
}

fn scan_digits(line: &[u8], at: usize, mantissa: u64) -> (u64, usize) {
    let (mut mantissa, mut end) = (mantissa, at);
    while let Some(digit) = line.get(end).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        end += 1;
    }
    (mantissa, end)
}

fn names_infinity(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'n' | b'N'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn go_number_errors_are_repeated() {
        for (text, error) in [
            ("true", "strconv.ParseFloat: parsing \"true\": invalid syntax"),
            ("1e400", "strconv.ParseFloat: parsing \"1e400\": value out of range"),
            ("+nan", "strconv.ParseFloat: parsing \"+nan\": invalid syntax"),
            ("0x1", "strconv.ParseFloat: parsing \"0x1\": invalid syntax"),
            ("1_0", "unsupported character in float"),
        ] {
            assert_eq!(parse_value(text.as_bytes()).unwrap_err().to_string(), error);
        }
        let error = parse_timestamp(b"9223372036854775808").unwrap_err().to_string();
        assert_eq!(error, "strconv.ParseInt: parsing \"9223372036854775808\": value out of range");
    }

    #[test]
    fn special_values_are_read() {
        for (text, value) in
            [("+Inf", f64::INFINITY), ("-inf", f64::NEG_INFINITY), ("Infinity", f64::INFINITY)]
        {
            assert_eq!(parse_value(text.as_bytes()), Ok(value));
        }
        assert_eq!(parse_value(b"NaN").unwrap().to_bits(), model::value::NORMAL_NAN_BITS);
        assert_eq!(scan_value(b"-0\n", 0).unwrap().0.to_bits(), (-0.0f64).to_bits());
    }

    proptest! {
        #[test]
        fn the_fast_way_gives_the_nearest_double(text in "-?[0-9]{0,22}(\\.[0-9]{0,24})?([eE][+-]?[0-9]{1,3})?") {
            let line = format!("{text} \n");
            let fast = scan_value(line.as_bytes(), 0).map(|(value, end)| (value.to_bits(), end));
            let slow = parse_value(text.as_bytes()).ok().map(|value| (value.to_bits(), text.len()));
            prop_assert_eq!(fast, slow);
        }

        #[test]
        fn what_rust_prints_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            for text in [format!("{value}\n"), format!("{value:e}\n")] {
                prop_assert_eq!(scan_value(text.as_bytes(), 0).unwrap().0.to_bits(), bits);
            }
        }
    }
}
