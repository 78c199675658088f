//! What is explored: a store in some state, and a few invocations on it, each in a sandbox of its own.

mod actors;
mod finals;
mod prepare;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use platform::{Deadline, Receipt};
use platform_sim::{Ended, Latency, Snapshot, WorldOptions};
use telemetry::Metrics;
use tsdb::Settings;

use crate::fleet::{Behaviour, Fleet};
use crate::ledger::{Ledger, Violation};
use crate::lock;
use crate::marks::Marks;
use crate::mutant::{Hooks, Mutant};
use crate::oracle::{Oracle, Rows};
use crate::process::Process;
use crate::watch::Watch;

/// What is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One message delivered to two scrapers, time passing, two compactors, a collector. The reader is in the smaller ones.
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
    /// A rule group's first tick delivered twice, late, the next tick at the same time, a reader.
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
}

fn hash<T: fmt::Debug>(what: &T) -> u64 {
    xxhash_rust::xxh3::xxh3_64(format!("{what:?}").as_bytes())
}

fn hash_rows(rows: &Rows) -> u64 {
    rows.iter().fold(0, |sum, row| hash(&row).wrapping_add(sum.wrapping_mul(3)))
}
