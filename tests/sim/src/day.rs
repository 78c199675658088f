//! Simulated days: the whole pipeline under faults, audited every hour; then the faults stop, and what is owed must be
//! done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::Labels;
use platform::Clock;
use platform_sim::{Counters, Fate, Random, World, WorldOptions};
use storage::{Coverage, Scrape, ScrapeSample, SourceId};
use tsdb::{Appended, Settings, Shard};
use wire::{CollectTask, CompactTask, CompactWork, ConfigBundle, DiscoverTask, Manifest, RuleFileText};

use crate::audit::{self, HeadAudit};
use crate::chaos::{Chaos, FateKey, Injected};
use crate::fleet::{Fleet, POOL};
use crate::ledger::{Deletion, Ledger, Violation};
use crate::lock;
use crate::marks::Marks;
use crate::mutant::{Hooks, Mutant};
use crate::oracle::{Audited, Oracle, View};
use crate::plan::Plan;
use crate::process::{MakeProcess, Process, Sandboxes};
use crate::rules::{FILE, RULES};
use crate::watch::Watch;
use crate::workers::{Scheduled, Workers};

const MINUTE: Duration = Duration::from_secs(60);
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
/// An audit looks back so far; every few hours, at everything.
const AUDIT_MS: i64 = 3 * HOUR_MS;
/// Hours between audits of everything.
const FULL_EVERY: u32 = 6;
/// Hours of ordinary work after the faults have stopped.
const HEAL_HOURS: u32 = 1;

/// What a history was.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What must never happen and did.
    pub violations: Vec<Violation>,
    /// Injected faults, in order.
    pub fates: Vec<(FateKey, Fate)>,
    /// The latest effects, oldest first, for people.
    pub last_effects: Vec<String>,
    /// Equal for equal plans.
    pub trace_hash: u64,
    /// Figures.
    pub figures: Figures,
}

/// The denominators.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Virtual time under faults, ms.
    pub virtual_ms: i64,
    /// Calls of ports.
    pub port_calls: u64,
    /// Injected faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Crashed invocations.
    pub crashes: u64,
    /// Messages delivered twice at once.
    pub duplicates: u64,
    /// Sandboxes started.
    pub sandboxes: u64,
    /// Commits.
    pub commits: u64,
    /// Views audited.
    pub audits: u64,
    /// What they looked at.
    pub audited: Audited,
    /// Scrapes acknowledged as written.
    pub scrapes: u64,
    /// Tasks acknowledged as missed.
    pub missed: u64,
    /// Pushed samples acknowledged.
    pub pushed: u64,
    /// Sometimes-marks.
    pub marks: BTreeMap<&'static str, u64>,
}

impl Figures {
    /// Adds another history's.
    pub fn add(&mut self, other: &Self) {
        self.virtual_ms += other.virtual_ms;
        self.port_calls += other.port_calls;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.crashes += other.crashes;
        self.duplicates += other.duplicates;
        self.sandboxes += other.sandboxes;
        self.commits += other.commits;
        self.audits += other.audits;
        self.audited.add(other.audited);
        self.scrapes += other.scrapes;
        self.missed += other.missed;
        self.pushed += other.pushed;
        for (mark, count) in &other.marks {
            *self.marks.entry(mark).or_default() += count;
        }
    }
}

/// Runs a history to its end, or to its first violation.
#[must_use]
pub fn run(plan: &Plan) -> Outcome {
    let mut day = Day::new(plan.clone());
    let result = day.live().and_then(|()| day.heal());
    day.outcome(result.err())
}

struct Day {
    plan: Plan,
    world: World,
    ledger: Arc<Mutex<Ledger>>,
    marks: Arc<Marks>,
    watch: Arc<Watch>,
    workers: Workers,
    injected: Arc<Mutex<Injected>>,
    oracle: Oracle,
    head: HeadAudit,
    random: Random,
    targets: BTreeSet<u32>,
    interval_s: u64,
    retention_ms: Option<i64>,
    settings: Settings,
    /// A reader that lives on between audits.
    old_reader: Option<Arc<Process>>,
    start_ms: i64,
    audits: u64,
    audited: Audited,
    /// What may be deleted of the ledger: its promises have been looked at in full.
    hooks: Arc<Hooks>,
}

impl Day {
    fn new(plan: Plan) -> Self {
        let options = WorldOptions { records_kept: plan.records, ..WorldOptions::new(plan.seed) };
        let world = World::with(options);
        let start_ms = world.now_ms();
        let fleet = Arc::new(Fleet::new(plan.seed, plan.behaviour()));
        let serving = Arc::clone(&fleet);
        world.serve(move |request, now| serving.answer(request, now));
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let marks = Arc::new(Marks::default());
        let watch = Watch::new((*world).clone(), Arc::clone(&ledger), Arc::clone(&marks));
        let injected = Arc::new(Mutex::new(Injected::default()));
        let hooks = Arc::new(Hooks::new(plan.mutant, (*world).clone()));
        let settings = hooks.settings(plan.settings());
        let sandboxes = Arc::new(Sandboxes::new(maker(&world, &watch, &hooks, settings.clone(), plan.skew)));
        let workers = Workers {
            world: (*world).clone(),
            sandboxes,
            ledger: Arc::clone(&ledger),
            marks: Arc::clone(&marks),
            injected: Arc::clone(&injected),
            visibility: plan.visibility(),
            ack_first: plan.mutant == Some(Mutant::AcknowledgeFirst),
            ack_failed: plan.mutant == Some(Mutant::AcknowledgeFailures),
        };
        let oracle = Oracle::new(Arc::clone(&fleet), settings.staleness_gap_ms);
        let random = world.random("day");
        Self {
            targets: (0..plan.targets).collect(),
            interval_s: plan.interval_s(),
            retention_ms: settings.retention_ms,
            world,
            ledger,
            marks,
            watch,
            workers,
            injected,
            oracle,
            head: HeadAudit::default(),
            random,
            settings,
            old_reader: None,
            start_ms,
            audits: 0,
            audited: Audited::default(),
            hooks,
            plan,
        }
    }

    /// The time with faults.
    fn live(&mut self) -> Result<(), Violation> {
        self.write_targets();
        self.publish_config();
        let until_ms = self.start_ms + i64::from(self.plan.hours) * HOUR_MS;
        let (swarm, freeze) = self.plan.swarm(self.start_ms, until_ms);
        let keep = self.plan.keep.clone();
        self.world.set_faults(Chaos::new(swarm, freeze, keep, Arc::clone(&self.injected)));
        for _ in 0..2 {
            self.world.spawn("esm scrape", self.workers.clone().scrape_loop());
        }
        self.world.spawn("esm rule", self.workers.clone().rule_loop());
        for minute in 0..self.plan.hours * 60 {
            self.minute(minute, self.plan.schedules)?;
            if self.plan.changes {
                self.operate();
            }
            if minute % 60 == 59 {
                self.audit(minute / 60 % FULL_EVERY == FULL_EVERY - 1)?;
            }
        }
        Ok(())
    }

    /// Fires what is due, and lets a minute pass.
    fn minute(&mut self, minute: u32, unreliable: bool) -> Result<(), Violation> {
        let now = self.world.now_ms();
        let from = now - now.rem_euclid(MINUTE_MS) + MINUTE_MS;
        let window = DiscoverTask { from, until: from + MINUTE_MS };
        self.fire(&format!("discover {from}"), &Scheduled::Discover(window.clone()), unreliable);
        self.fire(&format!("plan {from}"), &Scheduled::Plan(window), unreliable);
        if minute % 5 == 2 {
            self.fire(
                &format!("compact {from}"),
                &Scheduled::Compact(CompactTask { tick: now, work: CompactWork::All }),
                unreliable,
            );
        }
        if minute % 30 == 17 {
            self.fire(&format!("collect {from}"), &Scheduled::Collect(CollectTask { tick: now }), unreliable);
        }
        if self.plan.pushes && self.random.chance(0.2) {
            self.push(now);
        }
        self.world.run_for(MINUTE);
        self.watch.look_for_zombies();
        self.head.check(&self.world, &self.watch)?;
        match lock(&self.ledger).violations.first() {
            Some(violation) => Err(violation.clone()),
            None => Ok(()),
        }
    }

    /// Fires a schedule once, or, where it is unreliable, twice, late, or not at all.
    fn fire(&mut self, name: &str, scheduled: &Scheduled, unreliable: bool) {
        let (chance, late) = (self.random.unit(), self.random.below(240));
        let delays: &[u64] = match chance {
            _ if !unreliable => &[0],
            0.0..0.01 => &[],
            0.01..0.04 => &[late],
            0.04..0.1 => &[0, late],
            0.1..0.15 => &[0, 0],
            _ => &[0],
        };
        for (twin, delay) in delays.iter().enumerate() {
            let name = format!("{name} {}", ["a", "b"][twin & 1]);
            let (workers, scheduled) = (self.workers.clone(), scheduled.clone());
            let delay = Duration::from_secs(*delay);
            self.world.spawn("schedule", async move { workers.fire(name, delay, scheduled).await });
        }
    }

    /// What operators and the world outside do now and then.
    fn operate(&mut self) {
        let now = self.world.now_ms();
        if self.random.chance(0.01) {
            self.change_targets(now);
        }
        if self.random.chance(0.003) {
            self.interval_s = [30, 60, 120][usize::try_from(self.random.below(3)).unwrap_or(0)];
            self.publish_config();
            self.marks.hit("config_reloaded");
        }
        if self.random.chance(0.01) {
            let queue = self.world.scrape_queue();
            self.marks.hits("dlq_redriven", queue.depth().dead_letters as u64);
            queue.redrive();
            self.world.rule_queue().redrive();
        }
        if self.random.chance(0.01) {
            self.workers.sandboxes.recycle(None);
        }
        if self.random.chance(0.002) {
            self.delete(now);
        }
        if self.random.chance(0.001) && self.retention_ms.is_some_and(|retention| retention > 12 * HOUR_MS) {
            // A shorter retention, from the next cold start on.
            self.retention_ms = Some(12 * HOUR_MS);
            let settings = Settings { retention_ms: self.retention_ms, ..self.settings.clone() };
            let make = maker(&self.world, &self.watch, &self.hooks, settings, self.plan.skew);
            self.workers.sandboxes.recycle(Some(make));
            self.old_reader = None;
        }
    }

    /// Somebody deletes a metric's samples of some hours, until it is told that it is done.
    fn delete(&mut self, now: i64) {
        let hours = |random: &mut Random| i64::try_from(random.below(10)).unwrap_or(0) * HOUR_MS;
        let max = now - 10 * MINUTE_MS - hours(&mut self.random);
        let min = max - hours(&mut self.random) - HOUR_MS;
        let (workers, clean) = (self.workers.clone(), self.random.chance(0.3));
        self.world.spawn("admin", async move { delete(workers, min, max, clean).await });
    }

    fn change_targets(&mut self, now: i64) {
        const TARGETS_MAX: u64 = 8;
        let target = u32::try_from(self.random.below(TARGETS_MAX)).unwrap_or(0);
        if !self.targets.remove(&target) {
            self.targets.insert(target);
            let mut ledger = lock(&self.ledger);
            if let Some(absent) = ledger.absent.iter_mut().rfind(|(other, _, _)| *other == target) {
                absent.2 = now + 10 * MINUTE_MS;
            }
        } else if self.targets.is_empty() {
            self.targets.insert(target);
        } else {
            lock(&self.ledger).absent.push((target, now - 10 * MINUTE_MS, i64::MAX));
            self.marks.hit("target_ended");
        }
        self.write_targets();
    }

    fn write_targets(&self) {
        self.world.write_file("/sd.json", Fleet::file(&self.targets));
    }

    fn publish_config(&self) {
        let yml = format!(
            "global: {{scrape_interval: {}s, scrape_timeout: 10s, evaluation_interval: 60s}}\n\
             rule_files: [{FILE}]\n\
             alerting: {{alertmanagers: [{{static_configs: [{{targets: ['am:9093']}}]}}]}}\n\
             scrape_configs:\n  - job_name: {POOL}\n    file_sd_configs: [{{files: [/sd.json]}}]\n",
            self.interval_s
        );
        let bundle = ConfigBundle {
            v: 1,
            path: "/prometheus.yml".to_owned(),
            prometheus_yml: yml,
            rule_files: vec![RuleFileText { path: FILE.to_owned(), text: RULES.to_owned() }],
        };
        let platform = self.world.platform();
        let _ = self.world.run(async move { control::publish_config(&platform, &bundle).await });
    }

    /// A client pushes samples of any age until it is told that they are stored.
    fn push(&mut self, now: i64) {
        let mut samples = Vec::new();
        for _ in 0..=self.random.below(4) {
            let age =
                if self.random.chance(0.5) { self.random.below(600) } else { self.random.below(20 * 3_600) };
            let at = (now - i64::try_from(age * 1_000).unwrap_or(0)).max(self.start_ms);
            let client = self.random.below(3).to_string();
            let labels = Labels::from_pairs([("__name__", "pushed"), ("client", &client)]);
            // Its value follows from its time, so that what is pushed twice is equal.
            let value = (at / 1_000) as f64 + 0.5;
            if samples.iter().all(|(other, at_other, _)| (other, *at_other) != (&labels, at)) {
                samples.push((labels, at, value));
            }
        }
        {
            let mut ledger = lock(&self.ledger);
            for (labels, at, value) in &samples {
                if ledger.offered.insert((labels.clone(), *at), value.to_bits()).is_some() {
                    ledger.offered_again += 1;
                }
            }
        }
        let (workers, name) = (self.workers.clone(), format!("push {now}"));
        self.world.spawn("client", async move { push(workers, name, samples).await });
    }

    /// Looks at everything that readers of all kinds see: of the last hours, or of all time.
    fn audit(&mut self, full: bool) -> Result<(), Violation> {
        let now = self.world.now_ms();
        let from = if full { 0 } else { now - AUDIT_MS };
        let view = self.audit_by(None, from)?;
        let old = self.old_reader.take();
        let old = old.unwrap_or_else(|| self.workers.sandboxes.fresh());
        if !full {
            self.audit_by(Some(&old), from)?;
        }
        self.old_reader = (!full).then(|| Arc::clone(&old));
        let target = u32::try_from(self.random.below(u64::from(self.plan.targets))).unwrap_or(0);
        let asked = self.in_world(async move { audit::query(&old, &view, target, now).await })?;
        self.audited.samples += asked;
        if full {
            self.audit_blocks()?;
        }
        Ok(())
    }

    fn audit_by(&mut self, process: Option<&Arc<Process>>, from: i64) -> Result<View, Violation> {
        let process = process.map_or_else(|| self.workers.sandboxes.fresh(), Arc::clone);
        let (watch, retention_ms, now) = (Arc::clone(&self.watch), self.retention_ms, self.world.now_ms());
        let promised = audit::promised(&self.ledger, from, now);
        let view =
            self.in_world(async move { audit::read(&process.store, &watch, from, now, retention_ms).await })?;
        let checked = self.oracle.check(&view, &promised, &lock(&self.ledger));
        match checked {
            Ok(audited) => self.audited.add(audited),
            Err(violation) => return Err(self.explained(violation)),
        }
        self.audits += 1;
        Ok(view)
    }

    /// A violation, and whether the blocks one by one are sound.
    fn explained(&mut self, violation: Violation) -> Violation {
        let blocks = match self.audit_blocks() {
            Ok(()) => "the blocks one by one are sound".to_owned(),
            Err(other) => format!("and {other}"),
        };
        let watermark = self.watch.head().map_or(0, |(_, head)| head.watermark);
        let mut detail = format!("{}; {blocks}; watermark {watermark}", violation.detail);
        if let Some((labels, at)) = violation.sample.clone()
            && let Ok(Some(manifest)) = self.head.check(&self.world, &self.watch)
        {
            let objects = self.world.platform().objects;
            let located = self.in_world(async move { audit::locate(&objects, &manifest, &labels, at).await });
            detail.push_str(&located.unwrap_or_default());
        }
        Violation { detail, ..violation }
    }

    /// No sample is in two blocks, except for those that were offered twice.
    fn audit_blocks(&mut self) -> Result<(), Violation> {
        let Some(manifest) = self.head.check(&self.world, &self.watch)? else { return Ok(()) };
        let objects = self.world.platform().objects;
        let checked = Arc::clone(&manifest);
        let doubled = self.in_world(async move { audit::doubled(&objects, &checked).await });
        let doubled = match doubled {
            // Somebody merged them meanwhile, and they were collected.
            Err(_) if self.head.check(&self.world, &self.watch)?.as_ref() != Some(&manifest) => return Ok(()),
            doubled => doubled?,
        };
        let allowed = {
            let ledger = lock(&self.ledger);
            // A push that is tried again at another instant may be stored under two names.
            ledger.offered_again + ledger.offered.len() as u64
        };
        if doubled > allowed {
            let detail = format!("{doubled} samples are in two blocks; {allowed} were given twice");
            return Err(Violation::new("S2", detail));
        }
        Ok(())
    }

    fn in_world<T>(&self, work: impl Future<Output = Result<T, Violation>>) -> Result<T, Violation> {
        match self.world.run(work) {
            platform_sim::Ended::Done(done) => done,
            _ => Err(Violation::new("L1", "a reader waits for ever")),
        }
    }

    /// The faults stop: what is owed is done within its bounds, and nothing is left over.
    fn heal(&mut self) -> Result<(), Violation> {
        self.world.heal();
        // What is late lands within four hours, what is frozen thaws within six.
        let minutes = if self.plan.faults { 6 * 60 + 10 } else { 10 };
        for minute in 0..minutes {
            self.quiet_minute(minute)?;
        }
        for minute in 0..HEAL_HOURS * 60 {
            self.minute(minute, false)?;
        }
        self.check_liveness()?;
        self.audit(true)?;
        self.idle()
    }

    /// Only what keeps the store going.
    fn quiet_minute(&mut self, minute: u32) -> Result<(), Violation> {
        if minute.is_multiple_of(10) {
            let now = self.world.now_ms();
            self.fire(
                &format!("heal {now}"),
                &Scheduled::Compact(CompactTask { tick: now, work: CompactWork::All }),
                false,
            );
        }
        self.world.run_for(MINUTE);
        self.watch.look_for_zombies();
        self.head.check(&self.world, &self.watch)?;
        Ok(())
    }

    /// L2, L3, L4, L6: targets are scraped and rules evaluated, compaction has caught up, queues hold little.
    fn check_liveness(&mut self) -> Result<(), Violation> {
        let now = self.world.now_ms();
        let view = self.audit_by(None, now - HOUR_MS)?;
        let newest = |name: &str, instance: Option<String>| {
            let rows = view.rows.iter().filter(|(labels, _)| {
                labels.metric_name() == name
                    && instance.as_deref().is_none_or(|instance| labels.get("instance") == Some(instance))
            });
            rows.filter_map(|(_, samples)| samples.last().map(|(at, _)| *at)).max().unwrap_or(0)
        };
        let interval_ms = i64::try_from(self.interval_s * 1_000).unwrap_or(0);
        for target in &self.targets {
            let at = newest("up", Some(Fleet::address(*target)));
            if now - at > 2 * interval_ms + MINUTE_MS {
                return Err(Violation::new(
                    "L2",
                    format!("target {target} was last scraped at {at}, now {now}"),
                ));
            }
        }
        let at = newest("rule:time", None);
        if now - at > 3 * MINUTE_MS {
            return Err(Violation::new("L3", format!("the rules were last evaluated at {at}, now {now}")));
        }
        let watermark = self.watch.head().map_or(0, |(_, head)| head.watermark);
        let debt = now - watermark;
        if debt > self.settings.window_ms + self.settings.grace_ms + 20 * MINUTE_MS {
            return Err(Violation::new("L4", format!("the watermark is {debt} ms behind")));
        }
        for depth in self.world.queue_depths() {
            if depth.messages > 100 {
                return Err(Violation::new("L6", format!("{} messages wait", depth.messages)));
            }
        }
        Ok(())
    }

    /// L5: when all has expired that does, only what the head names is left.
    fn idle(&mut self) -> Result<(), Violation> {
        const DAY: Duration = Duration::from_secs(86_400);
        let expiry = Duration::from_millis(self.settings.wal_expiry_ms.unsigned_abs());
        for pass in 0..4 {
            // First what is left is compacted: segments that expire before are lost.
            self.world.run_for(if pass == 1 { expiry + DAY } else { Duration::from_secs(3_600) });
            let now = self.world.now_ms();
            for (name, scheduled) in [
                ("compact", Scheduled::Compact(CompactTask { tick: now, work: CompactWork::All })),
                ("collect", Scheduled::Collect(CollectTask { tick: now })),
            ] {
                self.fire(&format!("idle {name} {pass}"), &scheduled, false);
                self.world.run_for(10 * MINUTE);
            }
        }
        if let Some(violation) = lock(&self.ledger).violations.first() {
            return Err(violation.clone());
        }
        let manifest: Option<Arc<Manifest>> = self.head.check(&self.world, &self.watch)?;
        let key = self.watch.head().and_then(|(_, head)| head.manifest);
        let garbage = audit::garbage(&self.world, manifest.as_deref(), key.as_deref());
        if let Some(first) = garbage.first() {
            let detail = format!("{} objects are garbage, the first is {first}", garbage.len());
            return Err(Violation::new("L5", detail));
        }
        Ok(())
    }

    fn outcome(self, violation: Option<Violation>) -> Outcome {
        let counters: Counters = self.world.counters();
        self.marks.hits("late_effect_landed", counters.late_landed);
        self.marks.hits("blocks_merged", self.head.merged.len() as u64);
        self.marks.hits("merge_in_parts", self.head.in_parts.len() as u64);
        self.marks.hits("retention_dropped", self.head.dropped);
        let injected = lock(&self.injected);
        let ledger = lock(&self.ledger);
        let figures = Figures {
            virtual_ms: i64::from(self.plan.hours) * HOUR_MS,
            port_calls: counters.effects,
            faults: counters.faults,
            crashes: counters.crashes,
            duplicates: counters.duplicates,
            sandboxes: self.workers.sandboxes.started(),
            commits: self.watch.commits(),
            audits: self.audits,
            audited: self.audited,
            scrapes: ledger.scrapes,
            missed: ledger.missed,
            pushed: ledger.pushed.len() as u64,
            marks: self.marks.counts(),
        };
        let records = self.world.records();
        Outcome {
            violations: violation.into_iter().collect(),
            fates: injected.fates.clone(),
            last_effects: records.iter().map(ToString::to_string).collect(),
            trace_hash: self.world.trace_hash(),
            figures,
        }
    }
}

/// How processes of a world are made.
fn maker(
    world: &World,
    watch: &Arc<Watch>,
    hooks: &Arc<Hooks>,
    settings: Settings,
    skewed: bool,
) -> MakeProcess {
    let (world, watch, hooks) = ((**world).clone(), Arc::clone(watch), Arc::clone(hooks));
    let random = Mutex::new(world.random("skew"));
    Arc::new(move || {
        let skew = i64::try_from(lock(&random).below(4_001)).unwrap_or(0) - 2_000;
        let platform = world.platform_skewed(if skewed { skew } else { 0 });
        Process::new(hooks.platform(watch.platform(platform)), settings.clone())
    })
}

/// Deletes until it is done.
async fn delete(workers: Workers, min: i64, max: i64, clean: bool) {
    const METRIC: &str = "raw";
    let clock: Arc<dyn Clock> = workers.world.platform().clock;
    let nth = {
        let deletions = &mut lock(&workers.ledger).deletions;
        deletions.push(Deletion { metric: METRIC.to_owned(), min, max, acked: false });
        deletions.len() - 1
    };
    for attempt in 0..20 {
        let name = format!("delete {min}-{max} {attempt}");
        let outcome = workers.invoke(&name, MINUTE, |process| async move {
            let matchers = vec![audit::metric(METRIC)?];
            process.store.delete_series(&[matchers], min, max).await.ok()?;
            if clean {
                process.store.clean_tombstones().await.ok()?;
            }
            Some(())
        });
        if let Some(Some(())) = outcome.await {
            if let Some(deletion) = lock(&workers.ledger).deletions.get_mut(nth) {
                deletion.acked = true;
            }
            workers.marks.hit("series_deleted");
            return;
        }
        clock.sleep(Duration::from_secs(10)).await;
    }
}

/// Pushes until it is stored. The segment is named by its content, and by the instant of the attempt.
async fn push(workers: Workers, name: String, samples: Vec<(Labels, i64, f64)>) {
    let clock: Arc<dyn Clock> = workers.world.platform().clock;
    let text = format!("{samples:?}");
    let hash = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
    for attempt in 0..20 {
        let name = format!("{name} {attempt}");
        let given = samples.clone();
        let outcome = workers.invoke(&name, MINUTE, |process| async move {
            let tick = process.platform.clock.now_ms();
            let shard = Shard::parse(&format!("p{hash:016x}"))?;
            process.store.append(tick, shard, &pushed(hash, tick, given)).await.ok()
        });
        if matches!(outcome.await, Some(Some(Appended::Written(_) | Appended::AlreadyThere))) {
            let mut ledger = lock(&workers.ledger);
            for (labels, at, value) in samples {
                ledger.pushed.insert((labels, at), value.to_bits());
            }
            return;
        }
        clock.sleep(Duration::from_secs(10)).await;
    }
}

/// A scrape a sample, for a scrape has a series once.
fn pushed(hash: u64, tick: i64, samples: Vec<(Labels, i64, f64)>) -> Vec<Scrape> {
    let scrape = |(nth, (labels, at, value)): (u64, (Labels, i64, f64))| Scrape {
        source: SourceId(hash.wrapping_add(nth)),
        timestamp: tick,
        samples: vec![ScrapeSample { labels, value, timestamp: Some(at) }],
        coverage: Coverage::Partial,
        ..Scrape::default()
    };
    (0..).zip(samples).map(scrape).collect()
}
