use std::time::Duration;

use model::Labels;
use model::relabel::RelabelAction;
use serde_json::Value;

use super::*;
use crate::values::{BasicAuth, ScrapeProtocol, Secret, SecretSource};

fn load_text(text: &str) -> Result<Loaded, String> {
    let environment = |name: &str| (name == "TEST").then(|| "foo".to_owned());
    let options =
        LoadOptions { file_name: "prometheus.yml", directory: "/etc/prometheus", environment: &environment };
    load(text, &options).map_err(|error| error.to_string())
}

/// What became of one file of Prometheus's own test data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// It loads, or is refused with the expected words.
    AsExpected,
    /// It needs something that foxfire refuses by name, and the name stands in the file.
    NeedsWhatIsMissing,
    /// Nothing is expected of it by itself, or only in agent mode, which foxfire does not have.
    NotAsserted,
}

fn outcome(row: &Value, text: &str) -> Result<Outcome, String> {
    let test = row["test"].as_str().unwrap_or("");
    let expected = row["outcome"].as_str().unwrap();
    let wanted: Vec<&str> =
        row["error_contains"].as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect();
    let name = format!("testdata/{}", row["file"].as_str().unwrap());
    let options = LoadOptions { file_name: &name, directory: "testdata", environment: &|_| None };
    let loaded = load(text, &options).map_err(|error| error.to_string());
    if let Err(error) = &loaded
        && let Some((before, _)) = error.split_once(" is not supported by foxfire yet")
    {
        let named = before.rsplit(": ").next().unwrap().trim_start_matches("field ");
        let word = named.split([' ', ':']).next().unwrap();
        return if text.contains(word) { Ok(Outcome::NeedsWhatIsMissing) } else { Err(error.clone()) };
    }
    if row["agent"] == true || test.contains("agent mode") || !matches!(expected, "ok" | "error") {
        return Ok(Outcome::NotAsserted);
    }
    match loaded {
        Ok(_) if expected == "ok" => Ok(Outcome::AsExpected),
        Err(error) if expected == "error" && wanted.iter().all(|wanted| error.contains(wanted)) => {
            Ok(Outcome::AsExpected)
        }
        loaded => Err(format!("{loaded:?}")),
    }
}

#[test]
fn files_of_prometheus_load_or_fail_as_there_unless_they_need_what_is_missing() {
    let Some(root) = fixtures::folder() else { return };
    let expected = fixtures::json_in(&root, "config/json/expected.json");
    let mut counts = std::collections::BTreeMap::new();
    let mut faults = Vec::new();
    for row in expected.as_array().unwrap() {
        let path = root.join("config/config/testdata").join(row["file"].as_str().unwrap());
        let text = std::fs::read_to_string(path).unwrap();
        match outcome(row, &text) {
            Ok(outcome) => *counts.entry(outcome).or_insert(0) += 1,
            Err(found) => faults.push(format!("{row}\n   {found}")),
        }
    }
    assert!(faults.is_empty(), "{} faults, {counts:?}:\n{}", faults.len(), faults.join("\n"));
    let counts: Vec<(Outcome, usize)> = counts.into_iter().collect();
    assert_eq!(
        counts,
        [(Outcome::AsExpected, 76), (Outcome::NeedsWhatIsMissing, 137), (Outcome::NotAsserted, 6)]
    );
}

fn refused(text: &str) -> String {
    let error = load_text(text).unwrap_err();
    error.strip_prefix("parsing YAML file prometheus.yml: ").unwrap().to_owned()
}

const FULL: &str = r#"
global:
  scrape_interval: 15s
  scrape_timeout: 5s
  evaluation_interval: 30s
  rule_query_offset: 10s
  external_labels: {cluster: '${TEST}-eu', cost: 5$$, gone: '$NONE'}
  sample_limit: 1000
  body_size_limit: 10MB
  scrape_protocols: [PrometheusText0.0.4, PrometheusProto]
runtime: {gogc: 50}
rule_files: [rules/*.yml, /abs/r.yml]
scrape_configs:
- job_name: own
  scrape_interval: 1m
  scrape_timeout: 20s
  metrics_path: /m
  scheme: https
  params: {b: [x, y], a: ["1"]}
  honor_labels: yes
  honor_timestamps: false
  track_timestamps_staleness: true
  enable_compression: off
  sample_limit: 7
  target_limit: 3
  fallback_scrape_protocol: PrometheusText0.0.4
  basic_auth: {username: u, password_file: secret/pw}
  tls_config: {insecure_skip_verify: true}
  follow_redirects: false
  static_configs:
  - targets: ['a:1', "b:2"]
    labels: {env: prod}
  - targets: []
  file_sd_configs:
  - files: [sd/*.json]
    refresh_interval: 1m
  relabel_configs:
  - source_labels: [__address__]
    regex: (.*):\d+
    target_label: host
  metric_relabel_configs:
  - {action: LabelDrop, regex: tmp_.*}
- job_name: inherits
  bearer_token: t0k3n
alerting:
  alert_relabel_configs: [{action: labelkeep, regex: '.*'}]
  alertmanagers:
  - scheme: https
    path_prefix: /am
    timeout: 3s
    api_version: v2
    static_configs: [{targets: ['am:9093']}]
    authorization: {credentials: s3cret}
"#;

#[test]
fn everything_that_is_supported_is_read() {
    let Loaded { config, warnings } = load_text(FULL).unwrap();
    let global = &config.global;
    assert_eq!(global.external_labels, Labels::from_pairs([("cluster", "foo-eu"), ("cost", "5$")]));
    assert_eq!(global.rule_query_offset, Duration::from_secs(10));
    assert_eq!(config.rule_files, ["/etc/prometheus/rules/*.yml", "/abs/r.yml"]);
    let [own, inherits] = &config.scrape_configs[..] else { panic!() };
    assert_eq!((own.scrape_interval, own.scrape_timeout), (Duration::from_secs(60), Duration::from_secs(20)));
    assert_eq!(own.params[0], ("a".to_owned(), vec!["1".to_owned()]));
    assert!(own.honor_labels && !own.honor_timestamps && own.track_timestamps_staleness);
    assert!(!own.enable_compression && !own.http.follow_redirects && own.http.insecure_skip_verify);
    assert_eq!((own.limits.samples_max, own.limits.targets_max), (7, 3));
    assert_eq!(own.limits.body_bytes_max, 10 << 20);
    assert_eq!(own.scrape_protocols, [ScrapeProtocol::PrometheusText0_0_4]);
    let password = SecretSource::File("/etc/prometheus/secret/pw".to_owned());
    assert_eq!(own.http.basic_auth, Some(BasicAuth { username: "u".to_owned(), password }));
    assert_eq!(own.discovery.static_configs[0].targets[1].value("__address__"), "b:2");
    assert_eq!(own.discovery.static_configs[1].source, "1");
    assert_eq!(own.discovery.file_sd_configs[0].files, ["/etc/prometheus/sd/*.json"]);
    assert_eq!(own.metric_relabel_configs[0].action, RelabelAction::LabelDrop);
    assert_eq!(
        (inherits.scrape_interval, inherits.scrape_timeout),
        (Duration::from_secs(15), Duration::from_secs(5))
    );
    assert_eq!(inherits.limits.samples_max, 1000);
    let authorization = inherits.http.authorization.as_ref().unwrap();
    assert_eq!(authorization.scheme, "Bearer");
    assert_eq!(authorization.credentials, SecretSource::Inline(Secret::new("t0k3n")));
    let manager = &config.alerting.alertmanagers[0];
    assert_eq!((manager.path_prefix.as_str(), manager.timeout), ("/am", Duration::from_secs(3)));
    assert_eq!(
        warnings,
        [
            "line 10: scrape protocol PrometheusProto is not asked for by foxfire yet",
            "line 11: field gogc has no effect in foxfire",
            "line 22: field track_timestamps_staleness has no effect in foxfire yet",
            "Empty environment variable \"NONE\" in external_labels",
        ]
    );
}

#[test]
fn protocols_that_are_not_asked_for_are_named() {
    let text =
        "scrape_configs:\n- job_name: a\n  scrape_protocols: [OpenMetricsText1.0.0, PrometheusText0.0.4]\n";
    let warnings = load_text(text).unwrap().warnings;
    assert_eq!(warnings, ["line 3: scrape protocol OpenMetricsText1.0.0 is not asked for by foxfire yet"]);
}

#[test]
fn what_is_shown_has_no_secrets_and_loads_again() {
    let shown = load_text(FULL).unwrap().config.redacted_yaml;
    assert!(!shown.contains("t0k3n") && !shown.contains("s3cret"), "{shown}");
    let again = load_text(&shown).unwrap().config;
    assert_eq!(again.redacted_yaml, shown);
    assert_eq!(again.scrape_configs[0], load_text(FULL).unwrap().config.scrape_configs[0]);
}

#[test]
fn no_text_is_a_configuration_of_defaults() {
    for text in ["", "# nothing\n", "~", "global:\nscrape_configs:\nalerting:\nstorage:\nremote_write:\n"] {
        let config = load_text(text).unwrap().config;
        assert_eq!(config.global, GlobalConfig::default(), "{text}");
        assert!(config.scrape_configs.is_empty());
    }
}

#[test]
fn faults_of_type_are_gathered_with_their_lines() {
    let text = "global:\n  scrape_intervall: 5s\n  sample_limit: -3\nscrape_configs:\n- job_name: [a]\n  honor_labels: \
                hello-there-this\n  static_configs:\n  - target: [x]\n  job_name: b\nfoo: 1\n";
    assert_eq!(
        refused(text),
        "yaml: unmarshal errors:
  line 2: field scrape_intervall not found in type config.plain
  line 3: cannot unmarshal !!int `-3` into uint
  line 5: cannot unmarshal !!seq into string
  line 6: cannot unmarshal !!str `hello-t...` into bool
  line 8: field target not found in type struct { Targets []string \"yaml:\\\"targets\\\"\"; Labels model.LabelSet \
         \"yaml:\\\"labels\\\"\" }
  line 9: field job_name already set in type config.ScrapeConfig
  line 10: field foo not found in type config.plain"
    );
    assert_eq!(
        refused("foo\n"),
        "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `foo` into config.plain"
    );
    let twice = "global:\n  external_labels:\n    a: b\n    a: c\n";
    assert_eq!(refused(twice), "yaml: unmarshal errors:\n  line 4: key \"a\" already set in map");
}

#[test]
fn what_foxfire_lacks_is_refused_by_name_and_line() {
    for (text, line, name) in [
        ("remote_write:\n- url: http://x\n", 1, "field remote_write"),
        ("scrape_configs:\n- job_name: a\n  consul_sd_configs: [{}]\n", 3, "field consul_sd_configs"),
        ("scrape_configs:\n- job_name: a\n  tls_config:\n    ca_file: x\n", 4, "field ca_file"),
        ("scrape_configs:\n- job_name: a\n  proxy_url: http://x\n", 3, "field proxy_url"),
        ("global:\n  scrape_native_histograms: true\n", 2, "scrape_native_histograms: true"),
        ("global:\n  metric_name_validation_scheme: legacy\n", 2, "metric_name_validation_scheme legacy"),
        (
            "storage:\n  tsdb:\n    retention:\n      time: 30d\n",
            4,
            "field retention (use the flag --storage.retention.time)",
        ),
    ] {
        let expected =
            format!("yaml: unmarshal errors:\n  line {line}: {name} is not supported by foxfire yet");
        assert_eq!(refused(text), expected);
    }
}

#[test]
fn sections_without_effect_are_warned_of_but_still_checked() {
    let text =
        "global: {query_log_file: q}\nstorage: {exemplars: {max_exemplars: 5}}\ntracing: {endpoint: x}\n";
    let warnings = load_text(text).unwrap().warnings;
    assert_eq!(
        warnings,
        [
            "line 1: field query_log_file has no effect in foxfire",
            "line 2: field max_exemplars has no effect in foxfire",
            "line 3: field tracing has no effect in foxfire",
        ]
    );
    let unknown = "yaml: unmarshal errors:\n  line 1: field foo not found in type config.RuntimeConfig";
    assert_eq!(refused("runtime: {foo: 1}\n"), unknown);
}

#[test]
fn validation_has_the_words_of_prometheus() {
    let job = |rest: &str| format!("scrape_configs:\n- job_name: a\n  {rest}\n");
    for (text, expected) in [
        ("global: {scrape_interval: abc}".to_owned(), "not a valid duration string: \"abc\""),
        (
            "global: {scrape_interval: 5s, scrape_timeout: 6s}".to_owned(),
            "global scrape timeout greater than scrape interval",
        ),
        (job("static_configs: [{targets: ['http://b/c']}]"), "\"http://b/c\" is not a valid hostname"),
        (job("file_sd_configs: [{files: [x]}]"), "path name \"x\" is not valid for file discovery"),
        (job("relabel_configs: [{action: foo}]"), "unknown relabel action \"foo\""),
        (
            job("relabel_configs: [{action: keep, regex: '(a'}]"),
            "error parsing regexp: missing closing ): `^(?s:(a)$`",
        ),
        (
            job("metric_relabel_configs: [{action: labelmap, replacement: ''}]"),
            "\"\" is invalid 'replacement' for labelmap action",
        ),
        (
            job("authorization: {type: basic}"),
            "authorization type cannot be set to \"basic\", use \"basic_auth\" instead",
        ),
        (
            job("scrape_protocols: []"),
            "scrape_protocols cannot be empty for scrape config with job name \"a\"",
        ),
        (job("body_size_limit: 10"), "units: unknown unit  in 10"),
        (
            "alerting: {alertmanagers: [{api_version: v1}]}".to_owned(),
            "expected Alertmanager api version to be one of [v2] but got v1",
        ),
    ] {
        assert_eq!(refused(&text), expected, "{text}");
    }
}

#[test]
fn anchors_and_merges_work_as_in_go_yaml() {
    let text = "scrape_configs:
- &base
  job_name: a
  scrape_interval: &i 7s
  relabel_configs: &r [{action: drop, regex: x}]
- <<: *base
  job_name: b
- job_name: c
  scrape_interval: *i
  scrape_timeout: 1s
  relabel_configs: *r
";
    let jobs = load_text(text).unwrap().config.scrape_configs;
    let names: Vec<&str> = jobs.iter().map(|job| job.job_name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(jobs.iter().all(|job| job.scrape_interval == Duration::from_secs(7)));
    assert!(jobs.iter().all(|job| job.relabel_configs.len() == 1));
}

#[test]
fn alias_bombs_are_refused() {
    let mut text = String::from("scrape_configs:\n- job_name: a\n  static_configs:\n  - &g\n    targets: [");
    text.push_str(&"x, ".repeat(1000));
    text.push_str("]\n");
    text.push_str(&"  - *g\n".repeat(10_000));
    assert_eq!(refused(&text), "yaml: document contains excessive aliasing");
    let merged = "global:\n  external_labels:\n    <<: &m {a: b}\n";
    assert!(load_text(merged).is_ok());
}

#[test]
fn bytes_that_are_no_text_are_named() {
    let label = "global: {external_labels: {!!binary /w==: x}}";
    assert_eq!(refused(label), "\"\\xff\" is not a valid label name");
    assert_eq!(refused("scrape_configs: [{job_name: !!binary /w==}]"), "\"\\xff\" is not valid UTF-8");
}

#[test]
fn a_load_error_does_not_show_a_secret() {
    let error = refused("scrape_configs:\n- job_name: a\n  bearer_token: [hunter2]\n  foo: 1\n");
    assert!(!error.contains("hunter2"), "{error}");
    let config = load_text("scrape_configs: [{job_name: a, bearer_token: hunter2}]").unwrap().config;
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn relabelling_steps_of_prometheus_are_read() {
    let Some(root) = fixtures::folder() else { return };
    let cases = fixtures::json_in(&root, "relabel/json/TestConfig_UnmarshalThenMarshal.json");
    for case in cases.as_array().unwrap() {
        let step = case["inputYaml"].as_str().unwrap().trim_end().replace('\n', "\n    ");
        let text = format!("scrape_configs:\n- job_name: a\n  relabel_configs:\n  - {step}\n");
        let config = load_text(&text).unwrap().config;
        let read = &config.scrape_configs[0].relabel_configs[0];
        let line = |key: &str| step.lines().find_map(|line| line.trim().strip_prefix(key));
        assert_eq!(read.action.as_str(), line("action: ").unwrap());
        assert_eq!(read.target_label, line("target_label: ").unwrap_or(""));
        let regex = line("regex: ").unwrap_or("(.*)");
        assert_eq!(read.regex_text, if regex == "\"\"" { "" } else { regex });
    }
    assert_eq!(cases.as_array().unwrap().len(), 4);
}
