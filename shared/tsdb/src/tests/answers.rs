//! Exemplars and metadata of a store, and limits of label questions.

use model::{Exemplar, Labels, Matcher, Metadata, MetricType};
use storage::{ExemplarQueryable, LabelQuery, MetadataQueryable, Queryable, ScrapeExemplar};

use super::model::{Given, give, labels, scrape, settings};
use super::world::World;

fn exemplar(name: &str, timestamp: i64, trace: &str) -> ScrapeExemplar {
    let own = Labels::from_pairs([("trace_id", trace)]);
    ScrapeExemplar {
        series: labels(name),
        exemplar: Exemplar { labels: own, value: timestamp as f64, timestamp },
    }
}

fn answer(family: &str) -> Metadata {
    Metadata {
        metric_family: family.to_owned(),
        kind: MetricType::Counter,
        help: "How often.".to_owned(),
        unit: String::new(),
    }
}

#[test]
fn exemplars_and_metadata_of_segments_are_found() {
    let world = World::new(1_020_000);
    let store = world.store(settings());
    for (n, tick) in [1_000_000, 1_015_000].into_iter().enumerate() {
        let mut scraped = scrape(1, tick, &[("a", n as f64), ("b", 1.0)]);
        scraped.exemplars = vec![exemplar("a", tick - 3_000, "x"), exemplar("b", 990_000, "same")];
        scraped.metadata = [answer("a"), answer("b")].into();
        give(&world, &store, &Given { tick, shard: 0, scrapes: vec![scraped] });
    }
    let ask = |sets: &[Vec<Matcher>], min: i64, max: i64, limit: usize| {
        let found = world.run(store.exemplars(sets, min, max, limit)).unwrap().unwrap();
        found
            .into_iter()
            .map(|series| {
                let times: Vec<i64> = series.exemplars.iter().map(|exemplar| exemplar.timestamp).collect();
                (series.labels.metric_name().to_owned(), times)
            })
            .collect::<Vec<_>>()
    };
    let a = ("a".to_owned(), vec![997_000, 1_012_000]);
    let b = ("b".to_owned(), vec![990_000]);
    assert_eq!(ask(&[], 0, i64::MAX, 10), [a.clone(), b.clone()], "what was shown twice is there once");
    assert_eq!(ask(&[vec![Matcher::equal("__name__", "a")]], 0, i64::MAX, 10), [a]);
    assert_eq!(ask(&[], 1_000_000, 1_013_000, 10), [("a".to_owned(), vec![1_012_000])]);
    assert_eq!(ask(&[], 0, i64::MAX, 2), [("a".to_owned(), vec![1_012_000]), b], "the latest of each first");
    assert!(ask(&[], 0, i64::MAX, 0).is_empty());

    let told = |metric: Option<&str>| world.run(store.metadata(metric)).unwrap().unwrap();
    assert_eq!(told(None), [answer("a"), answer("b")]);
    assert_eq!(told(Some("b")), [answer("b")]);
    assert!(told(Some("c")).is_empty());
}

#[test]
fn label_questions_keep_to_their_limit() {
    let world = World::new(1_020_000);
    let store = world.store(settings());
    let scraped = scrape(1, 1_000_000, &[("a", 1.0), ("b", 1.0), ("c", 1.0)]);
    give(&world, &store, &Given { tick: 1_000_000, shard: 0, scrapes: vec![scraped] });
    let query = LabelQuery { matcher_sets: vec![], min_time: 0, max_time: i64::MAX, limit: 2 };
    assert_eq!(world.run(store.label_values("__name__", &query)).unwrap().unwrap(), ["a", "b"]);
    assert_eq!(world.run(Queryable::series(&store, &query)).unwrap().unwrap(), [labels("a"), labels("b")]);
    let one = LabelQuery { limit: 1, ..query };
    assert_eq!(world.run(store.label_names(&one)).unwrap().unwrap(), ["__name__"]);
}
