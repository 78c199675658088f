//! When which targets are scraped together.
//!
//! A target with offset `o` and interval `i` is due at every `t ≡ o (mod i)`. Targets of equal interval are packed, in
//! order of their offsets, into batches; a batch has one tick an interval, the instant at which its first target is
//! due, and its others are due within the spread after that.
//!
//! # Invariants
//! - Batches depend on the snapshot and the settings alone, not on the window. So over consecutive windows every due
//!   (target, instant) is planned exactly once, and windows that overlap plan the same slots where they do.
//! - A tick and a shard name one batch. Equal input gives equal slots. Who plans a window again after a crash must do it
//!   from the same snapshot and settings, for the segments of the first attempt bear these names.

use std::collections::BTreeMap;

use wire::{ScrapeTarget, ScrapeTask, TargetSnapshot, WireLabels};

/// How targets are packed.
#[derive(Clone, Debug, PartialEq)]
pub struct PackSettings {
    /// How much later than its batch's tick a target may be due, ms.
    pub spread_ms_max: u64,
    /// Targets in a batch.
    pub targets_max: usize,
    /// Series in a batch, by measurement; a target that has more is alone.
    pub series_max: u64,
    /// Measured series by source.
    pub series: BTreeMap<String, u64>,
    /// Series of a target that is not measured yet.
    pub series_assumed: u64,
    /// Bytes of a batch's targets as JSON, so that a task fits a queue's message.
    pub bytes_max: usize,
}

impl Default for PackSettings {
    fn default() -> Self {
        Self {
            spread_ms_max: 1_000,
            targets_max: 500,
            series_max: 40_000,
            series: BTreeMap::new(),
            series_assumed: 1_000,
            // Of the 256 KiB of a message the rest is left to the task's other fields.
            bytes_max: 192 << 10,
        }
    }
}

/// A batch at one of its ticks.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// When it is due, ms: the task's tick.
    pub due_ms: i64,
    /// The task: what discovery knew of the targets is left out, and nothing is `gone` yet.
    pub task: ScrapeTask,
}

/// The slots whose tick is in `from_ms <= t < until_ms`, sorted by tick and shard.
#[must_use]
pub fn schedule(
    snapshot: &TargetSnapshot,
    from_ms: i64,
    until_ms: i64,
    settings: &PackSettings,
) -> Vec<Slot> {
    let mut due: BTreeMap<i64, Vec<&Batch>> = BTreeMap::new();
    let batches = batches(snapshot, settings);
    for batch in &batches {
        for tick in batch.ticks(from_ms, until_ms) {
            due.entry(tick).or_default().push(batch);
        }
    }
    let slot = |tick: i64, shard: usize, batch: &Batch| Slot {
        due_ms: tick,
        task: ScrapeTask {
            config: snapshot.config.clone(),
            tick,
            // There are fewer targets than u32 can count.
            shard: u32::try_from(shard).unwrap_or(u32::MAX),
            targets: batch.targets.clone(),
            gone: Vec::new(),
        },
    };
    due.iter()
        .flat_map(|(tick, batches)| {
            batches.iter().enumerate().map(move |(shard, batch)| slot(*tick, shard, batch))
        })
        .collect()
}

/// Targets that are scraped together.
struct Batch {
    interval_ms: i64,
    offset_ms: i64,
    targets: Vec<ScrapeTarget>,
}

impl Batch {
    /// The instants `≡ offset (mod interval)` in `from_ms <= t < until_ms`.
    fn ticks(&self, from_ms: i64, until_ms: i64) -> impl Iterator<Item = i64> + use<> {
        let interval = self.interval_ms;
        let first = self.offset_ms.saturating_sub(from_ms).rem_euclid(interval).saturating_add(from_ms);
        std::iter::successors(Some(first), move |tick| tick.checked_add(interval))
            .take_while(move |tick| *tick < until_ms)
    }
}

/// All batches, in order of interval, offset and source.
fn batches(snapshot: &TargetSnapshot, settings: &PackSettings) -> Vec<Batch> {
    let mut targets: Vec<&ScrapeTarget> = snapshot.pools.iter().flat_map(|pool| &pool.active).collect();
    targets.sort_by_key(|target| (target.interval_ms, target.offset_ms, &target.source));
    targets.dedup_by_key(|target| (target.interval_ms, target.offset_ms, &target.source));
    let mut batches: Vec<Batch> = Vec::new();
    let mut load = Load::default();
    for target in targets {
        let interval_ms = i64::try_from(target.interval_ms).unwrap_or(i64::MAX).max(1);
        let offset_ms = i64::try_from(target.offset_ms).unwrap_or(i64::MAX).rem_euclid(interval_ms);
        let target = ScrapeTarget { discovered: WireLabels::default(), ..target.clone() };
        let added = Load::of(&target, settings);
        let open = batches.last_mut().filter(|batch| {
            batch.interval_ms == interval_ms
                && offset_ms.abs_diff(batch.offset_ms) < settings.spread_ms_max.max(1)
                && load.plus(added).fits(settings)
        });
        if let Some(batch) = open {
            load = load.plus(added);
            batch.targets.push(target);
        } else {
            load = added;
            batches.push(Batch { interval_ms, offset_ms, targets: vec![target] });
        }
    }
    batches
}

/// What a batch holds.
#[derive(Clone, Copy, Default)]
struct Load {
    targets: usize,
    series: u64,
    bytes: usize,
}

impl Load {
    fn of(target: &ScrapeTarget, settings: &PackSettings) -> Self {
        let series = settings.series.get(&target.source).copied().unwrap_or(settings.series_assumed);
        Self { targets: 1, series, bytes: wire::encode(target).len() + 1 }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            targets: self.targets + other.targets,
            series: self.series.saturating_add(other.series),
            bytes: self.bytes + other.bytes,
        }
    }

    fn fits(self, settings: &PackSettings) -> bool {
        self.targets <= settings.targets_max
            && self.series <= settings.series_max
            && self.bytes <= settings.bytes_max
    }
}

#[cfg(test)]
mod tests;
