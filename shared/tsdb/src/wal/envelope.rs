//! What segments and layouts have in common: magic, version, checksum, and a body that is compressed if that helps.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::Corrupt;
use super::cursor::{Cursor, put_varint};

const VERSION: u8 = 1;
const CHECKSUM_AT: usize = 5;
/// Where what the checksum covers begins.
pub(super) const CONTENT_AT: usize = 13;
const STORED: u8 = 0;
const ZSTD: u8 = 1;
const ZSTD_LEVEL: i32 = 3;
/// Largest body after decompression.
const BODY_BYTES_MAX: u64 = 512 << 20;
/// zstd's blocks hold at most 128 KiB and take at least four bytes: no honest body is larger than this many times its
/// compressed form.
const ZSTD_RATIO_MAX: u64 = 40_000;

/// `magic`, version, checksum, `clear` as it is, then `body`.
pub(super) fn seal(magic: [u8; 4], clear: &[u8], body: &[u8]) -> Bytes {
    let mut out = header(magic);
    out.extend_from_slice(clear);
    out.extend_from_slice(&squeeze(body));
    stamp(&mut out);
    Bytes::from(out)
}

/// `magic`, version, and room for the checksum.
pub(super) fn header(magic: [u8; 4]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(&magic);
    out.push(VERSION);
    out.extend_from_slice(&[0; CONTENT_AT - CHECKSUM_AT]);
    out
}

/// Puts in the checksum of all that follows the header.
pub(super) fn stamp(out: &mut [u8]) {
    let checksum = xxh3_64(out.get(CONTENT_AT..).unwrap_or_default());
    if let Some(place) = out.get_mut(CHECKSUM_AT..CONTENT_AT) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
}

/// `body`, compressed if that helps, as [`body`] takes it.
pub(super) fn squeeze(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() / 2 + 16);
    match zstd::bulk::compress(body, ZSTD_LEVEL) {
        Ok(compressed) if compressed.len() + 3 < body.len() => {
            out.push(ZSTD);
            put_varint(&mut out, body.len() as u64);
            out.extend_from_slice(&compressed);
        }
        _ => {
            out.push(STORED);
            out.extend_from_slice(body);
        }
    }
    out
}

/// The checksum that follows a right magic and version.
pub(super) fn start(magic: [u8; 4], cursor: &mut Cursor<'_>) -> Result<u64, Corrupt> {
    if cursor.array::<4>()? != magic {
        return Err(Corrupt::new("the magic number is wrong"));
    }
    if cursor.byte()? != VERSION {
        return Err(Corrupt::new("the format version is not known"));
    }
    Ok(u64::from_le_bytes(cursor.array()?))
}

/// What follows the header, once magic, version and checksum are found right: first the clear part, then the body,
/// which [`body`] takes.
pub(super) fn open(magic: [u8; 4], sealed: &[u8]) -> Result<Cursor<'_>, Corrupt> {
    let mut cursor = Cursor::new(sealed);
    let checksum = start(magic, &mut cursor)?;
    if xxh3_64(cursor.rest()) != checksum {
        return Err(Corrupt::new("the checksum is wrong"));
    }
    Ok(cursor)
}

/// The body that is all of what is left of `cursor`.
pub(super) fn body(mut cursor: Cursor<'_>) -> Result<Vec<u8>, Corrupt> {
    match cursor.byte()? {
        STORED => Ok(cursor.rest().to_vec()),
        ZSTD => {
            let len = cursor.varint()?;
            let compressed = cursor.rest();
            if len > BODY_BYTES_MAX || len > (compressed.len() as u64).saturating_mul(ZSTD_RATIO_MAX) {
                return Err(Corrupt::new("the body's length is out of bounds"));
            }
            let len = usize::try_from(len).map_err(|_| Corrupt::new("the body's length is out of bounds"))?;
            let body = zstd::bulk::decompress(compressed, len)
                .map_err(|_| Corrupt::new("the body cannot be decompressed"))?;
            if body.len() == len { Ok(body) } else { Err(Corrupt::new("the body's length is wrong")) }
        }
        _ => Err(Corrupt::new("the compression is not known")),
    }
}
