//! Writing a segment: layouts, then a bulky payload, then the row, whose creation is what counts.
//!
//! ```text
//! too late? ─► layout/… (create if absent) ─► wal/… payload if large ─► row: create if absent ─► too late by now?
//! ```
//!
//! - P1, P2: the row is named by its cause, (tick, shard), and created only if absent. Whoever is first wins.
//! - P3: [`Store::append`] returns only when the row is durable; then the caller may acknowledge its message.
//! - P18: a segment is coded against an earlier one only where this very writer knows that one to be stored as it wrote
//!   it. After anything else (somebody else was first, it was too late, the outcome is unknown), its sources' next scrapes
//!   are coded by themselves.
//! - P12: what was not durable by the late bound counts as missed, though it may turn up in blocks. The compactor
//!   waits longer than that bound, so what was in time is never passed by the watermark.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use bytes::Bytes;
use platform::RowPut;
use storage::{Coverage, Scrape, SourceId};

use crate::error::TsdbError;
use crate::keys::{Day, SegmentKey, Shard};
use crate::segment_row::{Payload, SegmentRow};
use crate::store::Store;
use crate::wal::{self, EncodeOptions, Index, SegmentSummary};

/// More samples than this no reader would take in one segment.
const SAMPLES_PER_SEGMENT_MAX: usize = 1 << 25;

/// What became of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is durable as given. What is in it.
    Written(SegmentSummary),
    /// Another attempt of the same tick and shard was first, and is durable: these scrapes are not stored.
    AlreadyThere,
    /// Too late to be certainly compacted: to be recorded as missed.
    TooLate,
}

impl Store {
    /// Makes `scrapes` durable as the segment of `shard` at `tick`, ms.
    ///
    /// # Errors
    /// [`TsdbError::Invalid`] where no reader would take it. Else any [`TsdbError`]; where its retry is `Later` or `Ambiguous`, the same call may be made again.
    pub async fn append(&self, tick: i64, shard: Shard, scrapes: &[Scrape]) -> Result<Appended, TsdbError> {
        let key = SegmentKey { tick, shard };
        let row_key = self.keys.segment(&key)?;
        if self.is_late(tick) {
            return Ok(Appended::TooLate);
        }
        if tick > self.ports.now().saturating_add(self.settings.late_bound_ms) {
            return Err(TsdbError::Invalid(format!("tick {tick}: it lies in the future")));
        }
        if samples_of(scrapes) > SAMPLES_PER_SEGMENT_MAX {
            return Err(TsdbError::Invalid("segment: it has too many samples".to_owned()));
        }
        check_layouts(scrapes)?;
        let options = EncodeOptions {
            chunk_samples: self.settings.chunk_samples,
            chain_segments_max: self.settings.chain_segments_max,
            chain_ms_max: self.settings.chain_ms_max,
        };
        let encoded = {
            let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
            wal::encode(&key, scrapes, &mut layouts, &options)
        };
        self.store_layouts(Day::of(tick), encoded.layouts).await?;
        let payload = self.store_payload(&key, encoded.payload, encoded.index, encoded.front_len).await?;
        let row = SegmentRow::new(key, &encoded.summary, payload);
        let expires_at_s = self.ports.now().saturating_add(self.settings.wal_expiry_ms) / 1000;
        let value = row.encode();
        // Repeating an attempt of unknown outcome is safe: the row is created once, and then names its winner.
        let create = || self.ports.rows.create(&row_key, value.clone(), Some(expires_at_s));
        let put = self.ports.retrying(create).await?;
        if self.is_late(tick) {
            return Ok(Appended::TooLate);
        }
        let ours = match put {
            RowPut::Created => true,
            RowPut::Exists(there) => {
                let there = SegmentRow::decode(&there.key.sort, &there.value)?;
                there.checksum == row.checksum && there.samples == row.samples
            }
        };
        if !ours {
            return Ok(Appended::AlreadyThere);
        }
        // Only now, and only of this: what was not stored, or not like this, nothing may be coded against.
        self.layouts.lock().unwrap_or_else(PoisonError::into_inner).stored(encoded.pending);
        Ok(Appended::Written(encoded.summary))
    }

    /// Whether it is too late to make a segment of `tick`, ms, durable: [`Store::append`] would refuse it (P12).
    #[must_use]
    pub fn is_late(&self, tick: i64) -> bool {
        self.ports.now().saturating_sub(tick) > self.settings.late_bound_ms
    }

    async fn store_payload(
        &self,
        key: &SegmentKey,
        payload: Bytes,
        index: Index,
        front_len: u64,
    ) -> Result<Payload, TsdbError> {
        if payload.len() <= self.settings.inline_bytes_max {
            return Ok(Payload::Inline(payload));
        }
        let attempt = self.ports.unique_id();
        self.ports.create_object(&self.keys.payload(key, &attempt), &payload).await?;
        Ok(Payload::Object { attempt, len: payload.len() as u64, front_len, index })
    }
}

/// What no reader would take must not be acknowledged: series of one source beyond the bounds of a layout. All that is
/// pushed of a source has one layout.
fn check_layouts(scrapes: &[Scrape]) -> Result<(), TsdbError> {
    let mut pushed: BTreeMap<SourceId, (usize, usize)> = BTreeMap::new();
    for scrape in scrapes {
        let (mut own, partial) = ((0, 0), scrape.coverage == Coverage::Partial);
        let sum = if partial { pushed.entry(scrape.source).or_default() } else { &mut own };
        for labels in wal::series_of(scrape) {
            *sum = (sum.0 + 1, sum.1.saturating_add(labels.size_bytes()));
        }
        if sum.0 > wal::SERIES_PER_LAYOUT_MAX || sum.1 > wal::LAYOUT_TEXT_BYTES_MAX / 4 * 3 {
            return Err(TsdbError::Invalid("segment: a source has too many series".to_owned()));
        }
    }
    Ok(())
}

fn samples_of(scrapes: &[Scrape]) -> usize {
    scrapes.iter().map(|scrape| scrape.samples.len() + scrape.histograms.len()).sum()
}
