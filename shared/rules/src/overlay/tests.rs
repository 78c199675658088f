//! New results over a store.

use super::*;
use crate::testing::{MemoryStore, block_on};

const NOW: i64 = 100_000;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

fn metric(name: &str, instance: &str) -> Labels {
    labels(&[("__name__", name), ("i", instance)])
}

fn store() -> MemoryStore {
    MemoryStore(vec![
        (metric("m", "a"), vec![(NOW - 60_000, 1.0), (NOW + 5, 9.0)]),
        (metric("m", "b"), vec![(NOW - 60_000, 2.0)]),
        (metric("m", "c"), vec![(NOW - 60_000, 3.0), (NOW, 4.0)]),
    ])
}

fn select(overlay: &Overlay<'_>, name: &str, min_time: i64, max_time: i64) -> Vec<(String, Vec<(i64, f64)>)> {
    let selects = [Select {
        matchers: vec![Matcher::equal("__name__", name)],
        min_time,
        max_time,
        hints: storage::SelectHints::default(),
    }];
    let limits = Limits { samples_max: 100, deadline: i64::MAX };
    let sets = block_on(overlay.select(&selects, limits)).unwrap();
    let points = |series: &Series| {
        let shown = |value: f64| if is_stale_nan(value) { -1.0 } else { value };
        series.timestamps.iter().copied().zip(series.values.iter().map(|v| shown(*v))).collect()
    };
    sets[0].iter().map(|series| (series.labels.value("i").to_owned(), points(series))).collect()
}

fn results(of: &[(Labels, f64)]) -> Results {
    of.iter().map(|(labels, value)| (labels.clone(), Recorded::Float(*value))).collect()
}

#[test]
fn new_samples_join_their_series_in_order_and_make_new_ones() {
    let store = store();
    let mut overlay = Overlay::new(&store, NOW);
    let new = results(&[(metric("m", "a"), 10.0), (metric("m", "aa"), 11.0), (metric("other", "a"), 12.0)]);
    overlay.add(new, Ended::Exactly(Vec::new()));
    let got = select(&overlay, "m", 0, NOW + 1000);
    assert_eq!(got[0], ("a".to_owned(), vec![(NOW - 60_000, 1.0), (NOW, 10.0), (NOW + 5, 9.0)]));
    assert_eq!(got[1], ("aa".to_owned(), vec![(NOW, 11.0)]));
    assert_eq!(got.len(), 4);
}

#[test]
fn what_the_store_has_at_the_instant_stays() {
    let store = store();
    let mut overlay = Overlay::new(&store, NOW);
    overlay.add(results(&[(metric("m", "c"), 10.0)]), Ended::Exactly(Vec::new()));
    assert_eq!(select(&overlay, "m", 0, NOW)[2].1, [(NOW - 60_000, 3.0), (NOW, 4.0)]);
}

#[test]
fn a_range_without_the_instant_shows_the_store_alone() {
    let store = store();
    let mut overlay = Overlay::new(&store, NOW);
    let ended = Ended::Exactly(vec![metric("m", "b")]);
    overlay.add(results(&[(metric("m", "x"), 10.0)]), ended);
    assert_eq!(select(&overlay, "m", 0, NOW - 1).len(), 3);
    assert_eq!(select(&overlay, "m", NOW + 1, NOW + 10), [("a".to_owned(), vec![(NOW + 5, 9.0)])]);
}

#[test]
fn exactly_known_series_end() {
    let store = store();
    let mut overlay = Overlay::new(&store, NOW);
    let ended = Ended::Exactly(vec![metric("m", "a"), metric("m", "b")]);
    overlay.add(results(&[(metric("m", "a"), 10.0)]), ended);
    let got = select(&overlay, "m", 0, NOW);
    assert_eq!(got[0].1, [(NOW - 60_000, 1.0), (NOW, 10.0)]);
    assert_eq!(got[1].1, [(NOW - 60_000, 2.0), (NOW, -1.0)]);
}

#[test]
fn series_of_a_record_end_only_where_no_other_rule_could_have_made_them() {
    let store = store();
    let written_at = |of_rule: &[(&str, &str)], of_others: Vec<Labels>, at_ms: i64| Ended::WrittenAt {
        record: "m".to_owned(),
        labels: labels(of_rule),
        of_others,
        at_ms,
    };
    for (ended, expected) in [
        (written_at(&[], Vec::new(), NOW - 60_000), vec!["a", "b"]),
        (written_at(&[("i", "b")], Vec::new(), NOW - 60_000), vec!["b"]),
        (written_at(&[], vec![labels(&[("i", "b")])], NOW - 60_000), vec!["a"]),
        (written_at(&[], Vec::new(), NOW - 59_999), Vec::new()),
    ] {
        let mut overlay = Overlay::new(&store, NOW);
        overlay.add(Results::new(), ended.clone());
        let got = select(&overlay, "m", 0, NOW);
        let stale = got.iter().filter(|(_, points)| points.last() == Some(&(NOW, -1.0)));
        let stale: Vec<&str> = stale.map(|(instance, _)| instance.as_str()).collect();
        assert_eq!(stale, expected, "{ended:?}");
    }
}

#[test]
fn questions_about_labels_see_new_series() {
    let store = store();
    let mut overlay = Overlay::new(&store, NOW);
    overlay.add(results(&[(labels(&[("__name__", "n"), ("j", "z")]), 1.0)]), Ended::Exactly(Vec::new()));
    let mut query = LabelQuery { matcher_sets: Vec::new(), min_time: 0, max_time: NOW, limit: 0 };
    assert_eq!(block_on(overlay.label_names(&query)).unwrap(), ["__name__", "i", "j"]);
    assert_eq!(block_on(overlay.label_values("__name__", &query)).unwrap(), ["m", "n"]);
    assert_eq!(block_on(overlay.series(&query)).unwrap().len(), 4);
    query.limit = 2;
    assert_eq!(block_on(overlay.label_names(&query)).unwrap(), ["__name__", "i"]);
    query.limit = 0;
    query.matcher_sets = vec![vec![Matcher::equal("j", "z")], vec![Matcher::equal("i", "a")]];
    assert_eq!(block_on(overlay.series(&query)).unwrap().len(), 2);
    query.max_time = NOW - 1;
    assert_eq!(block_on(overlay.series(&query)).unwrap(), [metric("m", "a")]);
}

#[test]
fn histograms_take_the_place_of_stale_markers_and_make_new_series() {
    let store = store();
    let mut overlay = Overlay::new(&store, NOW);
    let histogram = Arc::new(model::FloatHistogram { count: 3.0, ..model::FloatHistogram::default() });
    let new =
        [metric("m", "a"), metric("m", "new")].map(|m| (m, Recorded::Histogram(Arc::clone(&histogram))));
    overlay.add(new.into_iter().collect(), Ended::Exactly(Vec::new()));
    let mut ended = Series::floats(metric("m", "a"), Arc::from([NOW]), Arc::from([stale_nan()]));
    insert(&mut ended, NOW, &Recorded::Histogram(Arc::clone(&histogram)));
    assert!(ended.timestamps.is_empty() && ended.histograms.values[0].bit_eq(&histogram));
    insert(&mut ended, NOW, &Recorded::Float(1.0));
    assert!(ended.timestamps.is_empty(), "what is there stays");
    let select = Select {
        matchers: vec![Matcher::equal("__name__", "m"), Matcher::equal("i", "new")],
        min_time: 0,
        max_time: NOW,
        hints: storage::SelectHints::default(),
    };
    let limits = Limits { samples_max: 1000, deadline: i64::MAX };
    let sets = block_on(overlay.select(&[select], limits)).unwrap();
    assert_eq!(&*sets[0][0].histograms.timestamps, [NOW]);
}
