use std::collections::BTreeSet;

use proptest::prelude::*;
use wire::ScrapePool;

use super::*;

fn target(n: usize, interval_ms: u64, offset_ms: u64) -> ScrapeTarget {
    ScrapeTarget {
        source: format!("{n:016x}"),
        pool: "p".to_owned(),
        url: format!("http://t{n}/metrics"),
        labels: WireLabels(vec![("instance".to_owned(), format!("t{n}"))]),
        discovered: WireLabels(vec![("__address__".to_owned(), format!("t{n}"))]),
        interval_ms,
        timeout_ms: interval_ms,
        offset_ms: offset_ms % interval_ms,
        forced_error: None,
    }
}

fn snapshot(targets: Vec<ScrapeTarget>) -> TargetSnapshot {
    let pool = ScrapePool { name: "p".to_owned(), active: targets, dropped: Vec::new(), errors: Vec::new() };
    TargetSnapshot { v: 1, config: "config/1".to_owned(), pools: vec![pool] }
}

fn sources(slot: &Slot) -> Vec<&str> {
    slot.task.targets.iter().map(|target| target.source.trim_start_matches('0')).collect()
}

#[test]
fn targets_that_are_due_together_are_scraped_together() {
    let snapshot =
        snapshot(vec![target(1, 15_000, 14_200), target(2, 15_000, 14_900), target(3, 15_000, 100)]);
    let slots = schedule(&snapshot, 30_000, 60_000, &PackSettings::default());
    let found: Vec<(i64, u32, Vec<&str>)> =
        slots.iter().map(|slot| (slot.due, slot.task.shard, sources(slot))).collect();
    assert_eq!(
        found,
        [
            (30_100, 0, vec!["3"]),
            (44_200, 0, vec!["1", "2"]),
            (45_100, 0, vec!["3"]),
            (59_200, 0, vec!["1", "2"]),
        ]
    );
    assert_eq!(slots[0].task.config, "config/1");
    assert!(slots.iter().all(|slot| slot.task.tick == slot.due && slot.task.gone.is_empty()));
    assert!(slots[0].task.targets[0].discovered.0.is_empty());
}

#[test]
fn batches_of_one_tick_have_shards() {
    let targets =
        vec![target(1, 10_000, 0), target(2, 10_000, 0), target(3, 30_000, 0), target(4, 10_000, 1)];
    let settings = PackSettings { targets_max: 2, ..PackSettings::default() };
    let slots = schedule(&snapshot(targets), 0, 10_000, &settings);
    let found: Vec<(i64, u32, Vec<&str>)> =
        slots.iter().map(|slot| (slot.due, slot.task.shard, sources(slot))).collect();
    assert_eq!(found, [(0, 0, vec!["1", "2"]), (0, 1, vec!["3"]), (1, 0, vec!["4"])]);
}

#[test]
fn a_batch_is_bounded_by_series_and_bytes() {
    let targets: Vec<ScrapeTarget> = (1..=4).map(|n| target(n, 10_000, 0)).collect();
    let snapshot = snapshot(targets);
    let series = BTreeMap::from([(format!("{:016x}", 2), 90_000), (format!("{:016x}", 3), 39_000)]);
    let by_series =
        schedule(&snapshot, 0, 1, &PackSettings { series, series_max: 40_000, ..PackSettings::default() });
    let found: Vec<Vec<&str>> = by_series.iter().map(sources).collect();
    assert_eq!(found, [vec!["1"], vec!["2"], vec!["3", "4"]]);
    let by_bytes = schedule(&snapshot, 0, 1, &PackSettings { bytes_max: 500, ..PackSettings::default() });
    assert!(by_bytes.len() > 1);
    for slot in &by_bytes {
        assert!(wire::encode(&slot.task.targets).len() <= 501);
    }
}

#[test]
fn a_window_of_nothing_has_no_slot() {
    let snapshot = snapshot(vec![target(1, 10_000, 5)]);
    assert!(schedule(&snapshot, 5, 5, &PackSettings::default()).is_empty());
    assert!(schedule(&snapshot, 6, 10_005, &PackSettings::default()).is_empty());
    assert_eq!(schedule(&snapshot, 5, 6, &PackSettings::default()).len(), 1);
    assert_eq!(schedule(&snapshot, -9_995, -9_994, &PackSettings::default()).len(), 1);
}

#[test]
fn scrapes_are_counted_as_they_would_be_planned() {
    let specs = [(1_000, 0), (1_000, 999), (7_000, 13), (60_000, 59_999)];
    let targets = specs.into_iter().enumerate().map(|(n, (interval, offset))| target(n, interval, offset));
    let snapshot = snapshot(targets.collect());
    for (from, until) in
        [(0, 1), (0, 60_000), (999, 1_000), (13, 14), (14, 7_013), (5, 5), (123_456, 654_321)]
    {
        let planned: usize = schedule(&snapshot, from, until, &PackSettings::default())
            .iter()
            .map(|slot| slot.task.targets.len())
            .sum();
        assert_eq!(scrapes_due(&snapshot, from, until), planned as u64, "{from}..{until}");
    }
}

fn some_targets() -> impl Strategy<Value = Vec<ScrapeTarget>> {
    let interval = prop_oneof![Just(1_000u64), Just(5_000), Just(15_000), Just(60_000), 1u64..40_000];
    proptest::collection::vec((interval, 0u64..100_000), 0..40).prop_map(|targets| {
        targets.into_iter().enumerate().map(|(n, (interval, offset))| target(n, interval, offset)).collect()
    })
}

fn some_settings() -> impl Strategy<Value = PackSettings> {
    (0u64..3_000, 1usize..20).prop_map(|(spread_ms_max, targets_max)| PackSettings {
        spread_ms_max,
        targets_max,
        ..PackSettings::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_due_instant_is_planned_once_over_consecutive_windows_though_targets_come_and_go(
        targets in some_targets(),
        settings in some_settings(),
        start in -100_000i64..100_000,
        windows in proptest::collection::vec((1i64..30_000, any::<u64>()), 1..6),
    ) {
        let (mut from, mut names) = (start, BTreeSet::new());
        for (length, present) in windows {
            // Some of the targets exist in this window.
            let there: Vec<ScrapeTarget> =
                targets.iter().enumerate().filter(|(n, _)| present >> (n % 64) & 1 == 1).map(|(_, t)| t.clone()).collect();
            let slots = schedule(&snapshot(there.clone()), from, from + length, &settings);
            prop_assert!(slots.is_sorted_by_key(|slot| (slot.due, slot.task.shard)));
            let mut planned = Vec::new();
            for slot in &slots {
                prop_assert!(names.insert((slot.due, slot.task.shard)), "a name twice");
                prop_assert!(slot.task.targets.len() <= settings.targets_max);
                for target in &slot.task.targets {
                    let late = (target.offset_ms as i64 - slot.due).rem_euclid(target.interval_ms as i64);
                    prop_assert!(late < settings.spread_ms_max.max(1) as i64);
                    planned.push((target.source.clone(), slot.due + late));
                }
            }
            let mut expected: Vec<(String, i64)> = Vec::new();
            for target in &there {
                let is_due =
                    |t: &i64| (t - target.offset_ms as i64).rem_euclid(target.interval_ms as i64) == 0;
                expected.extend((from..from + length).filter(is_due).map(|t| (target.source.clone(), t)));
            }
            planned.sort();
            expected.sort();
            prop_assert_eq!(planned, expected);
            from += length;
        }
    }

    #[test]
    fn no_target_is_twice_in_a_task(targets in some_targets(), settings in some_settings()) {
        for slot in schedule(&snapshot(targets), -5_000, 20_000, &settings) {
            let sources: BTreeSet<&str> = slot.task.targets.iter().map(|t| t.source.as_str()).collect();
            prop_assert_eq!(sources.len(), slot.task.targets.len());
        }
    }

    #[test]
    fn windows_at_multiples_of_the_spread_may_be_cut_anyhow(
        targets in some_targets(),
        start in -50i64..50,
        cuts in proptest::collection::vec(1i64..20, 1..6),
    ) {
        // Cells of targets with shorter intervals are shorter, and end elsewhere.
        let targets = targets.into_iter().filter(|target| target.interval_ms >= 1_000).collect();
        let (snapshot, settings) = (snapshot(targets), PackSettings::default());
        let (mut from, mut slots) = (start * 1_000, Vec::new());
        for cut in cuts {
            slots.extend(schedule(&snapshot, from, from + cut * 1_000, &settings));
            from += cut * 1_000;
        }
        prop_assert_eq!(slots, schedule(&snapshot, start * 1_000, from, &settings));
    }

    #[test]
    fn the_order_of_targets_does_not_matter(targets in some_targets(), settings in some_settings()) {
        let mut reversed = targets.clone();
        reversed.reverse();
        let slots = schedule(&snapshot(targets), 0, 20_000, &settings);
        prop_assert_eq!(slots, schedule(&snapshot(reversed), 0, 20_000, &settings));
    }
}

#[test]
fn very_many_series_make_fewer_and_larger_batches() {
    let targets: Vec<ScrapeTarget> = (0..300).map(|n| target(n, 15_000, n as u64 * 50)).collect();
    let batches = |settings: &PackSettings| schedule(&snapshot(targets.clone()), 0, 15_000, settings).len();
    assert_eq!(batches(&PackSettings { series_max: 300_000, ..PackSettings::default() }), 15);
    assert_eq!(batches(&PackSettings::default()), 6);
}

#[test]
fn for_functions_the_targets_of_an_interval_are_one_batch_that_is_scraped_at_once() {
    let targets = vec![
        target(1, 15_000, 14_200),
        target(2, 15_000, 900),
        target(3, 15_000, 7_100),
        target(4, 60_000, 0),
    ];
    let slots = schedule(&snapshot(targets), 60_000, 120_000, &PackSettings::for_functions());
    let found: Vec<(i64, u32, Vec<&str>)> =
        slots.iter().map(|slot| (slot.due, slot.task.shard, sources(slot))).collect();
    assert_eq!(
        found,
        [
            (60_000, 0, vec!["4"]),
            (60_900, 0, vec!["2", "3", "1"]),
            (75_900, 0, vec!["2", "3", "1"]),
            (90_900, 0, vec!["2", "3", "1"]),
            (105_900, 0, vec!["2", "3", "1"]),
        ]
    );
    for slot in &slots {
        for target in &slot.task.targets {
            assert_eq!(slot.due.rem_euclid(target.interval_ms.cast_signed()), target.offset_ms.cast_signed());
        }
    }
}
