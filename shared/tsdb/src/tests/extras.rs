//! Goal: histograms, exemplars, metadata and pushed samples of segments are answered as they were given. Method: a few
//! segments of each, asked for in every way.

use std::sync::Arc;

use model::{Exemplar, FloatHistogram, Matcher, Metadata, MetricType};
use storage::{
    Coverage, ExemplarQueryable, MetadataQueryable, Queryable, Scrape, ScrapeExemplar, ScrapeHistogram,
    SourceId,
};

use super::model::{Given, UNLIMITED, ask, everything, give, labels, scrape, settings};
use super::world::World;
use crate::keys::{DAY_MS, HOUR_MS};
use crate::{Appended, Shard};

const START: i64 = 20_000 * DAY_MS;

fn histogram(count: f64) -> Arc<FloatHistogram> {
    Arc::new(FloatHistogram {
        schema: 2,
        count,
        sum: count * 1.5,
        positive_spans: vec![model::histogram::Span { offset: 0, length: 2 }],
        positive_buckets: vec![count - 1.0, 1.0],
        ..FloatHistogram::default()
    })
}

fn with_histogram(tick: i64, count: f64, floats: &[(&str, f64)]) -> Scrape {
    let mut scrape = scrape(1, tick, floats);
    scrape.histograms.push(ScrapeHistogram { labels: labels("h"), value: histogram(count), timestamp: None });
    scrape
}

#[test]
fn histograms_are_answered_beside_floats_and_end_with_a_marker() {
    let world = World::new(START);
    let store = world.store(settings());
    let at = |step: i64| START + step * 15_000;
    let scrapes = [
        with_histogram(at(0), 5.0, &[("a", 1.0)]),
        with_histogram(at(1), 7.0, &[("a", 2.0)]),
        scrape(1, at(2), &[("a", 3.0)]),
        scrape(1, at(3), &[("a", 3.0), ("h", 9.0)]),
    ];
    for scrape in &scrapes {
        world.set_now(scrape.timestamp);
        give(&world, &store, &Given { tick: scrape.timestamp, shard: 0, scrapes: vec![scrape.clone()] });
    }
    for store in [&store, &world.store(settings())] {
        let set = world.run(store.select(&[everything(0, i64::MAX)], UNLIMITED)).unwrap().unwrap().remove(0);
        let found = set.iter().find(|series| series.labels == labels("h")).unwrap();
        assert_eq!(found.histograms.timestamps[..], [at(0), at(1)]);
        assert_eq!(found.histograms.values[..], [histogram(5.0), histogram(7.0)]);
        assert_eq!(found.timestamps[..], [at(2), at(3)]);
        assert!(model::value::is_stale_nan(found.values[0]) && found.values[1] == 9.0);
    }
    let status = world.run(store.head_stats(9)).unwrap().unwrap();
    assert_eq!(status.num_series, 2);
}

#[test]
fn of_a_float_and_a_histogram_at_one_instant_the_first_writer_counts() {
    for float_first in [true, false] {
        let world = World::new(START);
        let store = world.store(settings());
        let float = scrape(2, START, &[("h", 1.0)]);
        let histogram = with_histogram(START, 5.0, &[]);
        let order = if float_first { [float, histogram] } else { [histogram, float] };
        for (shard, scrape) in (0u32..).zip(order) {
            give(&world, &store, &Given { tick: START, shard, scrapes: vec![scrape] });
        }
        let set = world.run(store.select(&[everything(0, i64::MAX)], UNLIMITED)).unwrap().unwrap().remove(0);
        let counts = (set[0].timestamps.len(), set[0].histograms.timestamps.len());
        assert_eq!(counts, if float_first { (1, 0) } else { (0, 1) });
    }
}

#[test]
fn exemplars_and_metadata_of_segments_are_answered_each_once() {
    let world = World::new(START);
    let store = world.store(settings());
    let family = |help: &str| Metadata {
        metric_family: "a".to_owned(),
        kind: MetricType::Counter,
        help: help.to_owned(),
        unit: String::new(),
    };
    let exemplar = |at: i64| Exemplar {
        labels: model::Labels::from_pairs([("trace_id", format!("{at:x}"))]),
        value: at as f64,
        timestamp: at,
    };
    for step in 0..4i64 {
        let tick = START + step * 15_000;
        world.set_now(tick);
        let mut scrape = scrape(1, tick, &[("a", step as f64), ("b", 1.0)]);
        // The same one is shown twice.
        scrape.exemplars =
            vec![ScrapeExemplar { series: labels("a"), exemplar: exemplar(START + step / 2 * 2 * 15_000) }];
        scrape.metadata = Arc::from([family(if step < 3 { "old" } else { "new" })]);
        give(&world, &store, &Given { tick, shard: 0, scrapes: vec![scrape] });
    }
    let ask = |name: &str, limit: usize| {
        let sets = [vec![Matcher::equal("__name__", name)]];
        world.run(store.exemplars(&sets, START, i64::MAX, limit)).unwrap().unwrap()
    };
    let found = ask("a", 10);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].exemplars, [exemplar(START), exemplar(START + 30_000)]);
    assert_eq!(ask("a", 1)[0].exemplars, [exemplar(START + 30_000)]);
    assert!(ask("b", 10).is_empty());
    let metadata = |name| world.run(store.metadata(name)).unwrap().unwrap();
    assert_eq!(metadata(Some("a")), [family("new"), family("old")]);
    assert!(metadata(Some("b")).is_empty() && metadata(None).len() == 2);
    let latest = world.run(store.latest_metadata(&[SourceId(1), SourceId(2)])).unwrap().unwrap();
    assert_eq!(latest.len(), 1);
    assert_eq!(latest[&SourceId(1)][..], [family("new")]);
    assert_eq!(world.keys("layout/").len(), 2, "another help is another layout");
}

#[test]
fn pushed_samples_of_any_age_end_nothing_and_cost_one_write() {
    let world = World::new(START);
    let store = world.store(settings());
    let push =
        |at: i64, names: &[(&str, f64)]| Scrape { coverage: Coverage::Partial, ..scrape(7, at, names) };
    let batches = [
        vec![push(START - 9 * HOUR_MS, &[("a", 1.0), ("b", 2.0)]), push(START, &[("a", 2.0)])],
        vec![push(START - 60_000, &[("b", 3.0)])],
    ];
    let mut writes = vec![];
    for (hash, batch) in (1u128..).zip(&batches) {
        let before = world.effects();
        for _ in 0..2 {
            let appended = world.run(store.append(START, Shard::push(hash), batch)).unwrap().unwrap();
            assert!(matches!(appended, Appended::Written(_)), "a retry of the same is as good as written");
        }
        writes.push(world.effects() - before);
    }
    assert_eq!(writes, [2, 2], "a row each time, and no layout");
    let all = ask(&world, &store, i64::MIN, i64::MAX);
    assert_eq!(all.len(), 4, "no marker: {all:?}");
    assert_eq!(ask(&world, &store, START - 10 * HOUR_MS, START - 8 * HOUR_MS).len(), 2);
    assert_eq!(ask(&world, &store, START - 60_000, START - 1).len(), 1);
}
