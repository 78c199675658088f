//! Column chunks in memory, each page with its CRC.
//!
//! The Parquet crate encodes and compresses pages; this writes them, because the crate's own page writer leaves out
//! the CRC, and because its chunks cannot be written side by side.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use parquet::basic::{Encoding, PageType};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedRowGroupWriter;

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
    #[cfg(test)]
    pub(super) fn into_chunk(self) -> Vec<u8> {
        self.writer.close().expect("a column that closes");
        std::mem::take(&mut *lock(&self.chunk).expect("a lock that is free"))
    }

    /// Ends the chunk and puts it into the row group.
    pub(super) fn append_to(
        self,
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    ) -> Result<(), ParquetError> {
        let close = self.writer.close()?;
        let chunk = std::mem::take(&mut *lock(&self.chunk)?);
        group.append_column(&Bytes::from(chunk), close)
    }
}

/// A column of nullable lists and the rows collected for it.
pub(super) struct ListColumn<T: DataType> {
    column: Column<T>,
    values: Vec<T::T>,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

impl<T: DataType> ListColumn<T>
where
    T::T: Copy,
{
    pub(super) fn new(kind: &FileKind, index: usize) -> Self {
        let column = Column::new(kind, index);
        Self { column, values: Vec::new(), definitions: Vec::new(), repetitions: Vec::new() }
    }

    /// Adds a row: null, or a list that is not empty.
    pub(super) fn push(&mut self, row: Option<&[T::T]>) {
        let Some(row) = row else {
            self.definitions.push(0);
            self.repetitions.push(0);
            return;
        };
        self.definitions.resize(self.definitions.len() + row.len(), 2);
        let start = self.repetitions.len();
        self.repetitions.resize(start + row.len(), 1);
        if let Some(first) = self.repetitions.get_mut(start) {
            *first = 0;
        }
        self.values.extend_from_slice(row);
    }

    /// Encodes the rows collected so far.
    pub(super) fn flush(&mut self) -> Result<(), ParquetError> {
        self.column.write(&self.values, Some(&self.definitions), Some(&self.repetitions))?;
        self.values.clear();
        self.definitions.clear();
        self.repetitions.clear();
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn into_chunk(mut self) -> Vec<u8> {
        self.flush().expect("rows that can be encoded");
        self.column.into_chunk()
    }

    pub(super) fn append_to(
        mut self,
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    ) -> Result<(), ParquetError> {
        self.flush()?;
        self.column.append_to(group)
    }
}

struct PageSink {
    chunk: Arc<Mutex<Vec<u8>>>,
}

impl PageWriter for PageSink {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec, ParquetError> {
        let header = page_header(&page)?;
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

/// Parquet's `PageHeader` with the CRC-32 of the page's compressed bytes.
fn page_header(page: &CompressedPage) -> Result<Vec<u8>, ParquetError> {
    let size =
        |size: usize| i32::try_from(size).map_err(|_| ParquetError::General("a page is too large".into()));
    let mut header = Vec::with_capacity(40);
    let kind = if page.page_type() == PageType::DICTIONARY_PAGE { 2 } else { 0 };
    put_i32_field(&mut header, 1, kind);
    put_i32_field(&mut header, 1, size(page.uncompressed_size())?);
    put_i32_field(&mut header, 1, size(page.compressed_size())?);
    put_i32_field(&mut header, 1, crc32fast::hash(page.data()) as i32);
    match page.compressed_page() {
        Page::DataPage { num_values, encoding, def_level_encoding, rep_level_encoding, .. } => {
            header.push(0x1c);
            put_i32_field(&mut header, 1, size(*num_values as usize)?);
            for encoding in [encoding, def_level_encoding, rep_level_encoding] {
                put_i32_field(&mut header, 1, encoding_number(*encoding)?);
            }
            header.push(0);
        }
        Page::DictionaryPage { num_values, .. } => {
            header.push(0x3c);
            put_i32_field(&mut header, 1, size(*num_values as usize)?);
            put_i32_field(&mut header, 1, encoding_number(Encoding::PLAIN)?);
            header.push(0);
        }
        Page::DataPageV2 { .. } => return Err(ParquetError::General("a page of version 2".into())),
    }
    put_varint(&mut header, 0);
    Ok(header)
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
    chunk.lock().map_err(|_| ParquetError::General("a column writer panicked".into()))
}
