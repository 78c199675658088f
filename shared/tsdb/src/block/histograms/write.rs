//! Writes histograms files.

use bytes::Bytes;
use model::{FloatHistogram, Labels, TimestampMs};
use parquet::data_type::{DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use storage::Series;

use super::{ROW_COUNTS_MAX, Structure};
use crate::block::column::{Chunk, Column};
use crate::block::file::FileWriter;
use crate::block::group_writer::write_labels;
use crate::block::list_column::ListColumn;
use crate::block::schema::{FileKind, HISTOGRAMS_PREFIX, histograms, samples, value_lists};
use crate::block::timelines::Timelines;
use crate::block::types::BlockError;
use crate::block::writer::{BlockOptions, encode_error, file_metadata};

/// Counts of a row group, 8 bytes each, which are held in memory.
const GROUP_COUNTS_MAX: usize = 4 << 20;

/// Writes the histograms of a block's series, in the order of the series.
#[derive(Debug)]
pub(in crate::block) struct HistogramWriter {
    options: BlockOptions,
    pending: Vec<Row>,
    pending_counts: usize,
    open: Option<OpenFile>,
    finished: usize,
}

#[derive(Debug)]
struct OpenFile {
    writer: FileWriter,
    zstd_level: i32,
    rows: usize,
    times: (TimestampMs, TimestampMs),
}

/// Samples of one series with the same structure.
#[derive(Debug)]
struct Row {
    labels: Labels,
    tl: i64,
    start: usize,
    n: usize,
    stale: bool,
    structure: Structure,
    sum: Vec<f64>,
    counts: Vec<f64>,
    times: (TimestampMs, TimestampMs),
}

impl HistogramWriter {
    pub(in crate::block) fn new(options: BlockOptions) -> Self {
        Self { options, pending: Vec::new(), pending_counts: 0, open: None, finished: 0 }
    }

    /// Adds the histograms of a series; gives a file where one is full.
    pub(in crate::block) fn push(
        &mut self,
        series: &Series,
        timelines: &mut Timelines,
    ) -> Result<Option<(String, Bytes)>, BlockError> {
        let timestamps = &series.histograms.timestamps;
        if timestamps.is_empty() {
            return Ok(None);
        }
        for part in timelines.resolve(&series.labels, timestamps) {
            let values = series.histograms.values.get(part.samples.clone()).unwrap_or_default();
            let times = timestamps.get(part.samples.clone()).unwrap_or_default();
            let mut start = 0;
            while start < values.len() {
                let rest = values.get(start..).unwrap_or_default();
                let (row, taken) = Row::take(&series.labels, rest, times.get(start..).unwrap_or_default());
                self.pending_counts += row.counts.len() + row.n;
                self.pending.push(Row { tl: part.tl, start: part.start + start, ..row });
                start += taken;
            }
        }
        if self.pending_counts >= GROUP_COUNTS_MAX || self.pending.len() >= self.options.row_group_series {
            self.flush()?;
        }
        if self.open.as_ref().is_some_and(|open| open.rows >= self.options.file_series) {
            return self.close();
        }
        Ok(None)
    }

    /// The last file, if there is one.
    pub(in crate::block) fn finish(mut self) -> Result<Option<(String, Bytes)>, BlockError> {
        self.flush()?;
        self.close()
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        let rows = std::mem::take(&mut self.pending);
        self.pending_counts = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let result = match self.open.take() {
            Some(open) => Ok(open),
            None => OpenFile::new(self.options.zstd_level),
        };
        let written = result.and_then(|mut open| open.write_group(&rows).map(|()| open));
        self.open = Some(written.map_err(|error| encode_error(&self.name(), &error))?);
        Ok(())
    }

    fn close(&mut self) -> Result<Option<(String, Bytes)>, BlockError> {
        let Some(open) = self.open.take() else { return Ok(None) };
        let name = self.name();
        let bytes =
            open.writer.finish(&file_metadata(open.times)).map_err(|error| encode_error(&name, &error))?;
        self.finished += 1;
        Ok(Some((name, bytes)))
    }

    fn name(&self) -> String {
        format!("{HISTOGRAMS_PREFIX}{:03}.parquet", self.finished)
    }
}

impl Row {
    /// A row of the first samples of a run, and how many it took, its stale marker included.
    fn take(
        labels: &Labels,
        values: &[std::sync::Arc<FloatHistogram>],
        times: &[TimestampMs],
    ) -> (Self, usize) {
        let is_marker = |value: &FloatHistogram| value.bit_eq(&FloatHistogram::stale());
        let first = values.first().filter(|first| !is_marker(first));
        let structure =
            first.map_or_else(|| Structure::of(&FloatHistogram::default()), |first| Structure::of(first));
        let fits = (ROW_COUNTS_MAX / structure.counts()).max(1);
        let is_same = |value: &&std::sync::Arc<FloatHistogram>| !is_marker(value) && structure.is_of(value);
        let n = if first.is_some() { values.iter().take(fits).take_while(is_same).count() } else { 0 };
        let stale = values.get(n).is_some_and(|next| is_marker(next));
        let run = values.get(..n).unwrap_or_default();
        let mut counts = Vec::with_capacity(n * structure.counts());
        counts.extend(run.iter().map(|histogram| histogram.count));
        counts.extend(run.iter().map(|histogram| histogram.zero_count));
        let (positive, negative) = structure.buckets();
        for bucket in 0..positive {
            counts.extend(run.iter().filter_map(|histogram| histogram.positive_buckets.get(bucket)));
        }
        for bucket in 0..negative {
            counts.extend(run.iter().filter_map(|histogram| histogram.negative_buckets.get(bucket)));
        }
        let sum = run.iter().map(|histogram| histogram.sum).collect();
        let taken = (n + usize::from(stale)).max(1);
        let last = times.get(taken - 1).or(times.last());
        let times = (times.first().copied().unwrap_or_default(), last.copied().unwrap_or_default());
        let row = Self { labels: labels.clone(), tl: 0, start: 0, n, stale, structure, sum, counts, times };
        (row, taken)
    }

    /// The counts as integers, if all are.
    fn integers(&self) -> Option<Vec<i64>> {
        let integer = |count: &f64| {
            let integer = *count as i64;
            (integer as f64).to_bits().eq(&count.to_bits()).then_some(integer)
        };
        self.counts.iter().map(integer).collect()
    }
}

impl OpenFile {
    fn new(zstd_level: i32) -> Result<Self, ParquetError> {
        let writer = FileWriter::new(FileKind::histograms()?);
        Ok(Self { writer, zstd_level, rows: 0, times: (TimestampMs::MAX, TimestampMs::MIN) })
    }

    fn write_group(&mut self, rows: &[Row]) -> Result<(), ParquetError> {
        let kind = self.writer.kind();
        let mut group = Vec::with_capacity(histograms::COUNT);
        write_labels(kind, rows.iter().map(|row| &row.labels), &mut group)?;
        write_places(kind, rows, &mut group)?;
        write_structures(kind, rows, &mut group)?;
        let options = value_lists(self.zstd_level);
        let mut sum = ListColumn::<f64>::new(options)?;
        let mut counts = ListColumn::<i64>::new(options)?;
        let mut float_counts = ListColumn::<f64>::new(options)?;
        for row in rows {
            let integers = row.integers().filter(|_| row.n > 0);
            let floats = if integers.is_none() && row.n > 0 { Some(row.counts.as_slice()) } else { None };
            sum.push((row.n > 0).then_some(row.sum.as_slice()))?;
            counts.push(integers.as_deref())?;
            float_counts.push(floats)?;
            self.times = (self.times.0.min(row.times.0), self.times.1.max(row.times.1));
        }
        group.push(sum.finish()?);
        group.push(counts.finish()?);
        group.push(float_counts.finish()?);
        self.writer.push_group(rows.len(), &group)?;
        self.rows += rows.len();
        Ok(())
    }
}

fn write_places(kind: &FileKind, rows: &[Row], group: &mut Vec<Chunk>) -> Result<(), ParquetError> {
    let small =
        |size: usize| i32::try_from(size).map_err(|_| ParquetError::General("a timeline is too long".into()));
    let mut column = Column::<Int64Type>::new(kind, samples::TL);
    column.write(&rows.iter().map(|row| row.tl).collect::<Vec<_>>(), None, None)?;
    group.push(column.finish()?);
    for (index, get) in [(samples::START, (|row| row.start) as fn(&Row) -> usize), (samples::N, |row| row.n)]
    {
        let mut column = Column::<Int32Type>::new(kind, index);
        let values: Result<Vec<i32>, ParquetError> = rows.iter().map(|row| small(get(row))).collect();
        column.write(&values?, None, None)?;
        group.push(column.finish()?);
    }
    let mut column = Column::<parquet::data_type::BoolType>::new(kind, samples::STALE);
    column.write(&rows.iter().map(|row| row.stale).collect::<Vec<_>>(), None, None)?;
    group.push(column.finish()?);
    Ok(())
}

fn write_structures(kind: &FileKind, rows: &[Row], group: &mut Vec<Chunk>) -> Result<(), ParquetError> {
    let mut column = Column::<Int32Type>::new(kind, histograms::SCHEMA);
    column.write(&rows.iter().map(|row| row.structure.schema).collect::<Vec<_>>(), None, None)?;
    group.push(column.finish()?);
    let mut column = Column::<DoubleType>::new(kind, histograms::ZERO_THRESHOLD);
    column.write(&rows.iter().map(|row| row.structure.zero_threshold).collect::<Vec<_>>(), None, None)?;
    group.push(column.finish()?);
    let mut column = Column::<Int32Type>::new(kind, histograms::HINT);
    column.write(&rows.iter().map(|row| row.structure.hint as i32).collect::<Vec<_>>(), None, None)?;
    group.push(column.finish()?);
    let positive = |row: &Row| row.structure.positive_spans.clone();
    let negative = |row: &Row| row.structure.negative_spans.clone();
    for (index, spans) in [
        (histograms::POSITIVE_OFFSETS, positive as fn(&Row) -> Vec<model::histogram::Span>),
        (histograms::NEGATIVE_OFFSETS, negative),
    ] {
        let offsets = |row: &Row| spans(row).iter().map(|span| span.offset).collect();
        write_lists::<Int32Type>(kind, index, rows, offsets, group)?;
        let lengths = |row: &Row| spans(row).iter().map(|span| span.length as i32).collect();
        write_lists::<Int32Type>(kind, index + 1, rows, lengths, group)?;
    }
    write_lists::<DoubleType>(
        kind,
        histograms::CUSTOM_VALUES,
        rows,
        |row| row.structure.custom_values.clone(),
        group,
    )
}

/// Writes a column of lists that may be empty but not null.
fn write_lists<T: parquet::data_type::DataType>(
    kind: &FileKind,
    index: usize,
    rows: &[Row],
    list: impl Fn(&Row) -> Vec<T::T>,
    group: &mut Vec<Chunk>,
) -> Result<(), ParquetError> {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let before = values.len();
        values.extend(list(row));
        definitions.extend(std::iter::repeat_n(1, values.len() - before));
        repetitions.extend((before..values.len()).map(|at| i16::from(at > before)));
        if values.len() == before {
            definitions.push(0);
            repetitions.push(0);
        }
    }
    let mut column = Column::<T>::new(kind, index);
    column.write(&values, Some(&definitions), Some(&repetitions))?;
    group.push(column.finish()?);
    Ok(())
}
