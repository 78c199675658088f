use serde_json::Value;

use super::*;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn labels(value: &Value) -> Labels {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect()
}

/// What `defaulted` leaves empty gets its default, as the upstream test does before it runs.
fn config(value: &Value, defaulted: bool) -> Option<RelabelConfig> {
    let or = |field: &str, default: &str| match text(&value[field]) {
        "" if defaulted => default.to_owned(),
        text => text.to_owned(),
    };
    let regex_text = match &value["Regex"] {
        Value::String(text) => text.clone(),
        _ => DEFAULT_REGEX.to_owned(),
    };
    Some(RelabelConfig {
        source_labels: value["SourceLabels"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|n| text(n).to_owned())
            .collect(),
        separator: or("Separator", DEFAULT_SEPARATOR),
        regex: AnchoredRegex::new(&regex_text).unwrap(),
        regex_text,
        modulus: value["Modulus"].as_u64().unwrap(),
        target_label: text(&value["TargetLabel"]).to_owned(),
        replacement: or("Replacement", DEFAULT_REPLACEMENT),
        action: RelabelAction::parse(&or("Action", "replace")).ok()?,
    })
}

#[test]
fn every_case_of_prometheus_relabels_as_it_does_there() {
    let Some(cases) = fixtures::json("relabel/json/TestRelabel.json") else { return };
    let cases = cases.as_array().unwrap();
    for case in cases {
        let configs: Vec<RelabelConfig> =
            case["relabel"].as_array().unwrap().iter().map(|c| config(c, true).unwrap()).collect();
        for config in &configs {
            config.validate(NameValidation::Utf8).unwrap();
        }
        let expected = (!case["drop"].as_bool().unwrap()).then(|| labels(&case["output"]));
        assert_eq!(process(&labels(&case["input"]), &configs), expected, "{case}");
    }
    assert_eq!(cases.len(), 34);
}

#[test]
fn what_prometheus_refuses_is_refused_in_its_words() {
    let Some(cases) = fixtures::json("relabel/json/TestRelabelValidate.json") else { return };
    for case in cases.as_array().unwrap() {
        let names = match text(&case["config"]["NameValidationScheme"]) {
            "legacy" => NameValidation::Legacy,
            _ => NameValidation::Utf8,
        };
        let expected = text(&case["expected"]);
        let Some(config) = config(&case["config"], false) else {
            // An empty action cannot even be written down here.
            assert_eq!(expected, "relabel action cannot be empty");
            continue;
        };
        match config.validate(names) {
            Ok(()) => assert_eq!(expected, "", "{case}"),
            Err(error) => assert!(!expected.is_empty() && error.to_string().contains(expected), "{error}"),
        }
    }
}

#[test]
fn legacy_name_templates_are_those_of_prometheus() {
    let Some(cases) = fixtures::json("relabel/json/TestTargetLabelLegacyValidity.json") else { return };
    for case in cases.as_array().unwrap() {
        let valid = is_name_template(text(&case["str"]), NameValidation::Legacy);
        assert_eq!(valid, case["valid"].as_bool().unwrap(), "{case}");
    }
}

#[test]
fn case_is_changed_character_by_character() {
    assert_eq!(to_upper("straße ᾀ ﬁ ñ"), "STRAßE ᾈ ﬁ Ñ");
    assert_eq!(to_lower("ΟΔΟΣ İ Ñ"), "οδοσ i ñ");
}

#[test]
fn an_empty_replacement_removes_the_label() {
    let config = RelabelConfig {
        target_label: "a".to_owned(),
        replacement: String::new(),
        ..RelabelConfig::default()
    };
    let labels = Labels::from_pairs([("a", "1"), ("b", "2")]);
    assert_eq!(process(&labels, &[config]), Some(Labels::from_pairs([("b", "2")])));
}
