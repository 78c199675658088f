//! Whole blocks, or ranges of their series, in order and in batches.

use std::collections::VecDeque;
use std::ops::Range;

use model::{Labels, TimestampMs};
use storage::Series;

use super::group::Values;
use super::histograms::HistogramRows;
use super::pieces::{Piece, Shared, into_series, join, read_rows};
use super::places::Forms;
use super::reader::BlockReader;
use super::rows::{GroupIndex, RowsFile};
use super::types::{BlockError, compare};

/// Samples that a batch of a scan has at most where nothing else is asked, one series more or less.
const SCAN_SAMPLES: usize = 1 << 19;

impl BlockReader {
    /// Every series whole, in the block's order ([`super::compare`]), a bounded batch at a time.
    #[must_use]
    pub fn scan(&self) -> BlockScan<'_> {
        self.scan_range(None, None)
    }

    /// As [`Self::scan`], of the series with `from <= series < until` in the block's order; row groups outside are not
    /// read.
    #[must_use]
    pub fn scan_range(&self, from: Option<Labels>, until: Option<Labels>) -> BlockScan<'_> {
        let bounds = Bounds { from, until, batch_samples: SCAN_SAMPLES };
        BlockScan {
            reader: self,
            bounds,
            floats: Cursor::new(&self.files),
            histograms: Cursor::new(&self.histograms),
        }
    }

    /// Up to `parts - 1` series, ascending in the block's order, that cut the block into ranges of about equally many
    /// rows: bounds for [`Self::scan_range`]. Reads the labels of the row groups that a cut falls into.
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn split_points(&self, parts: usize) -> Result<Vec<Labels>, BlockError> {
        // Floats decide, unless there are more rows of histograms, each of which is larger by far.
        let floats: usize = rows_of(&self.files);
        if rows_of(&self.histograms) > floats {
            split_points(&self.histograms, parts).await
        } else {
            split_points(&self.files, parts).await
        }
    }
}

fn rows_of<C: Values>(files: &[RowsFile<C>]) -> usize {
    files.iter().flat_map(|file| (0..file.group_count()).map(|group| file.row_count(group))).sum()
}

async fn split_points<C: Values>(files: &[RowsFile<C>], parts: usize) -> Result<Vec<Labels>, BlockError> {
    let total = rows_of(files);
    let mut points: Vec<Labels> = Vec::new();
    let (mut before, mut part) = (0usize, 1usize);
    for (file, group) in files.iter().flat_map(|file| (0..file.group_count()).map(move |group| (file, group)))
    {
        let rows = file.row_count(group);
        let mut labels = None;
        while part < parts && part.saturating_mul(total) / parts < before + rows {
            let row = (part.saturating_mul(total) / parts).saturating_sub(before);
            part += 1;
            let labels = match &labels {
                Some(labels) => labels,
                None => labels.insert(file.labels(group, false).await?),
            };
            points.extend(labels.labels(row).filter(|point| points.last() != Some(point)));
        }
        before += rows;
    }
    Ok(points)
}

/// What [`BlockReader::scan`] gives.
pub struct BlockScan<'a> {
    reader: &'a BlockReader,
    bounds: Bounds,
    floats: Cursor<'a, Forms>,
    histograms: Cursor<'a, HistogramRows>,
}

impl std::fmt::Debug for BlockScan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockScan").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Bounds {
    from: Option<Labels>,
    until: Option<Labels>,
    batch_samples: usize,
}

impl BlockScan<'_> {
    /// Bounds the samples of a batch, one series more or less; without it 524,288. A batch takes 8 bytes a sample and
    /// 8 an instant, of which series share many; a histogram counts as what it occupies in samples of 16 bytes.
    #[must_use]
    pub fn with_batch(mut self, samples: usize) -> Self {
        self.bounds.batch_samples = samples;
        self
    }

    /// The next series, at least one; `None` after the last. A series is never split over batches.
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn next(&mut self) -> Result<Option<Vec<Series>>, BlockError> {
        self.floats.fill(self.reader, &self.bounds).await?;
        self.histograms.fill(self.reader, &self.bounds).await?;
        // Of both kinds what is before the first series that either does not know yet.
        let last = match (self.floats.last_whole(), self.histograms.last_whole()) {
            (Some(float), Some(histogram)) if compare(float, histogram).is_gt() => Some(histogram.clone()),
            (Some(float), _) => Some(float.clone()),
            (None, Some(histogram)) => Some(histogram.clone()),
            (None, None) => None,
        };
        let series =
            into_series(self.floats.take_until(last.as_ref()), self.histograms.take_until(last.as_ref()));
        Ok((!series.is_empty()).then_some(series))
    }
}

/// Where a scan is in the files of one kind.
struct Cursor<'a, C: Values> {
    files: &'a [RowsFile<C>],
    file: usize,
    group: usize,
    index: Option<GroupIndex<C>>,
    next_row: usize,
    /// Series that were read but not given yet; further rows may belong to the last.
    held: VecDeque<Piece<C::Value>>,
    ended: bool,
}

impl<'a, C: Values> Cursor<'a, C> {
    fn new(files: &'a [RowsFile<C>]) -> Self {
        let held = VecDeque::new();
        Self { files, file: 0, group: 0, index: None, next_row: 0, held, ended: false }
    }

    /// Reads on until at least one series is whole, or all are.
    async fn fill(&mut self, reader: &BlockReader, bounds: &Bounds) -> Result<(), BlockError> {
        while !self.ended && self.held.len() < 2 {
            let Some(pieces) = self.next_pieces(reader, bounds).await? else {
                self.ended = true;
                break;
            };
            let mut joined: Vec<Piece<C::Value>> = self.held.pop_back().into_iter().collect();
            for piece in pieces {
                join(&mut joined, piece)?;
            }
            self.held.extend(joined);
        }
        Ok(())
    }

    /// The last series that is whole; `None` where all are.
    fn last_whole(&self) -> Option<&Labels> {
        if self.ended {
            return None;
        }
        self.held.iter().rev().nth(1).map(|piece| &piece.labels)
    }

    /// Takes the series up to `last`, all without it.
    fn take_until(&mut self, last: Option<&Labels>) -> Vec<Piece<C::Value>> {
        let is_before =
            |piece: &Piece<C::Value>| last.is_none_or(|last| compare(&piece.labels, last).is_le());
        let len = self.held.partition_point(is_before);
        self.held.drain(..len).collect()
    }

    async fn next_pieces(
        &mut self,
        reader: &BlockReader,
        bounds: &Bounds,
    ) -> Result<Option<Vec<Piece<C::Value>>>, BlockError> {
        while let Some(file) = self.files.get(self.file) {
            if self.group >= file.group_count() {
                (self.file, self.group) = (self.file + 1, 0);
                continue;
            }
            if !bounds.may_have(file.metric_bounds(self.group)) {
                self.group += 1;
                continue;
            }
            let index = match &self.index {
                Some(index) => index.clone(),
                // Not kept in the cache: a scan reads everything once.
                None => file.index(self.group, false).await?,
            };
            let rows = bounds.batch(&index, self.next_row);
            if rows.is_empty() {
                (self.index, self.next_row) = (None, 0);
                self.group += 1;
                continue;
            }
            self.next_row = rows.end;
            let rows = rows.map(|row| row as u32).collect();
            let all = (TimestampMs::MIN, TimestampMs::MAX);
            let shared = Shared::new(u64::MAX);
            let pieces = read_rows(reader.timelines.as_ref(), file, &index, rows, all, &shared).await?;
            self.index = Some(index);
            return Ok(Some(pieces));
        }
        Ok(None)
    }
}

impl Bounds {
    /// Whether a row group with these bounds of the metric name can have series in the range.
    fn may_have(&self, metrics: Option<(&[u8], &[u8])>) -> bool {
        let Some((min, max)) = metrics else { return true };
        self.from.as_ref().is_none_or(|from| from.metric_name().as_bytes() <= max)
            && self.until.as_ref().is_none_or(|until| min <= until.metric_name().as_bytes())
    }

    /// The next rows of a row group that are in the range and have about as many samples as a batch may.
    fn batch<C: Values>(&self, index: &GroupIndex<C>, next_row: usize) -> Range<usize> {
        let before = |bound: &Labels| partition_point(index, bound);
        let start = next_row.max(self.from.as_ref().map_or(0, before));
        let end = self.until.as_ref().map_or(index.labels.rows(), before);
        let mut samples = 0usize;
        let mut stop = start;
        while stop < end && samples < self.batch_samples.max(1) {
            let len = index.rows.places.get(stop).map_or(0, |place| place.len() + 1);
            samples = samples.saturating_add(len.saturating_mul(index.rows.columns.weight(stop)));
            stop += 1;
        }
        start..if stop < end { end_of_page(index, start, stop) } else { stop }
    }
}

/// Where a page of values ends in the second half of the rows from `start` to `stop`, for the next batch would read and
/// decode what it has of the page once more; `stop` where none does.
fn end_of_page<C>(index: &GroupIndex<C>, start: usize, stop: usize) -> usize {
    let pages = index.rows.pages.first().map(Vec::as_slice).unwrap_or_default();
    let at = pages.partition_point(|page| page.rows.end <= stop);
    let end = at.checked_sub(1).and_then(|at| pages.get(at)).map_or(0, |page| page.rows.end);
    if end > start + (stop - start) / 2 { end } else { stop }
}

/// The first row of a row group that is not before `bound`.
fn partition_point<C>(index: &GroupIndex<C>, bound: &Labels) -> usize {
    let (mut low, mut high) = (0, index.labels.rows());
    while low < high {
        let middle = low + (high - low) / 2;
        let is_before = index.labels.labels(middle).is_some_and(|labels| compare(&labels, bound).is_lt());
        if is_before {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
