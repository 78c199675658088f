//! Times and durations as Go's `time` prints them, in UTC.

use std::fmt::Write;

use model::rfc3339;

const NS: i128 = 1_000_000_000;
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A time taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    /// 1 to 12.
    pub(super) month: i64,
    /// 1 to 31.
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) nanosecond: i64,
    /// 0 is Sunday.
    pub(super) weekday: i64,
    /// From 1.
    pub(super) year_day: i64,
}

/// Takes a time apart.
pub(super) fn civil(ns: i128) -> Civil {
    let seconds = ns.div_euclid(NS) as i64;
    let days = seconds.div_euclid(86_400);
    let in_day = seconds.rem_euclid(86_400);
    let (year, month, day) = rfc3339::civil_from_days(days);
    Civil {
        year,
        month,
        day,
        hour: in_day / 3600,
        minute: in_day / 60 % 60,
        second: in_day % 60,
        nanosecond: ns.rem_euclid(NS) as i64,
        weekday: (days + 4).rem_euclid(7),
        year_day: days - rfc3339::days_from_civil(year, 1, 1) + 1,
    }
}

/// Days since the epoch; month and day may be out of range and carry over, as Go's `time.Date` allows.
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let month = month - 1;
    rfc3339::days_from_civil(year + month.div_euclid(12), month.rem_euclid(12) + 1, 1) + day - 1
}

/// `January`, or Go's `%!Month(13)`.
pub(super) fn month_name(month: i64) -> String {
    name(&MONTHS, month - 1).unwrap_or_else(|| format!("%!Month({month})"))
}

/// `Sunday`, or Go's `%!Weekday(7)`.
pub(super) fn weekday_name(day: i64) -> String {
    name(&WEEKDAYS, day).unwrap_or_else(|| format!("%!Weekday({day})"))
}

fn name(names: &[&str], index: i64) -> Option<String> {
    names.get(usize::try_from(index).ok()?).map(|name| (*name).to_owned())
}

/// Go's `Time.String`.
pub(super) fn time_string(ns: i128) -> String {
    format(ns, "2006-01-02 15:04:05.999999999 -0700 MST")
}

/// The pieces of a layout, longest first where one begins another.
const CHUNKS: [&str; 32] = [
    "January",
    "Monday",
    "2006",
    "-07:00:00",
    "-070000",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "-07:00",
    "-0700",
    "Z0700",
    "Jan",
    "Mon",
    "MST",
    "002",
    "__2",
    "-07",
    "Z07",
    "_2",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "PM",
    "pm",
    "1",
    "2",
    "3",
    "4",
];

/// Go's `Time.Format`.
pub(super) fn format(ns: i128, layout: &str) -> String {
    let time = civil(ns);
    let mut out = String::with_capacity(layout.len() + 10);
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = fraction_length(rest, c) {
            let chunk = rest.get(..length).unwrap_or("");
            push_fraction(&mut out, time.nanosecond, chunk);
            rest = rest.get(length..).unwrap_or("");
            continue;
        }
        let chunk = CHUNKS.iter().copied().chain(["5"]).find(|chunk| rest.starts_with(chunk));
        match chunk {
            // "Jan" and "Mon" must not begin a longer lower-case word: "Month" is text.
            Some(chunk @ ("Jan" | "Mon")) if continues_word(rest, chunk) => {
                out.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or("");
            }
            // In "_2006" the year wins.
            Some("_2") if rest.starts_with("_2006") => {
                out.push('_');
                rest = rest.get(1..).unwrap_or("");
            }
            Some(chunk) => {
                push_chunk(&mut out, &time, chunk);
                rest = rest.get(chunk.len()..).unwrap_or("");
            }
            None => {
                out.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or("");
            }
        }
    }
    out
}

fn continues_word(rest: &str, chunk: &str) -> bool {
    rest.as_bytes().get(chunk.len()).is_some_and(u8::is_ascii_lowercase)
}

/// The length of `.000` or `,999` at the beginning of `rest`, not followed by another digit.
fn fraction_length(rest: &str, first: char) -> Option<usize> {
    if !matches!(first, '.' | ',') {
        return None;
    }
    let digit = *rest.as_bytes().get(1)?;
    if !matches!(digit, b'0' | b'9') {
        return None;
    }
    let digits = rest.bytes().skip(1).take_while(|b| *b == digit).count();
    let ends = !rest.as_bytes().get(1 + digits).is_some_and(u8::is_ascii_digit);
    ends.then_some(1 + digits)
}

fn push_fraction(out: &mut String, nanosecond: i64, chunk: &str) {
    let digits = format!("{nanosecond:09}");
    let wanted = chunk.len().saturating_sub(1);
    let mut shown = digits.get(..wanted.min(9)).unwrap_or("").to_owned();
    while shown.len() < wanted {
        shown.push('0');
    }
    if chunk.ends_with('9') {
        shown.truncate(shown.trim_end_matches('0').len());
        if shown.is_empty() {
            return;
        }
    }
    out.push_str(chunk.get(..1).unwrap_or("."));
    out.push_str(&shown);
}

fn push_chunk(out: &mut String, time: &Civil, chunk: &str) {
    let hour12 = if time.hour % 12 == 0 { 12 } else { time.hour % 12 };
    let month = month_name(time.month);
    let weekday = weekday_name(time.weekday);
    let _ = match chunk {
        "January" => write!(out, "{month}"),
        "Jan" => write!(out, "{}", month.get(..3).unwrap_or("")),
        "1" => write!(out, "{}", time.month),
        "01" => write!(out, "{:02}", time.month),
        "Monday" => write!(out, "{weekday}"),
        "Mon" => write!(out, "{}", weekday.get(..3).unwrap_or("")),
        "2" => write!(out, "{}", time.day),
        "_2" => write!(out, "{:2}", time.day),
        "02" => write!(out, "{:02}", time.day),
        "__2" => write!(out, "{:3}", time.year_day),
        "002" => write!(out, "{:03}", time.year_day),
        "15" => write!(out, "{:02}", time.hour),
        "3" => write!(out, "{hour12}"),
        "03" => write!(out, "{hour12:02}"),
        "4" => write!(out, "{}", time.minute),
        "04" => write!(out, "{:02}", time.minute),
        "5" => write!(out, "{}", time.second),
        "05" => write!(out, "{:02}", time.second),
        "2006" => write!(out, "{:04}", time.year),
        "06" => write!(out, "{:02}", time.year.rem_euclid(100)),
        "PM" => write!(out, "{}", if time.hour >= 12 { "PM" } else { "AM" }),
        "pm" => write!(out, "{}", if time.hour >= 12 { "pm" } else { "am" }),
        "MST" => write!(out, "UTC"),
        "-07" => write!(out, "+00"),
        "-0700" => write!(out, "+0000"),
        "-07:00" => write!(out, "+00:00"),
        "-070000" => write!(out, "+000000"),
        "-07:00:00" => write!(out, "+00:00:00"),
        _ => write!(out, "Z"),
    };
}

/// Go's `Duration.String`: `1h2m3.5s`, `1.5ms`, `0s`.
pub(super) fn duration_string(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    let small = |unit: u64, name: &str| format!("{sign}{}{name}", decimal(ns, unit));
    match ns {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{ns}ns"),
        1_000..1_000_000 => small(1_000, "µs"),
        1_000_000..1_000_000_000 => small(1_000_000, "ms"),
        _ => {
            let minutes = ns / 60_000_000_000;
            let mut out = sign.to_owned();
            if minutes >= 60 {
                let _ = write!(out, "{}h", minutes / 60);
            }
            if minutes > 0 {
                let _ = write!(out, "{}m", minutes % 60);
            }
            let _ = write!(out, "{}s", decimal(ns % 60_000_000_000, 1_000_000_000));
            out
        }
    }
}

/// `value / unit` in decimals without trailing zeros; `unit` is a power of ten.
fn decimal(value: u64, unit: u64) -> String {
    let width = unit.ilog10() as usize;
    let fraction = format!("{:0width$}", value % unit);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{}", value / unit) } else { format!("{}.{fraction}", value / unit) }
}
