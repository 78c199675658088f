use model::Labels;

use super::*;

/// A single group as the only entry of a list, its lines kept.
fn as_list(group: &str) -> String {
    let lines: Vec<&str> = group.lines().collect();
    format!("- {}", lines.join("\n  "))
}

#[test]
fn groups_of_prometheus_read_as_there() {
    let Some(root) = fixtures::folder() else { return };
    let cases =
        fixtures::json_in(&root, "discovery/json/targetgroup/TestTargetGroupYamlUnmarshal_tests.json");
    for case in cases.as_array().unwrap() {
        let text = as_list(case["yaml"].as_str().unwrap());
        match (target_groups_from_yaml(&text), case["expectedReply"].as_str()) {
            (Ok(groups), None) => {
                let expected = &case["expectedGroup"];
                let addresses: Vec<&str> =
                    groups[0].targets.iter().map(|target| target.value("__address__")).collect();
                let targets = expected["Targets"].as_array().unwrap();
                let targets: Vec<&str> =
                    targets.iter().map(|target| target["__address__"].as_str().unwrap()).collect();
                assert_eq!(addresses, targets);
                let labels = expected["Labels"].as_object().into_iter().flatten();
                let labels: Labels =
                    labels.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
                assert_eq!(groups[0].labels, labels);
            }
            (Err(error), Some(expected)) => assert_eq!(error.to_string(), expected),
            (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
        }
    }
}

#[test]
fn files_of_prometheus_read_as_there() {
    let Some(root) = fixtures::folder() else { return };
    let read = |name: &str| {
        let path = root.join("discovery/discovery/file/fixtures").join(name);
        target_groups_from_yaml(&std::fs::read_to_string(path).unwrap())
    };
    assert_eq!(read("valid.yml").unwrap().len(), 2);
    assert_eq!(read("valid.yml").unwrap(), read("valid3.yml").unwrap());
    assert_eq!(read("valid2.yml").unwrap().len(), 3);
    assert_eq!(read("invalid_nil.yml").unwrap_err().to_string(), "nil target group item found");
    let path = root.join("config/config/testdata/static_config.bad.yml");
    let bad = as_list(&std::fs::read_to_string(path).unwrap());
    assert!(target_groups_from_yaml(&bad).is_err());
}

#[test]
fn what_is_no_list_of_groups_is_refused() {
    for (text, error) in [
        ("a: b\n", "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!map into []*targetgroup.Group"),
        (
            "- foo\n",
            "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `foo` into struct { Targets []string \"yaml:\\\"targets\\\"\"; Labels model.LabelSet \"yaml:\\\"labels\\\"\" }",
        ),
        ("- labels: {'': x}\n", "\"\" is not a valid label name"),
        ("- {", "yaml: line 1: did not find expected node content"),
    ] {
        assert_eq!(target_groups_from_yaml(text).unwrap_err().to_string(), error);
    }
    assert_eq!(target_groups_from_yaml("").unwrap(), Vec::new());
}
