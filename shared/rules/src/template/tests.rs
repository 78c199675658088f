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
