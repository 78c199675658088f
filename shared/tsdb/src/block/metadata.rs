//! What a block knows of metric families: one small file.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::{Metadata, MetricType};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;

use super::column::Column;
use super::file::FileWriter;
use super::page::Levels;
use super::schema::{FileKind, METADATA_FILE, metadata};
use super::texts::{TextColumn, read_texts};
use super::types::BlockError;
use super::writer::{encode_error, file_metadata};

/// The metadata file of some answers; none without any. They are sorted by metric family.
pub(super) fn write_metadata(
    answers: &BTreeSet<Metadata>,
    times: (i64, i64),
) -> Result<Option<(String, Bytes)>, BlockError> {
    if answers.is_empty() {
        return Ok(None);
    }
    let bytes = write(answers, times).map_err(|error| encode_error(METADATA_FILE, &error))?;
    Ok(Some((METADATA_FILE.to_owned(), bytes)))
}

fn write(answers: &BTreeSet<Metadata>, times: (i64, i64)) -> Result<Bytes, ParquetError> {
    let kind = FileKind::metadata()?;
    let mut writer = FileWriter::new(kind.clone());
    let mut group = Vec::with_capacity(metadata::COUNT);
    for (index, get) in [
        (metadata::METRIC_FAMILY, (|answer| &answer.metric_family) as fn(&Metadata) -> &str),
        (metadata::TYPE, |answer| answer.kind.as_str()),
        (metadata::HELP, |answer| &answer.help),
        (metadata::UNIT, |answer| &answer.unit),
    ] {
        let mut column = Column::<ByteArrayType>::new(&kind, index);
        let texts: Vec<ByteArray> = answers.iter().map(|answer| ByteArray::from(get(answer))).collect();
        column.write(&texts, None, None)?;
        group.push(column.finish()?);
    }
    writer.push_group(answers.len(), &group)?;
    writer.finish(&file_metadata(times))
}

/// Decodes all columns of a row group.
pub(super) fn read_metadata(columns: &[Bytes], rows: usize) -> Result<Vec<Metadata>, &'static str> {
    const MALFORMED: &str = "an answer of the metadata is malformed";
    let column = |column: usize| {
        let bytes = columns.get(column).ok_or("a column is missing")?;
        read_texts(bytes, Levels::REQUIRED, rows)
    };
    let families = column(metadata::METRIC_FAMILY)?;
    let kinds = column(metadata::TYPE)?;
    let (helps, units) = (column(metadata::HELP)?, column(metadata::UNIT)?);
    let text = |column: &TextColumn, row: usize| Some(column.texts.get(*column.ids.get(row)?)?.to_owned());
    let answer = |row: usize| {
        Some(Metadata {
            metric_family: text(&families, row)?,
            kind: MetricType::from_name(&text(&kinds, row)?)?,
            help: text(&helps, row)?,
            unit: text(&units, row)?,
        })
    };
    (0..rows).map(answer).collect::<Option<_>>().ok_or(MALFORMED)
}
