//! Properties that hold whatever the query: a range query gives at each step what an instant query gives there, and no
//! query that parses makes the engine panic.

#![allow(clippy::panic, clippy::print_stdout, reason = "these are tests, although not each function is one")]

mod promqltest;

use std::collections::BTreeMap;

use promql::{Plan, QueryTime, QueryValue};
use promqltest::json::Point;
use promqltest::store::Store;
use promqltest::{compare, fixture, json, suite_options};

const FILES: [&str; 13] = [
    "aggregators",
    "at_modifier",
    "fill-modifier",
    "functions",
    "histograms",
    "info",
    "name_label_dropping",
    "native_histograms",
    "operators",
    "selectors",
    "staleness",
    "subquery",
    "extended_vectors",
];

/// What depends on the query's range by definition, or on the order of series.
const EXCLUDED: [&str; 6] = ["start()", "end()", "range()", "step()", "limitk", "k(scalar"];

fn labelled(value: QueryValue) -> BTreeMap<String, Point> {
    match value {
        QueryValue::Vector(samples) => {
            samples.iter().map(|sample| (sample.labels.to_string(), compare::value_of(sample))).collect()
        }
        QueryValue::Scalar { value, .. } => BTreeMap::from([("{}".to_owned(), Point::Float(value))]),
        _ => BTreeMap::new(),
    }
}

/// The columns of `query` over a range against instant queries; `false` where the range query fails.
fn range_equals_instants(store: &Store, query: &str, start: i64, step: i64) -> Result<bool, String> {
    let options = suite_options();
    let end = start + 7 * step;
    let Ok(result) = store.query(query, QueryTime::Range { start, end, step }, &options) else {
        return Ok(false);
    };
    let QueryValue::Matrix(matrix) = result.value else { return Ok(false) };
    for at in (start..=end).step_by(usize::try_from(step).expect("a step")) {
        let Ok(instant) = store.query(query, QueryTime::Instant(at), &options) else { return Ok(false) };
        let expected = labelled(instant.value);
        let got: BTreeMap<String, Point> = matrix
            .iter()
            .filter_map(|series| {
                let (_, point) = compare::points_of(series).into_iter().find(|(time, _)| *time == at)?;
                Some((series.labels.to_string(), point))
            })
            .collect();
        let same = got.len() == expected.len()
            && got.iter().zip(&expected).all(|(a, b)| a.0 == b.0 && compare::same_point(a.1, b.1));
        if !same {
            return Err(format!("at {at}: {got:?} in the range, {expected:?} alone"));
        }
    }
    Ok(true)
}

#[test]
fn a_range_query_gives_at_each_step_what_an_instant_query_gives() {
    let (mut compared, mut wrong) = (0, Vec::new());
    for file in FILES {
        let Some(commands) = fixture(&format!("promqltest/{file}.test.json")) else { return };
        let mut store = Store::default();
        for command in json::list(&commands) {
            match command["cmd"].as_str() {
                Some("clear") => store = Store::default(),
                Some("load") => store.load(&command["stored"]),
                _ => {
                    let query = command["expr"].as_str().expect("an expression");
                    let at =
                        command["at_ms"].as_i64().or_else(|| command["start_ms"].as_i64()).expect("a time");
                    if EXCLUDED.iter().any(|excluded| query.contains(excluded)) {
                        continue;
                    }
                    match range_equals_instants(&store, query, at - 90_000, 30_000) {
                        Ok(true) => compared += 1,
                        Ok(false) => {}
                        Err(error) => wrong.push(format!("{file}:{}: {query}: {error}", command["line"])),
                    }
                }
            }
        }
    }
    for wrong in &wrong {
        println!("{wrong}");
    }
    println!("{compared} compared");
    assert!(wrong.is_empty(), "{} differ", wrong.len());
    assert!(compared > 1_000, "only {compared} compared");
}

#[test]
fn no_query_that_parses_makes_the_engine_panic() {
    let Some(golden) = fixture("parser/parse_fuzz_golden.json") else { return };
    let Some(commands) = fixture("promqltest/functions.test.json") else { return };
    let mut store = Store::default();
    for command in json::list(&commands).iter().filter(|command| command["cmd"] == "load").take(30) {
        store.load(&command["stored"]);
    }
    let cases = golden.as_array().or_else(|| golden["cases"].as_array()).expect("cases");
    let times = [
        QueryTime::Instant(3_000_000),
        QueryTime::Instant(i64::MAX),
        QueryTime::Range { start: 0, end: 3_000_000, step: 77_000 },
        QueryTime::Range { start: i64::MIN, end: i64::MAX, step: i64::MAX / 3 },
    ];
    let mut evaluated = 0;
    for case in cases {
        let Some(query) = case["input"].as_str() else { continue };
        for time in times {
            for delayed_name_removal in [false, true] {
                let mut options = suite_options();
                options.features.delayed_name_removal = delayed_name_removal;
                // Few samples, so that mutated ranges do not take minutes.
                options.samples_max = 200_000;
                let Ok(plan) = Plan::new(query, time, &options) else { continue };
                let sets = plan.selects().iter().map(|select| store.select(select)).collect();
                let _ = plan.evaluate(sets, &promql::Never);
                evaluated += 1;
            }
        }
    }
    println!("{evaluated} evaluated");
    assert!(evaluated > 5_000, "only {evaluated} evaluated");
}
