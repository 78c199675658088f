//! The tables of Prometheus's `model/histogram` tests.

use serde_json::Value;

use super::*;

fn float(value: &Value) -> f64 {
    match value {
        Value::String(text) => crate::number::parse_float(text).unwrap(),
        value => value.as_f64().unwrap(),
    }
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().map_or(Vec::new(), |values| values.iter().map(float).collect())
}

fn spans(value: &Value) -> Vec<Span> {
    let span = |span: &Value| Span {
        offset: span["Offset"].as_i64().unwrap() as i32,
        length: span["Length"].as_u64().unwrap() as u32,
    };
    value.as_array().map_or(Vec::new(), |spans| spans.iter().map(span).collect())
}

fn scalars(value: &Value) -> FloatHistogram {
    FloatHistogram {
        counter_reset_hint: match value["CounterResetHint"].as_i64().unwrap() {
            0 => CounterResetHint::Unknown,
            1 => CounterResetHint::CounterReset,
            2 => CounterResetHint::NotCounterReset,
            _ => CounterResetHint::Gauge,
        },
        schema: value["Schema"].as_i64().unwrap() as i32,
        zero_threshold: float(&value["ZeroThreshold"]),
        zero_count: float(&value["ZeroCount"]),
        count: float(&value["Count"]),
        sum: float(&value["Sum"]),
        positive_spans: spans(&value["PositiveSpans"]),
        negative_spans: spans(&value["NegativeSpans"]),
        positive_buckets: floats(&value["PositiveBuckets"]),
        negative_buckets: floats(&value["NegativeBuckets"]),
        custom_values: floats(&value["CustomValues"]),
    }
}

/// An integer histogram, whose buckets are differences.
fn integer(value: &Value) -> FloatHistogram {
    let mut histogram = scalars(value);
    for buckets in [&mut histogram.positive_buckets, &mut histogram.negative_buckets] {
        let mut count = 0.0;
        for bucket in buckets {
            count += *bucket;
            *bucket = count;
        }
    }
    histogram
}

fn table(path: &str, cases: usize) -> Vec<(String, Value)> {
    let Some(table) = fixtures::json(&format!("histogram/json/{path}.json")) else { return Vec::new() };
    let table: Vec<(String, Value)> = match table {
        Value::Object(table) => table.into_iter().collect(),
        Value::Array(table) => {
            let name = |case: &Value| case["name"].as_str().unwrap_or_default().to_owned();
            table.into_iter().map(|case| (name(&case), case)).collect()
        }
        _ => panic!("no table"),
    };
    assert_eq!(table.len(), cases, "{path}");
    table
}

/// Equal up to the last digits and to empty buckets.
fn same(got: &FloatHistogram, expected: &FloatHistogram) -> bool {
    let (mut got, mut expected) = (got.clone(), expected.clone());
    got.compact(0);
    expected.compact(0);
    let close = |a: &f64, b: &f64| {
        a == b || (a - b).abs() <= 1e-12 * a.abs().max(b.abs()) || a.is_nan() && b.is_nan()
    };
    let all_close = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b));
    got.counter_reset_hint == expected.counter_reset_hint
        && got.schema == expected.schema
        && got.has_structure_of(&expected)
        && close(&got.count, &expected.count)
        && close(&got.sum, &expected.sum)
        && close(&got.zero_count, &expected.zero_count)
        && got.zero_threshold == expected.zero_threshold
        && all_close(&got.positive_buckets, &expected.positive_buckets)
        && all_close(&got.negative_buckets, &expected.negative_buckets)
}

fn buckets(value: &Value) -> Vec<Bucket> {
    let bucket = |bucket: &Value| Bucket {
        lower: float(&bucket["Lower"]),
        upper: float(&bucket["Upper"]),
        lower_inclusive: bucket["LowerInclusive"].as_bool().unwrap(),
        upper_inclusive: bucket["UpperInclusive"].as_bool().unwrap(),
        count: float(&bucket["Count"]),
        index: bucket["Index"].as_i64().unwrap() as i32,
    };
    value.as_array().map_or(Vec::new(), |buckets| buckets.iter().map(bucket).collect())
}

fn check_combined(name: &str, case: &Value, got: Result<Combined, IncompatibleSchemas>) -> bool {
    match got {
        Err(error) => {
            assert_eq!(error.to_string(), case["expErrMsg"].as_str().unwrap(), "{name}");
            false
        }
        Ok(combined) => {
            assert_eq!(case["expErrMsg"].as_str(), Some(""), "{name}");
            assert_eq!(
                Some(combined.counter_reset_collision),
                case["expCounterResetCollision"].as_bool(),
                "{name}"
            );
            assert_eq!(Some(combined.bounds_reconciled), case["expNHCBBoundsReconciled"].as_bool(), "{name}");
            true
        }
    }
}

#[test]
fn sums_are_those_of_prometheus() {
    for (name, case) in table("float_histogram/TestFloatHistogramAdd_cases", 24) {
        let (first, second) = (scalars(&case["in1"]), scalars(&case["in2"]));
        for (a, b) in [(&first, &second), (&second, &first)] {
            let mut plain = a.clone();
            if check_combined(&name, &case, plain.add(b)) {
                assert!(
                    case["expected"].is_null() || same(&plain, &scalars(&case["expected"])),
                    "{name}: {plain:?}"
                );
            }
            let mut sum = HistogramSum::new(a);
            if check_combined(&name, &case, sum.add(b)) {
                let total = sum.total();
                let is = case["expected"].is_null() || same(&total, &scalars(&case["expected"]));
                assert!(is, "{name}, compensated: {total:?}");
            }
        }
    }
}

#[test]
fn differences_are_those_of_prometheus() {
    for (name, case) in table("float_histogram/TestFloatHistogramSub_cases", 6) {
        let (first, second) = (scalars(&case["in1"]), scalars(&case["in2"]));
        for (a, b, factor) in [(&first, &second, 1.0), (&second, &first, -1.0)] {
            let mut got = a.clone();
            let result = got.sub(b);
            if check_combined(&name, &case, result) && !case["expected"].is_null() {
                let mut expected = scalars(&case["expected"]);
                let hint = expected.counter_reset_hint;
                expected.mul(factor).counter_reset_hint = hint;
                assert!(same(&got, &expected), "{name}, times {factor}: {got:?}");
            }
        }
    }
}

#[test]
fn compensated_sums_that_are_under_way_go_on_as_in_prometheus() {
    for (name, case) in table("float_histogram/TestKahanAddWithCompHistogram_cases", 6) {
        let mut sum = match &case["comp"] {
            Value::Null => HistogramSum::new(&scalars(&case["in1"])),
            compensation => HistogramSum::with_compensation(&scalars(&case["in1"]), &scalars(compensation)),
        };
        if check_combined(&name, &case, sum.add(&scalars(&case["in2"]))) && !case["expectedSum"].is_null() {
            let total = sum.total();
            assert!(same(&total, &scalars(&case["expectedSum"])), "{name}: {total:?}");
        }
    }
}

#[test]
fn multiples_and_shares_are_those_of_prometheus() {
    for (name, case) in table("float_histogram/TestFloatHistogramMul_cases", 9) {
        let mut got = scalars(&case["in"]);
        got.mul(float(&case["scale"]));
        assert!(same(&got, &scalars(&case["expected"])), "{name}: {got:?}");
    }
    for (name, case) in table("float_histogram/TestFloatHistogramDiv_cases", 8) {
        let mut got = scalars(&case["fh"]);
        got.div(float(&case["s"]));
        assert!(same(&got, &scalars(&case["expected"])), "{name}: {got:?}");
    }
}

#[test]
fn spans_are_compacted_as_in_prometheus() {
    for (path, read) in [
        ("float_histogram/TestFloatHistogramCompact_cases", scalars as fn(&Value) -> FloatHistogram),
        ("histogram/TestHistogramCompact_cases", integer),
    ] {
        for (name, case) in table(path, 24) {
            let mut got = read(&case["in"]);
            got.compact(case["maxEmptyBuckets"].as_u64().unwrap() as usize);
            assert!(got.bit_eq(&read(&case["expected"])), "{name}: {got:?}");
        }
    }
}

#[test]
fn resets_are_found_where_prometheus_finds_them() {
    for (name, case) in table("float_histogram/TestFloatHistogramDetectReset_cases", 42) {
        let got = scalars(&case["current"]).detect_reset(&scalars(&case["previous"]));
        assert_eq!(Some(got), case["resetExpected"].as_bool(), "{name}");
    }
}

#[test]
fn the_resolution_is_reduced_as_in_prometheus() {
    for (path, read) in [
        ("float_histogram/TestFloatHistogramReduceResolution_tcs", scalars as fn(&Value) -> FloatHistogram),
        ("histogram/TestHistogramReduceResolution_tcs", integer),
    ] {
        for (name, case) in table(path, 4) {
            let mut got = read(&case["origin"]);
            if let Some(text) = case["errorMsg"].as_str().filter(|text| !text.is_empty()) {
                // What cannot be reduced never gets in.
                let error = got.validate().expect_err(&name).to_string();
                assert_eq!(error.split(": ").last(), text.split(": ").last(), "{name}");
                continue;
            }
            got.reduce_to_schema(case["targetSchema"].as_i64().unwrap() as i32);
            assert!(got.bit_eq(&read(&case["target"])), "{name}: {got:?}");
        }
    }
    for (path, deltas) in [
        ("generic/TestReduceResolutionFloatHistogram_cases", false),
        ("generic/TestReduceResolutionHistogram_cases", true),
    ] {
        for (name, case) in table(path, 1) {
            let side = |spans: &Value, buckets: &Value, schema: &Value| {
                let value = serde_json::json!({
                    "CounterResetHint": 0, "Schema": schema, "ZeroThreshold": 0, "ZeroCount": 0, "Count": 0, "Sum": 0,
                    "PositiveSpans": spans, "PositiveBuckets": buckets,
                });
                if deltas { integer(&value) } else { scalars(&value) }
            };
            let mut got = side(&case["spans"], &case["buckets"], &case["schema"]);
            got.reduce_to_schema(case["targetSchema"].as_i64().unwrap() as i32);
            let expected = side(&case["expectedSpans"], &case["expectedBuckets"], &case["targetSchema"]);
            assert!(got.bit_eq(&expected), "{name}: {got:?}");
        }
    }
}

#[test]
fn buckets_come_in_order_with_their_bounds() {
    for (name, case) in table("float_histogram/TestFloatCustomBucketsIterators_cases", 2) {
        let histogram = scalars(&case["h"]);
        assert_eq!(histogram.positive().collect::<Vec<_>>(), buckets(&case["expPositiveBuckets"]), "{name}");
        assert_eq!(
            histogram.all_buckets().collect::<Vec<_>>(),
            buckets(&case["expPositiveBuckets"]),
            "{name}"
        );
    }
    for (name, case) in table("histogram/TestRegularBucketIterator_cases", 12) {
        let histogram = integer(&case["histogram"]);
        assert_eq!(
            histogram.positive().collect::<Vec<_>>(),
            buckets(&case["expectedPositiveBuckets"]),
            "{name}"
        );
        assert_eq!(
            histogram.negative().collect::<Vec<_>>(),
            buckets(&case["expectedNegativeBuckets"]),
            "{name}"
        );
    }
    for (name, case) in table("float_histogram/TestFloatBucketIteratorTargetSchema_cases", 6) {
        let mut histogram = scalars(&case["h"]);
        // The table's target for both of its schemas is one coarser than the origin or the same.
        let expected = buckets(&case["expPositiveBuckets"]);
        histogram.reduce_to_schema(-1);
        assert_eq!(histogram.positive().collect::<Vec<_>>(), expected, "{name}");
        assert_eq!(histogram.negative().collect::<Vec<_>>(), buckets(&case["expNegativeBuckets"]), "{name}");
    }
    for (path, cases, descending) in [
        ("float_histogram/TestAllFloatBucketIterator_cases", 7, false),
        ("float_histogram/TestAllReverseFloatBucketIterator_cases", 9, true),
    ] {
        for (name, case) in table(path, cases) {
            let mut histogram = scalars(&case["h"]);
            // Some have other numbers of buckets than their spans say, which what is read from outside never has.
            let length = |spans: &[Span]| spans.iter().map(|span| span.length as usize).sum();
            histogram.positive_buckets.resize(length(&histogram.positive_spans), 1.0);
            histogram.negative_buckets.resize(length(&histogram.negative_spans), 1.0);
            let clipped = |mut bucket: Bucket| {
                let zero = histogram.zero_threshold;
                if bucket.lower > 0.0 && bucket.lower < zero {
                    bucket.lower = zero;
                }
                if bucket.upper < 0.0 && bucket.upper > -zero {
                    bucket.upper = -zero;
                }
                bucket
            };
            let included = |what: &str| case[what].as_bool() == Some(true);
            let mut expected: Vec<Bucket> = Vec::new();
            if included("includeNeg") {
                expected.extend(histogram.negative().map(clipped));
                expected.reverse();
            }
            if included("includeZero") {
                expected.push(histogram.zero_bucket());
            }
            if included("includePos") {
                expected.extend(histogram.positive().map(clipped));
            }
            let mut got: Vec<Bucket> = if descending {
                histogram.all_buckets_descending().collect()
            } else {
                histogram.all_buckets().collect()
            };
            if descending {
                got.reverse();
            }
            assert_eq!(got, expected, "{name} {case}");
        }
    }
}

#[test]
fn bounds_and_shares_of_buckets_are_those_of_prometheus() {
    for (name, case) in table("generic/TestGetBoundExponential_scenarios", 15) {
        let (index, schema) = (case["idx"].as_i64().unwrap(), case["schema"].as_i64().unwrap() as i32);
        let want = float(&case["want"]);
        assert_eq!(bounds::exponential_bound(index, schema), want, "{name} {case}");
    }
    for (name, case) in table("generic/TestBucketFractionBelow_scenarios", 7) {
        let bucket = buckets(&Value::Array(vec![case["bucket"].clone()]));
        let got = bucket[0].fraction_below(float(&case["v"]), case["linear"].as_bool().unwrap());
        assert!((got - float(&case["want"])).abs() < 1e-12, "{name}");
    }
    for (name, case) in table("generic/TestCustomBucketBoundsMatch_tests", 8) {
        let with =
            |bounds: &Value| FloatHistogram { custom_values: floats(bounds), ..FloatHistogram::default() };
        let got = with(&case["c1"]).has_bounds_of(&with(&case["c2"]));
        assert_eq!(Some(got), case["want"].as_bool(), "{name}");
    }
}

#[test]
fn histograms_are_written_as_prometheus_writes_them() {
    for (name, case) in table("float_histogram/TestFloatHistogramString_cases", 2) {
        assert_eq!(scalars(&case["fh"]).to_string(), case["expected"].as_str().unwrap(), "{name}");
    }
    for (name, case) in table("histogram/TestHistogramString_cases", 4) {
        assert_eq!(
            integer(&case["histogram"]).to_string(),
            case["expectedString"].as_str().unwrap(),
            "{name}"
        );
    }
}

#[test]
fn what_is_no_histogram_is_refused_in_prometheus_words() {
    let mut checked = 0;
    for (name, case) in table("histogram/TestHistogramValidation_tests", 28) {
        // Whether counts add up is looked at in integer histograms alone, where they are read.
        if case["errMsg"].as_str().unwrap().contains("observations found in buckets") {
            continue;
        }
        let error = integer(&case["h"]).validate().err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(error, case["errMsg"].as_str().unwrap(), "{name}");
        checked += 1;
    }
    for (name, case) in table("float_histogram/TestFloatHistogramValidateNegativeHistogram_cases", 4) {
        assert!(scalars(&case["fh"]).validate().is_err(), "{name}");
        checked += 1;
    }
    assert!([0, 29].contains(&checked), "{checked}");
}

#[test]
fn sums_with_what_is_no_number_are_those_of_prometheus() {
    let Some(table) = fixtures::json("promql/json/engine/kahan_sum_inc.json") else { return };
    let cases = table["cases"].as_object().unwrap();
    assert_eq!(cases.len(), 6);
    for (name, case) in cases {
        // Prometheus tests both orders.
        for (first, second) in [("first", "second"), ("second", "first")] {
            let sum = Kahan::from(0.0).plus_value(float(&case[first])).plus_value(float(&case[second]));
            let (got, expected) = (sum.total(), float(&case["expected"]));
            assert!(got == expected || got.is_nan() && expected.is_nan(), "{name}: {got}");
        }
    }
}
