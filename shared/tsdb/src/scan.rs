//! Everything in order of series, in bounded memory: for what is too large for a query.
//!
//! ```text
//! blocks (BlockScan each) ┐
//! segments (replayed)     ┴─► merge by series, in the blocks' order of series ─► visit
//! ```

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use model::labels::METRIC_NAME;
use model::matcher::matches_all;
use model::{Labels, MatchOp, Matcher, TimestampMs};
use storage::{HistogramColumn, Select, SelectHints, Series};

use crate::block::{BlockReader, BlockScan, compare};
use crate::error::TsdbError;
use crate::merge::merge_series;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::tombstones::Deletions;

/// Samples that all blocks together hold decoded, about.
const SAMPLES_HELD: usize = 4 << 20;
/// Samples that one block holds decoded at least.
const BATCH_MIN: usize = 1 << 12;

/// What to scan.
#[derive(Clone, Debug)]
pub struct ScanQuery {
    /// Alternatives: a series counts if it satisfies all matchers of any one set. Empty: every series counts.
    pub matcher_sets: Vec<Vec<Matcher>>,
    /// First instant, ms, inclusive.
    pub min_time: TimestampMs,
    /// Last instant, ms, inclusive.
    pub max_time: TimestampMs,
}

impl Default for ScanQuery {
    fn default() -> Self {
        Self { matcher_sets: vec![], min_time: TimestampMs::MIN, max_time: TimestampMs::MAX }
    }
}

impl ScanQuery {
    /// Whether a series counts.
    #[must_use]
    pub fn wants(&self, labels: &Labels) -> bool {
        let matches = |matchers: &Vec<Matcher>| matches_all(matchers, labels);
        self.matcher_sets.is_empty() || self.matcher_sets.iter().any(matches)
    }

    /// The first series that may count and the first after all that do, where the metric names are known.
    fn bounds(&self) -> (Option<Labels>, Option<Labels>) {
        let names = |set: &Vec<Matcher>| {
            let equal = |matcher: &&Matcher| matcher.name() == METRIC_NAME && matcher.op() == MatchOp::Equal;
            set.iter().find(equal).map(|matcher| matcher.value().to_owned())
        };
        let Some(names) = self.matcher_sets.iter().map(names).collect::<Option<Vec<String>>>() else {
            return (None, None);
        };
        let bound = |name: String| Labels::from_pairs([(METRIC_NAME, name)]);
        let (first, last) = (names.iter().min().cloned(), names.iter().max().cloned());
        // The least name after `last`: its own name and one byte, the least.
        (first.map(bound), last.map(|name| bound(format!("{name}\0"))))
    }

    /// The part of a series that is in the range.
    fn clip(&self, series: Series) -> Option<Series> {
        let within = |timestamps: &[TimestampMs]| {
            let start = timestamps.partition_point(|timestamp| *timestamp < self.min_time);
            let end = timestamps.partition_point(|timestamp| *timestamp <= self.max_time);
            start..end.max(start)
        };
        let (floats, histograms) = (within(&series.timestamps), within(&series.histograms.timestamps));
        if floats.is_empty() && histograms.is_empty() {
            return None;
        }
        if floats.len() == series.timestamps.len() && histograms.len() == series.histograms.timestamps.len() {
            return Some(series);
        }
        Some(Series {
            timestamps: series.timestamps.get(floats.clone())?.into(),
            values: series.values.get(floats)?.into(),
            histograms: HistogramColumn {
                timestamps: series.histograms.timestamps.get(histograms.clone())?.into(),
                values: series.histograms.values.get(histograms)?.into(),
            },
            start_timestamps: storage::StartTimestamps::default(),
            labels: series.labels,
        })
    }
}

impl Store {
    /// Visits every series that `query` wants, in the blocks' order ([`compare`]), each whole and once, as of one state
    /// of the store, until `visit` breaks. Memory: some batches of decoded samples, and the samples that are not in
    /// blocks yet.
    ///
    /// # Errors
    /// [`TsdbError`]. What was visited before stands.
    pub async fn scan(
        &self,
        query: &ScanQuery,
        visit: &mut (dyn FnMut(Series) -> ControlFlow<()> + Send),
    ) -> Result<(), TsdbError> {
        let snapshot = self.snapshot().await?;
        let manifest = &snapshot.committed.manifest;
        let mut readers = Vec::new();
        for meta in snapshot.blocks(query.min_time, query.max_time) {
            // Not kept open: a scan reads everything once.
            let reader = Arc::new(BlockReader::open(self.ports.retrying_objects(), meta).await?);
            readers.push((reader, self.deletions_of_block(manifest, &meta.id)?));
        }
        let (from, until) = query.bounds();
        let batch = (SAMPLES_HELD / readers.len().max(1)).max(BATCH_MIN);
        let mut inputs: Vec<Input<'_>> = Vec::with_capacity(readers.len() + 1);
        for (reader, deletions) in &readers {
            let scan = reader.scan_range(from.clone(), until.clone()).with_batch(batch);
            inputs.push(Input { scan: Some((scan, deletions)), batch: VecDeque::new() });
        }
        inputs.push(Input { scan: None, batch: self.series_of_segments(&snapshot, query).await?.into() });
        let mut merge = Merge { inputs, heads: BinaryHeap::new() };
        for input in 0..merge.inputs.len() {
            merge.advance(input, query).await?;
        }
        while let Some(parts) = merge.next(query).await? {
            let merged = merge_series(parts, &mut |_, _| {});
            if let Some(series) = merged.and_then(|series| query.clip(series))
                && visit(series).is_break()
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What is not in blocks yet, in the blocks' order.
    async fn series_of_segments(
        &self,
        snapshot: &Snapshot,
        query: &ScanQuery,
    ) -> Result<Vec<Series>, TsdbError> {
        let (min_time, max_time) = (query.min_time, query.max_time);
        let select = Select { matchers: vec![], min_time, max_time, hints: SelectHints::default() };
        let segments = self.segments_for(snapshot, std::slice::from_ref(&select)).await?;
        let mut series =
            self.replay(snapshot, &segments, min_time, max_time, u64::MAX, |labels| query.wants(labels))?;
        series.sort_by(|a, b| compare(&a.labels, &b.labels));
        Ok(series)
    }
}

/// Several inputs, read in step.
struct Merge<'a> {
    inputs: Vec<Input<'a>>,
    heads: BinaryHeap<Reverse<Head>>,
}

struct Input<'a> {
    /// `None` where all there is is in `batch`.
    scan: Option<(BlockScan<'a>, &'a Deletions)>,
    batch: VecDeque<Series>,
}

/// The next series of an input.
struct Head {
    labels: Labels,
    input: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.labels, &other.labels).then(self.input.cmp(&other.input))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl Merge<'_> {
    /// All inputs' parts of the next series, in the inputs' order, which is that of precedence.
    async fn next(&mut self, query: &ScanQuery) -> Result<Option<Vec<Series>>, TsdbError> {
        let Some(Reverse(first)) = self.heads.pop() else { return Ok(None) };
        let mut parts = Vec::new();
        self.take(first.input, &mut parts, query).await?;
        while let Some(Reverse(head)) = self.heads.peek()
            && head.labels == first.labels
        {
            let input = head.input;
            self.heads.pop();
            self.take(input, &mut parts, query).await?;
        }
        Ok(Some(parts))
    }

    async fn take(&mut self, at: usize, parts: &mut Vec<Series>, query: &ScanQuery) -> Result<(), TsdbError> {
        parts.extend(self.inputs.get_mut(at).and_then(|input| input.batch.pop_front()));
        self.advance(at, query).await
    }

    /// Makes an input's next wanted series known.
    async fn advance(&mut self, at: usize, query: &ScanQuery) -> Result<(), TsdbError> {
        let Some(input) = self.inputs.get_mut(at) else { return Ok(()) };
        loop {
            while input.batch.front().is_some_and(|series| !query.wants(&series.labels)) {
                input.batch.pop_front();
            }
            if let Some(series) = input.batch.front() {
                self.heads.push(Reverse(Head { labels: series.labels.clone(), input: at }));
                return Ok(());
            }
            let next = match &mut input.scan {
                Some((scan, deletions)) => scan.next().await?.map(|batch| deletions.hide(batch)),
                None => None,
            };
            let Some(batch) = next else {
                input.scan = None;
                return Ok(());
            };
            input.batch = batch.into();
        }
    }
}
