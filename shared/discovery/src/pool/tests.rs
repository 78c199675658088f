use std::time::Duration;

use config::ScrapeLimits;
use model::regex::AnchoredRegex;
use model::relabel::{RelabelAction, RelabelConfig};

use super::*;
use crate::discover::DiscoveredPool;

fn job() -> ScrapeConfig {
    ScrapeConfig {
        job_name: "job".to_owned(),
        scheme: "https".to_owned(),
        scrape_interval: Duration::from_secs(1),
        scrape_timeout: Duration::from_secs(1),
        ..ScrapeConfig::default()
    }
}

fn group(targets: &[&[(&str, &str)]]) -> TargetGroup {
    TargetGroup {
        targets: targets.iter().map(|pairs| Labels::from_pairs(pairs.iter().copied())).collect(),
        labels: Labels::empty(),
        source: "0".to_owned(),
    }
}

fn build(job: &ScrapeConfig, target: &[(&str, &str)]) -> ScrapePool {
    build_targets(job, &[group(&[target])], 0)
}

fn wire(pairs: &[(&str, &str)]) -> WireLabels {
    WireLabels::from(&Labels::from_pairs(pairs.iter().copied()))
}

#[test]
fn a_target_gets_the_defaults_of_its_job() {
    let pool = build(&job(), &[("__address__", "1.2.3.4:1000"), ("custom", "value"), ("__meta_x", "y")]);
    let target = &pool.active[0];
    assert_eq!(target.url, "https://1.2.3.4:1000/metrics");
    assert_eq!(target.labels, wire(&[("custom", "value"), ("instance", "1.2.3.4:1000"), ("job", "job")]));
    assert_eq!(
        target.discovered,
        wire(&[
            ("__address__", "1.2.3.4:1000"),
            ("__always_scrape_classic_histograms__", "false"),
            ("__convert_classic_histograms_to_nhcb__", "false"),
            ("__meta_x", "y"),
            ("__metrics_path__", "/metrics"),
            ("__scheme__", "https"),
            ("__scrape_interval__", "1s"),
            ("__scrape_native_histograms__", "false"),
            ("__scrape_timeout__", "1s"),
            ("custom", "value"),
            ("job", "job"),
        ])
    );
    assert_eq!((target.interval_ms, target.timeout_ms), (1_000, 1_000));
}

#[test]
fn labels_of_a_target_win_over_its_group_and_job() {
    let mut group = group(&[&[
        ("__address__", "1.2.3.4"),
        ("__scheme__", "http"),
        ("__metrics_path__", "/custom"),
        ("job", "custom-job"),
        ("__scrape_interval__", "2s"),
        ("__scrape_timeout__", "1500ms"),
        ("instance", "own"),
        ("env", "target"),
    ]]);
    group.labels = Labels::from_pairs([("env", "group"), ("team", "group")]);
    let target = build_targets(&job(), &[group], 0).active.remove(0);
    assert_eq!(target.url, "http://1.2.3.4/custom");
    assert_eq!(
        target.labels,
        wire(&[("env", "target"), ("instance", "own"), ("job", "custom-job"), ("team", "group")])
    );
    assert_eq!((target.interval_ms, target.timeout_ms), (2_000, 1_500));
    assert_eq!(target.pool, "job");
}

#[test]
fn parameters_of_labels_replace_the_first_of_the_job() {
    let params = [("abc", vec!["foo", "bar", "baz"]), ("xyz", vec!["hoo"])];
    let params = params
        .into_iter()
        .map(|(name, values)| (name.to_owned(), values.into_iter().map(str::to_owned).collect()))
        .collect();
    let job = ScrapeConfig { params, metrics_path: "/metricz".to_owned(), ..job() };
    let target = [("__address__", "example.com:1234"), ("__param_abc", "overwrite"), ("__param_cde", "huu")];
    let pool = build(&job, &target);
    assert_eq!(
        pool.active[0].url,
        "https://example.com:1234/metricz?abc=overwrite&abc=bar&abc=baz&cde=huu&xyz=hoo"
    );
    assert!(pool.active[0].discovered.0.contains(&("__param_xyz".to_owned(), "hoo".to_owned())));
}

#[test]
fn impossible_targets_are_refused_in_the_words_of_prometheus() {
    let address = ("__address__", "1.2.3.4:1000");
    for (target, error) in [
        (&[("custom", "value")][..], "no address"),
        (&[("__address__", "http://a/b")], "\"http://a/b\" is not a valid hostname"),
        (
            &[address, ("__scrape_interval__", "2notseconds")],
            "error parsing scrape interval: unknown unit \"notseconds\" in duration \"2notseconds\"",
        ),
        (
            &[address, ("__scrape_timeout__", "2notseconds")],
            "error parsing scrape timeout: unknown unit \"notseconds\" in duration \"2notseconds\"",
        ),
        (&[address, ("__scrape_interval__", "0s")], "scrape interval cannot be 0"),
        (&[address, ("__scrape_timeout__", "0s")], "scrape timeout cannot be 0"),
        (
            &[address, ("__scrape_timeout__", "2s")],
            "scrape timeout cannot be greater than scrape interval (\"2s\" > \"1s\")",
        ),
        (
            &[address, ("__scrape_native_histograms__", "maybe")],
            "error parsing scrape native histograms: strconv.ParseBool: parsing \"maybe\": invalid syntax",
        ),
        (
            &[address, ("__scrape_native_histograms__", "true")],
            "__scrape_native_histograms__ is not supported by foxfire yet",
        ),
        (&[address, ("__unix_socket__", "/s")], "__unix_socket__ is not supported by foxfire yet"),
    ] {
        let pool = build(&job(), target);
        assert_eq!(pool.errors, [format!("instance 0 in group 0: {error}")]);
        assert!(pool.active.is_empty());
    }
}

#[test]
fn relabelling_changes_and_drops_targets() {
    let replace = RelabelConfig {
        source_labels: vec!["custom".to_owned()],
        target_label: "__address__".to_owned(),
        ..RelabelConfig::default()
    };
    let drop = RelabelConfig {
        source_labels: vec!["custom".to_owned()],
        regex: AnchoredRegex::new("bad.*").unwrap(),
        regex_text: "bad.*".to_owned(),
        action: RelabelAction::Drop,
        ..RelabelConfig::default()
    };
    let limits = ScrapeLimits { keep_dropped_targets: 1, ..ScrapeLimits::default() };
    let job = ScrapeConfig { relabel_configs: vec![replace, drop], limits, ..job() };
    let group = group(&[&[("custom", "host:1234")], &[("custom", "bad:1")], &[("custom", "bad:2")]]);
    let pool = build_targets(&job, &[group], 0);
    assert_eq!(pool.active.len(), 1);
    assert_eq!(pool.active[0].url, "https://host:1234/metrics");
    assert_eq!(pool.dropped.len(), 1);
    assert!(pool.dropped[0].discovered.0.contains(&("custom".to_owned(), "bad:1".to_owned())));
}

#[test]
fn equal_targets_are_scraped_once() {
    let (a, b) = ([("__address__", "a:1"), ("__meta_x", "1")], [("__address__", "b:1")]);
    let again = [("__address__", "a:1"), ("__meta_x", "2")];
    let pool = build_targets(&job(), &[group(&[&a, &b]), group(&[&again])], 0);
    assert_eq!(pool.active.len(), 2);
    assert!(pool.active.is_sorted_by_key(|target| &target.source));
    let sources: BTreeSet<&str> = pool.active.iter().map(|target| target.source.as_str()).collect();
    assert!(sources.len() == 2 && sources.iter().all(|source| source.len() == 16));
    // Another pool has sources of its own; another interval does not make another source.
    let other = build(&ScrapeConfig { job_name: "other".to_owned(), ..job() }, &b);
    assert!(!sources.contains(other.active[0].source.as_str()));
    let slower = build(&ScrapeConfig { scrape_interval: Duration::from_secs(9), ..job() }, &b);
    assert!(sources.contains(slower.active[0].source.as_str()));
}

#[test]
fn too_many_targets_all_fail() {
    let limits = ScrapeLimits { targets_max: 1, ..ScrapeLimits::default() };
    let job = ScrapeConfig { limits, ..job() };
    let pool = build_targets(&job, &[group(&[&[("__address__", "a")], &[("__address__", "b")]])], 0);
    let error = "target_limit exceeded (number of targets: 2, limit: 1)";
    assert!(pool.active.iter().all(|target| target.forced_error.as_deref() == Some(error)));
    assert_eq!(pool.errors, [error]);
    assert_eq!(build(&job, &[("__address__", "a")]).active[0].forced_error, None);
}

#[test]
fn a_target_s_hash_is_that_of_prometheus() {
    // The labels' hash is one of Prometheus's own (11945772597903578250); the rest was computed with Go's hash/fnv.
    let labels = Labels::from_pairs([("__address__", "bar"), ("__name__", "requests"), ("job", "1")]);
    let second = Duration::from_secs(1);
    let target = Target { labels, url: "http://h:1/m".to_owned(), interval: second, timeout: second };
    assert_eq!(target.hash(), 8230166669947730490);
    assert_eq!(fnv1a(format!("{:016}", 123).bytes().chain("http://h:1/m".bytes())), 7609261256152249412);
}

#[test]
fn offsets_spread_targets_over_their_interval() {
    let job = ScrapeConfig { scrape_interval: Duration::from_secs(10), ..job() };
    let targets: Vec<Labels> = (0..10_000)
        .map(|n| Labels::from_pairs([("__address__", "a:1".to_owned()), ("label", n.to_string())]))
        .collect();
    let group = TargetGroup { targets, labels: Labels::empty(), source: String::new() };
    let pool = build_targets(&job, &[group], 0);
    let mut buckets = [0i32; 10];
    for target in &pool.active {
        buckets[usize::try_from(target.offset_ms / 1_000).unwrap()] += 1;
    }
    assert!(buckets.iter().all(|count| (count - 1_000).abs() <= 150), "{buckets:?}");
}

#[test]
fn external_labels_shift_the_offsets() {
    let a = offset_seed(&Labels::from_pairs([("replica", "a")]));
    let b = offset_seed(&Labels::from_pairs([("replica", "b")]));
    assert_eq!(offset_seed(&Labels::empty()), 0);
    let group = group(&[&[("__address__", "a:1")]]);
    let job = ScrapeConfig { scrape_interval: Duration::from_secs(3600), ..job() };
    let offset = |seed| build_targets(&job, std::slice::from_ref(&group), seed).active[0].offset_ms;
    assert_ne!(offset(a), offset(b));
}

#[test]
fn a_snapshot_has_every_job_and_tells_what_went_wrong() {
    let config = Config {
        scrape_configs: vec![job(), ScrapeConfig { job_name: "idle".to_owned(), ..job() }],
        ..Config::default()
    };
    let found = DiscoveredPool {
        job_name: "job".to_owned(),
        groups: vec![group(&[&[("__address__", "a")], &[]])],
        errors: vec!["unreadable".to_owned()],
    };
    let snapshot = snapshot("config/1", &config, &Discovered { pools: vec![found] });
    assert_eq!((snapshot.v, snapshot.config.as_str(), snapshot.pools.len()), (1, "config/1", 2));
    assert_eq!(snapshot.pools[0].active.len(), 1);
    assert_eq!(snapshot.pools[0].errors, ["unreadable", "instance 1 in group 0: no address"]);
    assert_eq!(snapshot.pools[1].name, "idle");
}

#[test]
fn sources_that_ended_are_known() {
    let at = |addresses: &[&str]| {
        let targets = addresses.iter().map(|a| Labels::from_pairs([("__address__", *a)])).collect();
        let group = TargetGroup { targets, labels: Labels::empty(), source: String::new() };
        TargetSnapshot { v: 1, config: String::new(), pools: vec![build_targets(&job(), &[group], 0)] }
    };
    let (before, after) = (at(&["a", "b", "c"]), at(&["b", "d"]));
    let ended = gone(&before, &after);
    assert!(ended.is_sorted() && ended.len() == 2);
    assert!(gone(&before, &before).is_empty());
    assert_eq!(gone(&at(&[]), &after), Vec::<String>::new());
}
