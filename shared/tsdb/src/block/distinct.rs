//! Collecting distinct answers, of which there may be a million and as many repetitions.

use std::collections::BTreeSet;

/// Answers that are collected before they are looked through for the first time.
const PENDING_MIN: usize = 1 << 12;

/// The least answers of all that are added, each once. Sorted now and then instead of at each addition: that is several
/// times as fast as a tree, and takes at most twice the memory of what is kept.
#[derive(Debug)]
pub(super) struct Distinct<T> {
    /// 0 is no limit.
    limit: usize,
    answers: Vec<T>,
    /// So many are too many to leave unsorted.
    pending_max: usize,
}

impl<T: Ord> Distinct<T> {
    /// Keeps the first `limit` answers, all if it is 0.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, answers: Vec::new(), pending_max: PENDING_MIN }
    }

    pub(super) fn push(&mut self, answer: T) {
        self.answers.push(answer);
        if self.answers.len() >= self.pending_max {
            self.settle();
            self.pending_max = (2 * self.answers.len()).max(PENDING_MIN);
        }
    }

    pub(super) fn finish(mut self) -> BTreeSet<T> {
        self.settle();
        self.answers.into_iter().collect()
    }

    fn settle(&mut self) {
        // Not the unstable sort: what was settled before is a run, which this one is fast with.
        self.answers.sort();
        self.answers.dedup();
        if self.limit > 0 {
            self.answers.truncate(self.limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_and_what_is_beyond_the_limit_are_dropped() {
        let numbers = || (0..30_000u32).map(|n| n.wrapping_mul(2_654_435_761) % 9_000);
        for limit in [0, 5] {
            let mut distinct = Distinct::new(limit);
            numbers().for_each(|number| distinct.push(number));
            assert!(distinct.answers.len() < 20_000);
            let all: BTreeSet<u32> = numbers().collect();
            let expected = all.into_iter().take(if limit == 0 { usize::MAX } else { limit });
            assert_eq!(distinct.finish(), expected.collect());
        }
    }
}
