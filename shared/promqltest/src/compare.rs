//! Results and annotations against what is expected.

use model::{FloatHistogram, Labels, Span};
use promql::{QueryResult, QueryValue};

use crate::script::{Eval, Text};
use crate::series::Value;

/// How far floats may be apart, relative to their sizes.
const EPSILON: f64 = 1e-6;

/// Whether two floats are equal to a test. Source: `util/almost`.
pub(crate) fn almost_equal(a: f64, b: f64) -> bool {
    let (a_stale, b_stale) = (model::value::is_stale_nan(a), model::value::is_stale_nan(b));
    if a_stale || b_stale {
        return a_stale && b_stale;
    }
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

/// Whether annotations are as expected.
///
/// # Errors
/// How they are not.
pub(crate) fn annotations(eval: &Eval, result: &QueryResult) -> Result<(), String> {
    let expect = &eval.expect;
    for (kind, expected, none, got) in [
        ("warn", &expect.warn, expect.no_warn, &result.warnings),
        ("info", &expect.info, expect.no_info, &result.infos),
    ] {
        if none && !got.is_empty() {
            return Err(format!("expected no {kind} annotations, got {got:?}"));
        }
        if expected.is_empty() {
            continue;
        }
        if got.is_empty() {
            return Err(format!("expected {kind} annotations but none were found"));
        }
        if let Some(missing) = expected.iter().find(|expected| !got.iter().any(|text| expected.matches(text)))
        {
            return Err(format!("expected {kind} annotation {missing:?}, got {got:?}"));
        }
        let unexpected = |text: &&String| !expected.iter().any(|expected| expected.matches(text));
        if let Some(text) = got.iter().find(unexpected) {
            return Err(format!("unexpected {kind} annotation {text:?}"));
        }
    }
    Ok(())
}

/// Whether an error is the expected one.
///
/// # Errors
/// How it is not.
pub(crate) fn failure(expected: &Text, error: &str) -> Result<(), String> {
    if expected.matches(error) { Ok(()) } else { Err(format!("expected error {expected:?}, got {error:?}")) }
}

/// Whether a result is as expected.
///
/// # Errors
/// How it is not: expected and got.
pub(crate) fn result(eval: &Eval, value: &QueryValue) -> Result<(), String> {
    let expect = &eval.expect;
    match value {
        QueryValue::String { value, .. } => {
            let expected = expect.string.as_deref().unwrap_or_default();
            if value.as_slice() == expected {
                return Ok(());
            }
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Err(format!("expected string {:?}, got {:?}", text(expected), text(value)))
        }
        QueryValue::Scalar { value, .. } => match expect.scalar {
            Some(expected) if almost_equal(expected, *value) => Ok(()),
            Some(expected) => Err(format!("expected scalar {expected}, got {value}")),
            None => Err(format!("expected vector or matrix result, got scalar {value}")),
        },
        QueryValue::Vector(_) | QueryValue::Matrix(_) if expect.scalar.is_some() => {
            Err(format!("expected scalar result, got {}", show(value)))
        }
        QueryValue::Vector(samples) => {
            let got = samples.iter().map(|sample| {
                let value = match &sample.histogram {
                    Some(histogram) => Got::Histogram(histogram),
                    None => Got::Float(sample.value),
                };
                (&sample.labels, value)
            });
            vector(eval, &got.collect::<Vec<_>>(), expect.ordered)
        }
        QueryValue::Matrix(_) => matrix(eval, value),
    }
}

/// Whether what a range query gave at one of its instants is what the instant query was expected to give.
///
/// # Errors
/// How it is not.
pub(crate) fn at_instant(eval: &Eval, value: &QueryValue, at: i64) -> Result<(), String> {
    let QueryValue::Matrix(series) = value else { return Err("a range query gave no matrix".to_owned()) };
    sorted(value)?;
    let mut got = Vec::new();
    for series in series {
        let floats = series.points.iter().filter(|(time, _)| *time == at);
        got.extend(floats.map(|(_, value)| (&series.labels, Got::Float(*value))));
        let histograms = series.histograms.iter().filter(|(time, _)| *time == at);
        got.extend(histograms.map(|(_, histogram)| (&series.labels, Got::Histogram(histogram))));
    }
    match (eval.expect.scalar, got.as_slice()) {
        (Some(expected), [(_, Got::Float(value))]) if almost_equal(expected, *value) => Ok(()),
        (Some(expected), got) => Err(format!("expected scalar {expected}, got {} samples", got.len())),
        (None, got) => vector(eval, got, false),
    }
}

#[derive(Clone, Copy, Debug)]
enum Got<'a> {
    Float(f64),
    Histogram(&'a FloatHistogram),
}

impl Got<'_> {
    fn is(self, expected: &Value) -> bool {
        match (self, expected) {
            (Self::Float(got), Value::Float(expected)) => almost_equal(*expected, got),
            (Self::Histogram(got), Value::Histogram(expected, hint_set)) => {
                same_histogram(expected, got, *hint_set)
            }
            _ => false,
        }
    }

    fn show(self) -> String {
        match self {
            Self::Float(value) => model::number::format_g(value),
            Self::Histogram(histogram) => histogram.test_expression(),
        }
    }
}

fn vector(eval: &Eval, got: &[(&Labels, Got<'_>)], ordered: bool) -> Result<(), String> {
    let expected = &eval.expect.series;
    for (position, (labels, value)) in got.iter().enumerate() {
        let Some(at) = expected.iter().position(|(known, _)| known == *labels) else {
            return Err(format!("unexpected metric {labels} in result, has value {}", value.show()));
        };
        if ordered && at != position {
            return Err(format!(
                "expected metric {labels} at position {}, got it at {}",
                at + 1,
                position + 1
            ));
        }
        let first = expected.get(at).and_then(|(_, values)| values.first());
        if !first.is_some_and(|expected| value.is(expected)) {
            let expected = first.map_or_else(|| "nothing".to_owned(), show_expected);
            return Err(format!("expected {expected} for {labels}, got {}", value.show()));
        }
    }
    match expected.iter().find(|(known, _)| !got.iter().any(|(labels, _)| *labels == known)) {
        Some((missing, _)) => Err(format!("expected metric {missing} not found")),
        None => Ok(()),
    }
}

fn matrix(eval: &Eval, value: &QueryValue) -> Result<(), String> {
    let QueryValue::Matrix(got) = value else { return Ok(()) };
    if eval.expect.ordered {
        return Err("expected ordered result, but query returned a matrix".to_owned());
    }
    sorted(value)?;
    let (start, end, step) = match (eval.range_vector, eval.time) {
        (Some(range), _) => range,
        (None, promql::QueryTime::Range { start, end, step }) => (start, end, step),
        (None, promql::QueryTime::Instant(at)) => (at, at, 0),
    };
    for series in got {
        let labels = &series.labels;
        let Some((_, values)) = eval.expect.series.iter().find(|(known, _)| known == labels) else {
            return Err(format!("unexpected metric {labels} in result: {}", show(value)));
        };
        let (mut floats, mut histograms) = (series.points.iter(), series.histograms.iter());
        for (at, expected) in values.iter().enumerate() {
            let time = start.saturating_add(step.saturating_mul(i64::try_from(at).unwrap_or(i64::MAX)));
            if time > end {
                let count = values.len();
                return Err(format!(
                    "expected {count} points for {labels}, but query time range cannot return this many points"
                ));
            }
            let next = match expected {
                Value::Omitted => continue,
                Value::Float(_) => floats.next().map(|(time, value)| (*time, Got::Float(*value))),
                Value::Histogram(..) => histograms.next().map(|(time, value)| (*time, Got::Histogram(value))),
            };
            match next {
                Some((got_time, got)) if got_time == time && got.is(expected) => {}
                next => {
                    let expected = show_expected(expected);
                    let got = next
                        .map_or_else(|| "nothing".to_owned(), |(t, got)| format!("{} @[{t}]", got.show()));
                    return Err(format!("expected {expected} @[{time}] for {labels}, got {got}"));
                }
            }
        }
        let (floats, histograms) = (floats.count(), histograms.count());
        if floats + histograms > 0 {
            return Err(format!(
                "{floats} float and {histograms} histogram points more than expected for {labels}"
            ));
        }
    }
    match eval.expect.series.iter().find(|(known, _)| !got.iter().any(|series| series.labels == *known)) {
        Some((missing, _)) => Err(format!("expected metric {missing} not found")),
        None => Ok(()),
    }
}

fn sorted(value: &QueryValue) -> Result<(), String> {
    match value {
        QueryValue::Matrix(series) if !series.is_sorted_by(|a, b| a.labels <= b.labels) => {
            Err("the matrix is not sorted by labels".to_owned())
        }
        _ => Ok(()),
    }
}

fn same_histogram(expected: &FloatHistogram, got: &FloatHistogram, hint_set: bool) -> bool {
    let (mut a, mut b) = (expected.clone(), got.clone());
    a.compact(0);
    b.compact(0);
    let same_all =
        |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| almost_equal(*a, *b));
    a.schema == b.schema
        && almost_equal(a.count, b.count)
        && almost_equal(a.sum, b.sum)
        && a.zero_threshold == b.zero_threshold
        && almost_equal(a.zero_count, b.zero_count)
        && (!a.uses_custom_buckets() || a.custom_values == b.custom_values)
        && same_spans(&a.positive_spans, &b.positive_spans)
        && same_spans(&a.negative_spans, &b.negative_spans)
        && same_all(&a.positive_buckets, &b.positive_buckets)
        && same_all(&a.negative_buckets, &b.negative_buckets)
        && (!hint_set || a.counter_reset_hint == b.counter_reset_hint)
}

/// Whether spans describe the same layout.
fn same_spans(a: &[Span], b: &[Span]) -> bool {
    indexes(a).eq(indexes(b))
}

fn indexes(spans: &[Span]) -> impl Iterator<Item = i64> + '_ {
    let mut next = 0_i64;
    spans.iter().flat_map(move |span| {
        let first = next + i64::from(span.offset);
        next = first + i64::from(span.length);
        first..next
    })
}

fn show_expected(value: &Value) -> String {
    match value {
        Value::Omitted => "nothing".to_owned(),
        Value::Float(value) => model::number::format_g(*value),
        Value::Histogram(histogram, _) => histogram.test_expression(),
    }
}

fn show(value: &QueryValue) -> String {
    match value {
        QueryValue::Vector(samples) => format!("a vector of {} samples", samples.len()),
        QueryValue::Matrix(series) => format!("a matrix of {} series", series.len()),
        other => format!("{other:?}"),
    }
}
