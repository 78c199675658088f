//! When a group is evaluated. Source: `Group.EvalTimestamp` of Prometheus.

use std::time::Duration;

use model::{Labels, TimestampMs};

/// How far into its interval a group is evaluated: groups are spread by the hash of file and name, as Prometheus
/// spreads them. Less than `interval`.
#[must_use]
pub fn evaluation_offset(file: &str, group: &str, interval: Duration) -> Duration {
    let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
    if interval_ns == 0 {
        return Duration::ZERO;
    }
    let hash = Labels::from_pairs([("name", group), ("file", file)]).hash();
    Duration::from_nanos(hash % interval_ns)
}

/// The ticks of a group in `from <= tick < until`, ms, at most `limit` of them.
#[must_use]
pub fn ticks(
    file: &str,
    group: &str,
    interval: Duration,
    from: TimestampMs,
    until: TimestampMs,
    limit: usize,
) -> Vec<TimestampMs> {
    let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
    let offset_ms = i64::try_from(evaluation_offset(file, group, interval).as_millis()).unwrap_or(0);
    let past = from.saturating_sub(offset_ms).rem_euclid(interval_ms);
    let first = if past == 0 { from } else { from.saturating_add(interval_ms - past) };
    let mut ticks = Vec::new();
    let mut tick = first;
    while tick < until && ticks.len() < limit {
        ticks.push(tick);
        tick = tick.saturating_add(interval_ms);
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_adjoining_windows_are_evenly_spaced() {
        let interval = Duration::from_secs(30);
        let mut all = Vec::new();
        for window in 0..10 {
            all.extend(ticks("f.yml", "g", interval, window * 60_000, (window + 1) * 60_000, 100));
        }
        assert_eq!(all.len(), 20);
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] == 30_000), "{all:?}");
        let offset = i64::try_from(evaluation_offset("f.yml", "g", interval).as_millis()).unwrap();
        assert_eq!(all[0], offset);
        assert!(offset < 30_000);
    }

    #[test]
    fn groups_of_one_file_are_spread() {
        let interval = Duration::from_secs(60);
        let offset = |name: &str| evaluation_offset("f.yml", name, interval);
        assert_ne!(offset("a"), offset("b"));
        assert_ne!(evaluation_offset("g.yml", "a", interval), offset("a"));
        assert_eq!(evaluation_offset("f.yml", "a", Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn ticks_are_bounded() {
        assert_eq!(ticks("f", "g", Duration::from_secs(1), 0, i64::MAX, 5).len(), 5);
        assert!(ticks("f", "g", Duration::from_secs(60), 10, 10, 5).is_empty());
    }
}
