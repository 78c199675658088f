//! From segments to series, derived stale markers included. Queries and compaction use the same code, so that what a
//! query saw before a compaction is what it sees after (S5).
//!
//! Segments are pushed in order of (tick, shard). The rules:
//!
//! - *Predecessor.* The predecessor of a scrape is the scrape of the same source that was pushed last before it. It
//!   depends on earlier ticks only, so it is settled once the watermark has passed the scrape.
//! - *Staleness* (S13). A series that the predecessor had, without a timestamp of its own, and the scrape has not,
//!   ends: it gets a stale marker at the scrape's instant. Not where the ticks of the two are further apart than the
//!   staleness gap (lookback has ended the series long since), and not where time did not advance between them.
//! - *Context.* Segments before the first tick to emit only serve as predecessors. A marker belongs to the tick of
//!   the later scrape, so exactly one compaction emits it.
//! - *Duplicates* (S2). Of samples with the same series and timestamp the first by (tick, shard) counts, and within
//!   a tick every sample before every derived marker.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use model::value::stale_nan;
use model::{Labels, TimestampMs};
use storage::{Series, SourceId};

use crate::error::TsdbError;
use crate::keys::SegmentKey;
use crate::segments::Segment;
use crate::tombstones::{Deletions, HiddenTicks};
use crate::wal::{DecodedScrape, Layout, LayoutId};

/// Collects the samples of selected series.
pub(crate) struct Replay<F> {
    rules: Rules,
    select: F,
    layouts: BTreeMap<LayoutId, Arc<Selected>>,
    columns_by_labels: BTreeMap<Labels, u32>,
    columns: Vec<Vec<(TimestampMs, f64)>>,
    /// What is deleted of columns, where anything is.
    hidden: BTreeMap<u32, Vec<HiddenTicks>>,
    sources: BTreeMap<SourceId, Predecessor>,
    tick: i64,
    /// Markers of the current tick: they come after all its samples.
    markers: Vec<(u32, TimestampMs)>,
    samples: u64,
}

/// What to emit.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Segments of earlier ticks, ms, are context.
    pub emit_from: i64,
    /// Only samples of these instants, ms.
    pub range: RangeInclusive<TimestampMs>,
    /// See [`crate::Settings::staleness_gap_ms`].
    pub staleness_gap_ms: i64,
    /// More samples than this are too many.
    pub samples_max: u64,
    /// What is deleted.
    pub deletions: Deletions,
}

/// The series of a layout that are wanted.
struct Selected {
    /// (index in the layout, column), sorted by index.
    series: Vec<(u32, u32)>,
}

/// A source's last scrape.
struct Predecessor {
    key: SegmentKey,
    timestamp: TimestampMs,
    layout: LayoutId,
    /// What a marker will be due for: (index in the layout, column), sorted by index.
    tracked: Vec<(u32, u32)>,
}

impl<F: Fn(&Labels) -> bool> Replay<F> {
    /// A replay of the series that satisfy `select`.
    pub(crate) fn new(rules: Rules, select: F) -> Self {
        Self {
            rules,
            select,
            layouts: BTreeMap::new(),
            columns_by_labels: BTreeMap::new(),
            columns: Vec::new(),
            hidden: BTreeMap::new(),
            sources: BTreeMap::new(),
            tick: i64::MIN,
            markers: Vec::new(),
            samples: 0,
        }
    }

    /// Adds a segment; it comes after all that were added before.
    pub(crate) fn push(&mut self, segment: &Segment) -> Result<(), TsdbError> {
        if segment.key.tick != self.tick {
            self.flush_markers();
            self.tick = segment.key.tick;
        }
        for scrape in &segment.scrapes {
            self.push_scrape(&segment.key, scrape);
            if self.samples > self.rules.samples_max {
                return Err(TsdbError::TooManySamples);
            }
        }
        Ok(())
    }

    /// The segments, in order, that hold the last scrape of a source: the context of what comes after.
    pub(crate) fn context(&self) -> Vec<SegmentKey> {
        let keys: BTreeSet<&SegmentKey> = self.sources.values().map(|source| &source.key).collect();
        keys.into_iter().cloned().collect()
    }

    /// The series that have samples, sorted by labels.
    pub(crate) fn finish(mut self) -> Vec<Series> {
        self.flush_markers();
        let mut instants = Instants::default();
        let mut found = Vec::new();
        for (labels, column) in self.columns_by_labels {
            let Some(samples) = self.columns.get_mut(column as usize) else { continue };
            let mut samples = std::mem::take(samples);
            if samples.is_empty() {
                continue;
            }
            if samples.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
                // Stable: of equal timestamps the first pushed stays first.
                samples.sort_by_key(|(timestamp, _)| *timestamp);
                samples.dedup_by_key(|(timestamp, _)| *timestamp);
            }
            let values = samples.iter().map(|(_, value)| *value).collect();
            found.push(Series::floats(labels, instants.share(&samples), values));
        }
        found
    }

    fn push_scrape(&mut self, key: &SegmentKey, scrape: &DecodedScrape) {
        let emit = key.tick >= self.rules.emit_from;
        let selected = self.selected(scrape.layout_id, &scrape.layout);
        let mut tracked = Vec::with_capacity(selected.series.len().min(scrape.present.len()));
        let mut cursor = 0usize;
        for (series, column) in &selected.series {
            let Some(at) = find(&scrape.present, &mut cursor, *series) else { continue };
            let explicit = scrape.explicit.binary_search_by_key(&at, |(index, _)| *index as usize).ok();
            let explicit = explicit.and_then(|found| scrape.explicit.get(found)).map(|(_, time)| *time);
            if explicit.is_none() {
                tracked.push((*series, *column));
            }
            if emit && let Some(value) = scrape.values.get(at) {
                self.emit(*column, explicit.unwrap_or(scrape.timestamp), *value);
            }
        }
        let now =
            Predecessor { key: key.clone(), timestamp: scrape.timestamp, layout: scrape.layout_id, tracked };
        if emit && let Some(before) = self.sources.get(&scrape.source) {
            let apart = key.tick.saturating_sub(before.key.tick);
            if now.timestamp > before.timestamp && apart <= self.rules.staleness_gap_ms {
                let ended = ended(before, &now);
                self.markers.extend(ended.into_iter().map(|column| (column, now.timestamp)));
            }
        }
        self.sources.insert(scrape.source, now);
    }

    fn emit(&mut self, column: u32, timestamp: TimestampMs, value: f64) {
        if self.rules.range.contains(&timestamp)
            && !self.is_deleted(column, timestamp)
            && let Some(samples) = self.columns.get_mut(column as usize)
        {
            samples.push((timestamp, value));
            self.samples += 1;
        }
    }

    /// Whether a sample of the current tick is deleted.
    fn is_deleted(&self, column: u32, timestamp: TimestampMs) -> bool {
        !self.hidden.is_empty()
            && self.hidden.get(&column).is_some_and(|hidden| {
                hidden.iter().any(|hidden| {
                    self.tick < hidden.until_tick && (hidden.min_time..=hidden.max_time).contains(&timestamp)
                })
            })
    }

    fn flush_markers(&mut self) {
        for (column, timestamp) in std::mem::take(&mut self.markers) {
            self.emit(column, timestamp, stale_nan());
        }
    }

    fn selected(&mut self, id: LayoutId, layout: &Layout) -> Arc<Selected> {
        if let Some(selected) = self.layouts.get(&id) {
            return Arc::clone(selected);
        }
        let mut series = Vec::new();
        for (index, labels) in (0u32..).zip(&layout.series) {
            if let Some(column) = self.columns_by_labels.get(labels) {
                series.push((index, *column));
            } else if (self.select)(labels) {
                let column = u32::try_from(self.columns.len()).unwrap_or(u32::MAX);
                self.columns.push(Vec::new());
                let hidden = self.rules.deletions.ticks(labels);
                if !hidden.is_empty() {
                    self.hidden.insert(column, hidden);
                }
                self.columns_by_labels.insert(labels.clone(), column);
                series.push((index, column));
            }
        }
        let selected = Arc::new(Selected { series });
        self.layouts.insert(id, Arc::clone(&selected));
        selected
    }
}

/// The place of `series` in `present`, which is sorted, not before `cursor`; the cursor moves on behind it.
fn find(present: &[u32], cursor: &mut usize, series: u32) -> Option<usize> {
    let rest = present.get(*cursor..)?;
    // Most often all series of a layout are there, or the next one wanted is the next one there.
    let skip = match rest.first() {
        Some(first) if *first >= series => 0,
        _ => rest.partition_point(|candidate| *candidate < series),
    };
    *cursor += skip;
    (present.get(*cursor) == Some(&series)).then(|| {
        *cursor += 1;
        *cursor - 1
    })
}

/// The columns that are tracked before and not now.
fn ended(before: &Predecessor, now: &Predecessor) -> Vec<u32> {
    if before.layout == now.layout {
        return difference(&before.tracked, &now.tracked, |(series, _)| *series);
    }
    let by_column = |tracked: &[(u32, u32)]| {
        let mut tracked = tracked.to_vec();
        tracked.sort_unstable_by_key(|(_, column)| *column);
        tracked
    };
    difference(&by_column(&before.tracked), &by_column(&now.tracked), |(_, column)| *column)
}

/// The columns of `before` whose `order`, by which both are sorted, is not in `now`.
fn difference(before: &[(u32, u32)], now: &[(u32, u32)], order: impl Fn(&(u32, u32)) -> u32) -> Vec<u32> {
    let mut now = now.iter().map(&order).peekable();
    let mut gone = Vec::new();
    for entry in before {
        let wanted = order(entry);
        while now.next_if(|candidate| *candidate < wanted).is_some() {}
        if now.peek() != Some(&wanted) {
            gone.push(entry.1);
        }
    }
    gone
}

/// Gives series with the same instants the same allocation.
#[derive(Default)]
struct Instants {
    by_hash: BTreeMap<u64, Arc<[TimestampMs]>>,
}

impl Instants {
    fn share(&mut self, samples: &[(TimestampMs, f64)]) -> Arc<[TimestampMs]> {
        let hash = samples.iter().fold(samples.len() as u64, |hash, (timestamp, _)| {
            (hash.rotate_left(5) ^ timestamp.cast_unsigned()).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        let fresh = || samples.iter().map(|(timestamp, _)| *timestamp).collect::<Arc<[TimestampMs]>>();
        let known = self.by_hash.entry(hash).or_insert_with(fresh);
        let same =
            known.len() == samples.len() && known.iter().zip(samples).all(|(known, (time, _))| known == time);
        if same { Arc::clone(known) } else { fresh() }
    }
}

#[cfg(test)]
mod tests;
