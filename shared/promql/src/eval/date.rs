//! The calendar: UTC, proleptic Gregorian, no leap seconds.

use crate::plan::function::DateFunction;

const DAY_S: i64 = 86_400;

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Date {
    year: i64,
    /// 1 to 12.
    month: i64,
    /// 1 to 31.
    day: i64,
}

impl DateFunction {
    /// The function's value at an instant in seconds since the epoch; fractions are cut off. What is no instant counts as
    /// the one that Go on x86 makes of it.
    pub(crate) fn apply(self, seconds: f64) -> f64 {
        let (days, of_day) = days_and_seconds(seconds);
        let value = match self {
            Self::Minute => of_day / 60 % 60,
            Self::Hour => of_day / 3600,
            // The epoch was a Thursday.
            Self::DayOfWeek => (days + 4).rem_euclid(7),
            Self::DayOfMonth => date(days).day,
            Self::Month => date(days).month,
            Self::Year => date(days).year,
            Self::DayOfYear => days - days_before(date(days).year, 1) + 1,
            Self::DaysInMonth => {
                let Date { year, month, .. } = date(days);
                let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                days_before(next_year, next_month) - days_before(year, month)
            }
        };
        value as f64
    }
}

/// Days since the epoch and seconds of the day, as Go has them: what does not fit 64 bits becomes their least value, and
/// what then lies before Go's first year wraps around.
fn days_and_seconds(seconds: f64) -> (i64, i64) {
    const GO_EPOCH_DAYS: i64 = 106_751_991_073_400;
    let fits = seconds >= i64::MIN as f64 && seconds < i64::MAX as f64;
    let seconds = if fits { seconds as i64 } else { i64::MIN };
    let since_go_epoch = seconds.wrapping_add(GO_EPOCH_DAYS * DAY_S).cast_unsigned();
    let (days, of_day) = (since_go_epoch / 86_400, since_go_epoch % 86_400);
    (days.cast_signed() - GO_EPOCH_DAYS, of_day.cast_signed())
}

/// An instant in ms as Go's `time.RFC3339` has it, in whole seconds.
pub(crate) fn rfc3339(time_ms: i64) -> String {
    let seconds = time_ms / 1000;
    let Date { year, month, day } = date(seconds.div_euclid(DAY_S));
    let of_day = seconds.rem_euclid(DAY_S);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date of a day counted from the epoch. Years start in March here, so that the leap day is the last.
fn date(days: i64) -> Date {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    Date { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
}

/// Days from the epoch to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let (year, march_month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * march_month + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_have_their_date() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(-1_000), "1969-12-31T23:59:59Z");
        assert_eq!(DateFunction::DaysInMonth.apply(951_782_400.0), 29.0);
        assert_eq!(DateFunction::DayOfYear.apply(1_230_768_000.0 - 1.0), 366.0);
        assert_eq!(DateFunction::DayOfWeek.apply(1_136_239_445.0), 1.0);
        assert_eq!(DateFunction::Year.apply(1_136_239_445.0), 2006.0);
    }

    #[test]
    fn no_number_is_too_large() {
        for value in [f64::MAX, f64::MIN, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            for function in [DateFunction::Year, DateFunction::DayOfYear, DateFunction::DaysInMonth] {
                function.apply(value);
            }
        }
    }

    #[test]
    fn what_is_no_instant_is_what_go_makes_of_it() {
        for value in [f64::NAN, f64::NEG_INFINITY, 1e300] {
            assert_eq!(DateFunction::Hour.apply(value), 15.0);
            assert_eq!(DateFunction::Minute.apply(value), 30.0);
            assert_eq!(DateFunction::Month.apply(value), 12.0);
            assert_eq!(DateFunction::DaysInMonth.apply(value), 31.0);
            assert_eq!(DateFunction::Year.apply(value), 292_277_026_596.0);
        }
    }

    #[test]
    fn every_day_reads_back() {
        for days in (-800_000..800_000).step_by(17) {
            let Date { year, month, day } = date(days);
            assert_eq!(days_before(year, month) + day - 1, days);
        }
    }
}
