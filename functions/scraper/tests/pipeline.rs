//! Discovery, scraper and store together, in virtual time and under faults.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use control::ConfigCache;
use discovery::PackSettings;
use discovery_function::Discovery;
use model::value::is_stale_nan;
use model::{MatchOp, Matcher};
use platform::{Deadline, Handler, Platform, Retry};
use platform_sim::{Answer, Fate, Join, RandomFaults, ScriptedFaults, World};
use scraper_function::{Scraper, ScraperError};
use storage::{Limits, Queryable, Select, SelectHints, Series};
use telemetry::Metrics;
use tsdb::{Settings, Store};
use wire::{ConfigBundle, DiscoverTask};

const INTERVAL_MS: i64 = 10_000;
const WINDOW_MS: i64 = 20_000;
/// Redelivery well within the interval, so that a crash costs no scrape.
const VISIBILITY: Duration = Duration::from_secs(6);
const CONFIG: &str = "global: {scrape_interval: 10s, scrape_timeout: 1s}\nscrape_configs:\n  - job_name: j\n    \
                      file_sd_configs: [{files: [/sd.json]}]\n";

/// One process's functions over a world.
struct Process {
    platform: Platform,
    store: Arc<Store>,
    discovery: Discovery,
    scraper: Scraper,
}

impl Process {
    fn new(platform: Platform) -> Arc<Self> {
        let configs = Arc::new(ConfigCache::new(platform.clone(), |_| None));
        let metrics = Arc::new(Metrics::new("test"));
        let store = Arc::new(Store::new(platform.clone(), Settings::default()));
        // Long cells and small batches, so that which targets are together depends on which there are.
        let pack = PackSettings { spread_ms_max: 4_000, targets_max: 2, ..PackSettings::default() };
        let discovery = Discovery::new(platform.clone(), Arc::clone(&configs), Arc::clone(&metrics), pack);
        let scraper = Scraper::new(platform.clone(), configs, Arc::clone(&store), metrics);
        Arc::new(Self { platform, store, discovery, scraper })
    }
}

/// A world with a published configuration and some targets.
fn world(targets: &[&str]) -> World {
    let world = World::new(11);
    world.serve(|_, now| Answer::text(format!("m {now}\n")));
    write_targets(&world, targets);
    let platform = world.platform();
    let bundle = ConfigBundle {
        v: 1,
        path: "/prometheus.yml".to_owned(),
        prometheus_yml: CONFIG.to_owned(),
        rule_files: Vec::new(),
    };
    world.run(async move { control::publish_config(&platform, &bundle).await }).done().unwrap();
    world
}

fn write_targets(world: &World, targets: &[&str]) {
    let quoted: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
    world.write_file("/sd.json", format!("[{{\"targets\": [{}]}}]", quoted.join(",")));
}

fn deadline(platform: &Platform) -> Deadline {
    Deadline::after(&*platform.clock, Duration::from_secs(60))
}

/// Runs discovery for a window until a run succeeds, as a schedule with retries does; how many runs it took.
fn discover(world: &World, process: &Arc<Process>, from: i64) -> usize {
    discover_until(world, process, from, from + WINDOW_MS)
}

fn discover_until(world: &World, process: &Arc<Process>, from: i64, until: i64) -> usize {
    for run in 1..10 {
        let task = DiscoverTask { from, until };
        let process = Arc::clone(process);
        let join = world.spawn("discovery", async move {
            process.discovery.handle(task, deadline(&process.platform)).await
        });
        world.run_for(Duration::from_millis(500));
        if matches!(join.take(), Some(Ok(Ok(())))) {
            return run;
        }
    }
    panic!("discovery never succeeds");
}

/// Takes and handles messages for ever.
async fn work(process: Arc<Process>) {
    let queue = Arc::clone(&process.platform.scrape_queue);
    loop {
        let Ok(messages) = queue.receive(1, VISIBILITY, Duration::from_secs(1)).await else { continue };
        for message in messages {
            let task = wire::decode("task", &message.body).unwrap();
            let result = process.scraper.handle(task, deadline(&process.platform)).await;
            let never = |error: &ScraperError| Scraper::retry(error) == Retry::Never;
            if result.as_ref().map_or_else(never, |()| true) {
                let _ = queue.delete(&message.receipt).await;
            }
        }
    }
}

/// Lets workers work for so long, new ones in the place of those that crash.
fn work_for(world: &World, process: &Arc<Process>, seconds: u32) {
    let spawn = || world.spawn("worker", work(Arc::clone(process)));
    let mut workers: Vec<Join<()>> = (0..4).map(|_| spawn()).collect();
    for _ in 0..seconds {
        world.run_for(Duration::from_secs(1));
        for worker in &mut workers {
            if worker.take().is_some() {
                *worker = spawn();
            }
        }
    }
    for worker in workers {
        world.kill(worker.id());
    }
}

/// The series of a metric.
fn select(world: &World, store: &Arc<Store>, metric: &str) -> Vec<Series> {
    let (store, now) = (Arc::clone(store), world.now_ms());
    let matcher = Matcher::new(MatchOp::Equal, "__name__", metric).unwrap();
    let select = Select {
        matchers: vec![matcher],
        min_time: now - 3_600_000,
        max_time: now + 3_600_000,
        hints: SelectHints::default(),
    };
    let limits = Limits { samples_max: u64::MAX, deadline: now + 60_000 };
    let found = world.run(async move { store.select(&[select], limits).await }).done().unwrap();
    found.into_iter().next().unwrap()
}

/// When each target was scraped, ms.
fn scrapes(world: &World, process: &Process) -> BTreeMap<String, Vec<i64>> {
    select(world, &process.store, "up")
        .iter()
        .map(|series| {
            let real =
                series.timestamps.iter().zip(&*series.values).filter(|(_, value)| !is_stale_nan(**value));
            let instance = series.labels.get("instance").unwrap_or_default().to_owned();
            (instance, real.map(|(at, _)| *at).collect())
        })
        .collect()
}

/// In each of a window's intervals every target was scraped exactly once.
fn assert_once_each(scrapes: &BTreeMap<String, Vec<i64>>, targets: &[&str], from: i64, context: &str) {
    let found: BTreeSet<&str> = scrapes.keys().map(String::as_str).collect();
    assert_eq!(found, targets.iter().copied().collect(), "{context}");
    for (target, at) in scrapes {
        let slots = WINDOW_MS / INTERVAL_MS;
        assert_eq!(at.len() as i64, slots, "{context}: {target} at {at:?}");
        // A scrape after a crash is late, but not as late as the next one.
        let apart = at.windows(2).all(|pair| pair[1] - pair[0] > 1_000);
        assert!(apart && at[0] >= from, "{context}: {target} at {at:?}");
    }
}

/// So many effects of the workers include every scrape of a window, its segment, and the end of its message.
const EFFECTS_MAX: u64 = 80;
const TARGETS: &[&str] = &["a:1", "b:1", "c:1", "d:1", "e:1"];

#[test]
fn every_target_is_scraped_once_an_interval() {
    let world = world(TARGETS);
    let process = Process::new(world.platform());
    let from = world.now_ms() + 1_000;
    assert_eq!(discover(&world, &process, from), 1);
    work_for(&world, &process, 30);
    assert_once_each(&scrapes(&world, &process), TARGETS, from, "no faults");
    assert_eq!(world.queue_depths()[0].messages, 0);
}

#[test]
fn duplicates_of_every_message_change_nothing() {
    let world = world(TARGETS);
    let process = Process::new(world.platform());
    let from = world.now_ms() + 1_000;
    world.set_faults(RandomFaults { duplicate: 1.0, ..RandomFaults::default() });
    discover(&world, &process, from);
    discover(&world, &process, from);
    work_for(&world, &process, 30);
    assert!(world.counters().duplicates > 0);
    world.heal();
    assert_once_each(&scrapes(&world, &process), TARGETS, from, "duplicates");
}

#[test]
fn no_fault_at_any_effect_of_discovery_loses_or_doubles_a_scrape() {
    every_fault("discovery", 12);
}

#[test]
fn no_fault_at_any_effect_of_the_scrapers_loses_or_doubles_a_scrape() {
    every_fault("worker", 40);
}

/// Every fault at every effect of the actors of that name, of which there are at least so many.
fn every_fault(actor: &str, effects_min: u64) {
    let mut effect = 0;
    loop {
        let mut met = false;
        for fate in Fate::FAULTS {
            let world = world(TARGETS);
            let process = Process::new(world.platform());
            // A file that cannot be read keeps the targets that it had before: so it was read before.
            discover_until(&world, &process, world.now_ms(), world.now_ms());
            let from = world.now_ms() + 6_000;
            world.set_faults(ScriptedFaults::new().at(effect, fate).of_actor(actor));
            discover(&world, &process, from);
            work_for(&world, &process, 32);
            met |= world.counters().faults.values().sum::<u64>() > 0;
            world.heal();
            let context = format!("{fate:?} at effect {effect} of {actor}");
            assert_once_each(&scrapes(&world, &process), TARGETS, from, &context);
            assert_eq!(world.counters().names_reused, 0, "{context}");
        }
        effect += 1;
        // Idle workers go on asking for messages for ever.
        if !met || effect == EFFECTS_MAX {
            break;
        }
    }
    assert!(effect >= effects_min, "{actor} has only {effect} effects");
}

#[test]
fn a_window_that_is_planned_again_after_the_targets_changed_keeps_its_targets() {
    let all: Vec<&str> = [TARGETS, &["x:1", "y:1", "z:1"]].concat();
    for effect in 0..12 {
        let world = world(TARGETS);
        let process = Process::new(world.platform());
        let from = world.now_ms() + 6_000;
        world.set_faults(ScriptedFaults::new().at(effect, Fate::CrashAfter).of_actor("discovery"));
        let task = DiscoverTask { from, until: from + WINDOW_MS };
        let first = Arc::clone(&process);
        world
            .spawn("discovery", async move { first.discovery.handle(task, deadline(&first.platform)).await });
        world.run_for(Duration::from_millis(500));
        write_targets(&world, &all);
        discover(&world, &process, from);
        work_for(&world, &process, 32);
        world.heal();
        let scrapes = scrapes(&world, &process);
        // Which targets it has depends on how far the first run came; but not on who scrapes them.
        let expected: &[&str] = if scrapes.len() == TARGETS.len() { TARGETS } else { &all };
        assert_once_each(&scrapes, expected, from, &format!("crash after effect {effect}"));
    }
}

#[test]
fn a_target_that_is_gone_ends_even_where_its_end_comes_too_late() {
    for delay in [0, 120] {
        let world = world(TARGETS);
        let process = Process::new(world.platform());
        let from = world.now_ms() + 1_000;
        discover(&world, &process, from);
        work_for(&world, &process, 22);
        write_targets(&world, &["b:1"]);
        discover(&world, &process, from + WINDOW_MS);
        world.run_for(Duration::from_secs(delay));
        work_for(&world, &process, 25);
        for series in select(&world, &process.store, "m") {
            let ended = series.values.last().is_some_and(|last| is_stale_nan(*last));
            let stays = series.labels.get("instance") == Some("b:1");
            assert_eq!(ended, !stays, "{} after a delay of {delay} s", series.labels);
        }
    }
}

#[test]
fn after_a_pause_targets_are_not_scraped_in_a_burst() {
    let world = world(TARGETS);
    let process = Process::new(world.platform());
    let from = world.now_ms() + 1_000;
    discover(&world, &process, from);
    // Both scrapes of every target wait, one of them overtaken by the other.
    world.run_for(Duration::from_secs(25));
    work_for(&world, &process, 10);
    for (target, at) in scrapes(&world, &process) {
        assert!(at.len() <= 1, "{target} at {at:?}");
    }
}

#[test]
fn an_old_window_that_is_planned_again_does_not_bring_back_its_targets() {
    let world = world(TARGETS);
    let process = Process::new(world.platform());
    let from = world.now_ms() + 1_000;
    discover(&world, &process, from);
    write_targets(&world, &["a:1"]);
    discover(&world, &process, from + WINDOW_MS);
    discover(&world, &process, from);
    let platform = world.platform();
    let current = world.run(async move { control::current_targets(&platform).await }).done().unwrap();
    assert_eq!(current.snapshot.unwrap().pools[0].active.len(), 1);
}
