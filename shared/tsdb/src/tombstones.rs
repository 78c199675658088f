//! Deletions: hidden from every reader as soon as they are committed, carried out when a block is written anew.
//!
//! ```text
//! delete_series ─► tombstone {matchers, range, the blocks of now, segments up to now} ─► commit
//!                       │ readers skip what it covers              │ level 1 leaves out what it covers of segments
//!                       ▼                                          ▼ merges leave out what it covers of their inputs
//!                  clean_tombstones: all covered blocks are written anew     ─► covers nothing more: it is gone
//! ```
//!
//! A tombstone covers what was there when it was committed: blocks by their ids, segments by their ticks. What comes
//! later is in other blocks or later ticks and is seen, whatever its timestamps are (P17). A block that is written anew
//! either leaves out what a tombstone covers, or is covered in place of its inputs; never both, never neither.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::matcher::matches_all;
use model::{Labels, MatchOp, Matcher, TimestampMs};
use storage::{LabelQuery, Series, SeriesExemplars};
use wire::{BlockMeta, Manifest, Tombstone, TombstoneBlock, WireMatcher};

use crate::block::BlockReader;
use crate::error::TsdbError;
use crate::head::{Commit, Committed};
use crate::store::Store;
use crate::together::{Work, together};

/// More deletions than this at a time are refused: every query looks at each.
const TOMBSTONES_MAX: usize = 1000;
/// A deletion that loses so many commits gives up.
const ATTEMPTS_MAX: usize = 32;

/// What a deletion found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Blocks that had matching series.
    pub blocks: u64,
    /// Matching series, counted once for each block.
    pub series: u64,
}

impl Store {
    /// Deletes the samples in `min_time..=max_time`, ms, of the series that satisfy all matchers of any one set, as far
    /// as they are there now. What is appended later stays, whatever its timestamps are.
    ///
    /// # Errors
    /// [`TsdbError::Invalid`] where a set is empty or too many deletions wait to be carried out; else any.
    pub async fn delete_series(
        &self,
        matcher_sets: &[Vec<Matcher>],
        min_time: TimestampMs,
        max_time: TimestampMs,
    ) -> Result<Deleted, TsdbError> {
        if matcher_sets.iter().any(Vec::is_empty) {
            return Err(TsdbError::Invalid("deletion of everything: a selector has no matcher".to_owned()));
        }
        if matcher_sets.is_empty() || min_time > max_time {
            return Ok(Deleted::default());
        }
        let id = self.ports.unique_id();
        let mut deleted = Deleted::default();
        for _ in 0..ATTEMPTS_MAX {
            let parent = self.load().await?;
            // A commit that was reported as lost may have been done, and others may have followed it.
            if parent.manifest.tombstones.iter().any(|tombstone| tombstone.id == id) {
                return Ok(deleted);
            }
            if parent.manifest.tombstones.len() >= TOMBSTONES_MAX {
                return Err(TsdbError::Invalid(format!(
                    "deletion: {TOMBSTONES_MAX} others are not carried out yet; clean tombstones first"
                )));
            }
            let blocks = match self.covered(&parent, matcher_sets, min_time, max_time).await {
                Err(error) if error.is_not_found() => continue,
                blocks => blocks?,
            };
            deleted = Deleted {
                blocks: blocks.len() as u64,
                series: blocks.iter().map(|block| block.series).sum(),
            };
            let now = self.ports.now();
            let mut manifest = self.successor(&parent);
            manifest.tombstones.push(Tombstone {
                id: id.clone(),
                matchers: matcher_sets.iter().map(|set| set.iter().map(written).collect()).collect(),
                min_time,
                max_time,
                created_at: now,
                until_tick: now.saturating_add(1).max(parent.head.watermark),
                blocks,
                clean: false,
            });
            if matches!(self.commit(&parent, manifest, parent.head.watermark).await?, Commit::Done) {
                return Ok(deleted);
            }
        }
        Err(TsdbError::Restarts)
    }

    /// Has every block that a deletion covers written anew by the compactor as soon as it can, without waiting for a
    /// merge. Gives the number of these blocks.
    ///
    /// # Errors
    /// [`TsdbError`].
    pub async fn clean_tombstones(&self) -> Result<u64, TsdbError> {
        for _ in 0..ATTEMPTS_MAX {
            let parent = self.load().await?;
            let covered: BTreeSet<&String> =
                parent.manifest.tombstones.iter().flat_map(|t| &t.blocks).map(|block| &block.id).collect();
            if parent.manifest.tombstones.iter().all(|tombstone| tombstone.clean) {
                return Ok(covered.len() as u64);
            }
            let mut manifest = self.successor(&parent);
            for tombstone in &mut manifest.tombstones {
                tombstone.clean = true;
            }
            if matches!(self.commit(&parent, manifest, parent.head.watermark).await?, Commit::Done) {
                return Ok(covered.len() as u64);
            }
        }
        Err(TsdbError::Restarts)
    }

    /// What of a block is deleted.
    pub(crate) fn deletions_of_block(&self, manifest: &Manifest, id: &str) -> Result<Deletions, TsdbError> {
        self.deletions(manifest.tombstones.iter().filter(|tombstone| covers(tombstone, id)))
    }

    /// What of a block is deleted by some tombstones.
    pub(crate) fn deletions_by(
        &self,
        manifest: &Manifest,
        tombstones: &[String],
        id: &str,
    ) -> Result<Deletions, TsdbError> {
        let named = |tombstone: &&Tombstone| tombstones.contains(&tombstone.id);
        self.deletions(manifest.tombstones.iter().filter(named).filter(|tombstone| covers(tombstone, id)))
    }

    /// What of the segments from the tick `from`, ms, on is deleted.
    pub(crate) fn deletions_of_segments(
        &self,
        manifest: &Manifest,
        from: i64,
    ) -> Result<Deletions, TsdbError> {
        self.deletions(manifest.tombstones.iter().filter(|tombstone| tombstone.until_tick > from))
    }

    fn deletions<'a>(&self, tombstones: impl Iterator<Item = &'a Tombstone>) -> Result<Deletions, TsdbError> {
        let compiled = tombstones.map(|tombstone| {
            if let Some(known) = self.caches.tombstones.get(&tombstone.id) {
                return Ok(known);
            }
            let deletion = Arc::new(Deletion::compile(tombstone)?);
            self.caches.tombstones.insert(tombstone.id.clone(), Arc::clone(&deletion), 1);
            Ok(deletion)
        });
        Ok(Deletions(compiled.collect::<Result<_, TsdbError>>()?))
    }

    /// The blocks that have series which a deletion meets.
    async fn covered(
        &self,
        parent: &Committed,
        matcher_sets: &[Vec<Matcher>],
        min_time: TimestampMs,
        max_time: TimestampMs,
    ) -> Result<Vec<TombstoneBlock>, TsdbError> {
        let within = |block: &&BlockMeta| block.min_time <= max_time && block.max_time > min_time;
        let mut works: Vec<Work<'_, TombstoneBlock>> = Vec::new();
        for meta in parent.manifest.blocks.iter().filter(within) {
            works.push(Box::pin(async move {
                let reader = self.open_block(meta).await?;
                let series = reader.series(matcher_sets, min_time, max_time).await?.len() as u64;
                Ok(TombstoneBlock { id: meta.id.clone(), series })
            }));
        }
        let mut found = together(works, self.settings.concurrency).await?;
        found.retain(|block| block.series > 0);
        Ok(found)
    }
}

/// Forgets what tombstones covered that is live no more, and those that cover nothing more.
pub(crate) fn settle(manifest: &mut Manifest, watermark: i64) {
    if manifest.tombstones.is_empty() {
        return;
    }
    let live: BTreeSet<&str> = manifest.blocks.iter().map(|block| block.id.as_str()).collect();
    for tombstone in &mut manifest.tombstones {
        tombstone.blocks.retain(|block| live.contains(block.id.as_str()));
    }
    manifest.tombstones.retain(|tombstone| !tombstone.blocks.is_empty() || tombstone.until_tick > watermark);
}

/// Makes tombstones that were not applied when `inputs` became `outputs` cover these instead (P17).
pub(crate) fn pass_on(
    tombstones: &mut [Tombstone],
    applied: &[String],
    inputs: &[String],
    outputs: &[BlockMeta],
) {
    for tombstone in tombstones {
        let before = tombstone.blocks.len();
        let met: u64 = tombstone
            .blocks
            .iter()
            .filter(|block| inputs.contains(&block.id))
            .map(|block| block.series)
            .max()
            .unwrap_or(0);
        tombstone.blocks.retain(|block| !inputs.contains(&block.id));
        if tombstone.blocks.len() < before && !applied.contains(&tombstone.id) {
            let within = |block: &&BlockMeta| {
                block.min_time <= tombstone.max_time && block.max_time > tombstone.min_time
            };
            let passed = outputs.iter().filter(within);
            tombstone.blocks.extend(
                passed.map(|block| TombstoneBlock { id: block.id.clone(), series: met.min(block.series) }),
            );
        }
    }
}

/// Whether a tombstone covers a block.
pub(crate) fn covers(tombstone: &Tombstone, id: &str) -> bool {
    tombstone.blocks.iter().any(|block| block.id == id)
}

/// A tombstone, ready to be matched.
#[derive(Debug)]
pub(crate) struct Deletion {
    sets: Vec<Vec<Matcher>>,
    min_time: TimestampMs,
    max_time: TimestampMs,
    until_tick: i64,
}

/// Samples of ticks before `until_tick`, with timestamps in `min_time..=max_time`, are deleted; ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HiddenTicks {
    pub until_tick: i64,
    pub min_time: TimestampMs,
    pub max_time: TimestampMs,
}

impl Deletion {
    fn compile(tombstone: &Tombstone) -> Result<Self, TsdbError> {
        let corrupt =
            |reason: String| TsdbError::Corrupt { what: format!("tombstone {}", tombstone.id), reason };
        let read = |matcher: &WireMatcher| {
            let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
            let op = ops.into_iter().find(|op| op.as_str() == matcher.op);
            let op = op.ok_or_else(|| corrupt(format!("unknown operator {:?}", matcher.op)))?;
            Matcher::new(op, &matcher.name, &matcher.value).map_err(|error| corrupt(error.to_string()))
        };
        let sets = tombstone.matchers.iter().map(|set| set.iter().map(read).collect());
        Ok(Self {
            sets: sets.collect::<Result<_, _>>()?,
            min_time: tombstone.min_time,
            max_time: tombstone.max_time,
            until_tick: tombstone.until_tick,
        })
    }

    fn matches(&self, labels: &Labels) -> bool {
        self.sets.iter().any(|set| matches_all(set, labels))
    }
}

/// What is deleted of one block, or of segments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deletions(Vec<Arc<Deletion>>);

impl Deletions {
    /// Whether nothing is.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The deleted times of a series, ms, inclusive, disjoint and in order.
    pub(crate) fn ranges(&self, labels: &Labels) -> Vec<(TimestampMs, TimestampMs)> {
        let matching = self.0.iter().filter(|deletion| deletion.matches(labels));
        let mut found: Vec<_> = matching.map(|deletion| (deletion.min_time, deletion.max_time)).collect();
        found.sort_unstable();
        let mut joined: Vec<(TimestampMs, TimestampMs)> = Vec::with_capacity(found.len());
        for (min, max) in found {
            match joined.last_mut() {
                Some(last) if min <= last.1.saturating_add(1) => last.1 = last.1.max(max),
                _ => joined.push((min, max)),
            }
        }
        joined
    }

    /// What is deleted of a series in segments.
    pub(crate) fn ticks(&self, labels: &Labels) -> Vec<HiddenTicks> {
        let matching = self.0.iter().filter(|deletion| deletion.matches(labels));
        let hidden = matching.map(|deletion| HiddenTicks {
            until_tick: deletion.until_tick,
            min_time: deletion.min_time,
            max_time: deletion.max_time,
        });
        hidden.collect()
    }

    /// The series without what is deleted, and what that was; each is `None` where it has no samples.
    pub(crate) fn split(&self, series: Series) -> (Option<Series>, Option<Series>) {
        let ranges = self.ranges(&series.labels);
        if ranges.is_empty() {
            return (Some(series), None);
        }
        split_series(&series, &ranges)
    }

    /// Some series of a block without what is deleted.
    pub(crate) fn hide(&self, series: Vec<Series>) -> Vec<Series> {
        if self.is_empty() {
            return series;
        }
        series.into_iter().filter_map(|series| self.split(series).0).collect()
    }

    /// The series of a block that answer a label query by a sample which is not deleted.
    pub(crate) async fn visible_series(
        &self,
        reader: &BlockReader,
        query: &LabelQuery,
    ) -> Result<BTreeSet<Labels>, TsdbError> {
        let whole = (query.min_time, query.max_time);
        let found = reader.series(&query.matcher_sets, whole.0, whole.1).await?;
        // Ranges that series are visible in are few: as many as combinations of deletions that meet one.
        let mut by_range: BTreeMap<(TimestampMs, TimestampMs), Vec<Labels>> = BTreeMap::new();
        for labels in found {
            for range in self.visible(&labels, whole.0, whole.1) {
                by_range.entry(range).or_default().push(labels.clone());
            }
        }
        let mut kept: BTreeSet<Labels> = by_range.remove(&whole).into_iter().flatten().collect();
        for ((min, max), labels) in by_range {
            let there: BTreeSet<Labels> =
                reader.series(&query.matcher_sets, min, max).await?.into_iter().collect();
            kept.extend(labels.into_iter().filter(|labels| there.contains(labels)));
        }
        Ok(kept)
    }

    /// A series' exemplars without what is deleted, and what that was.
    pub(crate) fn split_exemplars(&self, mut series: SeriesExemplars) -> (SeriesExemplars, SeriesExemplars) {
        let ranges = self.ranges(&series.labels);
        let (gone, kept) = std::mem::take(&mut series.exemplars)
            .into_iter()
            .partition(|exemplar| is_within(&ranges, exemplar.timestamp));
        let gone = SeriesExemplars { labels: series.labels.clone(), exemplars: gone };
        (SeriesExemplars { exemplars: kept, ..series }, gone)
    }

    /// Exemplars of a block without what is deleted.
    pub(crate) fn hide_exemplars(&self, found: Vec<SeriesExemplars>) -> Vec<SeriesExemplars> {
        if self.is_empty() {
            return found;
        }
        let kept = found.into_iter().map(|series| self.split_exemplars(series).0);
        kept.filter(|series| !series.exemplars.is_empty()).collect()
    }

    /// The times within `min..=max`, ms, at which a series may have samples that are not deleted.
    pub(crate) fn visible(
        &self,
        labels: &Labels,
        min: TimestampMs,
        max: TimestampMs,
    ) -> Vec<(TimestampMs, TimestampMs)> {
        let mut left = Vec::new();
        let mut from = Some(min);
        for (start, end) in self.ranges(labels) {
            let Some(at) = from else { break };
            if at < start && at <= max {
                left.push((at, (start - 1).min(max)));
            }
            from = end.checked_add(1).map(|after| after.max(at));
        }
        if let Some(at) = from
            && at <= max
        {
            left.push((at, max));
        }
        left
    }
}

/// Whether an instant is in one of some ranges that are disjoint and in order.
fn is_within(ranges: &[(TimestampMs, TimestampMs)], timestamp: TimestampMs) -> bool {
    let at = ranges.partition_point(|(_, max)| *max < timestamp);
    ranges.get(at).is_some_and(|(min, _)| *min <= timestamp)
}

fn split_series(series: &Series, ranges: &[(TimestampMs, TimestampMs)]) -> (Option<Series>, Option<Series>) {
    let side = |deleted: bool| {
        let wanted = |timestamp: &TimestampMs| is_within(ranges, *timestamp) == deleted;
        let floats = series.timestamps.iter().zip(series.values.iter()).filter(|(at, _)| wanted(at));
        let (timestamps, values): (Vec<_>, Vec<f64>) = floats.map(|(at, value)| (*at, *value)).unzip();
        let column = &series.histograms;
        let histograms = column.timestamps.iter().zip(column.values.iter()).filter(|(at, _)| wanted(at));
        let (instants, histograms): (Vec<_>, Vec<_>) =
            histograms.map(|(at, value)| (*at, Arc::clone(value))).unzip();
        let mut kept = Series::floats(series.labels.clone(), timestamps.into(), values.into());
        kept.histograms.timestamps = instants.into();
        kept.histograms.values = histograms.into();
        (kept.sample_count() > 0).then_some(kept)
    };
    (side(false), side(true))
}

fn written(matcher: &Matcher) -> WireMatcher {
    WireMatcher {
        name: matcher.name().to_owned(),
        op: matcher.op().as_str().to_owned(),
        value: matcher.value().to_owned(),
    }
}

#[cfg(test)]
mod tests;
