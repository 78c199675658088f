//! Three real node_exporters, asked with Debian's promtool, and with DuckDB on the blocks.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use e2e::{Foxfire, NodeExporter, duckdb, eventually, promtool};
use serde_json::Value;

fn config(exporters: &[NodeExporter]) -> String {
    let targets: Vec<String> = exporters.iter().map(|exporter| format!("'{}'", exporter.address)).collect();
    format!(
        "global: {{scrape_interval: 2s, scrape_timeout: 2s}}\n\
         scrape_configs:\n\
         - job_name: node\n  static_configs: [{{targets: [{}]}}]\n\
         - job_name: foxfire\n  static_configs: [{{targets: ['{{address}}']}}]\n",
        targets.join(", ")
    )
}

fn promtool_query(arguments: &[&str]) -> String {
    let output = Command::new(promtool()).arg("query").args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool query {arguments:?}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Real scrapes become blocks; promtool, the API and DuckDB agree on them.
#[test]
fn scrapes_become_blocks_that_promtool_and_duckdb_read() {
    let exporters = [NodeExporter::start(), NodeExporter::start(), NodeExporter::start()];
    let foxfire = Foxfire::start(&config(&exporters), &[], &["--storage.tsdb.min-block-duration=10s"]);
    let url = format!("http://{}", foxfire.address);
    eventually("all targets up", Duration::from_secs(20), || {
        let up = foxfire.query("sum(up)", None);
        let value = up.first().map(|sample| sample["value"][1].clone()).unwrap_or_default();
        if value == "4" { Ok(()) } else { Err(value.to_string()) }
    });
    eventually("two blocks", Duration::from_secs(120), || {
        let blocks = foxfire.data("/api/v1/status/tsdb/blocks")["blocks"].as_array().map_or(0, Vec::len);
        if blocks >= 2 { Ok(()) } else { Err(format!("{blocks} blocks")) }
    });

    let instant = |expr: &str| promtool_query(&["instant", &url, expr]);
    let modes = instant("sum by (mode) (rate(node_cpu_seconds_total[30s]))");
    assert!(modes.contains("mode=\"idle\""), "{modes}");
    let top = instant("topk(2, node_memory_MemTotal_bytes)");
    assert_eq!(top.lines().count(), 2, "{top}");
    let quantile = instant(
        "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[30s])))",
    );
    assert!(quantile.starts_with("{} => "), "{quantile}");
    assert!(!quantile.contains("NaN"), "{quantile}");
    assert!(instant("up offset 4s").contains("node"));
    let series = promtool_query(&["series", "--match=up{job=\"node\"}", &url]);
    assert_eq!(series.lines().count(), 3, "{series}");
    let labels = promtool_query(&["labels", &url, "job"]);
    assert_eq!(labels.split_whitespace().collect::<Vec<_>>(), ["foxfire", "node"]);
    let range = promtool_query(&["range", "--step=2s", &url, "count(up)"]);
    assert!(range.contains("4 @["), "{range}");

    compare_with_duckdb(&foxfire);
}

/// Every sample of a few metrics, by SQL over the blocks and by the API, must be the same.
fn compare_with_duckdb(foxfire: &Foxfire) {
    let blocks = foxfire.data("/api/v1/status/tsdb/blocks");
    let end = blocks["blocks"].as_array().unwrap().iter().filter_map(|block| block["maxTime"].as_i64()).max();
    let end = end.unwrap() - 1;
    let data = foxfire.folder.path().join("data");
    for metric in ["node_cpu_seconds_total", "node_memory_MemFree_bytes", "up", "scrape_duration_seconds"] {
        let printed = duckdb(READ_BLOCKS, &[&data.to_string_lossy(), metric, &end.to_string(), VIEWS]);
        let by_sql: BTreeMap<String, Vec<(i64, u64)>> = read_series(&serde_json::from_str(&printed).unwrap());
        let result = foxfire.query(&format!("{metric}[1h]"), Some(end as f64 / 1000.0));
        let by_api: BTreeMap<String, Vec<(i64, u64)>> = result.iter().map(read_matrix_series).collect();
        assert!(
            by_api.values().map(Vec::len).sum::<usize>() > 8,
            "{metric}: too little to compare: {by_api:?}"
        );
        assert_eq!(by_sql, by_api, "{metric}");
    }
}

const VIEWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/views.sql");

const READ_BLOCKS: &str = r#"
import sys, json, duckdb
data, metric, end = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = duckdb.connect()
view = open(sys.argv[4]).read().replace("'data/", "'" + data + '/')
db.execute(view)
rows = db.execute('select labels, ts, value from samples where metric = ? and ts <= ? order by ts', [metric, end])
series = {}
for labels, ts, value in rows.fetchall():
    key = json.dumps(dict(sorted({'__name__': metric, **labels}.items())))
    series.setdefault(key, []).append([ts, repr(value)])
print(json.dumps(series))
"#;

fn read_series(printed: &Value) -> BTreeMap<String, Vec<(i64, u64)>> {
    let series = printed.as_object().unwrap();
    let points = |points: &Value| {
        let point =
            |p: &Value| (p[0].as_i64().unwrap(), p[1].as_str().unwrap().parse::<f64>().unwrap().to_bits());
        points.as_array().unwrap().iter().map(point).collect()
    };
    series
        .iter()
        .map(|(labels, list)| (canonical(&serde_json::from_str(labels).unwrap()), points(list)))
        .collect()
}

fn read_matrix_series(series: &Value) -> (String, Vec<(i64, u64)>) {
    let point = |p: &Value| {
        let ms = (p[0].as_f64().unwrap() * 1000.0).round() as i64;
        (ms, p[1].as_str().unwrap().parse::<f64>().unwrap().to_bits())
    };
    (canonical(&series["metric"]), series["values"].as_array().unwrap().iter().map(point).collect())
}

fn canonical(labels: &Value) -> String {
    let sorted: BTreeMap<String, String> = serde_json::from_value(labels.clone()).unwrap();
    format!("{sorted:?}")
}
