//! The simulated platform, as these tests use it.

use std::time::Duration;

use bytes::Bytes;
use platform::{ByteRange, Platform, RowKey};
use platform_sim::{Crashed, Ended, Fate, Latency, ScriptedFaults, WorldOptions};
use wire::{Head, Manifest};

use crate::ports::Ports;
use crate::{Settings, Store};

/// A world whose time is the tests' to set.
pub(crate) struct World {
    pub sim: platform_sim::World,
}

impl World {
    /// An empty world at `now`, ms, in which calls take no time.
    pub(crate) fn new(now: i64) -> Self {
        Self::with(0, now, Latency { min: Duration::ZERO, max: Duration::ZERO })
    }

    /// An empty world at `now`, ms, in which calls take so long that actors overtake each other.
    pub(crate) fn busy(seed: u64, now: i64) -> Self {
        Self::with(seed, now, Latency { min: Duration::from_micros(10), max: Duration::from_millis(2) })
    }

    fn with(seed: u64, start_ms: i64, latency: Latency) -> Self {
        let options = WorldOptions { start_ms, latency, ..WorldOptions::new(seed) };
        Self { sim: platform_sim::World::with(options) }
    }

    pub(crate) fn platform(&self) -> Platform {
        self.sim.platform()
    }

    /// A new process on this platform.
    pub(crate) fn store(&self, settings: Settings) -> Store {
        Store::new(self.platform(), settings)
    }

    pub(crate) fn now(&self) -> i64 {
        self.sim.now_ms()
    }

    /// Lets time pass until `now`, ms.
    pub(crate) fn set_now(&self, now: i64) {
        self.wait(now - self.now());
    }

    /// Lets so many ms pass, if any.
    pub(crate) fn wait(&self, ms: i64) {
        self.sim.run_for(Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
    }

    /// Runs one future to its end.
    pub(crate) fn run<F: Future>(&self, future: F) -> Result<F::Output, Crashed> {
        match self.sim.run(future) {
            Ended::Done(done) => Ok(done),
            Ended::Crashed => Err(Crashed),
            Ended::Stalled => panic!("it waits for ever"),
        }
    }

    /// Runs `first` and, when that is before its effect number `stop`, `second` from its beginning to its end; then the
    /// rest of the first.
    pub(crate) fn interrupt<A, B>(&self, first: A, second: B, stop: u64) -> (A::Output, B::Output)
    where
        A: Future<Output: Send> + Send + 'static,
        B: Future<Output: Send> + Send + 'static,
    {
        let pause = Fate::Slow(Duration::from_secs(1));
        self.sim.set_faults(ScriptedFaults::new().of_actor("first").at(stop, pause));
        let first = self.sim.spawn("first", first);
        self.wait(500);
        let second = self.run(self.sim.spawn("second", second)).unwrap().unwrap();
        let first = self.run(first).unwrap().unwrap();
        self.sim.heal();
        (first, second)
    }

    /// How many effects there were.
    pub(crate) fn effects(&self) -> u64 {
        self.sim.counters().effects
    }

    /// Every recorded effect, for failure reports.
    pub(crate) fn log(&self) -> String {
        self.sim.records().iter().map(|record| format!("{record:?}\n")).collect()
    }

    /// The keys of the objects below a prefix.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        self.sim.object_keys().into_iter().filter(|key| key.starts_with(prefix)).collect()
    }

    /// The keys of the segments' rows.
    pub(crate) fn segment_rows(&self) -> Vec<RowKey> {
        let rows = self.sim.rows().into_iter().map(|row| row.key);
        rows.filter(|key| key.partition.starts_with("wal/")).collect()
    }

    pub(crate) fn read(&self, key: &str) -> Bytes {
        self.run(self.platform().objects.read(key, None, ByteRange::All)).unwrap().unwrap().body
    }

    pub(crate) fn create(&self, key: &str, body: Bytes) {
        self.run(self.platform().objects.create(key, body)).unwrap().unwrap();
    }

    /// What a row holds.
    pub(crate) fn row(&self, key: &RowKey) -> Bytes {
        self.sim.rows().into_iter().find(|row| row.key == *key).unwrap().value
    }

    /// Creates a row, in the place of the one that may be there.
    pub(crate) fn replace_row(&self, key: &RowKey, value: Bytes) {
        let rows = self.platform().rows;
        self.run(rows.delete(key)).unwrap().unwrap();
        self.run(rows.create(key, value, None)).unwrap().unwrap();
    }

    /// The head register: its version and what it holds.
    pub(crate) fn head(&self) -> (u64, Head) {
        let head = self.sim.rows().into_iter().find(|row| row.key == head_key()).unwrap();
        (head.version, wire::decode("head", &head.value).unwrap())
    }

    pub(crate) fn manifest(&self) -> Manifest {
        wire::decode("manifest", &self.read(&self.head().1.manifest.unwrap())).unwrap()
    }
}

pub(crate) fn head_key() -> RowKey {
    RowKey::new("head/default", "current")
}

impl From<&World> for Ports {
    fn from(world: &World) -> Self {
        world.platform().into()
    }
}
