//! Durations, instants and sizes as Go prints them.

use model::rfc3339::civil_from_days;

/// A duration in ms as Go's `time.Duration` prints itself: `2h0m0s`, `1.5s`, `20ms`.
pub(super) fn duration(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    match ms {
        0 => return "0s".to_owned(),
        1..1000 => return format!("{sign}{ms}ms"),
        _ => {}
    }
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    let mut seconds = format!("{}.{:03}", ms / 1000 % 60, ms % 1000);
    seconds.truncate(seconds.trim_end_matches('0').trim_end_matches('.').len());
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// An instant in ms: the number, or for people `2019-08-06 23:21:53 +0000 UTC`.
pub(super) fn instant(ms: i64, human_readable: bool) -> String {
    if !human_readable {
        return ms.to_string();
    }
    let seconds = ms / 1000;
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} +0000 UTC")
}

/// A size in bytes: the number, or for people all its units, `1MiB512KiB3B`, as promtool prints them.
pub(super) fn size(bytes: u64, human_readable: bool) -> String {
    if !human_readable {
        return bytes.to_string();
    }
    if bytes == 0 {
        return "0B".to_owned();
    }
    let mut parts = Vec::new();
    let mut rest = bytes;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if !rest.is_multiple_of(1024) {
            parts.push(format!("{}{unit}", rest % 1024));
        }
        rest /= 1024;
    }
    parts.reverse();
    parts.concat()
}

/// A size in bytes with its largest unit: `1.5 GiB`.
pub(super) fn rough_size(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (ms, text) in [
            (0, "0s"),
            (1, "1ms"),
            (1500, "1.5s"),
            (60_000, "1m0s"),
            (7_200_000, "2h0m0s"),
            (7_199_990, "1h59m59.99s"),
            (-1001, "-1.001s"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn instants_and_sizes_are_those_of_promtool() {
        assert_eq!(instant(1_565_133_713_989, true), "2019-08-06 23:21:53 +0000 UTC");
        assert_eq!(instant(-5, false), "-5");
        for (bytes, text) in [(0, "0B"), (1, "1B"), (1024, "1KiB"), (1_573_891, "1MiB513KiB3B")] {
            assert_eq!(size(bytes, true), text);
        }
        assert_eq!(rough_size(1536), "1.5 KiB");
    }
}
