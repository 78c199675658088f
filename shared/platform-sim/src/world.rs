//! The world: its time, its actors, its stores.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use platform::{HttpRequest, Platform, Row, RowKey};

use crate::Random;
use crate::executor::{ActorId, Actors, Ended, Join, Ready};
use crate::explore::Explore;
use crate::fault::{FaultPlan, NoFaults};
use crate::fetcher::{Answer, SimFetcher, Targets};
use crate::files::SimFiles;
use crate::objects::SimObjects;
use crate::queue::{SimQueue, SimQueueDepth};
use crate::rows::SimRows;
use crate::stores::Stores;
use crate::time::{SimClock, SimEntropy};
use crate::trace::{Counters, EffectRecord, Trace};

/// How long a call takes, before and again after its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// At least.
    pub min: Duration,
    /// At most.
    pub max: Duration,
}

/// What a world is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldOptions {
    /// Decides every draw.
    pub seed: u64,
    /// The time at the beginning, ms since the epoch.
    pub start_ms: i64,
    /// How long calls take.
    pub latency: Latency,
    /// How often a message is delivered before it becomes a dead letter.
    pub receives_max: u32,
    /// After so many polls a run counts as stalled.
    pub polls_max: u64,
    /// How many of the latest effects are kept to look at.
    pub records_kept: usize,
}

impl WorldOptions {
    /// Begins at 2026-01-01, with calls of 1 to 10 ms, half of it before their effect.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            start_ms: 1_767_225_600_000,
            latency: Latency { min: Duration::from_micros(500), max: Duration::from_millis(5) },
            receives_max: 5,
            polls_max: 1_000_000_000,
            records_kept: 1_000,
        }
    }
}

/// A world, which ends when this is dropped. Everything that can be done with it is on [`Handle`].
#[derive(Debug)]
pub struct World {
    handle: Handle,
}

/// What a world holds, and its time, to begin other worlds with.
#[derive(Clone, Debug)]
pub struct Snapshot {
    stores: Stores,
    now_ns: u64,
}

/// Access to a world, for actors and tests.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: WorldOptions,
    pub(crate) ready: Arc<Ready>,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) now_ns: u64,
    pub(crate) sequence: u64,
    pub(crate) timers: BTreeMap<(u64, u64), Timer>,
    pub(crate) actors: Actors,
    pub(crate) faults: Box<dyn FaultPlan>,
    pub(crate) effects: u64,
    pub(crate) targets: Option<Arc<dyn Targets>>,
    pub(crate) stores: Stores,
    pub(crate) trace: Trace,
    pub(crate) explore: Option<Explore>,
}

/// A change of the stores, whose outcome in one line is returned.
pub(crate) type Change = Box<dyn FnOnce(&mut Stores, Moment) -> String + Send>;

pub(crate) enum Timer {
    Wake(Waker),
    /// A late effect: its record so far, and the change.
    Land(EffectRecord, Change),
}

/// When a change happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now_ns: u64,
    pub(crate) now_ms: i64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("now_ns", &self.now_ns).finish_non_exhaustive()
    }
}

impl World {
    /// A world of the default options with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(WorldOptions::new(seed))
    }

    /// A world of these options.
    #[must_use]
    pub fn with(options: WorldOptions) -> Self {
        let state = State {
            now_ns: 0,
            sequence: 0,
            timers: BTreeMap::new(),
            actors: Actors::new(options.seed),
            faults: Box::new(NoFaults),
            effects: 0,
            targets: None,
            stores: Stores::default(),
            trace: Trace::new(options.records_kept),
            explore: None,
        };
        let inner = Inner { options, ready: Arc::default(), state: Mutex::new(state) };
        Self { handle: Handle { inner: Arc::new(inner) } }
    }

    /// A world of these options that begins with what another one held.
    #[must_use]
    pub fn restored(options: WorldOptions, snapshot: &Snapshot) -> Self {
        let world = Self::with(options);
        {
            let mut state = world.handle.lock();
            state.stores = snapshot.stores.clone();
            state.now_ns = snapshot.now_ns;
        }
        world
    }

    /// Runs `future` as the main actor until it ends, and every other actor meanwhile.
    pub fn run<F: Future>(&self, future: F) -> Ended<F::Output> {
        self.handle.run_main(future)
    }

    /// Runs every actor until none can go on and nothing is due any more.
    pub fn run_until_idle(&self) {
        self.handle.run_actors(None);
    }

    /// Runs every actor until `duration` has passed.
    pub fn run_for(&self, duration: Duration) {
        let until_ns = self.handle.lock().now_ns.saturating_add(nanos(duration));
        self.handle.run_actors(Some(until_ns));
    }
}

impl Deref for World {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Actors own handles, and the world owns the actors.
        self.handle.drop_actors();
    }
}

impl Handle {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn moment(&self, state: &State) -> Moment {
        let elapsed_ms = i64::try_from(state.now_ns / 1_000_000).unwrap_or(i64::MAX);
        Moment { now_ns: state.now_ns, now_ms: self.inner.options.start_ms.saturating_add(elapsed_ms) }
    }

    /// The time, ms since the epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.moment(&self.lock()).now_ms
    }

    /// The ports, as any actor may use them.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.platform_skewed(0)
    }

    /// The ports with a clock that is wrong by so many milliseconds, as a sandbox's may be.
    #[must_use]
    pub fn platform_skewed(&self, skew_ms: i64) -> Platform {
        Platform {
            objects: Arc::new(SimObjects::new(self.clone())),
            rows: Arc::new(SimRows::new(self.clone())),
            scrape_queue: Arc::new(self.scrape_queue()),
            rule_queue: Arc::new(self.rule_queue()),
            alert_topic: None,
            fetcher: Arc::new(SimFetcher::new(self.clone())),
            files: Arc::new(SimFiles::new(self.clone())),
            clock: Arc::new(SimClock::new(self.clone(), skew_ms)),
            entropy: Arc::new(SimEntropy::new(self.clone())),
        }
    }

    /// The scrapers' queue.
    #[must_use]
    pub fn scrape_queue(&self) -> SimQueue {
        SimQueue::new(self.clone(), 0)
    }

    /// The ruler's queue.
    #[must_use]
    pub fn rule_queue(&self) -> SimQueue {
        SimQueue::new(self.clone(), 1)
    }

    /// Starts an actor. Its randomness depends on the seed, its name and how many actors of that name there were.
    pub fn spawn<F>(&self, name: &str, future: F) -> Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_actor(name, future)
    }

    /// Crashes an actor where it stands; one that has ended stays ended.
    pub fn kill(&self, actor: ActorId) {
        self.kill_actor(actor);
    }

    /// Stops an actor from being polled until it is thawed, as a frozen sandbox is. The time goes on.
    pub fn freeze(&self, actor: ActorId) {
        self.set_frozen(actor, true);
    }

    /// Lets a frozen actor go on.
    pub fn thaw(&self, actor: ActorId) {
        self.set_frozen(actor, false);
    }

    /// Decides fates by this plan from now on.
    pub fn set_faults(&self, plan: impl FaultPlan + 'static) {
        self.lock().faults = Box::new(plan);
    }

    /// No more faults; late effects that are under way still land.
    pub fn heal(&self) {
        self.set_faults(NoFaults);
    }

    /// Answers every fetch by this function of the request and the time in ms since the epoch. Before it is set, every
    /// connection is refused.
    pub fn serve<T>(&self, targets: T)
    where
        T: Fn(&HttpRequest, i64) -> Answer + Send + Sync + 'static,
    {
        self.lock().targets = Some(Arc::new(targets));
    }

    /// Puts a file where `Files` finds it.
    pub fn write_file(&self, path: impl Into<String>, body: impl Into<Bytes>) {
        self.lock().stores.files.insert(path.into(), body.into());
    }

    /// Removes a file.
    pub fn remove_file(&self, path: &str) {
        self.lock().stores.files.remove(path);
    }

    /// The keys of all objects, for an auditor: no effect, no fault, no time.
    #[must_use]
    pub fn object_keys(&self) -> Vec<String> {
        self.lock().stores.object_keys()
    }

    /// What the world holds now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        let mut stores = state.stores.clone();
        for queue in &mut stores.queues {
            queue.waiting.clear();
        }
        Snapshot { stores, now_ns: state.now_ns }
    }

    /// A row, for an auditor.
    #[must_use]
    pub fn row(&self, key: &RowKey) -> Option<Row> {
        self.lock().stores.peek_row(key).cloned()
    }

    /// An object's body, for an auditor.
    #[must_use]
    pub fn object(&self, key: &str) -> Option<Bytes> {
        self.lock().stores.peek_object(key).cloned()
    }

    /// All rows, for an auditor.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.lock().stores.all_rows()
    }

    /// Changes an object's body in place, as a failing disk would; whether there is such an object.
    pub fn corrupt_object(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.lock().stores.corrupt(key, change)
    }

    /// A hash over every effect, its time and its outcome.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.lock().trace.hash()
    }

    /// The latest effects, oldest first.
    #[must_use]
    pub fn records(&self) -> Vec<EffectRecord> {
        self.lock().trace.records()
    }

    /// How much has happened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let state = self.lock();
        let mut counters = state.trace.counters.clone();
        counters.effects = state.effects;
        counters.names_reused = state.stores.names_reused;
        counters.dead_letters = state.stores.queues.iter().map(|queue| queue.dead.len() as u64).sum();
        counters
    }

    /// How many messages both queues hold, dead letters included: zero once all is done.
    #[must_use]
    pub fn queue_depths(&self) -> [SimQueueDepth; 2] {
        [self.scrape_queue().depth(), self.rule_queue().depth()]
    }

    /// Draws from the current actor's own stream.
    pub(crate) fn draw(&self) -> u64 {
        self.lock().actors.current_random().next_u64()
    }

    /// A stream of its own that differs from every actor's.
    #[must_use]
    pub fn random(&self, label: &str) -> Random {
        Random::new(self.inner.options.seed).split("test").split(label)
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
