//! Prometheus's own cases, and what they leave out.

use model::Labels;
use serde_json::Value as Json;

use super::*;
use crate::testing::{EmptyStore, Script, block_on, fixtures};

fn input(json: &Json) -> Value {
    match json {
        Json::Null => Value::Invalid,
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::string(text.as_str()),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::Int(value, IntKind::Int64),
            (_, Some(value)) => Value::Uint(value, UintKind::Uint64),
            _ => Value::Float(number.as_f64().unwrap()),
        },
        Json::Array(items) => Value::List(items.iter().map(input).collect()),
        Json::Object(_) => panic!("no case has an object but for histograms"),
    }
}

/// Why a case cannot be run, if so.
fn exemption(case: &Json) -> Option<&'static str> {
    if case["html"] == true {
        return Some("html/template is for consoles; rules expand as text");
    }
    if case.to_string().contains("CounterResetHint") {
        return Some("values are floats: the engine has no native histograms yet");
    }
    if case["options"][0] == "missingkey=error" {
        return Some("rules expand with missingkey=zero");
    }
    None
}

fn expand(text: &str, data: &Value, runner: &Script, at_ms: i64) -> Result<String, String> {
    let template = Template::parse("test", text)?;
    let mut expander = Expander::new(runner, &EmptyStore, at_ms, "http://testhost:9090/path/prefix");
    block_on(expander.expand(&template, data))
}

fn run_case(case: &Json) -> Result<String, String> {
    let mut runner = Script::default();
    for sample in case["queryResult"].as_array().into_iter().flatten() {
        let labels: Labels = sample["Metric"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str().unwrap()))
            .collect();
        runner.any.push((labels, sample["F"].as_f64().unwrap()));
    }
    // The time of all cases, which `now` gives.
    expand(case["text"].as_str().unwrap(), &input(&case["input"]), &runner, 1_353_755_652_000)
}

#[test]
fn prometheus_cases() {
    let Some(fixtures) = fixtures() else { return };
    let (mut passed, mut exempt, mut failures) = (0, 0, Vec::new());
    for file in ["TestTemplateExpansion.json", "TestTemplateExpansionAMD64.json"] {
        let text = std::fs::read_to_string(fixtures.join("template/json").join(file)).unwrap();
        let cases: Json = serde_json::from_str(&text).unwrap();
        for case in cases.as_array().unwrap() {
            if exemption(case).is_some() {
                exempt += 1;
                continue;
            }
            let result = run_case(case);
            let expected = if case["shouldFail"] == true {
                Err(case["errorMsg"].as_str().unwrap().to_owned())
            } else {
                Ok(case["output"].as_str().unwrap().to_owned())
            };
            if result == expected {
                passed += 1;
            } else {
                failures.push(format!("{}: got {result:?}, want {expected:?}", case["text"]));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!((passed, exempt), (81, 10));
}

/// What the runs of Go's own `text/template` with Prometheus's functions saw.
fn go_data() -> Value {
    let map =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Value::from(AlertData {
        labels: map(&[
            ("__name__", "up"),
            ("instance", "host.example.com:9100"),
            ("job", "node"),
            ("pct", "12%"),
        ]),
        external_labels: map(&[("region", "eu"), ("zone", "z1")]),
        external_url: "http://ext".to_owned(),
        value: 1234.5678,
    })
}

fn go_queries() -> Script {
    let labels = |pairs: &[(&str, &str)]| -> Labels { pairs.iter().copied().collect() };
    let mut script = Script {
        any: vec![
            (labels(&[("__name__", "m"), ("instance", "b:80")]), 2.5),
            (labels(&[("__name__", "m"), ("__value__", "vv"), ("instance", "a:90")]), 1_234_567.0),
        ],
        ..Script::default()
    };
    script.by_expr.insert("none".to_owned(), Ok(Vec::new()));
    script.by_expr.insert("bad".to_owned(), Err("query failed".to_owned()));
    script
}

/// Where we differ from Go, and why.
const KNOWN_DIFFERENCES: [&str; 1] = [
    // A hexadecimal float.
    "{{ printf \"%x\" $value }}",
];

#[test]
fn templates_give_what_go_gives() {
    let (mut passed, mut differences, mut failures) = (0, Vec::new(), Vec::new());
    for line in include_str!("../../testdata/template_cases.jsonl").lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let expected = match case["out"].as_str() {
            Some(output) => Ok(output.to_owned()),
            None => Err(case["err"].as_str().unwrap().to_owned()),
        };
        let result = Template::parse_alert("X", case["text"].as_str().unwrap()).and_then(|template| {
            let script = go_queries();
            let url = "http://testhost:9090/path/prefix";
            let mut expander = Expander::new(&script, &EmptyStore, 1_353_755_652_123, url);
            block_on(expander.expand(&template, &go_data()))
        });
        if result == expected {
            passed += 1;
        } else if let Some(known) = KNOWN_DIFFERENCES.iter().position(|text| case["text"] == *text) {
            differences.push(known);
        } else {
            failures.push(format!("{}\n   got {result:?}\n  want {expected:?}", case["text"]));
        }
    }
    assert!(failures.is_empty(), "{passed} passed, {} failed:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(differences.len(), KNOWN_DIFFERENCES.len(), "only {differences:?} still differ");
    assert_eq!(passed, 844);
}
