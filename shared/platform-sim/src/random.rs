//! Randomness that a seed repeats: SplitMix64, which is small, and splits well.

use std::time::Duration;

/// A stream of random numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A stream of its own for `label`: drawing from one shifts no draw of the other.
    #[must_use]
    pub fn split(&self, label: &str) -> Self {
        Self { state: mix(self.state ^ fnv(label.as_bytes())) }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number from 0 up to and without `end`; 0 where `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.next_u64()) * u128::from(end);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A number from 0 up to and without 1.
    pub fn unit(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A duration between the two, in whole microseconds.
    pub fn duration(&mut self, min: Duration, max: Duration) -> Duration {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX >> 1);
        let (min, max) = (micros(min), micros(max));
        Duration::from_micros(min + self.below(max.saturating_sub(min) + 1))
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// FNV-1a, 64 bits.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    fnv_from(0xcbf2_9ce4_8422_2325, bytes)
}

/// FNV-1a, going on from an earlier hash.
pub(crate) fn fnv_from(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_spread_and_within_bounds() {
        let mut random = Random::new(1);
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            counts[usize::try_from(random.below(10)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
        assert_eq!(random.below(0), 0);
        let (min, max) = (Duration::from_millis(1), Duration::from_millis(2));
        assert!((0..1_000).all(|_| (min..=max).contains(&random.duration(min, max))));
        assert_eq!(random.duration(max, min), max);
        let hits = (0..10_000).filter(|_| random.chance(0.1)).count();
        assert!((850..1_150).contains(&hits), "{hits}");
    }

    #[test]
    fn streams_are_independent() {
        let root = Random::new(1);
        let mut other = root.split("b");
        other.next_u64();
        assert_eq!(root.split("a").next_u64(), root.split("a").next_u64());
        assert_ne!(root.split("a").next_u64(), root.split("b").next_u64());
    }
}
