//! Metadata and exemplars, beside Debian's Prometheus.

use std::time::{Duration, SystemTime};

use e2e::{Foxfire, NodeExporter, Prometheus, eventually, post_body};
use model::{Exemplar, Labels, Metadata, MetricType};
use remote::testing::{compress, encode_v1};
use remote::{Sample, TimeSeries, WriteRequest};
use serde_json::{Value, json};

/// The entries of a list in an order that does not matter.
fn sorted(list: &Value) -> Vec<String> {
    let mut all: Vec<String> = list.as_array().unwrap().iter().map(Value::to_string).collect();
    all.sort();
    all
}

fn same<T: PartialEq>(ours: &T, theirs: &T, show: impl Fn(&T) -> String) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{} instead of {}", show(ours), show(theirs))) }
}

#[test]
fn metadata_is_what_prometheus_says_of_the_same_target() {
    let exporter = NodeExporter::start();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs: [{{job_name: node, static_configs: [{{targets: ['{}']}}]}}]\n",
        exporter.address
    );
    let prometheus = Prometheus::start(&config, &[]);
    let foxfire = Foxfire::start(&config, &[], &["--storage.tsdb.min-block-duration=5s"]);
    for path in [
        "/api/v1/targets/metadata",
        "/api/v1/targets/metadata?metric=node_load1",
        "/api/v1/targets/metadata?match_target=%7Bjob=%22other%22%7D",
    ] {
        eventually(path, Duration::from_secs(20), || {
            let theirs = sorted(&prometheus.data(path));
            // Prometheus, too, knows nothing before its first scrape.
            if theirs.is_empty() && !path.contains("other") {
                return Err("Prometheus has none".to_owned());
            }
            same(&sorted(&foxfire.data(path)), &theirs, |list| format!("{} entries", list.len()))
        });
    }
    for path in ["/api/v1/metadata", "/api/v1/metadata?metric=node_cpu_seconds_total"] {
        let theirs = prometheus.data(path);
        let families = |data: &Value| format!("{} families", data.as_object().unwrap().len());
        eventually(path, Duration::from_secs(120), || same(&foxfire.data(path), &theirs, families));
        println!("{path}: {}", families(&theirs));
    }
    assert_eq!(foxfire.data("/api/v1/metadata?limit=2").as_object().unwrap().len(), 2);
}

#[test]
fn pushed_exemplars_and_metadata_are_found() {
    let foxfire = Foxfire::start(
        "scrape_configs: []\n",
        &[],
        &["--web.enable-remote-write-receiver", "--storage.tsdb.min-block-duration=5s"],
    );
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let timestamp = i64::try_from(now.as_millis()).unwrap();
    let series = |name: &str, trace: &str, ago: i64| TimeSeries {
        labels: Labels::from_pairs([("__name__", name), ("job", "push")]),
        samples: vec![Sample { timestamp, value: 2.0 }],
        exemplars: vec![Exemplar {
            labels: Labels::from_pairs([("trace_id", trace)]),
            value: 0.25,
            timestamp: timestamp - ago,
        }],
        ..TimeSeries::default()
    };
    // Prometheus sends exemplars as series of their own.
    let lone = TimeSeries { samples: Vec::new(), ..series("a_total", "second", 6) };
    let metadata = Metadata {
        metric_family: "a_total".to_owned(),
        kind: MetricType::Counter,
        help: "What is pushed.".to_owned(),
        unit: "things".to_owned(),
    };
    let request = WriteRequest {
        series: vec![series("a_total", "first", 7), lone, series("b_total", "third", 5)],
        metadata: vec![metadata],
        ..WriteRequest::default()
    };
    let headers = "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n";
    let body = compress(&encode_v1(&request));
    let (status, body) = post_body(&foxfire.address, "/api/v1/write", headers, &body).unwrap();
    assert_eq!(status, 204, "{body}");

    let told = json!({ "a_total": [{ "type": "counter", "help": "What is pushed.", "unit": "things" }] });
    let show = |data: &Value| data.to_string();
    eventually("metadata", Duration::from_secs(120), || same(&foxfire.data("/api/v1/metadata"), &told, show));
    let path = "/api/v1/query_exemplars?query=rate(a_total%5B1m%5D)";
    let exemplar = |trace: &str, ago: i64| {
        let seconds = (timestamp - ago) as f64 / 1000.0;
        json!({ "labels": { "trace_id": trace }, "value": "0.25", "timestamp": seconds })
    };
    eventually("exemplars", Duration::from_secs(120), || {
        let data = foxfire.data(path);
        let series = json!({ "__name__": "a_total", "job": "push" });
        let found = data.as_array().unwrap();
        if found.len() != 1 || found[0]["seriesLabels"] != series {
            return Err(data.to_string());
        }
        let expected = json!([exemplar("first", 7), exemplar("second", 6)]);
        same(&sorted(&found[0]["exemplars"]), &sorted(&expected), |list| list.join(" "))
    });
}
