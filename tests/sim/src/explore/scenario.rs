//! What is explored: a store in some state, and a few invocations on it, each in a sandbox of its own.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use platform::{Deadline, Handler, Queue, Receipt, Retry};
use platform_sim::{Ended, Fate, FaultPlan, Latency, Operation, Random, Situation, Snapshot, WorldOptions};
use telemetry::Metrics;
use tsdb::Settings;
use wire::{
    CollectTask, CompactTask, CompactWork, ConfigBundle, DiscoverTask, Manifest, RuleFileText, RuleTask,
    ScrapeTask,
};

use crate::audit::{self, HeadAudit};
use crate::fleet::{Behaviour, Fleet, POOL, TaskName};
use crate::ledger::{AckedTask, Deletion, Ledger, Violation};
use crate::lock;
use crate::marks::Marks;
use crate::mutant::{Hooks, Mutant};
use crate::oracle::{Oracle, Rows};
use crate::process::Process;
use crate::rules::{FILE, RULES};
use crate::watch::Watch;
use crate::workers::scrape_due;

/// What is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One message delivered to two scrapers, time passing, two compactors, a collector, a reader.
    Write,
    /// The small one with payloads in objects.
    WriteBulky,
    /// The small one where the targets may be so slow that their segment gets a name of its own.
    WriteSlow,
    /// Two messages of a source, each delivered to the same two sandboxes, so that the second segment may be coded against
    /// the first; a reader.
    Chain,
    /// One message delivered to two scrapers, time passing, a compactor, a reader: small enough for every run of the tests.
    WriteSmall,
    /// Two compactors that merge the same blocks, a collector, a reader.
    Merge,
    /// Two compactors that merge the same blocks, and nobody else.
    MergeTwice,
    /// A merge in two parts: two compactors, a collector, a reader.
    MergeParts,
    /// A deletion while a compactor merges; a reader.
    Delete,
    /// A merge that crashed before its commit, and left a block: a compactor, a collector.
    Orphan,
    /// A segment long ready to be compacted, and then to be deleted: a compactor, a collector, a reader.
    Expire,
    /// A block past its retention: two compactors, a collector, a reader.
    Retention,
    /// A rule group: one tick delivered twice, the next tick once, a reader.
    Rules,
    /// A window of the schedule planned twice while its targets change, and the scrape of what was planned.
    Plan,
}

/// A kind, made ready: what the world holds at the beginning.
pub struct Scenario {
    kind: Kind,
    snapshot: Snapshot,
    fleet: Fleet,
    ledger: Ledger,
    settings: Settings,
    mutant: Option<Mutant>,
    /// Messages that were received, with their receipts.
    deliveries: Vec<(Bytes, Receipt)>,
    metrics: Vec<Arc<Metrics>>,
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario")
            .field("kind", &self.kind)
            .field("mutant", &self.mutant)
            .finish_non_exhaustive()
    }
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const FOREVER: Deadline = Deadline(i64::MAX);
/// More processes than any scenario has.
const PROCESSES: usize = 10;

impl Kind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Write,
        Self::WriteBulky,
        Self::WriteSlow,
        Self::Chain,
        Self::WriteSmall,
        Self::Merge,
        Self::MergeTwice,
        Self::MergeParts,
        Self::Delete,
        Self::Orphan,
        Self::Expire,
        Self::Retention,
        Self::Rules,
        Self::Plan,
    ];

    /// The kind of a name, as it is printed.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| format!("{kind:?}") == name)
    }

    fn settings(self) -> Settings {
        let settings = Settings {
            window_ms: 10 * MINUTE_MS,
            delete_consumed_rows: true,
            orphan_age_ms: 0,
            query_grace_ms: 0,
            retention_ms: None,
            merge_inputs_max: 8,
            // Short, so that listing the hours that may hold segments takes few calls.
            wal_expiry_ms: 3 * HOUR_MS,
            concurrency: 4,
            ..Settings::default()
        };
        match self {
            Self::Write | Self::WriteSlow | Self::WriteSmall | Self::Expire | Self::Plan => {
                Settings { window_ms: MINUTE_MS, ..settings }
            }
            Self::WriteBulky => Settings { window_ms: MINUTE_MS, inline_bytes_max: 0, ..settings },
            Self::MergeParts => Settings { merge_samples_max: 0, part_series_max: 6, ..settings },
            Self::Retention => Settings { retention_ms: Some(HOUR_MS), ..settings },
            Self::Merge | Self::MergeTwice | Self::Orphan | Self::Delete | Self::Rules | Self::Chain => {
                settings
            }
        }
    }
}

fn options() -> WorldOptions {
    let latency = Latency { min: Duration::ZERO, max: Duration::ZERO };
    WorldOptions { latency, records_kept: 0, ..WorldOptions::new(1) }
}

impl Scenario {
    /// Makes a kind ready.
    ///
    /// # Errors
    /// What a mutant breaks already on the way.
    pub fn new(kind: Kind, mutant: Option<Mutant>) -> Result<Self, Violation> {
        let behaviour = Behaviour { fails_every: 0, flapping: 3, timestamps: false, wide: false };
        let settings =
            Hooks::new(mutant, (*platform_sim::World::with(options())).clone()).settings(kind.settings());
        let fleet = Fleet::new(7, behaviour);
        let mut scenario = Self {
            kind,
            snapshot: platform_sim::World::with(options()).snapshot(),
            fleet,
            ledger: Ledger::default(),
            settings,
            mutant,
            deliveries: Vec::new(),
            metrics: (0..PROCESSES).map(|_| Arc::new(Metrics::new("sim"))).collect(),
        };
        let world = World::begin(&scenario);
        let deliveries = world.prepare(kind)?;
        let World { sim, fleet, ledger, .. } = world;
        scenario.snapshot = sim.snapshot();
        scenario.fleet = fleet.fork();
        scenario.ledger = lock(&ledger).clone();
        scenario.deliveries = deliveries;
        match scenario.ledger.violations.first() {
            Some(violation) => Err(violation.clone()),
            None => Ok(scenario),
        }
    }

    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// A scenario under way.
pub struct World<'a> {
    scenario: &'a Scenario,
    /// The simulated platform.
    pub sim: platform_sim::World,
    fleet: Arc<Fleet>,
    ledger: Arc<Mutex<Ledger>>,
    oracle: Arc<Mutex<Oracle>>,
    watch: Arc<Watch>,
    hooks: Hooks,
}

impl fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("scenario", &self.scenario).finish_non_exhaustive()
    }
}

impl<'a> World<'a> {
    /// The world at the beginning of a scenario.
    #[must_use]
    pub fn begin(scenario: &'a Scenario) -> Self {
        let sim = platform_sim::World::restored(options(), &scenario.snapshot);
        let fleet = Arc::new(scenario.fleet.fork());
        let (serving, handle) = (Arc::clone(&fleet), (*sim).clone());
        sim.serve(move |request, now| {
            // How many attempts there were decides what the next one says.
            handle.observe(1);
            platform_sim::Answer { after: Duration::ZERO, ..serving.answer(request, now) }
        });
        let ledger = Arc::new(Mutex::new(scenario.ledger.clone()));
        let watch = Watch::new((*sim).clone(), Arc::clone(&ledger), Arc::new(Marks::default()));
        let hooks = Hooks::new(scenario.mutant, (*sim).clone());
        let oracle = Oracle::new(Arc::clone(&fleet), scenario.settings.staleness_gap_ms);
        Self { scenario, sim, fleet, ledger, oracle: Arc::new(Mutex::new(oracle)), watch, hooks }
    }

    fn process(&self, number: usize) -> Arc<Process> {
        let metrics =
            self.scenario.metrics.get(number).map_or_else(|| Arc::new(Metrics::new("sim")), Arc::clone);
        let platform = self.hooks.platform(self.watch.platform(self.sim.platform()));
        Process::with(platform, self.scenario.settings.clone(), metrics)
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, Violation> {
        match self.sim.run(work) {
            Ended::Done(done) => Ok(done),
            _ => Err(Violation::new("L1", "it waits for ever")),
        }
    }

    /// The first thing that was found wrong under way.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        lock(&self.ledger).violations.first().cloned()
    }

    fn wait_until(&self, ms: i64) {
        let wait = u64::try_from(ms - self.sim.now_ms()).unwrap_or(0);
        self.sim.run_for(Duration::from_millis(wait));
    }

    /// Brings the world into the state in which the kind begins; the messages that are to be delivered.
    fn prepare(&self, kind: Kind) -> Result<Vec<(Bytes, Receipt)>, Violation> {
        let start = self.sim.now_ms();
        let process = self.process(0);
        self.write_targets(&[0]);
        self.publish()?;
        match kind {
            Kind::Write | Kind::WriteBulky | Kind::WriteSlow | Kind::WriteSmall => {
                self.scrape_window(&process, start + MINUTE_MS)?;
                self.wait_until(start + 7 * MINUTE_MS);
                self.compact(&process)?;
                let deliveries = self.plan_window(&process, start + 8 * MINUTE_MS)?;
                let received = self.receive(&*process.platform.scrape_queue, deliveries, 2)?;
                // Queues take a while.
                let after_ms = if kind == Kind::WriteSlow { 30_000 } else { 5_000 };
                self.wait_until(self.sim.now_ms() + after_ms);
                Ok(received)
            }
            Kind::Merge
            | Kind::MergeTwice
            | Kind::MergeParts
            | Kind::Delete
            | Kind::Orphan
            | Kind::Retention => {
                for minute in [1, 21] {
                    self.scrape_window(&process, start + minute * MINUTE_MS)?;
                    self.wait_until(start + (minute + 14) * MINUTE_MS);
                    self.compact(&process)?;
                }
                self.wait_until(start + 2 * HOUR_MS + 8 * MINUTE_MS);
                if kind != Kind::Retention {
                    self.compact(&process)?;
                    self.wait_until(start + 2 * HOUR_MS + 10 * MINUTE_MS);
                }
                if kind == Kind::Orphan {
                    self.crash_before_commit();
                }
                Ok(Vec::new())
            }
            Kind::Rules => {
                let plan = DiscoverTask { from: start + MINUTE_MS, until: start + 4 * MINUTE_MS };
                self.handle(&process.planner, plan)?;
                self.wait_until(start + 4 * MINUTE_MS);
                let queue = &*process.platform.rule_queue;
                let mut tasks = self.receive(queue, 3, 1)?;
                tasks.sort_by_key(|(body, _)| {
                    wire::decode::<RuleTask>("task", body).map_or(0, |task| task.tick)
                });
                let ticks: Vec<RuleTask> =
                    tasks.iter().filter_map(|(body, _)| wire::decode("task", body).ok()).collect();
                // The first tick is over; of the two that follow, the earlier is delivered twice.
                Ok(self.at_ticks(&process, &tasks, &ticks))
            }
            Kind::Chain => {
                self.scrape_window(&process, start + MINUTE_MS)?;
                let messages = self.plan_window(&process, start + 2 * MINUTE_MS)?;
                let first = self.receive(&*process.platform.scrape_queue, messages, 2)?;
                // The next message of the same targets differs in its tick.
                let next = |(body, receipt): &(Bytes, Receipt)| {
                    let mut task: ScrapeTask = wire::decode("task", body).ok()?;
                    task.tick += MINUTE_MS;
                    Some((Bytes::from(wire::encode(&task)), receipt.clone()))
                };
                let second: Vec<(Bytes, Receipt)> = first.iter().filter_map(next).collect();
                Ok(first.into_iter().chain(second).collect())
            }
            Kind::Expire => {
                self.scrape_window(&process, start + MINUTE_MS)?;
                self.wait_until(start + 40 * MINUTE_MS);
                Ok(Vec::new())
            }
            Kind::Plan => Ok(Vec::new()),
        }
    }

    fn crash_before_commit(&self) {
        self.sim.set_faults(CrashAtCommit);
        self.spawn_compact("crash", 9);
        self.sim.run_for(Duration::from_millis(1));
        self.sim.heal();
    }

    fn at_ticks(
        &self,
        process: &Process,
        tasks: &[(Bytes, Receipt)],
        ticks: &[RuleTask],
    ) -> Vec<(Bytes, Receipt)> {
        let mut deliveries = Vec::new();
        for (nth, (task, delivery)) in ticks.iter().zip(tasks).enumerate() {
            if nth == 0 {
                let _ = self.handle(&process.ruler, task.clone());
                continue;
            }
            deliveries.push(delivery.clone());
            if nth == 1 {
                deliveries.push(delivery.clone());
            }
        }
        deliveries
    }

    fn handle<H: Handler>(&self, handler: &H, task: H::Task) -> Result<(), Violation> {
        let handled = self.run(handler.handle(task, FOREVER))?;
        handled.map_err(|error| Violation::new("Halt", error.to_string()))
    }

    fn write_targets(&self, targets: &[u32]) {
        self.sim.write_file("/sd.json", Fleet::file(&targets.iter().copied().collect::<BTreeSet<u32>>()));
    }

    fn publish(&self) -> Result<(), Violation> {
        let yml = format!(
            "global: {{scrape_interval: 60s, scrape_timeout: {}s, evaluation_interval: 60s}}\nrule_files: [{FILE}]\n\
             scrape_configs: [{{job_name: {POOL}, file_sd_configs: [{{files: [/sd.json]}}]}}]\n",
            if self.scenario.kind == Kind::WriteSlow { 60 } else { 10 }
        );
        let bundle = ConfigBundle {
            v: 1,
            path: "/prometheus.yml".to_owned(),
            prometheus_yml: yml,
            rule_files: vec![RuleFileText { path: FILE.to_owned(), text: RULES.to_owned() }],
        };
        let platform = self.sim.platform();
        let published = self.run(async move { control::publish_config(&platform, &bundle).await })?;
        published.map(|_| ()).map_err(|error| Violation::new("Halt", error.to_string()))
    }

    /// Plans the scrapes of a minute; how many messages there are.
    fn plan_window(&self, process: &Process, from: i64) -> Result<usize, Violation> {
        self.handle(&process.discovery, DiscoverTask { from, until: from + MINUTE_MS })?;
        Ok(self.sim.queue_depths()[0].messages)
    }

    fn scrape_window(&self, process: &Process, from: i64) -> Result<(), Violation> {
        let messages = self.plan_window(process, from)?;
        for (body, receipt) in self.receive(&*process.platform.scrape_queue, messages, 1)? {
            let task: ScrapeTask =
                wire::decode("task", &body).map_err(|error| Violation::new("Halt", error.to_string()))?;
            process.begin_task((task.tick, task.shard));
            self.handle(&process.scraper, task.clone())?;
            acknowledge(&self.ledger, &task, self.sim.now_ms());
            let deleted = self.run(process.platform.scrape_queue.delete(&receipt))?;
            deleted.map_err(|error| Violation::new("Halt", error.to_string()))?;
        }
        Ok(())
    }

    fn compact(&self, process: &Process) -> Result<(), Violation> {
        self.handle(&process.compactor, CompactTask { tick: self.sim.now_ms(), work: CompactWork::All })
    }

    /// Receives all of so many messages as soon as they are due, each so often.
    fn receive(
        &self,
        queue: &dyn Queue,
        messages: usize,
        times: usize,
    ) -> Result<Vec<(Bytes, Receipt)>, Violation> {
        const WAIT: Duration = Duration::from_secs(600);
        let mut received = Vec::new();
        for time in 1..=times {
            let hidden = Duration::from_secs(if time == times { 43_200 } else { 0 });
            while received.len() < messages * time {
                let some = self.run(queue.receive(messages, hidden, WAIT))?;
                let some = some.map_err(|error| Violation::new("Halt", error.to_string()))?;
                if some.is_empty() {
                    return Err(Violation::new("L2", "a message does not come"));
                }
                received.extend(some.into_iter().map(|message| (message.body, message.receipt)));
            }
        }
        Ok(received)
    }

    /// Starts the invocations of the scenario.
    pub fn spawn_all(&self) {
        match self.scenario.kind {
            Kind::Write => {
                self.spawn_scrapes();
                self.spawn_clock();
                self.spawn_compact("compact 1", 3);
                self.spawn_compact("compact 2", 4);
                self.spawn_collect(5);
                self.spawn_reader(6);
            }
            Kind::Chain => {
                self.spawn_scrapes();
                self.spawn_reader(6);
            }
            Kind::WriteSmall | Kind::WriteBulky | Kind::WriteSlow => {
                self.spawn_scrapes();
                self.spawn_clock();
                self.spawn_compact("compact 1", 3);
                self.spawn_reader(6);
            }
            Kind::MergeTwice => {
                self.spawn_compact("compact 1", 3);
                self.spawn_compact("compact 2", 4);
            }
            Kind::Delete => {
                self.spawn_delete(2);
                self.spawn_compact("compact 1", 3);
                self.spawn_reader(6);
            }
            Kind::Expire => {
                self.spawn_compact("compact 1", 3);
                self.spawn_collect(5);
                self.spawn_reader(6);
            }
            Kind::Orphan => {
                self.spawn_compact("compact 1", 3);
                self.spawn_collect(5);
            }
            Kind::Merge | Kind::MergeParts | Kind::Retention => {
                self.spawn_compact("compact 1", 3);
                self.spawn_compact("compact 2", 4);
                self.spawn_collect(5);
                self.spawn_reader(6);
            }
            Kind::Rules => {
                for (nth, (body, receipt)) in self.scenario.deliveries.iter().enumerate() {
                    self.spawn_rule(nth, body, receipt);
                }
                self.spawn_reader(6);
            }
            Kind::Plan => {
                self.spawn_plan(1);
                self.spawn_plan(2);
                let handle = (*self.sim).clone();
                self.sim.spawn("operator", async move {
                    handle.jump(Duration::from_millis(1)).await;
                    let targets: BTreeSet<u32> = [0, 1].into_iter().collect();
                    handle.write_file("/sd.json", Fleet::file(&targets));
                    handle.observe(2);
                });
            }
        }
    }

    fn spawn_clock(&self) {
        const PASSES: Duration = Duration::from_secs(15 * 60);
        let handle = (*self.sim).clone();
        self.sim.spawn("time", async move { handle.jump(PASSES).await });
    }

    /// Starts a sandbox for each delivery of a message; where there are several messages, it handles one after the other.
    fn spawn_scrapes(&self) {
        let tasks: Vec<(ScrapeTask, Receipt)> = self
            .scenario
            .deliveries
            .iter()
            .filter_map(|(body, receipt)| Some((wire::decode("task", body).ok()?, receipt.clone())))
            .collect();
        for nth in 0..2 {
            let process = self.process(nth + 1);
            let mine: Vec<(ScrapeTask, Receipt)> = tasks.iter().skip(nth).step_by(2).cloned().collect();
            let (ledger, handle, mutant) =
                (Arc::clone(&self.ledger), (*self.sim).clone(), self.scenario.mutant);
            self.sim.spawn(&format!("scrape {}", nth + 1), async move {
                for (task, receipt) in mine {
                    // The second sandbox gets its next message first.
                    let due = task.tick + i64::from(nth == 0);
                    let wait = u64::try_from(due - handle.now_ms()).unwrap_or(0);
                    if wait > 1_000 {
                        process.platform.clock.sleep(Duration::from_millis(wait)).await;
                    }
                    scrape(&process, &ledger, &handle, mutant, task, receipt).await;
                }
            });
        }
    }

    fn spawn_rule(&self, nth: usize, body: &Bytes, receipt: &Receipt) {
        let Ok(task) = wire::decode::<RuleTask>("task", body) else { return };
        let (process, ledger, receipt) = (self.process(nth + 1), Arc::clone(&self.ledger), receipt.clone());
        self.sim.spawn(&format!("rule {nth}"), async move {
            let done = match process.ruler.handle(task, FOREVER).await {
                Ok(()) => true,
                Err(error) => judge(&ledger, error.retry(), &error),
            };
            if done {
                let _ = process.platform.rule_queue.delete(&receipt).await;
            }
        });
    }

    fn spawn_plan(&self, nth: usize) {
        let (process, ledger) = (self.process(nth), Arc::clone(&self.ledger));
        let from = self.sim.now_ms() + MINUTE_MS;
        self.sim.spawn(&format!("discover {nth}"), async move {
            let task = DiscoverTask { from, until: from + MINUTE_MS };
            if let Err(error) = process.discovery.handle(task, FOREVER).await {
                judge(&ledger, discovery_function::Discovery::retry(&error), &error);
            }
        });
    }

    fn spawn_compact(&self, name: &str, process: usize) {
        let (process, ledger) = (self.process(process), Arc::clone(&self.ledger));
        self.sim.spawn(name, async move {
            let task = CompactTask { tick: i64::MAX, work: CompactWork::All };
            if let Err(error) = process.compactor.handle(task, FOREVER).await {
                judge(&ledger, error.retry(), &error);
            }
        });
    }

    fn spawn_collect(&self, process: usize) {
        let (process, ledger) = (self.process(process), Arc::clone(&self.ledger));
        self.sim.spawn("collect", async move {
            let task = CollectTask { tick: i64::MAX };
            if let Err(error) = process.collector.handle(task, FOREVER).await {
                judge(&ledger, compactor_function::Collector::retry(&error), &error);
            }
        });
    }

    fn spawn_delete(&self, process: usize) {
        let (process, ledger, handle) =
            (self.process(process), Arc::clone(&self.ledger), (*self.sim).clone());
        let deletion = Deletion {
            metric: "raw".to_owned(),
            min: 0,
            max: handle.now_ms() - 10 * MINUTE_MS,
            acked: false,
        };
        lock(&ledger).deletions.push(deletion.clone());
        self.sim.spawn("delete", async move {
            let matchers: Vec<_> = audit::metric(&deletion.metric).into_iter().collect();
            let deleted = process.store.delete_series(&[matchers], deletion.min, deletion.max).await;
            match deleted {
                Ok(_) => {
                    for deletion in &mut lock(&ledger).deletions {
                        deletion.acked = true;
                    }
                    handle.observe(3);
                }
                Err(error) => {
                    judge(&ledger, error.retry(), &error);
                }
            }
        });
    }

    fn spawn_reader(&self, process: usize) {
        let process = self.process(process);
        let (ledger, oracle, watch) =
            (Arc::clone(&self.ledger), Arc::clone(&self.oracle), Arc::clone(&self.watch));
        let (handle, retention_ms) = ((*self.sim).clone(), self.scenario.settings.retention_ms);
        self.sim.spawn("reader", async move {
            let now = handle.now_ms();
            let promised = audit::promised(&ledger, 0, now);
            handle.learn(promised.tasks.len() as u64 * 10 + promised.deletions.len() as u64);
            // A reader that fails under faults tries again later.
            let view = match audit::read(&process.store, &watch, 0, now, retention_ms).await {
                Ok(view) => view,
                Err(violation) => {
                    // A port may have failed; what is stored must not be wrong.
                    if violation.detail.contains("orrupt") {
                        lock(&ledger).violate(violation);
                    }
                    return;
                }
            };
            handle.observe(hash_rows(&view.rows));
            let mut ledger = lock(&ledger);
            if let Err(violation) = lock(&oracle).check(&view, &promised, &ledger) {
                ledger.violate(violation);
            }
        });
    }

    /// After everything has ended and what was late has landed: all that was promised is there, stays there when it is
    /// compacted and collected, and nothing else is left.
    ///
    /// # Errors
    /// The first violation.
    pub fn audit(&self) -> Result<(), Violation> {
        self.sim.end_exploration();
        self.sim.heal();
        let mut head = HeadAudit::default();
        head.check(&self.sim, &self.watch)?;
        if self.scenario.kind == Kind::Plan {
            return self.audit_plan();
        }
        self.audit_view()?;
        if self.scenario.kind == Kind::Rules {
            return self.audit_rules();
        }
        // Now, for a merge takes once what is there twice.
        self.audit_blocks(&mut head)?;
        let process = self.process(7);
        for hours in [1, 30] {
            self.wait_until(self.sim.now_ms() + hours * HOUR_MS);
            self.compact(&process)?;
            head.check(&self.sim, &self.watch)?;
            for _ in 0..2 {
                self.handle(&process.collector, CollectTask { tick: self.sim.now_ms() })?;
            }
            head.check(&self.sim, &self.watch)?;
            self.audit_view()?;
        }
        let Some(manifest) = self.audit_blocks(&mut head)? else { return Ok(()) };
        let key = self.watch.head().and_then(|(_, head)| head.manifest);
        // The last day's layouts stay until their day is over.
        let garbage = audit::garbage(&self.sim, Some(&manifest), key.as_deref());
        match garbage.first() {
            Some(first) => Err(Violation::new("L5", format!("{first} is garbage"))),
            None => Ok(()),
        }
    }

    /// No sample is in two blocks.
    fn audit_blocks(&self, head: &mut HeadAudit) -> Result<Option<Arc<Manifest>>, Violation> {
        let Some(manifest) = head.check(&self.sim, &self.watch)? else { return Ok(None) };
        let objects = self.sim.platform().objects;
        match self.run(audit::doubled(&objects, &manifest))?? {
            0 => Ok(Some(manifest)),
            doubled => Err(Violation::new("S2", format!("{doubled} samples are in two blocks"))),
        }
    }

    fn audit_view(&self) -> Result<(), Violation> {
        let process = self.process(8);
        let now = self.sim.now_ms();
        let promised = audit::promised(&self.ledger, 0, now);
        let view =
            self.run(audit::read(&process.store, &self.watch, 0, now, self.scenario.settings.retention_ms))??;
        lock(&self.oracle).check(&view, &promised, &lock(&self.ledger)).map(|_| ())
    }

    /// The group remembers the last tick that anybody evaluated.
    fn audit_rules(&self) -> Result<(), Violation> {
        let platform = self.sim.platform();
        let register = self.run(async move { control::group_state(&platform, FILE, "g").await })?;
        let register = register.map_err(|error| Violation::new("S12", error.to_string()))?;
        let process = self.process(8);
        let now = self.sim.now_ms();
        let view = self.run(audit::read(&process.store, &self.watch, 0, now, None))??;
        let recorded = view.rows.iter().find(|(labels, _)| labels.metric_name() == "rule:time");
        let ticks: Vec<i64> =
            recorded.into_iter().flat_map(|(_, samples)| samples).map(|(at, _)| *at).collect();
        if register.version as usize > ticks.len() || !ticks.contains(&register.state.last_tick) {
            let detail = format!(
                "the state has version {} and last tick {}; recorded are {ticks:?}",
                register.version, register.state.last_tick
            );
            return Err(Violation::new("S12", detail));
        }
        Ok(())
    }

    /// Whatever became of the attempts, no target is in two batches of a tick.
    fn audit_plan(&self) -> Result<(), Violation> {
        let queue = self.sim.platform().scrape_queue;
        self.wait_until(self.sim.now_ms() + 3 * MINUTE_MS);
        let received = self.run(queue.receive(100, Duration::from_secs(60), Duration::ZERO))?;
        let received = received.map_err(|error| Violation::new("Halt", error.to_string()))?;
        let mut batches: std::collections::BTreeMap<TaskName, Bytes> = std::collections::BTreeMap::new();
        for message in received {
            let Ok(task) = wire::decode::<ScrapeTask>("task", &message.body) else { continue };
            let name = (task.tick, task.shard);
            if let Some(other) = batches.insert(name, message.body.clone())
                && other != message.body
            {
                return Err(Violation::new("S1", format!("two different batches are named {name:?}")));
            }
        }
        Ok(())
    }
}

/// The first compare-and-set is never done: its caller crashes.
struct CrashAtCommit;

impl FaultPlan for CrashAtCommit {
    fn fate(&mut self, situation: &Situation<'_>, _: &mut Random) -> Fate {
        match situation.operation {
            Operation::RowCompareAndSet => Fate::CrashBefore,
            _ => Fate::Ok,
        }
    }
}

/// Handles a delivery of a scrape task, and acknowledges it.
async fn scrape(
    process: &Process,
    ledger: &Mutex<Ledger>,
    handle: &platform_sim::Handle,
    mutant: Option<Mutant>,
    task: ScrapeTask,
    receipt: Receipt,
) {
    let queue = Arc::clone(&process.platform.scrape_queue);
    process.begin_task((task.tick, task.shard));
    let promise = |task: &ScrapeTask| {
        acknowledge(ledger, task, handle.now_ms());
        handle.observe(hash(&(task.tick, task.shard)));
    };
    if mutant == Some(Mutant::AcknowledgeFirst) {
        promise(&task);
        let _ = queue.delete(&receipt).await;
    }
    let before = process.metrics.missed_total("scraper");
    let handled = process.scraper.handle(task.clone(), FOREVER).await;
    let missed = process.metrics.missed_total("scraper") > before;
    let done = match &handled {
        Ok(()) => true,
        Err(error) => {
            let retry = scraper_function::Scraper::retry(error);
            judge(ledger, retry, error) || mutant == Some(Mutant::AcknowledgeFailures)
        }
    };
    if done {
        if !missed {
            promise(&task);
        }
        let _ = queue.delete(&receipt).await;
    }
}

/// Whether a failed task is not to be tried again. Nothing in these worlds gives a reason for that.
fn judge(ledger: &Mutex<Ledger>, retry: Retry, error: &dyn std::error::Error) -> bool {
    if retry == Retry::Never {
        lock(ledger).violate(Violation::new("Halt", error.to_string()));
    }
    retry == Retry::Never
}

fn acknowledge(ledger: &Mutex<Ledger>, task: &ScrapeTask, now: i64) {
    let targets = task.targets.iter().filter_map(|target| {
        let address = target.url.strip_prefix("http://")?.split('/').next()?;
        Some((Fleet::target_of(address)?, scrape_due(target.offset_ms, target.interval_ms, task.tick)))
    });
    let acked = AckedTask { task: (task.tick, task.shard), targets: targets.collect(), acked_at: now };
    lock(ledger).acknowledge(acked);
}

fn hash<T: fmt::Debug>(what: &T) -> u64 {
    xxhash_rust::xxh3::xxh3_64(format!("{what:?}").as_bytes())
}

fn hash_rows(rows: &Rows) -> u64 {
    rows.iter().fold(0, |sum, row| hash(&row).wrapping_add(sum.wrapping_mul(3)))
}
