//! Rule groups in virtual time: twice, concurrently, and under every fault.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::ConfigCache;
use model::{MatchOp, Matcher};
use platform::{Deadline, Handler, HttpMethod, Notice, Platform, PlatformFuture, Retry, Topic};
use platform_sim::{Answer, Fate, Join, RandomFaults, ScriptedFaults, World};
use promql::EngineOptions;
use ruler_function::{RulePlanner, Ruler, RulerError, RulerSettings};
use storage::{Limits, Queryable, Select, SelectHints, Series};
use telemetry::Metrics;
use tsdb::{Settings, Store};
use wire::{ConfigBundle, DiscoverTask, RuleFileText, RuleTask};

const WINDOW_MS: i64 = 20_000;
const VISIBILITY: Duration = Duration::from_secs(3);
const CONFIG: &str = "global: {evaluation_interval: 10s}\nrule_files: [/rules.yml]\nalerting:\n  alertmanagers:\n    \
                      - static_configs: [{targets: ['am:9093']}]\n";
const RULES: &str = "groups:\n  - name: g\n    rules:\n      - {record: r, expr: vector(7)}\n      \
                     - {alert: A, expr: vector(1)}\n";
/// Effects of the workers that include every evaluation of a window and the end of its message.
const EFFECTS_MAX: u64 = 60;

struct Process {
    platform: Platform,
    store: Arc<Store>,
    planner: RulePlanner,
    ruler: Ruler,
}

impl Process {
    fn new(platform: Platform) -> Arc<Self> {
        let configs = Arc::new(ConfigCache::new(platform.clone(), |_| None));
        let store = Arc::new(Store::new(platform.clone(), Settings::default()));
        let settings = RulerSettings {
            engine: EngineOptions::default(),
            external_url: "http://foxfire".to_owned(),
            resend_delay: Duration::ZERO,
            query_timeout: Duration::from_secs(10),
        };
        let planner = RulePlanner::new(platform.clone(), Arc::clone(&configs), Arc::clone(&store));
        let metrics = Arc::new(Metrics::new("test"));
        let ruler = Ruler::new(platform.clone(), configs, Arc::clone(&store), metrics, settings);
        Arc::new(Self { platform, store, planner, ruler })
    }
}

/// A world with a published configuration, and what its Alertmanager was told.
fn world() -> (World, Arc<Mutex<Vec<String>>>) {
    let world = World::new(5);
    let told = Arc::new(Mutex::new(Vec::new()));
    let alertmanager = Arc::clone(&told);
    world.serve(move |request, _| {
        if request.method == HttpMethod::Post {
            alertmanager.lock().unwrap().push(String::from_utf8_lossy(&request.body).into_owned());
        }
        Answer::text("")
    });
    let platform = world.platform();
    world.run(async move { control::publish_config(&platform, &bundle()).await }).done().unwrap();
    (world, told)
}

fn bundle() -> ConfigBundle {
    ConfigBundle {
        v: 1,
        path: "/prometheus.yml".to_owned(),
        prometheus_yml: CONFIG.to_owned(),
        rule_files: vec![RuleFileText { path: "/rules.yml".to_owned(), text: RULES.to_owned() }],
    }
}

fn deadline(platform: &Platform) -> Deadline {
    Deadline::after(&*platform.clock, Duration::from_secs(60))
}

/// Plans a window, again until a run succeeds.
fn plan(world: &World, process: &Arc<Process>, from: i64) {
    for _ in 0..10 {
        let task = DiscoverTask { from, until: from + WINDOW_MS };
        let process = Arc::clone(process);
        let join = world
            .spawn("planner", async move { process.planner.handle(task, deadline(&process.platform)).await });
        world.run_for(Duration::from_millis(500));
        if matches!(join.take(), Some(Ok(Ok(())))) {
            return;
        }
    }
    panic!("planning never succeeds");
}

/// Takes and handles messages for ever.
async fn work(process: Arc<Process>) {
    let queue = Arc::clone(&process.platform.rule_queue);
    loop {
        let Ok(messages) = queue.receive(1, VISIBILITY, Duration::from_secs(1)).await else { continue };
        for message in messages {
            let task = wire::decode("task", &message.body).unwrap();
            let result = process.ruler.handle(task, deadline(&process.platform)).await;
            let never = |error: &RulerError| Ruler::retry(error) == Retry::Never;
            if result.as_ref().map_or_else(never, |()| true) {
                let _ = queue.delete(&message.receipt).await;
            }
        }
    }
}

fn work_for(world: &World, process: &Arc<Process>, seconds: u32) {
    let spawn = || world.spawn("worker", work(Arc::clone(process)));
    let mut workers: Vec<Join<()>> = (0..3).map(|_| spawn()).collect();
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

fn select(world: &World, store: &Arc<Store>, metric: &str) -> Vec<Series> {
    let (store, now) = (Arc::clone(store), world.now_ms());
    let select = Select {
        matchers: vec![Matcher::new(MatchOp::Equal, "__name__", metric).unwrap()],
        min_time: now - 3_600_000,
        max_time: now + 3_600_000,
        hints: SelectHints::default(),
    };
    let limits = Limits { samples_max: u64::MAX, deadline: now + 60_000 };
    let found = world.run(async move { store.select(&[select], limits).await }).done().unwrap();
    found.into_iter().next().unwrap()
}

/// Both ticks of the window are recorded, each once, and Alertmanager knows.
fn assert_recorded_and_told(
    world: &World,
    process: &Process,
    told: &Mutex<Vec<String>>,
    from: i64,
    context: &str,
) {
    for metric in ["r", "ALERTS"] {
        let series = select(world, &process.store, metric);
        assert_eq!(series.len(), 1, "{metric}: {context}");
        let at = &series[0].timestamps;
        let expected = WINDOW_MS / 10_000;
        assert_eq!(at.len() as i64, expected, "{metric} at {at:?}: {context}");
        assert!(at.windows(2).all(|pair| pair[1] - pair[0] == 10_000) && at[0] >= from, "{at:?}: {context}");
    }
    let told = told.lock().unwrap();
    assert!(told.iter().any(|body| body.contains("\"alertname\":\"A\"")), "nobody was told: {context}");
}

#[test]
fn a_group_is_evaluated_at_each_tick_and_alertmanager_is_told() {
    let (world, told) = world();
    let process = Process::new(world.platform());
    let from = world.now_ms() + 1_000;
    plan(&world, &process, from);
    work_for(&world, &process, 25);
    assert_recorded_and_told(&world, &process, &told, from, "no faults");
    assert_eq!(world.queue_depths()[1].messages, 0);
}

#[test]
fn duplicates_of_every_message_and_plan_change_nothing() {
    let (world, told) = world();
    // Two processes: each keeps its own from evaluating a group twice at once, but not the other.
    let (one, two) = (Process::new(world.platform()), Process::new(world.platform()));
    world.set_faults(RandomFaults { duplicate: 1.0, ..RandomFaults::default() });
    let from = world.now_ms() + 2_000;
    plan(&world, &one, from);
    plan(&world, &two, from);
    world.spawn("other", work(Arc::clone(&two)));
    work_for(&world, &one, 30);
    assert!(world.counters().duplicates > 0);
    world.heal();
    assert_recorded_and_told(&world, &one, &told, from, "duplicates");
}

#[test]
fn no_fault_at_any_effect_loses_or_doubles_a_tick() {
    for actor in ["planner", "worker"] {
        for effect in 0..EFFECTS_MAX {
            let mut met = false;
            for fate in Fate::FAULTS {
                let (world, told) = world();
                let process = Process::new(world.platform());
                let from = world.now_ms() + 6_000;
                world.set_faults(ScriptedFaults::new().at(effect, fate).of_actor(actor));
                plan(&world, &process, from);
                work_for(&world, &process, 32);
                met |= world.counters().faults.values().sum::<u64>() > 0;
                world.heal();
                let context = format!("{fate:?} at effect {effect} of {actor}");
                assert_recorded_and_told(&world, &process, &told, from, &context);
            }
            if !met {
                assert!(effect > 0, "{actor} has no effects");
                break;
            }
        }
    }
}

#[test]
fn a_late_tick_is_missed_and_the_next_one_is_not() {
    let (world, told) = world();
    let process = Process::new(world.platform());
    let from = world.now_ms() + 1_000;
    plan(&world, &process, from);
    world.run_for(Duration::from_secs(120));
    work_for(&world, &process, 5);
    assert!(select(&world, &process.store, "r").is_empty());
    let from = world.now_ms() + 1_000;
    plan(&world, &process, from);
    work_for(&world, &process, 25);
    assert_recorded_and_told(&world, &process, &told, from, "after a pause");
}

#[test]
fn an_alertmanager_that_hangs_does_not_keep_a_group_from_its_next_tick() {
    let (world, _) = world();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    world.serve(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        Answer::text("").after(Duration::from_secs(3_600))
    });
    let process = Process::new(world.platform());
    let register = {
        let platform = world.platform();
        world.run(async move { ConfigCache::new(platform, |_| None).current_pointer().await }).done().unwrap()
    };
    let base = world.now_ms();
    for tick in [base, base + 1_000] {
        let task = RuleTask {
            config: register.key.clone(),
            file: "/rules.yml".to_owned(),
            group: "g".to_owned(),
            tick,
        };
        let process = Arc::clone(&process);
        world.spawn("worker", async move { process.ruler.handle(task, deadline(&process.platform)).await });
        world.run_for(Duration::from_secs(1));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(select(&world, &process.store, "r")[0].timestamps.len(), 2);
}

#[test]
fn a_group_that_is_gone_ends_its_series() {
    let (world, _) = world();
    let process = Process::new(world.platform());
    let from = world.now_ms() + 1_000;
    plan(&world, &process, from);
    work_for(&world, &process, 22);
    let platform = world.platform();
    let without = ConfigBundle { rule_files: Vec::new(), ..bundle() };
    world.run(async move { control::publish_config(&platform, &without).await }).done().unwrap();
    plan(&world, &process, from + WINDOW_MS);
    let ended = select(&world, &process.store, "r");
    assert!(model::value::is_stale_nan(*ended[0].values.last().unwrap()));
}

/// A topic that remembers.
#[derive(Default)]
struct Remembering(Mutex<Vec<Notice>>);

impl Topic for Remembering {
    fn publish<'a>(&'a self, notice: &'a Notice) -> PlatformFuture<'a, ()> {
        self.0.lock().unwrap().push(notice.clone());
        Box::pin(async { Ok(()) })
    }
}

#[test]
fn alerts_go_to_the_topic_beside_the_alertmanagers() {
    let (world, told) = world();
    let topic = Arc::new(Remembering::default());
    let process = Process::new(Platform { alert_topic: Some(Arc::clone(&topic) as _), ..world.platform() });
    plan(&world, &process, world.now_ms() + 1_000);
    work_for(&world, &process, 22);
    let notices = topic.0.lock().unwrap();
    assert!(!notices.is_empty());
    assert_eq!(notices.len(), told.lock().unwrap().len(), "both are told alike");
    assert!(notices.iter().all(|notice| notice.subject == "[FIRING:1] A"), "{notices:?}");
}
