use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn labels(value: &Value) -> Labels {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect()
}

#[test]
fn hashes_and_texts_are_those_of_prometheus() {
    let Some(cases) = fixtures::json("labels/json/labels_hash_golden.json") else { return };
    let mut checked = 0;
    for case in cases.as_array().unwrap() {
        // Some values there are not UTF-8.
        if !case["labels"].as_object().unwrap().values().all(Value::is_string) {
            continue;
        }
        let labels = labels(&case["labels"]);
        assert_eq!(labels.hash(), case["hash"].as_u64().unwrap(), "{labels}");
        assert_eq!(labels.to_string(), case["string"].as_str().unwrap());
        checked += 1;
    }
    assert_eq!(checked, 840);
}

#[test]
fn order_is_that_of_prometheus() {
    let Some(cases) = fixtures::json("labels/json/TestLabels_Compare_tests.json") else { return };
    let base = Labels::from_pairs([("aaa", "111"), ("bbb", "222")]);
    for case in cases.as_array().unwrap() {
        let expected = case["expected"].as_i64().unwrap().cmp(&0);
        assert_eq!(base.cmp(&labels(&case["compared"])), expected, "{case}");
    }
}

#[test]
fn a_builder_does_what_prometheus_s_does() {
    let Some(cases) = fixtures::json("labels/json/TestBuilder_range.json") else { return };
    for case in cases.as_array().unwrap() {
        let names = |key: &str| -> Vec<String> {
            let names = case[key].as_array().into_iter().flatten();
            names.map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        let mut builder = labels(&case["base"]).to_builder();
        for set in case["set"].as_array().into_iter().flatten() {
            builder.set(set["Name"].as_str().unwrap(), set["Value"].as_str().unwrap());
        }
        let keep = names("keep");
        if !keep.is_empty() {
            builder.retain(|name, _| keep.iter().any(|kept| kept == name));
        }
        for name in names("del") {
            builder.remove(&name);
        }
        assert_eq!(builder.build(), labels(&case["want"]), "{case}");
    }
}

#[test]
fn names_are_quoted_as_go_quotes_them() {
    let Some(cases) = fixtures::json("misc/json/quotetests.json") else { return };
    for case in cases.as_array().unwrap() {
        if let Some(text) = case["in"].as_str() {
            assert_eq!(quote(text), case["out"].as_str().unwrap());
        }
    }
    // What Go does not print is escaped, and nothing else.
    let text = "\u{7f}\u{80}\u{a0}\u{ad}\u{200b}\u{2028}\u{e000}\u{feff}\u{fffd}\u{378}\u{1f600}\u{e0001}";
    let quoted = r#""\x7f\u0080\u00a0\u00ad\u200b\u2028\ue000\ufeff\ufffd\u0378😀\U000e0001""#;
    assert_eq!(quote(text), quoted.replace("\\ufffd", "\u{fffd}"));
}

#[test]
fn label_sets_are_subset_as_in_prometheus() {
    let Some(cases) = fixtures::json("labels/json/TestLabels_MatchLabels_tests.json") else { return };
    let all = Labels::from_pairs([
        ("__name__", "ALERTS"),
        ("alertname", "HTTPRequestRateLow"),
        ("alertstate", "pending"),
        ("instance", "0"),
        ("job", "app-server"),
        ("severity", "critical"),
    ]);
    for case in cases.as_array().unwrap() {
        let names: Vec<&str> =
            case["providedNames"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let on = case["on"].as_bool().unwrap();
        let found = if on { all.project(&names) } else { all.without(&names).without(&[METRIC_NAME]) };
        assert_eq!(found, labels(&case["expected"]), "{case}");
    }
}

#[test]
fn an_empty_value_is_an_absent_label() {
    let labels = Labels::from_pairs([("b", ""), ("a", "1")]);
    assert_eq!(labels, Labels::from_pairs([("a", "1")]));
    assert_eq!((labels.value("b"), labels.get("b")), ("", None));
}

#[test]
fn display_quotes_what_needs_quoting() {
    let labels = Labels::from_pairs([("__name__", "up"), ("path", "C:\\\"x\"\n"), ("my.label", "é")]);
    assert_eq!(labels.to_string(), r#"{__name__="up", "my.label"="é", path="C:\\\"x\"\n"}"#);
}

#[test]
fn order_is_label_by_label_and_the_shorter_set_first() {
    let sets = [&[][..], &[("a", "1")], &[("a", "1"), ("b", "1")], &[("a", "2")], &[("b", "0")]];
    let sets: Vec<Labels> = sets.iter().map(|pairs| Labels::from_pairs(pairs.iter().copied())).collect();
    assert!(sets.is_sorted());
}

proptest! {
    #[test]
    fn a_set_gives_back_what_it_was_made_of(
        pairs in proptest::collection::btree_map("\\PC{1,70}", "\\PC{1,9000}", 0..6)
    ) {
        let labels = Labels::from_pairs(pairs.clone());
        prop_assert_eq!(labels.len(), pairs.len());
        prop_assert!(labels.iter().eq(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))));
        prop_assert_eq!(labels.to_builder().build(), labels);
    }
}
