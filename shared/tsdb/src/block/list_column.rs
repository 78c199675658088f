//! Columns of lists, encoded by our own hand: the values of a block are in them.
//!
//! A page is levels (as runs), then packed differences or doubles, compressed with one context that is kept.

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;

use super::column::{Chunk, PageInfo, page_header};
use super::delta::Packer;
use super::thrift::put_varint;

/// How the pages of a list column are cut and compressed.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListOptions {
    /// Definition level of a value: 2 where lists may be null, 1 where not.
    pub(super) definition: u8,
    pub(super) zstd_level: i32,
    /// Lists a page; nulls do not count, for they take nothing.
    pub(super) page_lists: usize,
    /// Bytes of values before compression; one row may exceed it.
    pub(super) page_bytes: usize,
}

/// What lists may be of: `i64` packed, `f64` plain.
pub(super) trait Item: Copy {
    type Encoder: ItemEncoder<Self>;
}

/// Encodes the values of one page.
pub(super) trait ItemEncoder<T>: Default + std::fmt::Debug {
    const ENCODING: Encoding;

    fn push(&mut self, values: &[T]);

    /// Bytes so far, about.
    fn len(&self) -> usize;

    /// Appends the page's values to `out` and begins anew.
    fn finish(&mut self, out: &mut Vec<u8>);
}

/// A column chunk that is being written.
pub(super) struct ListColumn<T: Item> {
    options: ListOptions,
    compressor: zstd::bulk::Compressor<'static>,
    values: T::Encoder,
    repetitions: Runs,
    definitions: Runs,
    rows: usize,
    lists: usize,
    levels: usize,
    body: Vec<u8>,
    chunk: Chunk,
}

impl<T: Item> std::fmt::Debug for ListColumn<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListColumn").field("chunk", &self.chunk).finish_non_exhaustive()
    }
}

impl<T: Item> ListColumn<T> {
    pub(super) fn new(options: ListOptions) -> Result<Self, ParquetError> {
        let compressor = zstd::bulk::Compressor::new(options.zstd_level)?;
        let compression = Compression::ZSTD(ZstdLevel::try_new(options.zstd_level)?);
        Ok(Self {
            options,
            compressor,
            values: T::Encoder::default(),
            repetitions: Runs::default(),
            definitions: Runs::default(),
            rows: 0,
            lists: 0,
            levels: 0,
            body: Vec::new(),
            chunk: Chunk::new(T::Encoder::ENCODING, compression),
        })
    }

    /// Adds a row: null, or a list that is not empty.
    pub(super) fn push(&mut self, row: Option<&[T]>) -> Result<(), ParquetError> {
        let len = row.map_or(1, |row| row.len().max(1));
        self.repetitions.push(0, 1);
        self.repetitions.push(1, len - 1);
        self.definitions.push(if row.is_some() { self.options.definition } else { 0 }, len);
        self.levels += len;
        self.rows += 1;
        self.lists += usize::from(row.is_some());
        self.values.push(row.unwrap_or_default());
        if self.lists >= self.options.page_lists || self.values.len() >= self.options.page_bytes {
            self.end_page()?;
        }
        Ok(())
    }

    /// Ends the chunk.
    pub(super) fn finish(mut self) -> Result<Chunk, ParquetError> {
        if self.rows > 0 {
            self.end_page()?;
        }
        Ok(self.chunk)
    }

    fn end_page(&mut self) -> Result<(), ParquetError> {
        self.body.clear();
        self.repetitions.finish(&mut self.body);
        self.definitions.finish(&mut self.body);
        self.values.finish(&mut self.body);
        let compressed = self.compressor.compress(&self.body)?;
        let info = PageInfo {
            is_dictionary: false,
            uncompressed: self.body.len(),
            count: self.levels,
            encoding: T::Encoder::ENCODING,
        };
        let header = page_header(&info, &compressed)?;
        self.chunk.push_page(&header, &compressed, &info, self.rows);
        (self.rows, self.lists, self.levels) = (0, 0, 0);
        Ok(())
    }
}

impl Item for i64 {
    type Encoder = Packer;
}

impl ItemEncoder<i64> for Packer {
    const ENCODING: Encoding = Encoding::DELTA_BINARY_PACKED;

    fn push(&mut self, values: &[i64]) {
        Self::push(self, values);
    }

    fn len(&self) -> usize {
        Self::len(self)
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        Self::finish(self, out);
    }
}

impl Item for f64 {
    type Encoder = Vec<u8>;
}

impl ItemEncoder<f64> for Vec<u8> {
    const ENCODING: Encoding = Encoding::PLAIN;

    fn push(&mut self, values: &[f64]) {
        self.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn len(&self) -> usize {
        Self::len(self)
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(self);
    }
}

/// Levels as runs of RLE, which all lists consist of.
#[derive(Debug, Default)]
struct Runs {
    bytes: Vec<u8>,
    level: u8,
    len: usize,
}

impl Runs {
    fn push(&mut self, level: u8, len: usize) {
        if len == 0 {
            return;
        }
        if level != self.level {
            self.end();
            self.level = level;
        }
        self.len += len;
    }

    /// Appends length and runs to `out` and begins anew.
    fn finish(&mut self, out: &mut Vec<u8>) {
        self.end();
        out.extend_from_slice(&(self.bytes.len() as u32).to_le_bytes());
        out.append(&mut self.bytes);
    }

    fn end(&mut self) {
        if self.len > 0 {
            put_varint(&mut self.bytes, (self.len as u64) << 1);
            self.bytes.push(self.level);
            self.len = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::page::{Levels, ListItem, ListReader};
    use super::*;

    const OPTIONS: ListOptions =
        ListOptions { definition: 2, zstd_level: 3, page_lists: 7, page_bytes: 2_000 };

    /// Writes rows and reads them back, page by page.
    fn check<T: Item + ListItem>(rows: &[Option<Vec<T>>], bits: impl Fn(&T) -> u64) {
        let mut column = ListColumn::<T>::new(OPTIONS).unwrap();
        for row in rows {
            column.push(row.as_deref()).unwrap();
        }
        let chunk = column.finish().unwrap();
        let mut reader = ListReader::<T>::new();
        let mut done = 0;
        for (index, page) in chunk.pages.iter().enumerate() {
            let next = chunk.pages.get(index + 1).map_or(rows.len(), |page| page.first_row);
            let bytes = &chunk.bytes[page.start..page.start + page.len];
            assert!(reader.read(bytes, Levels::OPTIONAL_LIST, next - done + 1).is_err());
            let read = reader.read(bytes, Levels::OPTIONAL_LIST, next - done).unwrap();
            for (at, row) in rows[done..next].iter().enumerate() {
                let read: Vec<u64> = read.get(at).unwrap().iter().map(&bits).collect();
                assert_eq!(read, row.iter().flatten().map(&bits).collect::<Vec<_>>());
            }
            done = next;
        }
        assert_eq!(done, rows.len());
    }

    proptest! {
        #[test]
        fn lists_of_integers_come_back(rows in prop::collection::vec(prop::option::of(prop_oneof![
            prop::collection::vec(any::<i64>(), 1..300),
            prop::collection::vec(-100i64..100, 1..300),
        ]), 1..70)) {
            check(&rows, |value| *value as u64);
        }

        #[test]
        fn lists_of_doubles_come_back(rows in prop::collection::vec(prop::option::of(
            prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 1..300)
        ), 1..70)) {
            check(&rows, |value| value.to_bits());
        }
    }
}
