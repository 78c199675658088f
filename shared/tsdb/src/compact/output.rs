//! Blocks as a compaction writes them: files are stored as they are finished, so that a block's output is never all in
//! memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::{Labels, Metadata, TimestampMs};
use storage::{HistogramColumn, Series, SeriesExemplars};
use wire::{BlockFile, BlockMeta, SeriesRange, WireLabels};
use xxhash_rust::xxh3::xxh3_64;

use crate::block::{BlockOptions, BlockStats, BlockWriter, WrittenBlock, compare, object_key};
use crate::error::TsdbError;
use crate::planner::{LEVEL_MAX, window_of};
use crate::replay::Replayed;
use crate::store::Store;
use crate::together::{Work, together};

/// zstd level of blocks that are merged no more.
const ZSTD_LEVEL_LAST: i32 = 9;

/// How a block of a level is written.
fn options(level: u32) -> BlockOptions {
    let options = BlockOptions::default();
    if level < LEVEL_MAX { options } else { BlockOptions { zstd_level: ZSTD_LEVEL_LAST, ..options } }
}

/// A block that is being written. Until a manifest names it, it is nothing.
pub(super) struct Output<'a> {
    store: &'a Store,
    id: String,
    level: u32,
    parents: Vec<String>,
    writer: BlockWriter,
    range: Option<(Labels, Labels)>,
    files: Vec<BlockFile>,
}

impl<'a> Output<'a> {
    /// A block with an id that no other attempt has (P8).
    pub(super) fn new(store: &'a Store, id: String, level: u32, parents: Vec<String>) -> Self {
        let writer = BlockWriter::new(options(level));
        Self { store, id, level, parents, writer, range: None, files: Vec::new() }
    }

    /// Adds the next series.
    pub(super) async fn push(&mut self, series: &Series) -> Result<(), TsdbError> {
        self.push_unstored(series)?;
        let finished = self.writer.take_files();
        self.store_files(finished).await
    }

    /// Adds exemplars of a series that has been added or not.
    pub(super) fn push_exemplars(&mut self, exemplars: &SeriesExemplars) -> Result<(), TsdbError> {
        if !exemplars.exemplars.is_empty() {
            self.cover(&exemplars.labels);
            self.writer.push_exemplars(exemplars)?;
        }
        Ok(())
    }

    /// Adds what is known of a metric family. A block with nothing else is none.
    pub(super) fn push_metadata(&mut self, metadata: &Metadata) {
        self.writer.push_metadata(metadata);
    }

    fn cover(&mut self, labels: &Labels) {
        match &mut self.range {
            Some((first, _)) if compare(labels, first).is_lt() => first.clone_from(labels),
            Some((_, last)) if compare(last, labels).is_lt() => last.clone_from(labels),
            Some(_) => {}
            None => self.range = Some((labels.clone(), labels.clone())),
        }
    }

    fn push_unstored(&mut self, series: &Series) -> Result<(), TsdbError> {
        if series.sample_count() == 0 {
            return Ok(());
        }
        self.writer.push(series)?;
        self.cover(&series.labels);
        Ok(())
    }

    /// The block, stored; `None` where it has no samples.
    pub(super) async fn finish(mut self) -> Result<Option<BlockMeta>, TsdbError> {
        let writer = std::mem::replace(&mut self.writer, BlockWriter::new(options(self.level)));
        let written = writer.finish()?;
        let stats = written.stats;
        let Some((first, last)) = self.range.take() else { return Ok(None) };
        self.store_files(written.files).await?;
        let range = SeriesRange { first: WireLabels::from(&first), last: WireLabels::from(&last) };
        Ok(Some(BlockMeta { series_range: Some(range), ..self.meta(&stats) }))
    }

    fn meta(self, stats: &BlockStats) -> BlockMeta {
        BlockMeta {
            id: self.id,
            level: self.level,
            min_time: stats.min_time,
            max_time: stats.max_time.saturating_add(1),
            samples: stats.samples,
            series: stats.series,
            set_hash: format!("{:032x}", stats.set_hash),
            files: self.files,
            parents: self.parents,
            series_range: None,
        }
    }

    async fn store_files(&mut self, files: Vec<(String, Bytes)>) -> Result<(), TsdbError> {
        if files.is_empty() {
            return Ok(());
        }
        let (store, id) = (self.store, &self.id);
        let mut works: Vec<Work<'_, BlockFile>> = Vec::with_capacity(files.len());
        for (name, body) in files {
            works.push(Box::pin(async move {
                store.ports.create_object(&object_key(id, &name), &body).await?;
                let checksum = format!("{:016x}", xxh3_64(&body));
                Ok(BlockFile { name, len: body.len() as u64, checksum })
            }));
        }
        let stored = together(works, store.settings.concurrency).await?;
        self.files.extend(stored);
        Ok(())
    }
}

/// Bytes of a block's files.
pub(super) fn bytes_of(block: &BlockMeta) -> u64 {
    block.files.iter().map(|file| file.len).sum()
}

impl Store {
    /// Stores what segments amount to as one block of level 1 for each window of level 2 that it has anything in: samples
    /// that come late, with timestamps of any age, land where they belong.
    pub(super) async fn store_by_window(&self, mut replayed: Replayed) -> Result<Vec<BlockMeta>, TsdbError> {
        let mut outputs: BTreeMap<i64, Output<'_>> = BTreeMap::new();
        let output = || {
            let id = self.keys.block_id(&self.ports.unique_id());
            Output::new(self, id, 1, vec![])
        };
        replayed.series.sort_by(|a, b| compare(&a.labels, &b.labels));
        for series in &replayed.series {
            for (window, part) in by_window(series) {
                outputs.entry(window).or_insert_with(output).push(&part).await?;
            }
        }
        for series in &replayed.exemplars {
            for exemplars in
                series.exemplars.chunk_by(|a, b| window_of(2, a.timestamp) == window_of(2, b.timestamp))
            {
                let Some(first) = exemplars.first() else { continue };
                let part = SeriesExemplars { labels: series.labels.clone(), exemplars: exemplars.to_vec() };
                let window = window_of(2, first.timestamp);
                outputs.entry(window).or_insert_with(output).push_exemplars(&part)?;
            }
        }
        let mut metas = Vec::with_capacity(outputs.len());
        for mut output in outputs.into_values() {
            for metadata in &replayed.metadata {
                output.push_metadata(metadata);
            }
            metas.extend(output.finish().await?);
        }
        Ok(metas)
    }

    /// Stores a block that was written elsewhere, under an id of its own (P8); until a manifest names it, it is nothing.
    pub(crate) async fn store_block(
        &self,
        block: WrittenBlock,
        level: u32,
        parents: Vec<String>,
    ) -> Result<BlockMeta, TsdbError> {
        let id = self.keys.block_id(&self.ports.unique_id());
        let mut output = Output::new(self, id, level, parents);
        output.store_files(block.files).await?;
        Ok(BlockMeta { series_range: None, ..output.meta(&block.stats) })
    }
}

/// A series cut at the windows of level 2.
fn by_window(series: &Series) -> Vec<(i64, Series)> {
    let histograms = &series.histograms;
    let mut at = (0, 0);
    let mut parts = Vec::new();
    loop {
        let (floats, rest) = (series.timestamps.get(at.0..), histograms.timestamps.get(at.1..));
        let (floats, rest) = (floats.unwrap_or_default(), rest.unwrap_or_default());
        let first = [floats.first(), rest.first()].into_iter().flatten().min();
        let Some(window) = first.map(|first| window_of(2, *first)) else { return parts };
        let within = |timestamp: &TimestampMs| window_of(2, *timestamp) == window;
        let end = (at.0 + floats.partition_point(within), at.1 + rest.partition_point(within));
        if end == (series.timestamps.len(), histograms.timestamps.len()) && at == (0, 0) {
            return vec![(window, series.clone())];
        }
        let mut part = Series::floats(
            series.labels.clone(),
            series.timestamps.get(at.0..end.0).unwrap_or_default().into(),
            series.values.get(at.0..end.0).unwrap_or_default().into(),
        );
        part.histograms = HistogramColumn {
            timestamps: histograms.timestamps.get(at.1..end.1).unwrap_or_default().into(),
            values: histograms.values.get(at.1..end.1).unwrap_or_default().into(),
        };
        parts.push((window, part));
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::FloatHistogram;
    use proptest::prelude::*;

    use super::*;
    use crate::keys::HOUR_MS;

    proptest! {
        #[test]
        fn a_series_is_cut_at_windows_and_loses_nothing(
            floats in proptest::collection::btree_set(-20i64..20, 0..9),
            histograms in proptest::collection::btree_set(-20i64..20, 0..9),
        ) {
            let hours = |set: &std::collections::BTreeSet<i64>| set.iter().map(|at| at * HOUR_MS).collect::<Vec<_>>();
            let (floats, histograms) = (hours(&floats), hours(&histograms));
            let mut series = Series::floats(
                Labels::default(),
                floats.clone().into(),
                floats.iter().map(|at| *at as f64).collect(),
            );
            series.histograms = HistogramColumn {
                values: histograms.iter().map(|_| Arc::new(FloatHistogram::default())).collect(),
                timestamps: histograms.clone().into(),
            };
            let parts = by_window(&series);
            prop_assert!(parts.is_sorted_by(|a, b| a.0 < b.0));
            for (window, part) in &parts {
                prop_assert!(part.sample_count() > 0);
                let all = part.timestamps.iter().chain(part.histograms.timestamps.iter());
                prop_assert!(all.clone().all(|at| window_of(2, *at) == *window));
                prop_assert!(part.timestamps.iter().zip(part.values.iter()).all(|(at, value)| *at as f64 == *value));
                prop_assert_eq!(part.histograms.timestamps.len(), part.histograms.values.len());
            }
            let joined = |column: fn(&Series) -> &[i64]| {
                parts.iter().flat_map(|(_, part)| column(part).to_vec()).collect::<Vec<_>>()
            };
            prop_assert_eq!(joined(|part| &part.timestamps), floats);
            prop_assert_eq!(joined(|part| &part.histograms.timestamps), histograms);
        }
    }
}
