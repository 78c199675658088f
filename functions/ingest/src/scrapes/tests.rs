use model::Metadata;
use remote::Sample;

use super::*;

fn series(pairs: &[(&str, &str)], samples: &[(i64, f64)]) -> TimeSeries {
    let samples = samples.iter().map(|(timestamp, value)| Sample { timestamp: *timestamp, value: *value });
    TimeSeries {
        labels: Labels::from_pairs(pairs.iter().copied()),
        samples: samples.collect(),
        ..TimeSeries::default()
    }
}

fn request(series: Vec<TimeSeries>) -> WriteRequest {
    WriteRequest { series, ..WriteRequest::default() }
}

/// All samples, by series and instant.
fn samples(scrapes: &[Scrape]) -> BTreeMap<(String, i64), f64> {
    let mut all = BTreeMap::new();
    for scrape in scrapes {
        assert_eq!(scrape.coverage, Coverage::Partial);
        let mut seen = BTreeSet::new();
        for sample in &scrape.samples {
            assert!(seen.insert(&sample.labels), "{} is in a scrape twice", sample.labels);
            let timestamp = sample.timestamp.unwrap_or(scrape.timestamp);
            let before = all.insert((sample.labels.to_string(), timestamp), sample.value);
            assert_eq!(before, None, "{} at {timestamp} is there twice", sample.labels);
        }
    }
    all
}

#[test]
fn what_targets_were_at_an_instant_is_one_scrape() {
    let at = |instance, name, samples: &[(i64, f64)]| {
        series(&[("__name__", name), ("instance", instance), ("job", "j")], samples)
    };
    let sent = vec![
        at("1", "a", &[(10, 1.0)]),
        at("2", "a", &[(15, 2.0)]),
        at("1", "b", &[(10, 3.0), (20, 4.0)]),
        at("1", "a", &[(20, 5.0)]),
    ];
    let scrapes = scrapes(request(sent), 0);
    let shape: Vec<(i64, usize)> = scrapes.iter().map(|s| (s.timestamp, s.samples.len())).collect();
    assert_eq!(shape, [(10, 2), (20, 2), (15, 1)]);
    assert_eq!(scrapes[0].source, scrapes[1].source);
    assert_ne!(scrapes[0].source, scrapes[2].source);
    assert!(scrapes.iter().flat_map(|s| &s.samples).all(|sample| sample.timestamp.is_none()));
}

#[test]
fn a_series_that_is_sent_twice_at_one_instant_has_the_first_value() {
    let sent =
        vec![series(&[("__name__", "a")], &[(1, 1.0), (1, 2.0)]), series(&[("__name__", "a")], &[(1, 3.0)])];
    let all = samples(&scrapes(request(sent), 0));
    assert_eq!(all.into_values().collect::<Vec<_>>(), [1.0]);
}

/// One long series and many short ones, no two samples at one instant: a scrape for each instant, or each with the same
/// source, would note millions of absences.
#[test]
fn samples_that_have_nothing_in_common_take_space_in_proportion() {
    let mut sent = vec![series(&[("__name__", "long")], &(0..3000).map(|t| (t, 1.0)).collect::<Vec<_>>())];
    for n in 0..3000 {
        sent.push(series(&[("__name__", "short"), ("n", &n.to_string())], &[(10_000 + n, 2.0)]));
    }
    let scrapes = scrapes(request(sent), 0);
    assert_eq!(samples(&scrapes).len(), 6000);
    let mut widest: BTreeMap<SourceId, BTreeSet<&Labels>> = BTreeMap::new();
    for scrape in &scrapes {
        widest.entry(scrape.source).or_default().extend(scrape.samples.iter().map(|s| &s.labels));
    }
    let notes: usize = scrapes.iter().map(|scrape| widest[&scrape.source].len()).sum();
    assert!(notes <= 2 * 6000, "{notes} notes for 6000 samples");
}

#[test]
fn a_part_of_a_target_that_is_sent_again_has_the_same_source() {
    let part = |samples: &[(i64, f64)], names: &[&str]| {
        let of = |name: &&str| series(&[("__name__", name), ("job", "j")], samples);
        scrapes(request(names.iter().map(of).collect()), 0)
    };
    let first = part(&[(1, 1.0)], &["a", "b", "c"]);
    let again = part(&[(2, 2.0)], &["c", "a", "b"]);
    let other = part(&[(2, 2.0)], &["d"]);
    assert_eq!(first[0].source, again[0].source);
    assert_ne!(first[0].source, other[0].source);
}

#[test]
fn exemplars_and_metadata_come_along() {
    let exemplar = Exemplar { labels: Labels::from_pairs([("trace_id", "t")]), value: 1.0, timestamp: 7 };
    let lone = TimeSeries { exemplars: vec![exemplar.clone()], ..series(&[("__name__", "lone")], &[]) };
    let with = TimeSeries { exemplars: vec![exemplar], ..series(&[("__name__", "a")], &[(1, 1.0)]) };
    let metadata =
        |help: &str| Metadata { metric_family: "a".to_owned(), help: help.to_owned(), ..Metadata::default() };
    let sent = WriteRequest {
        metadata: vec![metadata("first"), metadata("second")],
        ..request(vec![lone, with, series(&[("__name__", "nothing")], &[])])
    };
    let scrapes = scrapes(sent, 99);
    let exemplars: Vec<String> =
        scrapes.iter().flat_map(|s| &s.exemplars).map(|e| e.series.metric_name().to_owned()).collect();
    assert_eq!(exemplars, ["a", "lone"]);
    let told: Vec<&Scrape> = scrapes.iter().filter(|s| !s.metadata.is_empty()).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].timestamp, told[0].metadata.len()), (99, 1));
    assert_eq!(told[0].metadata[0].help, "first");
    assert!(!scrapes.iter().flat_map(|s| &s.samples).any(|s| s.labels.metric_name() == "nothing"));
}
