//! Levels 2 and 3 where one job does it all: some blocks become one; and retention.

use std::collections::BTreeSet;

use platform::Deadline;
use wire::{BlockMeta, Manifest, RetiredBlock, Tombstone};

use super::merge::{Recipe, check_conservation};
use super::report::{JobKind, JobReport, of_blocks};
use crate::error::TsdbError;
use crate::head::{Commit, Committed};
use crate::store::Store;
use crate::tombstones::{covers, pass_on};

impl Store {
    /// Replaces some blocks, given in the manifest's order, by one that holds all their samples.
    pub(super) async fn merge_blocks(
        &self,
        parent: &Committed,
        level: u32,
        ids: &[String],
        deadline: Deadline,
    ) -> Result<(Commit, JobReport), TsdbError> {
        let inputs = live(&parent.manifest, ids);
        let tombstones = covering(&parent.manifest, ids);
        let recipe = Recipe {
            id: self.keys.block_id(&self.ports.unique_id()),
            level,
            inputs: inputs.iter().map(|meta| (*meta).clone()).collect(),
            tombstones: tombstones.clone(),
            from: None,
            until: None,
        };
        let merged = self.merge(&parent.manifest, recipe, deadline).await?;
        check_conservation(&inputs, &[&merged])?;
        let report = JobReport {
            read: of_blocks(inputs.iter().copied()),
            duplicates: merged.duplicates.samples,
            deleted: merged.deleted.samples,
            blocks: merged.block.iter().cloned().collect(),
            ..JobReport::new(JobKind::Merge, level)
        };
        let mut manifest = self.successor(parent);
        replace(&mut manifest, ids, merged.block.into_iter().collect(), &tombstones, self.ports.now());
        Ok((self.commit(parent, manifest, parent.head.watermark).await?, report))
    }

    /// Drops blocks that have outlived the retention, and gives up the merges that would have taken them.
    pub(super) async fn drop_blocks(
        &self,
        parent: &Committed,
        ids: &[String],
    ) -> Result<(Commit, JobReport), TsdbError> {
        let mut manifest = self.successor(parent);
        manifest.merges.retain(|merge| !merge.inputs.iter().any(|input| ids.contains(input)));
        replace(&mut manifest, ids, vec![], &[], self.ports.now());
        let read = of_blocks(live(&parent.manifest, ids));
        let commit = self.commit(parent, manifest, parent.head.watermark).await?;
        Ok((commit, JobReport { read, ..JobReport::new(JobKind::Drop, 0) }))
    }
}

/// Some of a manifest's blocks, in its order.
pub(super) fn live<'a>(manifest: &'a Manifest, ids: &[String]) -> Vec<&'a BlockMeta> {
    let ids: BTreeSet<&String> = ids.iter().collect();
    manifest.blocks.iter().filter(|block| ids.contains(&block.id)).collect()
}

/// The ids of the tombstones that cover any of some blocks.
pub(super) fn covering(manifest: &Manifest, ids: &[String]) -> Vec<String> {
    let any = |tombstone: &&Tombstone| ids.iter().any(|id| covers(tombstone, id));
    manifest.tombstones.iter().filter(any).map(|tombstone| tombstone.id.clone()).collect()
}

/// Puts `outputs` in the place of the first of `inputs`, which keeps the order of precedence, and retires these. Tombstones
/// other than those that were `applied` cover what they covered.
pub(super) fn replace(
    manifest: &mut Manifest,
    inputs: &[String],
    outputs: Vec<BlockMeta>,
    applied: &[String],
    now: i64,
) {
    pass_on(&mut manifest.tombstones, applied, inputs, &outputs);
    let inputs: BTreeSet<&String> = inputs.iter().collect();
    let at = manifest.blocks.iter().position(|block| inputs.contains(&block.id)).unwrap_or(0);
    manifest.blocks.retain(|block| !inputs.contains(&block.id));
    manifest.blocks.splice(at..at, outputs);
    manifest.retired.extend(inputs.into_iter().map(|id| RetiredBlock { id: id.clone(), at: now }));
}
