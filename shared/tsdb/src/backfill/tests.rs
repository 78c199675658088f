use std::collections::BTreeMap;
use std::ops::ControlFlow;

use platform::Deadline;
use proptest::prelude::*;

use super::*;
use crate::tests::world::World;
use crate::{ScanQuery, Settings};

const NOW: i64 = 1_795_363_200_000;
const HOUR: i64 = 3_600_000;

type Samples = BTreeMap<(String, i64), f64>;

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", "x")])
}

fn settings() -> Settings {
    Settings { retention_ms: None, merge_delay_ms: [0, 0], late_delay_ms: 0, ..Settings::default() }
}

/// Imports samples, flushing after every `flush_every`.
async fn import(store: &Store, samples: &[(&str, i64, f64)], flush_every: usize) -> Backfilled {
    let mut backfill = store.backfill().await.unwrap();
    for some in samples.chunks(flush_every) {
        for (name, timestamp, value) in some {
            let series = backfill.series(labels(name), None).unwrap();
            backfill.push(series, *timestamp, *value).unwrap();
        }
        backfill.flush().await.unwrap();
    }
    backfill.commit().await.unwrap()
}

/// Everything that is visible.
async fn visible(store: &Store) -> Samples {
    let mut found = Samples::new();
    let mut last: Option<Labels> = None;
    store
        .scan(&ScanQuery::default(), &mut |series| {
            assert!(last.as_ref().is_none_or(|last| compare(last, &series.labels).is_lt()));
            last = Some(series.labels.clone());
            for (timestamp, value) in series.timestamps.iter().zip(series.values.iter()) {
                let key = (series.labels.metric_name().to_owned(), *timestamp);
                assert!(found.insert(key, *value).is_none(), "doubled");
            }
            ControlFlow::Continue(())
        })
        .await
        .unwrap();
    found
}

#[test]
fn samples_of_any_age_land_in_blocks_of_their_windows() {
    let world = World::new(NOW);
    let store = world.store(settings());
    let samples = [("b", 2 * HOUR, 1.0), ("a", 2 * HOUR - 1, 2.0), ("a", -1, 3.0), ("a", NOW, 4.0)];
    let done = world.run(import(&store, &samples, 10)).unwrap();
    let times: Vec<(i64, i64)> = done.blocks.iter().map(|block| (block.min_time, block.max_time)).collect();
    assert_eq!(times, [(-1, 0), (2 * HOUR - 1, 2 * HOUR), (2 * HOUR, 2 * HOUR + 1), (NOW, NOW + 1)]);
    assert_eq!((done.samples, done.repeated, done.conflicting), (4, 0, 0));
    assert_eq!(world.run(visible(&store)).unwrap().len(), 4);
    let verified = world.run(store.verify(&mut |_| {})).unwrap().unwrap();
    assert_eq!((verified.problems, verified.blocks, verified.samples), (vec![], 4, 4));
}

#[test]
fn importing_the_same_again_adds_nothing() {
    let world = World::new(NOW);
    let store = world.store(settings());
    let samples = [("a", 1, 1.0), ("b", 1, 2.0), ("a", 3 * HOUR, 3.0)];
    world.run(import(&store, &samples, 10)).unwrap();
    let again = world.run(import(&store, &samples, 10)).unwrap();
    assert_eq!((again.blocks.len(), again.samples, again.present), (0, 0, 3));
    // Cut otherwise, they are other blocks, and still nothing is doubled.
    let pieces = world.run(import(&store, &samples, 1)).unwrap();
    assert_eq!(pieces.blocks.len(), 2);
    assert_eq!(world.run(visible(&store)).unwrap().len(), 3);
}

#[test]
fn of_samples_at_one_instant_the_first_counts() {
    let world = World::new(NOW);
    let store = world.store(settings());
    let samples = [("a", 5, 1.0), ("a", 5, 2.0), ("a", 5, 1.0)];
    let done = world.run(import(&store, &samples, 10)).unwrap();
    assert_eq!((done.samples, done.repeated, done.conflicting), (1, 1, 1));
    let later = [("a", 5, 3.0), ("a", 6, 4.0)];
    world.run(import(&store, &later, 10)).unwrap();
    let expected = Samples::from([(("a".to_owned(), 5), 1.0), (("a".to_owned(), 6), 4.0)]);
    assert_eq!(world.run(visible(&store)).unwrap(), expected);
}

#[test]
fn an_import_that_is_given_up_leaves_nothing() {
    let world = World::new(NOW);
    let store = world.store(settings());
    world
        .run(async {
            let mut backfill = store.backfill().await.unwrap();
            let series = backfill.series(labels("a"), None).unwrap();
            backfill.push(series, 1, 1.0).unwrap();
            backfill.flush().await.unwrap();
            drop(backfill);
        })
        .unwrap();
    assert_eq!(world.run(visible(&store)).unwrap(), Samples::new());
    let verified = world.run(store.verify(&mut |_| {})).unwrap().unwrap();
    assert_eq!((verified.problems.len(), verified.orphans.len()), (0, 2));
}

#[test]
fn an_import_during_which_the_head_changed_is_refused() {
    let world = World::new(NOW);
    let (store, other) = (world.store(settings()), world.store(settings()));
    let outcome = world
        .run(async {
            let mut backfill = store.backfill().await.unwrap();
            let series = backfill.series(labels("a"), None).unwrap();
            backfill.push(series, 1, 1.0).unwrap();
            import(&other, &[("b", 1, 1.0)], 1).await;
            backfill.commit().await
        })
        .unwrap();
    assert_eq!(outcome, Err(TsdbError::Restarts));
    assert_eq!(world.run(visible(&store)).unwrap().len(), 1);
}

#[test]
fn exemplars_and_metadata_come_with_their_series() {
    let world = World::new(NOW);
    let store = world.store(settings());
    let exemplar =
        Exemplar { labels: Labels::from_pairs([("trace_id", "x")]), value: 3.0, timestamp: 3 * HOUR };
    let metadata = Metadata {
        metric_family: "a".to_owned(),
        kind: model::MetricType::Gauge,
        help: "What a is.".to_owned(),
        unit: String::new(),
    };
    let (exemplars, known) = world
        .run(async {
            let mut backfill = store.backfill().await.unwrap();
            let family = backfill.family(metadata.clone()).unwrap();
            let series = backfill.series(labels("a"), Some(family)).unwrap();
            backfill.push(series, 5 * HOUR, 1.0).unwrap();
            // In a window without samples.
            backfill.push_exemplar(series, exemplar.clone()).unwrap();
            backfill.commit().await.unwrap();
            let exemplars =
                storage::ExemplarQueryable::exemplars(&store, &[], 0, 9 * HOUR, 100).await.unwrap();
            (exemplars, storage::MetadataQueryable::metadata(&store, Some("a")).await.unwrap())
        })
        .unwrap();
    assert_eq!(exemplars, [storage::SeriesExemplars { labels: labels("a"), exemplars: vec![exemplar] }]);
    assert_eq!(known, [metadata]);
    let verified = world.run(store.verify(&mut |_| {})).unwrap().unwrap();
    assert_eq!((verified.problems, verified.exemplars), (vec![], 1));
}

#[test]
fn what_no_block_can_hold_is_refused() {
    let world = World::new(NOW);
    let store = world.store(settings());
    world
        .run(async {
            let mut backfill = store.backfill().await.unwrap();
            assert!(backfill.series(Labels::from_pairs([("a", "b")]), None).is_err());
            let series = backfill.series(labels("a"), None).unwrap();
            for timestamp in [i64::MIN, i64::MAX, BACKFILL_TIME_MAX + 1] {
                assert!(backfill.push(series, timestamp, 1.0).is_err(), "{timestamp}");
            }
            backfill.push(series, BACKFILL_TIME_MAX, 1.0).unwrap();
            assert!(backfill.held_bytes() > 0);
            backfill.flush().await.unwrap();
            assert_eq!(backfill.held_bytes(), 0);
            assert!(backfill.push(series, 1, 1.0).is_err(), "a series from before a flush");
        })
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_imported_is_what_is_seen_before_and_after_merges(
        samples in proptest::collection::vec(("[a-d]", -20i64..200, -9.0..9.0f64), 1..120),
        flush_every in 1usize..60,
    ) {
        let world = World::new(NOW);
        let store = world.store(settings());
        // Half an hour apart, so that there are many windows.
        let samples: Vec<(&str, i64, f64)> =
            samples.iter().map(|(name, at, value)| (name.as_str(), at * HOUR / 2, *value)).collect();
        let mut expected = Samples::new();
        for (name, timestamp, value) in &samples {
            expected.entry(((*name).to_owned(), *timestamp)).or_insert(*value);
        }
        world.run(import(&store, &samples, flush_every)).unwrap();
        prop_assert_eq!(&world.run(visible(&store)).unwrap(), &expected);
        let merged = world.run(store.compact(NOW, Deadline(NOW + HOUR))).unwrap().unwrap();
        prop_assert!(merged.complete);
        prop_assert_eq!(&world.run(visible(&store)).unwrap(), &expected);
        let verified = world.run(store.verify(&mut |_| {})).unwrap().unwrap();
        prop_assert_eq!(verified.problems, vec![]);
    }
}
