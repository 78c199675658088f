//! When each target is due, and which targets go in one batch.

use std::collections::BTreeMap;
use std::time::Duration;

use wire::{ScrapeTarget, ScrapeTask, TargetSnapshot};

/// How targets are packed into batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackSettings {
    /// The targets of a batch are due within this time of each other: the scraper waits for the last. Default 1 s.
    pub spread_max: Duration,
    /// A batch has at most so many targets. Default 200.
    pub targets_max: usize,
}

impl Default for PackSettings {
    fn default() -> Self {
        Self { spread_max: Duration::from_secs(1), targets_max: 200 }
    }
}

/// A batch that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// When its first target is due, ms: the task's tick.
    pub due: i64,
    /// The batch; its configuration is the snapshot's.
    pub task: ScrapeTask,
}

/// Every scrape that is due in `from <= t < until`, packed into batches, in order of time. Each target is in the batch
/// of each of its instants `t ≡ offset (mod interval)` exactly once, whatever the windows are. Only targets of equal
/// interval share a batch. Equal input gives equal output: what is sent twice has the same names.
#[must_use]
pub fn schedule(snapshot: &TargetSnapshot, from: i64, until: i64, settings: &PackSettings) -> Vec<Slot> {
    let mut due: BTreeMap<(u64, i64), Vec<&ScrapeTarget>> = BTreeMap::new();
    for target in snapshot.pools.iter().flat_map(|pool| &pool.active) {
        for instant in instants(target, from, until) {
            due.entry((target.interval_ms, instant)).or_default().push(target);
        }
    }
    let mut batches: Vec<Batch<'_>> = Vec::new();
    for ((interval, instant), targets) in due {
        for target in targets {
            match batches.last_mut().filter(|batch| batch.takes(interval, instant, target, settings)) {
                Some(batch) => batch.targets.push(target),
                None => batches.push(Batch { interval, tick: instant, targets: vec![target] }),
            }
        }
    }
    batches.sort_by_key(|batch| (batch.tick, batch.interval));
    into_slots(&batches, &snapshot.config)
}

struct Batch<'a> {
    interval: u64,
    tick: i64,
    targets: Vec<&'a ScrapeTarget>,
}

impl Batch<'_> {
    fn takes(&self, interval: u64, instant: i64, target: &ScrapeTarget, settings: &PackSettings) -> bool {
        let spread = i64::try_from(settings.spread_max.as_millis()).unwrap_or(i64::MAX);
        self.interval == interval
            && instant - self.tick <= spread
            && self.targets.len() < settings.targets_max
            && !self.targets.iter().any(|other| other.source == target.source)
    }
}

fn into_slots(batches: &[Batch<'_>], config: &str) -> Vec<Slot> {
    let mut slots: Vec<Slot> = Vec::with_capacity(batches.len());
    for batch in batches {
        let shard = match slots.last() {
            Some(before) if before.due == batch.tick => before.task.shard + 1,
            _ => 0,
        };
        let targets = batch.targets.iter().copied().cloned().collect();
        let task =
            ScrapeTask { config: config.to_owned(), tick: batch.tick, shard, targets, gone: Vec::new() };
        slots.push(Slot { due: batch.tick, task });
    }
    slots
}

fn instants(target: &ScrapeTarget, from: i64, until: i64) -> impl Iterator<Item = i64> {
    let interval = i64::try_from(target.interval_ms).unwrap_or(i64::MAX).max(1);
    let offset = i64::try_from(target.offset_ms).unwrap_or(0);
    let wait = offset.saturating_sub(from).rem_euclid(interval);
    std::iter::successors(from.checked_add(wait), move |instant| instant.checked_add(interval))
        .take_while(move |instant| *instant < until)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::{ScrapePool, WireLabels};

    use super::*;

    fn target(source: usize, interval_ms: u64, offset_ms: u64) -> ScrapeTarget {
        ScrapeTarget {
            source: format!("{source:016x}"),
            pool: "p".to_owned(),
            url: String::new(),
            labels: WireLabels::default(),
            discovered: WireLabels::default(),
            interval_ms,
            timeout_ms: interval_ms,
            offset_ms: offset_ms % interval_ms,
            forced_error: None,
        }
    }

    fn snapshot(targets: Vec<ScrapeTarget>) -> TargetSnapshot {
        let pool =
            ScrapePool { name: "p".to_owned(), active: targets, dropped: Vec::new(), errors: Vec::new() };
        TargetSnapshot { v: 1, config: "config/1".to_owned(), pools: vec![pool] }
    }

    /// The instant at which the scraper will scrape a target of a batch.
    fn due_at(target: &ScrapeTarget, tick: i64) -> i64 {
        tick + (target.offset_ms as i64 - tick).rem_euclid(target.interval_ms as i64)
    }

    proptest! {
        #[test]
        fn every_due_instant_is_scheduled_exactly_once_over_consecutive_windows(
            specs in proptest::collection::vec((1u64..20_000, 0u64..20_000), 1..30),
            windows in proptest::collection::vec(1i64..15_000, 1..6),
            start in -50_000i64..50_000,
        ) {
            let targets: Vec<_> = specs.iter().enumerate().map(|(i, (n, o))| target(i, *n, *o)).collect();
            let snapshot = snapshot(targets.clone());
            let (mut from, mut scheduled, mut names) = (start, Vec::new(), std::collections::BTreeSet::new());
            for window in windows {
                let slots = schedule(&snapshot, from, from + window, &PackSettings::default());
                for slot in slots {
                    prop_assert!(names.insert((slot.task.tick, slot.task.shard)), "a name twice");
                    for target in &slot.task.targets {
                        let due = due_at(target, slot.task.tick);
                        prop_assert!((from..from + window).contains(&due));
                        prop_assert!(due - slot.due <= 1_000);
                        scheduled.push((target.source.clone(), due));
                    }
                }
                from += window;
            }
            let mut expected: Vec<_> = targets
                .iter()
                .flat_map(|t| instants(t, start, from).map(|at| (t.source.clone(), at)).collect::<Vec<_>>())
                .collect();
            scheduled.sort();
            expected.sort();
            prop_assert_eq!(scheduled, expected);
        }
    }
}
