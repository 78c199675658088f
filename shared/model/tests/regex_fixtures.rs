//! Matchers against what Prometheus's own find.
#![allow(clippy::disallowed_methods, reason = "tests find the fixtures by an environment variable")]

use std::path::PathBuf;

use model::{MatchOp, Matcher};
use serde_json::Value;

#[test]
fn regular_expressions_match_what_prometheus_ones_match() {
    let folder = std::env::var("FOXFIRE_FIXTURES").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
        PathBuf::from,
    );
    if !folder.is_dir() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no fixtures in {}", folder.display());
        println!("skipped: no fixtures in {}", folder.display());
        return;
    }
    let bytes = std::fs::read(folder.join("labels/json/regex_matches_golden.json")).unwrap();
    let golden: Value = serde_json::from_slice(&bytes).unwrap();
    // Four values are not UTF-8, which labels are here.
    let values: Vec<&str> = golden["values"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let regexes = golden["regexes"].as_array().unwrap();
    assert_eq!((values.len(), regexes.len()), (69, 70));
    for case in regexes {
        let regex = case["regex"].as_str().unwrap();
        let matcher = Matcher::new(MatchOp::Regex, "a", regex).unwrap();
        assert_eq!(case["matches_empty"], matcher.matches_empty(), "{regex}");
        let found: Vec<&str> = values.iter().copied().filter(|value| matcher.matches(value)).collect();
        let wanted: Vec<&str> =
            case["matches"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(found, wanted, "{regex}");
    }
}
