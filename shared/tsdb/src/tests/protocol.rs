//! Goal: each rule of the protocol, where it is needed. One scenario a test.

use std::time::Duration;

use model::Matcher;
use model::value::is_stale_nan;
use platform::{Deadline, Retry};
use platform_sim::{Fate, ScriptedFaults};
use storage::{LabelQuery, Limits, Queryable, ScrapeOutcome, SourceId, StorageError};
use wire::Head;

use super::model::{Given, UNLIMITED, ask, everything, expected, give, labels, scrape, settings};
use super::world::{World, head_key};
use crate::keys::{DAY_MS, HOUR_MS};
use crate::{Appended, Settings, Shard, Store, TsdbError};

const START: i64 = 20_000 * DAY_MS;
const FOREVER: Deadline = Deadline(i64::MAX);

fn set_up() -> (World, Store) {
    let world = World::new(START);
    let store = world.store(settings());
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

#[test]
fn the_first_writer_of_a_segment_wins() {
    let (world, store) = set_up();
    let other = world.store(settings());
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
    assert!(world.sim.rows().is_empty());

    // In time when it began; the store was slow to answer.
    let slow = given(START - 59_960, 1, 1.0);
    world.sim.set_faults(ScriptedFaults::new().at(0, Fate::Refuse).at(1, Fate::Refuse));
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
        world.set_now(START + tick * 15_000);
        give(&world, &store, all.last().unwrap());
    }
    world.set_now(START + 420_000);
    compact(&world, &store);
    let watermark = world.head().1.watermark;
    assert_eq!(watermark, START + 300_000);
    // Writes from long ago land after their windows were compacted: one from before the last scrape of its source, one
    // from after it.
    let elsewhere = World::new(START);
    let mut zombies = vec![];
    for tick in [START + 15_000, START + 8 * 15_000] {
        elsewhere.set_now(tick);
        let zombie = Given { tick, shard: 9, scrapes: vec![scrape(0, tick + 1, &[("ghost", 1.0)])] };
        give(&elsewhere, &elsewhere.store(settings()), &zombie);
    }
    for key in elsewhere.keys("layout/") {
        world.create(&key, elsewhere.read(&key));
    }
    for key in elsewhere.segment_rows() {
        world.replace_row(&key, elsewhere.row(&key));
        zombies.push(key);
    }
    let fresh = || world.store(settings());
    assert_eq!(ask(&world, &store, 0, i64::MAX), expected(&all, 600_000));
    assert_eq!(ask(&world, &fresh(), 0, i64::MAX), expected(&all, 600_000));
    // Nor are they context for the next scrape of their source, in a query or in a compaction.
    let next = world.now();
    all.push(Given { tick: next, shard: 0, scrapes: vec![scrape(0, next, &[("other", 1.0)])] });
    give(&world, &store, all.last().unwrap());
    assert_eq!(ask(&world, &fresh(), 0, i64::MAX), expected(&all, 600_000));
    world.set_now(START + 2_000_000);
    compact(&world, &store);
    assert_eq!(ask(&world, &fresh(), 0, i64::MAX), expected(&all, 600_000));
    assert!(zombies.len() == 2 && zombies.iter().all(|zombie| world.segment_rows().contains(zombie)));
}

#[test]
fn a_series_ends_exactly_once_across_the_watermark() {
    let (world, store) = set_up();
    let first = Given { tick: START, shard: 0, scrapes: vec![scrape(1, START, &[("a", 1.0), ("b", 2.0)])] };
    give(&world, &store, &first);
    world.set_now(START + 420_000);
    compact(&world, &store);
    assert_eq!(world.head().1.watermark, START + 300_000);
    assert_eq!(world.manifest().context.len(), 1);
    let second =
        Given { tick: START + 420_000, shard: 5, scrapes: vec![scrape(1, START + 420_000, &[("a", 3.0)])] };
    give(&world, &store, &second);
    for _ in 0..3 {
        let found = ask(&world, &store, 0, i64::MAX);
        assert_eq!(found, expected(&[first.clone(), second.clone()], 600_000));
        let markers: Vec<_> = found.iter().filter(|(_, bits)| is_stale_nan(f64::from_bits(**bits))).collect();
        assert_eq!(markers.len(), 1);
        assert_eq!(markers[0].0, &(labels("b"), START + 420_000));
        world.wait(600_000);
        compact(&world, &store);
    }
}

#[test]
fn a_source_that_is_gone_ends_all_its_series() {
    let (world, store) = set_up();
    let alive = Given { tick: START, shard: 0, scrapes: vec![scrape(1, START, &[("a", 1.0), ("b", 2.0)])] };
    world.set_now(START + 15_000);
    let gone = Given { tick: START + 15_000, shard: 3, scrapes: vec![scrape(1, START + 15_000, &[])] };
    let again =
        Given { tick: START + 30_000, shard: 0, scrapes: vec![scrape(1, START + 30_000, &[("a", 9.0)])] };
    for given in [&alive, &gone] {
        give(&world, &store, given);
    }
    world.set_now(START + 30_000);
    give(&world, &store, &again);
    let found = ask(&world, &store, 0, i64::MAX);
    assert_eq!(found.len(), 5);
    assert_eq!(found, expected(&[alive, gone, again], 600_000));
}

#[test]
fn an_empty_window_advances_the_watermark_without_a_block() {
    let (world, store) = set_up();
    world.set_now(START + 1_000_000);
    let done = compact(&world, &store);
    assert!(done.complete);
    assert_eq!((done.segment_jobs, done.segments), (1, 0));
    assert_eq!(world.head().1.watermark, START + 600_000);
    assert_eq!(world.keys("block/").len(), 0);
    let before = world.keys("manifest/").len();
    world.wait(300_000);
    compact(&world, &store);
    assert_eq!(world.head().1.watermark, START + 900_000);
    assert_eq!(world.keys("manifest/").len(), before, "nothing changed but the watermark");
}

#[test]
fn an_old_tick_or_a_slow_clock_never_moves_the_watermark_too_far() {
    let (world, store) = set_up();
    world.set_now(START + 10_000_000);
    world.run(store.compact(START + 1_000_000, FOREVER)).unwrap().unwrap();
    assert_eq!(world.head().1.watermark, START + 600_000);
    let slow = Store::new(world.sim.platform_skewed(-8_400_000), settings());
    world.run(slow.compact(START + 10_000_000, FOREVER)).unwrap().unwrap();
    assert_eq!(world.head().1.watermark, START + 1_200_000);
}

/// Two hours of segments, compacted every few minutes: one block of level 2 remains.
fn two_hours() -> (World, Store, Vec<Given>) {
    let (world, store) = set_up();
    let mut all = vec![];
    for tick in 0..120 {
        let now = START + tick * 60_000;
        world.set_now(now);
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
    world.set_now(START + 2 * HOUR_MS + 900_000);
    let done = compact(&world, &store);
    assert_eq!(done.merge_jobs, 1);
    let levels: Vec<u32> = world.manifest().blocks.iter().map(|block| block.level).collect();
    assert_eq!(levels, [2]);
    assert!(world.keys("block/").len() > 10);
    // Young orphans are fair game here; what queries may still read is not.
    let collector = world.store(Settings { orphan_age_ms: 0, ..settings() });
    collect(&world, &collector);
    assert!(world.keys("block/").len() > 10, "queries may still read what was replaced");
    world.wait(settings().query_grace_ms);
    collect(&world, &collector);
    assert_eq!(world.keys("block/").len(), world.manifest().blocks[0].files.len());
    assert_eq!(world.keys("manifest/").len(), 1);
    assert_eq!(ask(&world, &store, 0, i64::MAX), expected(&all, 600_000));
}

#[test]
fn the_collector_deletes_nothing_where_its_fence_is_lost_or_unknown() {
    let (world, store, _) = two_hours();
    world.set_now(START + 2 * HOUR_MS + 900_000);
    compact(&world, &store);
    world.wait(HOUR_MS);
    let before = world.sim.object_keys().len();
    // Effects: list blocks, list manifests, get the head (the manifest is cached), fence.
    world.sim.set_faults(ScriptedFaults::new().at(3, Fate::Late(Duration::from_secs(100))));
    let outcome = world.run(store.collect(i64::MAX, FOREVER)).unwrap();
    assert_eq!(outcome.unwrap_err().retry(), Retry::Ambiguous);
    assert_eq!(world.sim.object_keys().len(), before);
    let (version, _) = world.head();
    world.wait(100_000);
    assert_eq!(world.head().0, version + 1, "the fence landed late");
    let done = collect(&world, &store);
    assert!(done.block_files > 0 && !done.fence_lost);
}

#[test]
fn a_compactor_that_planned_before_the_fence_fails_to_commit() {
    let mut lost = 0;
    for stop in (0..110).step_by(2) {
        let (world, slow, all) = two_hours();
        world.set_now(START + 2 * HOUR_MS + 900_000);
        let collector = world.store(eager());
        let first = async move { slow.compact(i64::MAX, FOREVER).await.unwrap().lost };
        let second = async move { collector.collect(i64::MAX, FOREVER).await.unwrap() };
        lost += world.interrupt(first, second, stop).0;
        let fresh = world.store(settings());
        assert_eq!(ask(&world, &fresh, 0, i64::MAX), expected(&all, 600_000), "stopped at {stop}");
    }
    assert!(lost > 5, "{lost}");
}

#[test]
fn a_fence_before_the_first_commit_does_not_make_anyone_look_since_1970() {
    let (world, store) = set_up();
    give(&world, &store, &given(START, 0, 1.0));
    world.set_now(START + 600_000);
    // A compactor that crashed left something behind.
    let orphan = crate::block::object_key("default/01J9AD7000CGD2N57WQAF2Q8V0", "x");
    world.create(&orphan, bytes::Bytes::new());
    let collector = world.store(eager());
    collect(&world, &collector);
    assert_eq!(world.head(), (1, Head { v: 1, manifest: None, watermark: 0 }));
    let before = world.effects();
    let reader = world.store(settings());
    world.run(reader.select(&[everything(0, i64::MAX)], UNLIMITED)).unwrap().unwrap();
    assert!(world.effects() - before < 1_000);
    compact(&world, &store);
    assert_eq!(ask(&world, &store, 0, i64::MAX), expected(&[given(START, 0, 1.0)], 600_000));
}

/// Settings of a collector that spares nothing.
fn eager() -> Settings {
    Settings { orphan_age_ms: 0, query_grace_ms: 0, delete_consumed_rows: true, ..settings() }
}

#[test]
fn twin_compactors_do_the_work_once() {
    for stop in (0..110).step_by(2) {
        let (world, store, all) = two_hours();
        world.set_now(START + 2 * HOUR_MS + 900_000);
        let twin = world.store(settings());
        let first = async move { store.compact(i64::MAX, FOREVER).await.unwrap().merge_jobs };
        let second = async move { twin.compact(i64::MAX, FOREVER).await.unwrap().merge_jobs };
        let merges = world.interrupt(first, second, stop);
        assert_eq!(merges.0 + merges.1, 1);
        assert_eq!(world.manifest().blocks.len(), 1);
        let fresh = world.store(settings());
        assert_eq!(ask(&world, &fresh, 0, i64::MAX), expected(&all, 600_000), "stopped at {stop}");
    }
}

#[test]
fn late_samples_go_to_the_block_of_their_time() {
    let (world, store, mut all) = two_hours();
    world.set_now(START + 2 * HOUR_MS + 900_000);
    compact(&world, &store);
    let now = world.now();
    let mut late = scrape(7, now, &[("late", 5.0)]);
    late.samples[0].timestamp = Some(START + 60_000);
    let mut twice = scrape(8, now, &[("m0", -1.0)]);
    twice.samples[0].timestamp = Some(START + 60_000);
    all.push(Given { tick: now, shard: 3, scrapes: vec![late, twice] });
    give(&world, &store, all.last().unwrap());
    let wanted = expected(&all, 600_000);
    assert_eq!(ask(&world, &store, 0, i64::MAX), wanted);
    world.wait(600_000);
    compact(&world, &store);
    let levels: Vec<u32> = world.manifest().blocks.iter().map(|block| block.level).collect();
    assert_eq!(levels, [2, 1], "it waits for company");
    assert_eq!(ask(&world, &store, 0, i64::MAX), wanted);
    world.wait(2 * HOUR_MS);
    compact(&world, &store);
    let blocks = world.manifest().blocks;
    assert_eq!(blocks.iter().map(|block| block.level).collect::<Vec<_>>(), [2]);
    assert_eq!(blocks[0].samples, 121, "one of the two was there before");
    assert_eq!(ask(&world, &store, 0, i64::MAX), wanted);
}

#[test]
fn damaged_objects_and_rows_are_never_answered_from() {
    let (world, store, _) = two_hours();
    world.set_now(START + 2 * HOUR_MS + 900_000);
    compact(&world, &store);
    let tick = world.now();
    give(&world, &store, &given(tick, 0, 1.0));
    let sound = ask(&world, &store, 0, i64::MAX);
    let refused = || {
        let fresh = world.store(settings());
        let outcome = world.run(fresh.select(&[everything(0, i64::MAX)], UNLIMITED)).unwrap();
        matches!(outcome, Err(StorageError::Corrupt { .. }))
    };
    let row_key = world.segment_rows().into_iter().next_back().unwrap();
    let good = world.row(&row_key);
    for at in 0..good.len() {
        let mut bad = good.to_vec();
        bad[at] ^= 0x55;
        world.replace_row(&row_key, bad.into());
        assert!(refused(), "row, byte {at}");
    }
    world.replace_row(&row_key, good);
    let day = crate::keys::Day::of(tick).to_string();
    let mut live = world.keys(&format!("layout/default/{day}"));
    live.extend(world.head().1.manifest);
    assert_eq!(live.len(), 2);
    for key in live {
        for at in 0..world.read(&key).len() {
            world.sim.corrupt_object(&key, |body| body[at] ^= 0x55);
            assert!(refused(), "{key}, byte {at}");
            world.sim.corrupt_object(&key, |body| body[at] ^= 0x55);
        }
    }
    assert_eq!(ask(&world, &store, 0, i64::MAX), sound);
}

#[test]
fn a_halted_scope_stays_as_it_is() {
    let (world, store, all) = two_hours();
    // Somebody tampered with the manifest: one block claims a sample more than it has.
    let mut bad = world.manifest();
    bad.blocks[1].samples += 1;
    let body = bytes::Bytes::from(wire::encode(&bad));
    let (version, mut head) = world.head();
    let key = crate::keys::Keys::new(settings().scope).manifest("01ARZ3NDEKTSV4RRFFQ69G5FAV", &body);
    head.manifest = Some(key.clone());
    world.create(&key, body);
    let rows = world.platform().rows;
    world.run(rows.compare_and_set(&head_key(), version, wire::encode(&head).into())).unwrap().unwrap();
    world.set_now(START + 2 * HOUR_MS + 900_000);
    let fresh = world.store(settings());
    let outcome = world.run(fresh.compact(i64::MAX, FOREVER)).unwrap();
    assert!(matches!(outcome, Err(TsdbError::Halt { invariant: "S7", .. })), "{outcome:?}");
    assert_eq!(ask(&world, &store, 0, i64::MAX), expected(&all, 600_000));
}

#[test]
fn retention_drops_whole_blocks_by_age_and_by_size() {
    let (world, store, all) = two_hours();
    drop(store);
    world.set_now(START + 2 * HOUR_MS + 900_000);
    let by_age = Settings { retention_ms: Some(90 * 60_000), ..settings() };
    let store = world.store(by_age.clone());
    let done = compact(&world, &store);
    assert_eq!(done.drop_jobs, 1);
    let oldest = world.now() - by_age.retention_ms.unwrap();
    assert!(world.manifest().blocks.iter().all(|block| block.max_time > oldest));
    let kept = ask(&world, &store, 0, i64::MAX);
    let whole = expected(&all, 600_000);
    assert!(kept.len() < whole.len() && kept.iter().all(|(key, bits)| whole.get(key) == Some(bits)));
    assert!(whole.keys().filter(|(_, at)| *at >= oldest).all(|key| kept.contains_key(key)));

    let by_size = Settings { retention_bytes: Some(1), ..settings() };
    let store = world.store(by_size);
    assert_eq!(compact(&world, &store).drop_jobs, 1);
    assert!(world.manifest().blocks.is_empty());
}

#[test]
fn consumed_rows_and_payloads_are_deleted_where_that_is_free_and_expire_elsewhere() {
    for free in [true, false] {
        let world = World::new(START);
        let settings = Settings { delete_consumed_rows: free, inline_bytes_max: 0, ..settings() };
        let store = world.store(settings);
        let mut all = vec![];
        for tick in 0..10 {
            world.set_now(START + tick * 60_000);
            all.push(given(START + tick * 60_000, 0, tick as f64));
            give(&world, &store, all.last().unwrap());
        }
        let rows = |world: &World| world.segment_rows().len();
        assert_eq!((rows(&world), world.keys("wal/").len(), world.keys("layout/").len()), (10, 10, 1));
        world.set_now(START + 2 * HOUR_MS);
        compact(&world, &store);
        collect(&world, &store);
        assert_eq!((rows(&world), world.keys("wal/").len()), if free { (0, 0) } else { (10, 10) });
        assert_eq!(world.keys("layout/").len(), 1, "its day is not over");
        world.set_now(START + 9 * DAY_MS);
        compact(&world, &store);
        collect(&world, &store);
        assert_eq!((world.keys("wal/").len(), world.keys("layout/").len()), (0, 0));
        assert_eq!(ask(&world, &store, 0, i64::MAX), expected(&all, 600_000));
    }
}

#[test]
fn a_reader_sees_everything_whenever_a_compactor_and_a_collector_come_in_between() {
    for stop in 0..60 {
        let (world, warm, all) = two_hours();
        ask(&world, &warm, 0, i64::MAX);
        world.set_now(START + 2 * HOUR_MS + 900_000);
        let reader = if stop % 2 == 0 { warm } else { world.store(settings()) };
        let collector = world.store(eager());
        let read =
            async move { reader.select(&[everything(0, i64::MAX)], UNLIMITED).await.unwrap().remove(0) };
        let change = async move {
            collector.compact(i64::MAX, FOREVER).await.unwrap();
            collector.collect(i64::MAX, FOREVER).await.unwrap();
        };
        let (set, ()) = world.interrupt(read, change, stop / 2);
        assert_eq!(super::model::contents(&set), expected(&all, 600_000), "stopped at {stop}");
    }
}

#[test]
fn limits_are_enforced() {
    let (world, store, _) = two_hours();
    let all = [everything(0, i64::MAX)];
    let limits = |samples_max| Limits { samples_max, deadline: i64::MAX };
    assert!(world.run(store.select(&all, limits(120))).unwrap().is_ok());
    let outcome = world.run(store.select(&all, limits(119))).unwrap();
    assert!(matches!(outcome, Err(StorageError::TooManySamples)), "{outcome:?}");
    let past = Limits { samples_max: u64::MAX, deadline: world.now() };
    let outcome = world.run(store.select(&all, past)).unwrap();
    assert!(matches!(outcome, Err(StorageError::Timeout(_))), "{outcome:?}");
    // The store hangs (is throttled) until the deadline passes.
    world.sim.set_faults(ScriptedFaults::new().at(0, Fate::Refuse).at(1, Fate::Refuse).at(2, Fate::Refuse));
    let soon = Limits { samples_max: u64::MAX, deadline: world.now() + 200 };
    let fresh = world.store(settings());
    let outcome = world.run(fresh.select(&all, soon)).unwrap();
    assert!(matches!(outcome, Err(StorageError::Timeout(_))), "{outcome:?}");
}

#[test]
fn labels_are_listed_and_limited_and_matched() {
    let (world, store) = set_up();
    let old = Given { tick: START, shard: 0, scrapes: vec![scrape(1, START, &[("a", 1.0), ("b", 2.0)])] };
    give(&world, &store, &old);
    world.set_now(START + 600_000);
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
    let (world, store) = set_up();
    assert_eq!(world.run(store.status()).unwrap().unwrap(), crate::Status::default());
    give(&world, &store, &given(START, 0, 1.0));
    world.wait(7_000);
    assert_eq!(world.run(store.status()).unwrap().unwrap().lag_ms, 7_000);

    let (world, store, _) = two_hours();
    let mut failed = scrape(1, world.now(), &[("up", 0.0)]);
    failed.outcome = ScrapeOutcome {
        duration: Duration::from_millis(7),
        error: Some("server returned HTTP status 500".to_owned()),
    };
    let tick = world.now();
    give(&world, &store, &Given { tick, shard: 1, scrapes: vec![failed] });
    let status = world.run(store.status()).unwrap().unwrap();
    assert_eq!(status.block_samples + status.head_samples, 121);
    assert!(status.head_segments > 1 && status.block_bytes > 0 && status.blocks[&1] > 10);
    assert_eq!(status.min_time, Some(START));
    assert_eq!(status.lag_ms, world.now() - world.head().1.watermark);
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
