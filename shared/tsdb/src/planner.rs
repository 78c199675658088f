//! What to do with the blocks: a pure function of the manifest, the watermark, the time and the settings (S10).
//!
//! ```text
//! level 1   minutes of ticks, split at 2 h of sample time; may overlap anything
//! level 2   2 h, aligned      ┐ blocks of one window share no series, and there is none where a higher one is:
//! level 3   1 day, aligned    ┘ no overlap (S8)
//! ```
//!
//! A window is merged once it has closed and has more than one block. What arrives later is merged into the window's
//! blocks when it has waited long enough or there is enough of it. A merge takes blocks in the manifest's order, and
//! none whose time overlaps that of an earlier one that it leaves, so that precedence (see
//! [`wire::Manifest::blocks`]) survives; every merge lifts at least one block to its level and keeps the number of those
//! below from growing, so planning ends.
//!
//! A small merge is one job. A large one is recorded and done in parts, by ranges of series, by whoever comes: that
//! bounds memory and time whatever the input, lets compactors work side by side, and keeps what was done when one of
//! them is killed. While it is under way nothing else touches its window.

use std::collections::{BTreeMap, BTreeSet};

use model::time::align_down;
use wire::{BlockMeta, Manifest, MergePart, PendingMerge};

use crate::keys::{DAY_MS, HOUR_MS, Keys};
use crate::settings::Settings;
use crate::tombstones::covers;

/// Lengths of the windows of levels 2 and 3, ms. What a block of level 1 holds never crosses a window of level 2.
const WINDOWS_MS: [i64; 2] = [2 * HOUR_MS, DAY_MS];

/// The highest level.
pub(crate) const LEVEL_MAX: u32 = 3;

/// A block is written anew for its tombstones' sake where they meet one in so many of its series. Source: the 5 % of
/// `LeveledCompactor.plan` in Prometheus's `tsdb/compact.go`.
const TOMBSTONES_ONE_IN: u64 = 20;

/// A change of the set of blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// These have outlived the retention.
    Drop {
        /// Their ids.
        blocks: Vec<String>,
    },
    /// These become one.
    Merge {
        /// The level of the result.
        level: u32,
        /// Their ids, in the manifest's order.
        blocks: Vec<String>,
    },
    /// These are to become several with different series, each in a job of its own.
    Split {
        /// The level of the results.
        level: u32,
        /// Their ids, in the manifest's order.
        blocks: Vec<String>,
        /// How many at most.
        parts: usize,
    },
    /// A part of a merge that was split is to be done.
    Part {
        /// The merge's id.
        merge: String,
        /// Which of its parts.
        part: usize,
    },
}

/// The first instant of the window of `level` that `timestamp`, ms, lies in.
#[must_use]
pub(crate) fn window_of(level: u32, timestamp: i64) -> i64 {
    align_down(timestamp, window_ms(level))
}

/// What is due at `now`, ms, most urgent first. No two jobs take the same block, but for the parts of one merge.
#[must_use]
pub fn plan(manifest: &Manifest, watermark: i64, now: i64, settings: &Settings) -> Vec<Job> {
    let dropped = outlived(manifest, now, settings);
    let context = Context { manifest, watermark, now, settings };
    let mut due: Vec<(u32, Urgency, Job)> = Vec::new();
    let mut busy: BTreeSet<&str> = BTreeSet::new();
    for merge in &manifest.merges {
        busy.extend(merge.inputs.iter().map(String::as_str));
        if !merge.inputs.iter().any(|input| dropped.contains(input)) {
            let jobs = context.free_parts(merge);
            due.extend(jobs.map(|job| (merge.level, Urgency::Part, job)));
        }
    }
    let mut days: BTreeMap<i64, Vec<&BlockMeta>> = BTreeMap::new();
    for block in manifest.blocks.iter().filter(|block| !dropped.contains(&block.id)) {
        days.entry(window_of(3, block.min_time)).or_default().push(block);
    }
    for (day, blocks) in days {
        due.extend(context.day(day, &blocks, &busy));
    }
    // Stable: of one kind the oldest first.
    due.sort_by_key(|(level, urgency, _)| (*level, *urgency));
    let first = (!dropped.is_empty()).then_some(Job::Drop { blocks: dropped });
    first.into_iter().chain(due.into_iter().map(|(_, _, job)| job)).collect()
}

/// Which jobs of a level come first: what is quick, then what was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Merge,
    Part,
    Split,
}

struct Context<'a> {
    manifest: &'a Manifest,
    watermark: i64,
    now: i64,
    settings: &'a Settings,
}

impl Context<'_> {
    /// The parts of a merge that nobody is at, or somebody for so long that they must be dead.
    fn free_parts(&self, merge: &PendingMerge) -> impl Iterator<Item = Job> {
        let (now, lease) = (self.now, self.settings.part_lease_ms);
        merge.parts.iter().enumerate().filter_map(move |(part, state)| {
            let free = match state {
                MergePart::Open => true,
                MergePart::Claimed { at, .. } => now.saturating_sub(*at) >= lease,
                MergePart::Done(_) => false,
            };
            free.then(|| Job::Part { merge: merge.id.clone(), part })
        })
    }

    /// What is due among the blocks of a day, given in the manifest's order.
    fn day(&self, day: i64, blocks: &[&BlockMeta], busy: &BTreeSet<&str>) -> Vec<(u32, Urgency, Job)> {
        let is_busy = |block: &&BlockMeta| busy.contains(block.id.as_str());
        let mut jobs = Vec::new();
        let mut under_way = blocks.iter().any(is_busy);
        // A block of level 2 that came meanwhile, even of a window that had none, would overlap what the day becomes.
        let whole_day = self
            .manifest
            .merges
            .iter()
            .any(|merge| merge.level > 2 && blocks.iter().any(|block| merge.inputs.contains(&block.id)));
        if !whole_day && blocks.iter().all(|block| block.level < 3) {
            let mut windows: BTreeMap<i64, Vec<&BlockMeta>> = BTreeMap::new();
            for block in blocks {
                windows.entry(window_of(2, block.min_time)).or_default().push(block);
            }
            windows.retain(|_, blocks| !blocks.iter().any(is_busy));
            jobs.extend(windows.into_iter().filter_map(|(start, blocks)| self.merge(2, start, &blocks)));
            under_way |= !jobs.is_empty();
        }
        if !under_way {
            jobs.extend(self.merge(3, day, blocks));
        }
        if jobs.is_empty() {
            let unburdened = |block: &&&BlockMeta| !is_busy(block) && self.is_burdened(block);
            jobs.extend(blocks.iter().filter(unburdened).map(|block| self.job(block.level, &[block])));
        }
        jobs
    }

    /// The merge of a window's blocks, given in the manifest's order, if it is due.
    fn merge(&self, level: u32, start: i64, blocks: &[&BlockMeta]) -> Option<(u32, Urgency, Job)> {
        let end = start.saturating_add(window_ms(level));
        let delay = self.settings.merge_delay_ms[usize::from(level > 2)];
        let closed = end <= self.watermark && end.saturating_add(delay) <= self.now;
        let below = blocks.iter().filter(|block| block.level < level).count();
        if !closed || blocks.len() < 2 || below == 0 || !self.is_worth_it(level, blocks) {
            return None;
        }
        // All above level 1, or the result would overlap the rest of them; of level 1 the first. Those above level 1 that
        // share a window share no series: a reader of all of them has one of them open at a time.
        let above: BTreeSet<(u32, i64)> = blocks
            .iter()
            .filter(|block| block.level > 1)
            .map(|block| (block.level, window_of(block.level, block.min_time)))
            .collect();
        let least =
            2usize.saturating_sub(above.len()).max(usize::from(above.iter().all(|(of, _)| *of >= level)));
        let mut room = self.settings.merge_inputs_max.saturating_sub(above.len()).max(least);
        let taken = blocks.iter().filter(|block| {
            let fits = block.level > 1 || room > 0;
            room = room.saturating_sub(usize::from(block.level == 1));
            fits
        });
        Some(self.job(level, &taken.copied().collect::<Vec<_>>()))
    }

    /// Whether late blocks have waited long enough, or are enough, for the window's blocks to be written anew: the more
    /// of these there are, the longer.
    fn is_worth_it(&self, level: u32, blocks: &[&BlockMeta]) -> bool {
        let late = blocks.iter().filter(|block| block.level < level);
        let written = blocks.len() - late.clone().count();
        let Ok(times) = i64::try_from(written) else { return false };
        if times == 0 {
            return true;
        }
        let delay = self.settings.late_delay_ms.saturating_mul(times);
        let waited = |block: &&BlockMeta| {
            Keys::block_time(&block.id).is_none_or(|at| self.now.saturating_sub(at) >= delay)
        };
        late.clone().count() >= self.settings.late_blocks_max.saturating_mul(written)
            || late.clone().any(waited)
    }

    /// Whether a block is to be written anew for its tombstones' sake.
    fn is_burdened(&self, block: &BlockMeta) -> bool {
        let mut series = 0u64;
        for tombstone in self.manifest.tombstones.iter().filter(|tombstone| covers(tombstone, &block.id)) {
            let covered = tombstone.blocks.iter().find(|covered| covered.id == block.id);
            series = series.saturating_add(covered.map_or(0, |covered| covered.series));
            if tombstone.clean {
                return true;
            }
        }
        // As long as a window is open, merges come by anyway.
        let closed = window_of(3, block.min_time).saturating_add(DAY_MS + self.settings.merge_delay_ms[1]);
        series.saturating_mul(TOMBSTONES_ONE_IN) > block.series && closed <= self.now
    }

    /// What writes some blocks anew at a level: one job, or as many as its size asks for.
    fn job(&self, level: u32, taken: &[&BlockMeta]) -> (u32, Urgency, Job) {
        let blocks = taken.iter().map(|block| block.id.clone()).collect();
        let samples: u64 = taken.iter().map(|block| block.samples).sum();
        let by_samples = samples.div_ceil(self.settings.part_samples_max.max(1));
        let by_series = series_of(taken).div_ceil(self.settings.part_series_max.max(1));
        let parts = usize::try_from(by_samples.max(by_series)).unwrap_or(usize::MAX).min(PARTS_MAX);
        if parts <= 1 && samples <= self.settings.merge_samples_max {
            return (level, Urgency::Merge, Job::Merge { level, blocks });
        }
        (level, Urgency::Split, Job::Split { level, blocks, parts: parts.max(1) })
    }
}

/// A merge has no more parts than this: each is a few hundred bytes of the manifest.
const PARTS_MAX: usize = 256;

/// About how many series some blocks have together: those of one window above level 1 share none, other blocks all.
fn series_of(blocks: &[&BlockMeta]) -> u64 {
    let mut windows: BTreeMap<(u32, i64), u64> = BTreeMap::new();
    for block in blocks {
        if block.level > 1 {
            let window = windows.entry((block.level, window_of(block.level, block.min_time))).or_default();
            *window = window.saturating_add(block.series);
        } else {
            let most = windows.entry((1, 0)).or_default();
            *most = block.series.max(*most);
        }
    }
    windows.into_values().max().unwrap_or(0)
}

fn window_ms(level: u32) -> i64 {
    WINDOWS_MS[usize::from(level > 2)]
}

/// The blocks that retention drops, by age and then by size, oldest first.
fn outlived(manifest: &Manifest, now: i64, settings: &Settings) -> Vec<String> {
    let mut by_age: Vec<&BlockMeta> = manifest.blocks.iter().collect();
    by_age.sort_by_key(|block| block.max_time);
    let size = |block: &BlockMeta| block.files.iter().map(|file| file.len).sum::<u64>();
    let mut total: u64 = by_age.iter().map(|block| size(block)).sum();
    let oldest_kept = settings.retention_ms.map_or(i64::MIN, |retention| now.saturating_sub(retention));
    let bytes_max = settings.retention_bytes.unwrap_or(u64::MAX);
    let mut dropped = Vec::new();
    for block in by_age {
        if block.max_time > oldest_kept && total <= bytes_max {
            break;
        }
        total -= size(block);
        dropped.push(block.id.clone());
    }
    dropped
}

#[cfg(test)]
mod tests;
