//! Which layout a source's next scrape is written with.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use model::Labels;
use storage::{ScrapeSample, SourceId};

use super::layout::{Layout, LayoutId};

/// After so many scrapes in a row that used less than half of a layout, a new one is begun.
const THIN_SCRAPES_MAX: u32 = 20;
/// A layout is not extended to more than so many times the series of the scrape at hand.
const OVERSIZE_FACTOR: usize = 4;
/// Series over all layouts that are kept by default.
const SERIES_MAX: usize = 1_000_000;

/// The layouts that sources were last written with. An aid only: an empty cache gives other layouts, never other
/// samples. The least recently used sources are forgotten beyond a bound on the total of series.
#[derive(Debug)]
pub struct LayoutCache {
    entries: BTreeMap<SourceId, Entry>,
    series_max: usize,
    series: usize,
    uses: u64,
}

/// A source's layout, and where in it each sample of the scrape at hand belongs.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub(super) id: LayoutId,
    pub(super) layout: Arc<Layout>,
    pub(super) encoded: Bytes,
    /// Per sample of the scrape, its index in the layout.
    pub(super) positions: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    id: LayoutId,
    layout: Arc<Layout>,
    encoded: Bytes,
    /// Indexes into the layout, in order of the labels.
    sorted: Vec<u32>,
    /// Indexes into the layout, in order of the last scrape: the next one most likely has the same.
    order: Vec<u32>,
    /// Per index into the layout, its place in `order`.
    places: Vec<u32>,
    thin_scrapes: u32,
    last_use: u64,
}

impl Default for LayoutCache {
    fn default() -> Self {
        Self::new(SERIES_MAX)
    }
}

impl LayoutCache {
    /// A cache that keeps layouts of about `series_max` series in total.
    #[must_use]
    pub fn new(series_max: usize) -> Self {
        Self { entries: BTreeMap::new(), series_max, series: 0, uses: 0 }
    }

    /// The layout to write `samples` with; it has all their series.
    pub(super) fn resolve(&mut self, source: SourceId, samples: &[ScrapeSample]) -> Resolved {
        self.uses += 1;
        let known = self.entries.remove(&source);
        self.series -= known.as_ref().map_or(0, |entry| entry.layout.series.len());
        let (mut entry, positions) = match known {
            None => Entry::exact(samples),
            Some(entry) => entry.resolve(samples),
        };
        entry.last_use = self.uses;
        entry.remember_order(&positions);
        let resolved = Resolved {
            id: entry.id,
            layout: Arc::clone(&entry.layout),
            encoded: entry.encoded.clone(),
            positions,
        };
        self.make_room(entry.layout.series.len());
        self.series += entry.layout.series.len();
        self.entries.insert(source, entry);
        resolved
    }

    fn make_room(&mut self, wanted: usize) {
        while self.series + wanted > self.series_max {
            let oldest =
                self.entries.iter().min_by_key(|(_, entry)| entry.last_use).map(|(source, _)| *source);
            let Some(entry) = oldest.and_then(|source| self.entries.remove(&source)) else { return };
            self.series -= entry.layout.series.len();
        }
    }
}

impl Entry {
    /// A layout of just these samples' series, sorted.
    fn exact(samples: &[ScrapeSample]) -> (Self, Vec<u32>) {
        let mut series: Vec<Labels> = samples.iter().map(|sample| sample.labels.clone()).collect();
        series.sort_unstable();
        series.dedup();
        let entry = Self::of(series);
        let positions = samples.iter().map(|sample| entry.search(&sample.labels).unwrap_or(0)).collect();
        (entry, positions)
    }

    fn of(series: Vec<Labels>) -> Self {
        let mut sorted: Vec<u32> = (0..series.len() as u32).collect();
        if !series.is_sorted() {
            sorted.sort_by(|a, b| series[*a as usize].cmp(&series[*b as usize]));
        }
        let layout = Layout { series };
        let encoded = layout.encode();
        Self {
            id: LayoutId::of(&encoded),
            layout: Arc::new(layout),
            encoded,
            sorted,
            order: Vec::new(),
            places: Vec::new(),
            thin_scrapes: 0,
            last_use: 0,
        }
    }

    /// This layout if it has all the series and is not mostly unused, else an extended or a new one.
    fn resolve(mut self, samples: &[ScrapeSample]) -> (Self, Vec<u32>) {
        let (positions, mut missing) = self.locate(samples);
        missing.sort_unstable();
        missing.dedup();
        let total = self.layout.series.len() + missing.len();
        let thin = samples.len().saturating_mul(2) < total;
        self.thin_scrapes = if thin { self.thin_scrapes + 1 } else { 0 };
        let oversize = !missing.is_empty() && total > samples.len().saturating_mul(OVERSIZE_FACTOR);
        if self.thin_scrapes > THIN_SCRAPES_MAX || oversize {
            return Self::exact(samples);
        }
        if missing.is_empty() {
            return (self, positions);
        }
        let mut series = self.layout.series.clone();
        series.extend(missing);
        let mut extended = Self::of(series);
        extended.thin_scrapes = self.thin_scrapes;
        extended.remember_order(&self.order);
        let (positions, _) = extended.locate(samples);
        (extended, positions)
    }

    /// The samples' indexes in the layout (meaningless where a series is missing), and the missing series.
    fn locate(&self, samples: &[ScrapeSample]) -> (Vec<u32>, Vec<Labels>) {
        let mut missing = Vec::new();
        let mut positions = Vec::with_capacity(samples.len());
        let mut place = 0usize;
        for sample in samples {
            let guess = self.order.get(place).copied();
            let guessed = guess.filter(|at| self.layout.series.get(*at as usize) == Some(&sample.labels));
            if guessed.is_some() {
                place += 1;
            }
            let found = guessed.or_else(|| {
                let at = self.search(&sample.labels)?;
                place = self.places.get(at as usize).map_or(place, |found| *found as usize + 1);
                Some(at)
            });
            if found.is_none() {
                missing.push(sample.labels.clone());
            }
            positions.push(found.unwrap_or(0));
        }
        (positions, missing)
    }

    fn search(&self, labels: &Labels) -> Option<u32> {
        let series = &self.layout.series;
        let at = self.sorted.binary_search_by(|index| series[*index as usize].cmp(labels)).ok()?;
        self.sorted.get(at).copied()
    }

    fn remember_order(&mut self, positions: &[u32]) {
        if self.order == positions && self.places.len() == self.layout.series.len() {
            return;
        }
        self.order = positions.to_vec();
        self.places = vec![u32::MAX - 1; self.layout.series.len()];
        for (place, position) in positions.iter().enumerate() {
            if let Some(slot) = self.places.get_mut(*position as usize) {
                *slot = place as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(names: &[&str]) -> Vec<ScrapeSample> {
        names
            .iter()
            .map(|name| ScrapeSample {
                labels: Labels::from_pairs([("__name__", *name)]),
                value: 1.0,
                timestamp: None,
            })
            .collect()
    }

    fn names(resolved: &Resolved) -> Vec<&str> {
        resolved.layout.series.iter().map(Labels::metric_name).collect()
    }

    #[test]
    fn a_first_scrape_gets_its_sorted_series() {
        let resolved = LayoutCache::default().resolve(SourceId(1), &samples(&["b", "a", "c"]));
        assert_eq!(names(&resolved), ["a", "b", "c"]);
        assert_eq!(resolved.positions, [1, 0, 2]);
    }

    #[test]
    fn a_series_that_comes_and_goes_does_not_change_the_layout() {
        let mut cache = LayoutCache::default();
        let first = cache.resolve(SourceId(1), &samples(&["a", "b", "c"]));
        let without = cache.resolve(SourceId(1), &samples(&["a", "c"]));
        let again = cache.resolve(SourceId(1), &samples(&["c", "b", "a"]));
        assert_eq!((first.id, first.id), (without.id, again.id));
        assert_eq!((without.positions, again.positions), (vec![0, 2], vec![2, 1, 0]));
    }

    #[test]
    fn a_new_series_is_appended() {
        let mut cache = LayoutCache::default();
        let first = cache.resolve(SourceId(1), &samples(&["b", "c"]));
        let second = cache.resolve(SourceId(1), &samples(&["a", "b", "c"]));
        assert_ne!(first.id, second.id);
        assert_eq!(names(&second), ["b", "c", "a"]);
        assert_eq!(second.positions, [2, 0, 1]);
        assert_eq!(cache.resolve(SourceId(1), &samples(&["b", "c"])).id, second.id);
    }

    #[test]
    fn a_layout_that_stays_mostly_unused_is_given_up() {
        let mut cache = LayoutCache::default();
        let first = cache.resolve(SourceId(1), &samples(&["a", "b", "c", "d", "e"]));
        for _ in 0..THIN_SCRAPES_MAX {
            assert_eq!(cache.resolve(SourceId(1), &samples(&["a", "b"])).id, first.id);
        }
        assert_eq!(names(&cache.resolve(SourceId(1), &samples(&["a", "b"]))), ["a", "b"]);
    }

    #[test]
    fn a_source_whose_series_are_always_new_does_not_grow_its_layout_for_ever() {
        let mut cache = LayoutCache::default();
        for round in 0..1_000 {
            let name = format!("n{round}");
            let resolved = cache.resolve(SourceId(1), &samples(&[&name]));
            assert!(resolved.layout.series.len() <= OVERSIZE_FACTOR);
        }
    }

    #[test]
    fn the_least_recently_used_source_is_forgotten_beyond_the_bound() {
        let mut cache = LayoutCache::new(4);
        cache.resolve(SourceId(1), &samples(&["a", "b"]));
        cache.resolve(SourceId(2), &samples(&["a", "b"]));
        cache.resolve(SourceId(1), &samples(&["a", "b"]));
        cache.resolve(SourceId(3), &samples(&["a", "b"]));
        assert_eq!(cache.entries.keys().copied().collect::<Vec<_>>(), [SourceId(1), SourceId(3)]);
        assert_eq!(cache.series, 4);
    }
}
