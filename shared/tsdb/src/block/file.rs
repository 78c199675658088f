//! A Parquet file that is being written: row groups of finished column chunks, then the footer.
//!
//! The Parquet crate's own file writer puts all page indexes behind the last row group. Here they lie within their row
//! group, between the index columns and the value columns, so that one ranged read gets all that is needed to find a
//! series' pages:
//!
//! ```text
//! PAR1 │ index columns │ offset indexes of value columns │ other page indexes │ value columns │ … │ footer │ PAR1
//!       └──────────── read once a row group ────────────┘                      └─ by page ─┘
//! ```

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaDataBuilder, ParquetMetaDataWriter,
    RowGroupMetaData,
};

use super::column::Chunk;
use super::footer;
use super::schema::{CHECKSUMS_KEY, FileKind};
use super::thrift::{put_binary, put_i32_field, put_varint};

const MAGIC: &[u8] = b"PAR1";

/// A file without its footer.
#[derive(Debug)]
pub(super) struct FileWriter {
    kind: FileKind,
    bytes: Vec<u8>,
    groups: Vec<RowGroupMetaData>,
    rows: usize,
}

/// Where the page indexes of a column are.
#[derive(Clone, Default)]
struct Indexes {
    offset: Range<usize>,
    column: Option<Range<usize>>,
}

impl FileWriter {
    pub(super) fn new(kind: FileKind) -> Self {
        Self { kind, bytes: MAGIC.to_vec(), groups: Vec::new(), rows: 0 }
    }

    /// The columns and how they are written.
    pub(super) fn kind(&self) -> &FileKind {
        &self.kind
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a row group that consists of `chunks`, one a column.
    pub(super) fn push_group(&mut self, rows: usize, chunks: &[Chunk]) -> Result<(), ParquetError> {
        let values = self.kind.value_columns.clone();
        let mut starts = Vec::with_capacity(chunks.len());
        for chunk in chunks.iter().take(values.start) {
            starts.push(self.bytes.len());
            self.bytes.extend_from_slice(&chunk.bytes);
        }
        let indexes = self.put_page_indexes(chunks, &mut starts)?;
        for chunk in chunks.iter().skip(values.start) {
            self.bytes.extend_from_slice(&chunk.bytes);
        }
        let columns = chunks.iter().zip(&starts).zip(&indexes).enumerate();
        let columns: Result<Vec<_>, _> = columns
            .map(|(column, ((chunk, start), indexes))| self.column(column, chunk, *start, indexes))
            .collect();
        let uncompressed: usize = chunks.iter().map(|chunk| chunk.uncompressed).sum();
        let sorting = self.kind.properties.sorting_columns().cloned();
        let group = RowGroupMetaData::builder(Arc::clone(&self.kind.schema))
            .set_num_rows(rows as i64)
            .set_total_byte_size(uncompressed as i64)
            .set_sorting_columns(sorting)
            .set_column_metadata(columns?)
            .build()?;
        self.groups.push(group);
        self.rows += rows;
        Ok(())
    }

    /// The whole file, with `metadata` and checksums in its footer.
    pub(super) fn finish(mut self, metadata: &[(&str, String)]) -> Result<Bytes, ParquetError> {
        let (checksums, key) = (footer::checksum_placeholder(self.groups.len()), CHECKSUMS_KEY);
        let pairs = metadata.iter().cloned().chain([(key, checksums)]);
        let pairs = pairs.map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect();
        let file = FileMetaData::new(
            1,
            self.rows as i64,
            Some(self.kind.properties.created_by().to_owned()),
            Some(pairs),
            Arc::clone(&self.kind.schema),
            None,
        );
        let metadata = ParquetMetaDataBuilder::new(file).set_row_groups(self.groups).build();
        ParquetMetaDataWriter::new(&mut self.bytes, &metadata).finish()?;
        footer::seal(&mut self.bytes, self.kind.value_columns.clone())
            .map_err(|reason| ParquetError::General(reason.to_owned()))?;
        Ok(Bytes::from(self.bytes))
    }

    /// Appends the page indexes of all columns, those of the value columns first, and notes where these will begin.
    fn put_page_indexes(
        &mut self,
        chunks: &[Chunk],
        starts: &mut Vec<usize>,
    ) -> Result<Vec<Indexes>, ParquetError> {
        let values = self.kind.value_columns.clone();
        // Offset indexes say where pages are, which depends on how long the indexes are: those of the value columns are
        // written with a guess of their total length until it is right.
        let (index_chunks, value_chunks) = chunks.split_at(values.start.min(chunks.len()));
        let begin = self.bytes.len();
        let mut rest = Vec::new();
        let mut rest_ranges = Vec::new();
        for (chunk, start) in index_chunks.iter().zip(starts.iter()) {
            let offset = append(&mut rest, |out| put_offset_index(out, chunk, *start))?;
            let column = match &chunk.page_bounds {
                Some(bounds) => Some(append(&mut rest, |out| put_column_index(out, bounds))?),
                None => None,
            };
            rest_ranges.push(Indexes { offset, column });
        }
        let mut guess = 0;
        let (front, front_ranges) = loop {
            let (mut front, mut ranges, mut start) = (Vec::new(), Vec::new(), begin + guess + rest.len());
            for chunk in value_chunks {
                ranges.push(append(&mut front, |out| put_offset_index(out, chunk, start))?);
                start += chunk.bytes.len();
            }
            // Longer than needed does no harm; numbers only grow with the guess, so this ends.
            if front.len() <= guess {
                front.resize(guess, 0);
                break (front, ranges);
            }
            guess = front.len();
        };
        self.bytes.extend_from_slice(&front);
        let shift = |range: Range<usize>, by: usize| range.start + by..range.end + by;
        let rest_begin = self.bytes.len();
        self.bytes.extend_from_slice(&rest);
        let mut start = self.bytes.len();
        for chunk in value_chunks {
            starts.push(start);
            start += chunk.bytes.len();
        }
        let of_index_columns = rest_ranges.into_iter().map(|indexes| Indexes {
            offset: shift(indexes.offset, rest_begin),
            column: indexes.column.map(|range| shift(range, rest_begin)),
        });
        let of_value_columns =
            front_ranges.into_iter().map(|range| Indexes { offset: shift(range, begin), column: None });
        Ok(of_index_columns.chain(of_value_columns).collect())
    }

    fn column(
        &self,
        column: usize,
        chunk: &Chunk,
        start: usize,
        indexes: &Indexes,
    ) -> Result<ColumnChunkMetaData, ParquetError> {
        let first_page = chunk.pages.first().map_or(0, |page| page.start);
        let len = |range: &Range<usize>| i32::try_from(range.len()).ok();
        let mut builder = ColumnChunkMetaData::builder(self.kind.schema.column(column))
            .set_encodings_mask(chunk.encodings)
            .set_compression(chunk.compression)
            .set_num_values(chunk.values as i64)
            .set_total_compressed_size(chunk.bytes.len() as i64)
            .set_total_uncompressed_size(chunk.uncompressed as i64)
            .set_data_page_offset((start + first_page) as i64)
            .set_dictionary_page_offset((first_page > 0).then_some(start as i64))
            .set_offset_index_offset(Some(indexes.offset.start as i64))
            .set_offset_index_length(len(&indexes.offset));
        if let Some(statistics) = &chunk.statistics {
            builder = builder.set_statistics(statistics.clone());
        }
        if let Some(range) = &indexes.column {
            builder =
                builder.set_column_index_offset(Some(range.start as i64)).set_column_index_length(len(range));
        }
        builder.build()
    }
}

fn append(
    out: &mut Vec<u8>,
    put: impl FnOnce(&mut Vec<u8>) -> Result<(), ParquetError>,
) -> Result<Range<usize>, ParquetError> {
    let start = out.len();
    put(out)?;
    Ok(start..out.len())
}

/// Parquet's `OffsetIndex` of a chunk that begins at `start` in the file.
fn put_offset_index(out: &mut Vec<u8>, chunk: &Chunk, start: usize) -> Result<(), ParquetError> {
    let size =
        |size: usize| i32::try_from(size).map_err(|_| ParquetError::General("a page is too large".into()));
    out.push(0x19);
    put_list_header(out, chunk.pages.len(), 0x0c);
    for page in &chunk.pages {
        out.push(0x16);
        put_varint(out, ((start + page.start) as u64) << 1);
        put_i32_field(out, 1, size(page.len)?);
        out.push(0x16);
        put_varint(out, (page.first_row as u64) << 1);
        out.push(0);
    }
    out.push(0);
    Ok(())
}

/// Parquet's `ColumnIndex` of pages with these bounds, in ascending order, without nulls.
fn put_column_index(out: &mut Vec<u8>, bounds: &[(Vec<u8>, Vec<u8>)]) -> Result<(), ParquetError> {
    const FALSE: u8 = 2;
    const ASCENDING: i32 = 1;
    out.push(0x19);
    put_list_header(out, bounds.len(), 0x01);
    out.extend(bounds.iter().map(|_| FALSE));
    let (least, greatest) = (bounds.iter().map(|bounds| &bounds.0), bounds.iter().map(|bounds| &bounds.1));
    out.push(0x19);
    put_list_header(out, bounds.len(), 0x08);
    least.for_each(|text| put_binary(out, text));
    out.push(0x19);
    put_list_header(out, bounds.len(), 0x08);
    greatest.for_each(|text| put_binary(out, text));
    put_i32_field(out, 1, ASCENDING);
    out.push(0);
    Ok(())
}

fn put_list_header(out: &mut Vec<u8>, len: usize, kind: u8) {
    if len < 15 {
        out.push((len as u8) << 4 | kind);
    } else {
        out.push(0xf0 | kind);
        put_varint(out, len as u64);
    }
}
