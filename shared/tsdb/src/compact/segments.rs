//! Level 1: everything between the watermark and the next one becomes blocks.
//!
//! The new watermark lies `grace` behind the clock, and the list is made after the clock was read. A writer that
//! reported success had its row durable within the late bound, which is shorter: so the list has every row that was
//! acknowledged (S1). A row that appears later below the watermark is inert (P9): readers take rows below the
//! watermark only where the manifest names them as context.

use std::collections::BTreeSet;

use model::time::align_down;
use platform::{Deadline, RowRange};
use wire::Manifest;

use super::report::{Compacted, JobKind, JobReport, Volume};
use crate::error::TsdbError;
use crate::head::{Commit, Committed};
use crate::keys::{HOUR_MS, SegmentKey};
use crate::replay::{Replay, Rules};
use crate::segment_row::{Payload, SegmentRow};
use crate::segments::Keep;
use crate::store::Store;

/// Segments loaded at once: bounds the memory for payloads.
const BATCH: usize = 64;

impl Store {
    /// The watermark that is due at `now`, ms, if it lies beyond the current one.
    pub(super) fn segments_due(&self, parent: &Committed, now: i64) -> Option<i64> {
        let until = align_down(now.saturating_sub(self.settings.grace_ms), self.settings.window_ms);
        (until > parent.head.watermark).then_some(until)
    }

    /// Moves the watermark to `until`, ms, or as far as one job's bound on samples allows.
    pub(super) async fn compact_segments(
        &self,
        parent: &Committed,
        now: i64,
        until: i64,
        deadline: Deadline,
        done: &mut Compacted,
    ) -> Result<(Commit, JobReport), TsdbError> {
        let from = self.unconsumed_from(parent, now);
        let (rows, watermark) = self.take_rows(from, until, deadline).await?;
        let context = self.context_rows(parent).await?;
        let rules = Rules {
            emit_from: from,
            range: i64::MIN..=i64::MAX,
            staleness_gap_ms: self.settings.staleness_gap_ms,
            samples_max: u64::MAX,
            deletions: self.deletions_of_segments(&parent.manifest, from)?,
        };
        let mut replay = Replay::new(rules, |_| true).with_extras();
        let in_order: Vec<&SegmentRow> = context.iter().chain(&rows).collect();
        for batch in in_order.chunks(BATCH) {
            self.ports.check(deadline, "compacting segments")?;
            for segment in self.load_segments(batch, Keep::No).await? {
                replay.push(&segment)?;
            }
        }
        let still_near =
            |key: &SegmentKey| watermark.saturating_sub(key.tick) <= self.settings.staleness_gap_ms;
        let context = replay.context().into_iter().filter(still_near).map(|key| key.to_string()).collect();
        let replayed = replay.finish_all();
        let expected: u64 = replayed.series.iter().map(|series| series.sample_count() as u64).sum();

        let mut manifest = self.successor(parent);
        manifest.context = context;
        let blocks = Box::pin(self.store_by_window(replayed)).await?;
        manifest.blocks.extend(blocks.iter().cloned());
        let report = JobReport {
            segments: rows.len() as u64,
            read: volume(&rows),
            blocks,
            ..JobReport::new(JobKind::Segments, 1)
        };
        let samples = report.written().samples;
        if samples != expected {
            return Err(TsdbError::Halt {
                invariant: "S7",
                reason: format!("{expected} samples of segments became {samples} of blocks"),
            });
        }
        let commit = self.commit(parent, manifest, watermark).await?;
        if matches!(commit, Commit::Done) {
            done.watermark = watermark;
        }
        Ok((commit, report))
    }

    /// The first tick, ms, whose segments are not consumed. Before the first commit that is the oldest that can still
    /// be there.
    pub(crate) fn unconsumed_from(&self, committed: &Committed, now: i64) -> i64 {
        // Not the version: a fence may have been the first to set the register.
        if committed.head.watermark > 0 {
            return committed.head.watermark;
        }
        now.saturating_sub(self.settings.wal_expiry_ms).saturating_sub(HOUR_MS).max(0)
    }

    /// The segments with `from <= tick < until`, or as many whole ticks of them as one job may take, and the
    /// watermark that is right once they are consumed.
    async fn take_rows(
        &self,
        from: i64,
        until: i64,
        deadline: Deadline,
    ) -> Result<(Vec<SegmentRow>, i64), TsdbError> {
        let mut rows: Vec<SegmentRow> = Vec::new();
        let ranges = self.keys.segments(from, until);
        for some in ranges.chunks(self.settings.concurrency.max(1)) {
            self.ports.check(deadline, "listing segments")?;
            let more: Vec<RowRange> = some.to_vec();
            rows.extend(self.rows_of(more).await?);
            if let Some(at) = cut(&rows, self.settings.job_samples_max, self.settings.job_bytes_max) {
                let watermark = rows.get(at).map_or(until, |row| row.key.tick);
                rows.truncate(at);
                return Ok((rows, watermark));
            }
        }
        Ok((rows, until))
    }

    async fn context_rows(&self, parent: &Committed) -> Result<Vec<SegmentRow>, TsdbError> {
        let Some(from) = context_from(&parent.manifest) else { return Ok(vec![]) };
        let names: BTreeSet<&str> = parent.manifest.context.iter().map(String::as_str).collect();
        let mut rows = self.segment_rows(from, parent.head.watermark).await?;
        rows.retain(|row| names.contains(row.key.to_string().as_str()));
        if rows.len() < names.len() {
            tracing::warn!(
                missing = names.len() - rows.len(),
                "segments that stale markers are derived from have expired"
            );
        }
        Ok(rows)
    }
}

/// The first tick of a manifest's context, ms.
pub(crate) fn context_from(manifest: &Manifest) -> Option<i64> {
    manifest.context.iter().filter_map(|sort| SegmentKey::parse(sort)).map(|key| key.tick).min()
}

/// How much data some segments hold.
fn volume(rows: &[SegmentRow]) -> Volume {
    let bytes = rows.iter().map(payload_bytes).sum();
    Volume { bytes, samples: rows.iter().map(|row| row.samples).sum() }
}

fn payload_bytes(row: &SegmentRow) -> u64 {
    match &row.payload {
        Payload::Inline(payload) => payload.len() as u64,
        Payload::Object { len, .. } => *len,
    }
}

/// Where to cut rows, between two ticks, so that what stays has at most so many samples and bytes, or is one tick.
fn cut(rows: &[SegmentRow], samples_max: u64, bytes_max: u64) -> Option<usize> {
    let (mut samples, mut bytes) = (0u64, 0u64);
    let mut tick_began = 0;
    for (at, row) in rows.iter().enumerate() {
        if rows.get(tick_began).is_some_and(|first| first.key.tick != row.key.tick) {
            tick_began = at;
        }
        samples = samples.saturating_add(row.samples);
        bytes = bytes.saturating_add(payload_bytes(row));
        let first_tick = rows.first().is_some_and(|first| first.key.tick == row.key.tick);
        if (samples > samples_max || bytes > bytes_max) && !first_tick {
            return Some(tick_began);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Shard;
    use crate::wal::SegmentSummary;

    #[test]
    fn a_job_takes_whole_ticks_and_at_least_one() {
        let row = |tick, shard, samples| {
            let summary = SegmentSummary { samples, ..SegmentSummary::default() };
            let key = SegmentKey { tick, shard: Shard::scrape(shard) };
            SegmentRow::new(key, &summary, Payload::Inline(vec![0; samples as usize * 10].into()))
        };
        let rows = [row(1, 0, 5), row(1, 1, 5), row(2, 0, 5), row(2, 1, 5), row(3, 0, 5)];
        for (samples_max, expected) in [(1, Some(2)), (10, Some(2)), (15, Some(2)), (20, Some(4)), (25, None)]
        {
            assert_eq!(cut(&rows, samples_max, 1_000), expected, "{samples_max}");
            assert_eq!(cut(&rows, 1_000, samples_max * 10), expected, "{samples_max}");
        }
        assert_eq!(cut(&rows[..2], 1, 1), None);
    }
}
