//! Integers as bits: their length near an expected one, their sign, then their digits.

use super::bits::{Coder, Prob};

/// Expected lengths are alike in classes.
const CLASSES: usize = 10;
/// Distances from the expected length that have contexts of their own.
const DISTANCES: usize = 10;
/// Lengths whose leading digits have contexts of their own.
const LENGTHS: usize = 24;

/// Expectations about integers of one kind.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    near: [Prob; CLASSES],
    longer: [Prob; CLASSES],
    far: [[[Prob; DISTANCES]; 2]; CLASSES],
    sign: [Prob; 3],
    leading: [[Prob; 8]; LENGTHS],
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            near: [Prob::EVEN; CLASSES],
            longer: [Prob::EVEN; CLASSES],
            far: [[[Prob::EVEN; DISTANCES]; 2]; CLASSES],
            sign: [Prob::EVEN; 3],
            leading: [[Prob::EVEN; 8]; LENGTHS],
        }
    }
}

/// Number of bits of a magnitude.
pub(super) fn length(value: i64) -> u8 {
    (64 - value.unsigned_abs().leading_zeros()) as u8
}

fn class(expected: u8) -> usize {
    match expected {
        0..=3 => usize::from(expected),
        4..=5 => 4,
        6..=8 => 5,
        9..=12 => 6,
        13..=18 => 7,
        19..=26 => 8,
        _ => 9,
    }
}

impl Numbers {
    /// Codes `value`, whose length should be about `expected` and whose sign about that of `like`.
    pub(super) fn code<C: Coder>(&mut self, coder: &mut C, expected: u8, like: i64, value: i64) -> i64 {
        let len = self.code_length(coder, expected.min(64), length(value));
        if len == 0 {
            return 0;
        }
        let sign = &mut self.sign[(like.signum() + 1) as usize];
        let negative = coder.bit(sign, value < 0);
        let magnitude = self.code_digits(coder, len, value.unsigned_abs());
        (if negative { magnitude.wrapping_neg() } else { magnitude }) as i64
    }

    /// As [`Numbers::code`], of what is not negative.
    pub(super) fn code_unsigned<C: Coder>(&mut self, coder: &mut C, expected: u8, value: u64) -> u64 {
        let len = self.code_length(coder, expected.min(64), (64 - value.leading_zeros()) as u8);
        if len == 0 { 0 } else { self.code_digits(coder, len, value) }
    }

    fn code_length<C: Coder>(&mut self, coder: &mut C, expected: u8, len: u8) -> u8 {
        let class = class(expected);
        if coder.bit(&mut self.near[class], len == expected) {
            return expected;
        }
        let longer = match expected {
            0 => true,
            64 => false,
            _ => coder.bit(&mut self.longer[class], len > expected),
        };
        let room = if longer { 64 - expected } else { expected };
        let distance = len.abs_diff(expected);
        let mut at = 1;
        while at < room {
            let context = usize::from(at - 1).min(DISTANCES - 1);
            if coder.bit(&mut self.far[class][usize::from(longer)][context], distance == at) {
                break;
            }
            at += 1;
        }
        if longer { expected + at } else { expected - at }
    }

    /// The digits of a magnitude below its first: the leading ones by context.
    fn code_digits<C: Coder>(&mut self, coder: &mut C, len: u8, magnitude: u64) -> u64 {
        let below = u32::from(len) - 1;
        let by_context = below.min(3);
        let rest = below - by_context;
        let leading = &mut self.leading[usize::from(len).min(LENGTHS - 1)];
        let top = coder.tree(leading, by_context, (magnitude >> rest) as u32 & ((1 << by_context) - 1));
        let known = 1u64 << by_context | u64::from(top);
        let digits = coder.even_bits(rest, magnitude);
        known << rest | digits
    }

    pub(super) fn age(&mut self, seen_max: u16) {
        let far = self.far.iter_mut().flatten().flatten();
        let all = self.near.iter_mut().chain(&mut self.longer).chain(far).chain(&mut self.sign);
        all.chain(self.leading.iter_mut().flatten()).for_each(|prob| prob.age(seen_max));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bits::{BitReader, BitWriter};
    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec((0u8..70, any::<i64>(), 0u32..64), 0..50)) {
            let numbers: Vec<(u8, i64)> =
                numbers.into_iter().map(|(expected, value, shift)| (expected, value >> shift)).chain([(64, i64::MIN), (0, 0)]).collect();
            let (mut writer, mut model) = (BitWriter::new(), Numbers::default());
            for (expected, value) in &numbers {
                model.code(&mut writer, *expected, *value, *value);
                model.code_unsigned(&mut writer, *expected, *value as u64);
            }
            let bytes = writer.finish();
            let (mut reader, mut model) = (BitReader::new(&bytes), Numbers::default());
            for (expected, value) in &numbers {
                prop_assert_eq!(model.code(&mut reader, *expected, *value, 0), *value);
                prop_assert_eq!(model.code_unsigned(&mut reader, *expected, 0), *value as u64);
            }
            prop_assert_eq!(reader.end(), Ok(()));
        }
    }
}
