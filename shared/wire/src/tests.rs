use std::fmt::Debug;

use super::*;

#[test]
fn labels_travel_as_ordered_pairs() {
    let labels = Labels::from_pairs([("job", "node"), ("__name__", "up")]);
    let wire = WireLabels::from(&labels);
    assert_eq!(encode(&wire), br#"[["__name__","up"],["job","node"]]"#);
    assert_eq!(Labels::from(&wire), labels);
}

/// `json` is what a released version has written: it must be understood for ever, and nothing in it be dropped.
fn golden<T: Serialize + DeserializeOwned + Debug>(json: &str) {
    let value: T = decode("golden", json.as_bytes()).unwrap();
    let again = String::from_utf8(encode(&value)).unwrap();
    assert_eq!(again, json, "{value:?}");
}

#[test]
fn what_version_1_stored_reads_for_ever() {
    golden::<Head>(r#"{"v":1,"manifest":"manifest/01","watermark":7}"#);
    golden::<Manifest>(
        r#"{"v":1,"blocks":[{"id":"default/01","level":1,"min_time":1,"max_time":2,"samples":3,"series":1,"set_hash":"000000000000000000000000000000ff","files":[{"name":"samples-000.parquet","len":9,"checksum":"00000000000000ff"}],"parents":["default/00"]}],"context":["000000000000009-s00000"],"retired":[{"id":"default/00","at":4}]}"#,
    );
    golden::<Manifest>(
        r#"{"v":1,"blocks":[],"context":[],"retired":[],"merges":[{"id":"01","level":2,"inputs":["default/00"],"tombstones":["02"],"bounds":[[["__name__","m"]],[["__name__","n"]]],"parts":["open",{"claimed":{"block":"default/03","at":5}},{"done":{"block":{"id":"default/04","level":2,"min_time":1,"max_time":2,"samples":3,"series":1,"set_hash":"00","files":[],"parents":[],"series_range":{"first":[["__name__","n"]],"last":[["__name__","o"]]}},"duplicates":{"samples":1,"set_hash":"0f"},"deleted":{"samples":0,"set_hash":"00"}}}]}],"tombstones":[{"id":"02","matchers":[[{"name":"job","op":"=~","value":"a|b"}]],"min_time":1,"max_time":9,"created_at":10,"until_tick":11,"blocks":[{"id":"default/00","series":7}]}]}"#,
    );
    let before_context: Manifest = decode("manifest", br#"{"v":1,"blocks":[]}"#).unwrap();
    assert!(before_context.context.is_empty());
    golden::<Pointer>(r#"{"v":1,"key":"config/00","set_at":5}"#);
    golden::<ConfigBundle>(
        r#"{"v":1,"path":"p.yml","prometheus_yml":"global: {}","rule_files":[{"path":"r.yml","text":"groups: []"}]}"#,
    );
    golden::<TargetSnapshot>(
        r#"{"v":1,"config":"config/00","pools":[{"name":"a","active":[{"source":"00000000000000ff","pool":"a","url":"http://h/m","labels":[["job","a"]],"discovered":[["__address__","h"]],"interval_ms":15000,"timeout_ms":10000,"offset_ms":3}],"dropped":[{"discovered":[["__address__","i"]]}],"errors":["e"]}]}"#,
    );
}

#[test]
fn tasks_of_version_1_are_understood() {
    golden::<DiscoverTask>(r#"{"from":1,"until":2}"#);
    golden::<RuleTask>(r#"{"config":"config/00","file":"r.yml","group":"g","tick":9}"#);
    golden::<CompactTask>(r#"{"tick":9}"#);
    golden::<CompactTask>(r#"{"tick":9,"work":"segments"}"#);
    golden::<CollectTask>(r#"{"tick":9}"#);
    golden::<ScrapeTask>(
        r#"{"config":"config/00","tick":9,"shard":1,"targets":[],"gone":["00000000000000ff"]}"#,
    );
    let before_gone: ScrapeTask =
        decode("task", br#"{"config":"c","tick":9,"shard":1,"targets":[]}"#).unwrap();
    assert!(before_gone.gone.is_empty());
}

#[test]
fn alert_state_of_version_1_reads_for_ever() {
    golden::<RuleGroupState>(
        r#"{"v":1,"last_tick":9,"last_evaluation":10,"evaluation_seconds":0.5,"iterations_scheduled":3,"iterations_missed":1,"rules":[{"rule":"00000000000000ff","last_evaluation":10,"evaluation_seconds":0.25,"last_error":null,"last_written":9,"alerts":[{"labels":[["alertname","A"]],"annotations":[],"phase":"firing","value_bits":4607182418800017408,"active_at":1,"fired_at":2,"resolved_at":0,"last_sent_at":2,"keep_firing_since":0}]}]}"#,
    );
}

#[test]
fn what_is_malformed_says_what_it_should_have_been() {
    let error = decode::<Head>("head", b"{").unwrap_err().to_string();
    assert!(error.starts_with("malformed head: "), "{error}");
}
