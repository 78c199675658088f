use proptest::prelude::*;

use super::*;

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
