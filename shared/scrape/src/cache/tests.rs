use model::Labels;
use textparse::{Event, Parser, Series};

use super::*;

fn recipe(target: &str) -> Recipe {
    Recipe {
        target: Labels::from_pairs([("instance", target)]),
        honor_labels: false,
        relabel_configs: Vec::new(),
        labels_max: 0,
        label_name_bytes_max: 0,
        label_value_bytes_max: 0,
    }
}

/// Runs one scrape of the given series through `cache`; how many were new.
fn scrape(cache: &mut TargetCache, texts: &[String], complete: bool) -> usize {
    let mut added = 0;
    for text in texts {
        let line = format!("{text} 1\n");
        let Some(Ok(Event::Series(series))) = Parser::new(line.as_bytes()).next() else { panic!("{text}") };
        let series = cache.resolve(&series).unwrap().unwrap();
        added += usize::from(cache.note_sample(series, 0));
    }
    cache.end_scrape(complete);
    added
}

fn texts(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("a{{n=\"{number}\"}}")).collect()
}

#[test]
fn what_the_target_no_longer_exposes_is_forgotten() {
    let mut cache = TargetCache::new(recipe("a"));
    for round in 0..20 {
        let added = scrape(&mut cache, &texts(round * 500..round * 500 + 1000), true);
        assert_eq!(added, if round == 0 { 1000 } else { 500 });
        assert!(cache.entries.len() <= 1350, "{}", cache.entries.len());
        assert!(cache.series.len() == cache.by_labels.len() && cache.series.len() <= cache.entries.len());
    }
}

#[test]
fn scrapes_that_fail_with_ever_new_series_do_not_fill_the_memory() {
    let mut cache = TargetCache::new(recipe("a"));
    scrape(&mut cache, &texts(0..1000), true);
    for round in 1..20 {
        let exposed = [texts(0..500), texts(round * 1000..round * 1000 + 1000)].concat();
        scrape(&mut cache, &exposed, false);
        assert!(cache.entries.len() <= 4000, "{}", cache.entries.len());
    }
    assert_eq!(scrape(&mut cache, &texts(250..1250), true), 250);
}

#[test]
fn forgetting_keeps_texts_and_labels_together() {
    let mut cache = TargetCache::new(recipe("a"));
    scrape(&mut cache, &texts(0..1000), true);
    scrape(&mut cache, &texts(900..1000), true);
    assert_eq!(cache.entries.len(), 100);
    for text in texts(900..1000) {
        let series = Series { text: text.as_bytes(), value: 0.0, timestamp: None, kind: MetricType::Unknown };
        let number = cache.resolve(&series).unwrap().unwrap();
        let labels = &cache.series(number).unwrap().labels;
        assert_eq!(format!("a{{n=\"{}\"}}", labels.value("n")), text);
    }
}

#[test]
fn the_kind_of_a_metric_is_part_of_what_its_text_stands_for() {
    let mut cache = TargetCache::new(recipe("a"));
    let mut label = |kind| {
        let series = Series { text: b"a_bucket{le=\"1\"}", value: 0.0, timestamp: None, kind };
        let number = cache.resolve(&series).unwrap().unwrap();
        cache.series(number).unwrap().labels.value("le").to_owned()
    };
    assert_eq!(
        [label(MetricType::Gauge), label(MetricType::Histogram), label(MetricType::Counter)],
        ["1", "1.0", "1"]
    );
}

#[test]
fn caches_together_keep_to_their_bound_and_the_oldest_goes_first() {
    let caches = Caches::new(200_000);
    for source in 0..50 {
        let mut cache = caches.take(SourceId(source), recipe("a"));
        scrape(&mut cache, &texts(0..100), true);
        caches.put_back(SourceId(source), cache);
        assert!(caches.held.lock().unwrap().bytes <= 200_000);
    }
    let mut last = caches.take(SourceId(49), recipe("a"));
    assert_eq!(scrape(&mut last, &texts(0..100), true), 0);
    let mut first = caches.take(SourceId(0), recipe("a"));
    assert_eq!(scrape(&mut first, &texts(0..100), true), 100);
}

#[test]
fn a_target_whose_labels_or_rules_change_starts_anew() {
    let caches = Caches::new(1 << 20);
    let mut cache = caches.take(SourceId(1), recipe("a"));
    scrape(&mut cache, &texts(0..10), true);
    caches.put_back(SourceId(1), cache);
    let mut changed = caches.take(SourceId(1), recipe("b"));
    assert_eq!(scrape(&mut changed, &texts(0..10), true), 10);
}
