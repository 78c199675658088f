//! Adaptive binary range coding: a bit that was expected costs next to nothing.
//!
//! One description of the data serves both directions: [`Coder::bit`] writes the given bit, or ignores it and gives the
//! one that was written. After the carryless coder of lpaq (M. Mahoney): the bytes that both ends of the range share are
//! output; a [`Prob`] is the share of ones seen so far, the older the less they count.

use super::Corrupt;

/// Rates by the number of bits seen: the first teach the most.
const RATES: [u16; SEEN_MAX as usize + 1] = rates();
const SEEN_MAX: u16 = 40;
/// Neither bit is ever impossible, nor cheaper than 1/2000 of a bit.
const PROB_MIN: u32 = 24;
/// A reader looks so many bytes ahead of what was written.
const AHEAD: usize = 4;

const fn rates() -> [u16; SEEN_MAX as usize + 1] {
    let mut rates = [0u16; SEEN_MAX as usize + 1];
    let mut seen = 0;
    while seen <= SEEN_MAX as usize {
        rates[seen] = (65_536 * 2 / (2 * seen as u32 + 3)) as u16;
        seen += 1;
    }
    rates
}

/// What is known of a bit from those that came before it in the same context.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prob {
    one: u16,
    seen: u16,
}

impl Prob {
    pub(super) const EVEN: Self = Self { one: 1 << 15, seen: 0 };
    /// Ones are rare; to be learned anew soon.
    pub(super) const RARE: Self = Self { one: 1 << 11, seen: 2 };

    fn get(self) -> u32 {
        u32::from(self.one).clamp(PROB_MIN, 65_536 - PROB_MIN)
    }

    fn learn(&mut self, bit: bool) {
        let rate = u32::from(RATES[usize::from(self.seen.min(SEEN_MAX))]);
        let one = u32::from(self.one);
        self.one =
            if bit { one + (((65_535 - one) * rate) >> 16) } else { one - ((one * rate) >> 16) } as u16;
        self.seen = (self.seen + 1).min(SEEN_MAX);
    }

    /// Keeps what it knows, ready to learn otherwise.
    pub(super) fn age(&mut self, seen_max: u16) {
        self.seen = self.seen.min(seen_max);
    }
}

/// Either direction.
pub(super) trait Coder {
    /// Whether it reads, so that what comes out counts.
    const READS: bool;

    /// Codes a bit that `prob` predicts, and teaches it.
    fn bit(&mut self, prob: &mut Prob, bit: bool) -> bool;

    /// Codes a bit of which nothing is known.
    fn even(&mut self, bit: bool) -> bool;

    /// Where what is read makes no sense: the reader fails at its end. The writer is never wrong.
    fn refuse(&mut self);

    /// Whether reading has gone wrong, so that it may stop early.
    fn is_refused(&self) -> bool;

    /// The low `count` bits of `value`, highest first, of which nothing is known.
    fn even_bits(&mut self, count: u32, value: u64) -> u64 {
        let mut out = 0;
        for at in (0..count).rev() {
            out = out << 1 | u64::from(self.even(value >> at & 1 == 1));
        }
        out
    }

    /// The low `count` bits of `value` by a tree of `1 << count` contexts.
    fn tree(&mut self, probs: &mut [Prob], count: u32, value: u32) -> u32 {
        let mut node = 1usize;
        for at in (0..count).rev() {
            let Some(prob) = probs.get_mut(node) else { return 0 };
            node = node << 1 | usize::from(self.bit(prob, value >> at & 1 == 1));
        }
        (node - (1 << count)) as u32
    }
}

/// Writes bits.
#[derive(Debug)]
pub(super) struct BitWriter {
    low: u32,
    high: u32,
    out: Vec<u8>,
}

impl BitWriter {
    pub(super) fn new() -> Self {
        Self { low: 0, high: u32::MAX, out: Vec::new() }
    }

    fn narrow(&mut self, split: u32, bit: bool) {
        if bit {
            self.high = split;
        } else {
            self.low = split.wrapping_add(1);
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.out.push((self.high >> 24) as u8);
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
        }
    }

    /// What was written: the fewest bytes that are within the range whatever a reader takes to follow them.
    pub(super) fn finish(mut self) -> Vec<u8> {
        for len in 0..=4u32 {
            let shift = 32 - 8 * len;
            let value = (u64::from(self.low) + ((1u64 << shift) - 1)) >> shift << shift;
            if value <= u64::from(self.high) && (len > 0 || value == 0) {
                self.out.extend((0..len).map(|at| (value >> (24 - 8 * at)) as u8));
                break;
            }
        }
        self.out
    }
}

fn split_of(low: u32, high: u32, one: u32) -> u32 {
    low + ((u64::from(high - low) * u64::from(one)) >> 16) as u32
}

impl Coder for BitWriter {
    const READS: bool = false;

    fn bit(&mut self, prob: &mut Prob, bit: bool) -> bool {
        self.narrow(split_of(self.low, self.high, prob.get()), bit);
        prob.learn(bit);
        bit
    }

    fn even(&mut self, bit: bool) -> bool {
        self.narrow(split_of(self.low, self.high, 1 << 15), bit);
        bit
    }

    fn refuse(&mut self) {}

    fn is_refused(&self) -> bool {
        false
    }
}

/// Reads bits.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    low: u32,
    high: u32,
    code: u32,
    rest: &'a [u8],
    beyond: usize,
    refused: bool,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut reader = Self { low: 0, high: u32::MAX, code: 0, rest: bytes, beyond: 0, refused: false };
        for _ in 0..AHEAD {
            reader.next_byte();
        }
        reader
    }

    fn next_byte(&mut self) {
        let byte = match self.rest.split_first() {
            Some((first, rest)) => {
                self.rest = rest;
                *first
            }
            None => {
                self.beyond += 1;
                0
            }
        };
        self.code = self.code << 8 | u32::from(byte);
    }

    fn narrow(&mut self, split: u32) -> bool {
        let bit = self.code <= split;
        if bit {
            self.high = split;
        } else {
            self.low = split.wrapping_add(1);
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
            self.next_byte();
        }
        bit
    }

    /// Fails once reading has gone wrong.
    pub(super) fn check(&self) -> Result<(), Corrupt> {
        if self.is_refused() { Err(Corrupt::new("a chunk does not add up")) } else { Ok(()) }
    }

    /// Whether all was read, and nothing else.
    pub(super) fn end(&self) -> Result<(), Corrupt> {
        if self.is_refused() || !self.rest.is_empty() {
            return Err(Corrupt::new("a chunk does not add up"));
        }
        Ok(())
    }
}

impl Coder for BitReader<'_> {
    const READS: bool = true;

    fn bit(&mut self, prob: &mut Prob, _: bool) -> bool {
        let bit = self.narrow(split_of(self.low, self.high, prob.get()));
        prob.learn(bit);
        bit
    }

    fn even(&mut self, _: bool) -> bool {
        self.narrow(split_of(self.low, self.high, 1 << 15))
    }

    fn refuse(&mut self) {
        self.refused = true;
    }

    fn is_refused(&self) -> bool {
        self.refused || self.beyond > AHEAD
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_come_back(bits in prop::collection::vec((0usize..5, prop::bool::weighted(0.1)), 0..3000)) {
            let mut writer = BitWriter::new();
            let mut probs = [Prob::EVEN; 4];
            for (context, bit) in &bits {
                match probs.get_mut(*context) {
                    Some(prob) => writer.bit(prob, *bit),
                    None => writer.even(*bit),
                };
            }
            let bytes = writer.finish();
            let mut reader = BitReader::new(&bytes);
            let mut probs = [Prob::EVEN; 4];
            for (context, bit) in &bits {
                let read = match probs.get_mut(*context) {
                    Some(prob) => reader.bit(prob, false),
                    None => reader.even(false),
                };
                prop_assert_eq!(read, *bit);
            }
            prop_assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn what_is_expected_costs_next_to_nothing() {
        let mut writer = BitWriter::new();
        let mut prob = Prob::EVEN;
        for _ in 0..10_000 {
            writer.bit(&mut prob, true);
        }
        assert!(writer.finish().len() < 12);
    }
}
