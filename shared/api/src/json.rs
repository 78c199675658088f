//! Query results as JSON, written straight into one buffer: a result can have millions of samples.

use std::fmt::Write;

use model::histogram::Bucket;
use model::{FloatHistogram, Labels, TimestampMs, number};
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
    match &sample.histogram {
        Some(value) => {
            out.push_str(r#","histogram":"#);
            histogram_point(out, sample.timestamp, value);
        }
        None => {
            out.push_str(r#","value":"#);
            point(out, sample.timestamp, sample.value);
        }
    }
    out.push('}');
}

fn matrix_series(out: &mut String, series: &MatrixSeries) {
    out.push_str(r#"{"metric":"#);
    labels(out, &series.labels);
    if !series.points.is_empty() {
        out.push_str(r#","values":"#);
        array(out, &series.points, |out, (timestamp, value)| point(out, *timestamp, *value));
    }
    if !series.histograms.is_empty() {
        out.push_str(r#","histograms":"#);
        array(out, &series.histograms, |out, (timestamp, value)| histogram_point(out, *timestamp, value));
    }
    out.push('}');
}

/// `[timestamp,{"count":"…","sum":"…","buckets":[[boundaries,"lower","upper","count"],…]}]`: the populated buckets,
/// ascending, each with which of its bounds belong to it. Source: `MarshalHistogram` of `util/jsonutil`.
fn histogram_point(out: &mut String, timestamp: TimestampMs, histogram: &FloatHistogram) {
    out.push('[');
    seconds(out, timestamp);
    let (count, sum) = (number::format_api(histogram.count), number::format_api(histogram.sum));
    let _ = write!(out, r#",{{"count":"{count}","sum":"{sum}""#);
    let buckets: Vec<Bucket> = histogram.all_buckets().filter(|bucket| bucket.count != 0.0).collect();
    if !buckets.is_empty() {
        out.push_str(r#","buckets":"#);
        array(out, &buckets, |out, bucket| {
            let boundaries = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => 0,
                (true, false) => 1,
                (false, false) => 2,
                (true, true) => 3,
            };
            let [lower, upper, count] = [bucket.lower, bucket.upper, bucket.count].map(number::format_api);
            let _ = write!(out, r#"[{boundaries},"{lower}","{upper}","{count}"]"#);
        });
    }
    out.push_str("}]");
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
        let labels = Labels::from_pairs([("__name__", "up"), ("path", "a\"b\\\n\u{1}é")]);
        let sample = VectorSample::float(labels, 1_435_781_430_070, f64::INFINITY);
        let value = QueryValue::Vector(vec![sample]);
        let expected = r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","path":"a\"b\\\n\u0001é"},"value":[1435781430.070,"+Inf"]}]}"#;
        assert_eq!(query_data(&value), expected);
    }

    #[test]
    fn a_histogram_is_encoded_as_prometheus_does() {
        let span = |offset, length| model::Span { offset, length };
        let histogram = std::sync::Arc::new(FloatHistogram {
            schema: 2,
            zero_threshold: 0.001,
            zero_count: 12.0,
            count: 10.0,
            sum: 20.0,
            positive_spans: vec![span(3, 2), span(1, 3)],
            negative_spans: vec![span(2, 2)],
            positive_buckets: vec![1.0, 2.0, 2.0, 1.0, 1.0],
            negative_buckets: vec![2.0, 1.0],
            ..FloatHistogram::default()
        });
        let Some(cases) = fixtures::json("web/json/json_codec.json") else { return };
        let cases = cases.as_array().or_else(|| cases["cases"].as_array()).unwrap();
        let expected = cases.iter().filter_map(|case| case["expected"].as_str());
        let expected = expected.filter(|expected| expected.contains("histograms")).collect::<Vec<_>>();
        assert_eq!(expected.len(), 1);
        let labels = Labels::from_pairs([("__name__", "foo")]);
        let series = MatrixSeries { labels, points: Vec::new(), histograms: vec![(1000, histogram)] };
        let data = query_data(&QueryValue::Matrix(vec![series]));
        assert_eq!(format!(r#"{{"status":"success","data":{data}}}"#), expected[0]);
    }

    #[test]
    fn instants_before_the_epoch_keep_their_sign() {
        let mut out = String::new();
        seconds(&mut out, -1_001);
        assert_eq!(out, "-1.001");
    }
}
