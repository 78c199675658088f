#![allow(clippy::disallowed_methods, reason = "tests find the fixtures through the environment")]

use std::path::PathBuf;

use serde_json::Value;

use crate::plan::Plan;
use crate::plan::node::{Root, ScalarNode};
use crate::query::{EngineOptions, Features, QueryError, QueryTime};

fn options() -> EngineOptions {
    EngineOptions {
        features: Features {
            use_start_timestamps: true,
            type_and_unit_labels: false,
            experimental_functions: true,
            extended_range_selectors: true,
            binop_fill_modifiers: true,
            delayed_name_removal: true,
        },
        ..EngineOptions::default()
    }
}

fn instant(query: &str) -> Plan {
    Plan::new(query, QueryTime::Instant(100_000_000), &options()).expect(query)
}

#[test]
fn selectors_of_the_same_data_share_a_select() {
    assert_eq!(instant("rate(x[5m]) / rate(x[5m])").selects().len(), 1);
    assert_eq!(instant(r#"{a="1", b="2"} + on() {b="2", a="1"}"#).selects().len(), 1);
    let overlapping = instant("rate(x[5m]) / rate(x[5m] offset 2m)");
    let [select] = overlapping.selects() else { panic!("{:?}", overlapping.selects()) };
    assert_eq!((select.min_time, select.max_time), (100_000_000 - 420_000 + 1, 100_000_000));
    assert_eq!(instant("x / x offset 1w").selects().len(), 2);
    assert_eq!(instant("x / y").selects().len(), 2);
}

#[test]
fn constants_are_folded() {
    for (query, value) in
        [("1 + 2 * 3", 7.0), ("-(2 ^ 3)", -8.0), ("max_of(1, 2) > bool 1", 1.0), ("end() - start()", 0.0)]
    {
        let Root::Scalar(ScalarNode::Number(number)) = instant(query).root else { panic!("{query}") };
        assert_eq!(number, value, "{query}");
    }
}

#[test]
fn a_range_query_must_give_numbers_at_each_step() {
    let time = QueryTime::Range { start: 0, end: 10, step: 1 };
    for (query, kind) in [("x[5m]", "range vector"), (r#""text""#, "string")] {
        let error = Plan::new(query, time, &options()).expect_err(query);
        let text =
            format!("invalid expression type \"{kind}\" for range query, must be Scalar or instant Vector");
        assert_eq!(error, QueryError::Invalid(text));
    }
    assert!(Plan::new("x", QueryTime::Range { start: 0, end: 10, step: 0 }, &options()).is_err());
}

#[test]
fn times_at_the_edge_of_what_can_be_written_do_not_overflow() {
    for query in [
        "x @ 9223372036854774.784",
        "x @ -9223372036854774.784 offset 9223372036s",
        "rate(x[9223372036s] offset -9223372036s)",
        "max_over_time(x[9223372036s:1ms] @ 9223372036854774.784 offset -9223372036s)",
        "predict_linear(x[1h] @ -9223372036854774.784, 1e300)",
    ] {
        for time in [
            QueryTime::Instant(i64::MIN),
            QueryTime::Instant(i64::MAX),
            QueryTime::Range { start: i64::MIN, end: i64::MAX, step: 1 },
            QueryTime::Range { start: i64::MIN, end: i64::MAX, step: i64::MAX },
        ] {
            let options = EngineOptions { samples_max: 10_000, ..options() };
            let Ok(plan) = Plan::new(query, time, &options) else { continue };
            let series = storage::Series::floats(
                model::Labels::from_pairs([("__name__", "x")]),
                std::sync::Arc::from([i64::MIN, -1, 0, 1, i64::MAX]),
                std::sync::Arc::from([1.0, 2.0, 3.0, 4.0, 5.0]),
            );
            let sets = plan.selects().iter().map(|_| vec![series.clone()]).collect();
            // Whatever it gives, it must end.
            let _ = plan.evaluate(sets, &crate::Never);
        }
    }
}

#[test]
fn deep_nesting_is_refused_or_evaluated_but_never_overflows_the_stack() {
    for depth in [10, 100, 500, 990, 5_000, 50_000] {
        for query in [
            format!("{}1{}", "(".repeat(depth), ")".repeat(depth)),
            format!("{}x", "-".repeat(depth)),
            format!("x{}", " + x".repeat(depth)),
            format!("1{}", " + time()".repeat(depth)),
            format!("x{}", " or x".repeat(depth)),
            format!("{}x{}", "abs(".repeat(depth), ")".repeat(depth)),
            format!("{}x{}", "sum(".repeat(depth), ")".repeat(depth)),
            format!("{}x{}", "max_over_time(".repeat(depth), "[1m:1m])".repeat(depth)),
        ] {
            if let Ok(plan) = Plan::new(&query, QueryTime::Instant(0), &options()) {
                let sets = plan.selects().iter().map(|_| Vec::new()).collect();
                plan.evaluate(sets, &crate::Never).expect("an empty result");
            }
        }
    }
}

#[test]
fn what_does_not_depend_on_the_step_is_marked_where_prometheus_marks_it() {
    let root = std::env::var("FOXFIRE_FIXTURES").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
        PathBuf::from,
    );
    if !root.is_dir() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "fixtures are missing");
        println!("skipped: no fixtures");
        return;
    }
    let text =
        std::fs::read_to_string(root.join("promql/json/engine/step_invariant.json")).expect("a fixture");
    let table: Value = serde_json::from_str(&text).expect("JSON");
    let cases = table["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 30);
    for case in cases {
        let query = case["input"].as_str().expect("a query");
        let range = QueryTime::Range { start: 1_000_000, end: 9_999_000, step: 1_000 };
        let plan = Plan::new(query, range, &options())
            .or_else(|_| Plan::new(query, QueryTime::Instant(1_000_000), &options()))
            .expect(query);
        let expected = marks(&case["ast"]);
        let got = format!("{:?}", plan.root).matches("StepInvariant(").count();
        assert_eq!(got, expected, "{query}: {:?}", plan.root);
    }
}

/// How many marks a tree has, those of constants aside, for constants are folded.
fn marks(node: &Value) -> usize {
    match node {
        Value::Object(fields) => {
            let marked = fields.get("type").is_some_and(|kind| kind == "step_invariant");
            let constant = !node.to_string().contains("selector");
            usize::from(marked && !constant) + fields.values().map(marks).sum::<usize>()
        }
        Value::Array(nodes) => nodes.iter().map(marks).sum(),
        _ => 0,
    }
}
