//! `kill -9` loses nothing and doubles nothing.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use e2e::{Foxfire, NodeExporter};

type Samples = BTreeMap<String, Vec<(String, String)>>;

/// Every raw sample of the last hour at `time`, as the API shows it: labels to (timestamp, value) in order.
fn samples(foxfire: &Foxfire, time: f64) -> Samples {
    let mut all = Samples::new();
    for series in foxfire.query("{__name__=~\".+\"}[1h]", Some(time)) {
        let points = series["values"].as_array().unwrap().iter();
        let points = points.map(|p| (p[0].to_string(), p[1].as_str().unwrap().to_owned())).collect();
        let doubled = all.insert(series["metric"].to_string(), points);
        assert!(doubled.is_none(), "a series twice in one result: {}", series["metric"]);
    }
    all
}

/// What could be queried before a `kill -9` can be queried after it: the same samples, each once. Ten times, at
/// moments that do not repeat; blocks are cut all the while.
#[test]
fn what_was_queryable_before_a_kill_is_queryable_after_it_exactly_once() {
    let exporters = [NodeExporter::start(), NodeExporter::start()];
    let targets: Vec<String> = exporters.iter().map(|exporter| format!("'{}'", exporter.address)).collect();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs: [{{job_name: node, static_configs: [{{targets: [{}]}}]}}]\n",
        targets.join(", ")
    );
    let mut foxfire = Foxfire::start(&config, &[], &["--storage.tsdb.min-block-duration=5s"]);
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let (mut compared, mut blocks) = (0, 0);
    for round in 0..10 {
        let jitter = u64::from(now().subsec_nanos() % 4_000);
        std::thread::sleep(Duration::from_millis(4_000 + jitter));
        let time = now().as_secs_f64();
        let before = samples(&foxfire, time);
        foxfire.process().kill();
        foxfire.restart();
        let after = samples(&foxfire, time);
        for (labels, points) in &before {
            let found = after.get(labels).unwrap_or_else(|| panic!("round {round}: {labels} is lost"));
            // What was in flight at the query may have become visible since; nothing else may differ.
            let mut rest = found.iter();
            for point in points {
                assert!(rest.any(|p| p == point), "round {round}: {labels} has lost or changed {point:?}");
            }
            compared += points.len();
            assert!(
                found.is_sorted_by(|a, b| a.0.len() != b.0.len() || a.0 < b.0),
                "round {round}: {labels} doubled"
            );
        }
        blocks = foxfire.data("/api/v1/status/tsdb/blocks")["blocks"].as_array().map_or(0, Vec::len);
    }
    println!("compared {compared} samples over 10 kills; {blocks} blocks at the end");
    assert!(compared > 100_000, "only {compared} samples were compared");
    assert!(blocks > 0, "no block was cut, so nothing of compaction was tested");
}
