//! What to do with the blocks: a pure function of the manifest, the watermark, the time and the settings (S10).
//!
//! ```text
//! level 1   minutes of ticks, split at 2 h of sample time; may overlap anything
//! level 2   2 h, aligned      ┐ one block a window at most, and none where a higher one is: no overlap (S8)
//! level 3   1 day, aligned    ┘
//! ```
//!
//! A window is merged once it has closed and has more than one block. What arrives later is merged into the window's
//! block when it has waited long enough or there is enough of it. A merge takes blocks in the manifest's order, and
//! none whose time overlaps that of an earlier one that it leaves, so that precedence (see
//! [`wire::Manifest::blocks`]) survives; every merge makes at least two blocks one, so planning ends.

use std::collections::BTreeMap;

use model::time::align_down;
use wire::{BlockMeta, Manifest};

use crate::keys::{DAY_MS, HOUR_MS, Keys};
use crate::settings::Settings;

/// Lengths of the windows of levels 2 and 3, ms. What a block of level 1 holds never crosses a window of level 2.
const WINDOWS_MS: [i64; 2] = [2 * HOUR_MS, DAY_MS];

/// The highest level.
pub(crate) const LEVEL_MAX: u32 = 3;

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
}

/// The first instant of the window of `level` that `timestamp`, ms, lies in.
#[must_use]
pub(crate) fn window_of(level: u32, timestamp: i64) -> i64 {
    align_down(timestamp, window_ms(level))
}

/// What is due at `now`, ms, most urgent first. No two jobs take the same block.
#[must_use]
pub fn plan(manifest: &Manifest, watermark: i64, now: i64, settings: &Settings) -> Vec<Job> {
    let dropped = outlived(manifest, now, settings);
    let live: Vec<&BlockMeta> = manifest.blocks.iter().filter(|block| !dropped.contains(&block.id)).collect();
    let mut jobs = Vec::new();
    if !dropped.is_empty() {
        jobs.push(Job::Drop { blocks: dropped });
    }
    let mut days: BTreeMap<i64, Vec<&BlockMeta>> = BTreeMap::new();
    for block in live {
        days.entry(window_of(3, block.min_time)).or_default().push(block);
    }
    for (day, blocks) in days {
        let context = Context { watermark, now, settings };
        if blocks.iter().all(|block| block.level < 3) {
            let mut windows: BTreeMap<i64, Vec<&BlockMeta>> = BTreeMap::new();
            for block in &blocks {
                windows.entry(window_of(2, block.min_time)).or_default().push(block);
            }
            let merges: Vec<Job> =
                windows.into_iter().filter_map(|(start, blocks)| context.merge(2, start, &blocks)).collect();
            if !merges.is_empty() {
                jobs.extend(merges);
                continue;
            }
        }
        jobs.extend(context.merge(3, day, &blocks));
    }
    jobs
}

struct Context<'a> {
    watermark: i64,
    now: i64,
    settings: &'a Settings,
}

impl Context<'_> {
    /// The merge of a window's blocks, given in the manifest's order, if it is due.
    fn merge(&self, level: u32, start: i64, blocks: &[&BlockMeta]) -> Option<Job> {
        let end = start.saturating_add(window_ms(level));
        let delay = self.settings.merge_delay_ms[usize::from(level > 2)];
        let closed = end <= self.watermark && end.saturating_add(delay) <= self.now;
        if !closed || blocks.len() < 2 {
            return None;
        }
        let late = blocks.iter().filter(|block| block.level < level);
        if blocks.iter().any(|block| block.level >= level) {
            let waited = |block: &&&BlockMeta| {
                Keys::block_time(&block.id)
                    .is_none_or(|written| self.now.saturating_sub(written) >= self.settings.late_delay_ms)
            };
            if late.clone().count() < self.settings.late_blocks_max
                && !late.clone().any(|block| waited(&block))
            {
                return None;
            }
        }
        // All above level 1, or the result would overlap the rest of them; of level 1 the first.
        let above = blocks.iter().filter(|block| block.level > 1).count();
        let mut room = self.settings.merge_inputs_max.saturating_sub(above).max(2usize.saturating_sub(above));
        let taken = blocks.iter().filter(|block| {
            let fits = block.level > 1 || room > 0;
            room = room.saturating_sub(usize::from(block.level == 1));
            fits
        });
        Some(Job::Merge { level, blocks: taken.map(|block| block.id.clone()).collect() })
    }
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
