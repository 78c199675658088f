//! Goal: plans are safe and end. Method: arbitrary sets of blocks that a store could have, planned and carried out until
//! nothing is due.

use proptest::prelude::*;
use wire::{BlockFile, MergedPart, SeriesRange, Tombstone, TombstoneBlock, WireLabels};

use super::*;
use crate::invariants::check_manifest;

const NOW: i64 = 100 * DAY_MS;

fn block(number: usize, level: u32, min_time: i64, len: i64) -> BlockMeta {
    BlockMeta {
        id: format!("default/{number:026}"),
        level,
        min_time,
        max_time: min_time + len,
        samples: 1,
        series: 1,
        set_hash: String::new(),
        files: vec![BlockFile { name: "x".to_owned(), len: 10, checksum: String::new() }],
        parents: vec![],
        series_range: None,
    }
}

fn manifest(blocks: Vec<BlockMeta>) -> Manifest {
    Manifest { v: 1, blocks, ..Manifest::default() }
}

fn settings() -> Settings {
    Settings { retention_ms: None, ..Settings::default() }
}

/// Blocks of level 1 within the last three days, each within a window of 2 h.
fn level_1() -> impl Strategy<Value = Vec<BlockMeta>> {
    let place = (0i64..36, 0i64..7_000_000, 1i64..200_000);
    proptest::collection::vec(place, 0..40).prop_map(|places| {
        let blocks = places.into_iter().enumerate().map(|(number, (window, offset, len))| {
            block(number, 1, NOW - 3 * DAY_MS + window * 2 * HOUR_MS + offset, len)
        });
        blocks.collect()
    })
}

/// What a job makes of a manifest.
fn carry_out(manifest: &mut Manifest, job: &Job, number: &mut usize) {
    match job {
        Job::Drop { blocks } => {
            manifest.blocks.retain(|block| !blocks.contains(&block.id));
            manifest.merges.retain(|merge| !merge.inputs.iter().any(|input| blocks.contains(input)));
        }
        Job::Merge { level, blocks } => {
            let merged = merged(manifest, *level, blocks, number);
            replace(manifest, blocks, vec![merged]);
        }
        Job::Split { level, blocks, parts } => manifest.merges.push(PendingMerge {
            id: format!("merge-{number}"),
            level: *level,
            inputs: blocks.clone(),
            bounds: (1..*parts).map(series).collect(),
            parts: vec![MergePart::Open; *parts],
            ..PendingMerge::default()
        }),
        Job::Part { merge, part } => {
            let at = manifest.merges.iter().position(|pending| pending.id == *merge).unwrap();
            let pending = manifest.merges[at].clone();
            let mut block = merged(manifest, pending.level, &pending.inputs, number);
            block.series_range = Some(SeriesRange { first: series(*part), last: series(*part) });
            let done = MergedPart { block: Some(block), ..MergedPart::default() };
            manifest.merges[at].parts[*part] = MergePart::Done(Box::new(done));
            let outputs: Vec<BlockMeta> = manifest.merges[at]
                .parts
                .iter()
                .filter_map(|part| match part {
                    MergePart::Done(done) => done.block.clone(),
                    _ => None,
                })
                .collect();
            if outputs.len() == pending.parts.len() {
                manifest.merges.remove(at);
                replace(manifest, &pending.inputs, outputs);
            }
        }
    }
    *number += 1;
    check_manifest(manifest).unwrap();
}

fn series(number: usize) -> WireLabels {
    WireLabels(vec![("__name__".to_owned(), format!("m{number:05}"))])
}

fn merged(manifest: &Manifest, level: u32, blocks: &[String], number: &mut usize) -> BlockMeta {
    let taken: Vec<&BlockMeta> = manifest.blocks.iter().filter(|block| blocks.contains(&block.id)).collect();
    let min_time = taken.iter().map(|block| block.min_time).min().unwrap();
    let max_time = taken.iter().map(|block| block.max_time).max().unwrap();
    *number += 1;
    BlockMeta {
        samples: taken.iter().map(|block| block.samples).sum(),
        series: taken.iter().map(|block| block.series).max().unwrap(),
        ..block(*number, level, min_time, max_time - min_time)
    }
}

fn replace(manifest: &mut Manifest, inputs: &[String], outputs: Vec<BlockMeta>) {
    let at = manifest.blocks.iter().position(|block| inputs.contains(&block.id)).unwrap();
    manifest.blocks.retain(|block| !inputs.contains(&block.id));
    manifest.blocks.splice(at..at, outputs);
}

/// The blocks that a job takes.
fn taken(manifest: &Manifest, job: &Job) -> Vec<String> {
    match job {
        Job::Drop { blocks } | Job::Merge { blocks, .. } | Job::Split { blocks, .. } => blocks.clone(),
        Job::Part { merge, .. } => {
            manifest.merges.iter().find(|pending| pending.id == *merge).unwrap().inputs.clone()
        }
    }
}

fn check_safe(manifest: &Manifest, jobs: &[Job]) {
    let mut users: BTreeMap<String, Vec<&Job>> = BTreeMap::new();
    for job in jobs {
        for id in taken(manifest, job) {
            assert!(manifest.blocks.iter().any(|block| block.id == id), "it exists");
            users.entry(id).or_default().push(job);
        }
        if let Job::Merge { level, blocks } | Job::Split { level, blocks, .. } = job {
            check_merge(manifest, *level, blocks);
        }
    }
    for (id, jobs) in users {
        let parts = |job: &&Job| matches!(job, Job::Part { .. });
        assert!(jobs.len() == 1 || jobs.iter().all(parts), "two jobs take {id}: {jobs:?}");
        assert!(jobs.windows(2).all(|pair| pair[0] != pair[1]), "a part twice");
    }
}

fn check_merge(manifest: &Manifest, level: u32, blocks: &[String]) {
    let positions: Vec<usize> =
        blocks.iter().map(|id| manifest.blocks.iter().position(|block| block.id == *id).unwrap()).collect();
    assert!(positions.is_sorted(), "in the manifest's order");
    let below = |at: &usize| manifest.blocks[*at].level < level;
    assert!(blocks.len() >= 2 && positions.iter().any(below), "it is of use");
    let window = |at: usize| window_of(2, manifest.blocks[at].min_time);
    let day = window_of(level, manifest.blocks[positions[0]].min_time);
    for left in (0..manifest.blocks.len()).filter(|at| !positions.contains(at)) {
        let block = &manifest.blocks[left];
        if window_of(level, block.min_time) == day {
            assert_eq!(block.level, 1, "what stays would overlap");
            let overtaken = |at: &usize| *at > left && window(*at) == window(left);
            assert!(!positions.iter().any(overtaken), "precedence is kept");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn plans_are_safe_never_overlap_and_end(
        first in level_1(), mut meanwhile in level_1(), late in level_1(), fan_in in 2usize..50, later in 0i64..5,
        merge_samples_max in 1u64..40, part_samples_max in 8u64..60, picks in proptest::collection::vec(0usize..9, 1..20),
    ) {
        let settings = Settings { merge_inputs_max: fan_in, merge_samples_max, part_samples_max, ..settings() };
        let mut number = 1_000;
        let mut manifest = manifest(first);
        for (now, late) in [(NOW - DAY_MS, late), (NOW + later * DAY_MS, vec![])] {
            for round in 0.. {
                let jobs = plan(&manifest, now, now, &settings);
                prop_assert_eq!(&jobs, &plan(&manifest, now, now, &settings), "S10");
                check_safe(&manifest, &jobs);
                // Compactors at work side by side need not take the first.
                let Some(job) = jobs.get(picks[round % picks.len()] % jobs.len().max(1)) else { break };
                prop_assert!(round < 5_000, "it ends");
                carry_out(&mut manifest, job, &mut number);
                if let Some(mut block) = meanwhile.pop() {
                    number += 1;
                    block.id = format!("default/{number:026}");
                    manifest.blocks.push(block);
                }
            }
            prop_assert!(manifest.merges.is_empty(), "what was begun is done");
            manifest.blocks.extend(late.into_iter().map(|mut block| {
                number += 1;
                block.id = format!("default/{number:026}");
                block
            }));
        }
        // All is over: of each day there is one block, or those of one split merge, which are of the highest level.
        let mut days: BTreeMap<i64, Vec<&BlockMeta>> = BTreeMap::new();
        for block in &manifest.blocks {
            days.entry(window_of(3, block.min_time)).or_default().push(block);
        }
        if later > 1 {
            for blocks in days.values() {
                let highest = blocks.iter().all(|block| block.level == LEVEL_MAX);
                prop_assert!(blocks.len() == 1 || highest, "{:?}", manifest.blocks);
            }
        }
    }
}

#[test]
fn a_window_is_merged_only_when_it_has_closed_and_been_consumed() {
    let start = NOW - DAY_MS;
    let blocks = manifest(vec![block(1, 1, start, 10), block(2, 1, start + 10, 10)]);
    let end = start + 2 * HOUR_MS;
    for (watermark, now, due) in [
        (end, end + 600_000, true),
        (end - 1, end + 600_000, false),
        (end, end + 599_999, false),
        (end + HOUR_MS, end + HOUR_MS, true),
    ] {
        let jobs = plan(&blocks, watermark, now, &settings());
        assert_eq!(!jobs.is_empty(), due, "{watermark} {now}");
    }
}

#[test]
fn late_blocks_wait_for_company_or_long_enough() {
    let start = NOW;
    let id = |number: usize| format!("default/{}", "0".repeat(26 - 1) + &number.to_string());
    let mut blocks = manifest(vec![block(1, 2, start, 10), block(2, 1, start + 5, 10)]);
    // An id whose time is now: as if it had just been written.
    let fresh = |now: i64| platform_id(now);
    blocks.blocks[1].id = fresh(NOW + 4 * HOUR_MS);
    let at = |now: i64| plan(&blocks, now, now, &settings());
    assert!(at(NOW + 5 * HOUR_MS - 1).is_empty());
    let due = Job::Merge { level: 2, blocks: vec![id(1), fresh(NOW + 4 * HOUR_MS)] };
    assert_eq!(at(NOW + 5 * HOUR_MS), [due]);
    let mut many = blocks.clone();
    for _ in 0..7 {
        let next = block(0, 1, start, 10);
        many.blocks.push(BlockMeta { id: fresh(NOW + 4 * HOUR_MS) + "x", ..next });
    }
    assert_eq!(plan(&many, NOW + 4 * HOUR_MS, NOW + 4 * HOUR_MS, &settings()).len(), 1);
}

/// A block id whose ULID carries `now`.
fn platform_id(now: i64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let time: String = (0..10).rev().map(|at| char::from(DIGITS[(now >> (5 * at) & 31) as usize])).collect();
    format!("default/{time}0000000000000000")
}

#[test]
fn retention_drops_the_oldest_first_and_only_whole_blocks() {
    let blocks = manifest(vec![
        block(1, 1, NOW - 10, 5),
        block(2, 3, NOW - 3 * DAY_MS, 10),
        block(3, 2, NOW - 2 * DAY_MS, 10),
    ]);
    let with =
        |retention_ms, retention_bytes| Settings { retention_ms, retention_bytes, ..Settings::default() };
    let dropped = |settings: &Settings| match plan(&blocks, 0, NOW, settings).first() {
        Some(Job::Drop { blocks }) => blocks.len(),
        _ => 0,
    };
    assert_eq!(dropped(&with(None, None)), 0);
    assert_eq!(dropped(&with(Some(3 * DAY_MS), None)), 0, "its last sample is young enough");
    assert_eq!(dropped(&with(Some(3 * DAY_MS - 10), None)), 1);
    assert_eq!(dropped(&with(None, Some(30))), 0);
    assert_eq!(dropped(&with(None, Some(29))), 1);
    assert_eq!(dropped(&with(None, Some(0))), 3);
    let Some(Job::Drop { blocks }) = plan(&blocks, 0, NOW, &with(None, Some(15))).into_iter().next() else {
        panic!("nothing dropped");
    };
    assert_eq!(blocks, [format!("default/{:026}", 2), format!("default/{:026}", 3)]);
}

#[test]
fn a_large_merge_is_split_by_samples_and_by_series() {
    let sized = |samples, series| BlockMeta { samples, series, ..block(1, 1, NOW, 10) };
    let with = |first: BlockMeta, second: BlockMeta| {
        let second = BlockMeta { id: block(2, 1, NOW, 10).id, ..second };
        let settings =
            Settings { merge_samples_max: 100, part_samples_max: 200, part_series_max: 50, ..settings() };
        match plan(&manifest(vec![first, second]), NOW + DAY_MS, NOW + DAY_MS, &settings).first() {
            Some(Job::Merge { .. }) => 0,
            Some(Job::Split { parts, .. }) => *parts,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(with(sized(50, 50), sized(50, 50)), 0, "they share their series");
    assert_eq!(with(sized(51, 50), sized(50, 50)), 1, "recorded, in one part");
    assert_eq!(with(sized(200, 50), sized(201, 50)), 3);
    assert_eq!(with(sized(1, 51), sized(1, 1)), 2);
}

#[test]
fn nothing_else_touches_a_window_while_its_merge_is_under_way() {
    let start = NOW - DAY_MS;
    let mut blocks: Vec<BlockMeta> = (0..6).map(|at| block(at, 1, start + at as i64, 10)).collect();
    blocks.push(block(9, 1, start + 3 * HOUR_MS, 10));
    blocks.push(block(10, 1, start + 3 * HOUR_MS, 10));
    let mut manifest = manifest(blocks);
    manifest.merges.push(PendingMerge {
        id: "m".to_owned(),
        level: 2,
        inputs: vec![manifest.blocks[0].id.clone(), manifest.blocks[1].id.clone()],
        bounds: vec![series(1), series(2)],
        parts: vec![
            MergePart::Open,
            MergePart::Claimed { block: "default/x".to_owned(), at: NOW },
            MergePart::Done(Box::default()),
        ],
        ..PendingMerge::default()
    });
    let part = |part| Job::Part { merge: "m".to_owned(), part };
    let other =
        Job::Merge { level: 2, blocks: vec![manifest.blocks[6].id.clone(), manifest.blocks[7].id.clone()] };
    let at = |now| plan(&manifest, now, now, &settings());
    assert_eq!(at(NOW + DAY_MS - 2), [other.clone(), part(0), part(1)], "the claimant is dead");
    assert_eq!(at(NOW + 1), [other, part(0)]);
    // Retention gives the merge up.
    let settings = Settings { retention_ms: Some(DAY_MS - 20), ..settings() };
    let jobs = plan(&manifest, NOW, NOW, &settings);
    assert!(matches!(&jobs[..], [Job::Drop { blocks }, Job::Merge { .. }] if blocks.len() == 6), "{jobs:?}");
}

#[test]
fn windows_of_a_day_wait_while_the_day_is_merged() {
    let start = NOW - DAY_MS;
    let mut manifest =
        manifest((0..4).map(|at| block(at, 2, start + 4 * HOUR_MS * at as i64, HOUR_MS)).collect());
    let settings = Settings { merge_samples_max: 0, ..settings() };
    let now = NOW + HOUR_MS;
    let [Job::Split { level: 3, blocks, .. }] = &plan(&manifest, now, now, &settings)[..] else {
        panic!("the day is due");
    };
    manifest.merges.push(PendingMerge {
        id: "m".to_owned(),
        level: 3,
        inputs: blocks.clone(),
        parts: vec![MergePart::Open],
        ..PendingMerge::default()
    });
    // Late samples of a window that had none: a block of level 2 within the day would overlap what comes of the merge.
    let late = start + 2 * HOUR_MS;
    manifest.blocks.extend([block(10, 1, late, 10), block(11, 1, late + 10, 10)]);
    let part = Job::Part { merge: "m".to_owned(), part: 0 };
    assert_eq!(plan(&manifest, now, now, &settings), std::slice::from_ref(&part));
    let mut number = 100;
    carry_out(&mut manifest, &part, &mut number);
    let jobs = plan(&manifest, now, now, &settings);
    assert!(matches!(&jobs[..], [Job::Split { level: 3, blocks, .. }] if blocks.len() == 3), "{jobs:?}");
}

#[test]
fn a_block_is_written_anew_for_many_of_its_series_or_when_asked_to() {
    let burdened = BlockMeta { series: 100, ..block(1, 3, NOW, 10) };
    let with = |series, clean, now| {
        let tombstone = Tombstone {
            id: "t".to_owned(),
            matchers: vec![],
            min_time: NOW,
            max_time: NOW,
            created_at: NOW,
            until_tick: NOW,
            blocks: vec![TombstoneBlock { id: burdened.id.clone(), series }],
            clean,
        };
        let manifest = Manifest { tombstones: vec![tombstone], ..manifest(vec![burdened.clone()]) };
        plan(&manifest, now, now, &settings())
    };
    let anew = [Job::Merge { level: 3, blocks: vec![burdened.id.clone()] }];
    assert_eq!(with(5, false, NOW + 3 * DAY_MS), []);
    assert_eq!(with(6, false, NOW + 3 * DAY_MS), anew);
    assert_eq!(with(6, false, NOW + HOUR_MS), [], "its day is not over");
    assert_eq!(with(1, true, NOW), anew);
}
