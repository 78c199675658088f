//! Ranged reads of one file of a block.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use platform::{ByteRange, Objects, Version};
use wire::BlockFile;
use xxhash_rust::xxh3::xxh3_64;

use super::footer::{self, Footer, TRAILER_LEN};
use super::types::BlockError;

/// Ranges with at most this much between them are fetched as one: a request costs more than the bytes.
const GAP_BYTES_MAX: u64 = 64 << 10;
/// Fetches of one call that are under way at a time.
const FETCHES_MAX: usize = 16;

/// One object, the end of which is held in memory.
pub(super) struct Source {
    objects: Arc<dyn Objects>,
    key: String,
    version: Version,
    len: u64,
    tail: Bytes,
}

impl Source {
    /// Reads the last `tail_bytes` of the object, and its footer if that is longer.
    pub(super) async fn open(
        objects: Arc<dyn Objects>,
        key: String,
        file: &BlockFile,
        tail_bytes: u64,
        columns: usize,
    ) -> Result<(Self, Footer), BlockError> {
        let corrupt = |reason: &str| BlockError::Corrupt { file: key.clone(), reason: reason.to_owned() };
        let tail = objects.read(&key, None, ByteRange::Last(tail_bytes.max(TRAILER_LEN as u64))).await?;
        if tail.len != file.len {
            return Err(corrupt("its length is wrong"));
        }
        if tail.body.len() as u64 == tail.len && format!("{:016x}", xxh3_64(&tail.body)) != file.checksum {
            return Err(corrupt("its checksum is wrong"));
        }
        let trailer = tail.body.last_chunk::<TRAILER_LEN>().ok_or_else(|| corrupt("it is too short"))?;
        let footer_len = footer::footer_len(trailer).map_err(corrupt)?;
        let mut source =
            Self { key: key.clone(), version: tail.version, len: tail.len, tail: tail.body, objects };
        let needed = (footer_len + TRAILER_LEN) as u64;
        let start =
            source.len.checked_sub(needed).ok_or_else(|| corrupt("the footer is longer than the file"))?;
        if needed > source.tail.len() as u64 {
            source.tail = source.fetch(start..source.len).await?;
        }
        let footer = source.read(start..source.len - TRAILER_LEN as u64).await?;
        let footer = footer::parse(&footer, source.len, columns).map_err(corrupt)?;
        Ok((source, footer))
    }

    /// The file's name within the block.
    pub(super) fn name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }

    /// The object's key.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Bytes of its end that are held.
    pub(super) fn held_bytes(&self) -> usize {
        self.tail.len()
    }

    /// An error that names this object.
    pub(super) fn corrupt(&self, reason: &str) -> BlockError {
        BlockError::Corrupt { file: self.key.clone(), reason: reason.to_owned() }
    }

    /// The bytes of one range.
    pub(super) async fn read(&self, range: Range<u64>) -> Result<Bytes, BlockError> {
        match self.held(&range) {
            Some(bytes) => Ok(bytes),
            None => self.fetch(range).await,
        }
    }

    /// The bytes of each range, in as few requests as their distances suggest. `ranges` must be sorted by start.
    pub(super) async fn read_all(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, BlockError> {
        let mut merged: Vec<Range<u64>> = Vec::new();
        for range in ranges.iter().filter(|range| self.held(range).is_none()) {
            match merged.last_mut() {
                Some(last) if range.start <= last.end.saturating_add(GAP_BYTES_MAX) => {
                    last.end = last.end.max(range.end);
                }
                _ => merged.push(range.clone()),
            }
        }
        let fetches: Vec<_> = merged.iter().map(|range| self.fetch(range.clone())).collect();
        let fetched: Vec<Bytes> = stream::iter(fetches).buffered(FETCHES_MAX).try_collect().await?;
        let find = |range: &Range<u64>| {
            self.held(range).or_else(|| {
                let at = merged.partition_point(|merged| merged.start <= range.start).checked_sub(1)?;
                slice(fetched.get(at)?, merged.get(at)?.start, range)
            })
        };
        ranges
            .iter()
            .map(|range| find(range).ok_or_else(|| self.corrupt("a range is out of order")))
            .collect()
    }

    fn held(&self, range: &Range<u64>) -> Option<Bytes> {
        slice(&self.tail, self.len - self.tail.len() as u64, range)
    }

    async fn fetch(&self, range: Range<u64>) -> Result<Bytes, BlockError> {
        let len = range.end.saturating_sub(range.start);
        let at = ByteRange::At { start: range.start, len };
        let object = self.objects.read(&self.key, Some(&self.version), at).await?;
        if object.body.len() as u64 == len { Ok(object.body) } else { Err(self.corrupt("it ends too early")) }
    }
}

/// The part `range` of `bytes`, which begin at `start`.
fn slice(bytes: &Bytes, start: u64, range: &Range<u64>) -> Option<Bytes> {
    let from = usize::try_from(range.start.checked_sub(start)?).ok()?;
    let to = usize::try_from(range.end.checked_sub(start)?).ok()?;
    (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
}
