//! Parquet's value encodings, decoded with bounds: PLAIN and RLE/bit-packed hybrid.

use std::sync::Arc;

/// What a page's values may be.
pub(super) trait Physical: Clone {
    /// Exactly `count` values that fill `bytes`.
    fn plain(bytes: &[u8], count: usize) -> Option<Vec<Self>>;

    /// From an integer of DELTA_BINARY_PACKED; `None` for types that are never stored so.
    fn from_delta(_: i64) -> Option<Self> {
        None
    }
}

impl Physical for i64 {
    fn plain(bytes: &[u8], count: usize) -> Option<Vec<Self>> {
        fixed(bytes, count).map(|chunks| chunks.map(Self::from_le_bytes).collect())
    }

    fn from_delta(value: i64) -> Option<Self> {
        Some(value)
    }
}

impl Physical for i32 {
    fn plain(bytes: &[u8], count: usize) -> Option<Vec<Self>> {
        fixed(bytes, count).map(|chunks| chunks.map(Self::from_le_bytes).collect())
    }

    fn from_delta(value: i64) -> Option<Self> {
        // 32-bit deltas wrap at 32 bits.
        Some(value as Self)
    }
}

impl Physical for f64 {
    fn plain(bytes: &[u8], count: usize) -> Option<Vec<Self>> {
        fixed(bytes, count).map(|chunks| chunks.map(Self::from_le_bytes).collect())
    }
}

impl Physical for bool {
    fn plain(bytes: &[u8], count: usize) -> Option<Vec<Self>> {
        let bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        (bytes.len() == count.div_ceil(8)).then(|| bits.take(count).collect())
    }
}

impl Physical for Arc<str> {
    fn plain(bytes: &[u8], count: usize) -> Option<Vec<Self>> {
        let mut rest = bytes;
        // Every text takes at least its length's four bytes.
        let mut texts = Vec::with_capacity(count.min(bytes.len() / 4));
        for _ in 0..count {
            let (len, after) = rest.split_first_chunk::<4>()?;
            let (text, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
            texts.push(Arc::from(std::str::from_utf8(text).ok()?));
            rest = after;
        }
        rest.is_empty().then_some(texts)
    }
}

fn fixed<const N: usize>(bytes: &[u8], count: usize) -> Option<impl Iterator<Item = [u8; N]>> {
    let (chunks, rest) = bytes.as_chunks::<N>();
    (chunks.len() == count && rest.is_empty()).then(|| chunks.iter().copied())
}

/// `count` numbers of `bit_width` (at most 32) bits from runs of equal and of bit-packed numbers. `count` must be
/// bounded by the caller: a run of any length takes only a few bytes.
pub(super) fn hybrid(mut bytes: &[u8], bit_width: u8, count: usize) -> Option<Vec<u32>> {
    if bit_width > 32 {
        return None;
    }
    // Page headers, where `count` comes from, have no checksum: reserve little, grow as runs are found.
    let mut values = Vec::with_capacity(count.min(1 << 16));
    while values.len() < count {
        let header = varint(&mut bytes)?;
        let wanted = count - values.len();
        if header & 1 == 0 {
            let len = usize::try_from(header >> 1).ok()?;
            if len == 0 {
                return None;
            }
            let mut value = [0u8; 4];
            let (taken, rest) = bytes.split_at_checked(usize::from(bit_width).div_ceil(8))?;
            value.get_mut(..taken.len())?.copy_from_slice(taken);
            bytes = rest;
            values.extend(std::iter::repeat_n(u32::from_le_bytes(value), len.min(wanted)));
        } else {
            let groups = usize::try_from(header >> 1).ok()?;
            let (packed, rest) = bytes.split_at_checked(groups.checked_mul(usize::from(bit_width))?)?;
            if groups == 0 {
                return None;
            }
            bytes = rest;
            let len = groups.checked_mul(8)?.min(wanted);
            values.extend((0..len).map(|index| bits_at(packed, index, bit_width) as u32));
        }
    }
    Some(values)
}

/// The runs of equal numbers that the hybrid encoding consists of; bit-packed numbers come one by one.
pub(super) struct Runs<'a> {
    bytes: &'a [u8],
    bit_width: u8,
    packed: &'a [u8],
    packed_at: usize,
    packed_len: usize,
}

impl<'a> Runs<'a> {
    pub(super) fn new(bytes: &'a [u8], bit_width: u8) -> Self {
        Self { bytes, bit_width: bit_width.min(32), packed: &[], packed_at: 0, packed_len: 0 }
    }

    /// The next number and how often it comes, at least once.
    pub(super) fn next(&mut self) -> Option<(u32, usize)> {
        if self.packed_at == self.packed_len {
            let header = varint(&mut self.bytes)?;
            let len = usize::try_from(header >> 1).ok().filter(|len| *len > 0)?;
            if header & 1 == 0 {
                let mut value = [0u8; 4];
                let (taken, rest) = self.bytes.split_at_checked(usize::from(self.bit_width).div_ceil(8))?;
                value.get_mut(..taken.len())?.copy_from_slice(taken);
                self.bytes = rest;
                return Some((u32::from_le_bytes(value), len));
            }
            let (packed, rest) =
                self.bytes.split_at_checked(len.checked_mul(usize::from(self.bit_width))?)?;
            (self.bytes, self.packed) = (rest, packed);
            (self.packed_at, self.packed_len) = (0, len.checked_mul(8)?);
        }
        let value = bits_at(self.packed, self.packed_at, self.bit_width) as u32;
        self.packed_at += 1;
        Some((value, 1))
    }
}

/// The `index`th number of `width` (at most 64) bits, packed lowest bit first; zeros past the end.
fn bits_at(packed: &[u8], index: usize, width: u8) -> u64 {
    let bit = index * usize::from(width);
    let bytes = packed.get(bit / 8..).unwrap_or_default();
    let word = match bytes.first_chunk::<16>() {
        Some(word) => u128::from_le_bytes(*word),
        None => {
            let mut word = [0u8; 16];
            word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            u128::from_le_bytes(word)
        }
    };
    let mask = (1u128 << width) - 1;
    (word >> (bit % 8) & mask) as u64
}

pub(super) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

pub(super) fn zigzag(bytes: &mut &[u8]) -> Option<i64> {
    let value = varint(bytes)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_and_packed_groups_alternate() {
        // Four times 2, then 0..8 packed in three bits: the example of Parquet's specification.
        let bytes = [0x08, 0x02, 0x03, 0x88, 0xc6, 0xfa];
        assert_eq!(hybrid(&bytes, 3, 12), Some(vec![2, 2, 2, 2, 0, 1, 2, 3, 4, 5, 6, 7]));
        assert_eq!(hybrid(&bytes, 3, 13), None);
    }

    #[test]
    fn runs_are_the_same_numbers() {
        let bytes = [0x08, 0x02, 0x03, 0x88, 0xc6, 0xfa];
        let mut runs = Runs::new(&bytes, 3);
        let all: Vec<(u32, usize)> = std::iter::from_fn(|| runs.next()).collect();
        assert_eq!(all, [(2, 4), (0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1)]);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..100), width in any::<u8>(), count in 0usize..2_000
        ) {
            let _ = hybrid(&bytes, width, count);
            let mut runs = Runs::new(&bytes, width);
            for _ in 0..count {
                let _ = runs.next();
            }
            let _ = Arc::<str>::plain(&bytes, count);
            let _ = bool::plain(&bytes, count);
            let _ = f64::plain(&bytes, count);
        }
    }
}
