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
//!   a tick every sample before every derived marker; whether it is a float or a histogram does not matter.
//! - *Pushes.* A partial scrape is nobody's predecessor, ends nothing, and is no context.
//! - The marker of a series of histograms is a float, as every other: readers take it for the end of either kind.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use model::value::stale_nan;
use model::{Exemplar, FloatHistogram, Labels, Metadata, TimestampMs};
use storage::{Coverage, HistogramColumn, Series, SeriesExemplars, SourceId};

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
    /// Histograms by column, each with the number of floats that the column had before it.
    histograms: BTreeMap<u32, Vec<Placed>>,
    extras: Option<Extras>,
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

/// A histogram of a column, and how many floats the column had before it.
struct Placed {
    timestamp: TimestampMs,
    floats: usize,
    value: Arc<FloatHistogram>,
}

/// What is collected besides samples.
#[derive(Default)]
struct Extras {
    /// By column.
    exemplars: BTreeMap<u32, Vec<Exemplar>>,
    metadata: BTreeSet<Metadata>,
    /// The layouts whose metadata is in it.
    layouts: BTreeSet<LayoutId>,
}

/// All that some segments amount to.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// The series that have samples, sorted by labels.
    pub series: Vec<Series>,
    /// The series that have exemplars, sorted by labels; their exemplars in order of time, each once.
    pub exemplars: Vec<SeriesExemplars>,
    /// What sources have said, sorted, each answer once.
    pub metadata: Vec<Metadata>,
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
            histograms: BTreeMap::new(),
            extras: None,
            sources: BTreeMap::new(),
            tick: i64::MIN,
            markers: Vec::new(),
            samples: 0,
        }
    }

    /// Has it collect exemplars and metadata, too.
    pub(crate) fn with_extras(mut self) -> Self {
        self.extras = Some(Extras::default());
        self
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
    pub(crate) fn finish(self) -> Vec<Series> {
        self.finish_all().series
    }

    /// The series, and what else was to be collected: see [`Replay::with_extras`].
    pub(crate) fn finish_all(mut self) -> Replayed {
        self.flush_markers();
        let mut instants = Instants::default();
        let mut extras = self.extras.unwrap_or_default();
        let mut found = Replayed { metadata: extras.metadata.into_iter().collect(), ..Replayed::default() };
        for (labels, column) in self.columns_by_labels {
            if let Some(exemplars) = extras.exemplars.remove(&column) {
                found
                    .exemplars
                    .push(SeriesExemplars { labels: labels.clone(), exemplars: each_once(exemplars) });
            }
            let Some(samples) = self.columns.get_mut(column as usize) else { continue };
            let mut samples = std::mem::take(samples);
            let mut histograms = HistogramColumn::default();
            if let Some(placed) = self.histograms.remove(&column) {
                (samples, histograms) = merge_kinds(samples, placed);
            } else if samples.is_empty() {
                continue;
            }
            if samples.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
                // Stable: of equal timestamps the first pushed stays first.
                samples.sort_by_key(|(timestamp, _)| *timestamp);
                samples.dedup_by_key(|(timestamp, _)| *timestamp);
            }
            let values = samples.iter().map(|(_, value)| *value).collect();
            let floats = Series::floats(labels, instants.share(&samples), values);
            found.series.push(Series { histograms, ..floats });
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
        if !scrape.histograms.is_empty() {
            self.push_histograms(emit, scrape, &selected, &mut tracked);
        }
        if emit {
            self.push_extras(scrape, &selected);
        }
        if scrape.coverage == Coverage::Partial {
            return;
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

    fn push_histograms(
        &mut self,
        emit: bool,
        scrape: &DecodedScrape,
        selected: &Selected,
        tracked: &mut Vec<(u32, u32)>,
    ) {
        for histogram in &scrape.histograms {
            let Some(column) = selected.column(histogram.series) else { continue };
            if histogram.timestamp.is_none() {
                tracked.push((histogram.series, column));
            }
            if emit {
                let timestamp = histogram.timestamp.unwrap_or(scrape.timestamp);
                self.emit_histogram(column, timestamp, &histogram.value);
            }
        }
        tracked.sort_unstable();
    }

    fn push_extras(&mut self, scrape: &DecodedScrape, selected: &Selected) {
        let Some(extras) = &mut self.extras else { return };
        for (series, exemplar) in &scrape.exemplars {
            if let Some(column) = selected.column(*series)
                && self.rules.range.contains(&exemplar.timestamp)
                && !is_deleted(&self.hidden, self.tick, column, exemplar.timestamp)
            {
                extras.exemplars.entry(column).or_default().push(exemplar.clone());
            }
        }
        if extras.layouts.insert(scrape.layout_id) {
            extras.metadata.extend(scrape.layout.metadata.iter().cloned());
        }
    }

    fn emit_histogram(&mut self, column: u32, timestamp: TimestampMs, value: &Arc<FloatHistogram>) {
        if self.rules.range.contains(&timestamp) && !is_deleted(&self.hidden, self.tick, column, timestamp) {
            let floats = self.columns.get(column as usize).map_or(0, Vec::len);
            let value = Arc::clone(value);
            self.histograms.entry(column).or_default().push(Placed { timestamp, floats, value });
            self.samples += 1;
        }
    }

    fn emit(&mut self, column: u32, timestamp: TimestampMs, value: f64) {
        if self.rules.range.contains(&timestamp)
            && !is_deleted(&self.hidden, self.tick, column, timestamp)
            && let Some(samples) = self.columns.get_mut(column as usize)
        {
            samples.push((timestamp, value));
            self.samples += 1;
        }
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

impl Selected {
    /// The column of a series of the layout, if it is wanted.
    fn column(&self, series: u32) -> Option<u32> {
        let at = self.series.binary_search_by_key(&series, |(index, _)| *index).ok()?;
        self.series.get(at).map(|(_, column)| *column)
    }
}

/// Of the floats and histograms of one instant the one that was pushed first, in order of time.
fn merge_kinds(
    floats: Vec<(TimestampMs, f64)>,
    histograms: Vec<Placed>,
) -> (Vec<(TimestampMs, f64)>, HistogramColumn) {
    enum Kind {
        Float(f64),
        Histogram(Arc<FloatHistogram>),
    }
    let mut all: Vec<(TimestampMs, Kind)> = Vec::with_capacity(floats.len() + histograms.len());
    let mut histograms = histograms.into_iter().peekable();
    for (at, (timestamp, value)) in floats.into_iter().enumerate() {
        while let Some(placed) = histograms.next_if(|placed| placed.floats <= at) {
            all.push((placed.timestamp, Kind::Histogram(placed.value)));
        }
        all.push((timestamp, Kind::Float(value)));
    }
    all.extend(histograms.map(|placed| (placed.timestamp, Kind::Histogram(placed.value))));
    all.sort_by_key(|(timestamp, _)| *timestamp);
    all.dedup_by_key(|(timestamp, _)| *timestamp);
    let mut floats = Vec::new();
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    for (timestamp, kind) in all {
        match kind {
            Kind::Float(value) => floats.push((timestamp, value)),
            Kind::Histogram(value) => {
                timestamps.push(timestamp);
                values.push(value);
            }
        }
    }
    (floats, HistogramColumn { timestamps: timestamps.into(), values: values.into() })
}

/// A series' exemplars in order of time, each once: targets show the same one again and again.
fn each_once(mut exemplars: Vec<Exemplar>) -> Vec<Exemplar> {
    let bits = |exemplar: &Exemplar| exemplar.value.to_bits();
    exemplars.sort_by(|a, b| {
        a.timestamp
            .cmp(&b.timestamp)
            .then_with(|| bits(a).cmp(&bits(b)))
            .then_with(|| a.labels.cmp(&b.labels))
    });
    exemplars.dedup_by(|a, b| a.timestamp == b.timestamp && bits(a) == bits(b) && a.labels == b.labels);
    exemplars
}

/// Whether a column's sample, exemplar or marker of a tick is deleted.
fn is_deleted(
    hidden: &BTreeMap<u32, Vec<HiddenTicks>>,
    tick: i64,
    column: u32,
    timestamp: TimestampMs,
) -> bool {
    !hidden.is_empty()
        && hidden.get(&column).is_some_and(|hidden| {
            hidden.iter().any(|hidden| {
                tick < hidden.until_tick && (hidden.min_time..=hidden.max_time).contains(&timestamp)
            })
        })
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
