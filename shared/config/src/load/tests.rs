use serde_json::Value;

use super::*;
use crate::fixtures;

fn load_text(text: &str) -> Result<Loaded, String> {
    let environment = |name: &str| (name == "TEST").then(|| "foo".to_owned());
    let options =
        LoadOptions { file_name: "prometheus.yml", directory: "/etc/prometheus", environment: &environment };
    load(text, &options).map_err(|error| error.to_string())
}

#[test]
fn files_of_prometheus_load_or_fail_as_there_unless_they_need_what_is_missing() {
    let Some(root) = fixtures::root() else { return };
    let expected = fixtures::json(&root, "config/json/expected.json");
    let (mut as_expected, mut unsupported, mut other_mode) = (0, 0, 0);
    let mut faults = Vec::new();
    for row in expected.as_array().unwrap() {
        let file = row["file"].as_str().unwrap();
        let test = row["test"].as_str().unwrap();
        if test.contains("agent mode") || test.contains("TestGetScrapeConfigs") || test.contains("StaticConfigs") {
            other_mode += 1;
            continue;
        }
        let path = root.join("config/config/testdata").join(file);
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        let name = format!("testdata/{file}");
        let options = LoadOptions { file_name: &name, directory: "testdata", environment: &|_| None };
        let outcome = load(&text, &options).map_err(|error| error.to_string());
        let wanted: Vec<&str> =
            row["error_contains"].as_array().into_iter().flatten().map(|w| w.as_str().unwrap()).collect();
        match (row["outcome"].as_str().unwrap(), outcome) {
            (_, Err(error)) if error.contains("is not supported by foxfire yet") => unsupported += 1,
            ("ok", Ok(_)) => as_expected += 1,
            ("error", Err(error)) if wanted.iter().all(|wanted| error.contains(wanted)) => as_expected += 1,
            (_, outcome) => faults.push(format!("{row}\n   {:?}", outcome.map(|_| "loads"))),
        }
    }
    assert!(faults.is_empty(), "{} faults, {as_expected} {unsupported} {other_mode}:\n{}", faults.len(), faults.join("\n"));
    assert_eq!((as_expected, unsupported, other_mode), (0, 0, 0));
}

#[test]
fn smoke() {
    let _ = load_text("").unwrap();
    let _ = Value::Null;
}
