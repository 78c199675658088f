//! Column chunks in memory, each page with its CRC.
//!
//! The Parquet crate encodes and compresses the pages of the index columns; this writes them, because the crate's own
//! page writer leaves out the CRC, and because its chunks cannot be written side by side.

use std::sync::{Arc, Mutex};

use parquet::basic::{Compression, Encoding, EncodingMask};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::{ColumnCloseResult, ColumnWriterImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use super::schema::FileKind;
use super::thrift::{put_i32_field, put_varint};

/// One column of the row group that is being written.
pub(super) struct Column<T: DataType> {
    writer: ColumnWriterImpl<'static, T>,
    chunk: Arc<Mutex<Vec<u8>>>,
}

impl<T: DataType> Column<T> {
    /// An empty chunk of the leaf column `index`.
    pub(super) fn new(kind: &FileKind, index: usize) -> Self {
        let chunk = Arc::new(Mutex::new(Vec::new()));
        let sink = Box::new(PageSink { chunk: Arc::clone(&chunk) });
        let writer = ColumnWriterImpl::new(kind.schema.column(index), Arc::clone(&kind.properties), sink);
        Self { writer, chunk }
    }

    /// Adds values, with levels where the column has them.
    pub(super) fn write(
        &mut self,
        values: &[T::T],
        definitions: Option<&[i16]>,
        repetitions: Option<&[i16]>,
    ) -> Result<(), ParquetError> {
        self.writer.write_batch(values, definitions, repetitions).map(|_| ())
    }

    /// Adds a value or null a row.
    pub(super) fn write_optional(
        &mut self,
        rows: impl Iterator<Item = Option<T::T>>,
    ) -> Result<(), ParquetError> {
        let (mut values, mut definitions) = (Vec::new(), Vec::new());
        for row in rows {
            definitions.push(i16::from(row.is_some()));
            values.extend(row);
        }
        self.write(&values, Some(&definitions), None)
    }

    /// Ends the chunk.
    pub(super) fn finish(self) -> Result<Chunk, ParquetError> {
        let close = self.writer.close()?;
        let bytes = std::mem::take(&mut *lock(&self.chunk)?);
        Chunk::from_crate(bytes, &close)
    }

    /// Ends the chunk.
    #[cfg(test)]
    pub(super) fn into_chunk(self) -> Vec<u8> {
        self.finish().expect("a column that closes").bytes
    }
}

/// A finished column chunk.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    /// The data pages.
    pub(super) pages: Vec<PageAt>,
    /// Number of values, nulls included.
    pub(super) values: usize,
    /// Bytes before compression, with page headers.
    pub(super) uncompressed: usize,
    pub(super) encodings: EncodingMask,
    pub(super) compression: Compression,
    pub(super) statistics: Option<Statistics>,
    /// Least and greatest text of each page, where they are noted.
    pub(super) page_bounds: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    rows: usize,
}

/// A data page of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageAt {
    /// In the chunk's bytes, header included.
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) first_row: usize,
}

impl Chunk {
    /// A chunk without pages.
    pub(super) fn new(encoding: Encoding, compression: Compression) -> Self {
        Self {
            bytes: Vec::new(),
            pages: Vec::new(),
            values: 0,
            uncompressed: 0,
            encodings: EncodingMask::new_from_encodings([Encoding::RLE, encoding].iter()),
            compression,
            statistics: None,
            page_bounds: None,
            rows: 0,
        }
    }

    /// Appends a data page of `rows` rows.
    pub(super) fn push_page(&mut self, header: &[u8], compressed: &[u8], info: &PageInfo, rows: usize) {
        let len = header.len() + compressed.len();
        self.pages.push(PageAt { start: self.bytes.len(), len, first_row: self.rows });
        self.bytes.extend_from_slice(header);
        self.bytes.extend_from_slice(compressed);
        self.uncompressed += header.len() + info.uncompressed;
        self.values += info.count;
        self.rows += rows;
    }

    fn from_crate(bytes: Vec<u8>, close: &ColumnCloseResult) -> Result<Self, ParquetError> {
        let size = |size: i64| usize::try_from(size).map_err(|_| general("a size is negative"));
        let mut pages = Vec::new();
        for page in close.offset_index.iter().flat_map(|index| &index.page_locations) {
            let len = page.compressed_page_size.max(0) as usize;
            pages.push(PageAt { start: size(page.offset)?, len, first_row: size(page.first_row_index)? });
        }
        let page_bounds = match &close.column_index {
            Some(ColumnIndexMetaData::BYTE_ARRAY(index)) => {
                let bounds = index.min_values_iter().zip(index.max_values_iter());
                bounds.map(|(min, max)| Some((min?.to_vec(), max?.to_vec()))).collect()
            }
            _ => None,
        };
        Ok(Self {
            bytes,
            pages,
            values: size(close.metadata.num_values())?,
            uncompressed: size(close.metadata.uncompressed_size())?,
            encodings: *close.metadata.encodings_mask(),
            compression: close.metadata.compression(),
            statistics: close.metadata.statistics().cloned(),
            page_bounds,
            rows: size(close.rows_written as i64)?,
        })
    }
}

struct PageSink {
    chunk: Arc<Mutex<Vec<u8>>>,
}

impl PageWriter for PageSink {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec, ParquetError> {
        let (is_dictionary, encoding) = match page.compressed_page() {
            Page::DataPage { encoding, .. } => (false, *encoding),
            Page::DictionaryPage { .. } => (true, Encoding::PLAIN),
            Page::DataPageV2 { .. } => return Err(general("a page of version 2")),
        };
        let info = PageInfo {
            is_dictionary,
            uncompressed: page.uncompressed_size(),
            count: page.num_values() as usize,
            encoding,
        };
        let header = page_header(&info, page.data())?;
        let mut chunk = lock(&self.chunk)?;
        let mut spec = PageWriteSpec::new();
        spec.page_type = page.page_type();
        spec.num_values = page.num_values();
        spec.uncompressed_size = page.uncompressed_size() + header.len();
        spec.compressed_size = page.compressed_size() + header.len();
        spec.offset = chunk.len() as u64;
        spec.bytes_written = spec.compressed_size as u64;
        chunk.extend_from_slice(&header);
        chunk.extend_from_slice(page.data());
        Ok(spec)
    }

    fn close(&mut self) -> Result<(), ParquetError> {
        Ok(())
    }
}

/// What the header of a page says.
pub(super) struct PageInfo {
    pub(super) is_dictionary: bool,
    /// Bytes before compression, without the header.
    pub(super) uncompressed: usize,
    /// Number of values, nulls included.
    pub(super) count: usize,
    pub(super) encoding: Encoding,
}

/// Parquet's `PageHeader`, with the CRC-32 of the page's compressed bytes.
pub(super) fn page_header(page: &PageInfo, compressed: &[u8]) -> Result<Vec<u8>, ParquetError> {
    let size = |size: usize| i32::try_from(size).map_err(|_| general("a page is too large"));
    let mut header = Vec::with_capacity(40);
    put_i32_field(&mut header, 1, if page.is_dictionary { 2 } else { 0 });
    put_i32_field(&mut header, 1, size(page.uncompressed)?);
    put_i32_field(&mut header, 1, size(compressed.len())?);
    put_i32_field(&mut header, 1, crc32fast::hash(compressed) as i32);
    header.push(if page.is_dictionary { 0x3c } else { 0x1c });
    put_i32_field(&mut header, 1, size(page.count)?);
    put_i32_field(&mut header, 1, encoding_number(page.encoding)?);
    if !page.is_dictionary {
        put_i32_field(&mut header, 1, encoding_number(Encoding::RLE)?);
        put_i32_field(&mut header, 1, encoding_number(Encoding::RLE)?);
    }
    put_varint(&mut header, 0);
    put_varint(&mut header, 0);
    Ok(header)
}

fn general(reason: &str) -> ParquetError {
    ParquetError::General(reason.to_owned())
}

fn encoding_number(encoding: Encoding) -> Result<i32, ParquetError> {
    match encoding {
        Encoding::PLAIN => Ok(0),
        Encoding::RLE => Ok(3),
        Encoding::DELTA_BINARY_PACKED => Ok(5),
        // The writer of version-1 pages names dictionary pages by its old name.
        Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY => Ok(8),
        other => Err(ParquetError::General(format!("a page encoded as {other}"))),
    }
}

fn lock(chunk: &Mutex<Vec<u8>>) -> Result<std::sync::MutexGuard<'_, Vec<u8>>, ParquetError> {
    chunk.lock().map_err(|_| general("a column writer panicked"))
}
