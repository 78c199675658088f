//! A row group of a samples file that is being written: values are encoded as they come, the index columns at the end.

use model::Labels;
use model::labels::METRIC_NAME;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;

use super::column::{Chunk, Column};
use super::file::FileWriter;
use super::list_column::ListColumn;
use super::schema::{FileKind, samples, value_lists};
use super::values::{Encoder, RowForm};

/// One row of a samples file.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) labels: &'a Labels,
    pub(super) tl: i64,
    /// In the timeline.
    pub(super) start: usize,
    /// May be empty before a stale marker.
    pub(super) values: &'a [f64],
    pub(super) stale: bool,
}

/// A row group that more rows may come to. It holds them encoded and compressed.
#[derive(Debug)]
pub(super) struct GroupWriter {
    rows: Vec<IndexRow>,
    samples: usize,
    encoder: Encoder,
    m: ListColumn<i64>,
    r: ListColumn<i64>,
    f: ListColumn<f64>,
}

/// The index columns of a row.
#[derive(Debug)]
struct IndexRow {
    labels: Labels,
    tl: i64,
    start: i32,
    n: i32,
    stale: bool,
    scalars: Scalars,
}

/// The nullable scalar columns of a row.
#[derive(Clone, Copy, Debug, Default)]
struct Scalars {
    mul: Option<f64>,
    div: Option<f64>,
    ulp: Option<f64>,
    c: Option<f64>,
}

impl GroupWriter {
    /// An empty row group whose values are compressed at `zstd_level`.
    pub(super) fn new(zstd_level: i32) -> Result<Self, ParquetError> {
        let options = value_lists(zstd_level);
        Ok(Self {
            rows: Vec::new(),
            samples: 0,
            encoder: Encoder::default(),
            m: ListColumn::new(options)?,
            r: ListColumn::new(options)?,
            f: ListColumn::new(options)?,
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn samples(&self) -> usize {
        self.samples
    }

    /// The metric name of the last row.
    pub(super) fn last_metric(&self) -> Option<&str> {
        self.rows.last().map(|row| row.labels.metric_name())
    }

    /// Appends a row.
    pub(super) fn push(&mut self, row: &Row<'_>) -> Result<(), ParquetError> {
        let small = |size: usize| {
            i32::try_from(size).map_err(|_| ParquetError::General("a timeline is too long".into()))
        };
        let form = if row.values.is_empty() { None } else { Some(self.encoder.encode(row.values)) };
        let (scale, ulp, c) = match form {
            Some(RowForm::Scaled(scale)) => (Some(scale), None, None),
            Some(RowForm::ScaledWithResidual(scale, ulp)) => (Some(scale), Some(ulp), None),
            Some(RowForm::Constant(c)) => (None, None, Some(c)),
            Some(RowForm::Raw) | None => (None, None, None),
        };
        self.m.push(scale.map(|_| self.encoder.mantissas()))?;
        self.r.push(ulp.map(|_| self.encoder.residuals()))?;
        self.f.push((form == Some(RowForm::Raw)).then_some(row.values))?;
        self.samples += row.values.len();
        self.rows.push(IndexRow {
            labels: row.labels.clone(),
            tl: row.tl,
            start: small(row.start)?,
            n: small(row.values.len())?,
            stale: row.stale,
            scalars: Scalars { mul: scale.map(|s| s.mul), div: scale.map(|s| s.div), ulp, c },
        });
        Ok(())
    }

    /// Ends the row group and puts it into `file`.
    pub(super) fn finish(self, file: &mut FileWriter) -> Result<(), ParquetError> {
        let (kind, rows) = (file.kind(), &self.rows);
        let mut chunks = Vec::with_capacity(samples::COUNT);
        write_labels(kind, rows.iter().map(|row| &row.labels), &mut chunks)?;
        write_places(kind, rows, &mut chunks)?;
        for (index, get) in [
            (samples::MUL, (|s| s.mul) as fn(&Scalars) -> Option<f64>),
            (samples::DIV, |s| s.div),
            (samples::ULP, |s| s.ulp),
            (samples::C, |s| s.c),
        ] {
            let mut column = Column::<DoubleType>::new(kind, index);
            column.write_optional(rows.iter().map(|row| get(&row.scalars)))?;
            chunks.push(column.finish()?);
        }
        chunks.push(self.m.finish()?);
        chunks.push(self.r.finish()?);
        chunks.push(self.f.finish()?);
        file.push_group(self.rows.len(), &chunks)
    }
}

/// Writes the columns of metric, label names and label values, a label set a row.
pub(super) fn write_labels<'a>(
    kind: &FileKind,
    rows: impl Iterator<Item = &'a Labels> + Clone,
    chunks: &mut Vec<Chunk>,
) -> Result<(), ParquetError> {
    let metrics: Vec<ByteArray> = rows.clone().map(|labels| ByteArray::from(labels.metric_name())).collect();
    let mut column = Column::<ByteArrayType>::new(kind, samples::METRIC);
    column.write(&metrics, None, None)?;
    chunks.push(column.finish()?);
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
        chunks.push(column.finish()?);
    }
    Ok(())
}

fn write_places(kind: &FileKind, rows: &[IndexRow], chunks: &mut Vec<Chunk>) -> Result<(), ParquetError> {
    let mut column = Column::<Int64Type>::new(kind, samples::TL);
    column.write(&rows.iter().map(|row| row.tl).collect::<Vec<_>>(), None, None)?;
    chunks.push(column.finish()?);
    for (index, get) in
        [(samples::START, (|row| row.start) as fn(&IndexRow) -> i32), (samples::N, |row| row.n)]
    {
        let mut column = Column::<Int32Type>::new(kind, index);
        column.write(&rows.iter().map(get).collect::<Vec<_>>(), None, None)?;
        chunks.push(column.finish()?);
    }
    let mut column = Column::<BoolType>::new(kind, samples::STALE);
    column.write(&rows.iter().map(|row| row.stale).collect::<Vec<_>>(), None, None)?;
    chunks.push(column.finish()?);
    Ok(())
}
