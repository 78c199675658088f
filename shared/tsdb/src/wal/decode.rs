//! Bytes to scrapes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, TimestampMs};
use storage::{Scrape, ScrapeOutcome, ScrapeSample, SourceId};

use super::cursor::Cursor;
use super::encode::{ABSENT, Coded, Earlier, FROM_EARLIER, FROM_NEIGHBOUR, MAGIC, RAW, UNCHANGED, base};
use super::layout::{Layout, LayoutId};
use super::{Corrupt, SERIES_PER_LAYOUT_MAX, decimal, envelope};

/// Why a segment cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalError {
    /// A byte is changed or missing.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// A layout that it refers to was not given.
    #[error("layout {0} is missing")]
    MissingLayout(LayoutId),
}

/// One scrape as a segment holds it: samples in the order of the layout, columnar.
#[derive(Clone, Debug)]
pub struct DecodedScrape {
    /// What was scraped or evaluated.
    pub source: SourceId,
    /// The instant of all samples without one of their own, ms.
    pub timestamp: TimestampMs,
    /// How it went.
    pub outcome: ScrapeOutcome,
    /// The series that samples refer to.
    pub layout: Arc<Layout>,
    /// Names the layout.
    pub layout_id: LayoutId,
    /// Per sample, the index of its series in the layout; strictly increasing, each within the layout.
    pub present: Vec<u32>,
    /// Per sample, its value.
    pub values: Vec<f64>,
    /// Samples with an instant of their own: (index into `present`, ms), strictly increasing by index.
    pub explicit: Vec<(u32, TimestampMs)>,
}

/// One sample of a [`DecodedScrape`].
#[derive(Clone, Copy, Debug)]
pub struct DecodedSample<'a> {
    /// Index of the series in the layout.
    pub series: u32,
    /// The series.
    pub labels: &'a Labels,
    /// The value.
    pub value: f64,
    /// The instant that the exposition gave, ms, where it gave one.
    pub timestamp: Option<TimestampMs>,
}

impl DecodedScrape {
    /// The samples in order of the layout.
    pub fn samples(&self) -> impl Iterator<Item = DecodedSample<'_>> {
        let mut explicit = self.explicit.iter().peekable();
        self.present.iter().zip(&self.values).enumerate().filter_map(move |(index, (series, value))| {
            let timestamp =
                explicit.next_if(|(at, _)| *at as usize == index).map(|(_, timestamp)| *timestamp);
            let labels = self.layout.series.get(*series as usize)?;
            Some(DecodedSample { series: *series, labels, value: *value, timestamp })
        })
    }

    /// As it was before it was encoded, but for the order of the samples.
    #[must_use]
    pub fn to_scrape(&self) -> Scrape {
        let samples = self.samples().map(|sample| ScrapeSample {
            labels: sample.labels.clone(),
            value: sample.value,
            timestamp: sample.timestamp,
        });
        Scrape {
            source: self.source,
            timestamp: self.timestamp,
            outcome: self.outcome.clone(),
            samples: samples.collect(),
            ..Scrape::default()
        }
    }
}

/// The layouts that a segment refers to.
///
/// # Errors
/// [`Corrupt`] where a byte of the payload is changed or missing.
pub fn layout_ids(payload: &[u8]) -> Result<Vec<LayoutId>, Corrupt> {
    read_layout_ids(payload).map(|(ids, _)| ids)
}

/// The scrapes of a segment in the order in which they were given to [`super::encode()`].
///
/// # Errors
/// [`WalError::Corrupt`] where a byte of the payload is changed or missing, [`WalError::MissingLayout`] where
/// `layouts` does not know one that it refers to.
pub fn decode(
    payload: &[u8],
    layouts: &dyn Fn(LayoutId) -> Option<Arc<Layout>>,
) -> Result<Vec<DecodedScrape>, WalError> {
    let (ids, cursor) = read_layout_ids(payload)?;
    let body = envelope::body(cursor)?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.push((id, layouts(id).ok_or(WalError::MissingLayout(id))?));
    }
    let mut cursor = Cursor::new(&body);
    let scrapes = cursor.count(usize::MAX)?;
    let mut streams = [&body[..0]; 5];
    let mut lens = [0usize; 5];
    for len in &mut lens {
        *len = cursor.count(usize::MAX)?;
    }
    for (stream, len) in streams.iter_mut().zip(lens) {
        *stream = cursor.take(len)?;
    }
    cursor.end()?;
    let mut decoder = Decoder::new(found, streams)?;
    let mut decoded = Vec::new();
    for _ in 0..scrapes {
        decoded.push(decoder.scrape()?);
    }
    decoder.end()?;
    Ok(decoded)
}

fn read_layout_ids(payload: &[u8]) -> Result<(Vec<LayoutId>, Cursor<'_>), Corrupt> {
    let mut cursor = envelope::open(MAGIC, payload)?;
    let count = cursor.count(cursor.remaining() / 16)?;
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        ids.push(LayoutId(u128::from_le_bytes(cursor.array()?)));
    }
    Ok((ids, cursor))
}

/// The columns of a segment, read in step.
#[derive(Debug)]
struct Decoder<'a> {
    layouts: Vec<(LayoutId, Arc<Layout>)>,
    heads: Cursor<'a>,
    codes: Cursor<'a>,
    mantissas: Cursor<'a>,
    raws: Raws<'a>,
    times: Cursor<'a>,
    earlier: BTreeMap<SourceId, Earlier>,
    last_timestamp: TimestampMs,
}

struct Head {
    source: SourceId,
    layout: usize,
    timestamp: TimestampMs,
    outcome: ScrapeOutcome,
    series: usize,
    mode: u8,
    times: usize,
}

impl<'a> Decoder<'a> {
    fn new(layouts: Vec<(LayoutId, Arc<Layout>)>, streams: [&'a [u8]; 5]) -> Result<Self, Corrupt> {
        let [heads, codes, mantissas, raws, times] = streams;
        Ok(Self {
            layouts,
            heads: Cursor::new(heads),
            codes: Cursor::new(codes),
            mantissas: Cursor::new(mantissas),
            raws: Raws::new(raws)?,
            times: Cursor::new(times),
            earlier: BTreeMap::new(),
            last_timestamp: 0,
        })
    }

    fn scrape(&mut self) -> Result<DecodedScrape, Corrupt> {
        let head = self.head()?;
        let (layout_id, layout) =
            self.layouts.get(head.layout).cloned().ok_or(Corrupt::new("a layout is out of bounds"))?;
        if layout.series.len() != head.series {
            return Err(Corrupt::new("a layout has another number of series"));
        }
        let known = self.earlier.remove(&head.source).filter(|earlier| earlier.layout == head.layout);
        if (head.mode == FROM_EARLIER) != known.is_some() {
            return Err(Corrupt::new("a scrape refers to an earlier one that is not there"));
        }
        let codes = self.codes.take(head.series)?;
        let mut earlier = known.unwrap_or_else(|| Earlier {
            layout: head.layout,
            values: std::iter::repeat_n(None, head.series).collect(),
        });
        let (mut present, mut values) = (Vec::with_capacity(head.series), Vec::with_capacity(head.series));
        let mut neighbour = 0i64;
        for (index, (code, slot)) in codes.iter().zip(&mut earlier.values).enumerate() {
            if *code == ABSENT {
                continue;
            }
            let coded = self.value(head.mode, *code, *slot, &mut neighbour)?;
            present.push(index as u32);
            values.push(f64::from_bits(coded.bits));
            *slot = Some(coded);
        }
        let explicit = self.explicit(head.times, head.timestamp, present.len())?;
        self.earlier.insert(head.source, earlier);
        let Head { source, timestamp, outcome, .. } = head;
        Ok(DecodedScrape { source, timestamp, outcome, layout, layout_id, present, values, explicit })
    }

    fn head(&mut self) -> Result<Head, Corrupt> {
        let heads = &mut self.heads;
        let source = SourceId(u64::from_le_bytes(heads.array()?));
        let layout = usize::try_from(heads.varint()?).unwrap_or(usize::MAX);
        let timestamp = self.last_timestamp.wrapping_add(heads.zigzag()?);
        self.last_timestamp = timestamp;
        let seconds = heads.varint()?;
        let nanos = u32::try_from(heads.varint()?).ok().filter(|nanos| *nanos < 1_000_000_000);
        let nanos = nanos.ok_or(Corrupt::new("a duration is out of bounds"))?;
        let error = match usize::try_from(heads.varint()?).unwrap_or(usize::MAX) {
            0 => None,
            len => {
                let text = std::str::from_utf8(heads.take(len - 1)?);
                Some(text.map_err(|_| Corrupt::new("an error is not UTF-8"))?.to_owned())
            }
        };
        let series = heads.varint()?;
        let series = usize::try_from(series).ok().filter(|series| *series <= SERIES_PER_LAYOUT_MAX);
        let series = series.ok_or(Corrupt::new("a count is out of bounds"))?;
        let mode = heads.byte()?;
        if ![0, FROM_EARLIER, FROM_NEIGHBOUR].contains(&mode) {
            return Err(Corrupt::new("a mode is not known"));
        }
        let times = heads.varint()?;
        let times = usize::try_from(times).ok().filter(|times| *times <= series);
        let times = times.ok_or(Corrupt::new("a count is out of bounds"))?;
        let outcome = ScrapeOutcome { duration: Duration::new(seconds, nanos), error };
        Ok(Head { source, layout, timestamp, outcome, series, mode, times })
    }

    fn value(
        &mut self,
        mode: u8,
        code: u8,
        slot: Option<Coded>,
        neighbour: &mut i64,
    ) -> Result<Coded, Corrupt> {
        match code {
            UNCHANGED => slot
                .filter(|_| mode == FROM_EARLIER)
                .ok_or(Corrupt::new("a value refers to an earlier one that is not there")),
            RAW => {
                let base = slot.filter(|_| mode == FROM_EARLIER).map_or(0, |before| before.bits);
                Ok(Coded { code, mantissa: 0, bits: self.raws.next()? ^ base })
            }
            _ => {
                let mantissa = self.mantissas.zigzag()?.wrapping_add(base(mode, code, slot, *neighbour));
                *neighbour = mantissa;
                let value = decimal::join(code, mantissa).ok_or(Corrupt::new("a code is not known"))?;
                Ok(Coded { code, mantissa, bits: value.to_bits() })
            }
        }
    }

    fn explicit(
        &mut self,
        count: usize,
        timestamp: TimestampMs,
        samples: usize,
    ) -> Result<Vec<(u32, TimestampMs)>, Corrupt> {
        if count > samples {
            return Err(Corrupt::new("a count is out of bounds"));
        }
        let mut explicit = Vec::with_capacity(count);
        let (mut next, mut last) = (0usize, timestamp);
        for _ in 0..count {
            let rank = usize::try_from(self.times.varint()?).ok().and_then(|gap| next.checked_add(gap));
            let rank =
                rank.filter(|rank| *rank < samples).ok_or(Corrupt::new("a sample is out of bounds"))?;
            last = last.wrapping_add(self.times.zigzag()?);
            explicit.push((rank as u32, last));
            next = rank + 1;
        }
        Ok(explicit)
    }

    fn end(&self) -> Result<(), Corrupt> {
        [self.heads, self.codes, self.mantissas, self.times].iter().try_for_each(Cursor::end)?;
        if self.raws.next == self.raws.count {
            Ok(())
        } else {
            Err(Corrupt::new("it does not end where it should"))
        }
    }
}

/// 64-bit values, stored as all their lowest bytes, then all their second bytes, and so on.
#[derive(Debug)]
struct Raws<'a> {
    bytes: &'a [u8],
    count: usize,
    next: usize,
}

impl<'a> Raws<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, Corrupt> {
        if !bytes.len().is_multiple_of(8) {
            return Err(Corrupt::new("raw values are not whole"));
        }
        Ok(Self { bytes, count: bytes.len() / 8, next: 0 })
    }

    fn next(&mut self) -> Result<u64, Corrupt> {
        if self.next >= self.count {
            return Err(Corrupt::new("it ends too early"));
        }
        let planes = self.bytes.iter().skip(self.next).step_by(self.count);
        self.next += 1;
        Ok(planes.zip((0..64).step_by(8)).fold(0, |bits, (byte, shift)| bits | (u64::from(*byte) << shift)))
    }
}
