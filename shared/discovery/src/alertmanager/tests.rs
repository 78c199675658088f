use std::time::Duration;

use config::{FileSdConfig, HttpClientConfig, ServiceDiscovery};
use futures::FutureExt;
use model::regex::AnchoredRegex;
use model::relabel::{RelabelAction, RelabelConfig};

use super::*;
use crate::test_files::TestFiles;

fn entry(addresses: &[&str]) -> AlertmanagerConfig {
    let targets = addresses.iter().map(|address| Labels::from_pairs([("__address__", *address)])).collect();
    AlertmanagerConfig {
        scheme: "http".to_owned(),
        path_prefix: "/".to_owned(),
        timeout: Duration::from_secs(10),
        http: HttpClientConfig::default(),
        discovery: ServiceDiscovery {
            static_configs: vec![TargetGroup { targets, labels: Labels::empty(), source: "0".to_owned() }],
            file_sd_configs: Vec::new(),
        },
        relabel_configs: Vec::new(),
        alert_relabel_configs: Vec::new(),
    }
}

fn find(entries: Vec<AlertmanagerConfig>, files: &TestFiles) -> Alertmanagers {
    let config = AlertingConfig { alertmanagers: entries, ..AlertingConfig::default() };
    discover_alertmanagers(&config, files, &mut LastGood::default()).now_or_never().unwrap()
}

fn urls(found: &Alertmanagers) -> Vec<(&str, usize)> {
    found.active.iter().map(|target| (target.url.as_str(), target.entry)).collect()
}

#[test]
fn alerts_go_to_the_second_version_of_the_api() {
    let prefixed = AlertmanagerConfig {
        scheme: "https".to_owned(),
        path_prefix: "am//x/".to_owned(),
        ..entry(&["b:2", "b:2"])
    };
    let found = find(vec![entry(&["a:9093"]), prefixed], &TestFiles::default());
    assert_eq!(urls(&found), [("http://a:9093/api/v2/alerts", 0), ("https://b:2/am/x/api/v2/alerts", 1)]);
}

#[test]
fn alertmanagers_are_relabelled_and_read_from_files() {
    let files = TestFiles::default();
    files.put("/am.yml", "- targets: ['c:3']\n  labels: {__scheme__: https}\n");
    let drop = RelabelConfig {
        source_labels: vec!["__address__".to_owned()],
        regex: AnchoredRegex::new("a.*").unwrap(),
        regex_text: "a.*".to_owned(),
        action: RelabelAction::Drop,
        ..RelabelConfig::default()
    };
    let mut config = AlertmanagerConfig { relabel_configs: vec![drop], ..entry(&["a:1", "b:2"]) };
    let refresh_interval = Duration::from_secs(300);
    config.discovery.file_sd_configs =
        vec![FileSdConfig { files: vec!["/am.yml".to_owned()], refresh_interval }];
    let found = find(vec![config], &files);
    assert_eq!(urls(&found), [("http://b:2/api/v2/alerts", 0), ("https://c:3/api/v2/alerts", 0)]);
    assert_eq!(found.dropped, ["http://a:1/api/v2/alerts"]);
}

#[test]
fn a_group_with_an_impossible_address_is_left_out() {
    let found = find(vec![entry(&["a:1", "b/c"]), entry(&["d:4"])], &TestFiles::default());
    assert_eq!(urls(&found), [("http://d:4/api/v2/alerts", 1)]);
    assert_eq!(found.errors, ["group 0: \"b/c\" is not a valid hostname"]);
}
