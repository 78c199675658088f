use serde_json::Value;

use super::*;
use crate::fixtures;

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
    let Some(root) = fixtures::root() else { return };
    let expected = fixtures::json(&root, "config/json/expected.json");
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

#[test]
fn smoke() {
    let _ = load_text("").unwrap();
}
