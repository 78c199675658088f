//! Goal: no loss, no doubling, no garbage, whatever single effect or pair of effects fails in whatever way (S1-S3, S9,
//! L5). Method: a fixed piece of work; each of its effects in turn is refused, done without acknowledgement, done
//! late, or the last thing before or after a crash; every task is delivered again until it succeeds.

use std::collections::BTreeSet;

use platform::{Deadline, Retry};

use super::model::{Given, ask, expected, scrape, settings};
use super::world::{Fate, World};
use crate::keys::{DAY_MS, HOUR_MS};
use crate::{Appended, Settings, Shard, Store, TsdbError};

const START: i64 = 20_000 * DAY_MS;
const FOREVER: Deadline = Deadline(i64::MAX);
const FATES: [Fate; 6] =
    [Fate::Refuse, Fate::LoseAck, Fate::Late(1), Fate::Late(30), Fate::CrashBefore, Fate::CrashAfter];

fn tight() -> Settings {
    Settings {
        inline_bytes_max: 0,
        delete_consumed_rows: true,
        orphan_age_ms: 0,
        query_grace_ms: 0,
        late_blocks_max: 1,
        wal_expiry_ms: 6 * HOUR_MS,
        ..settings()
    }
}

/// The segments of the piece of work: series come and go, one sample is hours late.
fn work() -> Vec<Given> {
    let mut all: Vec<Given> = Vec::new();
    for round in 0..3i64 {
        let tick = START + round * 30 * 60_000;
        let mut a = scrape(1, tick, &[("a", round as f64), ("b", 1.0)]);
        if round == 1 {
            a.samples.pop();
        }
        let mut c = scrape(2, tick, &[("c", 1.0)]);
        c.samples[0].timestamp = (round == 2).then_some(START - HOUR_MS);
        all.push(Given { tick, shard: 0, scrapes: vec![a] });
        all.push(Given {
            tick: tick + 15_000,
            shard: 0,
            scrapes: vec![scrape(1, tick + 15_000, &[("a", 2.0)])],
        });
        all.push(Given { tick, shard: 1, scrapes: vec![c] });
    }
    all.sort_by_key(|given| given.tick);
    all
}

/// Delivers a task until it succeeds; each delivery finds a new process.
fn deliver<T>(world: &World, mut attempt: impl FnMut(&Store) -> Option<Result<T, TsdbError>>) -> T {
    for _ in 0..10 {
        match attempt(&Store::new(world.ports(), tight())) {
            Some(Ok(done)) => return done,
            Some(Err(error)) => assert_ne!(error.retry(), Retry::Never, "{error}"),
            None => {}
        }
    }
    panic!("it never succeeds");
}

/// Does the work with faults at some effects; gives the number of effects that it took.
fn run(fates: &[(u64, Fate)]) -> u64 {
    let world = World::new(START);
    world.state().fates.extend(fates.iter().copied());
    let all = work();
    for given in &all {
        let now = world.state().now.max(given.tick);
        world.state().now = now;
        let shard = || Shard::scrape(given.shard);
        let done = deliver(&world, |store| world.run(store.append(given.tick, shard(), &given.scrapes)).ok());
        assert!(matches!(done, Appended::Written(_) | Appended::AlreadyThere), "{done:?}");
    }
    let wanted = expected(&all, 600_000);
    let audit = |world: &World, when: &str| {
        let fresh = Store::new(world.ports(), tight());
        let faults = std::mem::take(&mut world.state().fates);
        let effects = world.state().effects;
        assert_eq!(ask(world, &fresh, i64::MIN, i64::MAX), wanted, "{when}, {fates:?}\n{}", log(world));
        world.state().effects = effects;
        world.state().fates = faults;
    };
    audit(&world, "appended");
    for hours in [2, 1, 30] {
        world.state().now += hours * HOUR_MS;
        deliver(&world, |store| world.run(store.compact(i64::MAX, FOREVER)).ok());
        audit(&world, "compacted");
        deliver(&world, |store| world.run(store.collect(i64::MAX, FOREVER)).ok());
        audit(&world, "collected");
    }
    let effects = world.state().effects;
    heal(&world);
    audit(&world, "healed");
    effects
}

/// Faults stop; everything late lands; then the compactor and the collector run, and nothing is left over.
fn heal(world: &World) {
    world.settle();
    for _ in 0..2 {
        world.state().now += 2 * DAY_MS;
        let store = Store::new(world.ports(), tight());
        world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
        world.run(store.collect(i64::MAX, FOREVER)).unwrap().unwrap();
    }
    let store = Store::new(world.ports(), tight());
    let committed = world.run(store.load()).unwrap().unwrap();
    let manifest = &committed.manifest;
    let block_files = manifest
        .blocks
        .iter()
        .flat_map(|block| block.files.iter().map(|file| crate::block::object_key(&block.id, &file.name)));
    let live: BTreeSet<String> = block_files.chain(committed.head.manifest.clone()).collect();
    let found: BTreeSet<String> = world.state().objects.keys().cloned().collect();
    assert_eq!(found, live, "no garbage\n{}", log(world));
}

fn log(world: &World) -> String {
    world.state().log.join("\n")
}

#[test]
fn any_single_fault_at_any_effect_loses_doubles_and_leaves_nothing() {
    let effects = run(&[]);
    println!("{effects} effects");
    assert!(effects > 60, "{effects}");
    for effect in 1..=effects {
        for fate in FATES {
            run(&[(effect, fate)]);
        }
    }
}

#[test]
fn pairs_of_faults_lose_double_and_leave_nothing() {
    let effects = run(&[]);
    // All pairs are too many for every run of the tests: each effect with each fate, and another one near or far.
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut draw = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    for first in 1..=effects {
        for fate in FATES {
            let second = if draw(2) == 0 { first + 1 + draw(8) } else { 1 + draw(effects) };
            run(&[(first, fate), (second, FATES[draw(6) as usize])]);
        }
    }
}
