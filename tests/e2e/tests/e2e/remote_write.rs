//! Debian's Prometheus pushes into foxfire.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use e2e::{Foxfire, NodeExporter, Prometheus, eventually, get, post};
use serde_json::Value;

type Samples = BTreeMap<String, Vec<(String, String)>>;

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A matrix as labels to (timestamp, value), both as they were printed: equal texts are equal bits.
fn matrix(data: &Value) -> Samples {
    let mut all = Samples::new();
    for series in data["result"].as_array().unwrap() {
        let labels: BTreeMap<String, String> = serde_json::from_value(series["metric"].clone()).unwrap();
        let points = series["values"].as_array().unwrap().iter();
        let points = points.map(|p| (p[0].to_string(), p[1].as_str().unwrap().to_owned())).collect();
        assert!(all.insert(format!("{labels:?}"), points).is_none(), "{labels:?} is there twice");
    }
    all
}

fn raw(time: f64) -> String {
    format!("/api/v1/query?query=%7B__name__%3D~%22.%2B%22%7D%5B1h%5D&time={time}")
}

/// Every series at every second: it shows where each one ends.
fn steps(start: f64, end: f64) -> String {
    format!("/api/v1/query_range?query=%7B__name__%3D~%22.%2B%22%7D&start={start:.0}&end={end:.0}&step=1")
}

/// Where two sets of samples first differ.
fn difference(ours: &Samples, theirs: &Samples) -> Result<(), String> {
    for (labels, points) in theirs {
        let Some(found) = ours.get(labels) else { return Err(format!("{labels} is missing")) };
        if found != points {
            let at =
                found.iter().zip(points).position(|(a, b)| a != b).unwrap_or(found.len().min(points.len()));
            return Err(format!("{labels} differs at {at}: {:?}, not {:?}", found.get(at), points.get(at)));
        }
    }
    match ours.keys().find(|labels| !theirs.contains_key(*labels)) {
        Some(labels) => Err(format!("{labels} was never pushed")),
        None => Ok(()),
    }
}

/// Everything that Prometheus scraped is in foxfire, bit for bit, ends of series included, though foxfire is killed again
/// and again while Prometheus pushes and pushes again.
#[test]
fn what_prometheus_pushes_arrives_bit_for_bit_though_foxfire_is_killed() {
    let stays = NodeExporter::start();
    let goes = NodeExporter::start();
    let mut foxfire = Foxfire::start(
        "scrape_configs: []\n",
        &[],
        &["--web.enable-remote-write-receiver", "--storage.tsdb.min-block-duration=5s"],
    );
    let start = now();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs: [{{job_name: node, static_configs: [{{targets: ['{}', '{}']}}]}}]\n\
         remote_write:\n\
         - url: http://{}/api/v1/write\n  send_exemplars: true\n  \
         metadata_config: {{send_interval: 2s}}\n  \
         queue_config: {{min_backoff: 50ms, max_backoff: 200ms, batch_send_deadline: 500ms, max_samples_per_send: 700}}\n",
        stays.address, goes.address, foxfire.address
    );
    let prometheus = Prometheus::start(&config, &[]);
    std::thread::sleep(Duration::from_secs(5));
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(2_300));
        foxfire.process().kill();
        std::thread::sleep(Duration::from_millis(700));
        foxfire.restart();
    }
    drop(goes);
    std::thread::sleep(Duration::from_secs(6));
    let end = now().floor() - 1.0;

    let theirs = matrix(&prometheus.data(&raw(end)));
    eventually("foxfire has what Prometheus has", Duration::from_secs(60), || {
        difference(&matrix(&foxfire.data(&raw(end))), &theirs)
    });
    let theirs_by_step = matrix(&prometheus.data(&steps(start, end)));
    difference(&matrix(&foxfire.data(&steps(start, end))), &theirs_by_step).unwrap();
    let count = |samples: &Samples| samples.values().map(Vec::len).sum::<usize>();
    let last = format!("{end:.0}");
    let ended = theirs_by_step.values().filter(|points| points.last().is_none_or(|p| p.0 != last)).count();
    println!(
        "{} series, {} samples, {} at steps; {ended} series have ended",
        theirs.len(),
        count(&theirs),
        count(&theirs_by_step)
    );
    assert!(theirs.len() > 500 && count(&theirs) > 10_000, "too little was pushed");
    assert!(ended > 200, "no series have ended, so stale markers were not tested");

    let (_, metrics) = foxfire.get("/metrics");
    let acknowledged =
        metrics.lines().find(|line| line.starts_with("foxfire_push_requests_total{code=\"204\"}"));
    assert!(acknowledged.is_some(), "{metrics}");
    // Once blocks hold it all, nothing has changed.
    eventually("blocks hold all of it", Duration::from_secs(90), || {
        let blocks = foxfire.data("/api/v1/status/tsdb/blocks");
        let blocks = blocks["blocks"].as_array().unwrap().clone();
        let max = blocks.iter().filter_map(|block| block["maxTime"].as_i64()).max().unwrap_or(0);
        if max as f64 / 1000.0 > end { Ok(()) } else { Err(format!("blocks up to {max}, not {end}")) }
    });
    difference(&matrix(&foxfire.data(&raw(end))), &theirs).unwrap();
    difference(&matrix(&foxfire.data(&steps(start, end))), &theirs_by_step).unwrap();
}

#[test]
fn pushes_are_refused_as_prometheus_refuses_them() {
    let off = Foxfire::start("scrape_configs: []\n", &[], &[]);
    let (status, body) = post(&off.address, "/api/v1/write", "").unwrap();
    assert_eq!(
        (status, body.as_str()),
        (404, "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n")
    );
    let on = Foxfire::start("scrape_configs: []\n", &[], &["--web.enable-remote-write-receiver"]);
    let (status, body) = post(&on.address, "/api/v1/write", "a=b").unwrap();
    assert_eq!(status, 415, "{body}");
    assert!(body.starts_with("expected application/x-protobuf as the first (media) part"), "{body}");
    assert_eq!(get(&on.address, "/api/v1/write").unwrap().0, 405);
}
