use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::event::Series;
use crate::labels::ExposedLabel;

/// A file of Prometheus's own test data.
fn fixture(path: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(fixtures::folder()?.join(path)).unwrap())
}

/// A text of a fixture, which is hexadecimal where it is not UTF-8.
fn text_of(value: &Value) -> Vec<u8> {
    match value.get("bytes_hex") {
        None => value.as_str().unwrap().as_bytes().to_vec(),
        Some(hex) => {
            let hex = hex.as_str().unwrap();
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        }
    }
}

fn labels_of(series: &Series<'_>) -> BTreeMap<String, String> {
    let mut labels = Vec::new();
    series.labels(&mut labels).unwrap();
    labels.into_iter().map(|ExposedLabel { name, value }| (name.into_owned(), value.into_owned())).collect()
}

fn error_of(body: &[u8]) -> String {
    Parser::new(body).find_map(Result::err).map(|error| error.to_string()).unwrap_or_default()
}

/// Compares two parses; NaN has one form, so the debug form tells values apart.
fn assert_strict_agrees(body: &[u8]) {
    let fast: Vec<_> = Parser::new(body).collect();
    let strict: Vec<_> = Parser::strict(body).collect();
    assert_eq!(format!("{fast:?}"), format!("{strict:?}"));
}

/// `suffix` is what Prometheus's own test appends to the input, for its source cannot hold NUL bytes.
fn check_events(input: &str, suffix: &str, expected: &str) {
    let (Some(input), Some(expected)) = (fixtures::json(input), fixtures::json(expected)) else { return };
    let body = [&text_of(&input), suffix.as_bytes()].concat();
    let events: Vec<Event<'_>> = Parser::new(&body).map(Result::unwrap).collect();
    assert_strict_agrees(&body);
    let expected = expected.as_array().unwrap();
    for (event, expected) in events.iter().zip(expected) {
        let text = |key: &str| expected[key].as_str().unwrap();
        match event {
            Event::Help { metric, text: help } => {
                assert_eq!(*metric, text("m").as_bytes());
                assert_eq!(Event::unescape_help(help), text("help"));
            }
            Event::Type { metric, kind } => {
                assert_eq!((*metric, kind.as_str()), (text("m").as_bytes(), text("typ")));
            }
            Event::Comment(comment) => assert_eq!(*comment, text("comment").as_bytes()),
            Event::Series(series) => {
                assert_eq!(series.text, text("m").as_bytes());
                assert_eq!(series.timestamp, expected["t"].as_i64());
                assert_eq!(series.value, expected["v"].as_f64().unwrap());
                let labels: BTreeMap<String, String> =
                    serde_json::from_value(expected["lset"].clone()).unwrap();
                assert_eq!(labels_of(series), labels);
            }
            other => panic!("{other:?} is of another format"),
        }
    }
    assert_eq!(events.len(), expected.len());
}

#[test]
fn events_are_those_of_prometheus() {
    let suffix = "\n# HELP metric foo\0bar\nnull_byte_metric{a=\"abc\0\"} 1";
    check_events(
        "textparse/json/promparse/TestPromParse_input.json",
        suffix,
        "textparse/json/promparse/TestPromParse_exp.json",
    );
}

#[test]
fn events_with_quoted_names_are_those_of_prometheus() {
    check_events(
        "textparse/json/promparse/TestUTF8PromParse_input.json",
        "",
        "textparse/json/promparse/TestUTF8PromParse_exp.json",
    );
}

#[test]
fn errors_are_those_of_prometheus() {
    for file in ["TestPromParseErrors_cases", "TestPromNullByteHandling_cases"] {
        let Some(cases) = fixtures::json(&format!("textparse/json/promparse/{file}.json")) else { return };
        for case in cases.as_array().unwrap() {
            assert_eq!(error_of(&text_of(&case["input"])), case["err"].as_str().unwrap(), "{case}");
        }
    }
}

#[test]
fn bounds_are_written_as_prometheus_writes_them() {
    let Some(cases) = fixtures::json("misc/json/float_format_golden.json") else { return };
    for case in cases.as_array().unwrap() {
        let value = f64::from_bits(u64::from_str_radix(case["bits"].as_str().unwrap(), 16).unwrap());
        assert_eq!(crate::labels::format_openmetrics(value), case["openmetrics"].as_str().unwrap(), "{case}");
    }
}

#[test]
fn large_bodies_of_prometheus_parse_completely() {
    for file in ["alltypes.237mfs.prom.txt", "alltypes.237mfs.nometa.prom.txt"] {
        let Some(body) = fixture(&format!("textparse/model/textparse/testdata/{file}")) else { return };
        let events: Vec<Event<'_>> = Parser::new(&body).map(Result::unwrap).collect();
        assert_strict_agrees(&body);
        let samples = events.iter().filter(|event| matches!(event, Event::Series(_))).count();
        assert_eq!(samples, 1857, "{file}");
    }
}

#[test]
fn the_end_of_the_body_ends_the_last_line() {
    for body in ["a 1", "a 1\n", "\n\n a_b{c=\"d\"} 2 \n\n", "", "\n", "# x"] {
        assert_eq!(error_of(body.as_bytes()), "", "{body:?}");
    }
    assert_eq!(
        error_of(b"a"),
        "expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"a\\n\""
    );
}

#[test]
fn the_last_type_line_decides_how_bounds_are_written() {
    let body =
        b"# TYPE a histogram\na_bucket{le=\"1\"} 1\n# TYPE b summary\nb{quantile=\"0.50\",le=\"1\"} 1\n";
    let series: Vec<Series<'_>> = Parser::new(body)
        .filter_map(|event| match event.unwrap() {
            Event::Series(series) => Some(series),
            _ => None,
        })
        .collect();
    assert_eq!(labels_of(&series[0])["le"], "1.0");
    assert_eq!(
        (labels_of(&series[1])["le"].as_str(), labels_of(&series[1])["quantile"].as_str()),
        ("1", "0.5")
    );
    assert_eq!(series[0].label_kind(), MetricType::Histogram);
}

#[test]
fn a_name_that_is_not_utf8_is_reported_with_its_labels() {
    let body = b"{\"a\xff\",b=\"c\"} 1\n";
    let Some(Ok(Event::Series(series))) = Parser::new(body).next() else { panic!("not a series") };
    let error = series.labels(&mut Vec::new()).unwrap_err().to_string();
    assert_eq!(error, "invalid metric name or label names: {__name__=\"a\\xff\", b=\"c\"}");
}

#[test]
fn a_label_that_is_exposed_twice_is_given_twice() {
    let Some(Ok(Event::Series(series))) = Parser::new(b"a{b=\"1\",b=\"2\"} 1\n").next() else {
        panic!("not a series")
    };
    let mut labels = Vec::new();
    series.labels(&mut labels).unwrap();
    assert_eq!(labels.len(), 3);
}

/// What a client would write for a label value or quoted name.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for event in Parser::new(&body).flatten() {
            if let Event::Series(series) = event {
                let _ = series.labels(&mut Vec::new());
            }
        }
    }

    #[test]
    fn the_fast_way_agrees_with_the_strict_one(
        body in "([a:_1\"'{}=,\\\\#\n\t \u{0}é.+-]|HELP |TYPE |# |a\\{b=\"|\"\\} 1\n|a 1\n|gauge|summary|NaN|1e5){0,24}"
    ) {
        assert_strict_agrees(body.as_bytes());
    }

    #[test]
    fn what_a_client_writes_reads_back(
        samples in proptest::collection::vec(
            (
                "[a-zA-Z_:][a-zA-Z0-9_:]{0,9}",
                any::<bool>(),
                proptest::collection::btree_map("[a-z]{1,3}|[é\"\\\\. \n]{1,5}", "[\\PC\n]{0,12}", 0..5),
                any::<f64>(),
                proptest::option::of(0..i64::MAX),
            ),
            0..10
        ),
        help in "[\\PC\n]{0,20}",
    ) {
        let mut body = format!("# HELP a {}\n# TYPE a gauge\n", help.replace('\\', "\\\\").replace('\n', "\\n"));
        for (metric, quoted, labels, value, timestamp) in &samples {
            let mut parts: Vec<String> = labels
                .iter()
                .map(|(name, value)| {
                    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase());
                    let name = if plain { name.clone() } else { format!("\"{}\"", escaped(name)) };
                    format!("{name}=\"{}\"", escaped(value))
                })
                .collect();
            if *quoted {
                parts.insert(0, format!("\"{metric}\""));
                body.push_str(&format!("{{{}}} ", parts.join(",")));
            } else if parts.is_empty() {
                body.push_str(&format!("{metric} "));
            } else {
                body.push_str(&format!("{metric}{{{}}} ", parts.join(",")));
            }
            let value = model::number::format_g(*value);
            body.push_str(&timestamp.map_or(format!("{value}\n"), |ms| format!("{value} {ms}\n")));
        }
        let mut events = Parser::new(body.as_bytes());
        let Some(Ok(Event::Help { text, .. })) = events.next() else { panic!("no help") };
        // Prometheus takes a text of nothing but blanks for no text.
        let is_blank = help.bytes().all(|byte| matches!(byte, b' ' | b'\t'));
        prop_assert_eq!(Event::unescape_help(text), if is_blank { "" } else { help.as_str() });
        events.next();
        let mut read = 0;
        for (event, (metric, _, labels, value, timestamp)) in events.zip(&samples) {
            let Ok(Event::Series(series)) = event else { panic!("{event:?}") };
            let mut expected = labels.clone();
            expected.insert("__name__".to_owned(), metric.clone());
            prop_assert_eq!(labels_of(&series), expected);
            prop_assert_eq!(series.value.is_nan(), value.is_nan());
            prop_assert!(value.is_nan() || series.value.to_bits() == value.to_bits());
            prop_assert_eq!(series.timestamp, *timestamp);
            read += 1;
        }
        prop_assert_eq!(read, samples.len());
    }
}
