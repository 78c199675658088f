//! Reading segments: rows of a range of ticks, and what their payloads hold.
//!
//! ```text
//! rows ─► closure: what they are coded against, back to what is cached or coded by itself
//!      ─► payloads (whole, or the front and some chunks) ─► layouts ─► decoded in order, each against its bases
//! ```
//!
//! What a segment is coded against is most often in the list at hand, or decoded before. Where it is neither, the rows of
//! the time before are listed at once, for a chain of segments must not cost a round trip each.

mod closure;
mod payloads;
mod selection;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::Matcher;
use platform::{Row, RowRange};

use self::closure::Closure;
use self::selection::chunks_of;
use crate::error::TsdbError;
use crate::keys::SegmentKey;
use crate::segment_row::{Payload, SegmentRow};
use crate::store::Store;
use crate::together::{Work, together};
use crate::wal::{self, BaseRef, DecodedScrape, Index, Tips, WalError};

/// A decoded segment, or the part of it that was asked for.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Its name.
    pub key: SegmentKey,
    /// What it holds.
    pub scrapes: Vec<DecodedScrape>,
}

/// Names some chunks of a segment: its key, its checksum, the chunks' numbers; none of these where it is all of it.
pub(crate) type SegmentPart = (String, u64, Vec<usize>);

/// Whether decoded segments are worth keeping: a query's will be read again, a compaction's will not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Yes,
    No,
}

impl Store {
    /// The rows of all segments with `from <= tick < until`, ms, in order.
    pub(crate) async fn segment_rows(&self, from: i64, until: i64) -> Result<Vec<SegmentRow>, TsdbError> {
        self.rows_of(self.keys.segments(from, until)).await
    }

    /// The rows of all segments of some ranges, in the order of the ranges.
    pub(crate) async fn rows_of(&self, ranges: Vec<RowRange>) -> Result<Vec<SegmentRow>, TsdbError> {
        let mut works: Vec<Work<'_, Vec<Row>>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            works.push(Box::pin(async move { Ok(self.ports.query_rows(range).await?) }));
        }
        let pages = together(works, self.settings.concurrency).await?;
        pages.iter().flatten().map(|row| SegmentRow::decode(&row.key.sort, &row.value)).collect()
    }

    /// The segments of some rows, in their order; without those that are coded against what has expired.
    pub(crate) async fn load_segments(
        &self,
        rows: &[&SegmentRow],
        keep: Keep,
    ) -> Result<Vec<Arc<Segment>>, TsdbError> {
        self.load_matching(rows, &[], keep).await
    }

    /// The segments of some rows, in their order, with at least the series that satisfy all matchers of any of some sets,
    /// and always the same part of the names; everything without sets.
    pub(crate) async fn load_matching(
        &self,
        rows: &[&SegmentRow],
        matcher_sets: &[&[Matcher]],
        keep: Keep,
    ) -> Result<Vec<Arc<Segment>>, TsdbError> {
        let mut found: Vec<Option<Arc<Segment>>> = Vec::with_capacity(rows.len());
        let mut closure = Closure::new(self, matcher_sets);
        for row in rows {
            let known = self.caches.segments.get(&part_of(row, matcher_sets)?);
            closure.know(row, known.is_none());
            found.push(known);
        }
        closure.complete().await?;
        let mut decoded = self.decode_in_order(closure, keep).await?;
        for (slot, row) in found.iter_mut().zip(rows) {
            if slot.is_none() {
                *slot = decoded.remove(&row.key);
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Whether the row of a segment of `tick`, ms, may have expired. One that is coded against it can then never be read
    /// again: that is a loss of minutes, and waiting for it would be the loss of all that follows.
    fn has_expired(&self, tick: i64) -> bool {
        self.ports.now().saturating_sub(tick) >= self.settings.wal_expiry_ms
    }

    async fn decode_in_order(
        &self,
        closure: Closure<'_>,
        keep: Keep,
    ) -> Result<BTreeMap<SegmentKey, Arc<Segment>>, TsdbError> {
        let mut works: Vec<Work<'_, payloads::Fetched>> = Vec::with_capacity(closure.jobs.len());
        for job in closure.jobs.values() {
            works.push(Box::pin(self.fetch(&job.row, job.chunks.clone())));
        }
        let fetched = together(works, self.settings.concurrency).await?;
        let rows: Vec<&SegmentRow> = closure.jobs.values().map(|job| job.row.as_ref()).collect();
        let layouts = self.load_layouts(&rows, &fetched).await?;
        let mut uses = closure.uses();
        let mut tips = closure.tips;
        let mut found = BTreeMap::new();
        let mut lost: BTreeSet<SegmentKey> = BTreeSet::new();
        for ((key, job), fetched) in closure.jobs.iter().zip(fetched) {
            let wanted = &fetched.front.index.bases;
            let gone = |base: &&BaseRef| !tips.contains_key(&base.key);
            if wanted
                .iter()
                .filter(gone)
                .any(|base| lost.contains(&base.key) || self.has_expired(base.key.tick))
            {
                tracing::warn!(segment = %key, "a segment is lost: what it is coded against has expired");
                lost.insert(key.clone());
                continue;
            }
            let bases: Vec<Arc<Tips>> =
                wanted.iter().filter_map(|base| tips.get(&base.key).cloned()).collect();
            let decoded =
                wal::decode(key, &fetched.front, &fetched.chunks(), &bases, &|id| layouts.get(&id).cloned())
                    .map_err(|error| failure(key, &error))?;
            for base in wanted {
                if let Some(left) = uses.get_mut(&base.key) {
                    *left -= 1;
                    if *left == 0 {
                        tips.remove(&base.key);
                    }
                }
            }
            let chunks = named(&fetched.front.index, job.chunks.clone());
            let part = (key.to_string(), job.row.checksum, chunks);
            if uses.contains_key(key) {
                tips.insert(key.clone(), Arc::new(decoded.tips));
            } else if decoded.scrapes.iter().any(|scrape| scrape.coverage == storage::Coverage::Complete) {
                // The end of its chain: what comes next will most likely be coded against it.
                let size = decoded.tips.size_bytes();
                self.caches.tips.insert(part.clone(), Arc::new(decoded.tips), size);
            }
            if !job.wanted {
                continue;
            }
            let samples: usize = decoded.scrapes.iter().map(|scrape| scrape.samples).sum();
            if samples as u64 != job.row.samples {
                return Err(corrupt(key, &format!("{samples} samples instead of {}", job.row.samples)));
            }
            let segment = Arc::new(Segment { key: key.clone(), scrapes: decoded.scrapes });
            if keep == Keep::Yes {
                self.caches.segments.insert(part, Arc::clone(&segment), segment.size_bytes());
            }
            found.insert(key.clone(), segment);
        }
        Ok(found)
    }
}

impl Segment {
    /// About how much memory it takes.
    fn size_bytes(&self) -> usize {
        let scrape = |scrape: &DecodedScrape| {
            256 + scrape.present.len() * 4
                + scrape.values.len() * 8
                + scrape.explicit.len() * 16
                + scrape.histograms.len() * 512
                + scrape.exemplars.len() * 128
        };
        64 + self.scrapes.iter().map(scrape).sum::<usize>()
    }
}

/// What a row's segment is coded against, and where its chunks are.
fn index_of(row: &SegmentRow) -> Result<Index, TsdbError> {
    match &row.payload {
        Payload::Object { index, .. } => Ok(index.clone()),
        // The row's checksum has been found right.
        Payload::Inline(payload) => {
            wal::index_in(&row.key, payload).map_err(|error| corrupt(&row.key, &error))
        }
    }
}

/// The part of a row's segment that has the series that any of some sets of matchers selects.
fn part_of(row: &SegmentRow, matcher_sets: &[&[Matcher]]) -> Result<SegmentPart, TsdbError> {
    let chunks = if matcher_sets.is_empty() {
        Vec::new()
    } else {
        let index = index_of(row)?;
        named(&index, chunks_of(&index, matcher_sets))
    };
    Ok((row.key.to_string(), row.checksum, chunks))
}

/// Chunks as a part's name has them: none where it is all of them.
fn named(index: &Index, chunks: Vec<usize>) -> Vec<usize> {
    if chunks.len() == index.chunks.len() { Vec::new() } else { chunks }
}

fn failure(key: &SegmentKey, error: &WalError) -> TsdbError {
    match error {
        WalError::MissingBase(base) => missing_base(key, base),
        other => corrupt(key, other),
    }
}

/// Under a reader that means that the head has moved on; else what it is coded against is lost.
fn missing_base(key: &SegmentKey, base: &SegmentKey) -> TsdbError {
    let what = format!("segment {base}, which segment {key} is coded against,");
    TsdbError::Platform(platform::PlatformError::NotFound { what })
}

fn corrupt(key: &SegmentKey, reason: &dyn std::fmt::Display) -> TsdbError {
    TsdbError::Corrupt { what: format!("segment {key}"), reason: reason.to_string() }
}
