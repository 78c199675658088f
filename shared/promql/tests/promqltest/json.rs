//! Values as the fixtures write them.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, Labels, Span};
use serde_json::Value;

/// A float: a number, or `"NaN"`, `"+Inf"`, `"-Inf"`, `"-0"`, `"stale"`.
pub(crate) fn float(value: &Value) -> f64 {
    match value {
        Value::String(text) => match text.as_str() {
            "stale" => model::value::stale_nan(),
            "-0" => -0.0,
            text => model::number::parse_float(text).expect("a float"),
        },
        value => value.as_f64().expect("a number"),
    }
}

/// A sample's value.
#[derive(Clone, Debug)]
pub(crate) enum Point {
    /// A float.
    Float(f64),
    /// A native histogram, and whether what is known of counter resets matters.
    Histogram(Arc<FloatHistogram>, bool),
}

/// A float, or a native histogram: `{"schema": …}` or `{"hist": {…}, "hint_set": …}`.
pub(crate) fn point(value: &Value) -> Point {
    if !value.is_object() {
        return Point::Float(float(value));
    }
    match value.get("hist") {
        Some(inner) => Point::Histogram(Arc::new(histogram(inner)), value["hint_set"] == Value::Bool(true)),
        None => Point::Histogram(Arc::new(histogram(value)), true),
    }
}

fn histogram(value: &Value) -> FloatHistogram {
    let floats = |name: &str| list(&value[name]).iter().map(float).collect();
    let spans = |name: &str| {
        let span = |span: &Value| Span { offset: time(&span[0]) as i32, length: time(&span[1]) as u32 };
        list(&value[name]).iter().map(span).collect()
    };
    FloatHistogram {
        counter_reset_hint: match value["hint"].as_str().expect("a hint") {
            "unknown" => CounterResetHint::Unknown,
            "reset" => CounterResetHint::CounterReset,
            "not_reset" => CounterResetHint::NotCounterReset,
            "gauge" => CounterResetHint::Gauge,
            hint => panic!("hint {hint}"),
        },
        schema: time(&value["schema"]) as i32,
        zero_threshold: float(&value["zero_threshold"]),
        zero_count: float(&value["zero_count"]),
        count: float(&value["count"]),
        sum: float(&value["sum"]),
        positive_spans: spans("pos_spans"),
        negative_spans: spans("neg_spans"),
        positive_buckets: floats("pos_buckets"),
        negative_buckets: floats("neg_buckets"),
        custom_values: floats("custom_values"),
    }
}

/// Labels.
pub(crate) fn labels(value: &Value) -> Labels {
    let labels = value.as_object().expect("labels");
    Labels::from_pairs(
        labels.iter().map(|(name, value)| (name.as_str(), value.as_str().expect("a label value"))),
    )
}

/// A list, empty where absent.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Texts in order.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    let mut texts: Vec<String> =
        list(value).iter().map(|text| text.as_str().expect("a text").to_owned()).collect();
    texts.sort();
    texts
}

/// Milliseconds.
pub(crate) fn time(value: &Value) -> i64 {
    value.as_i64().expect("a time")
}
