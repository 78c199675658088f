//! Blocks as a compaction writes them: files are stored as they are finished, so that a block's output is never all in
//! memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::Labels;
use storage::Series;
use wire::{BlockFile, BlockMeta, SeriesRange, WireLabels};
use xxhash_rust::xxh3::xxh3_64;

use crate::block::{BlockOptions, BlockWriter, object_key};
use crate::error::TsdbError;
use crate::planner::{LEVEL_MAX, window_of};
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
        self.store_files(vec![]).await
    }

    fn push_unstored(&mut self, series: &Series) -> Result<(), TsdbError> {
        if series.sample_count() == 0 {
            return Ok(());
        }
        self.writer.push(series)?;
        match &mut self.range {
            Some((_, last)) => last.clone_from(&series.labels),
            None => self.range = Some((series.labels.clone(), series.labels.clone())),
        }
        Ok(())
    }

    /// The block, stored; `None` where it has no samples.
    pub(super) async fn finish(mut self) -> Result<Option<BlockMeta>, TsdbError> {
        let writer = std::mem::replace(&mut self.writer, BlockWriter::new(options(self.level)));
        let written = writer.finish()?;
        let stats = written.stats;
        let Some((first, last)) = self.range.take() else { return Ok(None) };
        self.store_files(written.files).await?;
        Ok(Some(BlockMeta {
            id: self.id,
            level: self.level,
            min_time: stats.min_time,
            max_time: stats.max_time.saturating_add(1),
            samples: stats.samples,
            series: stats.series,
            set_hash: format!("{:032x}", stats.set_hash),
            files: self.files,
            parents: self.parents,
            series_range: Some(SeriesRange {
                first: WireLabels::from(&first),
                last: WireLabels::from(&last),
            }),
        }))
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
    /// Stores series, sorted by [`crate::block::compare`], as one block of level 1 for each window of level 2 that has
    /// samples: samples that come late, with timestamps of any age, land where they belong.
    pub(super) async fn store_by_window(&self, series: &[Series]) -> Result<Vec<BlockMeta>, TsdbError> {
        let mut outputs: BTreeMap<i64, Output<'_>> = BTreeMap::new();
        for series in series {
            for (window, part) in by_window(series) {
                let output = outputs.entry(window).or_insert_with(|| {
                    let id = self.keys.block_id(&self.ports.unique_id());
                    Output::new(self, id, 1, vec![])
                });
                output.push(&part).await?;
            }
        }
        let mut metas = Vec::with_capacity(outputs.len());
        for output in outputs.into_values() {
            metas.extend(output.finish().await?);
        }
        Ok(metas)
    }
}

/// A series cut at the windows of level 2.
fn by_window(series: &Series) -> Vec<(i64, Series)> {
    let mut parts: BTreeMap<i64, Series> = BTreeMap::new();
    let mut rest = &series.timestamps[..];
    while let Some(first) = rest.first() {
        let window = window_of(2, *first);
        let len = rest.partition_point(|timestamp| window_of(2, *timestamp) == window);
        if len == series.timestamps.len() {
            return vec![(window, series.clone())];
        }
        let start = series.timestamps.len() - rest.len();
        let values = series.values.get(start..start + len).unwrap_or_default();
        let part =
            Series::floats(series.labels.clone(), rest.get(..len).unwrap_or_default().into(), values.into());
        parts.insert(window, part);
        rest = rest.get(len..).unwrap_or_default();
    }
    parts.into_iter().collect()
}
