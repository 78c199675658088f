//! The collector: the only one who deletes.
//!
//! ```text
//! list blocks, manifests ─► read head v ─► doomed = unreferenced, not young ─► head v → v+1 (fence) ─► delete doomed
//! ```
//!
//! - P7: the fence makes every commit fail that was computed from head v or before, and so any that could name a
//!   doomed object. Whoever reads the head later cannot name what it no longer finds. If the fence is lost or its
//!   outcome unknown, nothing is deleted.
//! - Blocks that left the manifest lately are kept for queries in flight; a reader that is slower still starts over.
//! - Segments, payloads and layouts need no fence: what lies far enough below the watermark is inert for ever (P9),
//!   because the watermark never moves back.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use platform::{Deadline, ListedObject};

use crate::error::TsdbError;
use crate::head::{Commit, Committed};
use crate::invariants::part_blocks;
use crate::keys::HOUR_MS;
use crate::store::Store;
use crate::together::{Work, together};

/// What a call of [`Store::collect`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files of blocks deleted.
    pub block_files: u64,
    /// Their bytes.
    pub block_bytes: u64,
    /// Manifests deleted.
    pub manifests: u64,
    /// Payloads and layouts of consumed segments deleted.
    pub segment_objects: u64,
    /// Rows of consumed segments deleted.
    pub segment_rows: u64,
    /// Whether somebody else's commit came before the fence, so that blocks and manifests were left alone.
    pub fence_lost: bool,
}

impl Store {
    /// Deletes what nothing refers to at `tick`, ms (or now, if that is earlier).
    ///
    /// # Errors
    /// [`TsdbError`]; another call goes on where this one stopped.
    pub async fn collect(&self, tick: i64, deadline: Deadline) -> Result<Collected, TsdbError> {
        let now = tick.min(self.ports.now());
        let mut done = Collected::default();
        self.collect_unreferenced(now, deadline, &mut done).await?;
        self.collect_segments(now, deadline, &mut done).await?;
        Ok(done)
    }

    async fn collect_unreferenced(
        &self,
        now: i64,
        deadline: Deadline,
        done: &mut Collected,
    ) -> Result<(), TsdbError> {
        let blocks = self.ports.list_objects(&self.keys.blocks()).await?;
        let manifests = self.ports.list_objects(&self.keys.manifests()).await?;
        let committed = self.load().await?;
        let live = self.referenced(&committed, now);
        let old = |written: i64| now.saturating_sub(written) >= self.settings.orphan_age_ms;
        let doomed_block = |key: &str| {
            self.keys.block_of(key).is_some_and(|(id, written)| !live.contains(id) && old(written))
        };
        let doomed_manifest = |key: &str| {
            committed.head.manifest.as_deref() != Some(key) && self.keys.manifest_time(key).is_some_and(old)
        };
        let blocks: Vec<ListedObject> =
            blocks.into_iter().filter(|object| doomed_block(&object.key)).collect();
        let manifests: Vec<String> =
            manifests.into_iter().map(|object| object.key).filter(|key| doomed_manifest(key)).collect();
        if blocks.is_empty() && manifests.is_empty() {
            return Ok(());
        }
        if matches!(self.fence(&committed).await?, Commit::Lost) {
            done.fence_lost = true;
            return Ok(());
        }
        let bytes = blocks.iter().map(|object| object.len).sum();
        let blocks = blocks.into_iter().map(|object| object.key).collect();
        done.block_files = self.delete_objects(blocks, deadline).await?;
        done.block_bytes = bytes;
        done.manifests = self.delete_objects(manifests, deadline).await?;
        Ok(())
    }

    /// The ids of the blocks that a query may be reading or will, or that parts of merges are writing (P16).
    pub(crate) fn referenced<'a>(&self, committed: &'a Committed, now: i64) -> BTreeSet<&'a str> {
        let manifest = &committed.manifest;
        let recent = |at: i64| now.saturating_sub(at) < self.settings.query_grace_ms;
        let retired = manifest.retired.iter().filter(|retired| recent(retired.at)).map(|retired| &retired.id);
        let live = manifest.blocks.iter().map(|block| &block.id).chain(retired).map(String::as_str);
        live.chain(manifest.merges.iter().flat_map(part_blocks)).collect()
    }

    async fn collect_segments(
        &self,
        now: i64,
        deadline: Deadline,
        done: &mut Collected,
    ) -> Result<(), TsdbError> {
        let (_, head) = self.head().await?;
        if head.watermark == 0 {
            return Ok(());
        }
        let inert = head
            .watermark
            .saturating_sub(self.settings.staleness_gap_ms)
            // What context is coded against.
            .saturating_sub(self.settings.chain_ms_max)
            .saturating_sub(self.settings.query_grace_ms);
        let expired = now.saturating_sub(self.settings.wal_expiry_ms);
        let before = if self.settings.delete_consumed_rows { inert } else { inert.min(expired) };
        if self.settings.delete_consumed_rows {
            done.segment_rows = self.delete_rows(before, deadline).await?;
        }
        // Both prefixes list in order of days, so listing stops at the first that is kept.
        let gone_payload = |key: &str| self.keys.payload_tick(key).is_some_and(|tick| tick < before);
        let gone_layout = |key: &str| self.keys.layout_day(key).is_some_and(|day| day.end_ms() <= before);
        let payloads = self.ports.list_objects_while(&self.keys.payloads(), gone_payload).await?;
        let layouts = self.ports.list_objects_while(&self.keys.layouts(), gone_layout).await?;
        done.segment_objects += self.delete_objects(payloads, deadline).await?;
        done.segment_objects += self.delete_objects(layouts, deadline).await?;
        Ok(())
    }

    async fn delete_rows(&self, before: i64, deadline: Deadline) -> Result<u64, TsdbError> {
        let known = *self.collected_until.lock().unwrap_or_else(PoisonError::into_inner);
        // What is older has expired by itself.
        let oldest = before.saturating_sub(self.settings.wal_expiry_ms).saturating_sub(HOUR_MS);
        let mut deleted = 0;
        for range in self.keys.segments(known.max(oldest), before) {
            self.ports.check(deadline, "collecting segments")?;
            let rows = self.ports.query_rows(range).await?;
            deleted += rows.len() as u64;
            let mut works: Vec<Work<'_, ()>> = Vec::with_capacity(rows.len());
            for row in &rows {
                works.push(Box::pin(async { Ok(self.ports.delete_row(&row.key).await?) }));
            }
            together(works, self.settings.concurrency).await?;
        }
        // An hour again and again, for rows that turned up late.
        let until = before.saturating_sub(HOUR_MS);
        *self.collected_until.lock().unwrap_or_else(PoisonError::into_inner) = until.max(known);
        Ok(deleted)
    }

    async fn delete_objects(&self, keys: Vec<String>, deadline: Deadline) -> Result<u64, TsdbError> {
        let count = keys.len() as u64;
        for some in keys.chunks(self.settings.concurrency.max(1)) {
            self.ports.check(deadline, "collecting objects")?;
            let mut works: Vec<Work<'_, ()>> = Vec::with_capacity(some.len());
            for key in some {
                works.push(Box::pin(async { Ok(self.ports.delete_object(key).await?) }));
            }
            together(works, self.settings.concurrency).await?;
        }
        Ok(count)
    }
}
