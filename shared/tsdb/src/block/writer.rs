//! Writes a block: series in, files out.

use std::ops::Range;

use bytes::Bytes;
use model::value::is_stale_nan;
use model::{Labels, TimestampMs};
use parquet::data_type::Int64Type;
use parquet::errors::ParquetError;
use storage::Series;

use super::column::Column;
use super::file::FileWriter;
use super::group_writer::{GroupWriter, Row};
use super::list_column::ListColumn;
use super::schema::{
    FORMAT_KEY, FORMAT_VERSION, FileKind, MAX_TIME_KEY, MIN_TIME_KEY, TIMELINES_FILE, WRITER_KEY, timelines,
    timestamp_lists,
};
use super::timelines::{Part, Timelines};
use super::types::{BlockError, BlockStats, WrittenBlock, compare, sample_hash};

/// Samples that are gathered before they are encoded: 8 MiB of values. The more, the better timelines are found.
const PENDING_SAMPLES: usize = 1 << 20;
/// Series that are gathered likewise.
const PENDING_SERIES: usize = 8192;

/// How a block is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOptions {
    /// zstd level of the value columns, 1 to 22: 3 while data is young, 9 for blocks that stay.
    pub zstd_level: i32,
    /// Most series a row group; from half of that on it ends where the metric name changes. (Series with gaps or stale
    /// markers take more rows than one.)
    pub row_group_series: usize,
    /// Samples a row group, if that is reached first.
    pub row_group_samples: usize,
    /// Series a samples file, to the next row group; more go to the next file.
    pub file_series: usize,
    /// Bytes of a samples file, to the next row group. This bounds what a writer holds, and the footer of each file.
    pub file_bytes: usize,
}

impl Default for BlockOptions {
    fn default() -> Self {
        Self {
            zstd_level: 3,
            row_group_series: 8192,
            row_group_samples: 64 << 20,
            file_series: 131_072,
            file_bytes: 64 << 20,
        }
    }
}

/// Writes one block from series sorted by [`compare`].
///
/// Memory: the values of about a million samples that are not encoded yet, all timelines, and, compressed, one row group,
/// the open file and the finished files that were not taken.
#[derive(Debug)]
pub struct BlockWriter {
    options: BlockOptions,
    last: Option<Labels>,
    stats: BlockStats,
    pending: Vec<Series>,
    pending_samples: usize,
    timelines: Timelines,
    open: Option<OpenFile>,
    files: Vec<(String, Bytes)>,
    /// Samples files that were finished, taken ones included.
    samples_files: usize,
}

/// A samples file that more row groups may come to.
#[derive(Debug)]
struct OpenFile {
    file: FileWriter,
    group: GroupWriter,
    group_series: usize,
    series: usize,
    times: Option<(TimestampMs, TimestampMs)>,
}

impl BlockWriter {
    /// A writer of an empty block.
    #[must_use]
    pub fn new(options: BlockOptions) -> Self {
        Self {
            options,
            last: None,
            stats: BlockStats::default(),
            pending: Vec::new(),
            pending_samples: 0,
            timelines: Timelines::default(),
            open: None,
            files: Vec::new(),
            samples_files: 0,
        }
    }

    /// Adds a series; one without samples is left out.
    ///
    /// # Errors
    /// [`BlockError::Unsorted`] where it does not come after the last one, [`BlockError::Malformed`] where its
    /// columns are not equally long or its timestamps do not strictly increase.
    pub fn push(&mut self, series: &Series) -> Result<(), BlockError> {
        let (timestamps, values) = (&series.timestamps, &series.values);
        if timestamps.len() != values.len() || !timestamps.is_sorted_by(|a, b| a < b) {
            return Err(BlockError::Malformed(series.labels.clone()));
        }
        if self.last.as_ref().is_some_and(|last| compare(last, &series.labels).is_ge()) {
            return Err(BlockError::Unsorted(series.labels.clone()));
        }
        let (Some(first), Some(last)) = (timestamps.first(), timestamps.last()) else { return Ok(()) };
        self.last = Some(series.labels.clone());
        let is_first = self.stats.series == 0;
        self.stats.min_time = if is_first { *first } else { self.stats.min_time.min(*first) };
        self.stats.max_time = if is_first { *last } else { self.stats.max_time.max(*last) };
        self.stats.series += 1;
        self.stats.samples += timestamps.len() as u64;
        let hash = series.labels.hash();
        for (timestamp, value) in timestamps.iter().zip(values.iter()) {
            let sample = sample_hash(hash, *timestamp, value.to_bits());
            self.stats.set_hash = self.stats.set_hash.wrapping_add(sample);
        }
        self.pending_samples += timestamps.len();
        self.pending.push(series.clone());
        if self.pending.len() >= PENDING_SERIES || self.pending_samples >= PENDING_SAMPLES {
            self.flush()?;
        }
        Ok(())
    }

    /// The files that are finished so far, name within the block and content; each is given once.
    #[must_use]
    pub fn take_files(&mut self) -> Vec<(String, Bytes)> {
        std::mem::take(&mut self.files)
    }

    /// The finished files, without those that were taken; none for an empty block.
    ///
    /// # Errors
    /// [`BlockError::Encode`].
    pub fn finish(mut self) -> Result<WrittenBlock, BlockError> {
        self.flush()?;
        self.close_file().map_err(|error| encode_error(&samples_file(self.samples_files), &error))?;
        if self.stats.series > 0 {
            let times = (self.stats.min_time, self.stats.max_time);
            let file = write_timelines(self.timelines, times)
                .map_err(|error| encode_error(TIMELINES_FILE, &error))?;
            self.files.push((TIMELINES_FILE.to_owned(), file));
        }
        Ok(WrittenBlock { files: self.files, stats: self.stats })
    }

    /// Encodes the pending series.
    fn flush(&mut self) -> Result<(), BlockError> {
        let pending = std::mem::take(&mut self.pending);
        self.pending_samples = 0;
        let parts = resolve(&mut self.timelines, &pending);
        for (series, parts) in pending.iter().zip(&parts) {
            self.write_series(series, parts)
                .map_err(|error| encode_error(&samples_file(self.samples_files), &error))?;
        }
        Ok(())
    }

    fn write_series(&mut self, series: &Series, parts: &[Part]) -> Result<(), ParquetError> {
        if let Some(open) = &mut self.open
            && open.group_ends(&self.options, series.labels.metric_name())
        {
            open.end_group(&self.options)?;
            if open.is_full(&self.options) {
                self.close_file()?;
            }
        }
        let open = match &mut self.open {
            Some(open) => open,
            slot => slot.insert(OpenFile::new(&self.options)?),
        };
        for part in parts {
            for row in rows_of(series, part) {
                open.group.push(&row)?;
            }
        }
        for time in [series.timestamps.first(), series.timestamps.last()].into_iter().flatten() {
            let (min, max) = open.times.unwrap_or((*time, *time));
            open.times = Some((min.min(*time), max.max(*time)));
        }
        open.group_series += 1;
        open.series += 1;
        Ok(())
    }

    fn close_file(&mut self) -> Result<(), ParquetError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        open.end_group(&self.options)?;
        let bytes = open.file.finish(&metadata(open.times.unwrap_or_default()))?;
        self.files.push((samples_file(self.samples_files), bytes));
        self.samples_files += 1;
        Ok(())
    }
}

impl OpenFile {
    fn new(options: &BlockOptions) -> Result<Self, ParquetError> {
        let file = FileWriter::new(FileKind::samples()?);
        let group = GroupWriter::new(options.zstd_level)?;
        Ok(Self { file, group, group_series: 0, series: 0, times: None })
    }

    fn is_full(&self, options: &BlockOptions) -> bool {
        self.series >= options.file_series || self.file.len() >= options.file_bytes
    }

    /// Whether the row group ends before a series of this metric.
    fn group_ends(&self, options: &BlockOptions, metric: &str) -> bool {
        // Most metrics are never split over row groups, and a selection of one reads one range of each kind.
        let changes =
            self.group_series * 2 >= options.row_group_series && self.group.last_metric() != Some(metric);
        self.group_series > 0
            && (changes
                || self.group_series >= options.row_group_series
                || self.group.rows() >= options.row_group_series * 2
                || self.group.samples() >= options.row_group_samples)
    }

    fn end_group(&mut self, options: &BlockOptions) -> Result<(), ParquetError> {
        if self.group_series > 0 {
            let group = std::mem::replace(&mut self.group, GroupWriter::new(options.zstd_level)?);
            group.finish(&mut self.file)?;
            self.group_series = 0;
        }
        Ok(())
    }
}

/// The parts of each series. The longest are resolved first, for they are the timelines that the others are parts of.
fn resolve(timelines: &mut Timelines, series: &[Series]) -> Vec<Vec<Part>> {
    let mut order: Vec<usize> = (0..series.len()).collect();
    order.sort_by_key(|index| {
        std::cmp::Reverse(series.get(*index).map_or(0, |series| series.timestamps.len()))
    });
    let mut parts = vec![Vec::new(); series.len()];
    for index in order {
        if let (Some(series), Some(slot)) = (series.get(index), parts.get_mut(index)) {
            *slot = timelines.resolve(&series.labels, &series.timestamps);
        }
    }
    parts
}

/// The rows of a part: each ends before a stale marker, or with the part.
fn rows_of<'a>(series: &'a Series, part: &Part) -> Vec<Row<'a>> {
    let values = series.values.get(part.samples.clone()).unwrap_or_default();
    let row = |range: Range<usize>, stale: bool| Row {
        labels: &series.labels,
        tl: part.tl,
        start: part.start + range.start,
        values: values.get(range).unwrap_or_default(),
        stale,
    };
    let mut rows = Vec::new();
    let mut start = 0;
    for (index, _) in values.iter().enumerate().filter(|(_, value)| is_stale_nan(**value)) {
        rows.push(row(start..index, true));
        start = index + 1;
    }
    if start < values.len() {
        rows.push(row(start..values.len(), false));
    }
    rows
}

fn write_timelines(found: Timelines, times: (TimestampMs, TimestampMs)) -> Result<Bytes, ParquetError> {
    let kind = FileKind::timelines()?;
    let lists = found.into_lists();
    let mut names = Column::<Int64Type>::new(&kind, timelines::TL);
    names.write(&lists.iter().map(|timeline| timeline.tl).collect::<Vec<_>>(), None, None)?;
    let mut instants = ListColumn::new(timestamp_lists())?;
    for timeline in &lists {
        instants.push(Some(&timeline.timestamps))?;
    }
    let mut file = FileWriter::new(kind);
    file.push_group(lists.len(), &[names.finish()?, instants.finish()?])?;
    file.finish(&metadata(times))
}

/// What the footer of a file says of it.
fn metadata((min_time, max_time): (TimestampMs, TimestampMs)) -> [(&'static str, String); 4] {
    [
        (FORMAT_KEY, FORMAT_VERSION.to_owned()),
        (WRITER_KEY, env!("CARGO_PKG_VERSION").to_owned()),
        (MIN_TIME_KEY, min_time.to_string()),
        (MAX_TIME_KEY, max_time.to_string()),
    ]
}

fn samples_file(number: usize) -> String {
    format!("samples-{number:03}.parquet")
}

fn encode_error(file: &str, error: &ParquetError) -> BlockError {
    BlockError::Encode { file: file.to_owned(), reason: error.to_string() }
}
