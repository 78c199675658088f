//! Which layout a source's next scrape is written with, and what it is coded against.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use model::{Labels, Metadata};
use storage::SourceId;

use super::chain::{Chain, Pending};
use super::layout::{Layout, LayoutId, merged_metadata};
use super::pushed::Pushed;
use super::{LAYOUT_TEXT_BYTES_MAX, SERIES_PER_LAYOUT_MAX};

/// After so many scrapes in a row that used less than half of a layout, a new one is begun.
const THIN_SCRAPES_MAX: u32 = 20;
/// A layout is not extended to more than so many times the series of the scrape at hand.
const OVERSIZE_FACTOR: usize = 4;
/// Series over all layouts that are kept by default.
const SERIES_MAX: usize = 1_000_000;

/// How sources were last written. An aid only: an empty cache gives other layouts and more bytes, never other samples.
/// The least recently used sources are forgotten beyond a bound on the total of series.
#[derive(Debug)]
pub struct LayoutCache {
    entries: BTreeMap<SourceId, Entry>,
    series_max: usize,
    series: usize,
    uses: u64,
    pub(super) pushed: Pushed,
}

/// A source's layout, and where in it each series of the scrape at hand belongs.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub(super) id: LayoutId,
    pub(super) layout: Arc<Layout>,
    /// The part of it that is stored by itself.
    pub(super) stored: Option<(LayoutId, Bytes)>,
    /// The part of it that is embedded, as [`Layout::body`].
    pub(super) tail: Option<Arc<[u8]>>,
    /// The layout that it is an extension of, where it is one.
    pub(super) extends: Option<LayoutId>,
    /// Per series that was asked for, its index in the layout.
    pub(super) positions: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: LayoutId,
    pub(super) layout: Arc<Layout>,
    pub(super) encoded: Bytes,
    /// Bytes of its labels.
    text_bytes: usize,
    extends: Option<LayoutId>,
    /// How the source was last stored, if that is known.
    chain: Option<Chain>,
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
        Self { entries: BTreeMap::new(), series_max, series: 0, uses: 0, pushed: Pushed::new(series_max) }
    }

    /// The segment that `pending` came with is stored as it was encoded: the next ones may be coded against it. Nothing
    /// is remembered of one that is not, or of which that is not known.
    pub fn stored(&mut self, pending: Pending) {
        for (source, chain) in pending.chains {
            if let Some(entry) = self.entries.get_mut(&source) {
                entry.chain = Some(chain);
            }
        }
    }

    /// How a source was last stored; forgotten until that is known of its next segment.
    pub(super) fn take_chain(&mut self, source: SourceId) -> Option<Chain> {
        self.entries.get_mut(&source)?.chain.take()
    }

    /// The layout to write a scrape of these series with; it has all of them.
    pub(super) fn resolve(
        &mut self,
        source: SourceId,
        series: &[&Labels],
        metadata: &Arc<[Metadata]>,
    ) -> Resolved {
        self.uses += 1;
        let known = self.entries.remove(&source);
        self.series -= known.as_ref().map_or(0, |entry| entry.layout.series.len());
        let (mut entry, positions) = match known {
            None => Entry::exact(series, metadata),
            Some(entry) => entry.resolve(series, metadata),
        };
        entry.last_use = self.uses;
        entry.remember_order(&positions);
        let resolved = Resolved {
            id: entry.id,
            layout: Arc::clone(&entry.layout),
            stored: Some((entry.id, entry.encoded.clone())),
            tail: None,
            extends: entry.extends,
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
    /// A layout of just these series, sorted.
    pub(super) fn exact(series: &[&Labels], metadata: &Arc<[Metadata]>) -> (Self, Vec<u32>) {
        let mut sorted: Vec<Labels> = series.iter().map(|labels| (*labels).clone()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let nothing: Arc<[Metadata]> = Arc::default();
        let metadata = merged_metadata(&nothing, metadata).unwrap_or(nothing);
        let entry = Self::of(Layout { series: sorted, metadata });
        let positions = series.iter().map(|labels| entry.search(labels).unwrap_or(0)).collect();
        (entry, positions)
    }

    pub(super) fn of(layout: Layout) -> Self {
        let series = &layout.series;
        let mut sorted: Vec<u32> = (0..series.len() as u32).collect();
        if !series.is_sorted() {
            sorted.sort_by(|a, b| series[*a as usize].cmp(&series[*b as usize]));
        }
        let encoded = layout.encode();
        Self {
            id: LayoutId::of(&encoded),
            text_bytes: text_bytes(layout.series.iter()),
            layout: Arc::new(layout),
            encoded,
            extends: None,
            chain: None,
            sorted,
            order: Vec::new(),
            places: Vec::new(),
            thin_scrapes: 0,
            last_use: 0,
        }
    }

    /// This layout if it has all the series and is not mostly unused, else an extended or a new one.
    fn resolve(mut self, series: &[&Labels], metadata: &Arc<[Metadata]>) -> (Self, Vec<u32>) {
        let (positions, missing) = self.locate(series);
        let total = self.layout.series.len() + missing.len();
        let thin = series.len().saturating_mul(2) < total;
        self.thin_scrapes = if thin { self.thin_scrapes + 1 } else { 0 };
        let oversize = !missing.is_empty()
            && (total > series.len().saturating_mul(OVERSIZE_FACTOR) || !self.has_room_for(missing.iter()));
        if self.thin_scrapes > THIN_SCRAPES_MAX || oversize {
            return Self::exact(series, metadata);
        }
        let said = if Arc::ptr_eq(&self.layout.metadata, metadata) {
            None
        } else {
            merged_metadata(&self.layout.metadata, metadata)
        };
        if missing.is_empty() && said.is_none() {
            self.extends = None;
            return (self, positions);
        }
        let mut extended = self.extended(missing, said);
        extended.chain = self.chain.take();
        extended.extends = Some(self.id);
        extended.thin_scrapes = self.thin_scrapes;
        extended.remember_order(&self.order);
        let (positions, _) = extended.locate(series);
        (extended, positions)
    }

    /// Whether a reader would accept this layout with more series.
    pub(super) fn has_room_for<'a>(&self, more: impl ExactSizeIterator<Item = &'a Labels>) -> bool {
        let count = self.layout.series.len().saturating_add(more.len());
        // The stored form of a text may be a little longer than the packed one.
        let text_bytes = self.text_bytes.saturating_add(text_bytes(more));
        count <= SERIES_PER_LAYOUT_MAX && text_bytes <= LAYOUT_TEXT_BYTES_MAX / 4 * 3
    }

    /// This layout with more series behind its own, and other metadata where it is given.
    pub(super) fn extended(&self, missing: Vec<Labels>, metadata: Option<Arc<[Metadata]>>) -> Self {
        let mut series = self.layout.series.clone();
        series.extend(missing);
        let metadata = metadata.unwrap_or_else(|| Arc::clone(&self.layout.metadata));
        Self::of(Layout { series, metadata })
    }

    /// The series' indexes in the layout (meaningless where one is missing), and those that are missing, sorted.
    pub(super) fn locate(&self, series: &[&Labels]) -> (Vec<u32>, Vec<Labels>) {
        let mut missing = Vec::new();
        let mut positions = Vec::with_capacity(series.len());
        let mut place = 0usize;
        for labels in series {
            let guess = self.order.get(place).copied();
            let guessed = guess.filter(|at| self.layout.series.get(*at as usize) == Some(*labels));
            if guessed.is_some() {
                place += 1;
            }
            let found = guessed.or_else(|| {
                let at = self.search(labels)?;
                place = self.places.get(at as usize).map_or(place, |found| *found as usize + 1);
                Some(at)
            });
            if found.is_none() {
                missing.push((*labels).clone());
            }
            positions.push(found.unwrap_or(0));
        }
        missing.sort_unstable();
        missing.dedup();
        (positions, missing)
    }

    pub(super) fn search(&self, labels: &Labels) -> Option<u32> {
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

fn text_bytes<'a>(series: impl Iterator<Item = &'a Labels>) -> usize {
    series.fold(0, |sum, labels| sum.saturating_add(labels.size_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(names: &[&str]) -> Vec<Labels> {
        names.iter().map(|name| Labels::from_pairs([("__name__", *name)])).collect()
    }

    fn resolve(cache: &mut LayoutCache, source: u64, names: &[&str]) -> Resolved {
        let series = series(names);
        cache.resolve(SourceId(source), &series.iter().collect::<Vec<_>>(), &Arc::default())
    }

    fn names(resolved: &Resolved) -> Vec<&str> {
        resolved.layout.series.iter().map(Labels::metric_name).collect()
    }

    #[test]
    fn a_first_scrape_gets_its_sorted_series() {
        let resolved = resolve(&mut LayoutCache::default(), 1, &["b", "a", "c"]);
        assert_eq!(names(&resolved), ["a", "b", "c"]);
        assert_eq!(resolved.positions, [1, 0, 2]);
    }

    #[test]
    fn a_series_that_comes_and_goes_does_not_change_the_layout() {
        let mut cache = LayoutCache::default();
        let first = resolve(&mut cache, 1, &["a", "b", "c"]);
        let without = resolve(&mut cache, 1, &["a", "c"]);
        let again = resolve(&mut cache, 1, &["c", "b", "a"]);
        assert_eq!((first.id, first.id), (without.id, again.id));
        assert_eq!((without.positions, again.positions), (vec![0, 2], vec![2, 1, 0]));
    }

    #[test]
    fn a_new_series_is_appended() {
        let mut cache = LayoutCache::default();
        let first = resolve(&mut cache, 1, &["b", "c"]);
        let second = resolve(&mut cache, 1, &["a", "b", "c"]);
        assert_ne!(first.id, second.id);
        assert_eq!(names(&second), ["b", "c", "a"]);
        assert_eq!(second.positions, [2, 0, 1]);
        assert_eq!(resolve(&mut cache, 1, &["b", "c"]).id, second.id);
    }

    #[test]
    fn what_a_source_says_of_its_families_is_part_of_its_layout() {
        let help = |help: &str| -> Arc<[Metadata]> {
            Arc::from([Metadata {
                metric_family: "a".to_owned(),
                help: help.to_owned(),
                ..Metadata::default()
            }])
        };
        let mut cache = LayoutCache::default();
        let all = series(&["a"]);
        let all: Vec<&Labels> = all.iter().collect();
        let first = cache.resolve(SourceId(1), &all, &help("one"));
        assert_eq!(first.layout.metadata, help("one"));
        let silent = cache.resolve(SourceId(1), &all, &Arc::default());
        assert_eq!(silent.id, first.id, "a scrape that failed says nothing");
        let other = cache.resolve(SourceId(1), &all, &help("two"));
        assert_eq!((other.extends, &other.layout.metadata), (Some(first.id), &help("two")));
    }

    #[test]
    fn a_layout_that_stays_mostly_unused_is_given_up() {
        let mut cache = LayoutCache::default();
        let first = resolve(&mut cache, 1, &["a", "b", "c", "d", "e"]);
        for _ in 0..THIN_SCRAPES_MAX {
            assert_eq!(resolve(&mut cache, 1, &["a", "b"]).id, first.id);
        }
        assert_eq!(names(&resolve(&mut cache, 1, &["a", "b"])), ["a", "b"]);
    }

    #[test]
    fn a_source_whose_series_are_always_new_does_not_grow_its_layout_for_ever() {
        let mut cache = LayoutCache::default();
        for round in 0..1_000 {
            let name = format!("n{round}");
            let resolved = resolve(&mut cache, 1, &[&name]);
            assert!(resolved.layout.series.len() <= OVERSIZE_FACTOR);
        }
    }

    #[test]
    fn a_layout_is_not_extended_beyond_what_a_reader_accepts() {
        let long = |letter: &str| Labels::from_pairs([("__name__", letter.repeat(1 << 20))]);
        let (a, b) = (long("a"), long("b"));
        let (entry, _) = Entry::exact(&[&a], &Arc::default());
        assert!(entry.has_room_for(vec![&b; 380].into_iter()));
        assert!(!entry.has_room_for(vec![&b; 384].into_iter()));
        assert!(!entry.has_room_for(vec![&Labels::default(); SERIES_PER_LAYOUT_MAX].into_iter()));
    }

    #[test]
    fn the_least_recently_used_source_is_forgotten_beyond_the_bound() {
        let mut cache = LayoutCache::new(4);
        resolve(&mut cache, 1, &["a", "b"]);
        resolve(&mut cache, 2, &["a", "b"]);
        resolve(&mut cache, 1, &["a", "b"]);
        resolve(&mut cache, 3, &["a", "b"]);
        assert_eq!(cache.entries.keys().copied().collect::<Vec<_>>(), [SourceId(1), SourceId(3)]);
        assert_eq!(cache.series, 4);
    }
}
