//! The reference: what a store that was given some segments must hold, computed in the most naive way.

use std::collections::{BTreeMap, BTreeSet};

use model::Labels;
use model::value::stale_nan;
use storage::{
    LabelQuery, Limits, Queryable, Scrape, ScrapeOutcome, ScrapeSample, Select, SelectHints, Series, SourceId,
};

use super::world::World;
use crate::{Appended, Settings, Shard, Store};

/// Value bits by series and timestamp.
pub(crate) type Contents = BTreeMap<(Labels, i64), u64>;

/// A segment as it was given to the store.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub tick: i64,
    pub shard: u32,
    pub scrapes: Vec<Scrape>,
}

/// A series with a metric name alone.
pub(crate) fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", "test")])
}

/// A scrape of series with values, at an instant.
pub(crate) fn scrape(source: u64, timestamp: i64, samples: &[(&str, f64)]) -> Scrape {
    let samples = samples.iter().map(|(name, value)| ScrapeSample {
        labels: labels(name),
        value: *value,
        timestamp: None,
    });
    Scrape {
        source: SourceId(source),
        timestamp,
        outcome: ScrapeOutcome::default(),
        samples: samples.collect(),
        ..Scrape::default()
    }
}

/// What some segments amount to, by the rules in [`crate::replay`].
pub(crate) fn expected(given: &[Given], staleness_gap_ms: i64) -> Contents {
    let mut given: Vec<&Given> = given.iter().collect();
    given.sort_by_key(|given| (given.tick, given.shard));
    // Every sample of every tick, then its markers: (tick, 0 or 1, series, timestamp, bits).
    let mut rows: Vec<(i64, u8, Labels, i64, u64)> = Vec::new();
    let mut history: Vec<(i64, &Scrape)> = Vec::new();
    for segment in &given {
        for scrape in &segment.scrapes {
            for sample in &scrape.samples {
                let at = sample.timestamp.unwrap_or(scrape.timestamp);
                rows.push((segment.tick, 0, sample.labels.clone(), at, sample.value.to_bits()));
            }
            let before = history.iter().rfind(|(_, before)| before.source == scrape.source);
            if let Some((tick, before)) = before
                && segment.tick - tick <= staleness_gap_ms
                && scrape.timestamp > before.timestamp
            {
                let implicit = |scrape: &Scrape, labels: &Labels| {
                    scrape.samples.iter().any(|s| s.timestamp.is_none() && s.labels == *labels)
                };
                for sample in &before.samples {
                    if sample.timestamp.is_none() && !implicit(scrape, &sample.labels) {
                        let bits = stale_nan().to_bits();
                        rows.push((segment.tick, 1, sample.labels.clone(), scrape.timestamp, bits));
                    }
                }
            }
            history.push((segment.tick, scrape));
        }
    }
    rows.sort_by_key(|row| (row.0, row.1));
    let mut contents = Contents::new();
    for (_, _, labels, timestamp, bits) in rows {
        contents.entry((labels, timestamp)).or_insert(bits);
    }
    contents
}

/// The part of some contents in `min..=max`.
pub(crate) fn between(contents: &Contents, min: i64, max: i64) -> Contents {
    contents
        .iter()
        .filter(|((_, at), _)| (min..=max).contains(at))
        .map(|(key, bits)| (key.clone(), *bits))
        .collect()
}

/// Some series as contents; checks what every answer promises.
pub(crate) fn contents(series: &[Series]) -> Contents {
    assert!(series.windows(2).all(|pair| pair[0].labels < pair[1].labels), "series are sorted and unique");
    let mut contents = Contents::new();
    for series in series {
        assert!(!series.timestamps.is_empty() && series.timestamps.len() == series.values.len());
        assert!(series.timestamps.windows(2).all(|pair| pair[0] < pair[1]), "timestamps increase");
        for (timestamp, value) in series.timestamps.iter().zip(series.values.iter()) {
            contents.insert((series.labels.clone(), *timestamp), value.to_bits());
        }
    }
    contents
}

/// A demand for everything in `min..=max`.
pub(crate) fn everything(min: i64, max: i64) -> Select {
    Select { matchers: vec![], min_time: min, max_time: max, hints: SelectHints::default() }
}

pub(crate) const UNLIMITED: Limits = Limits { samples_max: u64::MAX, deadline: i64::MAX };

/// What a store answers for `min..=max`, asked for samples and for series.
pub(crate) fn ask(world: &World, store: &Store, min: i64, max: i64) -> Contents {
    let selects = [everything(min, max)];
    let mut sets = world.run(store.select(&selects, UNLIMITED)).unwrap().unwrap();
    let query = LabelQuery { matcher_sets: vec![], min_time: min, max_time: max, limit: 0 };
    let series = world.run(Queryable::series(store, &query)).unwrap().unwrap();
    let set = sets.remove(0);
    let names: BTreeSet<&str> = series.iter().flatten().map(|(name, _)| name).collect();
    let found = world.run(store.label_names(&query)).unwrap().unwrap();
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<&str>>(), names);
    for name in ["__name__", "job", "nobody"] {
        let values: BTreeSet<&str> = series.iter().filter_map(|labels| labels.get(name)).collect();
        let found = world.run(store.label_values(name, &query)).unwrap().unwrap();
        assert_eq!(found, values.into_iter().collect::<Vec<_>>(), "{name}");
    }
    assert_eq!(series, set.iter().map(|series| series.labels.clone()).collect::<Vec<_>>());
    contents(&set)
}

/// Appends a segment that must be taken.
pub(crate) fn give(world: &World, store: &Store, given: &Given) {
    let shard = Shard::scrape(given.shard);
    let appended = world.run(store.append(given.tick, shard, &given.scrapes)).unwrap().unwrap();
    assert!(matches!(appended, Appended::Written(_)), "{appended:?}");
}

/// Settings under which everything happens and nothing is dropped.
pub(crate) fn settings() -> Settings {
    Settings { retention_ms: None, inline_bytes_max: 400, ..Settings::default() }
}
