//! Goal: segments that are coded against others are read as if each stood by itself (P18, S1, S11). Method: writers that
//! alternate, are overtaken, restart or lose answers; bases that are gone or changed; requests counted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::Matcher;
use platform::{ByteRange, Deadline, PlatformError};
use platform_sim::{Fate, ScriptedFaults};
use storage::{LabelQuery, Queryable, Scrape, Select, SelectHints, StorageError};

use super::model::{Given, UNLIMITED, ask, contents, everything, expected, give, scrape, settings};
use super::world::World;
use crate::keys::{DAY_MS, HOUR_MS};
use crate::wal::SegmentSummary;
use crate::{Appended, Settings, Shard, Store, TsdbError};

const START: i64 = 20_000 * DAY_MS;
const FOREVER: Deadline = Deadline(i64::MAX);
const GAP: i64 = 600_000;

/// A segment of two sources at a tick.
fn given(tick: i64) -> Given {
    let value = (tick - START) as f64 / 8.0;
    let mut scrapes = vec![
        scrape(1, tick, &[("a", value), ("b", 1.0), ("c", f64::from_bits(tick.cast_unsigned()))]),
        scrape(2, tick + 7, &[("d", value * 3.0), ("e", -value)]),
    ];
    if tick % 45_000 == 0 {
        scrapes[0].samples.remove(1);
    }
    Given { tick, shard: 0, scrapes }
}

fn append(world: &World, store: &Store, given: &Given) -> SegmentSummary {
    let appended = world.run(store.append(given.tick, Shard::scrape(given.shard), &given.scrapes));
    match appended.unwrap().unwrap() {
        Appended::Written(summary) => summary,
        other => panic!("{other:?}"),
    }
}

/// Writes `count` segments, one every 15 s.
fn write(world: &World, store: &Store, count: i64) -> Vec<Given> {
    let all: Vec<Given> = (0..count).map(|at| given(START + at * 15_000)).collect();
    for (at, given) in all.iter().enumerate() {
        world.set_now(given.tick);
        assert_eq!(append(world, store, given).deltas, if at % 20 == 0 { 0 } else { 2 });
    }
    all
}

#[test]
fn writers_that_alternate_each_go_on_from_what_they_wrote_themselves() {
    let world = World::new(START);
    let writers = [world.store(settings()), world.store(settings())];
    let reader = world.store(settings());
    let mut all = vec![];
    let mut deltas = 0;
    for at in 0..60i64 {
        let now = START + at * 15_000;
        world.set_now(now);
        all.push(given(now));
        deltas += append(&world, &writers[(at % 7 / 4) as usize], all.last().unwrap()).deltas;
        assert_eq!(ask(&world, &reader, 0, i64::MAX), expected(&all, GAP), "{at}");
    }
    assert!(deltas > 100, "{deltas}");
    assert_eq!(ask(&world, &world.store(settings()), 0, i64::MAX), expected(&all, GAP));
}

#[test]
fn after_anything_but_certainty_the_next_scrape_is_coded_by_itself() {
    let world = World::new(START);
    let (store, other) = (world.store(settings()), world.store(settings()));
    let mut all = write(&world, &store, 2);
    // Somebody else was first, with other values.
    let tick = START + 30_000;
    world.set_now(tick);
    let mut theirs = given(tick);
    theirs.scrapes[0].samples[0].value = -1.0;
    give(&world, &other, &theirs);
    let appended = world.run(store.append(tick, Shard::scrape(0), &given(tick).scrapes)).unwrap().unwrap();
    assert_eq!(appended, Appended::AlreadyThere);
    all.push(theirs);
    let mut next = |at: i64| {
        let given = given(START + at * 15_000);
        world.set_now(given.tick);
        let deltas = append(&world, &store, &given).deltas;
        all.push(given);
        assert_eq!(ask(&world, &world.store(settings()), 0, i64::MAX), expected(&all, GAP));
        deltas
    };
    assert_eq!((next(3), next(4)), (0, 2));
    // The call fails, and nobody knows what became of it.
    world.set_now(START + 5 * 15_000);
    let never = ScriptedFaults::new();
    world.sim.set_faults((0..20).fold(never, |plan, at| plan.at(at, Fate::Refuse)));
    let lost = given(START + 5 * 15_000);
    assert!(world.run(store.append(lost.tick, Shard::scrape(0), &lost.scrapes)).unwrap().is_err());
    world.sim.heal();
    assert_eq!((next(6), next(7)), (0, 2));
    // It was done, and the answer was lost: asking again shows that it is ours.
    world.sim.set_faults(ScriptedFaults::new().at(0, Fate::LoseAck));
    assert_eq!(next(8), 2);
    world.sim.heal();
    assert_eq!(next(9), 2);
    // Too late when it was durable at last.
    let slow = given(START + 10 * 15_000);
    world.set_now(slow.tick + settings().late_bound_ms - 40);
    world.sim.set_faults(ScriptedFaults::new().at(0, Fate::Refuse).at(1, Fate::Refuse));
    let appended = world.run(store.append(slow.tick, Shard::scrape(0), &slow.scrapes)).unwrap().unwrap();
    assert_eq!(appended, Appended::TooLate);
}

#[test]
fn a_segment_whose_base_is_gone_or_another_is_never_answered_from() {
    let world = World::new(START);
    let all = write(&world, &world.store(settings()), 4);
    let keys = world.segment_rows();
    let refused = || {
        let fresh = world.store(settings());
        world.run(fresh.select(&[everything(START + 40_000, i64::MAX)], UNLIMITED)).unwrap().unwrap_err()
    };
    let good = world.row(&keys[1]);
    // Another writer's segment of that tick and shard, sound in itself.
    let elsewhere = World::new(START + 15_000);
    let mut twin = given(START + 15_000);
    twin.scrapes[0].samples[0].value += 1.0;
    give(&elsewhere, &elsewhere.store(settings()), &twin);
    for key in elsewhere.keys("layout/") {
        if !world.keys("layout/").contains(&key) {
            world.create(&key, elsewhere.read(&key));
        }
    }
    world.replace_row(&keys[1], elsewhere.row(&elsewhere.segment_rows()[0]));
    assert!(matches!(refused(), StorageError::Corrupt { .. }));
    world.run(world.platform().rows.delete(&keys[1])).unwrap().unwrap();
    let error = refused().to_string();
    let wanted =
        format!("segment {}, which segment {} is coded against, not found", keys[1].sort, keys[2].sort);
    assert_eq!(error, wanted);
    let outcome = world.run(async {
        world.sim.run_for(Duration::ZERO);
        world.store(settings()).latest_scrapes(&[]).await
    });
    assert!(matches!(outcome.unwrap(), Err(TsdbError::Platform(PlatformError::NotFound { .. }))));
    world.run(world.platform().rows.create(&keys[1], good, None)).unwrap().unwrap();
    assert_eq!(ask(&world, &world.store(settings()), 0, i64::MAX), expected(&all, GAP));
}

#[test]
fn every_changed_byte_of_a_row_that_others_are_coded_against_is_noticed() {
    for chunk_samples in [usize::MAX, 2] {
        for inline_bytes_max in [100_000, 0] {
            let settings = Settings { inline_bytes_max, chunk_samples, ..settings() };
            let world = World::new(START);
            write(&world, &world.store(settings.clone()), 2);
            let refused = || {
                let fresh = world.store(settings.clone());
                let outcome = world.run(fresh.select(&[everything(0, i64::MAX)], UNLIMITED)).unwrap();
                matches!(outcome, Err(StorageError::Corrupt { .. }))
            };
            for key in world.segment_rows() {
                let good = world.row(&key);
                for at in 0..good.len() {
                    let mut bad = good.to_vec();
                    bad[at] ^= 0x55;
                    world.replace_row(&key, bad.into());
                    assert!(refused(), "row, byte {at}");
                }
                world.replace_row(&key, good);
            }
            for key in world.keys("wal/") {
                for at in 0..world.read(&key).len() {
                    world.sim.corrupt_object(&key, |body| body[at] ^= 0x55);
                    assert!(refused(), "{key}, byte {at}");
                    world.sim.corrupt_object(&key, |body| body[at] ^= 0x55);
                }
            }
            assert!(!refused());
        }
    }
}

#[test]
fn what_context_is_coded_against_outlives_the_collector() {
    let eager = Settings {
        delete_consumed_rows: true,
        query_grace_ms: 0,
        orphan_age_ms: 0,
        inline_bytes_max: 0,
        ..settings()
    };
    let world = World::new(START);
    let store = world.store(eager.clone());
    // The last segment before the watermark is nineteen away from its keyframe.
    let mut all = write(&world, &store, 20);
    let last = START + 19 * 15_000;
    world.set_now(last + GAP - 1);
    for _ in 0..2 {
        world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
        world.run(store.collect(i64::MAX, FOREVER)).unwrap().unwrap();
    }
    assert!(world.head().1.watermark > last && world.manifest().context.len() == 1);
    let end =
        Given { tick: last + GAP - 1, shard: 3, scrapes: vec![scrape(1, last + GAP - 1, &[("a", 0.5)])] };
    give(&world, &store, &end);
    all.push(end);
    assert_eq!(ask(&world, &world.store(eager.clone()), 0, i64::MAX), expected(&all, GAP));
    world.wait(HOUR_MS);
    let fresh = world.store(eager);
    world.run(fresh.compact(i64::MAX, FOREVER)).unwrap().unwrap();
    world.run(fresh.collect(i64::MAX, FOREVER)).unwrap().unwrap();
    assert_eq!(ask(&world, &fresh, 0, i64::MAX), expected(&all, GAP));
    assert_eq!(world.keys("wal/").len(), 0);
}

#[test]
fn a_chain_costs_no_round_trip_a_segment() {
    let world = World::new(START);
    let writer = world.store(settings());
    write(&world, &writer, 19);
    // So that lists begin here.
    let reader = world.store(settings());
    world.set_now(START + 20 * 15_000 + 120_000);
    world.run(reader.compact(i64::MAX, FOREVER)).unwrap().unwrap();
    assert_eq!(world.head().1.watermark, START + 300_000);
    let cost = |store: &Store, from: i64| {
        let before = world.effects();
        world.run(store.select(&[everything(from, i64::MAX)], UNLIMITED)).unwrap().unwrap();
        world.effects() - before
    };
    let tick = world.now();
    let blockless = tick - 10_000;
    assert!(append(&world, &writer, &given(tick)).deltas == 0, "too long ago");
    let fresh = world.store(settings());
    // The head and the manifest, twice, rows, and two layouts; the context's chain of 19 by one more list.
    assert!((6..12).contains(&cost(&fresh, blockless)), "{}", cost(&world.store(settings()), blockless));
    world.wait(15_000);
    assert_eq!(append(&world, &writer, &given(tick + 15_000)).deltas, 2);
    assert!(cost(&fresh, blockless) <= 3, "the chain goes on from what is cached");
}

#[test]
fn a_query_for_one_metric_fetches_and_decodes_only_its_part_of_a_large_segment() {
    let settings = Settings { chunk_samples: 500, ..settings() };
    let world = World::new(START);
    let store = world.store(settings.clone());
    let wanted = "metric_200_20017";
    let names: Vec<String> = (0..40_000).map(|at| format!("metric_{:03}_{at}", at / 100)).collect();
    let mut all = vec![];
    for round in 0..3u64 {
        let tick = START + round.cast_signed() * 15_000;
        world.set_now(tick);
        // Of no pattern, so that they take their 8 bytes.
        let value =
            |at: u64| f64::from_bits(xxhash_rust::xxh3::xxh3_64(&(at * 3 + round).to_le_bytes()) >> 2);
        let samples: Vec<(&str, f64)> =
            names.iter().zip(0u64..).map(|(name, at)| (name.as_str(), value(at))).collect();
        let given = Given { tick, shard: 0, scrapes: vec![scrape(1, tick, &samples)] };
        assert!(append(&world, &store, &given).bytes > 250_000);
        let mut part = given;
        part.scrapes[0].samples.retain(|sample| sample.labels.metric_name() == wanted);
        all.push(part);
    }
    let select = Select {
        matchers: vec![Matcher::equal("__name__", wanted)],
        min_time: 0,
        max_time: i64::MAX,
        hints: SelectHints::default(),
    };
    let counting = Counting::new(&world);
    let fresh = Store::new(counting.platform(&world), settings);
    let found = world.run(fresh.select(std::slice::from_ref(&select), UNLIMITED)).unwrap().unwrap();
    assert_eq!(contents(&found[0]), expected(&all, GAP));
    let (requests, bytes) = counting.payload_reads();
    assert!(requests == 6 && bytes < 60_000, "{requests} requests, {bytes} bytes");
    let query = LabelQuery { matcher_sets: vec![select.matchers], min_time: 0, max_time: i64::MAX, limit: 0 };
    assert_eq!(world.run(Queryable::series(&fresh, &query)).unwrap().unwrap().len(), 1);
}

/// Objects whose reads of payloads are counted.
struct Counting {
    inner: Arc<dyn platform::Objects>,
    reads: Arc<Mutex<Vec<u64>>>,
}

impl Counting {
    fn new(world: &World) -> Self {
        Self { inner: world.platform().objects, reads: Arc::default() }
    }

    fn platform(&self, world: &World) -> platform::Platform {
        let objects = Self { inner: Arc::clone(&self.inner), reads: Arc::clone(&self.reads) };
        platform::Platform { objects: Arc::new(objects), ..world.platform() }
    }

    fn payload_reads(&self) -> (usize, u64) {
        let reads = self.reads.lock().unwrap();
        (reads.len(), reads.iter().sum())
    }
}

impl platform::Objects for Counting {
    fn create<'a>(&'a self, key: &'a str, body: bytes::Bytes) -> platform::PlatformFuture<'a, platform::Put> {
        self.inner.create(key, body)
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        version: Option<&'a platform::Version>,
        range: ByteRange,
    ) -> platform::PlatformFuture<'a, platform::Object> {
        Box::pin(async move {
            let object = self.inner.read(key, version, range).await?;
            if key.starts_with("wal/") {
                self.reads.lock().unwrap().push(object.body.len() as u64);
            }
            Ok(object)
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> platform::PlatformFuture<'a, Vec<platform::ListedObject>> {
        self.inner.list(prefix, after, limit)
    }

    fn delete<'a>(&'a self, key: &'a str) -> platform::PlatformFuture<'a, ()> {
        self.inner.delete(key)
    }
}

#[test]
fn what_is_coded_against_what_has_expired_is_lost_and_nothing_else() {
    let world = World::new(START);
    let settings = Settings { wal_expiry_ms: HOUR_MS, ..settings() };
    let all = write(&world, &world.store(settings.clone()), 50);
    // Nobody has compacted for so long that rows expire; others are coded against them. It goes on so for ever.
    world.set_now(START + HOUR_MS + 20_000);
    let rows = world.segment_rows();
    for row in rows.iter().take(2) {
        world.run(world.platform().rows.delete(row)).unwrap().unwrap();
    }
    let readable = expected(&all[20..], GAP);
    assert_eq!(ask(&world, &world.store(settings.clone()), 0, i64::MAX), readable);
    let compactor = world.store(settings.clone());
    world.run(compactor.compact(i64::MAX, FOREVER)).unwrap().unwrap();
    assert_eq!(ask(&world, &world.store(settings.clone()), 0, i64::MAX), readable);
    // What has not expired must be there.
    let world = World::new(START);
    let store = world.store(settings.clone());
    write(&world, &store, 3);
    world.run(world.platform().rows.delete(&world.segment_rows()[0])).unwrap().unwrap();
    let compactor = world.store(settings);
    world.wait(30 * 60_000);
    let error = world.run(compactor.compact(i64::MAX, FOREVER)).unwrap().unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_process_that_has_just_started_looks_for_layouts_before_it_stores_them_again() {
    let world = World::new(START);
    let scrapes = |tick: i64| -> Vec<Scrape> {
        (1..=10u64).map(|source| scrape(source, tick, &[(&format!("of_{source}"), 1.0)])).collect()
    };
    let append = |store: &Store, tick: i64| {
        world.set_now(tick);
        let before = world.effects();
        let appended = world.run(store.append(tick, Shard::scrape(0), &scrapes(tick))).unwrap().unwrap();
        assert!(matches!(appended, Appended::Written(_)));
        world.effects() - before
    };
    let first = world.store(settings());
    assert_eq!(append(&first, START), 12, "a list, ten layouts and the row");
    assert_eq!(append(&first, START + 15_000), 1, "the row");
    let second = world.store(settings());
    assert_eq!(append(&second, START + 30_000), 2, "a list and the row");
    assert_eq!(append(&second, START + 45_000), 1, "the row");
    assert_eq!(world.keys("layout/").len(), 10);
    assert_eq!(ask(&world, &world.store(settings()), 0, i64::MAX).len(), 40, "each of four scrapes");
}
