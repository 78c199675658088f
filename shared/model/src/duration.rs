//! Durations as Prometheus writes them: `15s`, `1h30m`, `7d`. Source: `model.ParseDuration` of prometheus/common.

use std::time::Duration;

use crate::labels::quote;

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing there.
    #[error("empty duration string")]
    Empty,
    /// Not unit groups in the order y w d h m s ms, each at most once.
    #[error("not a valid duration string: {}", quote(.0))]
    Invalid(String),
    /// A number followed by something else than a unit.
    #[error("unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit {
        /// What follows the number.
        unit: String,
        /// The whole.
        text: String,
    },
    /// Beyond 2^63 ns.
    #[error("duration out of range")]
    OutOfRange,
}

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads `0`, or groups of number and unit in the order y w d h m s ms. Whole milliseconds, never negative.
///
/// # Errors
/// Where `text` is anything else.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    match text {
        "" => return Err(DurationError::Empty),
        "0" => return Ok(Duration::ZERO),
        _ => {}
    }
    let invalid = || DurationError::Invalid(text.to_owned());
    let (mut rest, mut next_unit, mut total_ms) = (text, 0, 0u64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit_length = rest[digits..].bytes().take_while(|byte| !byte.is_ascii_digit()).count();
        let (number, unit) = (&rest[..digits], &rest[digits..digits + unit_length]);
        let number: u64 = number.parse().map_err(|_| invalid())?;
        if unit.is_empty() {
            return Err(invalid());
        }
        let unknown = || DurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() };
        let at = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(unknown)?;
        if at < next_unit {
            return Err(invalid());
        }
        total_ms = number
            .checked_mul(UNITS[at].1)
            .and_then(|ms| total_ms.checked_add(ms))
            .filter(|ms| *ms <= i64::MAX as u64 / 1_000_000)
            .ok_or(DurationError::OutOfRange)?;
        next_unit = at + 1;
        rest = &rest[digits + unit_length..];
    }
    Ok(Duration::from_millis(total_ms))
}

/// Writes whole milliseconds in the shortest exact form, as Prometheus does: years and weeks only where they
/// divide the whole.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (at, (unit, unit_ms)) in UNITS.into_iter().enumerate() {
        let exact_only = at < 2;
        if ms >= unit_ms && (!exact_only || ms % unit_ms == 0) {
            out.push_str(&format!("{}{unit}", ms / unit_ms));
            ms %= unit_ms;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for text in ["0s", "15s", "1h30m", "7d", "1y", "2w", "1m500ms", "36h", "1ms"] {
            let parsed = parse(if text == "0s" { "0" } else { text }).unwrap();
            assert_eq!(parse(&format(parsed)).unwrap(), parsed, "{text}");
        }
        assert_eq!(format(Duration::from_secs(7 * 86_400)), "1w");
        assert_eq!(format(Duration::from_secs(90_000)), "1d1h");
    }

    #[test]
    fn malformed_durations_are_refused() {
        for text in ["", "1", "5", "m", "1m1h", "1s1s", "-5m", "1.5h", "5 m", "1µs", "99999999999y"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
    #[test]
    fn durations_are_those_of_prometheus() {
        let Some(cases) = fixtures::json("misc/json/duration_golden.json") else { return };
        for case in cases.as_array().unwrap() {
            match parse(case["in"].as_str().unwrap()) {
                Ok(duration) => {
                    assert_eq!(duration.as_nanos(), u128::from(case["ns"].as_u64().unwrap()), "{case}");
                    assert_eq!(format(duration), case["string"].as_str().unwrap());
                }
                Err(error) => assert_eq!(error.to_string(), case["error"].as_str().unwrap(), "{case}"),
            }
        }
    }
}
