//! Writes a block: series in, files out.

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;
use model::histogram::{BUCKETS_MAX, BUCKETS_PER_SIGN_MAX, Span};
use model::value::is_stale_nan;
use model::{Labels, Metadata, TimestampMs};
use parquet::data_type::Int64Type;
use parquet::errors::ParquetError;
use storage::{HistogramColumn, Series, SeriesExemplars};

use super::column::Column;
use super::exemplars::ExemplarWriter;
use super::file::FileWriter;
use super::group_writer::{GroupWriter, Row};
use super::histograms::HistogramWriter;
use super::list_column::ListColumn;
use super::metadata::write_metadata;
use super::schema::{
    FORMAT_KEY, FORMAT_VERSION, FileKind, MAX_TIME_KEY, MIN_TIME_KEY, TIMELINES_FILE, WRITER_KEY, timelines,
    timestamp_lists,
};
use super::timelines::{Part, Timelines};
use super::types::{BlockError, BlockStats, WrittenBlock, compare, histogram_hash, sample_hash};

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
    histograms: HistogramWriter,
    exemplars: ExemplarWriter,
    metadata: BTreeSet<Metadata>,
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
            histograms: HistogramWriter::new(options.clone()),
            exemplars: ExemplarWriter::default(),
            metadata: BTreeSet::new(),
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
    /// columns are not equally long, its timestamps do not strictly increase or are of two samples, or the spans of a
    /// histogram are not of its buckets.
    pub fn push(&mut self, series: &Series) -> Result<(), BlockError> {
        let (timestamps, values) = (&series.timestamps, &series.values);
        if timestamps.len() != values.len()
            || !timestamps.is_sorted_by(|a, b| a < b)
            || !has_sound_histograms(series)
        {
            return Err(BlockError::Malformed(series.labels.clone()));
        }
        if self.last.as_ref().is_some_and(|last| compare(last, &series.labels).is_ge()) {
            return Err(BlockError::Unsorted(series.labels.clone()));
        }
        let ends = [timestamps.first(), series.histograms.timestamps.first(), timestamps.last()];
        let ends = ends.into_iter().chain([series.histograms.timestamps.last()]).flatten();
        let (Some(first), Some(last)) = (ends.clone().min(), ends.max()) else { return Ok(()) };
        self.last = Some(series.labels.clone());
        self.cover(*first, *last);
        self.stats.series += 1;
        self.stats.samples += series.sample_count() as u64;
        let hash = series.labels.hash();
        for (timestamp, value) in timestamps.iter().zip(values.iter()) {
            let sample = sample_hash(hash, *timestamp, value.to_bits());
            self.stats.set_hash = self.stats.set_hash.wrapping_add(sample);
        }
        for (timestamp, histogram) in series.histograms.timestamps.iter().zip(series.histograms.values.iter())
        {
            let sample = histogram_hash(hash, *timestamp, histogram);
            self.stats.set_hash = self.stats.set_hash.wrapping_add(sample);
        }
        self.files.extend(self.histograms.push(series, &mut self.timelines)?);
        if timestamps.is_empty() {
            return Ok(());
        }
        self.pending_samples += timestamps.len();
        self.pending.push(series.clone());
        if self.pending.len() >= PENDING_SERIES || self.pending_samples >= PENDING_SAMPLES {
            self.flush()?;
        }
        Ok(())
    }

    /// Adds exemplars, of any series and in any order; those of one series may come in several calls. Of what is added
    /// nothing is left out, not even what is there twice. They are held in memory until the block is finished.
    ///
    /// # Errors
    /// None so far: the signature leaves room for files that are written on the way.
    pub fn push_exemplars(&mut self, exemplars: &SeriesExemplars) -> Result<(), BlockError> {
        let instants = || exemplars.exemplars.iter().map(|exemplar| exemplar.timestamp);
        let (Some(first), Some(last)) = (instants().min(), instants().max()) else { return Ok(()) };
        self.cover(first, last);
        self.stats.exemplars += exemplars.exemplars.len() as u64;
        self.stats.set_hash = self.stats.set_hash.wrapping_add(self.exemplars.push(exemplars));
        Ok(())
    }

    /// Adds what a source says of a metric family; the same answer counts once.
    pub fn push_metadata(&mut self, metadata: &Metadata) {
        if !self.metadata.contains(metadata) {
            self.metadata.insert(metadata.clone());
        }
    }

    /// Extends what the block covers.
    fn cover(&mut self, first: TimestampMs, last: TimestampMs) {
        let stats = &mut self.stats;
        let is_first = stats.series == 0 && stats.exemplars == 0;
        stats.min_time = if is_first { first } else { stats.min_time.min(first) };
        stats.max_time = if is_first { last } else { stats.max_time.max(last) };
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
        self.files.extend(self.histograms.finish()?);
        self.files.extend(self.exemplars.finish()?);
        let times = (self.stats.min_time, self.stats.max_time);
        self.files.extend(write_metadata(&self.metadata, times)?);
        if self.stats.series > 0 {
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
        let bytes = open.file.finish(&file_metadata(open.times.unwrap_or_default()))?;
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

/// Whether the histograms of a series are as many as their timestamps, which strictly increase and are none of the
/// floats', and fit a row each.
fn has_sound_histograms(series: &Series) -> bool {
    let HistogramColumn { timestamps, values } = &series.histograms;
    let has_buckets_of_spans = |spans: &[Span], buckets: &[f64]| {
        let wanted: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
        wanted == buckets.len() as u64 && buckets.len() <= BUCKETS_PER_SIGN_MAX
    };
    timestamps.len() == values.len()
        && timestamps.is_sorted_by(|a, b| a < b)
        && timestamps.iter().all(|timestamp| series.timestamps.binary_search(timestamp).is_err())
        && values.iter().all(|value| {
            has_buckets_of_spans(&value.positive_spans, &value.positive_buckets)
                && has_buckets_of_spans(&value.negative_spans, &value.negative_buckets)
                && value.custom_values.len() <= BUCKETS_MAX
        })
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
    file.finish(&file_metadata(times))
}

/// What the footer of a file says of it.
pub(super) fn file_metadata((min_time, max_time): (TimestampMs, TimestampMs)) -> [(&'static str, String); 4] {
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

/// What the encoder said of `file`.
pub(super) fn encode_error(file: &str, error: &ParquetError) -> BlockError {
    BlockError::Encode { file: file.to_owned(), reason: error.to_string() }
}
