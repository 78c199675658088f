//! The tables of `promql/engine_test.go`. Not run are `opts_validation`, for `@` and negative offsets cannot be switched
//! off here, and `bucket_quantile`, whose input is Go code.

#![allow(clippy::panic, clippy::print_stdout, reason = "these are tests, although not each function is one")]

mod promqltest;

use model::{CounterResetHint, Labels};
use promql::{EngineOptions, Plan, QueryError, QueryTime, QueryValue};
use promqltest::json::Point;
use promqltest::load::{load, load_series};
use promqltest::store::Store;
use promqltest::{compare, fixture, json, suite_options};
use serde_json::Value;

fn store_of(script: &Value) -> Store {
    let mut store = Store::default();
    load(&mut store, script.as_str().expect("a script"));
    store
}

/// An instant of the first day of 1970 (`1970-01-01T00:14:59.999Z`) in ms; `None` for Go's zero time.
fn instant(value: &Value) -> Option<i64> {
    let clock = value.as_str().expect("a time").strip_prefix("1970-01-01T")?.strip_suffix('Z').expect("UTC");
    let mut fields = clock.split(':').map(|field| field.parse::<f64>().expect("a number"));
    let mut next = || fields.next().expect("a field");
    let seconds = next() * 3600.0 + next() * 60.0 + next();
    Some((seconds * 1000.0).round() as i64)
}

/// A duration as Go prints it (`1h40m0s`) in ms.
fn duration(value: &Value) -> i64 {
    let text = value.as_str().expect("a duration");
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let duration =
        if text == "0s" { 0 } else { model::duration::parse(text).expect("a duration").as_millis() };
    sign * i64::try_from(duration).expect("a short duration")
}

fn query_time(case: &Value) -> QueryTime {
    let start = instant(&case["Start"]).expect("a start");
    match instant(&case["End"]) {
        None => QueryTime::Instant(start),
        Some(end) => QueryTime::Range { start, end, step: duration(&case["Interval"]) },
    }
}

/// Whether a result is what a table lists: Go's `Vector` or `Matrix`.
fn same_as_table(got: &QueryValue, expected: &Value) -> Result<(), String> {
    let expected = json::list(expected);
    match got {
        QueryValue::Vector(samples) => {
            let same = samples.len() == expected.len()
                && samples.iter().zip(expected).all(|(got, expected)| {
                    let (time, value) = (json::time(&expected["T"]), json::float(&expected["F"]));
                    got.labels == json::labels(&expected["Metric"])
                        && got.timestamp == time
                        && got.value == value
                });
            if same { Ok(()) } else { Err(format!("{samples:?} instead of {expected:?}")) }
        }
        QueryValue::Matrix(series) => {
            let expected = expected.iter().map(|series| {
                let points = json::list(&series["Floats"]).iter();
                let points = points
                    .map(|point| (json::time(&point["T"]), Point::Float(json::float(&point["F"]))))
                    .collect();
                (json::labels(&series["Metric"]), points)
            });
            compare::same_matrix(series, expected.collect())
        }
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn selects_ask_for_exactly_what_prometheus_asks_for() {
    let Some(table) = fixture("engine/select_hints.json") else { return };
    let options = EngineOptions { lookback_delta_ms: 5_000, ..suite_options() };
    let cases = json::list(&table["cases"]);
    assert_eq!(cases.len(), 50);
    for case in cases {
        let query = case["query"].as_str().expect("a query");
        let (start, end) = (json::time(&case["start"]), json::time(&case["end"]));
        let time =
            if end == 0 { QueryTime::Instant(start) } else { QueryTime::Range { start, end, step: 1_000 } };
        let plan = Plan::new(query, time, &options).expect(query);
        let expected = json::list(&case["expected"]);
        assert_eq!(plan.selects().len(), expected.len(), "{query}");
        for (select, expected) in plan.selects().iter().zip(expected) {
            let grouping: Vec<&str> = select.hints.grouping.iter().map(String::as_str).collect();
            let expected_grouping: Vec<&str> =
                json::list(&expected["Grouping"]).iter().filter_map(Value::as_str).collect();
            assert_eq!(select.min_time, json::time(&expected["Start"]), "{query}");
            assert_eq!(select.max_time, json::time(&expected["End"]), "{query}");
            assert_eq!(select.hints.step_ms, json::time(&expected["Step"]), "{query}");
            assert_eq!(select.hints.range_ms, json::time(&expected["Range"]), "{query}");
            assert_eq!(select.hints.func, expected["Func"].as_str().expect("a function"), "{query}");
            assert_eq!(grouping, expected_grouping, "{query}");
            assert_eq!(select.hints.by, expected["By"].as_bool().expect("a flag"), "{query}");
        }
    }
}

#[test]
fn the_at_modifier_fixes_the_time() {
    let Some(table) = fixture("engine/at_modifier.json") else { return };
    let mut store = store_of(&table["load_script"]);
    let negative = Labels::from_pairs([("__name__", "metric_neg")]);
    for time in (-1_000_000..=0).step_by(1_000) {
        let value = if time == -1_000_000 { 1000.0 } else { -time as f64 / 1000.0 + 1.0 };
        store.add(&negative, time, value);
    }
    store.add(&Labels::from_pairs([("__name__", "metric_timestamp")]), 3_600_000, 1000.0);
    let cases = json::list(&table["cases"]);
    assert_eq!(cases.len(), 19);
    // This table was made with names removed at once.
    let mut options = suite_options();
    options.features.delayed_name_removal = false;
    for case in cases {
        let query = case["query"].as_str().expect("a query");
        let seconds = |name: &str| json::time(&case[name]) * 1000;
        let time = if seconds("interval") == 0 {
            QueryTime::Instant(seconds("start"))
        } else {
            QueryTime::Range { start: seconds("start"), end: seconds("end"), step: seconds("interval") }
        };
        let result = store.query(query, time, &options).expect(query);
        same_as_table(&result.value, &case["result"]).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}

#[test]
fn subqueries_are_evaluated_at_multiples_of_their_step() {
    let Some(table) = fixture("engine/subquery_selector.json") else { return };
    let mut count = 0;
    for group in json::list(&table["cases"]) {
        let store = store_of(&group["loadString"]);
        for case in json::list(&group["cases"]) {
            let query = case["Query"].as_str().expect("a query");
            let time = QueryTime::Instant(instant(&case["Start"]).expect("a start"));
            let result = store.query(query, time, &suite_options()).expect(query);
            same_as_table(&result.value, &case["Result"]["Value"])
                .unwrap_or_else(|error| panic!("{query}: {error}"));
            count += 1;
        }
    }
    assert_eq!(count, 21);
}

#[test]
fn anchored_and_smoothed_ranges_have_points_at_their_bounds() {
    let Some(table) = fixture("engine/extended_range_selectors.json") else { return };
    let store = store_of(&table["load_script"]);
    let cases = json::list(&table["cases"]);
    assert_eq!(cases.len(), 12);
    for case in cases {
        let query = case["query"].as_str().expect("a query");
        let time = QueryTime::Instant(instant(&case["t"]).expect("a time"));
        let result = store.query(query, time, &suite_options()).expect(query);
        same_as_table(&result.value, &case["expected"]).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}

#[test]
fn the_lookback_excludes_its_oldest_instant() {
    let Some(table) = fixture("engine/lookback_delta.json") else { return };
    let store = store_of(&table["load_script"]);
    let cases = json::list(&table["cases"]);
    assert_eq!(cases.len(), 7);
    for case in cases {
        // The query's lookback counts, else the engine's, else the default.
        let lookbacks = [&case["queryLookback"], &case["engineLookback"]].map(duration);
        let lookback_delta_ms = lookbacks.into_iter().find(|lookback| *lookback > 0).unwrap_or(300_000);
        let options = EngineOptions { lookback_delta_ms, ..suite_options() };
        let time = QueryTime::Instant(instant(&case["ts"]).expect("a time"));
        let QueryValue::Vector(samples) = store.query("metric", time, &options).expect("metric").value else {
            panic!("no vector")
        };
        assert_eq!(!samples.is_empty(), case["expectSamples"].as_bool().expect("a flag"), "{}", case["name"]);
    }
}

#[test]
fn rates_of_what_is_no_counter_are_remarked_on() {
    let Some(table) = fixture("engine/rate_annotations.json") else { return };
    let cases = table["cases"].as_object().expect("cases");
    let mut count = 0;
    for (name, case) in cases {
        let data = case["data"].as_str().expect("data");
        let mut options = suite_options();
        options.features.type_and_unit_labels = case["typeAndUnitLabelsEnabled"] == Value::Bool(true);
        let mut store = Store::default();
        load_series(&mut store, data.trim(), 60_000);
        let query = case["expr"].as_str().expect("a query");
        let result = store.query(query, QueryTime::Instant(60_000), &options).expect(query);
        assert_eq!(result.warnings, json::texts(&case["expectedWarningAnnotations"]), "{name}");
        assert_eq!(result.infos, json::texts(&case["expectedInfoAnnotations"]), "{name}");
        count += 1;
    }
    assert_eq!(count, 21);
}

#[test]
fn a_query_fails_with_one_sample_less_than_it_needs() {
    let Some(table) = fixture("engine/max_query_samples.json") else { return };
    let store = store_of(&table["load_script"]);
    let mut count = 0;
    for case in json::list(&table["cases"]) {
        let query = case["Query"].as_str().expect("a query");
        let samples_max = case["MaxSamples"].as_u64().expect("a limit");
        let run = |samples_max| {
            let options = EngineOptions { samples_max, ..suite_options() };
            store.query(query, query_time(case), &options)
        };
        assert!(run(samples_max).is_ok(), "{query} with {samples_max}");
        assert_eq!(run(samples_max - 1), Err(QueryError::TooManySamples), "{query}");
        count += 1;
    }
    assert_eq!(count, 18);
}

#[test]
fn samples_are_counted_as_prometheus_counts_them() {
    let Some(table) = fixture("engine/query_statistics.json") else { return };
    let store = store_of(&table["load_script"]);
    let mut count = 0;
    for case in json::list(&table["cases"]) {
        let query = case["Query"].as_str().expect("a query");
        if case["SkipMaxCheck"] == Value::Bool(true) {
            continue;
        }
        let peak = case["PeakSamples"].as_u64().expect("a peak");
        let run = |samples_max| {
            let options = EngineOptions { samples_max, ..suite_options() };
            store.query(query, query_time(case), &options).is_ok()
        };
        assert!(run(peak), "{query} with {peak}");
        assert!(!run(peak - 1), "{query} with less than {peak}");
        count += 1;
    }
    assert_eq!(count, 62);
}

#[test]
fn what_is_known_of_counter_resets_follows_operations() {
    let Some(table) = fixture("engine/counter_reset_hint.json") else { return };
    let store = store_of(&table["load_script"]);
    let cases = json::list(&table["cases"]);
    assert_eq!(cases.len(), 14);
    for case in cases {
        let query = case["query"].as_str().expect("a query");
        let time = QueryTime::Range { start: 0, end: 480_000, step: 120_000 };
        let QueryValue::Matrix(matrix) = store.query(query, time, &suite_options()).expect(query).value
        else {
            panic!("no matrix")
        };
        let [series] = matrix.as_slice() else { panic!("{query}: {matrix:?}") };
        assert!(series.points.is_empty() && series.histograms.len() >= 4, "{query}: {series:?}");
        // Of the first nothing is known, whatever it is made of.
        for (_, histogram) in series.histograms.iter().filter(|(time, _)| *time > 0) {
            let hint = match histogram.counter_reset_hint {
                CounterResetHint::Unknown => 0,
                CounterResetHint::CounterReset => 1,
                CounterResetHint::NotCounterReset => 2,
                CounterResetHint::Gauge => 3,
            };
            assert_eq!(hint, json::time(&case["want"]), "{query}");
        }
    }
}

/// A duration expression as Go's syntax tree has it, as text.
fn duration_text(expr: &Value) -> String {
    if let Some(value) = expr.get("Val") {
        let value = json::float(value);
        if value > 9e9 {
            // No literal may be that long.
            return format!("(1000000000 * {})", value / 1e9);
        }
        return if value < 0.0 { format!("({value})") } else { value.to_string() };
    }
    let side = |name: &str| duration_text(&expr[name]);
    match (expr["Op"].as_i64().expect("an operator"), expr["LHS"].is_null()) {
        (57439, _) => "step()".to_owned(),
        (57440, _) => "range()".to_owned(),
        (57441, _) => format!("max_of({}, {})", side("LHS"), side("RHS")),
        (57401, true) => format!("(-{})", side("RHS")),
        (op, _) => {
            let symbol = match op {
                57383 => "+",
                57401 => "-",
                57397 => "*",
                57384 => "/",
                57396 => "%",
                57400 => "^",
                op => panic!("operator {op}"),
            };
            format!("({} {symbol} {})", side("LHS"), side("RHS"))
        }
    }
}

#[test]
fn durations_are_computed_as_prometheus_does() {
    let Some(table) = fixture("engine/calculate_duration.json") else { return };
    let cases = json::list(&table["cases"]);
    assert_eq!(cases.len(), 20);
    for case in cases {
        let text = duration_text(&case["expr"]);
        let negative = case["allowedNegative"] == Value::Bool(true);
        let query = if negative { format!("foo offset ({text})") } else { format!("foo[({text})]") };
        let query = if negative { query } else { format!("count_over_time({query})") };
        // The table's step is a second, its range 5 minutes.
        let time = QueryTime::Range { start: 0, end: 300_000, step: 1_000 };
        let message = case["errorMessage"].as_str().expect("a message");
        match Plan::new(&query, time, &suite_options()) {
            Ok(plan) => {
                assert_eq!(message, "", "{query}");
                let expected = duration(&case["expected"]);
                let select = &plan.selects()[0];
                let got = if negative { 300_000 - select.max_time } else { 1 - select.min_time };
                assert_eq!(got, expected, "{query}");
            }
            Err(error) => {
                assert!(!message.is_empty() && error.to_string().contains(message), "{query}: {error}")
            }
        }
    }
}
