//! Recorded scrapes as OpenMetrics, imported by foxfire and by promtool: both servers answer the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use e2e::{Foxfire, Prometheus, build, get, promtool};
use serde_json::Value;
use tempfile::TempDir;

/// Scrapes that are taken of the recording.
const SCRAPES: usize = 20;

const CONFIG: &str = "global: {scrape_interval: 1h}\nscrape_configs: []\n";

/// The recording as OpenMetrics, and its last instant in seconds.
fn recorded(folder: &Path) -> Option<(String, f64)> {
    let archive = fixtures::captures()?.join("capture-node.tar.zst");
    let unpacked = Command::new("tar")
        .args(["-I", "zstd -d --long=27", "-xf"])
        .arg(archive)
        .current_dir(folder)
        .status()
        .unwrap();
    assert!(unpacked.success());
    let mut scrapes = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(ms) = name.rsplit('_').next().and_then(|ms| ms.parse::<i64>().ok()) {
                scrapes.insert(ms, path);
            }
        }
    }
    let mut text = String::new();
    let mut last = 0;
    for (ms, path) in scrapes.into_iter().take(SCRAPES) {
        last = ms;
        let body = std::fs::read_to_string(path).unwrap();
        for line in body.lines().filter(|line| !line.starts_with('#')) {
            text.push_str(&format!("{line} {}.{:03}\n", ms / 1000, ms % 1000));
        }
    }
    Some((text + "# EOF\n", last as f64 / 1000.0))
}

/// What a server answers, sorted; numbers as numbers.
fn ask(address: &str, path: &str) -> Vec<(String, Vec<(f64, f64)>)> {
    let (status, body) = get(address, path).unwrap();
    assert_eq!(status, 200, "{path}: {body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    let number =
        |value: &Value| value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok())).unwrap();
    let sample = |pair: &Value| (number(&pair[0]), number(&pair[1]));
    let mut found: Vec<(String, Vec<(f64, f64)>)> = answer["data"]["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|series| {
            let samples = match series["values"].as_array() {
                Some(values) => values.iter().map(sample).collect(),
                None => vec![sample(&series["value"])],
            };
            let labels: BTreeMap<String, String> = serde_json::from_value(series["metric"].clone()).unwrap();
            (format!("{labels:?}"), samples)
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn assert_close(a: &[(String, Vec<(f64, f64)>)], b: &[(String, Vec<(f64, f64)>)], path: &str) {
    let series = |found: &[(String, Vec<(f64, f64)>)]| -> Vec<String> {
        found.iter().map(|(labels, _)| labels.clone()).collect()
    };
    assert!(!a.is_empty(), "{path}");
    assert_eq!(series(a), series(b), "{path}");
    for ((labels, a), (_, b)) in a.iter().zip(b) {
        assert_eq!(a.len(), b.len(), "{path} {labels}");
        for ((at, a), (other_at, b)) in a.iter().zip(b) {
            let close = a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-12 * a.abs().max(b.abs());
            assert!(at == other_at && close, "{path} {labels} at {at}: {a} and {b}");
        }
    }
}

#[test]
fn imported_scrapes_answer_as_those_that_promtool_imported() {
    let folder = TempDir::new().unwrap();
    let Some((text, last)) = recorded(folder.path()) else { return };
    let input = folder.path().join("in.om");
    std::fs::write(&input, text).unwrap();
    let import = |program: &Path, output: &Path| {
        let output = Command::new(program)
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .arg(&input)
            .arg(output)
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let peers = folder.path().join("prometheus");
    import(&promtool(), &peers);
    let prometheus = Prometheus::on(&peers);
    let mut foxfire = Foxfire::start(CONFIG, &[], &["--storage.retention.time=0"]);
    foxfire.process().signal("TERM");
    foxfire.process().wait(std::time::Duration::from_secs(30));
    let made = import(&build(), &foxfire.folder.path().join("data"));
    assert!(made.contains("BLOCK ULID"), "{made}");
    foxfire.restart();
    let encode = |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    for expr in [
        "count({__name__=~\".+\"})",
        "count by (__name__) ({__name__=~\"node_.*\"})",
        "node_load1",
        "sum by (mode) (rate(node_cpu_seconds_total[2m]))",
        "topk(3, node_filesystem_size_bytes)",
        "max_over_time(node_memory_MemFree_bytes[5m])",
        "{__name__=~\"node_netstat_.*\"}",
        "changes(process_open_fds[10m])",
    ] {
        for ago in [0.0, 121.5] {
            let path = format!("/api/v1/query?query={}&time={}", encode(expr), last - ago);
            assert_close(&ask(&prometheus.address, &path), &ask(&foxfire.address, &path), &path);
        }
        let (start, end) = (last - 240.0, last + 30.0);
        let path = format!("/api/v1/query_range?query={}&start={start}&end={end}&step=30", encode(expr));
        assert_close(&ask(&prometheus.address, &path), &ask(&foxfire.address, &path), &path);
    }
}
