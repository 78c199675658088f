//! Goal: whatever a writer gets acknowledged can be compacted and read back, however odd; one odd sample must not stop a
//! store. Method: the oddest that is accepted, through segments and all levels of blocks.

use std::ops::RangeInclusive;
use std::sync::Arc;

use model::histogram::{BUCKETS_PER_SIGN_MAX, CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Span};
use model::{Exemplar, Labels, Metadata, MetricType};
use platform::Deadline;
use storage::{
    Coverage, ExemplarQueryable, MetadataQueryable, Queryable, Scrape, ScrapeExemplar, ScrapeHistogram,
    ScrapeSample,
};

use super::model::{UNLIMITED, everything, scrape, settings};
use super::world::World;
use crate::keys::{DAY_MS, HOUR_MS};
use crate::{Appended, Settings, Shard, Store};

const START: i64 = 20_000 * DAY_MS;
const FOREVER: Deadline = Deadline(i64::MAX);
const ALL: RangeInclusive<i64> = i64::MIN..=i64::MAX;

fn levels(world: &World) -> Vec<u32> {
    world.manifest().blocks.iter().map(|block| block.level).collect()
}

/// Appends a push, and compacts it with another one to the highest level; after every step `check` looks at a new
/// process.
fn through_all_levels(settings: &Settings, push: &Scrape, check: impl Fn(&World, &Store)) {
    let world = World::new(START);
    let store = world.store(settings.clone());
    for (number, hours) in (1u128..).zip([0, 1, 4, 5]) {
        world.set_now(START + hours * HOUR_MS);
        let push = if number == 1 { push.clone() } else { scrape(9, world.now(), &[("other", 1.0)]) };
        let push = Scrape { coverage: Coverage::Partial, ..push };
        let appended = world.run(store.append(world.now(), Shard::push(number), &[push])).unwrap().unwrap();
        assert!(matches!(appended, Appended::Written(_)), "{appended:?}");
        check(&world, &world.store(settings.clone()));
        world.wait(15 * 60_000);
        world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
        check(&world, &world.store(settings.clone()));
    }
    assert!(levels(&world).contains(&2));
    world.wait(30 * HOUR_MS);
    world.run(store.compact(i64::MAX, FOREVER)).unwrap().unwrap();
    assert!(levels(&world).contains(&3));
    check(&world, &world.store(settings.clone()));
}

#[test]
fn the_longest_texts_that_a_push_may_have_are_kept() {
    let long = |letter: &str| letter.repeat(17 << 20);
    let named = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
    let (name, value, help) = (long("n"), long("v"), long("h"));
    let of = |labels: Labels| ScrapeSample { labels, value: 1.0, timestamp: None };
    let mut push = scrape(1, START, &[]);
    push.samples.push(of(named(&[("__name__", name.as_str()), ("job", "x")])));
    push.samples.push(of(named(&[("__name__", "m"), (name.as_str(), "x")])));
    push.samples.push(of(named(&[("__name__", "m"), ("A", value.as_str())])));
    let family =
        Metadata { metric_family: "m".to_owned(), kind: MetricType::Counter, help, unit: String::new() };
    push.metadata = Arc::from([family.clone()]);
    let wanted = push.samples.clone();
    through_all_levels(&settings(), &push, |world, store| {
        let set =
            world.run(store.select(&[everything(*ALL.start(), *ALL.end())], UNLIMITED)).unwrap().unwrap();
        for sample in &wanted {
            let found = set[0].iter().find(|series| series.labels == sample.labels);
            assert_eq!(found.map(|series| series.values[..].to_vec()), Some(vec![1.0]));
        }
        assert!(world.run(store.metadata(None)).unwrap().unwrap() == [family.clone()]);
    });
}

#[test]
fn the_oddest_histograms_and_exemplars_are_kept() {
    let most = BUCKETS_PER_SIGN_MAX;
    let wide = FloatHistogram {
        positive_spans: vec![Span { offset: i32::MIN, length: most as u32 }],
        positive_buckets: (0..most).map(|at| at as f64 * 0.5).collect(),
        negative_spans: vec![Span { offset: i32::MAX, length: 0 }; most],
        zero_threshold: f64::NAN,
        count: f64::INFINITY,
        sum: f64::from_bits(1),
        ..FloatHistogram::default()
    };
    let custom = FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        custom_values: (0..2 * most).map(|at| at as f64).collect(),
        ..FloatHistogram::default()
    };
    let histograms = [wide, custom, FloatHistogram::stale()].map(Arc::new);
    let mut push = scrape(1, START, &[]);
    let labels = Labels::from_pairs([("A", "before the name"), ("__name__", "h")]);
    for (at, value) in (0i64..).zip(&histograms) {
        assert_eq!(value.validate(), Ok(()));
        push.histograms.push(ScrapeHistogram {
            labels: Labels::from_pairs([
                ("A", "before the name"),
                ("__name__", "h"),
                ("n", ["0", "1", "2"][at as usize]),
            ]),
            value: Arc::clone(value),
            timestamp: Some(START - at),
        });
    }
    let exemplar = Exemplar {
        labels: Labels::from_pairs([("t", "x".repeat(126))]),
        value: f64::from_bits(u64::MAX),
        timestamp: START - 3 * HOUR_MS,
    };
    push.exemplars.push(ScrapeExemplar { series: labels, exemplar: exemplar.clone() });
    through_all_levels(&settings(), &push, |world, store| {
        let set =
            world.run(store.select(&[everything(*ALL.start(), *ALL.end())], UNLIMITED)).unwrap().unwrap();
        let found: Vec<_> = set[0].iter().flat_map(|series| series.histograms.values.to_vec()).collect();
        assert!(found == histograms);
        let found = world.run(store.exemplars(&[], *ALL.start(), *ALL.end(), 10)).unwrap().unwrap();
        assert_eq!(found[0].exemplars[0].timestamp, exemplar.timestamp);
        assert_eq!(found[0].exemplars[0].value.to_bits(), exemplar.value.to_bits());
    });
}

#[test]
fn what_no_reader_would_take_is_not_acknowledged() {
    let world = World::new(START);
    let store = world.store(settings());
    let long = Labels::from_pairs([("__name__", "m".repeat(1 << 20))]);
    for coverage in [Coverage::Complete, Coverage::Partial] {
        for (labels, count) in
            [(Labels::default(), crate::wal::SERIES_PER_LAYOUT_MAX + 1), (long.clone(), 512)]
        {
            let sample = ScrapeSample { labels, value: 1.0, timestamp: None };
            let push = Scrape { samples: vec![sample; count], coverage, ..scrape(1, START, &[]) };
            let appended = world.run(store.append(START, Shard::push(1), &[push])).unwrap();
            assert!(matches!(appended, Err(crate::TsdbError::Invalid(_))), "{appended:?}");
        }
    }
    assert_eq!(world.effects(), 0);
}
