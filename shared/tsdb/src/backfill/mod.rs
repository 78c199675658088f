//! Bulk import: samples of any age, in any order, straight into blocks of level 1, in bounded memory, and one commit.
//!
//! ```text
//! series, push, push_exemplar, family ─► windows of 2 h in memory ── flush ──► a block for each window ─► commit: all blocks at once
//! ```
//!
//! Until the commit the blocks are nothing: an import that fails or is killed leaves the store as it was, and the
//! collector finds its files. What was there before comes first in the order of precedence (P13), so a sample that the
//! store already has stays as it is (S5), and importing the same twice doubles nothing (S2): a block that has just what a
//! live one has is not even written.
//!
//! The head is read before the first block is written, and the commit fails if it has changed since: a collector may
//! have taken the blocks for orphans (P7).

#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;

use model::labels::METRIC_NAME;
use model::{Exemplar, Labels, Metadata, TimestampMs};
use wire::BlockMeta;

use self::window::{Entry, Window};
use crate::block::{BlockStats, compare};
use crate::error::TsdbError;
use crate::head::{Commit, Committed};
use crate::planner::window_of;
use crate::store::Store;

/// Instants beyond this, ms, either way, are refused: 285,000 years.
pub const BACKFILL_TIME_MAX: TimestampMs = 1 << 53;
/// What a series takes in memory besides its labels, bytes.
const SERIES_BYTES: usize = 48;
/// What an exemplar or a metric family takes in memory besides its texts, bytes.
const ENTRY_BYTES: usize = 96;
/// What a window takes in memory besides its samples, bytes.
const WINDOW_BYTES: usize = 256;

/// Names a series within an import, until the next flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackfillSeries(u32);

/// Names what is known of a metric family within an import, until the next flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackfillFamily(u32);

/// What an import made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backfilled {
    /// The blocks, in the order of their making.
    pub blocks: Vec<BlockMeta>,
    /// Samples in them.
    pub samples: u64,
    /// Samples that were not written because a live block has exactly the samples of theirs.
    pub present: u64,
    /// Samples that were pushed with a series and instant that an earlier one had, with the same value.
    pub repeated: u64,
    /// The same, with another value: the earlier one counts.
    pub conflicting: u64,
}

/// An import under way. Nothing of it is visible before [`Self::commit`].
#[derive(Debug)]
pub struct Backfill<'a> {
    store: &'a Store,
    parent: Committed,
    held_bytes: usize,
    series: Vec<Labels>,
    /// For each series, the number of its family.
    families_of: Vec<Option<u32>>,
    families: Vec<Metadata>,
    windows: BTreeMap<i64, Window>,
    done: Backfilled,
}

impl Store {
    /// Begins an import.
    ///
    /// # Errors
    /// [`TsdbError`].
    pub async fn backfill(&self) -> Result<Backfill<'_>, TsdbError> {
        Ok(Backfill {
            store: self,
            parent: self.load().await?,
            held_bytes: 0,
            series: Vec::new(),
            families_of: Vec::new(),
            families: Vec::new(),
            windows: BTreeMap::new(),
            done: Backfilled::default(),
        })
    }
}

impl Backfill<'_> {
    /// Makes known until the next flush what is said of a metric family. It is stored with the samples of its series.
    ///
    /// # Errors
    /// [`TsdbError::Invalid`] where there are too many.
    pub fn family(&mut self, metadata: Metadata) -> Result<BackfillFamily, TsdbError> {
        let number = u32::try_from(self.families.len()).map_err(|_| too_many())?;
        let texts = metadata.metric_family.len() + metadata.help.len() + metadata.unit.len();
        self.held_bytes += ENTRY_BYTES + texts;
        self.families.push(metadata);
        Ok(BackfillFamily(number))
    }

    /// Makes a series known until the next flush, and its family. Equal ones may come more than once.
    ///
    /// # Errors
    /// [`TsdbError::Invalid`] where it has no metric name.
    pub fn series(
        &mut self,
        labels: Labels,
        family: Option<BackfillFamily>,
    ) -> Result<BackfillSeries, TsdbError> {
        if labels.get(METRIC_NAME).is_none() {
            return Err(TsdbError::Invalid(format!("series {labels}: it has no metric name")));
        }
        let number = u32::try_from(self.series.len()).map_err(|_| too_many())?;
        self.held_bytes += SERIES_BYTES + labels.size_bytes();
        self.series.push(labels);
        self.families_of.push(family.map(|family| family.0));
        Ok(BackfillSeries(number))
    }

    /// Adds a sample, at an instant in ms.
    ///
    /// # Errors
    /// [`TsdbError::Invalid`] where the instant is beyond [`BACKFILL_TIME_MAX`], or the series is from before a flush.
    pub fn push(
        &mut self,
        series: BackfillSeries,
        timestamp: TimestampMs,
        value: f64,
    ) -> Result<(), TsdbError> {
        let (window, start) = self.window(series, timestamp)?;
        let offset = u32::try_from(timestamp - start).map_err(|_| too_many())?;
        let bytes = window.push(Entry { series: series.0, offset, value });
        self.held_bytes += bytes;
        Ok(())
    }

    /// Adds an exemplar. It need not be near a sample.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_exemplar(&mut self, series: BackfillSeries, exemplar: Exemplar) -> Result<(), TsdbError> {
        let bytes = ENTRY_BYTES + exemplar.labels.size_bytes();
        let (window, _) = self.window(series, exemplar.timestamp)?;
        window.push_exemplar(series.0, exemplar);
        self.held_bytes += bytes;
        Ok(())
    }

    /// The window that an instant is in, and where it starts.
    fn window(
        &mut self,
        series: BackfillSeries,
        timestamp: TimestampMs,
    ) -> Result<(&mut Window, i64), TsdbError> {
        if self.series.len() <= series.0 as usize {
            return Err(TsdbError::Invalid("series: it was flushed".to_owned()));
        }
        if !(-BACKFILL_TIME_MAX..=BACKFILL_TIME_MAX).contains(&timestamp) {
            return Err(TsdbError::Invalid(format!("timestamp {timestamp}")));
        }
        let start = window_of(2, timestamp);
        let held = &mut self.held_bytes;
        let window = self.windows.entry(start).or_insert_with(|| {
            *held += WINDOW_BYTES;
            Window::default()
        });
        Ok((window, start))
    }

    /// Memory that samples and series take, bytes, about. A flush takes half as much again, and frees all of it. When to
    /// flush is the caller's to decide.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Samples pushed so far that are or will be in blocks; repeated ones count until they are flushed.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.done.samples + self.windows.values().map(Window::len).sum::<u64>()
    }

    /// Writes everything that is held to blocks; all series are forgotten.
    ///
    /// # Errors
    /// [`TsdbError`]; the import has failed then.
    pub async fn flush(&mut self) -> Result<(), TsdbError> {
        let order = Order::of(&self.series);
        let known = Known { order: &order, families_of: &self.families_of, families: &self.families };
        while let Some((start, window)) = self.windows.pop_first() {
            let block = window.write(start, &known, &mut self.done)?;
            if self.has(&block.stats) {
                self.done.present += block.stats.samples;
                continue;
            }
            let meta = self.store.store_block(block, 1, vec![]).await?;
            self.done.samples += meta.samples;
            self.done.blocks.push(meta);
        }
        (self.series, self.families_of, self.families) = (Vec::new(), Vec::new(), Vec::new());
        self.held_bytes = 0;
        Ok(())
    }

    /// Whether a live block has exactly these samples.
    fn has(&self, stats: &BlockStats) -> bool {
        let set_hash = format!("{:032x}", stats.set_hash);
        self.parent.manifest.blocks.iter().any(|meta| {
            (meta.min_time, meta.max_time) == (stats.min_time, stats.max_time.saturating_add(1))
                && (meta.samples, meta.series) == (stats.samples, stats.series)
                && meta.set_hash == set_hash
        })
    }

    /// Writes what is held, and makes all blocks visible at once.
    ///
    /// # Errors
    /// [`TsdbError::Restarts`] where the store has changed since the import began: nothing was imported then. On other
    /// errors of the last step the outcome is unknown.
    pub async fn commit(mut self) -> Result<Backfilled, TsdbError> {
        self.flush().await?;
        if self.done.blocks.is_empty() {
            return Ok(self.done);
        }
        let mut manifest = self.store.successor(&self.parent);
        manifest.blocks.extend(self.done.blocks.iter().cloned());
        match self.store.commit(&self.parent, manifest, self.parent.head.watermark).await? {
            Commit::Done => Ok(self.done),
            Commit::Lost => Err(TsdbError::Restarts),
        }
    }
}

/// What windows are written with.
struct Known<'a> {
    order: &'a Order<'a>,
    families_of: &'a [Option<u32>],
    families: &'a [Metadata],
}

impl Known<'_> {
    /// The labels of a series, by number.
    fn labels(&self, series: u32) -> Option<&Labels> {
        let rank = self.order.ranks.get(series as usize)?;
        self.order.sorted.get(*rank as usize).copied()
    }

    /// What is said of the family of a series.
    fn family(&self, series: u32) -> Option<&Metadata> {
        let family = self.families_of.get(series as usize).copied()??;
        self.families.get(family as usize)
    }
}

/// Series in the order of blocks.
struct Order<'a> {
    /// Each label set once.
    sorted: Vec<&'a Labels>,
    /// For each series, its place in `sorted`.
    ranks: Vec<u32>,
}

impl<'a> Order<'a> {
    fn of(series: &'a [Labels]) -> Self {
        let mut numbers: Vec<u32> =
            (0..series.len()).filter_map(|number| u32::try_from(number).ok()).collect();
        let of = |number: u32| series.get(number as usize);
        numbers.sort_unstable_by(|a, b| match (of(*a), of(*b)) {
            (Some(a), Some(b)) => compare(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        });
        let mut order = Self { sorted: Vec::with_capacity(series.len()), ranks: vec![0; series.len()] };
        for number in numbers {
            let Some(labels) = of(number) else { continue };
            if order.sorted.last() != Some(&labels) {
                order.sorted.push(labels);
            }
            if let Some(rank) = order.ranks.get_mut(number as usize) {
                *rank = u32::try_from(order.sorted.len() - 1).unwrap_or(u32::MAX);
            }
        }
        order
    }
}

fn too_many() -> TsdbError {
    TsdbError::Invalid("import: too many series at once".to_owned())
}
