//! Blocks as a compaction writes them.

use std::collections::BTreeMap;

use bytes::Bytes;
use storage::Series;
use wire::{BlockFile, BlockMeta};
use xxhash_rust::xxh3::xxh3_64;

use crate::block::{BlockOptions, BlockWriter, WrittenBlock, object_key};
use crate::error::TsdbError;
use crate::planner::{LEVEL_MAX, window_of};
use crate::store::Store;
use crate::together::{Work, together};

/// zstd level of blocks that are merged no more.
const ZSTD_LEVEL_LAST: i32 = 9;

/// How a block of a level is written.
pub(super) fn options(level: u32) -> BlockOptions {
    let options = BlockOptions::default();
    if level < LEVEL_MAX { options } else { BlockOptions { zstd_level: ZSTD_LEVEL_LAST, ..options } }
}

/// Series, sorted by [`crate::block::compare`], as one block for each window of level 2 that has samples: samples that
/// come late, with timestamps of any age, land where they belong.
pub(super) fn split(series: &[Series]) -> Result<Vec<WrittenBlock>, TsdbError> {
    let mut writers: BTreeMap<i64, BlockWriter> = BTreeMap::new();
    for series in series {
        let mut rest = &series.timestamps[..];
        while let Some(first) = rest.first() {
            let window = window_of(2, *first);
            let len = rest.partition_point(|timestamp| window_of(2, *timestamp) == window);
            let start = series.timestamps.len() - rest.len();
            let writer = writers.entry(window).or_insert_with(|| BlockWriter::new(options(1)));
            if len == series.timestamps.len() {
                writer.push(series)?;
            } else {
                let values = series.values.get(start..start + len).unwrap_or_default();
                writer.push(&Series::floats(
                    series.labels.clone(),
                    rest.get(..len).unwrap_or_default().into(),
                    values.into(),
                ))?;
            }
            rest = rest.get(len..).unwrap_or_default();
        }
    }
    writers.into_values().map(|writer| Ok(writer.finish()?)).collect()
}

impl Store {
    /// Stores a block under an id of its own (P8); until a manifest names it, it is nothing.
    pub(crate) async fn store_block(
        &self,
        block: WrittenBlock,
        level: u32,
        parents: Vec<String>,
    ) -> Result<BlockMeta, TsdbError> {
        let id = self.keys.block_id(&self.ports.unique_id());
        let files = block.files.iter().map(|(name, body)| BlockFile {
            name: name.clone(),
            len: body.len() as u64,
            checksum: format!("{:016x}", xxh3_64(body)),
        });
        let meta = BlockMeta {
            level,
            min_time: block.stats.min_time,
            max_time: block.stats.max_time.saturating_add(1),
            samples: block.stats.samples,
            series: block.stats.series,
            set_hash: format!("{:032x}", block.stats.set_hash),
            files: files.collect(),
            parents,
            series_range: None,
            id,
        };
        let mut works: Vec<Work<'_, ()>> = Vec::with_capacity(block.files.len());
        for (name, body) in block.files {
            works.push(Box::pin(self.store_file(object_key(&meta.id, &name), body)));
        }
        together(works, self.settings.concurrency).await?;
        Ok(meta)
    }

    async fn store_file(&self, key: String, body: Bytes) -> Result<(), TsdbError> {
        Ok(self.ports.create_object(&key, &body).await?)
    }
}
