//! Instants as RFC 3339 text, in UTC: `2026-11-22T15:04:05.123Z`.
//!
//! The civil calendar is Howard Hinnant's `days_from_civil`, valid for every year that a timestamp can name.

use crate::time::TimestampMs;

/// Writes an instant with as many decimals of a second as it needs: none, or three less trailing zeros.
#[must_use]
pub fn format(timestamp_ms: TimestampMs) -> String {
    let days = timestamp_ms.div_euclid(86_400_000);
    let ms = timestamp_ms.rem_euclid(86_400_000);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second, milli) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
    let fraction = if milli == 0 { String::new() } else { format!(".{milli:03}") };
    let fraction = if milli == 0 { "" } else { fraction.trim_end_matches('0') };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Reads an instant with `Z` or a numeric offset; finer parts of a second than milliseconds are cut off.
#[must_use]
pub fn parse(text: &str) -> Option<TimestampMs> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let separator = |at: usize, allowed: &str| text.get(at..=at).is_some_and(|found| allowed.contains(found));
    if !(separator(4, "-")
        && separator(7, "-")
        && separator(10, "Tt")
        && separator(13, ":")
        && separator(16, ":"))
    {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let valid = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let rest = text.get(19..).filter(|_| valid)?;
    let (milli, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(decimals) => {
            let length = decimals.bytes().take_while(u8::is_ascii_digit).count();
            let padded: String = decimals[..length].chars().chain("000".chars()).take(3).collect();
            if length == 0 {
                return None;
            }
            (padded.parse().ok()?, &decimals[length..])
        }
    };
    let offset_minutes = match zone {
        "Z" | "z" => 0,
        _ => zone_minutes(zone)?,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some((seconds - offset_minutes * 60) * 1_000 + milli)
}

/// Days since the epoch to (year, month, day).
#[must_use]
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// (year, month, day) to days since the epoch.
#[must_use]
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1)
}

fn zone_minutes(zone: &str) -> Option<i64> {
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let two_digits =
        |t: &str| (t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<i64>().ok())?;
    Some(sign * (two_digits(hours)? * 60 + two_digits(minutes)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_of_prometheus_clients_are_read() {
        assert_eq!(parse("2015-07-01T20:10:51.781Z"), Some(1_435_781_451_781));
        assert_eq!(parse("2015-07-01T22:10:51.781789+02:00"), Some(1_435_781_451_781));
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
        for bad in
            ["2015-02-29T00:00:00Z", "2015-07-01", "2015-07-01T20:10:51", "2015-13-01T00:00:00Z", "x", ""]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(format(1_435_781_451_780), "2015-07-01T20:10:51.78Z");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ms in -62_135_596_800_000i64..253_402_300_799_999) {
            prop_assert_eq!(parse(&format(ms)), Some(ms));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
