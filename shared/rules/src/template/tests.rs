//! Prometheus's own cases, and what they leave out.

use model::Labels;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::testing::{EmptyStore, Script, block_on};

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
    let Some(fixtures) = fixtures::folder() else { return };
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
    let map = |pairs: &[(&str, &str)]| label_map(&pairs.iter().copied().collect());
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

fn expand_alert(text: &str) -> Result<String, String> {
    let script = go_queries();
    let template = Template::parse_alert("X", text)?;
    block_on(Expander::new(&script, &EmptyStore, 0, "").expand(&template, &go_data()))
}

fn failure(text: &str) -> String {
    expand_alert(text).expect_err("should fail")
}

#[test]
fn recursion_ends() {
    let error = failure("{{ define \"r\" }}{{ template \"r\" }}{{ end }}{{ template \"r\" }}");
    assert!(error.ends_with("exceeded maximum template depth (200)"), "{error}");
    let error = failure(&format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000)));
    assert!(error.ends_with("max expression depth exceeded"), "{error}");
    let error = failure(&"{{ if 1 }}".repeat(5000));
    assert!(error.ends_with("max expression depth exceeded"), "{error}");
    let error = failure(&format!("{{{{ if 0 }}}}{}{{{{ end }}}}", "{{ else if 0 }}".repeat(5000)));
    assert!(error.ends_with("max expression depth exceeded"), "{error}");
}

#[test]
fn loops_end() {
    let error = failure("{{ range 9000000000 }}{{ end }}");
    assert!(error.ends_with("template takes too long"), "{error}");
    let error =
        failure("{{ range 100000 }}{{ range 100000 }}{{ match \"a\" \"b\" | not | not }}{{ end }}{{ end }}");
    assert!(error.ends_with("template takes too long"), "{error}");
}

#[test]
fn output_and_strings_are_bounded() {
    let error = failure("{{ range 200 }}{{ printf \"%9999d\" 1 }}{{ end }}");
    assert!(error.ends_with("output is too long"), "{error}");
    let double = "{{ $x = print $x $x }}".repeat(40);
    let error = failure(&format!("{{{{ $x := \"0123456789\" }}}}{double}"));
    assert!(error.contains("error calling print: arguments are too large"), "{error}");
    let error = failure(&format!(
        "{{{{ $x := \"0123456789\" }}}}{}",
        "{{ $x = args $x $x $x $x $x $x $x $x }}".repeat(40)
    ));
    assert!(error.contains("error calling args: arguments are too large"), "{error}");
    let error = failure(&format!("{{{{ printf \"{}\" 1 | len }}}}", "%9999[1]d".repeat(200)));
    assert!(error.ends_with("error calling printf: result is too long"), "{error}");
}

#[test]
fn replacing_is_bounded() {
    let text = "{{ $x := \"aaaaaaaaaa\" }}".to_owned()
        + &"{{ $x = print $x $x }}".repeat(14)
        + "{{ reReplaceAll \"(.*)\" \"$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1\" $x | len }}";
    assert_eq!(expand_alert(&text).unwrap_err().rsplit(": ").next(), Some("result is too long"));
}

#[test]
fn queries_are_bounded() {
    let error = failure("{{ range $i := 1000 }}{{ query (printf \"q%d\" $i) | len }}{{ end }}");
    assert_eq!(error, "error executing template __alert_X: more than 100 queries");
}

#[test]
fn rule_files_of_prometheus_cases_are_checked() {
    let Some(fixtures) = fixtures::folder() else { return };
    let text = std::fs::read_to_string(fixtures.join("rules/json/rulefmt_template_parsing.json")).unwrap();
    let cases: Json = serde_json::from_str(&text).unwrap();
    for case in cases.as_array().unwrap() {
        let text = case["ruleString"].as_str().unwrap();
        let loaded = config::load_rules(text, "f.yml", &|_| Ok(()), Some(&check));
        assert_eq!(loaded.is_ok(), case["shouldPass"] == true, "{text}: {loaded:?}");
    }
    assert_eq!(cases.as_array().unwrap().len(), 5);
}

#[test]
fn a_malformed_template_is_refused_in_gos_words() {
    assert_eq!(check("Down", "{{ $labels.job }} is down"), Ok(()));
    assert_eq!(
        check("Down", "{{ $label.job }}"),
        Err("template: __alert_Down:1: undefined variable \"$label\"".to_owned())
    );
    assert_eq!(
        check("Down", "ok\n{{$labels.quantile * 100}}"),
        Err("template: __alert_Down:2: unexpected \"*\" in operand".to_owned())
    );
    assert_eq!(
        check("Down", "{{ tmpl \"x\" . }}").unwrap_err(),
        "template: __alert_Down:1: function \"tmpl\" not defined"
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(pieces in prop::collection::vec(piece(), 0..20)) {
        let _ = expand_alert(&pieces.concat());
    }
}

/// A piece of a template, likely to fit with others.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "{{",
        "}}",
        "{{ ",
        " }}",
        "{{- ",
        " -}}",
        "(",
        ")",
        "|",
        ",",
        ":=",
        "=",
        ".",
        "$",
        "$x",
        "$value",
        "$labels",
        ".Labels",
        ".Value",
        "if ",
        "else",
        "end",
        "range ",
        "with ",
        "define \"a\"",
        "template \"a\" .",
        "break",
        "query \"q\"",
        "first",
        "value",
        "humanize ",
        "printf \"%*[1]d\" ",
        "index ",
        "slice ",
        "len ",
        "1",
        "-1.5",
        "'x'",
        "`y`",
        "\"\\x80\"",
        "nil",
        "true",
        "é",
        "\n",
        " ",
        "/*",
        "*/",
        "args ",
        "toTime",
        "toDuration",
        ".Format \"2006\"",
        "title ",
        "reReplaceAll \"(\" ",
        "match \"\" ",
    ];
    prop_oneof![9 => prop::sample::select(pieces.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,5}"]
}
