//! DELTA_BINARY_PACKED, both ways: a first value, then blocks of 128 differences, less their least, in four miniblocks
//! of as many bits as each needs.
//!
//! This is the hot path of reading and writing. Thirty-two values are packed at a time by code that is unrolled for each
//! bit width, so that every shift and offset is a constant and no bound is checked within.

use super::encoding::{varint, zigzag};
use super::thrift::put_varint;

/// Values that are packed together.
const GROUP: usize = 32;
/// Differences of a block that the writer makes.
const BLOCK: usize = 128;
const MINIBLOCKS: usize = BLOCK / GROUP;
/// Longest block that a reader takes.
const BLOCK_MAX: usize = 1 << 16;

/// Calls `$step!(i)` for 0 to 31.
macro_rules! unroll {
    ($step:ident) => {
        unroll!($step: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31)
    };
    ($step:ident: $($i:literal)*) => { $($step!($i);)* };
}

/// Evaluates `$of!(w)` for the literal that equals `$width`, 1 to 64.
macro_rules! by_width {
    ($width:expr, $of:ident, $other:expr) => {
        by_width!($width, $of, $other;
            1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
            33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64)
    };
    ($width:expr, $of:ident, $other:expr; $($w:literal)*) => {
        match $width { $($w => $of!($w),)* _ => $other }
    };
}

/// Packs integers that are pushed bit by bit.
#[derive(Debug)]
pub(super) struct Packer {
    blocks: Vec<u8>,
    first: i64,
    last: i64,
    count: usize,
    deltas: [i64; BLOCK],
    pending: usize,
}

impl Default for Packer {
    fn default() -> Self {
        Self { blocks: Vec::new(), first: 0, last: 0, count: 0, deltas: [0; BLOCK], pending: 0 }
    }
}

impl Packer {
    /// Appends `values`.
    pub(super) fn push(&mut self, mut values: &[i64]) {
        if let (0, Some((first, rest))) = (self.count, values.split_first()) {
            (self.first, self.last, self.count) = (*first, *first, 1);
            values = rest;
        }
        self.count += values.len();
        while !values.is_empty() {
            let free = self.deltas.get_mut(self.pending..).unwrap_or_default();
            let (now, rest) = values.split_at(values.len().min(free.len()));
            let before = std::iter::once(&self.last).chain(now);
            for ((delta, value), before) in free.iter_mut().zip(now).zip(before) {
                *delta = value.wrapping_sub(*before);
            }
            self.last = now.last().copied().unwrap_or(self.last);
            self.pending += now.len();
            values = rest;
            if self.pending == BLOCK {
                self.flush();
            }
        }
    }

    /// Bytes so far, those of an unfinished block left out.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Appends everything pushed to `out`, and begins anew.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.pending > 0 {
            self.flush();
        }
        put_varint(out, BLOCK as u64);
        put_varint(out, MINIBLOCKS as u64);
        put_varint(out, self.count as u64);
        put_zigzag(out, self.first);
        out.extend_from_slice(&self.blocks);
        self.blocks.clear();
        (self.first, self.last, self.count) = (0, 0, 0);
    }

    fn flush(&mut self) {
        let used = self.deltas.get_mut(..self.pending).unwrap_or_default();
        let least = used.iter().copied().fold(i64::MAX, i64::min);
        for unused in self.deltas.get_mut(self.pending..).unwrap_or_default() {
            *unused = least;
        }
        put_zigzag(&mut self.blocks, least);
        let mut groups = [[0u64; GROUP]; MINIBLOCKS];
        let mut widths = [0u8; MINIBLOCKS];
        let (chunks, _) = self.deltas.as_chunks::<GROUP>();
        for ((group, width), deltas) in groups.iter_mut().zip(&mut widths).zip(chunks) {
            let mut bits = 0;
            for (packed, delta) in group.iter_mut().zip(deltas) {
                *packed = delta.wrapping_sub(least) as u64;
                bits |= *packed;
            }
            *width = (64 - bits.leading_zeros()) as u8;
        }
        self.blocks.extend_from_slice(&widths);
        let used = self.pending.div_ceil(GROUP);
        for (group, width) in groups.iter().zip(widths).take(used) {
            pack(group, width, &mut self.blocks);
        }
        self.pending = 0;
    }
}

/// About how many bits `values` take.
pub(super) fn packed_bits(values: &[i64]) -> u64 {
    let mut bits = 0;
    let mut deltas = [0i64; BLOCK];
    let mut last = values.first().copied().unwrap_or_default();
    for block in values.get(1..).unwrap_or_default().chunks(BLOCK) {
        for (delta, value) in deltas.iter_mut().zip(block) {
            *delta = value.wrapping_sub(last);
            last = *value;
        }
        let deltas = deltas.get(..block.len()).unwrap_or_default();
        let least = deltas.iter().copied().min().unwrap_or_default();
        for miniblock in deltas.chunks(GROUP) {
            let most =
                miniblock.iter().map(|delta| delta.wrapping_sub(least) as u64).max().unwrap_or_default();
            bits += u64::from(64 - most.leading_zeros()) * miniblock.len() as u64 + 8;
        }
        bits += 32;
    }
    bits
}

/// Exactly `count` integers into the front of `values`, which grows as needed; what is behind them is undefined.
pub(super) fn unpack_all(mut bytes: &[u8], count: usize, values: &mut Vec<i64>) -> Option<()> {
    let block_len = usize::try_from(varint(&mut bytes)?).ok()?;
    let miniblocks = usize::try_from(varint(&mut bytes)?).ok()?;
    let total = usize::try_from(varint(&mut bytes)?).ok()?;
    let mut value = zigzag(&mut bytes)?;
    if total != count
        || block_len == 0
        || block_len > BLOCK_MAX
        || miniblocks == 0
        || !block_len.is_multiple_of(miniblocks)
    {
        return None;
    }
    let miniblock_len = block_len / miniblocks;
    if !miniblock_len.is_multiple_of(GROUP) {
        return None;
    }
    // A block of any length takes some bytes, so memory stays in proportion.
    if count > bytes.len().saturating_add(1).saturating_mul(block_len) {
        return None;
    }
    let Some(differences) = count.checked_sub(1) else { return Some(()) };
    let groups = differences.div_ceil(GROUP);
    if values.len() < 1 + groups * GROUP {
        values.resize(1 + groups * GROUP, 0);
    }
    let (first, rest) = values.split_first_mut()?;
    *first = value;
    let mut out = rest.as_chunks_mut::<GROUP>().0.get_mut(..groups)?.iter_mut();
    while out.len() > 0 {
        let least = zigzag(&mut bytes)?;
        let (widths, rest) = bytes.split_at_checked(miniblocks)?;
        bytes = rest;
        for width in widths {
            for group in out.by_ref().take(miniblock_len / GROUP) {
                let (packed, rest) = bytes.split_at_checked(GROUP / 8 * usize::from(*width))?;
                bytes = rest;
                value = unpack(packed, *width, least, value, group)?;
            }
        }
    }
    Some(())
}

/// Appends the low `width` bits of each value.
fn pack(values: &[u64; GROUP], width: u8, out: &mut Vec<u8>) {
    macro_rules! with_width {
        ($w:literal) => {
            pack_at::<$w>(values, out)
        };
    }
    by_width!(width, with_width, ());
}

fn pack_at<const W: usize>(values: &[u64; GROUP], out: &mut Vec<u8>) {
    // One word more than any width needs.
    let mut words = [0u64; GROUP + 1];
    macro_rules! step {
        ($i:literal) => {
            let (word, shift) = ($i * W / 64, $i * W % 64);
            words[word] |= values[$i] << shift;
            if shift + W > 64 {
                words[word + 1] |= values[$i] >> (64 - shift);
            }
        };
    }
    unroll!(step);
    let bytes = words.map(u64::to_le_bytes);
    out.extend_from_slice(bytes.as_flattened().get(..GROUP / 8 * W).unwrap_or_default());
}

/// Thirty-two values whose differences less `least` are `width` bits each in exactly `packed`; the first comes after
/// `value`. Gives the last.
fn unpack(packed: &[u8], width: u8, least: i64, mut value: i64, out: &mut [i64; GROUP]) -> Option<i64> {
    macro_rules! with_width {
        ($w:literal) => {
            unpack_at::<$w, { GROUP / 8 * $w }>(packed.first_chunk()?, least, value, out)
        };
    }
    match width {
        0 => {
            for to in out {
                value = value.wrapping_add(least);
                *to = value;
            }
        }
        1 => {
            let bits = u32::from_le_bytes(*packed.first_chunk()?);
            for (at, to) in out.iter_mut().enumerate() {
                value = value.wrapping_add(least.wrapping_add(i64::from(bits >> at & 1)));
                *to = value;
            }
        }
        _ => value = by_width!(width, with_width, return None),
    }
    Some(value)
}

/// As [`unpack`] for a `W` of at least 2: `N` is how many bytes the differences take. Not inlined: each width alone keeps
/// what it needs in registers, and sums are made while bits are taken apart.
#[inline(never)]
fn unpack_at<const W: usize, const N: usize>(
    packed: &[u8; N],
    least: i64,
    mut value: i64,
    out: &mut [i64; GROUP],
) -> i64 {
    let mask = if W >= 64 { u64::MAX } else { (1 << W) - 1 };
    let word = |at: usize| {
        packed.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
    };
    macro_rules! step {
        ($i:literal) => {
            let bit = $i * W;
            // The eight bytes that begin where the value does; the last eight where they would pass the end.
            let at = if bit / 8 + 8 > N { N - 8 } else { bit / 8 };
            let shift = bit - at * 8;
            let delta = if shift + W <= 64 {
                word(at) >> shift & mask
            } else {
                (word(at) >> shift | u64::from(packed[at + 8]) << (64 - shift)) & mask
            };
            value = value.wrapping_add(least.wrapping_add(delta as i64));
            out[$i] = value;
        };
    }
    unroll!(step);
    value
}

fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, (value << 1 ^ value >> 63) as u64);
}

#[cfg(test)]
mod tests {
    use parquet::data_type::Int64Type;
    use proptest::prelude::*;

    use super::super::column::Column;
    use super::super::page::{Levels, read_chunk};
    use super::super::schema::{FileKind, samples};
    use super::*;

    fn packed(values: &[i64]) -> Vec<u8> {
        let mut packer = Packer::default();
        // In two pushes: where a list ends must not matter.
        let (a, b) = values.split_at(values.len() / 3);
        packer.push(a);
        packer.push(b);
        let mut out = Vec::new();
        packer.finish(&mut out);
        out
    }

    fn unpacked(bytes: &[u8], count: usize) -> Option<Vec<i64>> {
        let mut values = vec![-1; 3];
        unpack_all(bytes, count, &mut values)?;
        values.truncate(count);
        Some(values)
    }

    #[test]
    fn every_width_comes_back() {
        for width in 0..=64u32 {
            let most = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
            let group: [u64; GROUP] =
                std::array::from_fn(|i| most & (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | most & 1);
            let mut out = Vec::new();
            pack(&group, width as u8, &mut out);
            assert_eq!(out.len(), 4 * width as usize);
            let (mut back, mut sums, mut sum) = ([0; GROUP], [0; GROUP], 5i64);
            for (to, delta) in sums.iter_mut().zip(group) {
                sum = sum.wrapping_add((delta as i64).wrapping_sub(3));
                *to = sum;
            }
            assert_eq!(unpack(&out, width as u8, -3, 5, &mut back), Some(sum), "{width} bits");
            assert_eq!(back, sums, "{width} bits");
        }
        assert_eq!(unpack(&[0; 300], 65, 0, 0, &mut [0; GROUP]), None);
    }

    #[test]
    fn every_length_around_a_block_comes_back() {
        for len in (0..=260).chain([383, 384, 385, 511, 512, 513, 4_096]) {
            let values: Vec<i64> = (0..len).map(|n| n * n % 977 - 400).collect();
            assert_eq!(unpacked(&packed(&values), values.len()), Some(values.clone()), "{len} values");
            assert_eq!(unpacked(&packed(&values), values.len() + 1), None);
        }
    }

    #[test]
    fn the_extremes_come_back() {
        let values: Vec<i64> = [i64::MIN, i64::MAX, 0, -1, 1].repeat(60);
        assert_eq!(unpacked(&packed(&values), values.len()), Some(values));
    }

    proptest! {
        #[test]
        fn what_is_packed_here_or_by_parquet_comes_back(
            values in prop_oneof![
                prop::collection::vec(any::<i64>(), 0..600),
                prop::collection::vec(-100i64..100, 0..600),
                (0u32..63, prop::collection::vec(any::<u64>(), 0..600))
                    .prop_map(|(shift, values)| values.into_iter().map(|v| (v >> shift) as i64).collect()),
            ]
        ) {
            let bytes = packed(&values);
            prop_assert_eq!(unpacked(&bytes, values.len()), Some(values.clone()));
            prop_assert!((packed_bits(&values) / 8) as usize <= bytes.len() + 64);
            // The index columns are written by the crate.
            if !values.is_empty() {
                let mut column = Column::<Int64Type>::new(&FileKind::samples().unwrap(), samples::TL);
                column.write(&values, None, None).unwrap();
                let chunk = column.into_chunk();
                let read = read_chunk::<i64>(&chunk, Levels::REQUIRED, values.len()).unwrap();
                prop_assert_eq!(read.into_values(), values);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300), count in 0usize..2_000, cut in any::<prop::sample::Index>()
        ) {
            let _ = unpacked(&bytes, count);
            let values: Vec<i64> = bytes.iter().map(|byte| i64::from(*byte) << 40).collect();
            let good = packed(&values);
            let cut = cut.index(good.len() + 1);
            let _ = unpacked(&good[..cut], values.len());
            let mut flipped = good;
            if let Some(byte) = flipped.get_mut(cut) {
                *byte ^= count as u8;
            }
            let _ = unpacked(&flipped, values.len());
        }
    }
}
