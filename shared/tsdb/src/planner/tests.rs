//! Goal: plans are safe and end. Method: arbitrary sets of blocks that a store could have, planned and carried out until
//! nothing is due.

use proptest::prelude::*;
use wire::BlockFile;

use super::*;

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
    proptest::collection::vec(place, 0..60).prop_map(|places| {
        let blocks = places.into_iter().enumerate().map(|(number, (window, offset, len))| {
            block(number, 1, NOW - 3 * DAY_MS + window * 2 * HOUR_MS + offset, len)
        });
        blocks.collect()
    })
}

/// What a job makes of a manifest.
fn carry_out(manifest: &mut Manifest, job: &Job, number: &mut usize) {
    match job {
        Job::Drop { blocks } => manifest.blocks.retain(|block| !blocks.contains(&block.id)),
        Job::Merge { level, blocks } => {
            let taken: Vec<&BlockMeta> =
                manifest.blocks.iter().filter(|block| blocks.contains(&block.id)).collect();
            let min_time = taken.iter().map(|block| block.min_time).min().unwrap();
            let max_time = taken.iter().map(|block| block.max_time).max().unwrap();
            *number += 1;
            let merged = block(*number, *level, min_time, max_time - min_time);
            let at = manifest.blocks.iter().position(|block| blocks.contains(&block.id)).unwrap();
            manifest.blocks[at] = merged;
            let merged = manifest.blocks[at].id.clone();
            manifest.blocks.retain(|block| block.id == merged || !blocks.contains(&block.id));
        }
    }
}

fn check_safe(manifest: &Manifest, jobs: &[Job]) {
    let mut taken = std::collections::BTreeSet::new();
    for job in jobs {
        let (Job::Drop { blocks } | Job::Merge { blocks, .. }) = job;
        for id in blocks {
            assert!(manifest.blocks.iter().any(|block| block.id == *id), "it exists");
            assert!(taken.insert(id.clone()), "no two jobs take {id}");
        }
        if let Job::Merge { level, blocks } = job {
            assert!(blocks.len() >= 2);
            let positions: Vec<usize> = blocks
                .iter()
                .map(|id| manifest.blocks.iter().position(|block| block.id == *id).unwrap())
                .collect();
            assert!(positions.is_sorted(), "in the manifest's order");
            let window = |at: usize| window_of(2, manifest.blocks[at].min_time);
            let day = window_of(*level, manifest.blocks[positions[0]].min_time);
            for left in (0..manifest.blocks.len()).filter(|at| !positions.contains(at)) {
                let block = &manifest.blocks[left];
                if window_of(*level, block.min_time) == day {
                    assert_eq!(block.level, 1, "what stays would overlap");
                    let overtaken = |at: &usize| *at > left && window(*at) == window(left);
                    assert!(!positions.iter().any(overtaken), "precedence is kept");
                }
            }
        }
    }
}

fn check_no_overlap(manifest: &Manifest) {
    let mut merged: Vec<_> = manifest.blocks.iter().filter(|block| block.level >= 2).collect();
    merged.sort_by_key(|block| block.min_time);
    assert!(merged.windows(2).all(|pair| pair[0].max_time <= pair[1].min_time), "S8");
}

proptest! {
    #[test]
    fn plans_are_safe_never_overlap_and_end(
        first in level_1(), late in level_1(), fan_in in 2usize..50, later in 0i64..5,
    ) {
        let settings = Settings { merge_inputs_max: fan_in, ..settings() };
        let mut number = 1_000;
        let mut manifest = manifest(first);
        for (now, late) in [(NOW - DAY_MS, late), (NOW + later * DAY_MS, vec![])] {
            for round in 0.. {
                let jobs = plan(&manifest, now, now, &settings);
                prop_assert_eq!(&jobs, &plan(&manifest, now, now, &settings), "S10");
                check_safe(&manifest, &jobs);
                let Some(job) = jobs.first() else { break };
                prop_assert!(round < 200, "it ends");
                carry_out(&mut manifest, job, &mut number);
                check_no_overlap(&manifest);
            }
            manifest.blocks.extend(late.into_iter().map(|mut block| {
                number += 1;
                block.id = format!("default/{number:026}");
                block
            }));
        }
        // All is over: at most one block a day.
        let mut days: Vec<i64> = manifest.blocks.iter().map(|block| window_of(3, block.min_time)).collect();
        days.sort_unstable();
        if later > 1 {
            prop_assert!(days.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", manifest.blocks);
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
