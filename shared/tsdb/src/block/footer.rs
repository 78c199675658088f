//! Footers: where the column chunks and pages of a file are, and the checksums that guard them.
//!
//! Parquet has no checksum over its footer and its offset indexes; ours are in the key-value metadata
//! `foxfire.checksums`, as runs of 16 hexadecimal digits, each an xxh3-64:
//! - first of the footer itself, with these first 16 digits taken as zeros;
//! - then, for each row group, of the bytes of the offset indexes of its value columns.
//!
//! Pages have Parquet's own CRC-32.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::schema::{CHECKSUMS_KEY, FORMAT_KEY, FORMAT_VERSION};
use super::thrift::{self, Struct, Value};

const MAGIC: &[u8; 4] = b"PAR1";
/// Footer length and magic.
pub(super) const TRAILER_LEN: usize = 8;
/// A footer is about 3 KB a row group of 8192 series.
pub(super) const FOOTER_LEN_MAX: usize = 16 << 20;
const DIGITS: usize = 16;
const ZSTD: i64 = 6;

/// What a file's footer says, checked.
#[derive(Clone, Debug)]
pub(super) struct Footer {
    pub(super) groups: Vec<Group>,
}

/// A row group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) rows: usize,
    pub(super) columns: Vec<Chunk>,
    /// Of the offset indexes of the value columns.
    checksum: u64,
}

/// A column chunk.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// Its bytes in the file, dictionary included.
    pub(super) bytes: Range<u64>,
    /// Its offset index in the file.
    pub(super) offset_index: Range<u64>,
    /// Least and greatest value where they were noted.
    pub(super) bounds: Option<(Vec<u8>, Vec<u8>)>,
}

/// Where a data page is, header included, and which rows it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageLocation {
    pub(super) bytes: Range<u64>,
    pub(super) rows: Range<usize>,
}

impl Group {
    /// The bytes that hold the offset indexes of `columns`.
    pub(super) fn offset_indexes(&self, columns: Range<usize>) -> Option<Range<u64>> {
        let chunks = self.columns.get(columns)?;
        let start = chunks.iter().map(|chunk| chunk.offset_index.start).min()?;
        let end = chunks.iter().map(|chunk| chunk.offset_index.end).max()?;
        Some(start..end)
    }

    /// The page locations of each of `columns`, from the bytes of [`Group::offset_indexes`].
    pub(super) fn page_locations(
        &self,
        columns: Range<usize>,
        bytes: &[u8],
    ) -> Result<Vec<Vec<PageLocation>>, &'static str> {
        if xxh3_64(bytes) != self.checksum {
            return Err("the checksum of an offset index is wrong");
        }
        let start = self.offset_indexes(columns.clone()).ok_or("a column is missing")?.start;
        let chunks = self.columns.get(columns).ok_or("a column is missing")?;
        chunks
            .iter()
            .map(|chunk| {
                let from = usize::try_from(chunk.offset_index.start - start).unwrap_or(usize::MAX);
                let to = usize::try_from(chunk.offset_index.end - start).unwrap_or(usize::MAX);
                let bytes = bytes.get(from..to).ok_or("an offset index is cut off")?;
                page_locations(bytes, chunk, self.rows).ok_or("an offset index is malformed")
            })
            .collect()
    }
}

fn page_locations(bytes: &[u8], chunk: &Chunk, rows: usize) -> Option<Vec<PageLocation>> {
    let (index, _) = thrift::read(bytes)?;
    let pages = index.structures(1)?;
    let mut locations = Vec::with_capacity(pages.len());
    for (at, page) in pages.iter().enumerate() {
        let start = u64::try_from(page.int(1)?).ok()?;
        let end = start.checked_add(page.size(2)? as u64)?;
        let first = page.size(3)?;
        let next = pages.get(at + 1).map_or(Some(rows), |next| next.size(3))?;
        if start < chunk.bytes.start || end > chunk.bytes.end || first >= next || next > rows {
            return None;
        }
        locations.push(PageLocation { bytes: start..end, rows: first..next });
    }
    (locations.first().map_or(0, |page| page.rows.start) == 0).then_some(locations)
}

/// The length of the footer, from the last 8 bytes of the file.
pub(super) fn footer_len(trailer: &[u8; TRAILER_LEN]) -> Result<usize, &'static str> {
    let [a, b, c, d, magic @ ..] = trailer;
    if magic != MAGIC {
        return Err("it does not end as Parquet does");
    }
    let len = usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
    if len > FOOTER_LEN_MAX { Err("the footer is too long") } else { Ok(len) }
}

/// Reads the footer of a file of `file_len` bytes with `columns` leaf columns. `footer` is without the trailer.
pub(super) fn parse(footer: &[u8], file_len: u64, columns: usize) -> Result<Footer, &'static str> {
    let checksums = verify(footer)?;
    let (file, _) = thrift::read(footer).ok_or("the footer is malformed")?;
    if metadata(&file, FORMAT_KEY) != Some(FORMAT_VERSION.as_bytes()) {
        return Err("the format version is not known");
    }
    let groups = file.structures(4).ok_or("the row groups are missing")?;
    if groups.len() != checksums.len() {
        return Err("the row groups are not as many as their checksums");
    }
    let groups = groups.iter().zip(checksums);
    let groups: Option<Vec<Group>> =
        groups.map(|(group, checksum)| parse_group(group, file_len, columns, checksum)).collect();
    Ok(Footer { groups: groups.ok_or("a row group is malformed")? })
}

fn parse_group(group: &Struct<'_>, file_len: u64, columns: usize, checksum: u64) -> Option<Group> {
    let chunks = group.structures(1)?;
    if chunks.len() != columns {
        return None;
    }
    let chunks: Option<Vec<Chunk>> = chunks.iter().map(|chunk| parse_chunk(chunk, file_len)).collect();
    Some(Group { rows: group.size(3)?, columns: chunks?, checksum })
}

fn parse_chunk(chunk: &Struct<'_>, file_len: u64) -> Option<Chunk> {
    let data = chunk.structure(3)?;
    if data.int(4)? != ZSTD {
        return None;
    }
    let pages = data.size(9)?;
    let start =
        data.size(11).filter(|dictionary| *dictionary > 0).map_or(pages, |dictionary| dictionary.min(pages));
    let bytes = range(start, data.size(7)?, file_len)?;
    let offset_index = range(chunk.size(4)?, chunk.size(5)?, file_len)?;
    let bounds = data
        .structure(12)
        .and_then(|statistics| Some((statistics.binary(6)?.to_vec(), statistics.binary(5)?.to_vec())));
    Some(Chunk { bytes, offset_index, bounds })
}

fn range(start: usize, len: usize, file_len: u64) -> Option<Range<u64>> {
    let end = (start as u64).checked_add(len as u64)?;
    (end <= file_len).then_some(start as u64..end)
}

fn metadata<'a>(file: &Struct<'a>, key: &str) -> Option<&'a [u8]> {
    let Some(Value::List(pairs)) = file.get(5) else { return None };
    pairs.iter().find_map(|pair| match pair {
        Value::Struct(pair) if pair.binary(1) == Some(key.as_bytes()) => pair.binary(2),
        _ => None,
    })
}

/// The value of `foxfire.checksums` for a file of `groups` row groups, to be filled in by [`seal`].
pub(super) fn checksum_placeholder(groups: usize) -> String {
    "0".repeat(DIGITS * (groups + 1))
}

/// Fills in the checksums of a finished file, the offset indexes of whose `value_columns` are to be guarded.
pub(super) fn seal(file: &mut [u8], value_columns: Range<usize>) -> Result<(), &'static str> {
    let file_len = file.len() as u64;
    let trailer = file.last_chunk::<TRAILER_LEN>().ok_or("the file is too short")?;
    let end = file.len() - TRAILER_LEN;
    let start = end.checked_sub(footer_len(trailer)?).ok_or("the file is too short")?;
    let footer = file.get(start..end).ok_or("the file is too short")?;
    let digits = digits_range(footer).ok_or("the place of the checksums is missing")?;
    let (parsed, _) = thrift::read(footer).ok_or("the footer is malformed")?;
    let mut checksums = vec![0];
    for group in parsed.structures(4).ok_or("the row groups are missing")? {
        let columns = group.structures(1).map_or(0, |columns| columns.len());
        let group = parse_group(group, file_len, columns, 0).ok_or("a row group is malformed")?;
        let range = group.offset_indexes(value_columns.clone()).ok_or("a column is missing")?;
        let bytes = file.get(range.start as usize..range.end as usize).ok_or("an offset index is missing")?;
        checksums.push(xxh3_64(bytes));
    }
    let text: String = checksums.iter().map(|checksum| format!("{checksum:016x}")).collect();
    let footer = file.get_mut(start..end).ok_or("the file is too short")?;
    let place = footer.get_mut(digits).filter(|place| place.len() == text.len());
    place.ok_or("the place of the checksums has another length")?.copy_from_slice(text.as_bytes());
    let own = format!("{:016x}", xxh3_64(footer));
    let digits = digits_range(footer).ok_or("the place of the checksums is missing")?;
    let place = footer.get_mut(digits.start..digits.start + DIGITS).ok_or("the place is too short")?;
    place.copy_from_slice(own.as_bytes());
    Ok(())
}

/// The checksums of the row groups, once the footer's own is found right.
fn verify(footer: &[u8]) -> Result<Vec<u64>, &'static str> {
    let digits = digits_range(footer).ok_or("the checksums are missing")?;
    let text = footer.get(digits.clone()).ok_or("the checksums are missing")?;
    let checksums: Option<Vec<u64>> = text.chunks(DIGITS).map(parse_digits).collect();
    let checksums = checksums.ok_or("the checksums are malformed")?;
    let (own, groups) = checksums.split_first().ok_or("the checksums are missing")?;
    let mut zeroed = footer.to_vec();
    if let Some(place) = zeroed.get_mut(digits.start..digits.start + DIGITS) {
        place.fill(b'0');
    }
    if xxh3_64(&zeroed) == *own { Ok(groups.to_vec()) } else { Err("the checksum of the footer is wrong") }
}

fn parse_digits(digits: &[u8]) -> Option<u64> {
    let lower =
        digits.len() == DIGITS && digits.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().filter(|_| lower)
}

/// Where the digits are: after the key's last occurrence (the metadata comes after everything that data could have
/// put the key's name into), a field header, and their length.
fn digits_range(footer: &[u8]) -> Option<Range<usize>> {
    let key = CHECKSUMS_KEY.as_bytes();
    let at = footer.windows(key.len()).rposition(|window| window == key)? + key.len();
    let rest = footer.get(at..)?;
    let (header, rest) = rest.split_first()?;
    if *header != 0x18 {
        return None;
    }
    let (mut len, mut shift) = (0usize, 0u32);
    for (index, byte) in rest.iter().take(5).enumerate() {
        len |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            let start = at + 1 + index + 1;
            let end = start.checked_add(len)?;
            return (end <= footer.len()).then_some(start..end);
        }
    }
    None
}
