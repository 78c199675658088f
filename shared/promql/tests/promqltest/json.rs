//! Values as the fixtures write them.

use model::Labels;
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

/// A float, or nothing where it is a native histogram.
pub(crate) fn point(value: &Value) -> Option<f64> {
    (!value.is_object()).then(|| float(value))
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
