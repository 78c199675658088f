//! The schedules, the queues and the clients, over some hours; then the bill.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cost::{Bill, Deployment, MONTH_SECONDS, Trigger, US_EAST_1, Usage};
use discovery::PackSettings;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use platform::{Deadline, Handler, Message, Queue};
use platform_sim::{Latency, World, WorldOptions};
use storage_bench::generate::START_MS;
use tsdb::Settings;
use wire::{
    CollectTask, CompactTask, CompactWork, ConfigBundle, DiscoverTask, RuleFileText, RuleTask, ScrapeTask,
};

use crate::fleet::Fleet;
use crate::lambda::{Function, Lambda, Process};
use crate::options::Options;
use crate::place::Place;

/// Half of what a request to a service takes.
const HALF_LATENCY: Duration = Duration::from_millis(5);
/// Time in which nothing is counted: caches fill, and the first blocks come into being.
const WARM_UP_MS: i64 = 15 * 60_000;
const MINUTE_MS: i64 = 60_000;
const VISIBILITY: Duration = Duration::from_secs(360);
/// Messages of an invocation.
const BATCH: usize = 5;
/// Event source mappings have several pollers.
const POLLERS: usize = 5;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Runs it all in virtual time, and says what it costs.
pub(crate) fn run(options: &Options) -> Outcome<String> {
    let span_ms = i64::from(options.hours) * 3_600_000;
    let steps = usize::try_from((span_ms + WARM_UP_MS) / 15_000)? + 2;
    let fleet = Fleet::new(options.series, steps, START_MS);
    let world = World::with(WorldOptions {
        start_ms: START_MS,
        latency: Latency { min: HALF_LATENCY, max: HALF_LATENCY },
        records_kept: 0,
        polls_max: u64::MAX,
        ..WorldOptions::new(1)
    });
    {
        let fleet = Arc::clone(&fleet);
        world.serve(move |request, now_ms| fleet.answer(request, now_ms));
    }
    let (platform, bundle) = (world.platform(), configuration(&fleet.addresses(), options)?);
    match world.run(async move { control::publish_config(&platform, &bundle).await }) {
        platform_sim::Ended::Done(published) => published.map(|_| ())?,
        _ => return Err("the configuration was not published".into()),
    }
    let place = Place::Virtual((*world).clone());
    let lambda = Lambda::new(place, Arc::clone(&fleet), settings(options), pack(options));
    begin(&lambda, options);
    world.run_for(Duration::from_millis(WARM_UP_MS.unsigned_abs()));
    let _ = lambda.take_usage();
    world.run_for(Duration::from_millis(span_ms.unsigned_abs()));
    let (usage, cold_starts) = lambda.take_usage();
    let kept: usize = world.object_keys().iter().filter_map(|key| Some(world.object(key)?.len())).sum();
    let mut text = report(options, fleet.series(), span_ms as f64 / 1e3, &usage, cold_starts);
    let _ = write!(text, "\nobjects at the end: {:.1} MB", kept as f64 / 1e6);
    Ok(text)
}

/// Starts everything that goes on by itself.
pub(crate) fn begin(lambda: &Arc<Lambda>, options: &Options) {
    for _ in 0..POLLERS {
        lambda.place.spawn(deliver(Arc::clone(lambda), Function::Scraper));
        lambda.place.spawn(deliver(Arc::clone(lambda), Function::Ruler));
    }
    lambda.place.spawn(schedules(Arc::clone(lambda), options.clone()));
    if options.queries > 0.0 {
        let every = Duration::from_secs_f64(MONTH_SECONDS / options.queries);
        lambda.place.spawn(ask(Arc::clone(lambda), every));
    }
}

pub(crate) fn settings(options: &Options) -> Settings {
    let default = Settings::default();
    Settings {
        window_ms: options.window_ms.unwrap_or(default.window_ms),
        inline_bytes_max: options.inline_bytes.unwrap_or(default.inline_bytes_max),
        ..default
    }
}

pub(crate) fn pack(options: &Options) -> PackSettings {
    let default = PackSettings::for_functions();
    PackSettings {
        spread_ms_max: options.spread_ms.unwrap_or(default.spread_ms_max),
        at_once: options.at_once.unwrap_or(default.at_once),
        ..default
    }
}

/// A configuration with these targets, and rules.
pub(crate) fn configuration(addresses: &[String], options: &Options) -> Outcome<ConfigBundle> {
    let targets: Vec<String> = addresses.iter().map(|address| format!("'{address}'")).collect();
    let prometheus_yml = format!(
        "global: {{scrape_interval: 15s, scrape_timeout: 10s, evaluation_interval: 60s}}\nrule_files: [rules.yml]\n\
         scrape_configs:\n  - job_name: node\n    static_configs: [{{targets: [{}]}}]\n",
        targets.join(",")
    );
    let mut text = "groups:\n".to_owned();
    for group in 0..options.groups {
        writeln!(text, "- name: group{group}\n  rules:")?;
        for rule in 0..options.rules / options.groups.max(1) {
            let expression = match rule % 4 {
                0 => "sum by (instance) (rate(node_cpu_seconds_total[5m]))",
                1 => "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
                2 => "max by (instance) (rate(node_network_receive_bytes_total[5m]))",
                _ => "sum by (instance) (node_filesystem_avail_bytes)",
            };
            writeln!(text, "  - record: group{group}:rule{rule}\n    expr: {expression}")?;
        }
    }
    let rule_files = vec![RuleFileText { path: "/rules.yml".to_owned(), text }];
    Ok(ConfigBundle { v: 1, path: "/prometheus.yml".to_owned(), prometheus_yml, rule_files })
}

/// Takes messages as an event source mapping does, and invokes a function with each batch.
async fn deliver(lambda: Arc<Lambda>, function: Function) {
    let platform = lambda.place.unmetered().await;
    let queue: Arc<dyn Queue> =
        if function == Function::Ruler { platform.rule_queue } else { platform.scrape_queue };
    loop {
        let received = queue.receive(BATCH, VISIBILITY, Duration::from_secs(20)).await;
        let messages = received.unwrap_or_default();
        if messages.is_empty() {
            continue;
        }
        let done = lambda.invoke(function, Trigger::Queue, |process| handle(process, messages)).await;
        for receipt in done {
            let _ = queue.delete(&receipt).await;
        }
    }
}

async fn handle(process: Arc<Process>, messages: Vec<Message>) -> Vec<platform::Receipt> {
    let deadline = Deadline::after(&*process.platform.clock, Duration::from_secs(60));
    let handled = join_all(messages.into_iter().map(|message| {
        let process = Arc::clone(&process);
        async move {
            if let Ok(task) = wire::decode::<ScrapeTask>("task", &message.body) {
                return process.scraper.handle(task, deadline).await.is_ok().then_some(message.receipt);
            }
            let task = wire::decode::<RuleTask>("task", &message.body).ok()?;
            process.ruler.handle(task, deadline).await.is_ok().then_some(message.receipt)
        }
    }))
    .await;
    handled.into_iter().flatten().collect()
}

/// Fires the schedules as the template has them.
async fn schedules(lambda: Arc<Lambda>, options: Options) {
    let clock = lambda.place.unmetered().await.clock;
    for minute in 0u32.. {
        let now = clock.now_ms();
        let from = now - now.rem_euclid(MINUTE_MS) + MINUTE_MS;
        let window = DiscoverTask { from, until: from + MINUTE_MS };
        fire(&lambda, Function::Discovery, {
            let window = window.clone();
            move |process, deadline| {
                async move { process.discovery.handle(window, deadline).await.map_err(|e| e.to_string()) }
                    .boxed()
            }
        });
        fire(&lambda, Function::Ruler, move |process, deadline| {
            async move { process.planner.handle(window, deadline).await.map_err(|e| e.to_string()) }.boxed()
        });
        let compact = |work| {
            let task = CompactTask { tick: now, work };
            fire(&lambda, Function::Compactor, move |process, deadline| {
                async move { process.compactor.handle(task, deadline).await.map_err(|e| e.to_string()) }
                    .boxed()
            });
        };
        compact(CompactWork::Segments);
        if minute % options.blocks_minutes.max(1) == 0 {
            compact(CompactWork::Blocks);
        }
        if minute % 60 == options.collect_minute {
            let task = CollectTask { tick: now };
            fire(&lambda, Function::Collector, move |process, deadline| {
                async move { process.collector.handle(task, deadline).await.map_err(|e| e.to_string()) }
                    .boxed()
            });
        }
        clock.sleep(Duration::from_millis((from - now).unsigned_abs())).await;
    }
}

fn fire(
    lambda: &Arc<Lambda>,
    function: Function,
    work: impl FnOnce(Arc<Process>, Deadline) -> BoxFuture<'static, Result<(), String>> + Send + 'static,
) {
    let shared = Arc::clone(lambda);
    lambda.place.spawn(async move {
        let result = shared
            .invoke(function, Trigger::Schedule, |process| {
                let deadline = Deadline::after(&*process.platform.clock, Duration::from_secs(600));
                work(process, deadline)
            })
            .await;
        if let Err(error) = result {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "{}: {error}", function.name());
        }
    });
}

/// A dashboard: range queries over the last hour.
async fn ask(lambda: Arc<Lambda>, every: Duration) {
    let clock = lambda.place.unmetered().await.clock;
    let panels = [
        "sum by (instance) (rate(node_cpu_seconds_total[5m]))",
        "node_memory_MemAvailable_bytes",
        "rate(node_network_receive_bytes_total{device=\"eth0\"}[5m])",
        "node_load1",
    ];
    for panel in panels.iter().cycle() {
        clock.sleep(every).await;
        let now = clock.now_ms() / 1_000;
        let encoded: String = panel.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let uri = format!("/api/v1/query_range?query={encoded}&start={}&end={now}&step=15", now - 3_600);
        let answered = lambda.invoke(Function::Query, Trigger::Http, |process| async move {
            let request = http::Request::builder().uri(uri).body(Bytes::new()).ok()?;
            Some(process.api.route(request).await.status())
        });
        let status = answered.await;
        if status != Some(http::StatusCode::OK) {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "query: {status:?}");
        }
    }
}

/// What some seconds of usage come to in a month.
pub(crate) fn report(
    options: &Options,
    series: usize,
    seconds: f64,
    usage: &Usage,
    cold_starts: u64,
) -> String {
    let mut month = usage.extrapolated(seconds, MONTH_SECONDS);
    if let Some(collector) = usage.functions.get("collector").filter(|_| seconds < 7_200.0) {
        // It runs once an hour.
        let month_of_it = collector.scaled(MONTH_SECONDS / 3_600.0 / collector.invoked().max(1.0));
        month.functions.insert("collector".to_owned(), month_of_it);
    }
    for function in month.functions.values_mut() {
        // Its report, and a record of usage a minute.
        function.log_bytes = function.invoked() * 420.0 + function.invoked().min(43_800.0) * 900.0;
    }
    Deployment::default().shared(&mut month);
    let mut text = format!(
        "{series} series every 15 s, {} rules in {} groups each minute, {} queries a month; {:.1} minutes counted, \
         {cold_starts} cold starts\n\n",
        options.rules,
        options.groups,
        options.queries,
        seconds / 60.0
    );
    for (name, function) in &month.functions {
        let invoked = function.invoked();
        let _ = writeln!(
            text,
            "{name:<10} {:>9.0} invocations a month, {:>7.1} ms billed each",
            invoked,
            function.seconds * 1e3 / invoked.max(1.0)
        );
        if options.requests {
            for (action, requests) in &function.requests {
                let _ = writeln!(
                    text,
                    "    {action:<26} {:>9.0} requests {:>10.0} units {:>8.0} B sent {:>9.0} B received each",
                    requests.count,
                    requests.units,
                    requests.sent / requests.count,
                    requests.received / requests.count
                );
            }
        }
    }
    let _ = write!(text, "\n{}", Bill::of(&month, &US_EAST_1));
    text
}
