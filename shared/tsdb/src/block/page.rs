//! Pages: header, CRC, decompression, levels, values.

use std::cell::RefCell;

use super::delta::unpack_all;
use super::encoding::{Physical, Runs, hybrid};
use super::thrift;

/// Largest page after decompression.
const PAGE_BYTES_MAX: usize = 1 << 30;
/// zstd's blocks hold at most 128 KiB and take at least four bytes: no honest page is larger than this many times its
/// compressed form.
const ZSTD_RATIO_MAX: usize = 40_000;
/// Most levels of one page: a run of any length takes only a few bytes, so this bounds memory.
const LEVELS_MAX: usize = 1 << 26;

pub(super) const DATA_PAGE: i64 = 0;
pub(super) const DICTIONARY_PAGE: i64 = 2;
pub(super) const PLAIN: i64 = 0;
pub(super) const PLAIN_DICTIONARY: i64 = 2;
const RLE: i64 = 3;
const DELTA_BINARY_PACKED: i64 = 5;
pub(super) const RLE_DICTIONARY: i64 = 8;

/// Largest repetition and definition level of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Levels {
    pub(super) repetition: u8,
    pub(super) definition: u8,
}

impl Levels {
    /// A value in every row.
    pub(super) const REQUIRED: Self = Self { repetition: 0, definition: 0 };
    /// A value or null.
    pub(super) const OPTIONAL: Self = Self { repetition: 0, definition: 1 };
    /// A list that is not null.
    pub(super) const LIST: Self = Self { repetition: 1, definition: 1 };
    /// A list or null.
    pub(super) const OPTIONAL_LIST: Self = Self { repetition: 1, definition: 2 };
}

/// The rows of one or more pages: lists of values. A column that is not repeated has lists of at most one.
#[derive(Clone, Debug)]
pub(super) struct Rows<T> {
    /// Where each row's values begin in `values`, and after the last row its end. What is behind that means nothing.
    starts: Vec<usize>,
    values: Vec<T>,
}

impl<T> Rows<T> {
    fn empty() -> Self {
        Self { starts: vec![0], values: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The values of row `index`; none where it is null.
    pub(super) fn get(&self, index: usize) -> Option<&[T]> {
        self.values.get(*self.starts.get(index)?..*self.starts.get(index + 1)?)
    }

    /// The values of a column that is required and not repeated.
    pub(super) fn into_values(self) -> Vec<T> {
        self.values
    }
}

/// All rows of a column chunk of `rows` rows.
pub(super) fn read_chunk<T: Physical>(
    mut bytes: &[u8],
    levels: Levels,
    rows: usize,
) -> Result<Rows<T>, &'static str> {
    let mut all = Rows::empty();
    let mut dictionary = None;
    while !bytes.is_empty() {
        let (page, len) = Page::read(bytes)?;
        bytes = bytes.get(len..).unwrap_or_default();
        if page.kind == DICTIONARY_PAGE {
            dictionary = Some(page.dictionary::<T>()?);
        } else {
            page.append_rows(levels, dictionary.as_deref(), rows, &mut all)?;
        }
    }
    if all.len() == rows { Ok(all) } else { Err("a column has another number of rows") }
}

/// Reads pages of lists one after the other, with the memory of the one before.
pub(super) struct ListReader<T> {
    body: Vec<u8>,
    rows: Rows<T>,
}

impl<T: ListItem> ListReader<T> {
    pub(super) fn new() -> Self {
        Self { body: Vec::new(), rows: Rows::empty() }
    }

    /// The rows of the page read last.
    pub(super) fn rows(&self) -> &Rows<T> {
        &self.rows
    }

    /// The rows of one data page, which fills `bytes` and has `rows` rows.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        levels: Levels,
        rows: usize,
    ) -> Result<&Rows<T>, &'static str> {
        let (header, len) = Header::read(bytes)?;
        if header.kind != DATA_PAGE || len != bytes.len() {
            return Err("a page is not where it should be");
        }
        header.decompress(&mut self.body)?;
        let mut body = self.body.as_slice();
        let present = list_starts(&mut body, levels, header.count, rows, &mut self.rows.starts)?;
        T::read(header.encoding, body, present, &mut self.rows.values)
            .ok_or("the values of a page are malformed")?;
        Ok(&self.rows)
    }
}

/// What lists may be of.
pub(super) trait ListItem: Sized {
    /// Exactly `count` values that fill `body` into the front of `values`.
    fn read(encoding: i64, body: &[u8], count: usize, values: &mut Vec<Self>) -> Option<()>;
}

impl ListItem for i64 {
    fn read(encoding: i64, body: &[u8], count: usize, values: &mut Vec<Self>) -> Option<()> {
        if encoding == DELTA_BINARY_PACKED { unpack_all(body, count, values) } else { None }
    }
}

impl ListItem for f64 {
    fn read(encoding: i64, body: &[u8], count: usize, values: &mut Vec<Self>) -> Option<()> {
        let (chunks, rest) = body.as_chunks();
        if encoding != PLAIN || chunks.len() != count || !rest.is_empty() {
            return None;
        }
        values.clear();
        values.extend(chunks.iter().map(|bytes| Self::from_le_bytes(*bytes)));
        Some(())
    }
}

/// Finds where each of `rows` lists begins from the levels in front of `body`, run by run, and how many values there
/// are.
fn list_starts(
    body: &mut &[u8],
    levels: Levels,
    count: usize,
    rows: usize,
    starts: &mut Vec<usize>,
) -> Result<usize, &'static str> {
    const MALFORMED: &str = "the levels of a page are malformed";
    let mut repetitions = level_runs(body, levels.repetition).ok_or(MALFORMED)?;
    let mut definitions = level_runs(body, levels.definition).ok_or(MALFORMED)?;
    starts.clear();
    let (mut repetition, mut definition) = ((0, 0), (0, 0));
    let (mut left, mut present) = (count, 0usize);
    while left > 0 {
        if repetition.1 == 0 {
            repetition = repetitions.next().ok_or(MALFORMED)?;
        }
        if definition.1 == 0 {
            definition = definitions.next().ok_or(MALFORMED)?;
        }
        let run = repetition.1.min(definition.1).min(left);
        let is_present = definition.0 == u32::from(levels.definition);
        if repetition.0 == 0 {
            if run > rows - starts.len() {
                return Err("a page has too many rows");
            }
            let step = usize::from(is_present);
            starts.extend((0..run).map(|row| present + row * step));
        } else if starts.is_empty() {
            return Err("a page begins within a row");
        }
        present += if is_present { run } else { 0 };
        left -= run;
        repetition.1 -= run;
        definition.1 -= run;
    }
    if starts.len() != rows {
        return Err("a page has another number of rows");
    }
    starts.push(present);
    Ok(present)
}

fn level_runs<'a>(body: &mut &'a [u8], max: u8) -> Option<Runs<'a>> {
    let (len, rest) = body.split_first_chunk::<4>()?;
    let (levels, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    *body = rest;
    Some(Runs::new(levels, bit_width(max)))
}

fn bit_width(max: u8) -> u8 {
    (8 - max.leading_zeros()) as u8
}

/// What a page's header says, and the compressed bytes behind it, of which the CRC is right.
struct Header<'a> {
    kind: i64,
    count: usize,
    encoding: i64,
    uncompressed: usize,
    compressed: &'a [u8],
}

impl<'a> Header<'a> {
    /// The header at the front of `bytes`, and the length of its page.
    fn read(bytes: &'a [u8]) -> Result<(Self, usize), &'static str> {
        const MALFORMED: &str = "a page header is malformed";
        let (header, header_len) = thrift::read(bytes).ok_or(MALFORMED)?;
        let kind = header.int(1).ok_or(MALFORMED)?;
        let uncompressed = header.size(2).filter(|len| *len <= PAGE_BYTES_MAX).ok_or(MALFORMED)?;
        let end = header.size(3).and_then(|len| header_len.checked_add(len)).ok_or(MALFORMED)?;
        let compressed = bytes.get(header_len..end).ok_or("a page is cut off")?;
        if header.int(4).ok_or(MALFORMED)? as i32 as u32 != crc32fast::hash(compressed) {
            return Err("the checksum of a page is wrong");
        }
        let of_kind = match kind {
            DATA_PAGE => header.structure(5),
            DICTIONARY_PAGE => header.structure(7),
            _ => None,
        };
        let of_kind = of_kind.ok_or(MALFORMED)?;
        let count = of_kind.size(1).filter(|count| *count <= LEVELS_MAX).ok_or(MALFORMED)?;
        let encoding = of_kind.int(2).ok_or(MALFORMED)?;
        if kind == DATA_PAGE && (of_kind.int(3), of_kind.int(4)) != (Some(RLE), Some(RLE)) {
            return Err(MALFORMED);
        }
        if uncompressed > compressed.len().saturating_mul(ZSTD_RATIO_MAX) {
            return Err("a page's length is out of bounds");
        }
        Ok((Self { kind, count, encoding, uncompressed, compressed }, end))
    }

    /// The page's content in place of what `body` has.
    fn decompress(&self, body: &mut Vec<u8>) -> Result<(), &'static str> {
        body.clear();
        body.reserve_exact(self.uncompressed);
        let decompressed = DECOMPRESSOR.with_borrow_mut(|decompressor| {
            if decompressor.is_none() {
                *decompressor = zstd::bulk::Decompressor::new().ok();
            }
            let decompressor = decompressor.as_mut()?;
            decompressor.decompress_to_buffer(self.compressed, body).ok()
        });
        match decompressed {
            None => Err("a page cannot be decompressed"),
            Some(len) if len != self.uncompressed => Err("a page's length is wrong"),
            Some(_) => Ok(()),
        }
    }
}

thread_local! {
    /// A context takes more memory than most pages: making one for each would take longer than they do.
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A page, decompressed.
pub(super) struct Page {
    pub(super) kind: i64,
    pub(super) count: usize,
    pub(super) encoding: i64,
    pub(super) body: Vec<u8>,
}

impl Page {
    /// The page at the front of `bytes`, and its length.
    pub(super) fn read(bytes: &[u8]) -> Result<(Self, usize), &'static str> {
        let (header, len) = Header::read(bytes)?;
        let mut body = Vec::new();
        header.decompress(&mut body)?;
        Ok((Self { kind: header.kind, count: header.count, encoding: header.encoding, body }, len))
    }

    fn dictionary<T: Physical>(&self) -> Result<Vec<T>, &'static str> {
        match self.encoding {
            PLAIN | PLAIN_DICTIONARY => T::plain(&self.body, self.count).ok_or("a dictionary is malformed"),
            _ => Err("the encoding of a dictionary is not known"),
        }
    }

    /// Appends the rows of a data page, at most until there are `rows_max`.
    fn append_rows<T: Physical>(
        &self,
        levels: Levels,
        dictionary: Option<&[T]>,
        rows_max: usize,
        rows: &mut Rows<T>,
    ) -> Result<(), &'static str> {
        const MALFORMED: &str = "the levels of a page are malformed";
        let mut body = self.body.as_slice();
        let repetitions = take_levels(&mut body, levels.repetition, self.count).ok_or(MALFORMED)?;
        let definitions = take_levels(&mut body, levels.definition, self.count).ok_or(MALFORMED)?;
        let first_value = rows.values.len();
        let mut present = 0usize;
        let mut has_row = false;
        for index in 0..self.count {
            let starts_row = repetitions.as_ref().is_none_or(|levels| levels.get(index) == Some(&0));
            let is_present = definitions.as_ref().is_none_or(|found| {
                found.get(index).is_some_and(|level| *level == u32::from(levels.definition))
            });
            if starts_row {
                if rows.len() >= rows_max {
                    return Err("a page has too many rows");
                }
                rows.starts.push(0);
                has_row = true;
            }
            if !has_row {
                return Err("a page begins within a row");
            }
            present += usize::from(is_present);
            if let Some(end) = rows.starts.last_mut() {
                *end = first_value + present;
            }
        }
        rows.values.extend(self.values(body, dictionary, present)?);
        Ok(())
    }

    fn values<T: Physical>(
        &self,
        body: &[u8],
        dictionary: Option<&[T]>,
        count: usize,
    ) -> Result<Vec<T>, &'static str> {
        const MALFORMED: &str = "the values of a page are malformed";
        match self.encoding {
            PLAIN => T::plain(body, count).ok_or(MALFORMED),
            DELTA_BINARY_PACKED => {
                let mut values = Vec::new();
                unpack_all(body, count, &mut values).ok_or(MALFORMED)?;
                values.into_iter().take(count).map(T::from_delta).collect::<Option<_>>().ok_or(MALFORMED)
            }
            PLAIN_DICTIONARY | RLE_DICTIONARY => {
                let dictionary = dictionary.ok_or("a dictionary is missing")?;
                let Some((width, indexes)) = body.split_first() else {
                    return if count == 0 { Ok(Vec::new()) } else { Err(MALFORMED) };
                };
                let indexes = hybrid(indexes, *width, count).ok_or(MALFORMED)?;
                let value = |index: u32| dictionary.get(index as usize).cloned();
                indexes.into_iter().map(value).collect::<Option<_>>().ok_or(MALFORMED)
            }
            _ => Err("the encoding of a page is not known"),
        }
    }
}

/// The levels in front of a page's values; `None` within where the column has none.
#[expect(clippy::option_option, reason = "malformed is one thing, a column without levels another")]
pub(super) fn take_levels(body: &mut &[u8], max: u8, count: usize) -> Option<Option<Vec<u32>>> {
    if max == 0 {
        return Some(None);
    }
    let (len, rest) = body.split_first_chunk::<4>()?;
    let (levels, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    *body = rest;
    hybrid(levels, bit_width(max), count).map(Some)
}

#[cfg(test)]
mod tests {
    use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type};
    use proptest::prelude::*;

    use super::super::column::Column;
    use super::super::schema::{FileKind, samples};
    use super::*;

    fn chunk<T: DataType>(column: usize, write: impl FnOnce(&mut Column<T>)) -> Vec<u8> {
        let mut column = Column::<T>::new(&FileKind::samples().unwrap(), column);
        write(&mut column);
        column.into_chunk()
    }

    proptest! {
        #[test]
        fn packed_32_bit_deltas_come_back(rows in prop::collection::vec(any::<i32>(), 1..3_000)) {
            let bytes = chunk::<Int32Type>(samples::N, |column| column.write(&rows, None, None).unwrap());
            let read = read_chunk::<i32>(&bytes, Levels::REQUIRED, rows.len()).unwrap();
            prop_assert_eq!(read.into_values(), rows);
        }

        #[test]
        fn nullable_doubles_come_back(rows in prop::collection::vec(prop::option::of(any::<u64>()), 1..3_000)) {
            let values = || rows.iter().map(|row| row.map(f64::from_bits));
            let bytes = chunk::<DoubleType>(samples::C, |column| column.write_optional(values()).unwrap());
            let read = read_chunk::<f64>(&bytes, Levels::OPTIONAL, rows.len()).unwrap();
            for (index, row) in rows.iter().enumerate() {
                let bits: Vec<u64> = read.get(index).unwrap().iter().map(|value| value.to_bits()).collect();
                prop_assert_eq!(bits, row.iter().copied().collect::<Vec<_>>());
            }
        }

        #[test]
        fn texts_come_back_from_dictionaries_and_without(rows in prop::collection::vec("[a-c]{0,2}", 1..3_000), long in any::<bool>()) {
            // A dictionary that grows too large is given up by the writer in the middle of the chunk.
            let suffix = if long { "x".repeat(2_000) } else { String::new() };
            let texts: Vec<String> = rows.iter().enumerate().map(|(index, row)| {
                if long { format!("{row}{index}{suffix}") } else { row.clone() }
            }).collect();
            let arrays: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(text.as_str())).collect();
            let bytes = chunk::<ByteArrayType>(samples::METRIC, |column| column.write(&arrays, None, None).unwrap());
            let read = read_chunk::<std::sync::Arc<str>>(&bytes, Levels::REQUIRED, rows.len()).unwrap();
            let read: Vec<String> = read.into_values().iter().map(|text| text.to_string()).collect();
            prop_assert_eq!(read, texts);
        }
    }
}
