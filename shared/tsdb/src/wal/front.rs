//! The front of a segment: what it is coded against, where its chunks are, and the heads of its scrapes.
//!
//! ```text
//! magic · version · checksum │ index: bases, chunks │ heads: layouts, scrapes │ chunk 0 │ chunk 1 …
//! ```
//!
//! With one chunk, the checksum covers all that follows it. With more, it covers the front, whose index has a checksum of
//! each chunk: so a part of the chunks can be read and trusted. Either way the checksum stands for the whole payload.

use std::time::Duration;

use model::TimestampMs;
use storage::{ScrapeOutcome, SourceId};
use xxhash_rust::xxh3::xxh3_64;

use super::Corrupt;
use super::cursor::{Cursor, put_varint, put_zigzag};
use super::envelope::{self, CONTENT_AT};
use super::layout::LayoutId;
use crate::keys::{SegmentKey, Shard};

pub(super) const MAGIC: [u8; 4] = *b"FOXW";
/// Most chunks of a segment.
pub(super) const CHUNKS_MAX: usize = 1 << 16;

/// A segment that another is coded against.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BaseRef {
    /// Its name.
    pub key: SegmentKey,
    /// The checksum in its payload: one that was written differently will not do.
    pub checksum: u64,
}

/// Where a chunk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkRef {
    /// It holds the series whose metric name is not below this, and below that of the next chunk.
    pub first: String,
    /// Its length in bytes.
    pub len: u64,
    /// xxh3-64 of its bytes; 0 where there is only one.
    pub checksum: u64,
}

/// What a segment is coded against, and where its chunks are: in its payload, and in the row of a payload that is an
/// object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Segments that are needed to decode this one; all come before it.
    pub bases: Vec<BaseRef>,
    /// At least one, in order of names, the first from the empty name on.
    pub chunks: Vec<ChunkRef>,
}

impl Index {
    pub(crate) fn encode(&self, key: &SegmentKey) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.bases.len() as u64);
        for base in &self.bases {
            put_zigzag(&mut out, key.tick.wrapping_sub(base.key.tick));
            if base.key.shard == key.shard {
                put_varint(&mut out, 0);
            } else {
                let shard = base.key.shard.to_string();
                put_varint(&mut out, shard.len() as u64);
                out.extend_from_slice(shard.as_bytes());
            }
            out.extend_from_slice(&base.checksum.to_le_bytes());
        }
        put_varint(&mut out, self.chunks.len() as u64);
        if self.chunks.len() > 1 {
            for chunk in &self.chunks {
                put_varint(&mut out, chunk.first.len() as u64);
                out.extend_from_slice(chunk.first.as_bytes());
                put_varint(&mut out, chunk.len);
                out.extend_from_slice(&chunk.checksum.to_le_bytes());
            }
        }
        out
    }

    /// Reads what [`Index::encode`] gives; `one` is the length of a chunk that is the only one.
    pub(crate) fn decode(key: &SegmentKey, bytes: &[u8], one: u64) -> Result<Self, Corrupt> {
        let mut cursor = Cursor::new(bytes);
        let mut index = Self::default();
        for _ in 0..cursor.count(usize::MAX)? {
            let tick = key.tick.wrapping_sub(cursor.zigzag()?);
            let len = usize::try_from(cursor.varint()?).unwrap_or(usize::MAX);
            let shard = match cursor.take(len)? {
                [] => key.shard.clone(),
                text => std::str::from_utf8(text)
                    .ok()
                    .and_then(Shard::parse)
                    .ok_or(Corrupt::new("a base's name is malformed"))?,
            };
            let base =
                BaseRef { key: SegmentKey { tick, shard }, checksum: u64::from_le_bytes(cursor.array()?) };
            if base.key >= *key {
                return Err(Corrupt::new("a base does not come before its segment"));
            }
            index.bases.push(base);
        }
        let chunks = cursor.varint()?;
        if chunks == 1 {
            index.chunks.push(ChunkRef { first: String::new(), len: one, checksum: 0 });
        } else {
            index.chunks = chunk_refs(&mut cursor, chunks)?;
        }
        cursor.end()?;
        Ok(index)
    }

    /// The first names of all chunks but the first.
    pub(super) fn boundaries(&self) -> Vec<String> {
        self.chunks.iter().skip(1).map(|chunk| chunk.first.clone()).collect()
    }
}

fn chunk_refs(cursor: &mut Cursor<'_>, count: u64) -> Result<Vec<ChunkRef>, Corrupt> {
    let count = usize::try_from(count).ok().filter(|count| (1..=CHUNKS_MAX).contains(count));
    let count = count.ok_or(Corrupt::new("a count is out of bounds"))?;
    let mut chunks: Vec<ChunkRef> = Vec::new();
    for _ in 0..count {
        let len = usize::try_from(cursor.varint()?).unwrap_or(usize::MAX);
        let first =
            std::str::from_utf8(cursor.take(len)?).map_err(|_| Corrupt::new("a name is not UTF-8"))?;
        if chunks.last().map_or(!first.is_empty(), |last| last.first.as_str() >= first) {
            return Err(Corrupt::new("chunks are not in order"));
        }
        let len = cursor.varint()?;
        chunks.push(ChunkRef { first: first.to_owned(), len, checksum: u64::from_le_bytes(cursor.array()?) });
    }
    Ok(chunks)
}

/// A layout as a segment refers to it: a stored one, one that is embedded, or one with the other behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct LayoutRef {
    pub(super) stored: Option<LayoutId>,
    /// [`super::Layout::body`].
    pub(super) tail: Option<Vec<u8>>,
}

/// What a scrape's values are coded against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Nothing: a keyframe.
    Nothing,
    /// A scrape of a base.
    Base { base: usize, scrape: usize },
    /// An earlier scrape of this segment, of the same source.
    Earlier(usize),
}

/// All of a scrape but its samples.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) from: From,
    /// `None` where it is that of what it is coded against.
    pub(super) source: Option<SourceId>,
    /// Index into the layouts; `None` where it is that of what it is coded against.
    pub(super) layout: Option<usize>,
    pub(super) timestamp: TimestampMs,
    pub(super) outcome: ScrapeOutcome,
    pub(super) samples: usize,
    pub(super) partial: bool,
    pub(super) sparse: bool,
    pub(super) timed: bool,
    pub(super) exemplars: bool,
}

const FROM_BASE: u8 = 1;
const FROM_EARLIER: u8 = 2;
const PARTIAL: u8 = 4;
const FAILED: u8 = 8;
const SPARSE: u8 = 16;
const TIMED: u8 = 32;
const EXEMPLARS: u8 = 64;
const LAYOUT: u8 = 128;

/// The layouts and the heads of a segment.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads {
    pub(super) layouts: Vec<LayoutRef>,
    pub(super) scrapes: Vec<Head>,
}

impl Heads {
    pub(super) fn encode(&self, tick: i64) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.layouts.len() as u64);
        for layout in &self.layouts {
            out.push(u8::from(layout.stored.is_some()) | u8::from(layout.tail.is_some()) << 1);
            if let Some(id) = layout.stored {
                out.extend_from_slice(&id.0.to_le_bytes());
            }
            if let Some(tail) = &layout.tail {
                put_varint(&mut out, tail.len() as u64);
                out.extend_from_slice(tail);
            }
        }
        put_varint(&mut out, self.scrapes.len() as u64);
        let mut expected = Expected { base: 0, scrape: 0, timestamp: tick, samples: 0 };
        for (at, head) in self.scrapes.iter().enumerate() {
            put_head(&mut out, head, at, &mut expected);
        }
        out
    }

    pub(super) fn decode(tick: i64, bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut cursor = Cursor::new(bytes);
        let mut heads = Self::default();
        for _ in 0..cursor.count(usize::MAX)? {
            let mut layout = LayoutRef::default();
            let kind = cursor.byte()?;
            if kind & 1 != 0 {
                layout.stored = Some(LayoutId(u128::from_le_bytes(cursor.array()?)));
            }
            if kind & 2 != 0 {
                let len = usize::try_from(cursor.varint()?).unwrap_or(usize::MAX);
                layout.tail = Some(cursor.take(len)?.to_vec());
            }
            if !(1..=3).contains(&kind) {
                return Err(Corrupt::new("a layout is of no known kind"));
            }
            heads.layouts.push(layout);
        }
        let mut expected = Expected { base: 0, scrape: 0, timestamp: tick, samples: 0 };
        for at in 0..cursor.count(usize::MAX)? {
            heads.scrapes.push(get_head(&mut cursor, at, &mut expected)?);
        }
        cursor.end()?;
        Ok(heads)
    }
}

/// What the next head probably says.
struct Expected {
    base: usize,
    scrape: usize,
    timestamp: TimestampMs,
    samples: usize,
}

fn put_head(out: &mut Vec<u8>, head: &Head, at: usize, expected: &mut Expected) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.push(
        flag(matches!(head.from, From::Base { .. }), FROM_BASE)
            | flag(matches!(head.from, From::Earlier(_)), FROM_EARLIER)
            | flag(head.partial, PARTIAL)
            | flag(head.outcome.error.is_some(), FAILED)
            | flag(head.sparse, SPARSE)
            | flag(head.timed, TIMED)
            | flag(head.exemplars, EXEMPLARS)
            | flag(head.layout.is_some(), LAYOUT),
    );
    match head.from {
        From::Nothing => out.extend_from_slice(&head.source.unwrap_or_default().0.to_le_bytes()),
        From::Base { base, scrape } => {
            put_zigzag(out, (base as i64).wrapping_sub(expected.base as i64));
            put_zigzag(out, (scrape as i64).wrapping_sub(expected.scrape as i64));
            (expected.base, expected.scrape) = (base, scrape + 1);
        }
        From::Earlier(earlier) => put_varint(out, (at - earlier) as u64),
    }
    if let Some(layout) = head.layout {
        put_varint(out, layout as u64);
    }
    put_zigzag(out, head.timestamp.wrapping_sub(expected.timestamp));
    put_varint(out, head.outcome.duration.as_secs());
    put_varint(out, u64::from(head.outcome.duration.subsec_nanos()));
    if let Some(error) = &head.outcome.error {
        put_varint(out, error.len() as u64);
        out.extend_from_slice(error.as_bytes());
    }
    put_zigzag(out, (head.samples as i64).wrapping_sub(expected.samples as i64));
    (expected.timestamp, expected.samples) = (head.timestamp, head.samples);
}

fn get_head(cursor: &mut Cursor<'_>, at: usize, expected: &mut Expected) -> Result<Head, Corrupt> {
    let bounds = || Corrupt::new("a head is out of bounds");
    let index = |value: i64| usize::try_from(value).map_err(|_| bounds());
    let flags = cursor.byte()?;
    let mut source = None;
    let from = match flags & (FROM_BASE | FROM_EARLIER) {
        0 => {
            source = Some(SourceId(u64::from_le_bytes(cursor.array()?)));
            From::Nothing
        }
        FROM_BASE => {
            let base = index((expected.base as i64).wrapping_add(cursor.zigzag()?))?;
            let scrape = index((expected.scrape as i64).wrapping_add(cursor.zigzag()?))?;
            (expected.base, expected.scrape) = (base, scrape.saturating_add(1));
            From::Base { base, scrape }
        }
        FROM_EARLIER => {
            let back = usize::try_from(cursor.varint()?).ok().filter(|back| *back > 0);
            From::Earlier(back.and_then(|back| at.checked_sub(back)).ok_or_else(bounds)?)
        }
        _ => return Err(Corrupt::new("a scrape is coded against two others")),
    };
    let layout = match flags & LAYOUT {
        0 if source.is_some() => return Err(Corrupt::new("a scrape has no layout")),
        0 => None,
        _ => Some(usize::try_from(cursor.varint()?).map_err(|_| bounds())?),
    };
    let timestamp = expected.timestamp.wrapping_add(cursor.zigzag()?);
    let seconds = cursor.varint()?;
    let nanos =
        u32::try_from(cursor.varint()?).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or_else(bounds)?;
    let mut error = None;
    if flags & FAILED != 0 {
        let len = usize::try_from(cursor.varint()?).unwrap_or(usize::MAX);
        let text = std::str::from_utf8(cursor.take(len)?);
        error = Some(text.map_err(|_| Corrupt::new("an error is not UTF-8"))?.to_owned());
    }
    let samples = index((expected.samples as i64).wrapping_add(cursor.zigzag()?))?;
    (expected.timestamp, expected.samples) = (timestamp, samples);
    Ok(Head {
        from,
        source,
        layout,
        timestamp,
        outcome: ScrapeOutcome { duration: Duration::new(seconds, nanos), error },
        samples,
        partial: flags & PARTIAL != 0,
        sparse: flags & SPARSE != 0,
        timed: flags & TIMED != 0,
        exemplars: flags & EXEMPLARS != 0,
    })
}

/// A whole payload, and its checksum.
pub(super) fn seal(
    key: &SegmentKey,
    bases: Vec<BaseRef>,
    heads: &Heads,
    chunks: &[Vec<u8>],
    firsts: &[String],
) -> (Vec<u8>, Index) {
    let mut index = Index { bases, chunks: Vec::with_capacity(chunks.len()) };
    for (at, chunk) in chunks.iter().enumerate() {
        let first = at.checked_sub(1).and_then(|at| firsts.get(at)).cloned().unwrap_or_default();
        let checksum = if chunks.len() > 1 { xxh3_64(chunk) } else { 0 };
        index.chunks.push(ChunkRef { first, len: chunk.len() as u64, checksum });
    }
    let mut out = envelope::header(MAGIC);
    for part in [index.encode(key), envelope::squeeze(&heads.encode(key.tick))] {
        put_varint(&mut out, part.len() as u64);
        out.extend_from_slice(&part);
    }
    if let [only] = chunks {
        out.extend_from_slice(only);
        envelope::stamp(&mut out);
    } else {
        envelope::stamp(&mut out);
        chunks.iter().for_each(|chunk| out.extend_from_slice(chunk));
    }
    (out, index)
}

/// The checksum that a payload says that it has; whether it is right is another question.
pub(crate) fn checksum_in(payload: &[u8]) -> Option<u64> {
    envelope::start(MAGIC, &mut Cursor::new(payload)).ok()
}

/// The index that a payload says that it has, whose checksum somebody else has verified.
pub(crate) fn index_in(key: &SegmentKey, payload: &[u8]) -> Result<Index, Corrupt> {
    let mut cursor = Cursor::new(payload);
    envelope::start(MAGIC, &mut cursor)?;
    let [index, _] = parts(&mut cursor)?;
    Index::decode(key, index, cursor.remaining() as u64)
}

/// The index and the heads.
fn parts<'a>(cursor: &mut Cursor<'a>) -> Result<[&'a [u8]; 2], Corrupt> {
    let mut part = || {
        let len = usize::try_from(cursor.varint()?).unwrap_or(usize::MAX);
        cursor.take(len)
    };
    Ok([part()?, part()?])
}

/// The front of a payload, of which at least the front is there.
#[derive(Clone, Debug)]
pub struct Front {
    /// The checksum that stands for the payload.
    pub checksum: u64,
    /// What it is coded against, and where its chunks are.
    pub index: Index,
    /// Its length in bytes; the chunks follow.
    pub len: usize,
    pub(super) heads: Heads,
}

impl Front {
    /// Reads the front of the payload of `key`.
    ///
    /// # Errors
    /// [`Corrupt`] where a byte is changed or missing.
    pub fn read(key: &SegmentKey, payload: &[u8]) -> Result<Self, Corrupt> {
        let mut cursor = Cursor::new(payload);
        let checksum = envelope::start(MAGIC, &mut cursor)?;
        let [index, heads] = parts(&mut cursor)?;
        let index = Index::decode(key, index, cursor.remaining() as u64)?;
        let len = payload.len() - cursor.remaining();
        let covered = if index.chunks.len() > 1 { len } else { payload.len() };
        if xxh3_64(payload.get(CONTENT_AT..covered).unwrap_or_default()) != checksum {
            return Err(Corrupt::new("the checksum is wrong"));
        }
        let heads = Heads::decode(key.tick, &envelope::body(Cursor::new(heads))?)?;
        Ok(Self { checksum, index, len, heads })
    }

    /// The stored layouts that it refers to.
    #[must_use]
    pub fn layout_ids(&self) -> Vec<LayoutId> {
        self.heads.layouts.iter().filter_map(|layout| layout.stored).collect()
    }

    /// Where in the payload the chunk with a number is.
    #[must_use]
    pub fn chunk_range(&self, chunk: usize) -> std::ops::Range<u64> {
        let lens = |chunks: &[ChunkRef]| chunks.iter().fold(0u64, |sum, chunk| sum.saturating_add(chunk.len));
        let start =
            (self.len as u64).saturating_add(lens(self.index.chunks.get(..chunk).unwrap_or_default()));
        let len = self.index.chunks.get(chunk).map_or(0, |chunk| chunk.len);
        start..start.saturating_add(len)
    }
}
