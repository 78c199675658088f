//! Which segments have to be decoded for some to be read: those that these are coded against, and so on.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Matcher;

use super::selection::chunks_of;
use super::{corrupt, index_of, missing_base, named};
use crate::error::TsdbError;
use crate::keys::SegmentKey;
use crate::segment_row::SegmentRow;
use crate::store::Store;
use crate::wal::{BaseRef, Tips};

/// A segment that is to be decoded.
pub(super) struct Job {
    pub(super) row: Arc<SegmentRow>,
    /// Which of its chunks.
    pub(super) chunks: Vec<usize>,
    bases: Vec<BaseRef>,
    /// Whether it was asked for, or others are coded against it.
    pub(super) wanted: bool,
}

/// Segments to decode, in order, and what is there of those that they are coded against.
pub(super) struct Closure<'a> {
    store: &'a Store,
    matcher_sets: &'a [&'a [Matcher]],
    rows: BTreeMap<SegmentKey, Arc<SegmentRow>>,
    wanted: Vec<SegmentKey>,
    pub(super) jobs: BTreeMap<SegmentKey, Job>,
    pub(super) tips: BTreeMap<SegmentKey, Arc<Tips>>,
}

impl<'a> Closure<'a> {
    pub(super) fn new(store: &'a Store, matcher_sets: &'a [&'a [Matcher]]) -> Self {
        Self {
            store,
            matcher_sets,
            rows: BTreeMap::new(),
            wanted: Vec::new(),
            jobs: BTreeMap::new(),
            tips: BTreeMap::new(),
        }
    }

    /// A row that is at hand, and whether its segment is to be decoded.
    pub(super) fn know(&mut self, row: &SegmentRow, wanted: bool) {
        if wanted {
            self.wanted.push(row.key.clone());
        }
        self.rows.insert(row.key.clone(), Arc::new(row.clone()));
    }

    /// Finds everything that is needed.
    pub(super) async fn complete(&mut self) -> Result<(), TsdbError> {
        let mut needed: Vec<(SegmentKey, Option<u64>, bool)> =
            std::mem::take(&mut self.wanted).into_iter().map(|key| (key, None, true)).collect();
        loop {
            // Those whose rows are not at hand, each with a segment that is coded against it.
            let mut missing: BTreeMap<SegmentKey, (u64, SegmentKey)> = BTreeMap::new();
            while let Some((key, checksum, wanted)) = needed.pop() {
                self.add(&key, checksum, wanted, &mut needed, &mut missing)?;
            }
            let (Some((first, _)), Some((last, _))) = (missing.first_key_value(), missing.last_key_value())
            else {
                return Ok(());
            };
            // The chains behind them, too: unless writers had other settings, they reach back no further.
            let from = first.tick.saturating_sub(self.store.settings.chain_ms_max);
            for row in self.store.segment_rows(from, last.tick.saturating_add(1)).await? {
                self.rows.entry(row.key.clone()).or_insert_with(|| Arc::new(row));
            }
            let has_expired = |base: &SegmentKey| self.store.has_expired(base.tick);
            let lost = |base: &&SegmentKey| !self.rows.contains_key(*base) && !has_expired(base);
            if let Some(base) = missing.keys().find(lost)
                && let Some((_, by)) = missing.get(base)
            {
                return Err(missing_base(by, base));
            }
            needed = missing.into_iter().map(|(key, (checksum, _))| (key, Some(checksum), false)).collect();
        }
    }

    /// Adds a segment whose row is at hand, unless it is there, and notes what it needs.
    fn add(
        &mut self,
        key: &SegmentKey,
        checksum: Option<u64>,
        wanted: bool,
        needed: &mut Vec<(SegmentKey, Option<u64>, bool)>,
        missing: &mut BTreeMap<SegmentKey, (u64, SegmentKey)>,
    ) -> Result<(), TsdbError> {
        let Some(row) = self.rows.get(key).cloned() else { return Ok(()) };
        if checksum.is_some_and(|checksum| checksum != row.checksum) {
            return Err(corrupt(key, &"it is not the one that others are coded against"));
        }
        if let Some(job) = self.jobs.get_mut(key) {
            job.wanted |= wanted;
            return Ok(());
        }
        let index = index_of(&row)?;
        let chunks = chunks_of(&index, self.matcher_sets);
        for base in &index.bases {
            let part = (base.key.to_string(), base.checksum, named(&index, chunks.clone()));
            if let Some(tips) = self.store.caches.tips.get(&part) {
                self.tips.insert(base.key.clone(), tips);
            } else if self.rows.contains_key(&base.key) {
                needed.push((base.key.clone(), Some(base.checksum), false));
            } else {
                missing.insert(base.key.clone(), (base.checksum, key.clone()));
            }
        }
        self.jobs.insert(key.clone(), Job { row, chunks, bases: index.bases, wanted });
        Ok(())
    }

    /// How many of the segments to decode are coded against each.
    pub(super) fn uses(&self) -> BTreeMap<SegmentKey, usize> {
        let mut uses: BTreeMap<SegmentKey, usize> = BTreeMap::new();
        for base in self.jobs.values().flat_map(|job| &job.bases) {
            *uses.entry(base.key.clone()).or_default() += 1;
        }
        uses
    }
}
