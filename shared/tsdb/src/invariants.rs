//! What every manifest must satisfy; checked before each commit (P14). A violation halts the scope.

use std::collections::BTreeSet;

use model::Labels;
use wire::{BlockMeta, Manifest, MergePart, PendingMerge, SeriesRange};

use crate::block::compare;
use crate::error::TsdbError;
use crate::planner::window_of;

/// Halts on what must never be committed: an inverted or repeated block, blocks above level 1 that share both time and
/// series (S8), a merge whose inputs are gone or whose parts do not fit together.
pub(crate) fn check_manifest(manifest: &Manifest) -> Result<(), TsdbError> {
    let mut ids: BTreeSet<&str> = manifest.retired.iter().map(|retired| retired.id.as_str()).collect();
    let mut merged: Vec<&BlockMeta> = Vec::new();
    for block in &manifest.blocks {
        check_block(block)?;
        once(&mut ids, &block.id)?;
        if block.level >= 2 {
            merged.push(block);
        }
    }
    check_overlaps(merged)?;
    check_merges(manifest, &mut ids)?;
    check_tombstones(manifest)
}

/// The ids of the blocks that parts of a merge have written or are to write.
pub(crate) fn part_blocks(merge: &PendingMerge) -> impl Iterator<Item = &str> {
    merge.parts.iter().filter_map(|part| match part {
        MergePart::Open => None,
        MergePart::Claimed { block, .. } => Some(block.as_str()),
        MergePart::Done(done) => done.block.as_ref().map(|block| block.id.as_str()),
    })
}

fn halt<T>(invariant: &'static str, reason: String) -> Result<T, TsdbError> {
    Err(TsdbError::Halt { invariant, reason })
}

fn once<'a>(ids: &mut BTreeSet<&'a str>, id: &'a str) -> Result<(), TsdbError> {
    if ids.insert(id) { Ok(()) } else { halt("S6", format!("block {id} is in the manifest twice")) }
}

fn check_block(block: &BlockMeta) -> Result<(), TsdbError> {
    if block.min_time >= block.max_time {
        return halt("S7", format!("block {} ends before it begins", block.id));
    }
    if block.level >= 2
        && window_of(block.level, block.min_time) != window_of(block.level, block.max_time - 1)
    {
        return halt("S8", format!("block {} does not fit a window of level {}", block.id, block.level));
    }
    Ok(())
}

/// S8: what shares an instant is of one level, so of one window, and shares no series.
fn check_overlaps(mut merged: Vec<&BlockMeta>) -> Result<(), TsdbError> {
    merged.sort_by_key(|block| block.min_time);
    for (at, a) in merged.iter().enumerate() {
        let later = merged.get(at + 1..).unwrap_or_default();
        for b in later.iter().take_while(|b| b.min_time < a.max_time) {
            if a.level != b.level || share_series(a, b) {
                return halt("S8", format!("blocks {} and {} overlap", a.id, b.id));
            }
        }
    }
    Ok(())
}

fn share_series(a: &BlockMeta, b: &BlockMeta) -> bool {
    let (Some(a), Some(b)) = (&a.series_range, &b.series_range) else { return true };
    let precedes =
        |a: &SeriesRange, b: &SeriesRange| compare(&Labels::from(&a.last), &Labels::from(&b.first)).is_lt();
    !precedes(a, b) && !precedes(b, a)
}

/// Inputs are live and are no other merge's; parts cover all series, each once, and stay within their bounds (P16).
fn check_merges<'a>(manifest: &'a Manifest, ids: &mut BTreeSet<&'a str>) -> Result<(), TsdbError> {
    let live: BTreeSet<&str> = manifest.blocks.iter().map(|block| block.id.as_str()).collect();
    let mut taken = BTreeSet::new();
    for merge in &manifest.merges {
        for input in &merge.inputs {
            if !live.contains(input.as_str()) || !taken.insert(input) {
                return halt("S7", format!("merge {} cannot take block {input}", merge.id));
            }
        }
        let bounds: Vec<Labels> = merge.bounds.iter().map(Labels::from).collect();
        if merge.inputs.is_empty()
            || merge.parts.len() != bounds.len() + 1
            || !bounds.is_sorted_by(|a, b| compare(a, b).is_lt())
        {
            return halt("S7", format!("the parts of merge {} do not fit together", merge.id));
        }
        for id in part_blocks(merge) {
            once(ids, id)?;
        }
        for (at, part) in merge.parts.iter().enumerate() {
            if let MergePart::Done(done) = part
                && let Some(block) = &done.block
            {
                check_block(block)?;
                let from = at.checked_sub(1).and_then(|before| bounds.get(before));
                if block.level != merge.level || !within(block, from, bounds.get(at)) {
                    return halt("S8", format!("block {} is not part {at} of merge {}", block.id, merge.id));
                }
            }
        }
    }
    Ok(())
}

fn within(block: &BlockMeta, from: Option<&Labels>, until: Option<&Labels>) -> bool {
    block.series_range.as_ref().is_some_and(|range| {
        from.is_none_or(|from| compare(from, &Labels::from(&range.first)).is_le())
            && until.is_none_or(|until| compare(&Labels::from(&range.last), until).is_lt())
    })
}

fn check_tombstones(manifest: &Manifest) -> Result<(), TsdbError> {
    let mut ids = BTreeSet::new();
    match manifest.tombstones.iter().find(|tombstone| !ids.insert(&tombstone.id)) {
        Some(twice) => halt("S6", format!("tombstone {} is in the manifest twice", twice.id)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use wire::{MergedPart, WireLabels};

    use super::*;

    fn block(id: &str, level: u32, min_time: i64, max_time: i64) -> BlockMeta {
        BlockMeta {
            id: id.to_owned(),
            level,
            min_time,
            max_time,
            samples: 1,
            series: 1,
            ..BlockMeta::default()
        }
    }

    fn name(name: &str) -> WireLabels {
        WireLabels(vec![("__name__".to_owned(), name.to_owned())])
    }

    fn of(series: (&str, &str), block: BlockMeta) -> BlockMeta {
        BlockMeta { series_range: Some(SeriesRange { first: name(series.0), last: name(series.1) }), ..block }
    }

    fn invariant_of(manifest: &Manifest) -> Option<&'static str> {
        match check_manifest(manifest) {
            Err(TsdbError::Halt { invariant, .. }) => Some(invariant),
            _ => None,
        }
    }

    fn invariant(blocks: Vec<BlockMeta>) -> Option<&'static str> {
        invariant_of(&Manifest { v: 1, blocks, ..Manifest::default() })
    }

    #[test]
    fn overlapping_merged_blocks_halt_the_scope() {
        assert_eq!(invariant(vec![block("a", 2, 0, 10), block("b", 2, 9, 20)]), Some("S8"));
        assert_eq!(invariant(vec![block("a", 3, 0, 10), block("b", 2, 5, 6)]), Some("S8"));
        assert_eq!(invariant(vec![block("a", 2, 0, 10), block("b", 2, 10, 20)]), None);
        assert_eq!(invariant(vec![block("a", 1, 0, 10), block("b", 2, 5, 20)]), None);
    }

    #[test]
    fn merged_blocks_may_share_a_window_where_they_share_no_series() {
        let two = |a, b| invariant(vec![of(a, block("a", 2, 0, 10)), of(b, block("b", 2, 5, 20))]);
        assert_eq!(two(("a", "f"), ("g", "z")), None);
        assert_eq!(two(("g", "z"), ("a", "f")), None);
        assert_eq!(two(("a", "g"), ("g", "z")), Some("S8"));
        assert_eq!(two(("a", "z"), ("g", "h")), Some("S8"));
        let levels = vec![of(("a", "b"), block("a", 3, 0, 10)), of(("c", "d"), block("b", 2, 5, 20))];
        assert_eq!(invariant(levels), Some("S8"), "levels do not mix within a window");
        // The third overlaps the first, not its neighbour.
        let three = vec![
            of(("a", "f"), block("a", 2, 0, 100)),
            of(("g", "h"), block("b", 2, 1, 5)),
            of(("f", "f"), block("c", 2, 50, 60)),
        ];
        assert_eq!(invariant(three), Some("S8"));
    }

    #[test]
    fn malformed_blocks_halt_the_scope() {
        assert_eq!(invariant(vec![block("a", 1, 5, 5)]), Some("S7"));
        assert_eq!(invariant(vec![block("a", 1, 0, 5), block("a", 1, 0, 5)]), Some("S6"));
        assert_eq!(invariant(vec![block("a", 2, 7_199_999, 7_200_001)]), Some("S8"));
    }

    #[test]
    fn merges_whose_parts_do_not_fit_halt_the_scope() {
        let done = |block| MergePart::Done(Box::new(MergedPart { block, ..MergedPart::default() }));
        let claimed = |block: &str| MergePart::Claimed { block: block.to_owned(), at: 0 };
        let with = |inputs: &[&str], bounds: &[&str], parts: Vec<MergePart>| {
            let merge = PendingMerge {
                id: "m".to_owned(),
                level: 2,
                inputs: inputs.iter().map(|id| (*id).to_owned()).collect(),
                bounds: bounds.iter().map(|bound| name(bound)).collect(),
                parts,
                ..PendingMerge::default()
            };
            let blocks = vec![block("a", 1, 0, 10), block("b", 1, 0, 10)];
            invariant_of(&Manifest { v: 1, blocks, merges: vec![merge], ..Manifest::default() })
        };
        let part = |series, id: &str| done(Some(of(series, block(id, 2, 0, 10))));
        assert_eq!(with(&["a", "b"], &["k"], vec![MergePart::Open, claimed("c")]), None);
        assert_eq!(with(&["a", "b"], &["k"], vec![part(("a", "j"), "c"), part(("k", "z"), "d")]), None);
        assert_eq!(with(&["a", "gone"], &[], vec![MergePart::Open]), Some("S7"));
        assert_eq!(with(&[], &[], vec![MergePart::Open]), Some("S7"));
        assert_eq!(with(&["a", "a"], &[], vec![MergePart::Open]), Some("S7"));
        assert_eq!(with(&["a"], &["k"], vec![MergePart::Open]), Some("S7"));
        assert_eq!(
            with(&["a"], &["k", "k"], vec![MergePart::Open, MergePart::Open, MergePart::Open]),
            Some("S7")
        );
        assert_eq!(with(&["a"], &["k"], vec![claimed("c"), claimed("c")]), Some("S6"));
        assert_eq!(with(&["a"], &["k"], vec![claimed("b"), MergePart::Open]), Some("S6"));
        assert_eq!(with(&["a"], &["k"], vec![part(("a", "k"), "c"), MergePart::Open]), Some("S8"));
        assert_eq!(with(&["a"], &["k"], vec![MergePart::Open, part(("j", "z"), "c")]), Some("S8"));
    }
}
