//! Goal: a deletion hides at once and for ever what was there, and nothing that comes later (P17, S1, S5). Method: random
//! histories of appends, deletions, compactions, collections and cleaning; after every step the answers are compared with
//! a reference that simply forgets. And a deletion at whose every effect something fails.

use std::sync::Arc;

use model::Matcher;
use platform::Deadline;
use proptest::prelude::*;
use storage::Scrape;

use super::faults::{FATES, deliver_with};
use super::model::{Contents, Given, ask, between, contents, expected, give, labels, scrape, settings};
use super::world::World;
use crate::keys::{DAY_MS, HOUR_MS};
use crate::{Settings, Store};

const START: i64 = 20_000 * DAY_MS + 20 * HOUR_MS;
const TICK_MS: i64 = 15_000;
const FOREVER: Deadline = Deadline(i64::MAX);

#[derive(Clone, Debug)]
enum Step {
    /// Time passes, in ticks.
    Wait(i64),
    /// A source writes: which of six series, and of which of them a sample of long ago.
    Scrape(u8, u8),
    /// Series from one to another are deleted, from so many to so many minutes ago.
    Delete(u8, u8, i64, i64),
    Clean,
    Compact,
    Collect,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (any::<u8>(), any::<u8>()).prop_map(|(present, late)| Step::Scrape(present, late)),
        4 => prop_oneof![Just(1i64), Just(20), Just(45), Just(300), Just(480), Just(2_000), Just(6_000)].prop_map(Step::Wait),
        3 => (0u8..6, 0u8..6, 0i64..400, 0i64..400).prop_map(|(a, b, c, d)| Step::Delete(a, b, c, d)),
        1 => Just(Step::Clean),
        3 => Just(Step::Compact),
        1 => Just(Step::Collect),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..40)
}

/// What is there, by way of forgetting: samples of deleted ticks are left out where the store is asked to forget them.
struct History {
    world: World,
    settings: Settings,
    store: Store,
    given: Vec<Given>,
    /// Which series, which times, and how many segments there were.
    deleted: Vec<(Vec<String>, i64, i64, usize)>,
    tick: i64,
}

fn name(bit: u8) -> String {
    format!("m{bit}")
}

impl History {
    fn new(settings: Settings) -> Self {
        let world = World::new(START);
        let store = world.store(settings.clone());
        Self { world, settings, store, given: vec![], deleted: vec![], tick: START }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Wait(ticks) => {
                self.tick += ticks * TICK_MS;
                self.world.set_now(self.tick);
            }
            Step::Scrape(present, late) => {
                let given = Given { tick: self.tick, shard: 0, scrapes: vec![self.scrape(*present, *late)] };
                give(&self.world, &self.store, &given);
                self.given.push(given);
                self.step(&Step::Wait(1));
            }
            Step::Delete(a, b, from, to) => {
                let names: Vec<String> = (*a.min(b)..=*a.max(b)).map(name).collect();
                let (min, max) = (self.tick - from.max(to) * 60_000, self.tick - from.min(to) * 60_000);
                let matcher = Matcher::new(model::MatchOp::Regex, "__name__", names.join("|")).unwrap();
                let sets = [vec![matcher]];
                self.world.run(self.store.delete_series(&sets, min, max)).unwrap().unwrap();
                self.deleted.push((names, min, max, self.given.len()));
                // The next segment is of a later instant.
                self.step(&Step::Wait(1));
            }
            Step::Clean => {
                self.world.run(self.store.clean_tombstones()).unwrap().unwrap();
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

    fn scrape(&self, present: u8, late: u8) -> Scrape {
        let names: Vec<String> = (0..6).filter(|bit| present >> bit & 1 == 1).map(name).collect();
        let samples: Vec<(&str, f64)> =
            names.iter().map(|name| (name.as_str(), (self.tick % 1_000_003) as f64)).collect();
        let mut scrape = scrape(1, self.tick, &samples);
        for (bit, sample) in scrape.samples.iter_mut().enumerate().filter(|(bit, _)| late >> bit & 3 == 3) {
            // Again and again the same instants, deleted or not.
            sample.timestamp = Some(self.tick - self.tick.rem_euclid(HOUR_MS) - bit as i64 * HOUR_MS);
        }
        scrape
    }

    /// The union of what each run of segments between two deletions gave, less what later deletions took: of equal
    /// instants the first that was not deleted.
    fn expected(&self) -> Contents {
        let gap = self.settings.staleness_gap_ms;
        let mut contents = Contents::new();
        for (number, _) in self.given.iter().enumerate() {
            // What this segment adds: its own samples and markers, duplicates among all segments left to the order below.
            let until = expected_of(&self.given, number, gap);
            for ((series, at), bits) in until {
                let gone = self.deleted.iter().any(|(names, min, max, given)| {
                    number < *given
                        && (min..=max).contains(&&at)
                        && names.iter().any(|name| labels(name) == series)
                });
                if !gone {
                    contents.entry((series, at)).or_insert(bits);
                }
            }
        }
        contents
    }

    fn check(&self) {
        let all = self.expected();
        assert_eq!(ask(&self.world, &self.store, i64::MIN, i64::MAX), all);
        let mut scanned = Vec::new();
        let mut visit = |series| {
            scanned.push(series);
            std::ops::ControlFlow::Continue(())
        };
        let everything = crate::ScanQuery::default();
        self.world.run(self.store.scan(&everything, &mut visit)).unwrap().unwrap();
        scanned.sort_by(|a, b| a.labels.cmp(&b.labels));
        assert_eq!(contents(&scanned), all);
        for (min, max) in [(self.tick - 3 * HOUR_MS, self.tick - HOUR_MS), (0, self.tick - 30 * 60_000)] {
            assert_eq!(ask(&self.world, &self.store, min, max), between(&all, min, max), "{min}..={max}");
        }
    }
}

/// What one segment gives, with the markers that it causes.
fn expected_of(given: &[Given], number: usize, gap: i64) -> Contents {
    // Its predecessor is the segment before: there is one source.
    let with = expected(&given[number.saturating_sub(1)..=number], gap);
    let scrape = &given[number].scrapes[0];
    let own = |series: &model::Labels, at: i64| {
        scrape.samples.iter().any(|s| s.labels == *series && s.timestamp.unwrap_or(scrape.timestamp) == at)
    };
    let mut contents: Contents =
        with.into_iter().filter(|((series, at), _)| own(series, *at) || *at == scrape.timestamp).collect();
    for sample in &scrape.samples {
        let at = sample.timestamp.unwrap_or(scrape.timestamp);
        contents.insert((sample.labels.clone(), at), sample.value.to_bits());
    }
    contents
}

fn play(steps: &[Step], settings: Settings) {
    let mut history = History::new(settings);
    for step in steps {
        history.step(step);
        history.check();
    }
    for ticks in [40, 480, 480, 6_000, 6_000] {
        for step in [Step::Wait(ticks), Step::Compact, Step::Collect, Step::Restart] {
            history.step(&step);
        }
        history.check();
    }
    for step in [Step::Clean, Step::Compact, Step::Collect, Step::Restart] {
        history.step(&step);
        history.check();
    }
    let head = history.world.sim.rows().into_iter().any(|row| row.key == super::world::head_key());
    if head && history.world.head().1.manifest.is_some() {
        assert!(history.world.manifest().tombstones.is_empty(), "nothing is left to be carried out");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn deletions_hide_what_was_there_and_nothing_else(steps in steps()) {
        play(&steps, settings());
    }

    #[test]
    fn deletions_hide_what_was_there_where_jobs_and_parts_are_small(steps in steps()) {
        let settings = Settings {
            delete_consumed_rows: true,
            job_samples_max: 10,
            merge_inputs_max: 3,
            merge_samples_max: 4,
            part_series_max: 2,
            late_blocks_max: 1,
            orphan_age_ms: 0,
            query_grace_ms: 0,
            ..settings()
        };
        play(&steps, settings);
    }
}

fn tight() -> Settings {
    Settings { merge_samples_max: 0, part_series_max: 2, orphan_age_ms: 0, query_grace_ms: 0, ..settings() }
}

/// A deletion in blocks and segments, then its cleaning, with a fault at one effect; gives the number of effects.
fn run(fault: Option<(u64, platform_sim::Fate)>) -> u64 {
    let world = World::new(START);
    let store = world.store(tight());
    let mut all = vec![];
    for tick in 0..12 {
        let at = START + tick * 200_000;
        world.set_now(at);
        let samples = [("a", tick as f64), ("b", 1.0), ("c", tick as f64), ("d", 2.0)];
        all.push(Given { tick: at, shard: 0, scrapes: vec![scrape(1, at, &samples)] });
        give(&world, &store, all.last().unwrap());
        if tick % 5 == 4 {
            world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
        }
    }
    let (min, max) = (START + 5 * 60_000, START + 38 * 60_000);
    let mut wanted = expected(&all, 600_000);
    wanted.retain(|(series, at), _| *series != labels("b") || !(min..=max).contains(at));
    let plan = platform_sim::ScriptedFaults::new().of_actor("task");
    world.sim.set_faults(fault.into_iter().fold(plan, |plan, (effect, fate)| plan.at(effect, fate)));
    let before = world.effects();
    let mut audits = 0;
    let mut audit = |when: &str| {
        let before = world.effects();
        let found = ask(&world, &world.store(tight()), i64::MIN, i64::MAX);
        assert_eq!(found, wanted, "{when}, {fault:?}\n{}", world.log());
        audits += world.effects() - before;
    };
    deliver_with(&world, &tight(), |store: Arc<Store>| async move {
        store.delete_series(&[vec![Matcher::equal("__name__", "b")]], min, max).await
    });
    audit("deleted");
    deliver_with(&world, &tight(), |store: Arc<Store>| async move { store.clean_tombstones().await });
    deliver_with(&world, &tight(), |store: Arc<Store>| async move { store.compact(i64::MAX, FOREVER).await });
    audit("cleaned");
    let effects = world.effects() - before - audits;
    world.sim.heal();
    world.sim.run_until_idle();
    world.wait(4 * HOUR_MS);
    let store = world.store(tight());
    for _ in 0..2 {
        world.run(store.clean_tombstones()).unwrap().unwrap();
        world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
        world.run(store.collect(i64::MAX, FOREVER)).unwrap().unwrap();
        world.wait(HOUR_MS);
    }
    let found = ask(&world, &world.store(tight()), i64::MIN, i64::MAX);
    assert_eq!(found, wanted, "healed, {fault:?}\n{}", world.log());
    let manifest = world.manifest();
    assert!(manifest.tombstones.is_empty(), "{manifest:?}");
    assert_eq!(manifest.blocks.iter().map(|block| block.samples).sum::<u64>(), wanted.len() as u64);
    effects
}

#[test]
fn any_single_fault_at_any_effect_of_a_deletion_leaves_it_whole() {
    let effects = run(None);
    assert!(effects > 30, "{effects}");
    for effect in 0..effects {
        for fate in FATES {
            run(Some((effect, fate)));
        }
    }
}

#[test]
fn deleting_nothing_or_everything_at_once_is_refused_or_does_nothing() {
    let world = World::new(START);
    let store = world.store(settings());
    let deleted = |sets: &[Vec<Matcher>], min, max| world.run(store.delete_series(sets, min, max)).unwrap();
    assert_eq!(deleted(&[], 0, 1).unwrap(), crate::Deleted::default());
    assert_eq!(deleted(&[vec![Matcher::equal("a", "b")]], 1, 0).unwrap(), crate::Deleted::default());
    assert!(matches!(deleted(&[vec![]], 0, 1), Err(crate::TsdbError::Invalid(_))));
    assert!(world.sim.rows().is_empty());
}
