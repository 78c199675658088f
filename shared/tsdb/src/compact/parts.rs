//! Levels 2 and 3 where it is too much for one job: a merge is recorded and done in parts, by ranges of series.
//!
//! ```text
//! split   head v ─► where to cut ─► commit v+1: merge {inputs, tombstones, bounds, every part open}
//! claim   head v ─► commit v+1: part p is claimed, by the id of the block that is to be written
//! merge   scan the part's range of all inputs ─► block/<that id> …           minutes; others commit meanwhile
//! fill    head w ─► still claimed by that id? ─► commit w+1: part p is done. The last one: outputs replace inputs
//! ```
//!
//! What takes minutes must survive the commits of others, and still never name what the collector has deleted (P7). A
//! claim makes both true (P16): the manifest names the block before its first file is written, so no collector that saw
//! the files has not seen the claim; and as long as the claim is there, every collector spares them. So the fill may be
//! committed after any head that still has the claim. Whoever takes over from the dead replaces their claim, which makes
//! their fill fail should they be alive.

use std::time::Duration;

use model::Labels;
use platform::{Deadline, Retry};
use wire::{BlockMeta, Manifest, MergePart, MergedPart, PendingMerge, WireLabels};

use super::blocks::{covering, live, replace};
use super::merge::{Recipe, check_conservation};
use super::report::{JobKind, JobReport, of_blocks};
use crate::block::compare;
use crate::error::TsdbError;
use crate::head::{Commit, Committed};
use crate::store::Store;

/// Cuts looked at in each input, for every part.
const CUTS_PER_PART: usize = 4;
/// A fill that loses so many commits to others gives up: commits take milliseconds, and others minutes between them.
const FILLS_MAX: u32 = 64;
/// The pause after a fill whose outcome is unknown.
const FILL_PAUSE: Duration = Duration::from_millis(200);

impl Store {
    /// Records a merge that is to be done in parts.
    pub(super) async fn split_merge(
        &self,
        parent: &Committed,
        level: u32,
        ids: &[String],
        parts: usize,
    ) -> Result<(Commit, JobReport), TsdbError> {
        let bounds = self.bounds(&live(&parent.manifest, ids), parts).await?;
        let mut manifest = self.successor(parent);
        manifest.merges.push(PendingMerge {
            id: self.ports.unique_id(),
            level,
            inputs: ids.to_vec(),
            tombstones: covering(&parent.manifest, ids),
            parts: vec![MergePart::Open; bounds.len() + 1],
            bounds: bounds.iter().map(WireLabels::from).collect(),
        });
        let commit = self.commit(parent, manifest, parent.head.watermark).await?;
        Ok((commit, JobReport::new(JobKind::Split, level)))
    }

    /// Claims a part of a merge, does it, and commits it.
    pub(super) async fn merge_part(
        &self,
        parent: &Committed,
        merge_id: &str,
        part: usize,
        deadline: Deadline,
    ) -> Result<(Commit, JobReport), TsdbError> {
        let mut manifest = self.successor(parent);
        let block = self.keys.block_id(&self.ports.unique_id());
        let Some(merge) = manifest.merges.iter_mut().find(|merge| merge.id == merge_id) else {
            return Ok((Commit::Lost, JobReport::new(JobKind::Part, 0)));
        };
        if let Some(slot) = merge.parts.get_mut(part) {
            *slot = MergePart::Claimed { block: block.clone(), at: self.ports.now() };
        }
        let recipe = recipe(parent, merge, part, &block);
        let report =
            JobReport { read: of_blocks(&recipe.inputs), ..JobReport::new(JobKind::Part, merge.level) };
        if matches!(self.commit(parent, manifest, parent.head.watermark).await?, Commit::Lost) {
            return Ok((Commit::Lost, report));
        }
        let merged = self.merge(&parent.manifest, recipe, deadline).await?;
        let report = JobReport {
            duplicates: merged.duplicates.samples,
            deleted: merged.deleted.samples,
            blocks: merged.block.iter().cloned().collect(),
            ..report
        };
        Ok((self.fill(merge_id, part, &block, &merged, deadline).await?, report))
    }

    /// Commits a part that is done, after whatever head there is, if its claim is still there.
    async fn fill(
        &self,
        merge_id: &str,
        part: usize,
        block: &str,
        merged: &MergedPart,
        deadline: Deadline,
    ) -> Result<Commit, TsdbError> {
        for _ in 0..FILLS_MAX {
            self.ports.check(deadline, "committing a part of a merge")?;
            let parent = self.load().await?;
            let merge = parent.manifest.merges.iter().find(|merge| merge.id == merge_id);
            match merge.and_then(|merge| merge.parts.get(part)) {
                Some(MergePart::Claimed { block: claimed, .. }) if claimed == block => {}
                // Others took over; or an earlier attempt at this very commit was done though its outcome was unknown.
                Some(MergePart::Done(done)) if **done == *merged => return Ok(Commit::Done),
                None if parent.manifest.blocks.iter().any(|live| live.id == block) => {
                    return Ok(Commit::Done);
                }
                _ => return Ok(Commit::Lost),
            }
            let manifest = self.filled(&parent, merge_id, part, merged)?;
            match self.commit(&parent, manifest, parent.head.watermark).await {
                Ok(Commit::Done) => return Ok(Commit::Done),
                Ok(Commit::Lost) => {}
                // Not done or unknown: the next look at the head tells. Should it still be done later, it was of an older
                // head than the next attempt's (P6).
                Err(TsdbError::Platform(error)) if error.retry() != Retry::Never => {
                    self.ports.clock.sleep(FILL_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Commit::Lost)
    }

    /// What follows `parent` when a part is done; with the last one, the outputs take the inputs' place.
    fn filled(
        &self,
        parent: &Committed,
        merge_id: &str,
        part: usize,
        merged: &MergedPart,
    ) -> Result<Manifest, TsdbError> {
        let mut manifest = self.successor(parent);
        let Some(at) = manifest.merges.iter().position(|merge| merge.id == merge_id) else {
            return Ok(manifest);
        };
        if let Some(slot) = manifest.merges.get_mut(at).and_then(|merge| merge.parts.get_mut(part)) {
            *slot = MergePart::Done(Box::new(merged.clone()));
        }
        let done: Vec<&MergedPart> =
            manifest.merges.get(at).into_iter().flat_map(|merge| &merge.parts).filter_map(done).collect();
        if manifest.merges.get(at).is_some_and(|merge| merge.parts.len() > done.len()) {
            return Ok(manifest);
        }
        let outputs: Vec<BlockMeta> = done.iter().filter_map(|part| part.block.clone()).collect();
        if let Some(merge) = manifest.merges.get(at) {
            check_conservation(&live(&parent.manifest, &merge.inputs), &done)?;
        }
        let merge = manifest.merges.remove(at);
        replace(&mut manifest, &merge.inputs, outputs, &merge.tombstones, self.ports.now());
        Ok(manifest)
    }

    /// Where to cut some blocks into about equal parts: the first series of every part but the first.
    async fn bounds(&self, inputs: &[&BlockMeta], parts: usize) -> Result<Vec<Labels>, TsdbError> {
        let mut cuts: Vec<(Labels, u64)> = Vec::new();
        let mut total = 0u64;
        for meta in inputs.iter().filter(|_| parts > 1) {
            let reader = self.open_block(meta).await?;
            let found = reader.split_points(parts.saturating_mul(CUTS_PER_PART)).await?;
            // Samples from one cut to the next, in thousandths.
            let thousandths = meta.samples.saturating_mul(1000);
            let weight = thousandths / (found.len() as u64 + 1);
            total = total.saturating_add(thousandths);
            cuts.extend(found.into_iter().map(|cut| (cut, weight)));
        }
        cuts.sort_by(|(a, _), (b, _)| compare(a, b));
        Ok(quantiles(cuts, total, parts))
    }
}

/// Of some series, each with the weight before it, those where another part's share of the total is reached.
fn quantiles(cuts: Vec<(Labels, u64)>, total: u64, parts: usize) -> Vec<Labels> {
    let mut bounds: Vec<Labels> = Vec::new();
    let mut before = 0u64;
    for (cut, weight) in cuts {
        before = before.saturating_add(weight);
        let share = u128::from(total) * (bounds.len() as u128 + 1);
        let is_new = bounds.last().is_none_or(|last| compare(last, &cut).is_lt());
        if bounds.len() + 1 < parts && is_new && u128::from(before) * parts as u128 >= share {
            bounds.push(cut);
        }
    }
    bounds
}

fn done(part: &MergePart) -> Option<&MergedPart> {
    match part {
        MergePart::Done(done) => Some(done),
        MergePart::Open | MergePart::Claimed { .. } => None,
    }
}

/// How to do a part of a merge. Inputs without a series of its range are left out.
fn recipe(parent: &Committed, merge: &PendingMerge, part: usize, block: &str) -> Recipe {
    let bound = |at: usize| merge.bounds.get(at).map(Labels::from);
    let (from, until) = (part.checked_sub(1).and_then(bound), bound(part));
    let meets = |meta: &&BlockMeta| {
        meta.series_range.as_ref().is_none_or(|range| {
            from.as_ref().is_none_or(|from| compare(from, &Labels::from(&range.last)).is_le())
                && until.as_ref().is_none_or(|until| compare(&Labels::from(&range.first), until).is_lt())
        })
    };
    let inputs = live(&parent.manifest, &merge.inputs);
    Recipe {
        id: block.to_owned(),
        level: merge.level,
        inputs: inputs.into_iter().filter(meets).cloned().collect(),
        tombstones: merge.tombstones.clone(),
        from,
        until,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(number: u32) -> Labels {
        Labels::from_pairs([("__name__", format!("m{number:05}"))])
    }

    proptest! {
        #[test]
        fn bounds_strictly_ascend_and_make_no_more_parts_than_asked_for(
            mut cuts in proptest::collection::vec((0u32..50, 0u64..100), 0..60), parts in 1usize..9,
        ) {
            cuts.sort_unstable();
            let total = cuts.iter().map(|(_, weight)| weight).sum();
            let cuts = cuts.into_iter().map(|(number, weight)| (labels(number), weight)).collect();
            let bounds = quantiles(cuts, total, parts);
            prop_assert!(bounds.len() < parts);
            prop_assert!(bounds.is_sorted_by(|a, b| compare(a, b).is_lt()));
        }
    }

    #[test]
    fn parts_of_equally_heavy_cuts_are_equal() {
        let cuts = (1..100).map(|number| (labels(number), 10)).collect();
        let bounds = quantiles(cuts, 1_000, 4);
        assert_eq!(bounds, [labels(25), labels(50), labels(75)]);
    }
}
