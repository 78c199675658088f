//! When which targets are scraped together.
//!
//! A target with offset `o` and interval `i` is due at every `t ≡ o (mod i)`. Time is cut into cells of the settings'
//! spread, which is wider for very many series; targets of equal interval that are due in the same cell make a batch, or several where they are too many. A
//! batch's tick is the instant at which its first target is due.
//!
//! A function that waits is paid for while it does: where the settings say so, the targets of a batch are all due at its tick,
//! and cells are wide, so that few invocations scrape many targets without waiting.
//!
//! # Invariants
//! - Each due (target, instant) is planned by the window that holds the instant, and by no other, even if the targets
//!   change from window to window: over consecutive windows exactly once.
//! - A tick and a shard name one batch, and ticks lie in their window.
//! - Equal input gives equal slots; and where windows begin at multiples of the spread, what is planned does not depend on
//!   how they are cut. Who plans a window again after a crash must do it from the same snapshot and settings, for the
//!   segments of the first attempt bear these names.

use std::collections::BTreeMap;

use wire::{ScrapeTarget, ScrapeTask, TargetSnapshot, WireLabels};

/// How targets are packed.
#[derive(Clone, Debug, PartialEq)]
pub struct PackSettings {
    /// Length of a cell: by less than this a target may be due later than its batch's tick, ms.
    pub spread_ms_max: u64,
    /// The same for the targets of an interval that have together more series than a batch takes. What a million series
    /// cost depends on the number of segments alone, which are one or more a cell; and targets in one batch wait for the
    /// slowest of them, so that few targets are better spread finely.
    pub spread_many_ms_max: u64,
    /// Whether all targets of a batch are scraped at its tick, not each at its own instant of the cell.
    pub at_once: bool,
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
            // Divides the usual intervals, so that a target meets the same others each time.
            spread_many_ms_max: 2_500,
            at_once: false,
            targets_max: 500,
            series_max: 200_000,
            series: BTreeMap::new(),
            series_assumed: 1_000,
            // Of the 256 KiB of a message the rest is left to the task's other fields.
            bytes_max: 192 << 10,
        }
    }
}

impl PackSettings {
    /// Settings for functions that are paid by invocation and by time: targets of an interval make one batch for each cell
    /// of 15 s, or of 2.5 s where they are very many, and are scraped at once. What a small deployment costs is the number of
    /// its invocations.
    #[must_use]
    pub fn for_functions() -> Self {
        Self { spread_ms_max: 15_000, at_once: true, ..Self::default() }
    }
}

/// A batch at one of its ticks.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// When its first target is due, ms: the task's tick.
    pub due: i64,
    /// The task: what discovery knew of the targets is left out, and nothing is `gone` yet.
    pub task: ScrapeTask,
}

/// Every scrape that is due in `from <= t < until`, ms, in batches, sorted by tick and shard.
#[must_use]
pub fn schedule(snapshot: &TargetSnapshot, from: i64, until: i64, settings: &PackSettings) -> Vec<Slot> {
    let targets: Vec<Weighed> = snapshot
        .pools
        .iter()
        .flat_map(|pool| &pool.active)
        .map(|target| Weighed::new(target, settings))
        .collect();
    let mut series: BTreeMap<i64, u64> = BTreeMap::new();
    for target in &targets {
        let sum = series.entry(target.interval_ms).or_default();
        *sum = sum.saturating_add(target.load.series);
    }
    let mut cells: BTreeMap<(i64, i64), Vec<Due<'_>>> = BTreeMap::new();
    for target in &targets {
        // A cell is no longer than the interval, so a target is due in it once at most.
        let many = series.get(&target.interval_ms).is_some_and(|sum| *sum > settings.series_max);
        let spread = if many { settings.spread_many_ms_max } else { settings.spread_ms_max };
        let length = i64::try_from(spread).unwrap_or(i64::MAX).clamp(1, target.interval_ms);
        for at in target.instants(from, until) {
            let cell = (target.interval_ms, at.div_euclid(length));
            cells.entry(cell).or_default().push(Due { at, target });
        }
    }
    let mut batches: Vec<Vec<Due<'_>>> = Vec::new();
    for mut cell in cells.into_values() {
        cell.sort_by(|a, b| (a.at, &a.target.target.source).cmp(&(b.at, &b.target.target.source)));
        batches.extend(split(cell, settings));
    }
    // The sort is stable: batches of one tick stay in order of interval and source.
    batches.sort_by_key(|batch| batch.first().map(|due| due.at));
    slots(batches, &snapshot.config, settings.at_once)
}

/// How many scrapes [`schedule`] plans for the window: for telling what was missed where nothing was planned.
#[must_use]
pub fn scrapes_due(snapshot: &TargetSnapshot, from: i64, until: i64) -> u64 {
    let due = |target: &ScrapeTarget| {
        let interval = interval_ms(target);
        let span = until.saturating_sub(from.saturating_add(wait_ms(target, from)));
        if span <= 0 { 0 } else { ((span - 1) / interval + 1).unsigned_abs() }
    };
    snapshot.pools.iter().flat_map(|pool| &pool.active).map(due).sum()
}

/// A target, and what it adds to a batch.
struct Weighed {
    target: ScrapeTarget,
    interval_ms: i64,
    load: Load,
}

/// A target at one of its instants.
#[derive(Clone, Copy)]
struct Due<'t> {
    at: i64,
    target: &'t Weighed,
}

impl Weighed {
    fn new(target: &ScrapeTarget, settings: &PackSettings) -> Self {
        let target = ScrapeTarget { discovered: WireLabels::default(), ..target.clone() };
        let interval_ms = interval_ms(&target);
        let series = settings.series.get(&target.source).copied().unwrap_or(settings.series_assumed);
        // One byte for the comma between targets.
        let load = Load { targets: 1, series, bytes: wire::encode(&target).len() + 1 };
        Self { target, interval_ms, load }
    }

    /// The instants `≡ offset (mod interval)` in `from <= t < until`.
    fn instants(&self, from: i64, until: i64) -> impl Iterator<Item = i64> + use<> {
        let interval = self.interval_ms;
        std::iter::successors(from.checked_add(wait_ms(&self.target, from)), move |at| {
            at.checked_add(interval)
        })
        .take_while(move |at| *at < until)
    }
}

fn interval_ms(target: &ScrapeTarget) -> i64 {
    i64::try_from(target.interval_ms).unwrap_or(i64::MAX).max(1)
}

/// From `from` to the target's first instant at or after it, ms.
fn wait_ms(target: &ScrapeTarget, from: i64) -> i64 {
    let offset = i64::try_from(target.offset_ms).unwrap_or(0);
    offset.saturating_sub(from).rem_euclid(interval_ms(target))
}

/// A cell's scrapes in as few batches as the limits allow, in order.
fn split<'t>(cell: Vec<Due<'t>>, settings: &PackSettings) -> Vec<Vec<Due<'t>>> {
    let mut batches: Vec<Vec<Due<'t>>> = Vec::new();
    let mut load = Load::default();
    for due in cell {
        let more = load.plus(due.target.load);
        match batches.last_mut() {
            Some(batch) if more.fits(settings) => {
                load = more;
                batch.push(due);
            }
            _ => {
                load = due.target.load;
                batches.push(vec![due]);
            }
        }
    }
    batches
}

fn slots(batches: Vec<Vec<Due<'_>>>, config: &str, at_once: bool) -> Vec<Slot> {
    let mut slots: Vec<Slot> = Vec::with_capacity(batches.len());
    for batch in batches {
        let Some(tick) = batch.first().map(|due| due.at) else { continue };
        let shard = match slots.last() {
            Some(before) if before.due == tick => before.task.shard.saturating_add(1),
            _ => 0,
        };
        let target = |due: Due<'_>| {
            let mut target = due.target.target.clone();
            if at_once {
                target.offset_ms = tick.rem_euclid(due.target.interval_ms).unsigned_abs();
            }
            target
        };
        let targets = batch.into_iter().map(target).collect();
        let task = ScrapeTask { config: config.to_owned(), tick, shard, targets, gone: Vec::new() };
        slots.push(Slot { due: tick, task });
    }
    slots
}

/// What a batch holds.
#[derive(Clone, Copy, Default)]
struct Load {
    targets: usize,
    series: u64,
    bytes: usize,
}

impl Load {
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
