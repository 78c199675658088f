use serde_json::Value;

use super::*;

/// Stands in for the parser of PromQL, which this crate does not know.
fn check_expr(text: &str) -> Result<(), String> {
    let is_complete = text.matches(['(', '{', '[']).count() == text.matches([')', '}', ']']).count();
    if is_complete && text != "rate(hi)" && !text.trim_end().ends_with(['+', '*', '/', '=']) {
        return Ok(());
    }
    Err("1:5: parse error: unexpected end of input".to_owned())
}

fn faults(text: &str) -> Vec<String> {
    match load_rules(text, "r.yml", &check_expr, None) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn rule_files_of_prometheus_fail_as_there() {
    let Some(root) = fixtures::folder() else { return };
    let cases = fixtures::json_in(&root, "rules/json/rulefmt_failures.json");
    let mut legacy = 0;
    for case in cases.as_array().unwrap() {
        let file = case["filename"].as_str().unwrap();
        let text = std::fs::read_to_string(root.join("rules/model/rulefmt/testdata").join(file)).unwrap();
        if case["nameValidationScheme"] == "legacy" {
            // Names are UTF-8 here, so nothing is wrong with it.
            assert_eq!(faults(&text), Vec::<String>::new());
            legacy += 1;
            continue;
        }
        let wanted = case["errMsg"].as_str().unwrap();
        let found = faults(&text);
        assert!(found.iter().any(|fault| fault.contains(wanted)), "{file}: {wanted}: {found:?}");
    }
    assert_eq!((cases.as_array().unwrap().len(), legacy), (11, 1));
}

#[test]
fn rule_files_of_prometheus_load_as_there() {
    let Some(root) = fixtures::folder() else { return };
    let mut loaded = 0;
    for folder in ["rules/rules/fixtures", "rules/model/rulefmt/testdata"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.contains(".bad.") {
                continue;
            }
            let found = faults(&std::fs::read_to_string(&path).unwrap());
            if name == "invalid_rules.yaml" {
                assert!(found[0].contains("not found in type rulefmt.Rule"), "{found:?}");
            } else {
                assert_eq!(found, Vec::<String>::new(), "{name}");
                loaded += 1;
            }
        }
    }
    assert_eq!(loaded, 19);
}

#[test]
fn templates_are_checked_in_alerting_rules() {
    let Some(root) = fixtures::folder() else { return };
    // Stands in for the templates' own parser, and knows the faults of these cases.
    let check = |alert: &str, text: &str| {
        assert_eq!(alert, "InstanceDown");
        if ["$label.", "$this_is", "$labels.quantile *"].iter().any(|bad| text.contains(bad)) {
            Err("undefined variable \"$label\"".to_owned())
        } else {
            Ok(())
        }
    };
    for case in fixtures::json_in(&root, "rules/json/rulefmt_template_parsing.json").as_array().unwrap() {
        let text = case["ruleString"].as_str().unwrap();
        let outcome = load_rules(text, "r.yml", &check_expr, Some(&check));
        match outcome {
            Ok(_) => assert_eq!(case["shouldPass"], Value::Bool(true), "{text}"),
            Err(errors) => {
                assert_eq!(case["shouldPass"], Value::Bool(false), "{text}");
                let error = errors[0].to_string();
                assert!(error.starts_with("r.yml: group \"example\", rule 1, \"InstanceDown\": "), "{error}");
                assert!(error.ends_with("\": undefined variable \"$label\""), "{error}");
            }
        }
    }
}

#[test]
fn faults_have_positions() {
    let rules = "groups:\n- name: a\n  rules:\n";
    for (text, expected) in [
        (
            "  - alert: x\n    record: y\n    expr: up\n",
            &["5:13: 4:12: group \"a\", rule 1, \"x\": only one of 'record' and 'alert' must be set"][..],
        ),
        ("  - expr: up\n", &["0:0: 0:0: group \"a\", rule 1, \"\": one of 'record' or 'alert' must be set"]),
        (
            "  - alert:\n    expr: up\n    record: \n",
            &["6:12: 4:11: group \"a\", rule 1, \"\": one of 'record' or 'alert' must be set"],
        ),
        ("  - alert: x\n", &["0:0: group \"a\", rule 1, \"x\": field 'expr' must be set in rule"]),
        (
            "  - alert: x\n    expr: |\n      sum(\n",
            &[
                "5:11: group \"a\", rule 1, \"x\": could not parse expression: 1:5: parse error: unexpected end of input",
            ],
        ),
        (
            "  - record: a{b}\n    expr: up\n    for: 5m\n    annotations: {a: b}\n",
            &[
                "4:13: group \"a\", rule 1, \"a{b}\": invalid field 'annotations' in recording rule",
                "4:13: group \"a\", rule 1, \"a{b}\": invalid field 'for' in recording rule",
                "4:13: group \"a\", rule 1, \"a{b}\": braces present in the recording rule name; should it be in \
                 expr?: a{b}",
            ],
        ),
        (
            "  - alert: x\n    expr: up\n    labels: {__name__: d}\n",
            &["group \"a\", rule 1, \"x\": invalid label name: __name__"],
        ),
        (
            "  - alert: x\n    expr: up\n    for: abc\n",
            &["not a valid duration string: \"abc\"", "not a valid duration string: \"abc\""],
        ),
        (
            "  - record: x\n    expr: up\n    annotation: {}\n",
            &["yaml: unmarshal errors:\n  line 6: field annotation not found in type rulefmt.Rule"],
        ),
        (
            "- name: a\n- rules: []\n",
            &["0:0: groupname: \"a\" is repeated in the same file", "0:0: Groupname must not be empty"],
        ),
    ] {
        let expected: Vec<String> = expected.iter().map(|fault| format!("r.yml: {fault}")).collect();
        assert_eq!(faults(&format!("{rules}{text}")), expected);
    }
}

#[test]
fn duplicates_and_wrong_types_are_reported_by_both_decodings() {
    assert_eq!(
        faults("groups: foo\n"),
        [
            "r.yml: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `foo` into []rulefmt.RuleGroup",
            "r.yml: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `foo` into []rulefmt.RuleGroupNode",
        ]
    );
    let twice = "r.yml: yaml: unmarshal errors:\n  line 3: mapping key \"name\" already defined at line 2";
    assert_eq!(faults("groups:\n- name: a\n  name: b\n"), [twice, twice]);
}

#[test]
fn a_group_gives_its_labels_to_its_rules() {
    let text = "groups:
- name: g
  interval: 30s
  limit: 5
  query_offset: 0s
  labels: {team: a, tier: one}
  rules:
  - record: r
    expr: up
    labels: {team: b}
  - alert: on
    expr: 1
    for: 5m
    keep_firing_for: 1m
    labels: {severity: '{{ $value }}'}
    annotations: {z: last, a: first}
";
    let file = load_rules(text, "r.yml", &check_expr, None).unwrap();
    let group = &file.groups[0];
    assert_eq!((group.interval, group.limit), (Some(Duration::from_secs(30)), 5));
    assert_eq!(group.query_offset, Some(Duration::ZERO));
    let Rule::Recording(record) = &group.rules[0] else { panic!() };
    assert_eq!(record.labels, Labels::from_pairs([("team", "b"), ("tier", "one")]));
    let Rule::Alerting(alert) = &group.rules[1] else { panic!() };
    assert_eq!((alert.alert.as_str(), alert.expr.as_str()), ("on", "1"));
    assert_eq!(alert.hold_duration, Duration::from_secs(300));
    assert_eq!(alert.keep_firing_for, Duration::from_secs(60));
    let names: Vec<&str> = alert.labels.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["severity", "team", "tier"]);
    assert_eq!(alert.annotations[0], ("a".to_owned(), "first".to_owned()));
}

#[test]
fn a_merged_mapping_yields_to_what_is_written() {
    let text = "groups:
- name: g
  rules:
  - alert: x
    expr: up
    labels: &l {a: b, c: d}
  - alert: y
    expr: up
    labels: {a: e, <<: *l}
";
    let file = load_rules(text, "r.yml", &check_expr, None).unwrap();
    let Rule::Alerting(alert) = &file.groups[0].rules[1] else { panic!() };
    let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
    assert_eq!(alert.labels, [pair("a", "e"), pair("c", "d")]);
}
