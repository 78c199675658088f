//! Requests there and back, and bytes that are none.

use std::sync::Arc;

use model::histogram::{CounterResetHint, FloatHistogram, Span};
use model::metadata::MetricType;
use model::value::stale_nan;
use model::{Exemplar, Labels, Metadata};
use proptest::prelude::*;

use crate::testing::{compress, encode_integer_histogram, encode_v1, encode_v1_histograms, encode_v2};
use crate::{DecodeError, Limits, Malformed, Message, Sample, TimeSeries, WriteRequest, decode, decompress};

const FUTURE: i64 = 1_000_000;
/// All instants that the tests send.
const TIMES: &std::ops::RangeInclusive<i64> = &(i64::MIN..=FUTURE);

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

fn histogram() -> FloatHistogram {
    FloatHistogram {
        counter_reset_hint: CounterResetHint::NotCounterReset,
        schema: 3,
        zero_threshold: 1e-128,
        zero_count: 2.0,
        count: 11.0,
        sum: -4.25,
        positive_spans: vec![Span { offset: -7, length: 2 }, Span { offset: 3, length: 1 }],
        negative_spans: vec![Span { offset: 0, length: 1 }],
        positive_buckets: vec![1.0, 4.0, 2.0],
        negative_buckets: vec![2.0],
        custom_values: Vec::new(),
    }
}

fn request() -> WriteRequest {
    let exemplar = Exemplar { labels: labels(&[("trace_id", "ab")]), value: 0.5, timestamp: 12 };
    let samples = [(1, 1.5), (-5, f64::NEG_INFINITY), (3, stale_nan()), (3, -0.0)];
    WriteRequest {
        series: vec![
            TimeSeries {
                labels: labels(&[("__name__", "a_total"), ("job", "x"), ("ü", "☃")]),
                samples: samples.map(|(timestamp, value)| Sample { timestamp, value }).to_vec(),
                histograms: Vec::new(),
                exemplars: vec![exemplar],
            },
            TimeSeries {
                labels: labels(&[("__name__", "h")]),
                histograms: vec![(9, Arc::new(histogram())), (10, Arc::new(FloatHistogram::stale()))],
                ..TimeSeries::default()
            },
        ],
        metadata: vec![Metadata {
            metric_family: "a_total".to_owned(),
            kind: MetricType::Counter,
            help: "What is counted.".to_owned(),
            unit: "things".to_owned(),
        }],
        ..WriteRequest::default()
    }
}

fn v1(body: &[u8]) -> Result<WriteRequest, DecodeError> {
    decode(Message::V1, body, Limits::default(), TIMES)
}

fn v2(body: &[u8]) -> Result<WriteRequest, DecodeError> {
    decode(Message::V2, body, Limits::default(), TIMES)
}

/// The request's series alone, encoded as the repeated field `number` of an outer message by hand.
fn with_label_pairs(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let field = |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8], content].concat();
    let mut series = Vec::new();
    for (name, value) in pairs {
        series.extend(field(1, &[field(1, name), field(2, value)].concat()));
    }
    series.extend(field(2, &[1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 2 << 3, 5]));
    field(1, &series)
}

#[test]
fn what_was_sent_is_read_bit_for_bit() {
    assert_eq!(v1(&encode_v1(&request())), Ok(request()));
    assert_eq!(v2(&encode_v2(&request())), Ok(request()));
    let compressed = compress(&encode_v1(&request()));
    assert_eq!(v1(&decompress(&compressed, &Limits::default()).unwrap()), Ok(request()));
}

#[test]
fn integer_histograms_become_float_histograms() {
    let labels = labels(&[("__name__", "h")]);
    let sent =
        [encode_integer_histogram(7, &histogram()), encode_integer_histogram(8, &FloatHistogram::stale())];
    let read = v1(&encode_v1_histograms(&labels, &sent)).unwrap();
    assert_eq!(read.series[0].histograms[0], (7, Arc::new(histogram())));
    assert!(read.series[0].histograms[1].1.is_stale());

    let wrong = FloatHistogram { count: 12.0, ..histogram() };
    let read = v1(&encode_v1_histograms(&labels, &[encode_integer_histogram(7, &wrong)])).unwrap();
    let refused = read.refused.told().unwrap();
    assert!(
        refused.starts_with("11 observations found in buckets, but the Count field is 12: "),
        "{refused}"
    );
}

#[test]
fn what_is_told_of_very_long_labels_is_short() {
    let value = "ü".repeat(100_000);
    let series = TimeSeries {
        labels: labels(&[("__name__", "m"), ("long", &value)]),
        samples: vec![Sample { timestamp: FUTURE + 1, value: 1.0 }; 60],
        ..TimeSeries::default()
    };
    let request = WriteRequest { series: vec![series], ..WriteRequest::default() };
    for read in [v1(&encode_v1(&request)), v2(&encode_v2(&request))] {
        let told = read.unwrap().refused.told().unwrap();
        assert!(told.len() < 300_000, "{}", told.len());
        assert!(told.starts_with("out of bounds: ") && told.ends_with("...\nand 10 more"));
    }
}

#[test]
fn labels_may_come_in_any_order_and_empty_ones_are_none() {
    let body = with_label_pairs(&[(b"z", b"1"), (b"__name__", b"m"), (b"a", b"")]);
    let read = v1(&body).unwrap();
    assert_eq!(read.series[0].labels, labels(&[("__name__", "m"), ("z", "1")]));
    assert_eq!(read.series[0].samples, [Sample { timestamp: 5, value: 1.0 }]);
}

#[test]
fn version_1_leaves_out_series_with_invalid_labels_and_takes_the_rest() {
    for bad in [
        &[(&b"a"[..], &b"b"[..])][..],
        &[(b"__name__", b"m"), (b"", b"b")],
        &[(b"__name__", b"m"), (b"a", b"\xff")],
        &[(b"__name__", b"m"), (b"a", b"1"), (b"a", b"2")],
    ] {
        let body = [with_label_pairs(bad), with_label_pairs(&[(b"__name__", b"good")])].concat();
        let read = v1(&body).unwrap();
        assert_eq!(read.series.len(), 1, "{bad:?}");
        assert_eq!(read.refused.invalid_labels, 1, "{bad:?}");
        assert_eq!(read.refused.told(), None, "{bad:?}");
    }
}

#[test]
fn version_2_says_what_it_refuses_and_takes_the_rest() {
    let sample = vec![Sample { timestamp: 1, value: 1.0 }];
    let series = |pairs: &[(&str, &str)], samples: Vec<Sample>| TimeSeries {
        labels: labels(pairs),
        samples,
        ..TimeSeries::default()
    };
    let unsound = FloatHistogram { positive_buckets: vec![1.0], ..histogram() };
    let future = Sample { timestamp: FUTURE + 1, value: 1.0 };
    let request = WriteRequest {
        series: vec![
            series(&[("job", "nameless")], sample.clone()),
            series(&[("__name__", "empty")], Vec::new()),
            series(&[("__name__", "early")], vec![future]),
            TimeSeries {
                histograms: vec![(1, Arc::new(unsound))],
                ..series(&[("__name__", "unsound")], Vec::new())
            },
            series(&[("__name__", "good")], sample),
        ],
        ..WriteRequest::default()
    };
    let read = v2(&encode_v2(&request)).unwrap();
    assert_eq!(read.counts(), (1, 0, 0));
    assert_eq!(read.refused.invalid_labels, 1);
    let told = read.refused.told().unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        [
            r#"invalid metric name or labels, got {job="nameless"}"#,
            r#"TimeSeries must contain at least one sample or histogram for series {__name__="empty"}"#,
            r#"out of bounds: timestamp is too far in the future for series {__name__="early"}"#,
            "positive side: spans need 3 buckets, have 1 buckets: histogram spans specify different number of \
             buckets than provided for series {__name__=\"unsound\"}",
        ]
    );
}

#[test]
fn version_2_checks_references() {
    // One TimeSeries with labels_refs [0, 9] and no symbols but "".
    let body = [4 << 3 | 2, 0, 5 << 3 | 2, 4, 1 << 3 | 2, 2, 0, 9];
    let told = v2(&body).unwrap().refused.told().unwrap();
    assert!(told.contains("labelRefs 0 (value) = 9 outside of symbols table (size 1)"), "{told}");
    let odd = [4 << 3 | 2, 0, 5 << 3 | 2, 3, 1 << 3 | 2, 1, 0];
    let told = v2(&odd).unwrap().refused.told().unwrap();
    assert!(told.contains("invalid labelRefs length 1"), "{told}");
}

#[test]
fn samples_out_of_bounds_are_refused_and_the_rest_is_taken() {
    for (encode, message) in
        [(encode_v1 as fn(&WriteRequest) -> Vec<u8>, Message::V1), (encode_v2, Message::V2)]
    {
        let mut sent = request();
        sent.series[0].samples[0].timestamp = FUTURE + 1;
        let read = decode(message, &encode(&sent), Limits::default(), &(0..=FUTURE)).unwrap();
        let values: Vec<i64> = read.series[0].samples.iter().map(|sample| sample.timestamp).collect();
        assert_eq!(values, [3, 3]);
        let told = read.refused.told().unwrap();
        let series = &sent.series[0].labels;
        assert_eq!(
            told,
            format!(
                "out of bounds: timestamp is too far in the future for series {series}\n\
                 out of bounds: timestamp is older than the retention for series {series}"
            )
        );
    }
}

#[test]
fn exemplars_with_long_labels_are_dropped() {
    let mut long = request();
    long.series[0].exemplars[0].labels = labels(&[("trace_id", &"x".repeat(121))]);
    let read = v1(&encode_v1(&long)).unwrap();
    assert_eq!(read.series[0].exemplars, []);
    assert_eq!(read.series[0].samples.len(), 4);
}

#[test]
fn content_types_name_the_message() {
    for (text, message) in [
        ("", Message::V1),
        ("application/x-protobuf", Message::V1),
        ("application/x-protobuf;proto=prometheus.WriteRequest", Message::V1),
        ("application/x-protobuf; proto=io.prometheus.write.v2.Request", Message::V2),
        ("application/x-protobuf;a=b", Message::V1),
    ] {
        assert_eq!(Message::of(text), Ok(message), "{text}");
    }
    for (text, error) in [
        (
            "application/json",
            "expected application/x-protobuf as the first (media) part, got application/json content-type",
        ),
        (
            "application/x-protobuf;proto=other",
            "got application/x-protobuf;proto=other content type; unknown type for remote write protobuf message other, \
             supported: prometheus.WriteRequest, io.prometheus.write.v2.Request",
        ),
        (
            "application/x-protobuf;nonsense",
            "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, got nonsense \
             in application/x-protobuf;nonsense content-type",
        ),
    ] {
        assert_eq!(Message::of(text).unwrap_err().to_string(), error);
    }
}

#[test]
fn sizes_are_bounded_before_memory_is_taken() {
    let limits = Limits { decoded_bytes_max: 1000, ..Limits::default() };
    let bomb = compress(&vec![0; 100_000]);
    assert_eq!(decompress(&bomb, &limits), Err(DecodeError::DecodedSize(1000)));
    // A header that promises 4 GiB.
    assert!(decompress(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0], &Limits::default()).is_err());
    assert_eq!(decompress(b"not snappy", &Limits::default()), Err(DecodeError::Snappy));

    let few = Limits { samples_max: 3, ..Limits::default() };
    let error = decode(Message::V1, &encode_v1(&request()), few, TIMES).unwrap_err();
    assert_eq!(error.to_string(), "the request has more than 3 samples");
    let error =
        decode(Message::V2, &encode_v2(&request()), Limits { series_max: 1, ..Limits::default() }, TIMES);
    assert_eq!(error.unwrap_err().to_string(), "the request has more than 1 series");
    let error =
        decode(Message::V1, &encode_v1(&request()), Limits { buckets_max: 5, ..Limits::default() }, TIMES);
    assert_eq!(error.unwrap_err().to_string(), "the request has more than 5 histogram buckets");
}

/// A long symbol that every series uses would be a bomb of its own.
#[test]
fn symbols_that_are_used_again_and_again_are_counted_each_time() {
    let long = "x".repeat(10_000);
    let series = TimeSeries {
        labels: labels(&[("__name__", "m"), ("long", &long)]),
        samples: vec![Sample { timestamp: 1, value: 1.0 }],
        ..TimeSeries::default()
    };
    let request = WriteRequest { series: vec![series; 100], ..WriteRequest::default() };
    let body = encode_v2(&request);
    assert!(body.len() < 20_000);
    let limits = Limits { text_bytes_max: 500_000, ..Limits::default() };
    let error = decode(Message::V2, &body, limits, TIMES).unwrap_err();
    assert_eq!(error.to_string(), "the request has more than 500000 bytes of text");
}

#[test]
fn what_is_no_message_is_an_error() {
    assert_eq!(v1(&[0x0a]), Err(Malformed::Eof.into()));
    assert_eq!(v1(&[0x0a, 0x05, 0x00]), Err(Malformed::Eof.into()));
    assert_eq!(v1(&[0x00]), Err(Malformed::Tag(0).into()));
    assert_eq!(v1(&[0x0b]), Err(Malformed::WireType(3).into()));
    assert_eq!(v1(&[0xff; 11]), Err(Malformed::Overflow.into()));
    assert_eq!(v1(&[0x08, 1]), Err(Malformed::FieldType { field: 1, message: "WriteRequest" }.into()));
    // Fields that nobody knows are passed over.
    assert_eq!(v1(&[0x78, 1, 0x7d, 1, 2, 3, 4]), Ok(WriteRequest::default()));
}

/// Every byte of a request changed to every value, and cut off everywhere: an answer, never a panic.
#[test]
fn damaged_requests_never_panic() {
    for (message, body) in [(Message::V1, encode_v1(&request())), (Message::V2, encode_v2(&request()))] {
        for at in 0..body.len() {
            let _ = decode(message, &body[..at], Limits::default(), TIMES);
            for value in 0..=255 {
                let mut damaged = body.clone();
                damaged[at] = value;
                let _ = decode(message, &damaged, Limits::default(), TIMES);
            }
        }
        let compressed = compress(&body);
        for at in 0..compressed.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = compressed.clone();
                damaged[at] = value;
                let _ = decompress(&damaged, &Limits::default());
            }
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = v1(&body);
        let _ = v2(&body);
        let _ = decompress(&body, &Limits::default());
    }

    #[test]
    fn any_request_is_read_as_it_was_sent(
        sent in proptest::collection::vec(
            ("[a-zA-Z_]{1,8}", proptest::collection::btree_map("[a-z]{1,3}", "\\PC{1,6}", 0..4),
             proptest::collection::vec((i64::MIN..FUTURE, any::<u64>()), 1..5)),
            0..6,
        )
    ) {
        let series = sent.into_iter().map(|(name, mut pairs, samples)| {
            pairs.insert("__name__".to_owned(), name);
            TimeSeries {
                labels: Labels::from_pairs(pairs),
                samples: samples
                    .into_iter()
                    .map(|(timestamp, bits)| Sample { timestamp, value: f64::from_bits(bits) })
                    .collect(),
                ..TimeSeries::default()
            }
        });
        let request = WriteRequest { series: series.collect(), ..WriteRequest::default() };
        prop_assert_eq!(v1(&encode_v1(&request)), Ok(request.clone()));
        prop_assert_eq!(v2(&encode_v2(&request)), Ok(request));
    }
}
