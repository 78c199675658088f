//! Goal: no loss, no doubling, no garbage, whatever single effect or pair of effects fails in whatever way (S1-S3, S9,
//! L5). Method: a fixed piece of work; each of its effects in turn is refused, done without acknowledgement, done
//! late, or the last thing before or after a crash; every task is delivered again until it succeeds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use platform::{Deadline, Retry};
use platform_sim::{Crashed, Fate, Random, ScriptedFaults};

use super::model::{Given, ask, expected, scrape, settings};
use super::world::World;
use crate::keys::{DAY_MS, HOUR_MS};
use crate::{Appended, Settings, Shard, Store, TsdbError};

const START: i64 = 20_000 * DAY_MS;
const FOREVER: Deadline = Deadline(i64::MAX);
pub(super) const FATES: [Fate; 6] = [
    Fate::Refuse,
    Fate::LoseAck,
    Fate::Late(Duration::from_millis(120)),
    Fate::Late(Duration::from_secs(3 * 3_600)),
    Fate::CrashBefore,
    Fate::CrashAfter,
];

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

/// Delivers a task until it succeeds; each delivery finds a new process. Only its effects are counted.
fn deliver<T, F>(world: &World, attempt: impl Fn(Arc<Store>) -> F) -> T
where
    T: Send + 'static,
    F: Future<Output = Result<T, TsdbError>> + Send + 'static,
{
    deliver_with(world, &tight(), attempt)
}

/// As [`deliver`], with some settings.
pub(super) fn deliver_with<T, F>(world: &World, settings: &Settings, attempt: impl Fn(Arc<Store>) -> F) -> T
where
    T: Send + 'static,
    F: Future<Output = Result<T, TsdbError>> + Send + 'static,
{
    let mut store = Arc::new(world.store(settings.clone()));
    deliver_to(world, &mut store, || Arc::new(world.store(settings.clone())), attempt)
}

/// Delivers a task until it succeeds, to a process that remembers, unless it crashed: then `restart` gives the next.
fn deliver_to<T, F>(
    world: &World,
    store: &mut Arc<Store>,
    restart: impl Fn() -> Arc<Store>,
    attempt: impl Fn(Arc<Store>) -> F,
) -> T
where
    T: Send + 'static,
    F: Future<Output = Result<T, TsdbError>> + Send + 'static,
{
    for _ in 0..10 {
        let task = world.sim.spawn("task", attempt(Arc::clone(store)));
        match world.run(task).unwrap() {
            Ok(Ok(done)) => return done,
            Ok(Err(error)) => assert_ne!(error.retry(), Retry::Never, "{error}"),
            Err(Crashed) => *store = restart(),
        }
    }
    panic!("it never succeeds");
}

/// Does the work with faults at some effects of tasks, counted from 0; gives the number of effects that it took.
fn run(fates: &[(u64, Fate)]) -> u64 {
    let world = World::new(START);
    let plan = ScriptedFaults::new().of_actor("task");
    world.sim.set_faults(fates.iter().fold(plan, |plan, (effect, fate)| plan.at(*effect, *fate)));
    let all = work();
    let mut writer = Arc::new(world.store(tight()));
    let mut deltas = 0;
    for given in &all {
        world.set_now(given.tick);
        let restart = || Arc::new(world.store(tight()));
        let done = deliver_to(&world, &mut writer, restart, |store| {
            let given = given.clone();
            async move { store.append(given.tick, Shard::scrape(given.shard), &given.scrapes).await }
        });
        match done {
            Appended::Written(summary) => deltas += summary.deltas,
            Appended::AlreadyThere => {}
            Appended::TooLate => panic!("{done:?}"),
        }
    }
    assert!(deltas == 3 || !fates.is_empty(), "{deltas}");
    let wanted = expected(&all, 600_000);
    let mut audits = 0;
    let mut audit = |when: &str| {
        let before = world.effects();
        let found = ask(&world, &world.store(tight()), i64::MIN, i64::MAX);
        assert_eq!(found, wanted, "{when}, {fates:?}\n{}", world.log());
        audits += world.effects() - before;
    };
    audit("appended");
    for hours in [2, 1, 30] {
        world.wait(hours * HOUR_MS);
        deliver(&world, |store| async move { store.compact(i64::MAX, FOREVER).await });
        audit("compacted");
        deliver(&world, |store| async move { store.collect(i64::MAX, FOREVER).await });
        audit("collected");
    }
    let effects = world.effects();
    heal(&world);
    let healed = world.effects();
    audit("healed");
    effects - (audits - (world.effects() - healed))
}

/// Faults stop; everything late lands; then the compactor and the collector run, and nothing is left over.
fn heal(world: &World) {
    world.sim.heal();
    world.sim.run_until_idle();
    let store = world.store(tight());
    for _ in 0..2 {
        world.wait(2 * DAY_MS);
        world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
        world.run(store.collect(i64::MAX, FOREVER)).unwrap().unwrap();
    }
    let manifest = world.manifest();
    let block_files = manifest
        .blocks
        .iter()
        .flat_map(|block| block.files.iter().map(|file| crate::block::object_key(&block.id, &file.name)));
    let live: BTreeSet<String> = block_files.chain(world.head().1.manifest).collect();
    let found: BTreeSet<String> = world.sim.object_keys().into_iter().collect();
    assert_eq!(found, live, "no garbage\n{}", world.log());
}

#[test]
fn any_single_fault_at_any_effect_loses_doubles_and_leaves_nothing() {
    let effects = run(&[]);
    assert!(effects > 60, "{effects}");
    for effect in 0..effects {
        for fate in FATES {
            run(&[(effect, fate)]);
        }
    }
}

#[test]
fn pairs_of_faults_lose_double_and_leave_nothing() {
    let effects = run(&[]);
    // All pairs are too many for every run of the tests: each effect with each fate, and another one near or far.
    let mut random = Random::new(1);
    let mut draw = |bound: u64| random.below(bound);
    for first in 0..effects {
        for fate in [FATES[draw(6) as usize], FATES[draw(6) as usize]] {
            let second = if draw(2) == 0 { first + 1 + draw(8) } else { draw(effects) };
            run(&[(first, fate), (second, FATES[draw(6) as usize])]);
        }
    }
}
