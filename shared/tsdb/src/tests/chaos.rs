//! Goal: the protocol holds when everybody is at work at once (S1-S3, S5, S9, L1). Method: rounds in which writers, two
//! compactors, a collector and readers take turns at every effect by a seed, with faults by the same seed; what was
//! dropped or failed is delivered again. After each round the answers are compared with the reference.

use std::collections::BTreeSet;

use platform::Deadline;
use storage::Queryable;

use super::model::{Contents, Given, UNLIMITED, ask, contents, everything, expected, scrape, settings};
use super::world::{Fate, Random, World};
use crate::keys::{DAY_MS, HOUR_MS};
use crate::{Appended, Settings, Shard, Store};

const START: i64 = 20_000 * DAY_MS + 20 * HOUR_MS;
const FOREVER: Deadline = Deadline(i64::MAX);
const ROUNDS: u64 = 25;

fn tight() -> Settings {
    Settings {
        inline_bytes_max: 150,
        delete_consumed_rows: true,
        orphan_age_ms: 0,
        query_grace_ms: 0,
        late_blocks_max: 2,
        merge_inputs_max: 4,
        wal_expiry_ms: 12 * HOUR_MS,
        ..settings()
    }
}

/// What a task of a round gave.
enum Done {
    Appended(usize),
    Read(Contents),
    Other,
}

struct Chaos {
    world: World,
    random: Random,
    given: Vec<Given>,
    tick: i64,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        Self { world: World::new(START), random: Random::new(seed), given: vec![], tick: START }
    }

    /// The next segments: two sources whose series come and go, now and then a sample that is hours late.
    fn next_segments(&mut self) -> Vec<Given> {
        let tick = self.tick;
        let mut segments = Vec::new();
        for shard in 0..2u32 {
            let names = ["a", "b", "c"].map(|name| format!("{name}{shard}"));
            let present: Vec<(&str, f64)> = names
                .iter()
                .filter(|_| self.random.below(4) > 0)
                .map(|name| (name.as_str(), tick as f64))
                .collect();
            let mut scrape = scrape(shard.into(), tick + i64::from(shard), &present);
            if self.random.below(8) == 0
                && let Some(sample) = scrape.samples.first_mut()
            {
                sample.timestamp = Some(tick - 5 * HOUR_MS);
            }
            segments.push(Given { tick, shard, scrapes: vec![scrape] });
        }
        segments
    }

    async fn append(store: &Store, at: usize, given: &Given) -> Done {
        loop {
            match store.append(given.tick, Shard::scrape(given.shard), &given.scrapes).await {
                Ok(Appended::TooLate) => panic!("it was in time"),
                Ok(Appended::Written(_) | Appended::AlreadyThere) => return Done::Appended(at),
                Err(_) => {}
            }
        }
    }

    fn round(&mut self) {
        let before = expected(&self.given, tight().staleness_gap_ms);
        let segments = self.next_segments();
        let rate = [0, 20, 60][self.random.below(3) as usize];
        self.plan_faults(rate);
        let stores: Vec<Store> = (0..8).map(|_| Store::new(self.world.ports(), tight())).collect();
        let selects = [everything(i64::MIN, i64::MAX)];
        let mut works: Vec<std::pin::Pin<Box<dyn Future<Output = Done> + Send>>> = Vec::new();
        for (at, given) in segments.iter().enumerate() {
            // Delivered twice.
            works.push(Box::pin(Self::append(&stores[at], at, given)));
            works.push(Box::pin(Self::append(&stores[at + 2], at, given)));
        }
        for store in &stores[4..6] {
            works.push(Box::pin(async {
                let _ = store.compact(i64::MAX, FOREVER).await;
                Done::Other
            }));
        }
        works.push(Box::pin(async {
            let _ = stores[6].collect(i64::MAX, FOREVER).await;
            Done::Other
        }));
        works.push(Box::pin(async {
            match stores[7].select(&selects, UNLIMITED).await {
                Ok(sets) => Done::Read(contents(&sets[0])),
                Err(_) => Done::Other,
            }
        }));
        let random = &mut self.random;
        let outcomes = self.world.run_all(works, |left| random.below(left as u64) as usize);
        self.world.state().fates.clear();
        let mut acknowledged = BTreeSet::new();
        let mut read = None;
        for outcome in outcomes {
            match outcome {
                Ok(Done::Appended(at)) => drop(acknowledged.insert(at)),
                Ok(Done::Read(contents)) => read = Some(contents),
                Ok(Done::Other) | Err(_) => {}
            }
        }
        for (at, given) in segments.iter().enumerate().filter(|(at, _)| !acknowledged.contains(at)) {
            let store = Store::new(self.world.ports(), tight());
            self.world.run(Self::append(&store, at, given)).unwrap();
        }
        self.given.extend(segments);
        if let Some(read) = read {
            self.check_read(&before, &read);
        }
    }

    /// A reader among writers: all that was acknowledged before it began, and nothing that never was.
    fn check_read(&self, before: &Contents, read: &Contents) {
        let after = expected(&self.given, tight().staleness_gap_ms);
        for (key, bits) in before {
            assert_eq!(read.get(key), Some(bits), "{key:?} was acknowledged");
        }
        for (key, bits) in read {
            assert_eq!(after.get(key), Some(bits), "{key:?} was never given");
        }
    }

    fn plan_faults(&mut self, rate: u64) {
        let effects = self.world.state().effects;
        for effect in effects..effects + 600 {
            if self.random.below(1_000) < rate {
                let fates = [
                    Fate::Refuse,
                    Fate::LoseAck,
                    Fate::Late(1 + self.random.below(100)),
                    Fate::CrashBefore,
                    Fate::CrashAfter,
                ];
                let fate = fates[self.random.below(5) as usize];
                self.world.state().fates.insert(effect, fate);
            }
        }
    }

    fn audit(&self) {
        let fresh = Store::new(self.world.ports(), tight());
        let wanted = expected(&self.given, tight().staleness_gap_ms);
        assert_eq!(ask(&self.world, &fresh, i64::MIN, i64::MAX), wanted);
    }
}

#[test]
fn everybody_at_once_with_faults_loses_and_doubles_nothing() {
    for seed in 0..40 {
        let mut chaos = Chaos::new(seed);
        for round in 0..ROUNDS {
            println!("seed {seed}, round {round}");
            chaos.round();
            chaos.audit();
            let waits = [15_000, 15_000, 60_000, 240_000, 420_000, 2 * HOUR_MS, 9 * HOUR_MS];
            let now = chaos.world.state().now.max(chaos.tick);
            chaos.tick = now + waits[chaos.random.below(7) as usize];
            chaos.world.state().now = chaos.tick;
        }
    }
}
