//! The row of a segment: what is known of it without decoding it, and its payload or where that is.
//!
//! ```text
//! format 1 (u8) · xxh3-64 of the rest (u64, low first) · kind (u8: 0 inline, 1 object)
//! · min_time - tick (zigzag) · max_time - min_time · samples · scrapes
//! inline: the payload
//! object: the payload's checksum (u64) · attempt (26 bytes) · length of the payload · length of its front · its index
//! ```
//!
//! Numbers are LEB128 unless a width is given. A node_exporter's segment of 767 bytes fits one write unit of 1 KB
//! with its row around it, which is why this is not JSON.

use bytes::{Buf, Bytes};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::TsdbError;
use crate::keys::SegmentKey;
use crate::wal::{self, Index, SegmentSummary};

const FORMAT: u8 = 1;
const INLINE: u8 = 0;
const OBJECT: u8 = 1;
/// Bytes before what the checksum covers.
const HEADER: usize = 9;
/// Length of an attempt's ULID.
const ATTEMPT_LEN: usize = 26;

/// A segment as its row tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    /// Its name.
    pub key: SegmentKey,
    /// Earliest instant of a scrape or sample, ms, inclusive; 0 without scrapes.
    pub min_time: i64,
    /// Latest, inclusive.
    pub max_time: i64,
    /// Number of samples.
    pub samples: u64,
    /// Number of scrapes.
    pub scrapes: u32,
    /// The checksum in the payload, which stands for all of it.
    pub checksum: u64,
    /// The payload.
    pub payload: Payload,
}

/// Where the payload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// In the row.
    Inline(Bytes),
    /// In an object that one attempt wrote.
    Object {
        /// The attempt's ULID.
        attempt: String,
        /// Length in bytes.
        len: u64,
        /// Length of its front, which the chunks follow.
        front_len: u64,
        /// What it is coded against, and where its chunks are.
        index: Index,
    },
}

impl SegmentRow {
    /// The row of a segment with this summary and payload.
    pub(crate) fn new(key: SegmentKey, summary: &SegmentSummary, payload: Payload) -> Self {
        Self {
            key,
            min_time: summary.min_time,
            max_time: summary.max_time,
            samples: summary.samples,
            scrapes: summary.scrapes,
            checksum: summary.checksum,
            payload,
        }
    }

    /// The row's value.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = vec![FORMAT, 0, 0, 0, 0, 0, 0, 0, 0];
        out.push(match self.payload {
            Payload::Inline(_) => INLINE,
            Payload::Object { .. } => OBJECT,
        });
        put_varint(&mut out, zigzag(self.min_time.wrapping_sub(self.key.tick)));
        put_varint(&mut out, self.max_time.wrapping_sub(self.min_time).cast_unsigned());
        put_varint(&mut out, self.samples);
        put_varint(&mut out, self.scrapes.into());
        match &self.payload {
            Payload::Inline(payload) => out.extend_from_slice(payload),
            Payload::Object { attempt, len, front_len, index } => {
                out.extend_from_slice(&self.checksum.to_le_bytes());
                out.extend_from_slice(attempt.as_bytes());
                put_varint(&mut out, *len);
                put_varint(&mut out, *front_len);
                out.extend_from_slice(&index.encode(&self.key));
            }
        }
        let checksum = xxh3_64(&out[HEADER..]).to_le_bytes();
        out[1..HEADER].copy_from_slice(&checksum);
        Bytes::from(out)
    }

    /// Reads a row's sort key and value.
    ///
    /// # Errors
    /// [`TsdbError::Corrupt`] where a byte is changed or missing.
    pub(crate) fn decode(sort: &str, value: &Bytes) -> Result<Self, TsdbError> {
        let corrupt =
            |reason: &str| TsdbError::Corrupt { what: format!("segment {sort}"), reason: reason.to_owned() };
        let key = SegmentKey::parse(sort).ok_or_else(|| corrupt("its key is malformed"))?;
        let mut rest = value.clone();
        let format = rest.try_get_u8().map_err(|_| corrupt("it is empty"))?;
        if format != FORMAT {
            return Err(corrupt("its format is not known: a newer release wrote it"));
        }
        let checksum = rest.try_get_u64_le().map_err(|_| corrupt("it ends too early"))?;
        if xxh3_64(&rest) != checksum {
            return Err(corrupt("its checksum is wrong"));
        }
        Self::decode_body(key, rest).ok_or_else(|| corrupt("it does not add up"))
    }

    fn decode_body(key: SegmentKey, mut rest: Bytes) -> Option<Self> {
        let kind = rest.try_get_u8().ok()?;
        let min_time = key.tick.wrapping_add(unzigzag(get_varint(&mut rest)?));
        let max_time = min_time.wrapping_add(get_varint(&mut rest)?.cast_signed());
        let samples = get_varint(&mut rest)?;
        let scrapes = u32::try_from(get_varint(&mut rest)?).ok()?;
        let (checksum, payload) = match kind {
            INLINE => (wal::checksum_in(&rest)?, Payload::Inline(rest)),
            OBJECT => {
                let checksum = rest.try_get_u64_le().ok()?;
                let attempt = (rest.len() >= ATTEMPT_LEN).then(|| rest.split_to(ATTEMPT_LEN))?;
                let attempt = std::str::from_utf8(&attempt).ok()?.to_owned();
                let len = get_varint(&mut rest)?;
                let front_len = get_varint(&mut rest)?;
                let index = Index::decode(&key, &rest, len.checked_sub(front_len)?).ok()?;
                (checksum, Payload::Object { attempt, len, front_len, index })
            }
            _ => return None,
        };
        Some(Self { key, min_time, max_time, samples, scrapes, checksum, payload })
    }
}

fn zigzag(value: i64) -> u64 {
    (value.wrapping_shl(1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn get_varint(rest: &mut Bytes) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = rest.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::Shard;

    fn rows() -> impl Strategy<Value = SegmentRow> {
        let numbers = (any::<i64>(), any::<i64>(), any::<u64>(), any::<u32>());
        let payload = (1usize..20, any::<bool>(), prop::sample::select(vec![3usize, usize::MAX]));
        let tick = 1_000_000i64..1_000_000_000_000_000;
        (tick, numbers, payload).prop_map(|(tick, numbers, (series, inline, chunk_samples))| {
            let key = SegmentKey { tick, shard: Shard::scrape(1) };
            let mut cache = wal::LayoutCache::default();
            let options = wal::EncodeOptions { chunk_samples, ..wal::EncodeOptions::default() };
            let names: Vec<String> = (0..series).map(|at| format!("m{at}")).collect();
            let samples: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
            let scrape = crate::tests::model::scrape(1, tick, &samples);
            let before = SegmentKey { tick: tick - 15_000, shard: Shard::scrape(0) };
            let first = wal::encode(&before, std::slice::from_ref(&scrape), &mut cache, &options);
            cache.stored(first.pending);
            let encoded = wal::encode(&key, &[scrape], &mut cache, &options);
            assert_eq!(encoded.index.bases.len(), 1);
            let payload = if inline {
                Payload::Inline(encoded.payload)
            } else {
                Payload::Object {
                    attempt: "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
                    len: encoded.summary.bytes,
                    front_len: encoded.front_len,
                    index: encoded.index,
                }
            };
            SegmentRow {
                key,
                min_time: numbers.0,
                max_time: numbers.1,
                samples: numbers.2,
                scrapes: numbers.3,
                checksum: encoded.summary.checksum,
                payload,
            }
        })
    }

    proptest! {
        #[test]
        fn a_row_reads_back(row in rows()) {
            prop_assert_eq!(SegmentRow::decode(&row.key.to_string(), &row.encode()), Ok(row));
        }

        #[test]
        fn a_changed_or_missing_byte_is_seen(row in rows(), at in any::<usize>(), flip in 1u8..) {
            let good = row.encode();
            let at = at % good.len();
            let mut bad = good.to_vec();
            bad[at] ^= flip;
            prop_assert!(SegmentRow::decode(&row.key.to_string(), &bad.into()).is_err());
            prop_assert!(SegmentRow::decode(&row.key.to_string(), &good.slice(..at)).is_err());
        }
    }

    #[test]
    fn a_small_row_costs_little_more_than_its_payload() {
        let key = SegmentKey { tick: 1_795_363_200_000, shard: Shard::scrape(1) };
        let summary = SegmentSummary {
            min_time: 1_795_363_200_123,
            max_time: 1_795_363_214_999,
            samples: 1154,
            scrapes: 1,
            ..SegmentSummary::default()
        };
        let row = SegmentRow::new(key, &summary, Payload::Inline(Bytes::from(vec![7; 767])));
        assert!(row.encode().len() <= 767 + 22, "{}", row.encode().len());
    }
}
