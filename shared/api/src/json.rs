//! Query results as JSON, written straight into one buffer: a result can have millions of samples.

use std::fmt::Write;

use model::{Labels, TimestampMs, number};
use promql::{MatrixSeries, QueryValue, VectorSample};

/// `{"resultType":…,"result":…}`
pub(crate) fn query_data(value: &QueryValue) -> String {
    let mut out = String::with_capacity(1 << 10);
    match value {
        QueryValue::Scalar { timestamp, value } => {
            out.push_str(r#"{"resultType":"scalar","result":"#);
            point(&mut out, *timestamp, *value);
        }
        QueryValue::String { timestamp, value } => {
            out.push_str(r#"{"resultType":"string","result":["#);
            seconds(&mut out, *timestamp);
            out.push(',');
            string(&mut out, &String::from_utf8_lossy(value));
            out.push(']');
        }
        QueryValue::Vector(samples) => {
            out.push_str(r#"{"resultType":"vector","result":"#);
            array(&mut out, samples, vector_sample);
        }
        QueryValue::Matrix(series) => {
            out.push_str(r#"{"resultType":"matrix","result":"#);
            array(&mut out, series, matrix_series);
        }
    }
    out.push('}');
    out
}

/// `{"name":"value",…}`
pub(crate) fn labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        string(out, name);
        out.push(':');
        string(out, value);
    }
    out.push('}');
}

/// A JSON string.
pub(crate) fn string(out: &mut String, text: &str) {
    out.push('"');
    let mut clean_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[clean_from..at]);
        clean_from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
    }
    out.push_str(&text[clean_from..]);
    out.push('"');
}

/// `[item,…]`
pub(crate) fn array<T>(out: &mut String, items: &[T], mut item: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (index, value) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        item(out, value);
    }
    out.push(']');
}

fn vector_sample(out: &mut String, sample: &VectorSample) {
    out.push_str(r#"{"metric":"#);
    labels(out, &sample.labels);
    out.push_str(r#","value":"#);
    point(out, sample.timestamp, sample.value);
    out.push('}');
}

fn matrix_series(out: &mut String, series: &MatrixSeries) {
    out.push_str(r#"{"metric":"#);
    labels(out, &series.labels);
    out.push_str(r#","values":"#);
    array(out, &series.points, |out, (timestamp, value)| point(out, *timestamp, *value));
    out.push('}');
}

fn point(out: &mut String, timestamp: TimestampMs, value: f64) {
    out.push('[');
    seconds(out, timestamp);
    out.push_str(",\"");
    out.push_str(&number::format_api(value));
    out.push_str("\"]");
}

/// Milliseconds as seconds: whole, or with three decimals. Source: `MarshalTimestamp` of `util/jsonutil`.
pub(crate) fn seconds(out: &mut String, timestamp: TimestampMs) {
    if timestamp < 0 {
        out.push('-');
    }
    let ms = timestamp.unsigned_abs();
    let _ = write!(out, "{}", ms / 1000);
    if !ms.is_multiple_of(1000) {
        let _ = write!(out, ".{:03}", ms % 1000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_encoded_as_prometheus_does() {
        let value = QueryValue::Vector(vec![VectorSample {
            labels: Labels::from_pairs([("__name__", "up"), ("path", "a\"b\\\n\u{1}é")]),
            timestamp: 1_435_781_430_070,
            value: f64::INFINITY,
        }]);
        let expected = r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","path":"a\"b\\\n\u0001é"},"value":[1435781430.070,"+Inf"]}]}"#;
        assert_eq!(query_data(&value), expected);
    }

    #[test]
    fn instants_before_the_epoch_keep_their_sign() {
        let mut out = String::new();
        seconds(&mut out, -1_001);
        assert_eq!(out, "-1.001");
    }
}
