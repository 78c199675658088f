//! Goal: each rule of the protocol, where it is needed. One scenario a test.

use std::time::Duration;

use model::Matcher;
use model::value::is_stale_nan;
use platform::{Deadline, Retry};
use storage::{LabelQuery, Limits, Queryable, ScrapeOutcome, SourceId, StorageError};
use wire::{Head, Manifest};

use super::model::{Given, UNLIMITED, ask, everything, expected, give, labels, scrape, settings};
use super::world::{Fate, World};
use crate::keys::{DAY_MS, HOUR_MS};
use crate::{Appended, Settings, Shard, Store, TsdbError};

const START: i64 = 20_000 * DAY_MS;
const FOREVER: Deadline = Deadline(i64::MAX);

fn set_up() -> (World, Store) {
    let world = World::new(START);
    let store = Store::new(world.ports(), settings());
    (world, store)
}

fn given(tick: i64, shard: u32, value: f64) -> Given {
    let name = format!("m{shard}");
    Given { tick, shard, scrapes: vec![scrape(shard.into(), tick, &[(&name, value)])] }
}

fn compact(world: &World, store: &Store) -> crate::Compacted {
    world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap()
}

fn collect(world: &World, store: &Store) -> crate::Collected {
    world.run(store.collect(i64::MAX, FOREVER)).unwrap().unwrap()
}

fn head(world: &World) -> (u64, Head) {
    let state = world.state();
    let (value, version, _) = &state.rows[&("head/default".to_owned(), "current".to_owned())];
    (*version, wire::decode("head", value).unwrap())
}

fn manifest(world: &World) -> Manifest {
    let key = head(world).1.manifest.unwrap();
    wire::decode("manifest", &world.state().objects[&key].0).unwrap()
}

fn objects(world: &World, prefix: &str) -> usize {
    world.state().objects.keys().filter(|key| key.starts_with(prefix)).count()
}

#[test]
fn the_first_writer_of_a_segment_wins() {
    let (world, store) = set_up();
    let other = Store::new(world.ports(), settings());
    give(&world, &store, &given(START, 0, 1.0));
    let twin = given(START, 0, 2.0);
    let appended = world.run(other.append(START, Shard::scrape(0), &twin.scrapes)).unwrap().unwrap();
    assert_eq!(appended, Appended::AlreadyThere);
    assert_eq!(ask(&world, &store, 0, i64::MAX), expected(&[given(START, 0, 1.0)], 600_000));
    // The same content again is as good as written.
    give(&world, &other, &given(START, 0, 1.0));
}

#[test]
fn a_segment_that_is_too_late_is_missed_before_or_after_it_is_written() {
    let (world, store) = set_up();
    let late = given(START - 60_001, 0, 1.0);
    let appended = world.run(store.append(late.tick, Shard::scrape(0), &late.scrapes)).unwrap().unwrap();
    assert_eq!(appended, Appended::TooLate);
    assert!(world.state().rows.is_empty());

    // In time when it began; the store was slow to answer.
    let slow = given(START - 59_960, 1, 1.0);
    for effect in 1..=2 {
        world.state().fates.insert(effect, Fate::Refuse);
    }
    let appended = world.run(store.append(slow.tick, Shard::scrape(1), &slow.scrapes)).unwrap().unwrap();
    assert_eq!(appended, Appended::TooLate);
}

#[test]
fn a_tick_in_the_future_is_refused() {
    let (world, store) = set_up();
    let outcome = world.run(store.append(START + HOUR_MS, Shard::scrape(0), &[])).unwrap();
    assert!(matches!(outcome, Err(TsdbError::Invalid(_))));
    assert_eq!(outcome.unwrap_err().retry(), Retry::Never);
}

#[test]
fn a_zombie_segment_below_the_watermark_is_inert() {
    let (world, store) = set_up();
    let mut all = vec![];
    for tick in 0..8 {
        all.push(given(START + tick * 15_000, 0, tick as f64));
        world.state().now = START + tick * 15_000;
        give(&world, &store, all.last().unwrap());
    }
    // A write from long ago lands after its window was compacted: copy a row to another shard of an old tick.
    world.state().now = START + 900_000;
    compact(&world, &store);
    assert!(head(&world).1.watermark > START + 8 * 15_000);
    let zombie = {
        let mut state = world.state();
        let ((partition, sort), row) =
            state.rows.iter().find(|((partition, _), _)| partition.starts_with("wal/")).unwrap();
        let key = (partition.clone(), sort.replace("s00000", "s00009"));
        let row = row.clone();
        state.rows.insert(key.clone(), row);
        key
    };
    assert_eq!(ask(&world, &store, 0, i64::MAX), expected(&all, 600_000));
    // Nor is it context for the next scrape of its source.
    world.state().now = START + 915_000;
    all.push(given(START + 915_000, 0, 99.0));
    give(&world, &store, all.last().unwrap());
    assert_eq!(ask(&world, &store, 0, i64::MAX), expected(&all, 600_000));
    world.state().now = START + 2_000_000;
    compact(&world, &store);
    assert_eq!(ask(&world, &store, 0, i64::MAX), expected(&all, 600_000));
    assert!(world.state().rows.contains_key(&zombie));
}

#[test]
fn a_series_ends_exactly_once_across_the_watermark() {
    let (world, store) = set_up();
    let first = Given { tick: START, shard: 0, scrapes: vec![scrape(1, START, &[("a", 1.0), ("b", 2.0)])] };
    give(&world, &store, &first);
    world.state().now = START + 420_000;
    compact(&world, &store);
    assert_eq!(head(&world).1.watermark, START + 300_000);
    assert_eq!(manifest(&world).context.len(), 1);
    let second =
        Given { tick: START + 420_000, shard: 5, scrapes: vec![scrape(1, START + 420_000, &[("a", 3.0)])] };
    give(&world, &store, &second);
    for _ in 0..3 {
        let found = ask(&world, &store, 0, i64::MAX);
        assert_eq!(found, expected(&[first.clone(), second.clone()], 600_000));
        let markers: Vec<_> = found.iter().filter(|(_, bits)| is_stale_nan(f64::from_bits(**bits))).collect();
        assert_eq!(markers.len(), 1);
        assert_eq!(markers[0].0, &(labels("b"), START + 420_000));
        world.state().now += 600_000;
        compact(&world, &store);
    }
}

#[test]
fn a_source_that_is_gone_ends_all_its_series() {
    let (world, store) = set_up();
    let alive = Given { tick: START, shard: 0, scrapes: vec![scrape(1, START, &[("a", 1.0), ("b", 2.0)])] };
    world.state().now = START + 15_000;
    let gone = Given { tick: START + 15_000, shard: 3, scrapes: vec![scrape(1, START + 15_000, &[])] };
    let again =
        Given { tick: START + 30_000, shard: 0, scrapes: vec![scrape(1, START + 30_000, &[("a", 9.0)])] };
    for given in [&alive, &gone] {
        give(&world, &store, given);
    }
    world.state().now = START + 30_000;
    give(&world, &store, &again);
    let found = ask(&world, &store, 0, i64::MAX);
    assert_eq!(found.len(), 5);
    assert_eq!(found, expected(&[alive, gone, again], 600_000));
}

#[test]
fn an_empty_window_advances_the_watermark_without_a_block() {
    let (world, store) = set_up();
    world.state().now = START + 1_000_000;
    let done = compact(&world, &store);
    assert!(done.complete);
    assert_eq!((done.segment_jobs, done.segments), (1, 0));
    assert_eq!(head(&world).1.watermark, START + 600_000);
    assert_eq!(objects(&world, "block/"), 0);
    let before = objects(&world, "manifest/");
    world.state().now += 300_000;
    compact(&world, &store);
    assert_eq!(head(&world).1.watermark, START + 900_000);
    assert_eq!(objects(&world, "manifest/"), before, "nothing changed but the watermark");
}

#[test]
fn an_old_tick_or_a_slow_clock_never_moves_the_watermark_too_far() {
    let (world, store) = set_up();
    world.state().now = START + 10_000_000;
    world.run(store.compact(START + 1_000_000, FOREVER)).unwrap().unwrap();
    assert_eq!(head(&world).1.watermark, START + 600_000);
    world.state().now = START + 1_600_000;
    world.run(store.compact(START + 10_000_000, FOREVER)).unwrap().unwrap();
    assert_eq!(head(&world).1.watermark, START + 1_200_000);
}

/// Two hours of segments, compacted every few minutes: one block of level 2 remains.
fn two_hours() -> (World, Store, Vec<Given>) {
    let (world, store) = set_up();
    let mut all = vec![];
    for tick in 0..120 {
        let now = START + tick * 60_000;
        world.state().now = now;
        all.push(given(now, 0, tick as f64));
        give(&world, &store, all.last().unwrap());
        if tick % 7 == 0 {
            compact(&world, &store);
        }
    }
    (world, store, all)
}

#[test]
fn blocks_grow_by_levels_and_what_they_replace_is_collected() {
    let (world, store, all) = two_hours();
    world.state().now = START + 2 * HOUR_MS + 900_000;
    let done = compact(&world, &store);
    assert_eq!(done.merge_jobs, 1);
    let levels: Vec<u32> = manifest(&world).blocks.iter().map(|block| block.level).collect();
    assert_eq!(levels, [2]);
    assert!(objects(&world, "block/") > 10);
    collect(&world, &store);
    assert!(objects(&world, "block/") > 2, "queries may still read what was replaced");
    world.state().now += HOUR_MS;
    collect(&world, &store);
    assert_eq!(objects(&world, "block/"), manifest(&world).blocks[0].files.len());
    assert_eq!(objects(&world, "manifest/"), 1);
    assert_eq!(ask(&world, &store, 0, i64::MAX), expected(&all, 600_000));
}

#[test]
fn the_collector_deletes_nothing_where_its_fence_is_lost_or_unknown() {
    let (world, store, _) = two_hours();
    world.state().now = START + 2 * HOUR_MS + 900_000;
    compact(&world, &store);
    world.state().now += HOUR_MS;
    let before = world.state().objects.len();
    // Effects: list blocks, list manifests, head, (manifest is cached), fence.
    let fence = world.state().effects + 4;
    world.state().fates.insert(fence, Fate::Late(1_000));
    let outcome = world.run(store.collect(i64::MAX, FOREVER)).unwrap();
    assert_eq!(outcome.unwrap_err().retry(), Retry::Ambiguous);
    assert!(
        world.state().log[fence as usize - 1].contains("cas"),
        "{}",
        world.state().log[fence as usize - 1]
    );
    assert_eq!(world.state().objects.len(), before);
    let (version, _) = head(&world);
    world.settle();
    assert_eq!(head(&world).0, version + 1, "the fence landed late");
    let done = collect(&world, &store);
    assert!(done.block_files > 0 && !done.fence_lost);
}

#[test]
fn a_compactor_that_planned_before_the_fence_fails_to_commit() {
    let (world, store, all) = two_hours();
    let (slow, collector) = (
        Store::new(world.ports(), settings()),
        Store::new(world.ports(), Settings { orphan_age_ms: 0, ..settings() }),
    );
    world.state().now = START + 2 * HOUR_MS + 900_000;
    // The compactor stops before each of its effects in turn, the collector runs, the compactor goes on.
    for stop in 0..60 {
        let mut polls = 0;
        let slow_work = async { slow.compact(i64::MAX, FOREVER).await.map(|done| done.lost) };
        let collect_work = async { collector.collect(i64::MAX, FOREVER).await.map(|_| 0) };
        let outcomes = world.run_all(vec![Box::pin(slow_work), Box::pin(collect_work)], |_| {
            polls += 1;
            usize::from(polls > stop)
        });
        assert!(outcomes.into_iter().all(|outcome| outcome.unwrap().is_ok()));
        assert_eq!(ask(&world, &store, 0, i64::MAX), expected(&all, 600_000), "stopped at {stop}");
        // Undone, to try again.
        world.state().now += 300_000;
    }
}

#[test]
fn twin_compactors_do_the_work_once() {
    for seed in 0..40u64 {
        let (world, store, all) = two_hours();
        world.state().now = START + 2 * HOUR_MS + 900_000;
        let twin = Store::new(world.ports(), settings());
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let works: Vec<std::pin::Pin<Box<dyn Future<Output = _> + Send>>> =
            vec![Box::pin(store.compact(i64::MAX, FOREVER)), Box::pin(twin.compact(i64::MAX, FOREVER))];
        let outcomes = world.run_all(works, |left| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize % left
        });
        let merges: u64 = outcomes.into_iter().map(|done| done.unwrap().unwrap().merge_jobs).sum();
        assert_eq!(merges, 1);
        assert_eq!(manifest(&world).blocks.len(), 1);
        assert_eq!(ask(&world, &twin, 0, i64::MAX), expected(&all, 600_000), "seed {seed}");
    }
}

#[test]
fn late_samples_go_to_the_block_of_their_time() {
    let (world, store, mut all) = two_hours();
    world.state().now = START + 2 * HOUR_MS + 900_000;
    compact(&world, &store);
    let now = world.state().now;
    let mut late = scrape(7, now, &[("late", 5.0)]);
    late.samples[0].timestamp = Some(START + 60_000);
    let mut twice = scrape(8, now, &[("m0", -1.0)]);
    twice.samples[0].timestamp = Some(START + 60_000);
    all.push(Given { tick: now, shard: 3, scrapes: vec![late, twice] });
    give(&world, &store, all.last().unwrap());
    let wanted = expected(&all, 600_000);
    assert_eq!(ask(&world, &store, 0, i64::MAX), wanted);
    world.state().now += 600_000;
    compact(&world, &store);
    let levels: Vec<u32> = manifest(&world).blocks.iter().map(|block| block.level).collect();
    assert_eq!(levels, [2, 1], "it waits for company");
    assert_eq!(ask(&world, &store, 0, i64::MAX), wanted);
    world.state().now += 2 * HOUR_MS;
    compact(&world, &store);
    let blocks = manifest(&world).blocks;
    assert_eq!(blocks.iter().map(|block| block.level).collect::<Vec<_>>(), [2]);
    assert_eq!(blocks[0].samples, 121, "one of the two was there before");
    assert_eq!(ask(&world, &store, 0, i64::MAX), wanted);
}

#[test]
fn damaged_objects_and_rows_are_never_answered_from() {
    let (world, store, _) = two_hours();
    world.state().now = START + 2 * HOUR_MS + 900_000;
    compact(&world, &store);
    let tick = world.state().now;
    give(&world, &store, &given(tick, 0, 1.0));
    let sound = ask(&world, &store, 0, i64::MAX);
    let refused = || {
        let fresh = Store::new(world.ports(), settings());
        let outcome = world.run(fresh.select(&[everything(0, i64::MAX)], UNLIMITED)).unwrap();
        matches!(outcome, Err(StorageError::Corrupt { .. }))
    };
    let damaged = |good: &[u8], at: usize| {
        let mut bad = good.to_vec();
        bad[at] ^= 0x55;
        bytes::Bytes::from(bad)
    };
    let row_key = {
        let state = world.state();
        state.rows.keys().rfind(|key| key.0.starts_with("wal/")).unwrap().clone()
    };
    let good = world.state().rows[&row_key].clone();
    for at in 0..good.0.len() {
        world.state().rows.get_mut(&row_key).unwrap().0 = damaged(&good.0, at);
        assert!(refused(), "row, byte {at}");
    }
    world.state().rows.insert(row_key, good);
    let live: Vec<String> = {
        let (_, head) = head(&world);
        let day = crate::keys::Day::of(tick).to_string();
        let state = world.state();
        let layouts = state.objects.keys().filter(|key| key.starts_with(&format!("layout/default/{day}")));
        layouts.cloned().chain(head.manifest).collect()
    };
    assert_eq!(live.len(), 2);
    for key in live {
        let good = world.state().objects[&key].clone();
        for at in 0..good.0.len() {
            world.state().objects.get_mut(&key).unwrap().0 = damaged(&good.0, at);
            assert!(refused(), "{key}, byte {at}");
        }
        world.state().objects.insert(key, good);
    }
    assert_eq!(ask(&world, &store, 0, i64::MAX), sound);
}

#[test]
fn a_halted_scope_stays_as_it_is() {
    let (world, store, all) = two_hours();
    // Somebody tampered with the manifest: one block claims a sample more than it has.
    let mut bad = manifest(&world);
    bad.blocks[1].samples += 1;
    let body = bytes::Bytes::from(wire::encode(&bad));
    let (version, mut head) = head(&world);
    let key = crate::keys::Keys::new(settings().scope).manifest("01ARZ3NDEKTSV4RRFFQ69G5FAV", &body);
    head.manifest = Some(key.clone());
    world.state().objects.insert(key, (body, 0));
    let register = ("head/default".to_owned(), "current".to_owned());
    world.state().rows.insert(register, (wire::encode(&head).into(), version, None));
    world.state().now = START + 2 * HOUR_MS + 900_000;
    let fresh = Store::new(world.ports(), settings());
    let outcome = world.run(fresh.compact(i64::MAX, FOREVER)).unwrap();
    assert!(matches!(outcome, Err(TsdbError::Halt { invariant: "S7", .. })), "{outcome:?}");
    assert_eq!(ask(&world, &store, 0, i64::MAX), expected(&all, 600_000));
}

#[test]
fn retention_drops_whole_blocks_by_age_and_by_size() {
    let (world, store, all) = two_hours();
    drop(store);
    world.state().now = START + 2 * HOUR_MS + 900_000;
    let by_age = Settings { retention_ms: Some(90 * 60_000), ..settings() };
    let store = Store::new(world.ports(), by_age.clone());
    let done = compact(&world, &store);
    assert_eq!(done.drop_jobs, 1);
    let oldest = world.state().now - by_age.retention_ms.unwrap();
    assert!(manifest(&world).blocks.iter().all(|block| block.max_time > oldest));
    let kept = ask(&world, &store, 0, i64::MAX);
    let whole = expected(&all, 600_000);
    assert!(kept.len() < whole.len() && kept.iter().all(|(key, bits)| whole.get(key) == Some(bits)));
    assert!(whole.keys().filter(|(_, at)| *at >= oldest).all(|key| kept.contains_key(key)));

    let by_size = Settings { retention_bytes: Some(1), ..settings() };
    let store = Store::new(world.ports(), by_size);
    assert_eq!(compact(&world, &store).drop_jobs, 1);
    assert!(manifest(&world).blocks.is_empty());
}

#[test]
fn consumed_rows_and_payloads_are_deleted_where_that_is_free_and_expire_elsewhere() {
    for free in [true, false] {
        let world = World::new(START);
        let settings = Settings { delete_consumed_rows: free, inline_bytes_max: 0, ..settings() };
        let store = Store::new(world.ports(), settings);
        let mut all = vec![];
        for tick in 0..10 {
            world.state().now = START + tick * 60_000;
            all.push(given(START + tick * 60_000, 0, tick as f64));
            give(&world, &store, all.last().unwrap());
        }
        let rows = |world: &World| world.state().rows.keys().filter(|key| key.0.starts_with("wal/")).count();
        assert_eq!((rows(&world), objects(&world, "wal/"), objects(&world, "layout/")), (10, 10, 1));
        world.state().now = START + 2 * HOUR_MS;
        compact(&world, &store);
        collect(&world, &store);
        assert_eq!((rows(&world), objects(&world, "wal/")), if free { (0, 0) } else { (10, 10) });
        assert_eq!(objects(&world, "layout/"), 1, "its day is not over");
        world.state().now = START + 9 * DAY_MS;
        compact(&world, &store);
        collect(&world, &store);
        assert_eq!((objects(&world, "wal/"), objects(&world, "layout/")), (0, 0));
        assert_eq!(ask(&world, &store, 0, i64::MAX), expected(&all, 600_000));
    }
}

#[test]
fn a_reader_whose_block_was_collected_starts_over() {
    let (world, store, all) = two_hours();
    let reader = Store::new(world.ports(), settings());
    let eager = Store::new(world.ports(), Settings { orphan_age_ms: 0, query_grace_ms: 0, ..settings() });
    for stop in 0..40 {
        world.state().now += 420_000;
        let mut polls = 0;
        let selects = [everything(0, i64::MAX)];
        // A fresh reader, so that nothing is cached.
        let reader = if stop % 2 == 0 { &reader } else { &Store::new(world.ports(), settings()) };
        let read = async { reader.select(&selects, UNLIMITED).await.map(|mut sets| Some(sets.remove(0))) };
        let change = async {
            eager.compact(i64::MAX, FOREVER).await.unwrap();
            eager.collect(i64::MAX, FOREVER).await.unwrap();
            Ok(None)
        };
        let works: Vec<std::pin::Pin<Box<dyn Future<Output = _> + Send>>> =
            vec![Box::pin(read), Box::pin(change)];
        let mut outcomes = world.run_all(works, |_| {
            polls += 1;
            usize::from(polls > stop)
        });
        let set = outcomes.remove(0).unwrap().unwrap().unwrap();
        assert_eq!(super::model::contents(&set), expected(&all, 600_000), "stopped at {stop}");
    }
    drop(store);
}

#[test]
fn limits_are_enforced() {
    let (world, store, _) = two_hours();
    let all = [everything(0, i64::MAX)];
    let limits = |samples_max| Limits { samples_max, deadline: i64::MAX };
    assert!(world.run(store.select(&all, limits(120))).unwrap().is_ok());
    let outcome = world.run(store.select(&all, limits(119))).unwrap();
    assert!(matches!(outcome, Err(StorageError::TooManySamples)), "{outcome:?}");
    let past = Limits { samples_max: u64::MAX, deadline: world.state().now };
    let outcome = world.run(store.select(&all, past)).unwrap();
    assert!(matches!(outcome, Err(StorageError::Timeout(_))), "{outcome:?}");
    // The store hangs (is throttled) until the deadline passes.
    let effects = world.state().effects;
    world.state().fates.extend((effects..effects + 3).map(|effect| (effect + 1, Fate::Refuse)));
    let soon = Limits { samples_max: u64::MAX, deadline: world.state().now + 200 };
    let fresh = Store::new(world.ports(), settings());
    let outcome = world.run(fresh.select(&all, soon)).unwrap();
    assert!(matches!(outcome, Err(StorageError::Timeout(_))), "{outcome:?}");
}

#[test]
fn labels_are_listed_and_limited_and_matched() {
    let (world, store) = set_up();
    let old = Given { tick: START, shard: 0, scrapes: vec![scrape(1, START, &[("a", 1.0), ("b", 2.0)])] };
    give(&world, &store, &old);
    world.state().now = START + 600_000;
    compact(&world, &store);
    let new = Given {
        tick: START + 600_000,
        shard: 0,
        scrapes: vec![scrape(2, START + 600_000, &[("b", 1.0), ("c", 2.0)])],
    };
    give(&world, &store, &new);
    let mut query = LabelQuery { matcher_sets: vec![], min_time: 0, max_time: i64::MAX, limit: 0 };
    let values = |query: &LabelQuery| world.run(store.label_values("__name__", query)).unwrap().unwrap();
    assert_eq!(values(&query), ["a", "b", "c"]);
    assert_eq!(world.run(store.label_names(&query)).unwrap().unwrap(), ["__name__", "job"]);
    query.matcher_sets = vec![vec![Matcher::equal("__name__", "a")], vec![Matcher::equal("__name__", "c")]];
    assert_eq!(values(&query), ["a", "c"]);
    query.limit = 1;
    assert_eq!(values(&query), ["a"]);
    query.min_time = START + 1;
    assert_eq!(values(&query), ["c"]);
    let series = world.run(Queryable::series(&store, &query)).unwrap().unwrap();
    assert_eq!(series, [labels("c")]);
}

#[test]
fn status_counts_blocks_and_the_head() {
    let (world, store, _) = two_hours();
    let mut failed = scrape(1, world.state().now, &[("up", 0.0)]);
    failed.outcome = ScrapeOutcome {
        duration: Duration::from_millis(7),
        error: Some("server returned HTTP status 500".to_owned()),
    };
    let tick = world.state().now;
    give(&world, &store, &Given { tick, shard: 1, scrapes: vec![failed] });
    let status = world.run(store.status()).unwrap().unwrap();
    assert_eq!(status.block_samples + status.head_samples, 121);
    assert!(status.head_segments > 1 && status.block_bytes > 0 && status.blocks[&1] > 10);
    assert_eq!(status.min_time, Some(START));
    let stats = world.run(store.head_stats(1)).unwrap().unwrap();
    assert_eq!((stats.num_series, stats.num_label_pairs), (2, 3));
    assert_eq!(stats.series_count_by_label_value_pair, [("job=test".to_owned(), 2)]);
    let latest = world.run(store.latest_scrapes(&[SourceId(0), SourceId(1), SourceId(2)])).unwrap().unwrap();
    assert_eq!(latest.keys().copied().collect::<Vec<_>>(), [SourceId(0), SourceId(1)]);
    assert_eq!(latest[&SourceId(1)].error.as_deref(), Some("server returned HTTP status 500"));
    assert_eq!((latest[&SourceId(1)].duration, latest[&SourceId(0)].samples), (Duration::from_millis(7), 1));
}

#[test]
fn everything_can_be_sent_between_threads() {
    fn assert_send<T: Send>(_: T) {}
    let (_, store) = set_up();
    assert_send(store.append(START, Shard::rules(1), &[]));
    assert_send(store.compact(START, FOREVER));
    assert_send(store.collect(START, FOREVER));
    assert_send(store.status());
    assert_send(store.head_stats(1));
    assert_send(store.latest_scrapes(&[]));
}
