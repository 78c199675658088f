//! Results against expectations, with the suite's tolerance.

use std::sync::Arc;

use model::{FloatHistogram, Labels};
use promql::{MatrixSeries, QueryValue, VectorSample};
use regex::Regex;
use serde_json::Value;

use super::json::{self, Point};

/// The suite's relative tolerance.
const EPSILON: f64 = 1e-6;

/// Whether two floats are equal to the suite. Source: `util/almost`.
pub(crate) fn almost_equal(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

/// Whether `value` is what the real engine gave (`actual.result`). The order of a vector counts where `ordered`.
pub(crate) fn same_as_actual(value: &QueryValue, actual: &Value, ordered: bool) -> Result<(), String> {
    match (actual["type"].as_str().expect("a type"), value) {
        ("scalar", QueryValue::Scalar { value, timestamp }) => {
            equal_floats("scalar", json::float(&actual["v"]), *value)?;
            (*timestamp == json::time(&actual["t"]))
                .then_some(())
                .ok_or_else(|| format!("scalar at {timestamp}"))
        }
        ("string", QueryValue::String { value, .. }) => {
            let text = actual["v"].as_str().expect("a text");
            (value == text.as_bytes()).then_some(()).ok_or_else(|| format!("string {value:?}"))
        }
        ("vector", QueryValue::Vector(samples)) => {
            let expected = json::list(&actual["samples"]).iter();
            let expected = expected.map(|sample| {
                let value = sample.get("h").unwrap_or(&sample["v"]);
                (json::labels(&sample["metric"]), json::time(&sample["t"]), json::point(value))
            });
            same_samples(samples, expected.collect(), ordered)
        }
        ("matrix", QueryValue::Matrix(series)) => {
            let expected = json::list(&actual["series"]).iter().map(|series| {
                let mut points = points(&series["floats"]);
                points.extend(self::points(&series["histograms"]));
                points.sort_by_key(|(time, _)| *time);
                (json::labels(&series["metric"]), points)
            });
            same_matrix(series, expected.collect())
        }
        (kind, value) => Err(format!("{value:?} instead of a {kind}")),
    }
}

fn same_samples(
    got: &[VectorSample],
    mut expected: Vec<(Labels, i64, Point)>,
    ordered: bool,
) -> Result<(), String> {
    let mut got: Vec<(Labels, i64, Point)> =
        got.iter().map(|sample| (sample.labels.clone(), sample.timestamp, value_of(sample))).collect();
    if !ordered {
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        got.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let same = got.len() == expected.len()
        && got.iter().zip(&expected).all(|(a, b)| a.0 == b.0 && a.1 == b.1 && same_point(&a.2, &b.2));
    if same { Ok(()) } else { Err(format!("vector\n    {got:?}\n  instead of\n    {expected:?}")) }
}

/// The value of a sample.
pub(crate) fn value_of(sample: &VectorSample) -> Point {
    match &sample.histogram {
        Some(histogram) => Point::Histogram(Arc::clone(histogram), true),
        None => Point::Float(sample.value),
    }
}

/// The samples of a series in order of time.
pub(crate) fn points_of(series: &MatrixSeries) -> Vec<(i64, Point)> {
    let floats = series.points.iter().map(|(time, value)| (*time, Point::Float(*value)));
    let histograms = series.histograms.iter();
    let histograms = histograms.map(|(time, value)| (*time, Point::Histogram(Arc::clone(value), true)));
    let mut points: Vec<(i64, Point)> = floats.chain(histograms).collect();
    points.sort_by_key(|(time, _)| *time);
    points
}

/// Whether two samples are equal to the suite.
pub(crate) fn same_point(got: &Point, expected: &Point) -> bool {
    match (got, expected) {
        (Point::Float(a), Point::Float(b)) => almost_equal(*a, *b),
        (Point::Histogram(a, _), Point::Histogram(b, hint)) => {
            let (mut a, mut b) = (FloatHistogram::clone(a), FloatHistogram::clone(b));
            a.compact(0);
            b.compact(0);
            let floats = |a: &[f64], b: &[f64]| {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| almost_equal(*a, *b))
            };
            (!*hint || a.counter_reset_hint == b.counter_reset_hint)
                && a.schema == b.schema
                && a.zero_threshold == b.zero_threshold
                && a.has_structure_of(&b)
                && floats(&[a.count, a.sum, a.zero_count], &[b.count, b.sum, b.zero_count])
                && floats(&a.positive_buckets, &b.positive_buckets)
                && floats(&a.negative_buckets, &b.negative_buckets)
        }
        _ => false,
    }
}

/// Whether a matrix has these series.
pub(crate) fn same_matrix(
    got: &[MatrixSeries],
    mut expected: Vec<(Labels, Vec<(i64, Point)>)>,
) -> Result<(), String> {
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    if !got.is_sorted_by(|a, b| a.labels <= b.labels) {
        return Err("the matrix is not sorted".to_owned());
    }
    let same_points = |a: &[(i64, Point)], b: &[(i64, Point)]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same_point(&a.1, &b.1))
    };
    let same = got.len() == expected.len()
        && got.iter().zip(&expected).all(|(a, b)| a.labels == b.0 && same_points(&points_of(a), &b.1));
    if same { Ok(()) } else { Err(format!("matrix\n    {got:?}\n  instead of\n    {expected:?}")) }
}

/// Points as `[[time, value], …]`.
pub(crate) fn points(value: &Value) -> Vec<(i64, Point)> {
    json::list(value).iter().map(|point| (json::time(&point[0]), json::point(&point[1]))).collect()
}

/// Whether a vector is what the test file lists.
pub(crate) fn same_as_listed(
    samples: &[(Labels, Point)],
    expected: &Value,
    ordered: bool,
) -> Result<(), String> {
    let mut expected: Vec<(Labels, Point)> = json::list(expected)
        .iter()
        .map(|series| (json::labels(&series["metric"]), json::point(&series["vals"][0])))
        .collect();
    let mut got = samples.to_vec();
    if !ordered {
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        got.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let same = |(a, b): (&(Labels, Point), &(Labels, Point))| a.0 == b.0 && same_point(&a.1, &b.1);
    if got.len() == expected.len() && got.iter().zip(&expected).all(same) {
        return Ok(());
    }
    Err(format!("vector\n    {got:?}\n  instead of\n    {expected:?}"))
}

/// Whether two floats are equal to the suite.
pub(crate) fn equal_floats(what: &str, expected: f64, got: f64) -> Result<(), String> {
    if almost_equal(expected, got) { Ok(()) } else { Err(format!("{what} {got} instead of {expected}")) }
}

/// Whether annotations of one kind are as expected: each expectation met, each annotation expected.
pub(crate) fn annotations(kind: &str, expect: &Value, got: &[String]) -> Result<(), String> {
    if expect.get(format!("no_{kind}")).is_some() && !got.is_empty() {
        return Err(format!("unexpected {kind}: {got:?}"));
    }
    let expected = json::list(&expect[kind]);
    if expected.is_empty() {
        return Ok(());
    }
    let all_met = expected.iter().all(|expected| got.iter().any(|text| matches(expected, text)));
    let all_expected = got.iter().all(|text| expected.iter().any(|expected| matches(expected, text)));
    if !got.is_empty() && all_met && all_expected {
        return Ok(());
    }
    Err(format!("{kind}: {got:?} instead of {expected:?}"))
}

/// Whether a text is as expected: `{"msg": text}` or `{"regex": pattern}`.
pub(crate) fn matches(expected: &Value, text: &str) -> bool {
    match (expected.get("msg"), expected.get("regex")) {
        (Some(message), _) => message.as_str() == Some(text),
        (_, Some(pattern)) => {
            Regex::new(pattern.as_str().expect("a pattern")).expect("a regex").is_match(text)
        }
        _ => true,
    }
}
