//! Requests as a sender makes them, for tests: of this crate, and of what receives them.

use std::collections::BTreeMap;

use model::histogram::{CounterResetHint, FloatHistogram, Span};
use model::metadata::MetricType;
use model::{Exemplar, Metadata, TimestampMs};

use crate::request::{Sample, WriteRequest};

/// A message of version 1.0, not compressed.
#[must_use]
pub fn encode_v1(request: &WriteRequest) -> Vec<u8> {
    let mut out = Vec::new();
    for series in &request.series {
        message(&mut out, 1, |out| {
            for (name, value) in &series.labels {
                label(out, 1, name, value);
            }
            for value in &series.samples {
                message(out, 2, |out| sample(out, value));
            }
            for exemplar in &series.exemplars {
                message(out, 3, |out| {
                    for (name, value) in &exemplar.labels {
                        label(out, 1, name, value);
                    }
                    value_and_time(out, exemplar);
                });
            }
            for (timestamp, value) in &series.histograms {
                message(out, 4, |out| float_histogram(out, *timestamp, value));
            }
        });
    }
    for metadata in &request.metadata {
        message(&mut out, 3, |out| {
            int(out, 1, type_number(metadata.kind));
            bytes(out, 2, metadata.metric_family.as_bytes());
            bytes(out, 4, metadata.help.as_bytes());
            bytes(out, 5, metadata.unit.as_bytes());
        });
    }
    out
}

/// A message of version 2.0, not compressed. Metadata goes with the series of the family's own name.
#[must_use]
pub fn encode_v2(request: &WriteRequest) -> Vec<u8> {
    let mut symbols = Symbols::default();
    symbols.of("");
    let mut body = Vec::new();
    for series in &request.series {
        message(&mut body, 5, |out| {
            refs(out, &mut symbols, series.labels.iter());
            for value in &series.samples {
                message(out, 2, |out| sample(out, value));
            }
            for (timestamp, value) in &series.histograms {
                message(out, 3, |out| float_histogram(out, *timestamp, value));
            }
            for exemplar in &series.exemplars {
                message(out, 4, |out| {
                    refs(out, &mut symbols, exemplar.labels.iter());
                    value_and_time(out, exemplar);
                });
            }
            let said = |metadata: &&Metadata| metadata.metric_family == series.labels.metric_name();
            if let Some(metadata) = request.metadata.iter().find(said) {
                let (help, unit) = (symbols.of(&metadata.help), symbols.of(&metadata.unit));
                message(out, 5, |out| {
                    int(out, 1, type_number(metadata.kind));
                    int(out, 3, u64::from(help));
                    int(out, 4, u64::from(unit));
                });
            }
        });
    }
    let mut out = Vec::new();
    for text in &symbols.texts {
        bytes(&mut out, 4, text.as_bytes());
    }
    out.extend_from_slice(&body);
    out
}

/// A `Histogram` with integer counts, which an integer histogram has before it is converted; those of `value` must be
/// whole.
#[must_use]
pub fn encode_integer_histogram(timestamp: TimestampMs, value: &FloatHistogram) -> Vec<u8> {
    let mut out = Vec::new();
    int(&mut out, 1, value.count as u64);
    double(&mut out, 3, value.sum);
    int(&mut out, 4, u64::from(zigzag32(value.schema)));
    double(&mut out, 5, value.zero_threshold);
    int(&mut out, 6, value.zero_count as u64);
    spans(&mut out, 8, &value.negative_spans);
    deltas(&mut out, 9, &value.negative_buckets);
    spans(&mut out, 11, &value.positive_spans);
    deltas(&mut out, 12, &value.positive_buckets);
    int(&mut out, 14, hint_number(value.counter_reset_hint));
    int(&mut out, 15, timestamp.cast_unsigned());
    doubles(&mut out, 16, &value.custom_values);
    out
}

/// A version 1.0 `WriteRequest` of one series with histograms that are encoded already.
#[must_use]
pub fn encode_v1_histograms(labels: &model::Labels, histograms: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, 1, |out| {
        for (name, value) in labels {
            label(out, 1, name, value);
        }
        for histogram in histograms {
            bytes(out, 4, histogram);
        }
    });
    out
}

/// As a body is sent.
#[must_use]
pub fn compress(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).unwrap_or_default()
}

#[derive(Default)]
struct Symbols {
    texts: Vec<String>,
    places: BTreeMap<String, u32>,
}

impl Symbols {
    fn of(&mut self, text: &str) -> u32 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }
}

fn refs<'a>(out: &mut Vec<u8>, symbols: &mut Symbols, labels: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut packed = Vec::new();
    for (name, value) in labels {
        varint(&mut packed, u64::from(symbols.of(name)));
        varint(&mut packed, u64::from(symbols.of(value)));
    }
    bytes(out, 1, &packed);
}

fn sample(out: &mut Vec<u8>, sample: &Sample) {
    double(out, 1, sample.value);
    int(out, 2, sample.timestamp.cast_unsigned());
}

fn value_and_time(out: &mut Vec<u8>, exemplar: &Exemplar) {
    double(out, 2, exemplar.value);
    int(out, 3, exemplar.timestamp.cast_unsigned());
}

fn float_histogram(out: &mut Vec<u8>, timestamp: TimestampMs, value: &FloatHistogram) {
    // Written also where it is 0: it says that this is a float histogram.
    out.push(2 << 3 | 1);
    out.extend_from_slice(&value.count.to_le_bytes());
    double(out, 3, value.sum);
    int(out, 4, u64::from(zigzag32(value.schema)));
    double(out, 5, value.zero_threshold);
    double(out, 7, value.zero_count);
    spans(out, 8, &value.negative_spans);
    doubles(out, 10, &value.negative_buckets);
    spans(out, 11, &value.positive_spans);
    doubles(out, 13, &value.positive_buckets);
    int(out, 14, hint_number(value.counter_reset_hint));
    int(out, 15, timestamp.cast_unsigned());
    doubles(out, 16, &value.custom_values);
}

fn spans(out: &mut Vec<u8>, number: u32, spans: &[Span]) {
    for span in spans {
        message(out, number, |out| {
            int(out, 1, u64::from(zigzag32(span.offset)));
            int(out, 2, u64::from(span.length));
        });
    }
}

fn deltas(out: &mut Vec<u8>, number: u32, counts: &[f64]) {
    let mut packed = Vec::new();
    let mut before = 0i64;
    for count in counts {
        let count = *count as i64;
        let delta = count - before;
        varint(&mut packed, ((delta << 1) ^ (delta >> 63)).cast_unsigned());
        before = count;
    }
    if !packed.is_empty() {
        bytes(out, number, &packed);
    }
}

fn doubles(out: &mut Vec<u8>, number: u32, values: &[f64]) {
    if !values.is_empty() {
        let packed: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        bytes(out, number, &packed);
    }
}

fn hint_number(hint: CounterResetHint) -> u64 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::CounterReset => 1,
        CounterResetHint::NotCounterReset => 2,
        CounterResetHint::Gauge => 3,
    }
}

fn type_number(kind: MetricType) -> u64 {
    match kind {
        MetricType::Unknown => 0,
        MetricType::Counter => 1,
        MetricType::Gauge => 2,
        MetricType::Histogram => 3,
        MetricType::GaugeHistogram => 4,
        MetricType::Summary => 5,
        MetricType::Info => 6,
        MetricType::StateSet => 7,
    }
}

fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)).cast_unsigned()
}

fn label(out: &mut Vec<u8>, number: u32, name: &str, value: &str) {
    message(out, number, |out| {
        bytes(out, 1, name.as_bytes());
        bytes(out, 2, value.as_bytes());
    });
}

fn message(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    bytes(out, number, &inner);
}

fn bytes(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    varint(out, u64::from(number) << 3 | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// Zeros are left out, as protobuf does.
fn int(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        varint(out, u64::from(number) << 3);
        varint(out, value);
    }
}

fn double(out: &mut Vec<u8>, number: u32, value: f64) {
    if value.to_bits() != 0 {
        varint(out, u64::from(number) << 3 | 1);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
