//! The exemplars of a block: one file, one row each, sorted by series and time.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use model::{Exemplar, Labels, Matcher, TimestampMs};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use storage::SeriesExemplars;

use super::column::{Chunk, Column};
use super::file::FileWriter;
use super::footer::Footer;
use super::group_writer::write_labels;
use super::label_queries::matcher_slices;
use super::labels::LabelIndex;
use super::page::{Levels, read_chunk};
use super::reader::{BlockReader, may_match};
use super::schema::{EXEMPLARS_FILE, FileKind, exemplars, samples};
use super::source::Source;
use super::texts::read_texts;
use super::types::{BlockError, compare, exemplar_hash};
use super::writer::{encode_error, file_metadata};

/// Rows of a row group: what a reader of one metric reads at least.
const GROUP_ROWS: usize = 8192;

/// The exemplars of a block that is being written: all are held in memory.
#[derive(Debug, Default)]
pub(super) struct ExemplarWriter {
    series: BTreeMap<Key, Vec<Exemplar>>,
}

/// Labels in a block's order.
#[derive(Debug, PartialEq, Eq)]
struct Key(Labels);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        compare(&self.0, &other.0)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl ExemplarWriter {
    /// Adds exemplars; gives what they add to the set hash.
    pub(super) fn push(&mut self, added: &SeriesExemplars) -> u128 {
        if added.exemplars.is_empty() {
            return 0;
        }
        let hash = added.labels.hash();
        let kept = self.series.entry(Key(added.labels.clone())).or_default();
        kept.extend(added.exemplars.iter().cloned());
        let hashes = added.exemplars.iter().map(|exemplar| exemplar_hash(hash, exemplar));
        hashes.fold(0, u128::wrapping_add)
    }

    /// The file, if there are any.
    pub(super) fn finish(self) -> Result<Option<(String, Bytes)>, BlockError> {
        let mut rows: Vec<(Labels, Exemplar)> = Vec::new();
        for (Key(labels), mut exemplars) in self.series {
            exemplars.sort_by_key(|exemplar| exemplar.timestamp);
            rows.extend(exemplars.into_iter().map(|exemplar| (labels.clone(), exemplar)));
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let bytes = write(&rows).map_err(|error| encode_error(EXEMPLARS_FILE, &error))?;
        Ok(Some((EXEMPLARS_FILE.to_owned(), bytes)))
    }
}

fn write(rows: &[(Labels, Exemplar)]) -> Result<Bytes, ParquetError> {
    let kind = FileKind::exemplars()?;
    let mut writer = FileWriter::new(kind.clone());
    let instants = || rows.iter().map(|(_, exemplar)| exemplar.timestamp);
    let times = (instants().min().unwrap_or_default(), instants().max().unwrap_or_default());
    for rows in rows.chunks(GROUP_ROWS) {
        let mut group = Vec::with_capacity(exemplars::COUNT);
        write_labels(&kind, rows.iter().map(|(labels, _)| labels), &mut group)?;
        let mut column = Column::<Int64Type>::new(&kind, exemplars::TS);
        column.write(&rows.iter().map(|(_, row)| row.timestamp).collect::<Vec<_>>(), None, None)?;
        group.push(column.finish()?);
        let mut column = Column::<DoubleType>::new(&kind, exemplars::VALUE);
        column.write(&rows.iter().map(|(_, row)| row.value).collect::<Vec<_>>(), None, None)?;
        group.push(column.finish()?);
        write_own_labels(&kind, rows, &mut group)?;
        writer.push_group(rows.len(), &group)?;
    }
    writer.finish(&file_metadata(times))
}

fn write_own_labels(
    kind: &FileKind,
    rows: &[(Labels, Exemplar)],
    group: &mut Vec<Chunk>,
) -> Result<(), ParquetError> {
    let (mut names, mut values) = (Vec::new(), Vec::new());
    let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
    for (_, exemplar) in rows {
        let before = names.len();
        for (name, value) in &exemplar.labels {
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
    for (index, texts) in [(exemplars::LABEL_NAME, &names), (exemplars::LABEL_VALUE, &values)] {
        let mut column = Column::<ByteArrayType>::new(kind, index);
        column.write(texts, Some(&definitions), Some(&repetitions))?;
        group.push(column.finish()?);
    }
    Ok(())
}

impl BlockReader {
    /// The exemplars of `min..=max` ms of the series that satisfy all matchers of any one set (of no set: of every
    /// series), in the block's order of series; row groups of other metrics are not read.
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn exemplars(
        &self,
        matcher_sets: &[Vec<Matcher>],
        min: TimestampMs,
        max: TimestampMs,
    ) -> Result<Vec<SeriesExemplars>, BlockError> {
        let sets = matcher_slices(matcher_sets);
        let mut scan = self.scan_exemplars();
        let mut found = Vec::new();
        while let Some((rows, file)) = scan.next_rows(&sets).await? {
            let wanted = rows.labels.matching_any(&sets);
            rows.collect(wanted, (min, max), &mut found).map_err(|reason| file.corrupt(reason))?;
        }
        Ok(found)
    }

    /// All exemplars, a row group at a time.
    #[must_use]
    pub fn scan_exemplars(&self) -> ExemplarScan<'_> {
        ExemplarScan { reader: self, group: 0, held: Vec::new() }
    }
}

/// What [`BlockReader::scan_exemplars`] gives.
#[derive(Debug)]
pub struct ExemplarScan<'a> {
    reader: &'a BlockReader,
    group: usize,
    /// The last series so far, which the next row group may go on with.
    held: Vec<SeriesExemplars>,
}

impl ExemplarScan<'_> {
    /// The next series that have exemplars, in the block's order, at least one; `None` after the last. A series is never
    /// split.
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn next(&mut self) -> Result<Option<Vec<SeriesExemplars>>, BlockError> {
        let all: &[Matcher] = &[];
        while let Some((rows, file)) = self.next_rows(&[all]).await? {
            let every = 0..rows.labels.rows() as u32;
            let times = (TimestampMs::MIN, TimestampMs::MAX);
            rows.collect(every, times, &mut self.held).map_err(|reason| file.corrupt(reason))?;
            if self.held.len() > 1 {
                let last = self.held.split_off(self.held.len() - 1);
                return Ok(Some(std::mem::replace(&mut self.held, last)));
            }
        }
        let rest = std::mem::take(&mut self.held);
        Ok((!rest.is_empty()).then_some(rest))
    }

    /// The next row group that may have series of any one matcher set, and the file that it is of.
    async fn next_rows(
        &mut self,
        sets: &[&[Matcher]],
    ) -> Result<Option<(ExemplarRows, OpenFile)>, BlockError> {
        let Some(file) = &self.reader.exemplars else { return Ok(None) };
        let opened = file.open().await?;
        while let Some(group) = opened.1.groups.get(self.group) {
            self.group += 1;
            let bounds = group.columns.get(samples::METRIC).and_then(|chunk| chunk.bounds.as_ref());
            let bounds = bounds.map(|(min, max)| (min.as_slice(), max.as_slice()));
            if sets.iter().any(|set| may_match(set, bounds)) {
                let columns = self.reader.read_group(&opened.0, group).await?;
                let rows = ExemplarRows::read(&columns, group.rows);
                let rows = rows.map_err(|reason| opened.0.corrupt(reason))?;
                return Ok(Some((rows, OpenFile(opened))));
            }
        }
        Ok(None)
    }
}

/// The file that a row group is of.
struct OpenFile(Arc<(Source, Footer)>);

impl OpenFile {
    fn corrupt(&self, reason: &str) -> BlockError {
        self.0.0.corrupt(reason)
    }
}

/// A row group of exemplars, decoded.
struct ExemplarRows {
    labels: LabelIndex,
    exemplars: Vec<Exemplar>,
}

impl ExemplarRows {
    /// Decodes all columns of a row group.
    fn read(columns: &[Bytes], rows: usize) -> Result<Self, &'static str> {
        const MALFORMED: &str = "an exemplar is malformed";
        let chunk = |column: usize| columns.get(column).ok_or("a column is missing");
        let labels = LabelIndex::read(
            chunk(samples::METRIC)?,
            chunk(samples::LABEL_NAME)?,
            chunk(samples::LABEL_VALUE)?,
            rows,
        )?;
        let timestamps = read_chunk::<i64>(chunk(exemplars::TS)?, Levels::REQUIRED, rows)?.into_values();
        let values = read_chunk::<f64>(chunk(exemplars::VALUE)?, Levels::REQUIRED, rows)?.into_values();
        let names = read_texts(chunk(exemplars::LABEL_NAME)?, Levels::LIST, rows)?;
        let texts = read_texts(chunk(exemplars::LABEL_VALUE)?, Levels::LIST, rows)?;
        if names.starts != texts.starts {
            return Err(MALFORMED);
        }
        let mut read = Vec::with_capacity(rows);
        for (row, (timestamp, value)) in timestamps.into_iter().zip(values).enumerate() {
            let pair = |at: usize| {
                let name = names.texts.get(*names.ids.get(at)?)?;
                Some((name, texts.texts.get(*texts.ids.get(at)?)?))
            };
            let bounds = names.starts.get(row).zip(names.starts.get(row + 1)).ok_or(MALFORMED)?;
            let pairs: Option<Vec<_>> = (*bounds.0 as usize..*bounds.1 as usize).map(pair).collect();
            let labels = Labels::from_sorted(pairs.ok_or(MALFORMED)?);
            read.push(Exemplar { labels, value, timestamp });
        }
        if read.len() == rows { Ok(Self { labels, exemplars: read }) } else { Err(MALFORMED) }
    }

    /// Appends the exemplars of `rows` of `min..=max` ms to `found`, those of one series together.
    fn collect(
        &self,
        rows: impl IntoIterator<Item = u32>,
        (min, max): (TimestampMs, TimestampMs),
        found: &mut Vec<SeriesExemplars>,
    ) -> Result<(), &'static str> {
        let mut last = None;
        for row in rows {
            let row = row as usize;
            let exemplar = self.exemplars.get(row).ok_or("an exemplar is missing")?;
            if !(min..=max).contains(&exemplar.timestamp) {
                continue;
            }
            let is_same = last.is_some_and(|last| self.labels.same_series(last, row));
            if !is_same {
                let labels = self.labels.labels(row).ok_or("an exemplar is without labels")?;
                // A series may go on in the next row group.
                if found.last().is_none_or(|found| found.labels != labels) {
                    found.push(SeriesExemplars { labels, exemplars: Vec::new() });
                }
            }
            last = Some(row);
            if let Some(series) = found.last_mut() {
                series.exemplars.push(exemplar.clone());
            }
        }
        Ok(())
    }
}
