//! Goal: merges in parts are as safe as whole ones, and nothing that was done is done again (P7, P16, S1-S3, S5, S7-S9).
//! Method: a window that is merged in parts by twins, a collector and a deletion that overtake each other at every effect;
//! every single fault at every effect of a part.

use std::collections::BTreeSet;
use std::sync::Arc;

use platform::Deadline;
use platform_sim::{Fate, Random, ScriptedFaults};
use wire::{CompactWork, MergePart};

use super::faults::{FATES, deliver_with};
use super::model::{Contents, Given, ask, expected, give, labels, scrape, settings};
use super::world::World;
use crate::keys::{DAY_MS, HOUR_MS};
use crate::{Settings, Store};

const START: i64 = 20_000 * DAY_MS;
const FOREVER: Deadline = Deadline(i64::MAX);
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Every merge is split, into three parts where there are so many series.
fn split() -> Settings {
    Settings {
        merge_samples_max: 0,
        part_series_max: 2,
        orphan_age_ms: 0,
        query_grace_ms: 0,
        delete_consumed_rows: true,
        ..settings()
    }
}

/// A window of 2 h in four blocks, due to be merged.
fn due() -> (World, Vec<Given>) {
    let world = World::new(START);
    let store = world.store(split());
    let mut all = vec![];
    for round in 0..4i64 {
        let tick = START + round * 20 * 60_000;
        world.set_now(tick);
        let samples: Vec<(&str, f64)> = NAMES.iter().map(|name| (*name, round as f64)).collect();
        // Not every series is in every block.
        let samples = &samples[usize::from(round == 2)..];
        all.push(Given { tick, shard: 0, scrapes: vec![scrape(1, tick, samples)] });
        give(&world, &store, all.last().unwrap());
        world.wait(10 * 60_000);
        world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
    }
    world.set_now(START + 2 * HOUR_MS + 600_000 + 120_000);
    world.run(store.compact_work(CompactWork::Segments, i64::MAX, FOREVER)).unwrap().unwrap();
    assert!(world.manifest().blocks.len() >= 4);
    (world, all)
}

fn check(world: &World, wanted: &Contents, when: &str) {
    assert_eq!(ask(world, &world.store(split()), i64::MIN, i64::MAX), *wanted, "{when}\n{}", world.log());
}

/// Nothing is left but what the head names.
fn check_garbage(world: &World) {
    world.wait(HOUR_MS);
    let collector = world.store(split());
    world.run(collector.collect(i64::MAX, FOREVER)).unwrap().unwrap();
    let manifest = world.manifest();
    let files = manifest
        .blocks
        .iter()
        .flat_map(|block| block.files.iter().map(|file| crate::block::object_key(&block.id, &file.name)));
    let live: BTreeSet<String> = files.collect();
    assert_eq!(world.keys("block/").into_iter().collect::<BTreeSet<_>>(), live, "no garbage");
}

#[test]
fn a_large_merge_is_done_in_parts_that_share_no_series() {
    let (world, all) = due();
    let store = world.store(split());
    let done = world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
    assert_eq!((done.split_jobs, done.part_jobs, done.merge_jobs), (1, 3, 0));
    let manifest = world.manifest();
    assert_eq!(manifest.blocks.iter().map(|block| block.level).collect::<Vec<_>>(), [2, 2, 2]);
    assert!(manifest.merges.is_empty() && manifest.blocks.iter().all(|block| block.series == 2));
    check(&world, &expected(&all, 600_000), "merged");
    check_garbage(&world);
    // What is done stays done.
    let done = world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
    assert_eq!((done.split_jobs, done.part_jobs), (0, 0));
}

#[test]
fn late_samples_are_merged_into_parts_and_into_the_day() {
    let (world, mut all) = due();
    let store = world.store(split());
    world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
    let now = world.now();
    let mut late = scrape(7, now, &[("bb", 5.0), ("a", 6.0)]);
    late.samples[0].timestamp = Some(START + 60_000);
    late.samples[1].timestamp = Some(START);
    all.push(Given { tick: now, shard: 3, scrapes: vec![late] });
    give(&world, &store, all.last().unwrap());
    for hours in [1, 2, 4, 30, 30] {
        world.wait(hours * HOUR_MS);
        world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
        check(&world, &expected(&all, 600_000), "late");
    }
    // Alone in its day, the window needs no larger block.
    let blocks = world.manifest().blocks;
    assert!(blocks.len() > 1 && blocks.iter().all(|block| block.level >= 2), "{blocks:?}");
    check_garbage(&world);
}

#[test]
fn a_part_survives_the_commits_of_others_and_fences() {
    let clean = {
        let (world, _) = due();
        let store = world.store(split());
        let before = world.effects();
        world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
        world.effects() - before
    };
    let mut lost = 0;
    for stop in 0..clean {
        let (world, all) = due();
        let (slow, collector) = (world.store(split()), world.store(split()));
        let first = async move { slow.compact(i64::MAX, FOREVER).await.unwrap() };
        let second = async move { collector.collect(i64::MAX, FOREVER).await.unwrap() };
        let (done, _) = world.interrupt(first, second, stop);
        assert_eq!(done.part_jobs, 3, "stopped at {stop}: each part was done once");
        lost += done.lost;
        check(&world, &expected(&all, 600_000), "collected in between");
        check_garbage(&world);
    }
    assert!(lost > 0, "splits and claims do lose");
}

#[test]
fn twins_share_the_parts() {
    let mut shared = 0;
    for stop in 0..60 {
        let (world, all) = due();
        let (store, twin) = (world.store(split()), world.store(split()));
        let first = async move { store.compact(i64::MAX, FOREVER).await.unwrap() };
        let second = async move { twin.compact(i64::MAX, FOREVER).await.unwrap() };
        let (first, second) = world.interrupt(first, second, stop);
        assert_eq!(first.split_jobs + second.split_jobs, 1);
        assert_eq!(first.part_jobs + second.part_jobs, 3, "stopped at {stop}");
        shared += u64::from(first.part_jobs > 0 && second.part_jobs > 0);
        assert_eq!(world.manifest().blocks.len(), 3);
        check(&world, &expected(&all, 600_000), "shared");
        check_garbage(&world);
    }
    assert!(shared > 10, "{shared}");
}

#[test]
fn the_part_of_a_dead_compactor_is_taken_over_and_its_ghost_fails() {
    let (world, all) = due();
    let lease = split().part_lease_ms;
    // Frozen in the middle of its first part for longer than anybody waits.
    let frozen = world.store(split());
    let pause = Fate::Slow(std::time::Duration::from_millis(2 * lease.unsigned_abs()));
    world.sim.set_faults(ScriptedFaults::new().of_actor("frozen").at(18, pause));
    let ghost = world.sim.spawn("frozen", async move { frozen.compact(i64::MAX, FOREVER).await.unwrap() });
    world.wait(60_000);
    let claimed = |world: &World| {
        let parts = world.manifest().merges.into_iter().flat_map(|merge| merge.parts);
        parts.filter(|part| matches!(part, MergePart::Claimed { .. })).count()
    };
    assert_eq!(claimed(&world), 1);
    let store = world.store(split());
    let others = world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
    assert_eq!((others.part_jobs, claimed(&world)), (2, 1), "the claim is respected");
    world.wait(lease);
    let takeover = world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
    assert_eq!(takeover.part_jobs, 1);
    assert!(world.manifest().merges.is_empty());
    let ghost = world.run(ghost).unwrap().unwrap();
    assert_eq!((ghost.part_jobs, ghost.lost), (0, 1), "{}", world.log());
    check(&world, &expected(&all, 600_000), "taken over");
    check_garbage(&world);
}

#[test]
fn retention_gives_a_merge_up() {
    let (world, _) = due();
    let store = world.store(split());
    world.sim.set_faults(ScriptedFaults::new().of_actor("task").at(18, Fate::CrashBefore));
    let task = world.sim.spawn("task", async move { store.compact(i64::MAX, FOREVER).await });
    assert!(world.run(task).unwrap().is_err());
    world.sim.heal();
    assert_eq!(world.manifest().merges.len(), 1);
    let short = world.store(Settings { retention_ms: Some(90 * 60_000), ..split() });
    let done = world.run(short.compact(i64::MAX, FOREVER)).unwrap().unwrap();
    assert!(done.drop_jobs == 1 && done.complete);
    assert!(world.manifest().merges.is_empty() && !world.manifest().blocks.is_empty());
    check_garbage(&world);
}

/// The merge with faults, tasks delivered until they succeed, and others delivered until all is done; gives its effects.
fn run(fates: &[(u64, Fate)]) -> u64 {
    let (world, all) = due();
    let plan = ScriptedFaults::new().of_actor("task");
    world.sim.set_faults(fates.iter().fold(plan, |plan, (effect, fate)| plan.at(*effect, *fate)));
    let before = world.effects();
    deliver_with(&world, &split(), |store: Arc<Store>| async move { store.compact(i64::MAX, FOREVER).await });
    let effects = world.effects() - before;
    let wanted = expected(&all, 600_000);
    check(&world, &wanted, &format!("{fates:?}"));
    deliver_with(&world, &split(), |store: Arc<Store>| async move { store.collect(i64::MAX, FOREVER).await });
    check(&world, &wanted, &format!("{fates:?}, collected"));
    world.sim.heal();
    // The claims of who crashed run out, and what is late lands.
    world.sim.run_until_idle();
    world.wait(split().part_lease_ms);
    let store = world.store(split());
    world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
    let manifest = world.manifest();
    assert_eq!((manifest.merges.len(), manifest.blocks.len()), (0, 3), "{fates:?}");
    check(&world, &wanted, &format!("{fates:?}, healed"));
    check_garbage(&world);
    effects
}

#[test]
fn any_single_fault_at_any_effect_of_parts_loses_doubles_and_leaves_nothing() {
    let effects = run(&[]);
    assert!(effects > 30, "{effects}");
    for effect in 0..effects {
        for fate in FATES {
            run(&[(effect, fate)]);
        }
    }
}

#[test]
fn pairs_of_faults_in_parts_lose_double_and_leave_nothing() {
    let effects = run(&[]);
    let mut random = Random::new(2);
    let mut draw = |bound: u64| random.below(bound);
    for first in 0..effects {
        let second = if draw(2) == 0 { first + 1 + draw(8) } else { draw(effects) };
        run(&[(first, FATES[draw(6) as usize]), (second, FATES[draw(6) as usize])]);
    }
}

#[test]
fn a_deletion_during_a_merge_passes_to_its_outputs() {
    for stop in 0..60 {
        let (world, all) = due();
        let (store, admin) = (world.store(split()), world.store(split()));
        let matchers = vec![vec![model::Matcher::equal("__name__", "c")]];
        let (min, max) = (START + 60_000, START + HOUR_MS);
        let first = async move { store.compact(i64::MAX, FOREVER).await.unwrap() };
        let second = async move { admin.delete_series(&matchers, min, max).await.unwrap() };
        let (_, deleted) = world.interrupt(first, second, stop);
        assert!(deleted.series > 0);
        let mut wanted = expected(&all, 600_000);
        let before = wanted.len();
        wanted.retain(|(series, at), _| *series != labels("c") || !(min..=max).contains(at));
        assert_eq!(before - wanted.len(), 3);
        check(&world, &wanted, "hidden");
        let store = world.store(split());
        world.run(store.clean_tombstones()).unwrap().unwrap();
        world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
        check(&world, &wanted, "cleaned");
        // The deletion's own instant is consumed.
        world.wait(HOUR_MS);
        world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
        let manifest = world.manifest();
        assert!(manifest.tombstones.is_empty(), "stopped at {stop}: {manifest:?}");
        assert_eq!(manifest.blocks.iter().map(|block| block.samples).sum::<u64>(), wanted.len() as u64);
        check_garbage(&world);
    }
}
