//! The exemplars of a chunk of a scrape as bits: mostly those of the scrape before.

use model::{Exemplar, Labels, LabelsBuilder, TimestampMs};

use super::bits::{Coder, Prob};
use super::histograms::code_lone_float;
use super::numbers::Numbers;

/// Most exemplars of one scrape.
pub(super) const EXEMPLARS_MAX: usize = 1 << 22;
/// Longest text of an exemplar's labels, and most of these.
const TEXT_BYTES_MAX: usize = 1 << 16;

/// Expectations about one chunk's exemplars.
#[derive(Clone, Debug)]
pub(super) struct Exemplars {
    counts: Numbers,
    again: Prob,
    gaps: Numbers,
    times: Numbers,
    values: Numbers,
    codes: [Prob; 32],
    lengths: Numbers,
    text: Vec<[Prob; 256]>,
}

impl Default for Exemplars {
    fn default() -> Self {
        Self {
            counts: Numbers::default(),
            again: Prob::EVEN,
            gaps: Numbers::default(),
            times: Numbers::default(),
            values: Numbers::default(),
            codes: [Prob::EVEN; 32],
            lengths: Numbers::default(),
            text: vec![[Prob::EVEN; 256]; 3],
        }
    }
}

/// An exemplar and its series' rank in the chunk.
pub(super) type Ranked = (u32, Exemplar);

impl Exemplars {
    /// Codes the exemplars of a scrape, sorted by rank, against those of the scrape before.
    pub(super) fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        before: &[Ranked],
        series: usize,
        timestamp: TimestampMs,
        given: &[Ranked],
    ) -> Vec<Ranked> {
        let count = self.counts.code_unsigned(coder, length_of(before.len()), given.len() as u64);
        let count = match usize::try_from(count) {
            Ok(count) if count <= EXEMPLARS_MAX => count,
            _ => {
                coder.refuse();
                return Vec::new();
            }
        };
        let mut out: Vec<Ranked> = Vec::new();
        let mut next = 0usize;
        for at in 0..count {
            if coder.is_refused() {
                break;
            }
            let given = given.get(at);
            let last = out.last().map_or(0, |(rank, _)| *rank);
            let candidate = before.get(next).filter(|(rank, _)| *rank >= last);
            if let Some(candidate) = candidate
                && coder.bit(&mut self.again, given.is_some_and(|given| is_same(given, candidate)))
            {
                out.push(candidate.clone());
                next += 1;
                continue;
            }
            let Some(exemplar) = self.code_one(coder, last, series, timestamp, given) else { break };
            // What takes the place of one of before is followed by what followed that.
            next += before.get(next..).unwrap_or_default().partition_point(|(rank, _)| *rank <= exemplar.0);
            out.push(exemplar);
        }
        out
    }

    fn code_one<C: Coder>(
        &mut self,
        coder: &mut C,
        last: u32,
        series: usize,
        timestamp: TimestampMs,
        given: Option<&Ranked>,
    ) -> Option<Ranked> {
        let gap = given.map_or(0, |(rank, _)| u64::from(rank.wrapping_sub(last)));
        let rank = u64::from(last).checked_add(self.gaps.code_unsigned(coder, 1, gap));
        let Some(rank) = rank.filter(|rank| *rank < series as u64) else {
            coder.refuse();
            return None;
        };
        let given = given.map(|(_, exemplar)| exemplar);
        let since = given.map_or(0, |exemplar| exemplar.timestamp.wrapping_sub(timestamp));
        let timestamp = self.times.code(coder, 10, -1, since).wrapping_add(timestamp);
        let value = given.map_or(0.0, |exemplar| exemplar.value);
        let value = code_lone_float(coder, &mut self.values, &mut self.codes, value);
        let labels = self.code_labels(coder, given.map(|exemplar| &exemplar.labels))?;
        Some((rank as u32, Exemplar { labels, value, timestamp }))
    }

    fn code_labels<C: Coder>(&mut self, coder: &mut C, given: Option<&Labels>) -> Option<Labels> {
        let mut pairs = given.into_iter().flatten();
        let count = self.lengths.code_unsigned(coder, 1, given.map_or(0, |labels| labels.len() as u64));
        if count > TEXT_BYTES_MAX as u64 {
            coder.refuse();
            return None;
        }
        let mut builder = LabelsBuilder::new();
        for _ in 0..count {
            let (name, value) = pairs.next().unwrap_or_default();
            let name = self.code_text(coder, 0, name)?;
            let value = self.code_text(coder, 1, value)?;
            builder.set(name, value);
        }
        Some(builder.build())
    }

    fn code_text<C: Coder>(&mut self, coder: &mut C, kind: usize, given: &str) -> Option<String> {
        let len = self.lengths.code_unsigned(coder, 4, given.len() as u64);
        if len > TEXT_BYTES_MAX as u64 {
            coder.refuse();
            return None;
        }
        let mut bytes = Vec::new();
        for at in 0..len as usize {
            if coder.is_refused() {
                return None;
            }
            let byte = given.as_bytes().get(at).copied().unwrap_or(0);
            bytes.push(coder.tree(&mut self.text[kind], 8, u32::from(byte)) as u8);
        }
        match String::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(_) => {
                coder.refuse();
                None
            }
        }
    }
}

fn length_of(count: usize) -> u8 {
    (usize::BITS - count.leading_zeros()) as u8
}

fn is_same(a: &Ranked, b: &Ranked) -> bool {
    a.0 == b.0
        && a.1.value.to_bits() == b.1.value.to_bits()
        && a.1.timestamp == b.1.timestamp
        && a.1.labels == b.1.labels
}
