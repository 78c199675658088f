//! What a scraper remembers of a target: which labels the text of a series stands for.
//!
//! Nothing here decides what is stored: a cache that forgets everything costs time only. It is bounded per target by
//! what the target exposed last, and altogether by bytes.

use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

use model::Labels;
use storage::SourceId;
use textparse::{MetricType, Series};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::ScrapeError;
use crate::labels::Recipe;
use crate::metadata::LastMetadata;

/// What an entry occupies besides its text and labels, bytes, roughly.
const ENTRY_BYTES: usize = 160;
/// Scrapes are numbered from 2, so that a series which no scrape has had is of none.
const FIRST_SCRAPE: u64 = 2;

/// One target's cache.
#[derive(Debug)]
pub(crate) struct TargetCache {
    recipe: Recipe,
    entries: EntryMap,
    series: Vec<CachedSeries>,
    by_labels: BTreeMap<Labels, usize>,
    scrape: u64,
    last_complete_scrape: u64,
    /// How many entries the running scrape has used.
    used: usize,
    last_used: usize,
    bytes: usize,
    pub(crate) metadata: LastMetadata,
}

/// A series that the target has or had.
#[derive(Clone, Debug)]
pub(crate) struct CachedSeries {
    /// Its final labels.
    pub(crate) labels: Labels,
    /// The scrape that had it last, and the complete one before.
    scrape: u64,
    complete_scrape: u64,
    /// Its place among the samples of that scrape.
    pub(crate) sample: usize,
}

#[derive(Debug)]
struct Entry {
    text: Box<[u8]>,
    kind: MetricType,
    /// `None` where relabelling drops the series.
    series: Option<usize>,
    scrape: u64,
}

impl TargetCache {
    pub(crate) fn new(recipe: Recipe) -> Self {
        Self {
            recipe,
            entries: EntryMap::default(),
            series: Vec::new(),
            by_labels: BTreeMap::new(),
            scrape: FIRST_SCRAPE,
            last_complete_scrape: FIRST_SCRAPE - 1,
            used: 0,
            last_used: 0,
            bytes: 0,
            metadata: LastMetadata::default(),
        }
    }

    /// How many samples the last complete scrape had, roughly.
    pub(crate) fn size_hint(&self) -> usize {
        self.last_used
    }

    /// The series that an exposed text stands for; `None` where relabelling drops it.
    pub(crate) fn resolve(&mut self, exposed: &Series<'_>) -> Result<Option<usize>, ScrapeError> {
        let kind = exposed.label_kind();
        let key = xxh3_64_with_seed(exposed.text, kind as u64);
        let taken = match self.entries.get_mut(&key) {
            Some(entry) if *entry.text == *exposed.text && entry.kind == kind => {
                if entry.scrape != self.scrape {
                    entry.scrape = self.scrape;
                    self.used += 1;
                }
                return Ok(entry.series);
            }
            taken => taken.is_some(),
        };
        let labels = self.recipe.labels_of(exposed)?;
        let series = labels.map(|labels| self.intern(labels));
        // Of two texts with one hash the first is remembered; the other costs time each time.
        if !taken {
            self.bytes += ENTRY_BYTES + exposed.text.len();
            self.used += 1;
            self.entries.insert(key, Entry { text: exposed.text.into(), kind, series, scrape: self.scrape });
        }
        Ok(series)
    }

    /// The series of that number.
    pub(crate) fn series(&self, series: usize) -> Option<&CachedSeries> {
        self.series.get(series)
    }

    /// Where among the samples of the running scrape the series already is.
    pub(crate) fn sample_of(&self, series: usize) -> Option<usize> {
        self.series.get(series).filter(|series| series.scrape == self.scrape).map(|series| series.sample)
    }

    /// Notes that the running scrape has the series; whether the last complete one did not.
    pub(crate) fn note_sample(&mut self, series: usize, sample: usize) -> bool {
        let (scrape, last_complete_scrape) = (self.scrape, self.last_complete_scrape);
        let Some(series) = self.series.get_mut(series) else { return false };
        if series.scrape == last_complete_scrape {
            series.complete_scrape = series.scrape;
        }
        series.scrape = scrape;
        series.sample = sample;
        series.complete_scrape != last_complete_scrape
    }

    /// Ends the running scrape. A complete one is what the next is compared with; a failed or empty one is as if it
    /// had not been.
    pub(crate) fn end_scrape(&mut self, complete: bool) {
        if complete {
            if self.entries.len() > self.used + self.used / 4 + 100 {
                let scrape = self.scrape;
                self.retain(|entry, _| entry.scrape == scrape);
            }
            self.last_complete_scrape = self.scrape;
            self.last_used = self.used;
        } else if self.entries.len() > self.last_used * 2 + 1000 {
            // Scrapes that fail with ever new series would fill the memory.
            let last = self.last_complete_scrape;
            let is_known = |series: &CachedSeries| series.scrape == last || series.complete_scrape == last;
            self.retain(|entry, series| entry.series.and_then(|at| series.get(at)).is_some_and(is_known));
        }
        self.scrape += 1;
        self.used = 0;
    }

    fn intern(&mut self, labels: Labels) -> usize {
        if let Some(series) = self.by_labels.get(&labels) {
            return *series;
        }
        let number = self.series.len();
        self.bytes += labels.size_bytes();
        self.by_labels.insert(labels.clone(), number);
        self.series.push(CachedSeries { labels, scrape: 0, complete_scrape: 0, sample: 0 });
        number
    }

    /// Keeps the entries that satisfy `keep` and the series that they stand for.
    fn retain(&mut self, keep: impl Fn(&Entry, &[CachedSeries]) -> bool) {
        let old_series = std::mem::take(&mut self.series);
        self.entries.retain(|_, entry| keep(entry, &old_series));
        let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
        for entry in self.entries.values_mut() {
            let Some(old) = entry.series else { continue };
            let next = numbers.len();
            entry.series = Some(*numbers.entry(old).or_insert(next));
        }
        let mut kept: Vec<(usize, CachedSeries)> = old_series
            .into_iter()
            .enumerate()
            .filter_map(|(old, series)| numbers.get(&old).map(|new| (*new, series)))
            .collect();
        kept.sort_by_key(|(new, _)| *new);
        self.series = kept.into_iter().map(|(_, series)| series).collect();
        self.by_labels =
            self.series.iter().enumerate().map(|(number, series)| (series.labels.clone(), number)).collect();
        let texts: usize = self.entries.values().map(|entry| ENTRY_BYTES + entry.text.len()).sum();
        let labels: usize = self.series.iter().map(|series| series.labels.size_bytes()).sum();
        self.bytes = texts + labels;
    }
}

/// The caches of all targets that a scraper has met.
#[derive(Debug)]
pub(crate) struct Caches {
    bytes_max: usize,
    held: Mutex<HeldCaches>,
}

#[derive(Debug, Default)]
struct HeldCaches {
    by_source: BTreeMap<SourceId, (u64, TargetCache)>,
    bytes: usize,
    uses: u64,
}

impl Caches {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, held: Mutex::default() }
    }

    /// Takes a target's cache out: an empty one where there is none, where it was made otherwise, or where another
    /// scrape of the target has it.
    pub(crate) fn take(&self, source: SourceId, recipe: Recipe) -> TargetCache {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cache)) = held.by_source.remove(&source) {
            held.bytes = held.bytes.saturating_sub(cache.bytes);
            if cache.recipe == recipe {
                return cache;
            }
        }
        TargetCache::new(recipe)
    }

    /// Puts it back, and drops those used longest ago where there is too much.
    pub(crate) fn put_back(&self, source: SourceId, cache: TargetCache) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.uses += 1;
        held.bytes += cache.bytes;
        let uses = held.uses;
        if let Some((_, replaced)) = held.by_source.insert(source, (uses, cache)) {
            held.bytes = held.bytes.saturating_sub(replaced.bytes);
        }
        while held.bytes > self.bytes_max {
            let oldest = held.by_source.iter().min_by_key(|(_, (used, _))| *used).map(|(source, _)| *source);
            let Some((_, dropped)) = oldest.and_then(|source| held.by_source.remove(&source)) else { break };
            held.bytes = held.bytes.saturating_sub(dropped.bytes);
        }
    }
}

#[expect(clippy::disallowed_types, reason = "the keys are hashes already, and the order is never observed")]
type EntryMap = std::collections::HashMap<u64, Entry, BuildHasherDefault<AlreadyHashed>>;

/// Hashes a hash to itself.
#[derive(Clone, Debug, Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests;
