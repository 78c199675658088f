use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::event::Series;
use crate::labels::{ExposedLabel, unescape_value};

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

fn map_of(labels: Vec<ExposedLabel<'_>>) -> BTreeMap<String, String> {
    labels.into_iter().map(|ExposedLabel { name, value }| (name.into_owned(), value.into_owned())).collect()
}

fn labels_of(series: &Series<'_>) -> BTreeMap<String, String> {
    let mut labels = Vec::new();
    series.labels(&mut labels).unwrap();
    map_of(labels)
}

fn exemplar_labels_of(exemplar: &ExposedExemplar<'_>) -> BTreeMap<String, String> {
    let mut labels = Vec::new();
    exemplar.labels(&mut labels).unwrap();
    map_of(labels)
}

fn error_of(body: &[u8]) -> String {
    OpenMetricsParser::new(body).find_map(Result::err).map(|error| error.to_string()).unwrap_or_default()
}

/// What a parse gives, as text: NaN has one form, so that values compare.
fn described<'a>(events: impl Iterator<Item = Result<Event<'a>, ParseError>>) -> String {
    events.map(|event| format!("{event:?}\n")).collect()
}

/// The same input in pieces of `size` bytes and what each left over.
fn in_pieces(body: &[u8], size: usize) -> String {
    let (mut state, mut from, mut out) = (OpenMetricsState::default(), 0, String::new());
    let mut until = size.min(body.len());
    loop {
        let mut parser = OpenMetricsParser::resume(&body[from..until], state, until == body.len());
        out.push_str(&described(parser.by_ref()));
        if out.contains("Err(") || until == body.len() {
            return out;
        }
        state = parser.state();
        from += parser.consumed();
        until = (until + size).min(body.len());
    }
}

fn assert_all_ways_agree(body: &[u8]) {
    let fast = described(OpenMetricsParser::new(body));
    assert_eq!(fast, described(OpenMetricsParser::strict(body)));
    for size in [1, 3, 16, 1000] {
        assert_eq!(fast, in_pieces(body, size), "pieces of {size} of {}", crate::quote_bytes(body));
    }
}

/// What Prometheus remembers between two calls of `StartTimestamp`.
#[derive(Default)]
struct Started {
    found: Option<(String, i64)>,
}

impl Started {
    /// `StartTimestamp` of Prometheus, for the sample before `rest`, by the `Created` events.
    fn of(&mut self, series: &Series<'_>, family: usize, rest: &[Event<'_>]) -> i64 {
        if !matches!(series.kind, MetricType::Counter | MetricType::Summary | MetricType::Histogram) {
            self.found = None;
            return 0;
        }
        let mut labels = labels_of(series);
        let name = labels.remove("__name__").unwrap();
        let identity = |name: &str, mut labels: BTreeMap<String, String>| {
            match series.kind {
                MetricType::Histogram => labels.remove("le"),
                MetricType::Summary => labels.remove("quantile"),
                _ => None,
            };
            format!("{name}{labels:?}")
        };
        let own = identity(&name[..family.min(name.len())], labels);
        if let Some((identity, start)) = &self.found
            && *identity == own
        {
            return *start;
        }
        self.found = None;
        for event in rest {
            match event {
                Event::Created(created) => {
                    let mut labels = labels_of(created);
                    let name = labels.remove("__name__").unwrap();
                    let start = (created.value * 1000.0) as i64;
                    if identity(name.strip_suffix("_created").unwrap(), labels) == own {
                        self.found = Some((own, start));
                        return start;
                    }
                    return 0;
                }
                Event::Series(_) | Event::Exemplar(_) => {}
                _ => return 0,
            }
        }
        0
    }
}

/// Compares a parse with Prometheus's entries; how many they were.
fn check_entries(body: &[u8], expected: &Value) -> usize {
    assert_all_ways_agree(body);
    let all: Vec<Event<'_>> = OpenMetricsParser::new(body).map(Result::unwrap).collect();
    let mut expected = expected.as_array().unwrap().iter();
    let (mut family, mut entries, mut started) = (0, 0, Started::default());
    for (at, event) in all.iter().enumerate() {
        if matches!(event, Event::Created(_) | Event::Exemplar(_)) {
            continue;
        }
        let expected = expected.next().unwrap();
        let text = |key: &str| expected[key].as_str().unwrap();
        entries += 1;
        if let Event::Help { metric, .. } | Event::Type { metric, .. } | Event::Unit { metric, .. } = event {
            assert_eq!(*metric, text("m").as_bytes());
            family = metric.len();
        }
        match event {
            Event::Help { text: help, .. } => assert_eq!(unescape_value(help), text("help")),
            Event::Type { kind, .. } => assert_eq!(kind.as_str(), text("typ")),
            Event::Unit { unit, .. } => assert_eq!(*unit, text("unit").as_bytes()),
            Event::Series(series) => {
                assert_eq!(series.text, text("m").as_bytes());
                assert_eq!(series.timestamp, expected["t"].as_i64());
                match expected["v"].as_f64() {
                    Some(value) => assert_eq!(series.value, value),
                    None => assert_eq!(model::number::format_g(series.value), text("v")),
                }
                let labels: BTreeMap<String, String> =
                    serde_json::from_value(expected["lset"].clone()).unwrap();
                assert_eq!(labels_of(series), labels);
                assert_eq!(started.of(series, family, &all[at + 1..]), expected["st"].as_i64().unwrap_or(0));
                let exemplar = match all.get(at + 1) {
                    Some(Event::Exemplar(exemplar)) => serde_json::json!([{
                        "Labels": exemplar_labels_of(exemplar),
                        "Value": exemplar.value,
                        "Ts": exemplar.timestamp.unwrap_or(0),
                        "HasTs": exemplar.timestamp.is_some(),
                    }]),
                    _ => Value::Null,
                };
                assert_eq!(as_floats(&exemplar), as_floats(&expected["es"]));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(expected.next().is_none());
    entries
}

/// JSON whose numbers all compare as floats.
fn as_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(values) => values.iter().map(as_floats).collect(),
        Value::Object(values) => {
            values.iter().map(|(name, value)| (name.clone(), as_floats(value))).collect()
        }
        other => other.clone(),
    }
}

#[test]
fn events_are_those_of_prometheus() {
    // What Prometheus's own test appends to the input, for its source cannot hold NUL bytes.
    let suffix = "\n# HELP metric foo\0bar\nnull_byte_metric{a=\"abc\0\"} 1\n# EOF\n";
    for (name, suffix) in [("TestOpenMetricsParse", suffix), ("TestOpenMetricsParse_UTF8", "# EOF\n")] {
        let path = |part: &str| format!("textparse/json/openmetricsparse/{name}_{part}.json");
        let (Some(input), Some(expected)) = (fixtures::json(&path("input")), fixtures::json(&path("exp")))
        else {
            return;
        };
        let body = [&text_of(&input), suffix.as_bytes()].concat();
        assert_eq!(check_entries(&body, &expected), expected.as_array().unwrap().len());
    }
}

#[test]
fn created_lines_before_their_samples_start_nothing() {
    let path = "textparse/json/openmetricsparse/TestSTParseFailures_range.json";
    let Some(cases) = fixtures::json(path) else { return };
    for case in cases.as_array().unwrap() {
        let body = text_of(&case["input"]);
        let events: Vec<Event<'_>> = OpenMetricsParser::new(&body).map(Result::unwrap).collect();
        let expected = case["expected"].as_array().unwrap();
        let shown = events.iter().filter(|event| !matches!(event, Event::Created(_) | Event::Exemplar(_)));
        assert_eq!(shown.count(), expected.len(), "{}", case["name"]);
    }
}

#[test]
fn errors_are_those_of_prometheus() {
    let mut count = 0;
    for file in ["TestOpenMetricsParseErrors_cases", "TestOMNullByteHandling_cases"] {
        let Some(cases) = fixtures::json(&format!("textparse/json/openmetricsparse/{file}.json")) else {
            return;
        };
        for case in cases.as_array().unwrap() {
            let body = text_of(&case["input"]);
            // Prometheus's word for the end.
            let expected = case["err"].as_str().unwrap();
            let expected = if expected == "EOF" { "" } else { expected };
            assert_eq!(error_of(&body), expected, "{case}");
            assert_all_ways_agree(&body);
            count += 1;
        }
    }
    assert_eq!(count, 82);
}

/// The 211 inputs of the OpenMetrics project's own test suite, and what Prometheus makes of them.
#[test]
fn the_inputs_of_openmetrics_give_what_prometheus_gives() {
    let Some(cases) = fixtures::json("textparse/json/openmetrics_parsers.json") else { return };
    let mut count = 0;
    for case in cases.as_array().unwrap() {
        let body = text_of(&case["input"]);
        assert_all_ways_agree(&body);
        count += 1;
        if let Some(error) = case["prometheus_error"].as_str() {
            assert_eq!(error_of(&body), error, "{case}");
            continue;
        }
        let events: Vec<Event<'_>> = OpenMetricsParser::new(&body).map(Result::unwrap).collect();
        let mut entries: Vec<Value> = Vec::new();
        for event in events {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            match event {
                Event::Help { metric, text: help } => {
                    entries.push(serde_json::json!({"help": [text(metric), unescape_value(help)]}));
                }
                Event::Type { metric, kind } => {
                    entries.push(serde_json::json!({"type": [text(metric), kind.as_str()]}));
                }
                Event::Unit { metric, unit } => {
                    entries.push(serde_json::json!({"unit": [text(metric), text(unit)]}));
                }
                Event::Series(series) | Event::Created(series) => {
                    let mut entry = serde_json::json!({
                        "series": text(series.text),
                        "labels": labels_of(&series),
                        "value": number_of(series.value),
                    });
                    if let Some(timestamp) = series.timestamp {
                        entry["ts_ms"] = timestamp.into();
                    }
                    entries.push(entry);
                }
                Event::Exemplar(exemplar) => {
                    let mut entry = serde_json::json!({
                        "labels": exemplar_labels_of(&exemplar),
                        "value": number_of(exemplar.value),
                    });
                    if let Some(timestamp) = exemplar.timestamp {
                        entry["ts_ms"] = timestamp.into();
                    }
                    entries.last_mut().unwrap()["exemplar"] = entry;
                }
                Event::Comment(_) => panic!("OpenMetrics has no comments"),
            }
        }
        assert_eq!(as_floats(&entries.into()), as_floats(&case["prometheus_entries"]), "{}", case["name"]);
    }
    assert_eq!(count, 211);
}

/// A value as the fixtures write it.
fn number_of(value: f64) -> Value {
    if value.is_finite() && !(value == 0.0 && value.is_sign_negative()) {
        value.into()
    } else {
        model::number::format_g(value).into()
    }
}

#[test]
fn large_bodies_of_prometheus_parse_completely() {
    let Some(folder) = fixtures::folder() else { return };
    for (file, expected) in [("1histogram.om.txt", 42), ("alltypes.5mfs.om.txt", 53)] {
        let body = std::fs::read(folder.join("textparse/model/textparse/testdata").join(file)).unwrap();
        let events: Vec<Event<'_>> = OpenMetricsParser::new(&body).map(Result::unwrap).collect();
        assert_all_ways_agree(&body);
        let is_sample = |event: &&Event<'_>| matches!(event, Event::Series(_) | Event::Created(_));
        assert_eq!(events.iter().filter(is_sample).count(), expected, "{file}");
    }
}

#[test]
fn the_end_is_known_only_with_the_last_piece() {
    let body = b"a 1 2\n# EOF\n";
    let mut parser = OpenMetricsParser::resume(body, OpenMetricsState::default(), false);
    assert_eq!(parser.by_ref().count(), 1);
    assert_eq!(parser.consumed(), 6);
    let mut rest = OpenMetricsParser::resume(&body[6..], parser.state(), true);
    assert!(rest.next().is_none());
    assert_eq!(rest.consumed(), 6);
}

#[test]
fn a_faulty_line_is_where_parsing_stops() {
    let mut parser = OpenMetricsParser::new(b"a 1 2\nb x\n# EOF\n");
    assert!(parser.by_ref().any(|event| event.is_err()));
    assert_eq!(parser.consumed(), 6);
}

#[test]
fn instants_are_cut_off_to_milliseconds() {
    for (text, ms) in [("1.001", 1000), ("1604398465.001", 1_604_398_465_001), ("-1.9999", -1999)] {
        let body = format!("a 1 {text}\n# EOF\n");
        let Some(Ok(Event::Series(series))) = OpenMetricsParser::new(body.as_bytes()).next() else {
            panic!("{text}")
        };
        assert_eq!(series.timestamp, Some(ms), "{text}");
    }
}

#[test]
fn nul_bytes_after_metadata_read_alike_in_pieces() {
    for body in [
        "# HELP a b\n\0# HELP a c\n# EOF\n",
        "# TYPE a counter\n\0\0a 1\n# EOF\n",
        "# HELP a b\n\0",
        "# EOF\n\0",
    ] {
        assert_all_ways_agree(body.as_bytes());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for event in OpenMetricsParser::new(&body).flatten() {
            match event {
                Event::Series(series) | Event::Created(series) => {
                    let _ = series.labels(&mut Vec::new());
                }
                Event::Exemplar(exemplar) => {
                    let _ = exemplar.labels(&mut Vec::new());
                }
                _ => {}
            }
        }
    }

    #[test]
    fn all_ways_to_parse_agree(
        body in "([a:_1\"'{}=,\\\\#\n\t \u{0}é.+-]|# HELP a |# TYPE a |# UNIT a_b b\n|# EOF\n?|a\\{b=\"|\"\\} 1 1.5\n|a_created 1\n| # \\{c=\"d\"\\} 2 3|counter|summary\n|NaN|1e5){0,24}"
    ) {
        assert_all_ways_agree(body.as_bytes());
    }

    #[test]
    fn what_a_client_writes_reads_back(
        samples in proptest::collection::vec(
            (
                "[a-zA-Z_:][a-zA-Z0-9_:]{0,9}",
                any::<bool>(),
                proptest::collection::btree_map("[a-z]{1,3}|[é\"\\\\. ]{1,5}", "[\\PC\n]{1,12}", 0..5),
                any::<f64>(),
                proptest::option::of(1_100_000_000_000i64..2_100_000_000_000),
                proptest::option::of(("[a-z0-9]{1,8}", -9.0..9.0f64)),
            ),
            0..10
        ),
    ) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let mut body = String::new();
        for (metric, quoted, labels, value, timestamp, exemplar) in &samples {
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
                body.push_str(&format!("{{{}}}", parts.join(",")));
            } else if parts.is_empty() {
                body.push_str(metric);
            } else {
                body.push_str(&format!("{metric}{{{}}}", parts.join(",")));
            }
            body.push_str(&format!(" {}", model::number::format_g(*value)));
            if let Some(ms) = timestamp {
                body.push_str(&format!(" {}.{:03}", ms / 1000, ms % 1000));
            }
            if let Some((id, value)) = exemplar {
                body.push_str(&format!(" # {{trace_id=\"{id}\"}} {value}"));
            }
            body.push('\n');
        }
        body.push_str("# EOF\n");
        let mut events = OpenMetricsParser::new(body.as_bytes());
        for (metric, _, labels, value, timestamp, exemplar) in &samples {
            let Some(Ok(Event::Series(series))) = events.next() else { panic!("{body}") };
            let mut expected = labels.clone();
            expected.insert("__name__".to_owned(), metric.clone());
            prop_assert_eq!(labels_of(&series), expected);
            prop_assert!(value.is_nan() && series.value.is_nan() || series.value.to_bits() == value.to_bits());
            prop_assert_eq!(series.timestamp, *timestamp);
            if let Some((id, value)) = exemplar {
                let Some(Ok(Event::Exemplar(read))) = events.next() else { panic!("{body}") };
                prop_assert_eq!(read.value, *value);
                prop_assert_eq!(&exemplar_labels_of(&read)["trace_id"], id);
            }
        }
        prop_assert!(events.next().is_none());
    }
}
