//! The samples of one window, as they come, and as a block.

use model::Exemplar;
use storage::{Series, SeriesExemplars};

use super::{Backfilled, Known};
use crate::block::{BlockOptions, BlockWriter, WrittenBlock};
use crate::error::TsdbError;

/// Samples a row group: what the writer holds decoded.
const ROW_GROUP_SAMPLES: usize = 1 << 20;

/// One sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The number of its series.
    pub(super) series: u32,
    /// Its instant, ms from the start of the window.
    pub(super) offset: u32,
    pub(super) value: f64,
}

/// The samples of a window, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Window {
    entries: Vec<Entry>,
    /// With the numbers of their series.
    exemplars: Vec<(u32, Exemplar)>,
}

impl Window {
    /// How many bytes more it takes with this entry.
    pub(super) fn push(&mut self, entry: Entry) -> usize {
        let before = self.entries.capacity();
        if self.entries.len() == before {
            // Half as much again, not twice: it is memory that is counted.
            self.entries.reserve_exact((before / 2).max(4));
        }
        self.entries.push(entry);
        (self.entries.capacity() - before) * size_of::<Entry>()
    }

    pub(super) fn push_exemplar(&mut self, series: u32, exemplar: Exemplar) {
        self.exemplars.push((series, exemplar));
    }

    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// A block of what the window, which begins at `start` ms, holds. Of samples with the same series and instant the
    /// first counts.
    pub(super) fn write(
        mut self,
        start: i64,
        known: &Known<'_>,
        done: &mut Backfilled,
    ) -> Result<WrittenBlock, TsdbError> {
        let rank = |entry: &Entry| known.order.ranks.get(entry.series as usize).copied().unwrap_or(u32::MAX);
        // Stable: what came first stays first.
        self.entries.sort_by_key(|entry| (rank(entry), entry.offset));
        let options = BlockOptions { row_group_samples: ROW_GROUP_SAMPLES, ..BlockOptions::default() };
        let mut writer = BlockWriter::new(options);
        for samples in self.entries.chunk_by(|a, b| rank(a) == rank(b)) {
            let Some(first) = samples.first() else { continue };
            let Some(labels) = known.labels(first.series) else { continue };
            if let Some(family) = known.family(first.series) {
                writer.push_metadata(family);
            }
            let mut timestamps = Vec::with_capacity(samples.len());
            let mut values: Vec<f64> = Vec::with_capacity(samples.len());
            for Entry { offset, value, .. } in samples {
                let timestamp = start + i64::from(*offset);
                if timestamps.last() == Some(&timestamp) {
                    let is_same = values.last().is_some_and(|kept| kept.to_bits() == value.to_bits());
                    *(if is_same { &mut done.repeated } else { &mut done.conflicting }) += 1;
                    continue;
                }
                timestamps.push(timestamp);
                values.push(*value);
            }
            writer.push(&Series::floats(labels.clone(), timestamps.into(), values.into()))?;
        }
        for (series, exemplar) in self.exemplars {
            if let Some(labels) = known.labels(series) {
                let labels = labels.clone();
                writer.push_exemplars(&SeriesExemplars { labels, exemplars: vec![exemplar] })?;
            }
        }
        Ok(writer.finish()?)
    }
}
