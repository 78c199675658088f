//! Matchers against what Prometheus's own find.

use model::{MatchOp, Matcher};
use serde_json::Value;

#[test]
fn regular_expressions_match_what_prometheus_ones_match() {
    let Some(golden) = fixtures::json("labels/json/regex_matches_golden.json") else { return };
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
