//! Reads a block.

use std::sync::Arc;

use model::matcher::matches_all;
use model::{Labels, Matcher, TimestampMs};
use platform::{ByteRange, Objects};
use storage::Series;
use wire::BlockMeta;

use super::types::{BlockError, compare, object_key};

/// One block, open for reading. What it has fetched of the files' indexes it keeps: blocks never change.
pub struct BlockReader {
    series: Vec<Series>,
}

impl std::fmt::Debug for BlockReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockReader").finish_non_exhaustive()
    }
}

impl BlockReader {
    /// Opens the block that `meta` describes: reads the files' footers.
    ///
    /// # Errors
    /// [`BlockError::Platform`], or [`BlockError::Corrupt`] where a file is not what was written.
    pub async fn open(objects: Arc<dyn Objects>, meta: &BlockMeta) -> Result<Self, BlockError> {
        let mut series = Vec::new();
        for file in &meta.files {
            let key = object_key(&meta.id, &file.name);
            let object = objects.read(&key, None, ByteRange::All).await?;
            for line in object.body.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                type Row = (Vec<(String, String)>, Vec<i64>, Vec<u64>);
                let (labels, timestamps, bits): Row = serde_json::from_slice(line)
                    .map_err(|e| BlockError::Corrupt { file: key.clone(), reason: e.to_string() })?;
                series.push(Series {
                    labels: Labels::from_pairs(labels),
                    timestamps: timestamps.into(),
                    values: bits.into_iter().map(f64::from_bits).collect(),
                });
            }
        }
        Ok(Self { series })
    }

    /// The series that satisfy all `matchers`, with their samples of `min..=max` ms, sorted by labels; none without
    /// samples. Series that share instants share the timestamps' allocation.
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn select(
        &self,
        matchers: &[Matcher],
        min: TimestampMs,
        max: TimestampMs,
    ) -> Result<Vec<Series>, BlockError> {
        let mut found = Vec::new();
        for series in self.series.iter().filter(|series| matches_all(matchers, &series.labels)) {
            let from = series.timestamps.partition_point(|t| *t < min);
            let to = series.timestamps.partition_point(|t| *t <= max).max(from);
            let (Some(timestamps), Some(values)) =
                (series.timestamps.get(from..to), series.values.get(from..to))
            else {
                continue;
            };
            if !timestamps.is_empty() {
                found.push(Series {
                    labels: series.labels.clone(),
                    timestamps: timestamps.into(),
                    values: values.into(),
                });
            }
        }
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    /// The labels of the series that satisfy all matchers of any one set (of no set: every series) and have a sample
    /// in `min..=max` ms, sorted.
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn series(
        &self,
        matcher_sets: &[Vec<Matcher>],
        min: TimestampMs,
        max: TimestampMs,
    ) -> Result<Vec<Labels>, BlockError> {
        let mut found = Vec::new();
        for series in self.select(&[], min, max).await? {
            if matcher_sets.is_empty() || matcher_sets.iter().any(|set| matches_all(set, &series.labels)) {
                found.push(series.labels);
            }
        }
        Ok(found)
    }

    /// Every series whole, in the block's order ([`compare`]), a bounded batch at a time.
    #[must_use]
    pub fn scan(&self) -> BlockScan<'_> {
        BlockScan { reader: self, next: 0 }
    }
}

/// What [`BlockReader::scan`] gives.
#[derive(Debug)]
pub struct BlockScan<'a> {
    reader: &'a BlockReader,
    next: usize,
}

impl BlockScan<'_> {
    /// The next series, at least one; `None` after the last. A series is never split over batches.
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn next(&mut self) -> Result<Option<Vec<Series>>, BlockError> {
        let batch: Vec<Series> = self.reader.series.iter().skip(self.next).take(256).cloned().collect();
        debug_assert!(batch.is_sorted_by(|a, b| compare(&a.labels, &b.labels).is_lt()));
        self.next += batch.len();
        Ok((!batch.is_empty()).then_some(batch))
    }
}
