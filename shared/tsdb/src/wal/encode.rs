//! Scrapes to bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::TimestampMs;
use storage::{Scrape, SourceId};
use xxhash_rust::xxh3::xxh3_64;

use super::cache::{LayoutCache, Resolved};
use super::cursor::{put_varint, put_zigzag};
use super::layout::LayoutId;
use super::{decimal, envelope};

pub(super) const MAGIC: [u8; 4] = *b"FOXW";
/// The series has no sample in this scrape.
pub(super) const ABSENT: u8 = 253;
/// The value is, bit for bit, the one that the series last had in this segment.
pub(super) const UNCHANGED: u8 = 254;
/// The value's 64 bits are in the raw stream.
pub(super) const RAW: u8 = 255;
/// Mantissas are differences to what the series last had in this segment (else to 0).
pub(super) const FROM_EARLIER: u8 = 1;
/// Mantissas are differences to the mantissa of the series before (else to 0).
pub(super) const FROM_NEIGHBOUR: u8 = 2;

/// A segment in its stored form.
#[derive(Clone, Debug)]
pub struct EncodedSegment {
    /// The segment itself.
    pub payload: Bytes,
    /// Every layout that it refers to, encoded, each once; they must be stored no later than the payload.
    pub layouts: Vec<(LayoutId, Bytes)>,
    /// What to note down beside it.
    pub summary: SegmentSummary,
}

/// What is known of a segment without decoding it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Earliest instant of a scrape or a sample, ms, inclusive; 0 without scrapes.
    pub min_time: TimestampMs,
    /// Latest instant of a scrape or a sample, ms, inclusive; 0 without scrapes.
    pub max_time: TimestampMs,
    /// Number of samples.
    pub samples: u64,
    /// Number of scrapes.
    pub scrapes: u32,
    /// Length of the payload.
    pub bytes: u64,
    /// xxh3-64 of the payload.
    pub checksum: u64,
    /// The layouts that it refers to, in the order of the payload.
    pub layouts: Vec<LayoutId>,
}

/// Encodes scrapes into one segment. Where a scrape has a label set twice, against its contract, the first counts.
#[must_use]
pub fn encode(scrapes: &[Scrape], cache: &mut LayoutCache) -> EncodedSegment {
    let mut encoder = Encoder::default();
    for scrape in scrapes {
        let resolved = cache.resolve(scrape.source, &scrape.samples);
        encoder.push(scrape, &resolved);
    }
    encoder.finish()
}

/// The columns of a segment.
#[derive(Debug, Default)]
struct Encoder {
    layouts: Vec<(LayoutId, Bytes)>,
    heads: Vec<u8>,
    codes: Vec<u8>,
    mantissas: Vec<u8>,
    raws: Vec<u64>,
    times: Vec<u8>,
    earlier: BTreeMap<SourceId, Earlier>,
    last_timestamp: TimestampMs,
    times_seen: Option<(TimestampMs, TimestampMs)>,
    summary: SegmentSummary,
}

/// What the series of one layout last were in this segment.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    pub(super) layout: usize,
    /// Per series of the layout.
    pub(super) values: Vec<Option<Coded>>,
}

/// A value as it was coded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coded {
    /// 0 to 9, or [`RAW`].
    pub(super) code: u8,
    /// With a code up to 9.
    pub(super) mantissa: i64,
    pub(super) bits: u64,
}

impl Encoder {
    fn push(&mut self, scrape: &Scrape, resolved: &Resolved) {
        let layout = self.layout_index(resolved);
        let known = self.earlier.remove(&scrape.source).filter(|earlier| earlier.layout == layout);
        let is_first = known.is_none();
        let series = resolved.layout.series.len();
        let mut earlier =
            known.unwrap_or_else(|| Earlier { layout, values: std::iter::repeat_n(None, series).collect() });

        let (present, times) = self.place_samples(scrape, resolved);
        let coded = code_values(&present, &earlier);
        let mut mode = if is_first { 0 } else { FROM_EARLIER };
        if is_first && neighbours_help(&coded) {
            mode = FROM_NEIGHBOUR;
        }

        self.put_head(scrape, layout, series, mode, times.len());
        let mut neighbour = 0i64;
        for (slot, coded) in earlier.values.iter_mut().zip(&coded) {
            let Some(coded) = *coded else {
                self.codes.push(ABSENT);
                continue;
            };
            if mode == FROM_EARLIER && slot.is_some_and(|before| before.bits == coded.bits) {
                self.codes.push(UNCHANGED);
                continue;
            }
            self.codes.push(coded.code);
            if coded.code == RAW {
                let base = slot.filter(|_| mode == FROM_EARLIER).map_or(0, |before| before.bits);
                self.raws.push(coded.bits ^ base);
            } else {
                put_zigzag(
                    &mut self.mantissas,
                    coded.mantissa.wrapping_sub(base(mode, coded.code, *slot, neighbour)),
                );
                neighbour = coded.mantissa;
            }
            *slot = Some(coded);
        }
        self.put_times(scrape.timestamp, &times);
        self.earlier.insert(scrape.source, earlier);
    }

    fn layout_index(&mut self, resolved: &Resolved) -> usize {
        let known = self.layouts.iter().position(|(id, _)| *id == resolved.id);
        known.unwrap_or_else(|| {
            self.layouts.push((resolved.id, resolved.encoded.clone()));
            self.layouts.len() - 1
        })
    }

    /// Per series of the layout its value, and the explicit timestamps as (how many samples are before it, ms).
    fn place_samples(
        &mut self,
        scrape: &Scrape,
        resolved: &Resolved,
    ) -> (Vec<Option<f64>>, Vec<(usize, TimestampMs)>) {
        let mut present = vec![None; resolved.layout.series.len()];
        let mut explicit = Vec::new();
        self.see_time(scrape.timestamp);
        for (sample, position) in scrape.samples.iter().zip(&resolved.positions) {
            let position = *position as usize;
            let Some(slot) = present.get_mut(position) else { continue };
            if slot.is_some() {
                continue;
            }
            *slot = Some(sample.value);
            self.summary.samples += 1;
            if let Some(timestamp) = sample.timestamp {
                self.see_time(timestamp);
                explicit.push((position, timestamp));
            }
        }
        self.summary.scrapes += 1;
        if !explicit.is_empty() {
            explicit.sort_unstable();
            let mut ranks = Vec::with_capacity(present.len());
            let mut rank = 0usize;
            for slot in &present {
                ranks.push(rank);
                rank += usize::from(slot.is_some());
            }
            for (position, _) in &mut explicit {
                *position = ranks.get(*position).copied().unwrap_or(0);
            }
        }
        (present, explicit)
    }

    fn see_time(&mut self, timestamp: TimestampMs) {
        let (min, max) = self.times_seen.unwrap_or((timestamp, timestamp));
        self.times_seen = Some((min.min(timestamp), max.max(timestamp)));
    }

    fn put_head(&mut self, scrape: &Scrape, layout: usize, series: usize, mode: u8, times: usize) {
        let heads = &mut self.heads;
        heads.extend_from_slice(&scrape.source.0.to_le_bytes());
        put_varint(heads, layout as u64);
        put_zigzag(heads, scrape.timestamp.wrapping_sub(self.last_timestamp));
        self.last_timestamp = scrape.timestamp;
        put_varint(heads, scrape.outcome.duration.as_secs());
        put_varint(heads, u64::from(scrape.outcome.duration.subsec_nanos()));
        match &scrape.outcome.error {
            None => put_varint(heads, 0),
            Some(error) => {
                put_varint(heads, error.len() as u64 + 1);
                heads.extend_from_slice(error.as_bytes());
            }
        }
        put_varint(heads, series as u64);
        heads.push(mode);
        put_varint(heads, times as u64);
    }

    fn put_times(&mut self, timestamp: TimestampMs, times: &[(usize, TimestampMs)]) {
        let (mut next, mut last) = (0usize, timestamp);
        for (rank, time) in times {
            put_varint(&mut self.times, (rank - next) as u64);
            put_zigzag(&mut self.times, time.wrapping_sub(last));
            (next, last) = (rank + 1, *time);
        }
    }

    fn finish(mut self) -> EncodedSegment {
        let mut clear = Vec::with_capacity(self.layouts.len() * 16 + 2);
        put_varint(&mut clear, self.layouts.len() as u64);
        for (id, _) in &self.layouts {
            clear.extend_from_slice(&id.0.to_le_bytes());
        }
        let mut body = Vec::new();
        put_varint(&mut body, u64::from(self.summary.scrapes));
        // One byte of every value beside each other: alike bytes compress.
        let raws: Vec<u8> = (0..64)
            .step_by(8)
            .flat_map(|shift| self.raws.iter().map(move |bits| (bits >> shift) as u8))
            .collect();
        let streams = [&self.heads, &self.codes, &self.mantissas, &raws, &self.times];
        for stream in streams {
            put_varint(&mut body, stream.len() as u64);
        }
        for stream in streams {
            body.extend_from_slice(stream);
        }
        let payload = envelope::seal(MAGIC, &clear, &body);
        (self.summary.min_time, self.summary.max_time) = self.times_seen.unwrap_or_default();
        self.summary.bytes = payload.len() as u64;
        self.summary.checksum = xxh3_64(&payload);
        self.summary.layouts = self.layouts.iter().map(|(id, _)| *id).collect();
        EncodedSegment { payload, layouts: self.layouts, summary: self.summary }
    }
}

/// What a mantissa is the difference to. The decoder computes the same.
pub(super) fn base(mode: u8, code: u8, earlier: Option<Coded>, neighbour: i64) -> i64 {
    match mode {
        FROM_EARLIER => earlier.filter(|earlier| earlier.code == code).map_or(0, |earlier| earlier.mantissa),
        FROM_NEIGHBOUR => neighbour,
        _ => 0,
    }
}

fn code_values(present: &[Option<f64>], earlier: &Earlier) -> Vec<Option<Coded>> {
    let code = |(value, before): (&Option<f64>, &Option<Coded>)| {
        let value = (*value)?;
        let bits = value.to_bits();
        if let Some(before) = before {
            if before.bits == bits {
                return Some(*before);
            }
            // The series' own exponent, even if a smaller one would do: differences stay small.
            if let Some(mantissa) = decimal::at_exponent(value, before.code) {
                return Some(Coded { code: before.code, mantissa, bits });
            }
        }
        Some(match decimal::split(value) {
            Some((code, mantissa)) => Coded { code, mantissa, bits },
            None => Coded { code: RAW, mantissa: 0, bits },
        })
    };
    present.iter().zip(&earlier.values).map(code).collect()
}

/// Whether differences between neighbouring series (the buckets of a histogram) are shorter than the mantissas.
fn neighbours_help(coded: &[Option<Coded>]) -> bool {
    let length = |value: i64| u64::from(64 - value.unsigned_abs().leading_zeros()) / 7;
    let (mut plain, mut differences, mut neighbour) = (0u64, 0u64, 0i64);
    for coded in coded.iter().flatten().filter(|coded| coded.code != RAW) {
        plain += length(coded.mantissa);
        differences += length(coded.mantissa.wrapping_sub(neighbour));
        neighbour = coded.mantissa;
    }
    differences < plain
}
