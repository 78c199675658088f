//! What a reader sees: the segments that were listed, and the head that was read after them (P10).
//!
//! Segments first, then the head: a segment that a commit in between consumed is then in that head's blocks, and is
//! left out. The other way round it could be in neither. Values and versions come with the list (P11).

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use model::TimestampMs;
use wire::BlockMeta;

use crate::block::BlockReader;
use crate::compact::context_from;
use crate::error::TsdbError;
use crate::head::Committed;
use crate::segment_row::SegmentRow;
use crate::store::{RESTARTS_MAX, Store};

/// How far ahead of this clock other clocks may be, ms: their ticks are listed, too.
const SKEW_MS: i64 = 60_000;

/// One consistent state of the store.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The head that was read last.
    pub committed: Committed,
    /// Segments not consumed at that head, and the context before them, in order.
    pub rows: Vec<SegmentRow>,
    /// Segments of earlier ticks, ms, are context.
    pub emit_from: i64,
}

impl Store {
    /// The state of now.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, TsdbError> {
        for _ in 0..=RESTARTS_MAX {
            let known = *self.listed_from.lock().unwrap_or_else(PoisonError::into_inner);
            let from = match known {
                Some(from) => from,
                None => self.needed_from(&self.load().await?),
            };
            let until = self.ports.now().saturating_add(self.settings.late_bound_ms).saturating_add(SKEW_MS);
            let mut rows = self.segment_rows(from, until).await?;
            let committed = self.load().await?;
            let needed = self.needed_from(&committed);
            if committed.head.watermark > 0 {
                *self.listed_from.lock().unwrap_or_else(PoisonError::into_inner) = Some(needed);
            }
            if committed.head.watermark > 0 && needed < from {
                continue;
            }
            let emit_from = self.unconsumed_from(&committed, self.ports.now());
            let context: BTreeSet<&str> = committed.manifest.context.iter().map(String::as_str).collect();
            rows.retain(|row| row.key.tick >= emit_from || context.contains(row.key.to_string().as_str()));
            return Ok(Snapshot { committed, rows, emit_from });
        }
        Err(TsdbError::Restarts)
    }

    /// Forgets where lists may begin, after what was listed turned out to be gone.
    pub(crate) fn forget_snapshot(&self) {
        *self.listed_from.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// An open block; blocks never change, so they stay open.
    pub(crate) async fn open_block(&self, meta: &BlockMeta) -> Result<Arc<BlockReader>, TsdbError> {
        if let Some(reader) = self.caches.blocks.get(&meta.id) {
            return Ok(reader);
        }
        let context = Arc::clone(&self.caches.block_context);
        let reader = Arc::new(BlockReader::open_in(self.ports.retrying_objects(), meta, context).await?);
        self.caches.blocks.insert(meta.id.clone(), Arc::clone(&reader), reader.size_bytes());
        Ok(reader)
    }

    pub(crate) fn needed_from(&self, committed: &Committed) -> i64 {
        let from = self.unconsumed_from(committed, self.ports.now());
        context_from(&committed.manifest).map_or(from, |context| context.min(from))
    }
}

impl Snapshot {
    /// The live blocks that may have samples in `min_time..=max_time` ms, in order of precedence.
    pub(crate) fn blocks(
        &self,
        min_time: TimestampMs,
        max_time: TimestampMs,
    ) -> impl Iterator<Item = &BlockMeta> {
        let blocks = self.committed.manifest.blocks.iter();
        blocks.filter(move |block| block.min_time <= max_time && block.max_time > min_time)
    }

    /// The segments that may have samples in `min_time..=max_time` ms, and those before them that their stale markers depend on.
    pub(crate) fn segments(
        &self,
        min_time: TimestampMs,
        max_time: TimestampMs,
        staleness_gap_ms: i64,
    ) -> Vec<&SegmentRow> {
        let within = |row: &&SegmentRow| {
            row.key.tick >= self.emit_from
                && row.scrapes > 0
                && row.min_time <= max_time
                && row.max_time >= min_time
        };
        let (Some(first), Some(last)) =
            (self.rows.iter().find(within), self.rows.iter().rfind(|row| within(row)))
        else {
            return vec![];
        };
        let from = first.key.tick.saturating_sub(staleness_gap_ms);
        self.rows.iter().filter(|row| row.key.tick >= from && row.key <= last.key).collect()
    }
}
