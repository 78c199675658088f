use config::LoadOptions;

use super::*;

fn scrape_config(yaml: &str) -> ScrapeConfig {
    let environment = |_: &str| None;
    let options = LoadOptions { file_name: "prometheus.yml", directory: ".", environment: &environment };
    let text = format!("scrape_configs:\n- job_name: job\n{yaml}");
    config::load(&text, &options).unwrap().config.scrape_configs.remove(0)
}

fn group(targets: &[&str]) -> TargetGroup {
    let labels = |address: &&str| Labels::from_pairs([(ADDRESS_LABEL, *address)]);
    TargetGroup {
        targets: targets.iter().map(labels).collect(),
        labels: Labels::from_pairs([("__meta_zone", "a"), ("env", "test")]),
        source: "0".to_owned(),
    }
}

#[test]
fn a_target_gets_defaults_its_group_s_labels_and_an_instance() {
    let config = scrape_config("  params: {module: [http_2xx], x: ['a b']}\n");
    let built = build_targets(&config, &[group(&["localhost:80"])]);
    let target = &built.active[0];
    assert_eq!(target.url, "http://localhost:80/metrics?module=http_2xx&x=a+b");
    let expected = Labels::from_pairs([("env", "test"), ("instance", "localhost:80"), ("job", "job")]);
    assert_eq!(Labels::from(&target.labels), expected);
    assert_eq!(Labels::from(&target.discovered).value("__scrape_interval__"), "1m");
    assert!(target.offset_ms < target.interval_ms);
}

#[test]
fn relabelling_changes_drops_and_parametrises_targets() {
    let config = scrape_config(
        "  params: {target: [none]}\n  relabel_configs:\n  - {source_labels: [__address__], target_label: \
         __param_target}\n  - {source_labels: [__address__], regex: 'b.*', action: drop}\n  - {target_label: \
         __address__, replacement: 'prober:9115'}\n  - {source_labels: [__meta_zone], target_label: zone}\n",
    );
    let built = build_targets(&config, &[group(&["a:1", "b:2"])]);
    assert_eq!(built.dropped.len(), 1);
    assert_eq!(built.active[0].url, "http://prober:9115/metrics?target=a%3A1");
    assert_eq!(Labels::from(&built.active[0].labels).value("zone"), "a");
    assert_eq!(Labels::from(&built.active[0].labels).value("instance"), "prober:9115");
}

#[test]
fn targets_that_are_not_valid_are_refused_in_prometheus_words() {
    for (yaml, address, error) in [
        ("", "http://a:1/x", "\"http://a:1/x\" is not a valid hostname"),
        ("  relabel_configs: [{target_label: __address__, replacement: ''}]\n", "a:1", "no address"),
        (
            "  relabel_configs: [{target_label: __scrape_interval__, replacement: 0s}]\n",
            "a:1",
            "scrape interval cannot be 0",
        ),
        (
            "  relabel_configs: [{target_label: __scrape_timeout__, replacement: 2m}]\n",
            "a:1",
            "scrape timeout cannot be greater than scrape interval (\"2m\" > \"1m\")",
        ),
    ] {
        let built = build_targets(&scrape_config(yaml), &[group(&[address])]);
        assert_eq!(built.errors, [format!("instance 0 in group 0: {error}")], "{yaml}");
        assert!(built.active.is_empty());
    }
}

#[test]
fn equal_targets_are_one_and_too_many_targets_all_fail() {
    let config = scrape_config("  target_limit: 1\n");
    let built = build_targets(&config, &[group(&["a:1", "a:1"])]);
    assert_eq!((built.active.len(), built.active[0].forced_error.clone()), (1, None));
    let built = build_targets(&config, &[group(&["a:1", "b:1"])]);
    let errors: Vec<_> = built.active.iter().filter_map(|target| target.forced_error.as_deref()).collect();
    assert_eq!(errors, ["target_limit exceeded (number of targets: 2, limit: 1)"; 2]);
}
