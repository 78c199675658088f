//! Writes a block: series in, files out.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use model::histogram::{BUCKETS_MAX, Span};
use model::labels::METRIC_NAME;
use model::value::is_stale_nan;
use model::{Labels, Metadata, TimestampMs};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;
use storage::{HistogramColumn, Series, SeriesExemplars};

use super::column::{Column, ListColumn};
use super::exemplars::ExemplarWriter;
use super::footer;
use super::histograms::HistogramWriter;
use super::metadata::write_metadata;
use super::schema::{
    CHECKSUMS_KEY, FORMAT_KEY, FORMAT_VERSION, FileKind, MAX_TIME_KEY, MIN_TIME_KEY, TIMELINES_FILE,
    WRITER_KEY, samples, timelines,
};
use super::timelines::{Part, Timelines};
use super::types::{BlockError, BlockStats, WrittenBlock, compare, histogram_hash, sample_hash};
use super::values::{self, RowValues};

/// Rows whose values are encoded at a time; a multiple of the rows of a page.
const CHUNK_ROWS: usize = 64;

/// How a block is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOptions {
    /// zstd level of the value columns, 1 to 22: 3 while data is young, 9 for blocks that stay.
    pub zstd_level: i32,
    /// Series a row group. Series with gaps or stale markers take more rows than one.
    pub row_group_series: usize,
    /// Samples a row group, if that is reached first. They are held in memory, 8 bytes each besides timestamps.
    pub row_group_samples: usize,
    /// Series a samples file, to the next row group; more go to the next file.
    pub file_series: usize,
}

impl Default for BlockOptions {
    fn default() -> Self {
        Self { zstd_level: 3, row_group_series: 8192, row_group_samples: 8 << 20, file_series: 131_072 }
    }
}

/// Writes one block from series sorted by [`compare`].
///
/// Memory: one row group's samples, all timelines, and what is written so far, compressed.
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
    samples_files: usize,
    histograms: HistogramWriter,
    exemplars: ExemplarWriter,
    metadata: BTreeSet<Metadata>,
}

/// A samples file that more row groups may come to.
#[derive(Debug)]
struct OpenFile {
    kind: FileKind,
    writer: SerializedFileWriter<Vec<u8>>,
    groups: usize,
    series: usize,
    times: Option<(TimestampMs, TimestampMs)>,
}

/// One row of a samples file.
#[derive(Debug)]
struct Row<'a> {
    labels: &'a Labels,
    tl: i64,
    /// In the timeline.
    start: usize,
    /// May be empty before a stale marker.
    values: &'a [f64],
    stale: bool,
}

impl BlockWriter {
    /// A writer of an empty block.
    #[must_use]
    pub fn new(options: BlockOptions) -> Self {
        Self {
            histograms: HistogramWriter::new(options.clone()),
            exemplars: ExemplarWriter::default(),
            metadata: BTreeSet::new(),
            samples_files: 0,
            options,
            last: None,
            stats: BlockStats::default(),
            pending: Vec::new(),
            pending_samples: 0,
            timelines: Timelines::default(),
            open: None,
            files: Vec::new(),
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
        if self.pending.len() >= self.options.row_group_series
            || self.pending_samples >= self.options.row_group_samples
        {
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

    /// The finished files; none for an empty block.
    ///
    /// # Errors
    /// [`BlockError::Encode`].
    pub fn finish(mut self) -> Result<WrittenBlock, BlockError> {
        self.flush()?;
        self.close_file()?;
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

    /// Writes the pending series as row groups.
    fn flush(&mut self) -> Result<(), BlockError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        self.pending_samples = 0;
        self.write_series(&pending)
            .map_err(|error| encode_error(&samples_file(self.samples_files), &error))?;
        if self.open.as_ref().is_some_and(|open| open.series >= self.options.file_series) {
            self.close_file()?;
        }
        Ok(())
    }

    fn write_series(&mut self, series: &[Series]) -> Result<(), ParquetError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => OpenFile::new(self.options.zstd_level)?,
        };
        let parts = resolve(&mut self.timelines, series);
        let mut rows = Vec::with_capacity(series.len());
        for (series, parts) in series.iter().zip(&parts) {
            for part in parts {
                push_rows(&mut rows, series, part);
            }
            for time in [series.timestamps.first(), series.timestamps.last()].into_iter().flatten() {
                let (min, max) = open.times.unwrap_or((*time, *time));
                open.times = Some((min.min(*time), max.max(*time)));
            }
        }
        // A few rows more than series must not make a row group of their own.
        let groups = rows.len().div_ceil(self.options.row_group_series.max(1) * 2).max(1);
        for rows in rows.chunks(rows.len().div_ceil(groups).max(1)) {
            open.write_group(rows)?;
        }
        open.series += series.len();
        self.open = Some(open);
        Ok(())
    }

    fn close_file(&mut self) -> Result<(), BlockError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let name = samples_file(self.samples_files);
        self.samples_files += 1;
        let times = open.times.unwrap_or_default();
        let bytes = finish_file(open.writer, open.groups, times, samples::M..samples::COUNT)
            .map_err(|error| encode_error(&name, &error))?;
        self.files.push((name, bytes));
        Ok(())
    }
}

impl OpenFile {
    fn new(zstd_level: i32) -> Result<Self, ParquetError> {
        let kind = FileKind::samples(zstd_level)?;
        let writer = new_file(&kind)?;
        Ok(Self { kind, writer, groups: 0, series: 0, times: None })
    }

    fn write_group(&mut self, rows: &[Row<'_>]) -> Result<(), ParquetError> {
        let kind = &self.kind;
        let mut m = ListColumn::<Int64Type>::new(kind, samples::M);
        let mut r = ListColumn::<Int64Type>::new(kind, samples::R);
        let mut f = ListColumn::<DoubleType>::new(kind, samples::F);
        let mut scalars = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(CHUNK_ROWS) {
            for row in chunk {
                let scalar = match row.values {
                    [] => Scalars::default(),
                    values => match values::encode(values) {
                        RowValues::Constant(c) => Scalars { c: Some(c), ..Scalars::default() },
                        RowValues::Raw => {
                            m.push(None);
                            r.push(None);
                            f.push(Some(values));
                            scalars.push(Scalars::default());
                            continue;
                        }
                        RowValues::Scaled { m: mantissas, scale, residual } => {
                            m.push(Some(&mantissas));
                            r.push(residual.as_ref().map(|residual| residual.r.as_slice()));
                            f.push(None);
                            let ulp = residual.map(|residual| residual.ulp);
                            scalars.push(Scalars {
                                mul: Some(scale.mul),
                                div: Some(scale.div),
                                ulp,
                                c: None,
                            });
                            continue;
                        }
                    },
                };
                m.push(None);
                r.push(None);
                f.push(None);
                scalars.push(scalar);
            }
            m.flush()?;
            r.flush()?;
            f.flush()?;
        }
        let mut group = self.writer.next_row_group()?;
        write_labels(kind, rows.iter().map(|row| row.labels), &mut group)?;
        write_places(kind, rows, &mut group)?;
        for (index, get) in [
            (samples::MUL, (|s| s.mul) as fn(&Scalars) -> Option<f64>),
            (samples::DIV, |s| s.div),
            (samples::ULP, |s| s.ulp),
            (samples::C, |s| s.c),
        ] {
            let mut column = Column::<DoubleType>::new(kind, index);
            column.write_optional(scalars.iter().map(get))?;
            column.append_to(&mut group)?;
        }
        m.append_to(&mut group)?;
        r.append_to(&mut group)?;
        f.append_to(&mut group)?;
        group.close()?;
        self.groups += 1;
        Ok(())
    }
}

/// Whether the histograms of a series are as many as their timestamps, which strictly increase and are none of the
/// floats', and fit a row each.
fn has_sound_histograms(series: &Series) -> bool {
    let HistogramColumn { timestamps, values } = &series.histograms;
    let has_buckets_of_spans = |spans: &[Span], buckets: &[f64]| {
        let wanted: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
        wanted == buckets.len() as u64 && buckets.len() <= BUCKETS_MAX / 2
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

/// The nullable scalar columns of a row.
#[derive(Clone, Copy, Debug, Default)]
struct Scalars {
    mul: Option<f64>,
    div: Option<f64>,
    ulp: Option<f64>,
    c: Option<f64>,
}

pub(super) type GroupWriter<'a> = parquet::file::writer::SerializedRowGroupWriter<'a, Vec<u8>>;

/// Writes the columns of metric, label names and label values, a label set a row.
pub(super) fn write_labels<'a>(
    kind: &FileKind,
    rows: impl Iterator<Item = &'a Labels> + Clone,
    group: &mut GroupWriter<'_>,
) -> Result<(), ParquetError> {
    let metrics: Vec<ByteArray> = rows.clone().map(|labels| ByteArray::from(labels.metric_name())).collect();
    let mut column = Column::<ByteArrayType>::new(kind, samples::METRIC);
    column.write(&metrics, None, None)?;
    column.append_to(group)?;
    let (mut names, mut values) = (Vec::new(), Vec::new());
    let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
    for labels in rows {
        let before = names.len();
        for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
            definitions.push(1);
            repetitions.push(i16::from(names.len() > before));
            names.push(ByteArray::from(name));
            values.push(ByteArray::from(value));
        }
        if names.len() == before {
            definitions.push(0);
            repetitions.push(0);
        }
    }
    for (index, texts) in [(samples::LABEL_NAME, &names), (samples::LABEL_VALUE, &values)] {
        let mut column = Column::<ByteArrayType>::new(kind, index);
        column.write(texts, Some(&definitions), Some(&repetitions))?;
        column.append_to(group)?;
    }
    Ok(())
}

fn write_places(kind: &FileKind, rows: &[Row<'_>], group: &mut GroupWriter<'_>) -> Result<(), ParquetError> {
    let small =
        |size: usize| i32::try_from(size).map_err(|_| ParquetError::General("a timeline is too long".into()));
    let mut column = Column::<Int64Type>::new(kind, samples::TL);
    column.write(&rows.iter().map(|row| row.tl).collect::<Vec<_>>(), None, None)?;
    column.append_to(group)?;
    let mut column = Column::<Int32Type>::new(kind, samples::START);
    column.write(&rows.iter().map(|row| small(row.start)).collect::<Result<Vec<_>, _>>()?, None, None)?;
    column.append_to(group)?;
    let mut column = Column::<Int32Type>::new(kind, samples::N);
    column.write(
        &rows.iter().map(|row| small(row.values.len())).collect::<Result<Vec<_>, _>>()?,
        None,
        None,
    )?;
    column.append_to(group)?;
    let mut column = Column::<BoolType>::new(kind, samples::STALE);
    column.write(&rows.iter().map(|row| row.stale).collect::<Vec<_>>(), None, None)?;
    column.append_to(group)
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
fn push_rows<'a>(rows: &mut Vec<Row<'a>>, series: &'a Series, part: &Part) {
    let values = series.values.get(part.samples.clone()).unwrap_or_default();
    let mut push = |range: Range<usize>, stale: bool| {
        rows.push(Row {
            labels: &series.labels,
            tl: part.tl,
            start: part.start + range.start,
            values: values.get(range).unwrap_or_default(),
            stale,
        });
    };
    let mut start = 0;
    for (index, _) in values.iter().enumerate().filter(|(_, value)| is_stale_nan(**value)) {
        push(start..index, true);
        start = index + 1;
    }
    if start < values.len() {
        push(start..values.len(), false);
    }
}

fn write_timelines(found: Timelines, times: (TimestampMs, TimestampMs)) -> Result<Bytes, ParquetError> {
    let kind = FileKind::timelines()?;
    let mut writer = new_file(&kind)?;
    let lists = found.into_lists();
    let mut group = writer.next_row_group()?;
    let mut column = Column::<Int64Type>::new(&kind, timelines::TL);
    column.write(&lists.iter().map(|timeline| timeline.tl).collect::<Vec<_>>(), None, None)?;
    column.append_to(&mut group)?;
    let mut column = Column::<Int64Type>::new(&kind, timelines::TS);
    for timeline in &lists {
        let len = timeline.timestamps.len();
        let mut repetitions = vec![1; len];
        if let Some(first) = repetitions.first_mut() {
            *first = 0;
        }
        column.write(&timeline.timestamps, Some(&vec![1; len]), Some(&repetitions))?;
    }
    column.append_to(&mut group)?;
    group.close()?;
    finish_file(writer, 1, times, timelines::TS..timelines::COUNT)
}

/// An empty file.
pub(super) fn new_file(kind: &FileKind) -> Result<SerializedFileWriter<Vec<u8>>, ParquetError> {
    SerializedFileWriter::new(Vec::new(), kind.schema.root_schema_ptr(), Arc::clone(&kind.properties))
}

/// The bytes of a file of `groups` row groups, sealed.
pub(super) fn finish_file(
    mut writer: SerializedFileWriter<Vec<u8>>,
    groups: usize,
    (min_time, max_time): (TimestampMs, TimestampMs),
    value_columns: Range<usize>,
) -> Result<Bytes, ParquetError> {
    for (key, value) in [
        (FORMAT_KEY, FORMAT_VERSION.to_owned()),
        (WRITER_KEY, env!("CARGO_PKG_VERSION").to_owned()),
        (MIN_TIME_KEY, min_time.to_string()),
        (MAX_TIME_KEY, max_time.to_string()),
        (CHECKSUMS_KEY, footer::checksum_placeholder(groups)),
    ] {
        writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
    let mut bytes = writer.into_inner()?;
    footer::seal(&mut bytes, value_columns).map_err(|reason| ParquetError::General(reason.to_owned()))?;
    Ok(Bytes::from(bytes))
}

fn samples_file(number: usize) -> String {
    format!("samples-{number:03}.parquet")
}

/// What the encoder said of `file`.
pub(super) fn encode_error(file: &str, error: &ParquetError) -> BlockError {
    BlockError::Encode { file: file.to_owned(), reason: error.to_string() }
}
