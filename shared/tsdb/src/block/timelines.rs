//! Instants are stored once per scraped target, not once per series: finding the timeline that a series is part of.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use model::labels::{INSTANCE_LABEL, JOB_LABEL};
use model::{Labels, TimestampMs};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How many timelines of one target are tried for a series that is not the whole of one.
const CANDIDATES_MAX: usize = 4;
/// A series with gaps is split into rows, at most one and one more per so many samples; else it gets its own timeline.
const SAMPLES_PER_SPLIT: usize = 64;

/// The timelines of a block that is being written.
#[derive(Debug, Default)]
pub(super) struct Timelines {
    lists: Vec<Timeline>,
    by_hash: BTreeMap<i64, usize>,
    by_target: BTreeMap<(String, String), Vec<usize>>,
    /// Series that come one after the other often share the very allocation.
    last: Option<(Arc<[TimestampMs]>, usize)>,
}

/// Instants, and their name.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    /// Hash of the content; unique within the block.
    pub(super) tl: i64,
    pub(super) timestamps: Arc<[TimestampMs]>,
}

/// A run of a series' samples that is a run of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) tl: i64,
    /// Index of the run's first instant in the timeline.
    pub(super) start: usize,
    /// The samples of the series.
    pub(super) samples: Range<usize>,
}

impl Timelines {
    /// The parts that `timestamps`, which strictly increase, consist of. Longer series are best resolved first.
    pub(super) fn resolve(&mut self, labels: &Labels, timestamps: &Arc<[TimestampMs]>) -> Vec<Part> {
        let whole =
            |timeline: &Timeline| vec![Part { tl: timeline.tl, start: 0, samples: 0..timestamps.len() }];
        if let Some((last, index)) = &self.last
            && Arc::ptr_eq(last, timestamps)
            && let Some(timeline) = self.lists.get(*index)
        {
            return whole(timeline);
        }
        let (tl, known) = self.name(timestamps);
        if let Some(timeline) = known.and_then(|index| self.lists.get(index)) {
            let parts = whole(timeline);
            self.last = known.map(|index| (Arc::clone(timestamps), index));
            return parts;
        }
        let target = (labels.value(JOB_LABEL).to_owned(), labels.value(INSTANCE_LABEL).to_owned());
        let candidates = self.by_target.entry(target).or_default();
        for candidate in candidates.iter() {
            if let Some(parts) = self.lists.get(*candidate).and_then(|timeline| split(timestamps, timeline)) {
                return parts;
            }
        }
        let index = self.lists.len();
        self.lists.push(Timeline { tl, timestamps: Arc::clone(timestamps) });
        self.by_hash.insert(tl, index);
        // The longest first: they are the likeliest to contain another series.
        let lists = &self.lists;
        let len = |at: usize| lists.get(at).map_or(0, |timeline| timeline.timestamps.len());
        let at = candidates.partition_point(|candidate| len(*candidate) >= timestamps.len());
        candidates.insert(at, index);
        candidates.truncate(CANDIDATES_MAX);
        self.last = Some((Arc::clone(timestamps), index));
        vec![Part { tl, start: 0, samples: 0..timestamps.len() }]
    }

    /// All timelines, in the order in which they were found.
    pub(super) fn into_lists(self) -> Vec<Timeline> {
        self.lists
    }

    /// The name of a list of instants, and its index if it is known. Two lists never have the same name in one block:
    /// the seed of the hash is raised until it is free.
    fn name(&self, timestamps: &[TimestampMs]) -> (i64, Option<usize>) {
        let bytes: Vec<u8> = timestamps.iter().flat_map(|timestamp| timestamp.to_le_bytes()).collect();
        let mut seed = 0;
        loop {
            let tl = xxh3_64_with_seed(&bytes, seed) as i64;
            match self.by_hash.get(&tl) {
                None => return (tl, None),
                Some(index)
                    if self.lists.get(*index).is_some_and(|known| *known.timestamps == *timestamps) =>
                {
                    return (tl, Some(*index));
                }
                Some(_) => seed += 1,
            }
        }
    }
}

/// `timestamps` as runs of `timeline`, if all are in it and the runs are few.
fn split(timestamps: &[TimestampMs], timeline: &Timeline) -> Option<Vec<Part>> {
    let all = &timeline.timestamps;
    let parts_max = 1 + timestamps.len() / SAMPLES_PER_SPLIT;
    let mut parts = Vec::new();
    let mut done = 0;
    while let Some(rest) = timestamps.get(done..).filter(|rest| !rest.is_empty()) {
        let start = all.binary_search(rest.first()?).ok()?;
        let run = rest.iter().zip(all.get(start..)?).take_while(|(a, b)| a == b).count();
        parts.push(Part { tl: timeline.tl, start, samples: done..done + run });
        done += run;
        if parts.len() > parts_max {
            return None;
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(instance: &str) -> Labels {
        Labels::from_pairs([("instance", instance), ("job", "node")])
    }

    fn list(timestamps: impl IntoIterator<Item = i64>) -> Arc<[i64]> {
        timestamps.into_iter().collect()
    }

    #[test]
    fn series_of_one_target_share_its_timeline() {
        let mut timelines = Timelines::default();
        let first = timelines.resolve(&target("a"), &list(0..10));
        assert_eq!(timelines.resolve(&target("a"), &list(0..10)), first);
        let later = timelines.resolve(&target("a"), &list(4..10));
        assert_eq!(later, [Part { tl: first[0].tl, start: 4, samples: 0..6 }]);
        assert_eq!(timelines.into_lists().len(), 1);
    }

    #[test]
    fn a_long_series_with_a_gap_is_split_and_a_short_one_is_not() {
        let mut timelines = Timelines::default();
        let whole = timelines.resolve(&target("a"), &list(0..200));
        let gap = timelines.resolve(&target("a"), &list((0..100).chain(110..200)));
        assert_eq!(
            gap,
            [
                Part { tl: whole[0].tl, start: 0, samples: 0..100 },
                Part { tl: whole[0].tl, start: 110, samples: 100..190 },
            ]
        );
        let holes = timelines.resolve(&target("a"), &list((0..40).step_by(2)));
        assert_eq!(holes.len(), 1);
        assert_ne!(holes[0].tl, whole[0].tl);
    }

    #[test]
    fn another_target_has_its_own_timeline_unless_it_is_the_same() {
        let mut timelines = Timelines::default();
        let a = timelines.resolve(&target("a"), &list(0..10));
        let b = timelines.resolve(&target("b"), &list(0..9));
        assert_ne!(a[0].tl, b[0].tl);
        assert_eq!(timelines.resolve(&target("c"), &list(0..10)), a);
    }
}
