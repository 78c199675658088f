//! Goal: whatever has been compacted, merged or collected, a query sees the same (S2, S3, S5, S13, S15). Method: random
//! histories; after every step the answers are compared with the reference.

use model::time::align_down;
use platform::Deadline;
use proptest::prelude::*;
use storage::{Scrape, ScrapeOutcome, ScrapeSample, SourceId};

use super::model::{Given, ask, between, expected, give, labels, settings};
use super::world::World;
use crate::keys::{DAY_MS, HOUR_MS};
use crate::{Settings, Store};

const START: i64 = 20_000 * DAY_MS + 21 * HOUR_MS;
const TICK_MS: i64 = 15_000;
const FOREVER: Deadline = Deadline(i64::MAX);

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes, in ticks.
    Wait(i64),
    /// Each shard writes: per source, which of eight series there are, and which of them have their own timestamp.
    Scrape(Vec<(u8, u8)>),
    /// A compactor runs.
    Compact,
    /// A collector runs.
    Collect,
    /// Another process takes over.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let scrape = || proptest::collection::vec((any::<u8>(), any::<u8>()), 1..4).prop_map(Step::Scrape);
    let step = prop_oneof![
        8 => scrape(),
        4 => (1i64..4).prop_map(Step::Wait),
        2 => prop_oneof![Just(20i64), Just(45), Just(300), Just(480), Just(2_000), Just(6_000)].prop_map(Step::Wait),
        3 => Just(Step::Compact),
        1 => Just(Step::Collect),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..50)
}

fn scrape_of(source: usize, now: i64, present: u8, explicit: u8) -> Scrape {
    let series = (0..8u32).filter(|bit| present >> bit & 1 == 1).map(|bit| {
        // Neighbouring sources share some of their series, so that duplicates occur.
        let name = format!("m{}", (bit as usize + source * 5) % 12);
        let own = (explicit >> bit & 3 == 3).then(|| match bit % 3 {
            0 => align_down(now, 60_000),
            1 => now - 3 * HOUR_MS,
            _ => align_down(now - 2 * DAY_MS, HOUR_MS),
        });
        ScrapeSample {
            labels: labels(&name),
            value: (now % 1_000_003) as f64 + f64::from(bit),
            timestamp: own,
        }
    });
    Scrape {
        source: SourceId(source as u64),
        timestamp: now + source as i64 * 7,
        outcome: ScrapeOutcome::default(),
        samples: series.collect(),
        ..Scrape::default()
    }
}

struct History {
    world: World,
    settings: Settings,
    store: Store,
    given: Vec<Given>,
    tick: i64,
}

impl History {
    fn new(settings: Settings) -> Self {
        let world = World::new(START);
        let store = world.store(settings.clone());
        Self { world, settings, store, given: vec![], tick: START }
    }

    fn wait(&mut self, ticks: i64) {
        self.tick += ticks * TICK_MS;
        self.world.set_now(self.tick);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Wait(ticks) => self.wait(*ticks),
            Step::Scrape(sources) => {
                let scrapes: Vec<Scrape> = sources
                    .iter()
                    .enumerate()
                    .map(|(source, (present, explicit))| scrape_of(source, self.tick, *present, *explicit))
                    .collect();
                // The first source in a shard of its own, the others together, in an order that is not theirs.
                let (first, rest) = scrapes.split_at(1);
                for (shard, scrapes) in [(1, first), (0, rest)] {
                    let given = Given { tick: self.tick, shard, scrapes: scrapes.to_vec() };
                    give(&self.world, &self.store, &given);
                    self.given.push(given);
                }
                self.wait(1);
            }
            Step::Compact => {
                self.world.run(self.store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
            }
            Step::Collect => {
                self.world.run(self.store.collect(i64::MAX, FOREVER)).unwrap().unwrap();
            }
            Step::Restart => self.store = self.world.store(self.settings.clone()),
        }
    }

    fn check(&self) {
        let all = expected(&self.given, self.settings.staleness_gap_ms);
        assert_eq!(ask(&self.world, &self.store, i64::MIN, i64::MAX), all);
        for (min, max) in [
            (self.tick - 40_000, self.tick),
            (self.tick - 3 * HOUR_MS, self.tick - 30_000),
            (0, START + 60_000),
        ] {
            assert_eq!(ask(&self.world, &self.store, min, max), between(&all, min, max), "{min}..={max}");
        }
    }
}

fn play(steps: &[Step], settings: Settings) {
    let mut history = History::new(settings);
    for step in steps {
        history.step(step);
        history.check();
    }
    // Then everything that can happen: windows and days close, queries and grace periods end.
    for ticks in [40, 480, 480, 6_000, 6_000, 12_000] {
        for step in [Step::Wait(ticks), Step::Compact, Step::Collect, Step::Restart] {
            history.step(&step);
        }
        history.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn queries_see_the_same_before_and_after_every_stage(steps in steps()) {
        play(&steps, settings());
    }

    #[test]
    fn queries_see_the_same_where_jobs_are_small_and_rows_are_deleted(steps in steps()) {
        let settings = Settings {
            delete_consumed_rows: true,
            job_samples_max: 10,
            merge_inputs_max: 3,
            late_blocks_max: 2,
            orphan_age_ms: 0,
            query_grace_ms: 0,
            segment_cache_bytes: 4096,
            ..settings()
        };
        play(&steps, settings);
    }
}
