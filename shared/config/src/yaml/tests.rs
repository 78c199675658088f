use proptest::prelude::*;

use super::emit::redacted;
use super::*;

/// A document as nested text, aliases resolved: what two spellings of one document have in common.
fn outline(document: &Document, id: NodeId) -> String {
    match &document.target(id).kind {
        Kind::Scalar { value, plain, tag } => {
            format!("{value:?}{}{tag:?}", u8::from(*plain && value.is_empty()))
        }
        Kind::Sequence(items) => {
            let items: Vec<String> = items.iter().map(|item| outline(document, *item)).collect();
            format!("[{}]", items.join(","))
        }
        Kind::Mapping(entries) => {
            let entry =
                |(k, v): &(NodeId, NodeId)| format!("{}:{}", outline(document, *k), outline(document, *v));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
        }
        Kind::Alias(_) => unreachable!("targets are no aliases"),
    }
}

fn outlined(text: &str) -> String {
    let document = Document::parse(text).unwrap();
    document.root().map(|root| outline(&document, root)).unwrap_or_default()
}

fn redact(text: &str) -> String {
    redacted(&Document::parse(text).unwrap())
}

#[test]
fn nodes_know_where_they_begin() {
    let document = Document::parse("a:\n  - b: 'x'\n  - |\n    text\n").unwrap();
    let places = |document: &Document| -> Vec<(usize, usize)> {
        document.nodes.iter().map(|node| (node.line, node.column)).collect()
    };
    assert_eq!(places(&document), [(1, 1), (1, 1), (2, 3), (2, 5), (2, 5), (2, 8), (3, 5)]);
    // A scalar begins with its anchor or tag, or with the sign of its style.
    let document = Document::parse("é: &x y\nb: !!str >- # | c\n\n    ü\nc: # >\n  |\n  z\n").unwrap();
    assert_eq!(places(&document)[1..], [(1, 1), (1, 4), (2, 1), (2, 4), (5, 1), (6, 3)]);
}

#[test]
fn only_the_first_document_counts() {
    assert_eq!(outlined("a: 1\n---\nb: 2\n"), outlined("a: 1\n"));
    assert_eq!(outlined("\u{feff}a: 1\n"), outlined("a: 1\n"));
    assert!(Document::parse("# nothing\n").unwrap().root().is_none());
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Document::parse(&nested(DEPTH_MAX)).is_ok());
    let error = Document::parse(&nested(DEPTH_MAX + 1)).unwrap_err();
    assert_eq!(error, format!("yaml: line 1: exceeded max depth of {DEPTH_MAX}"));
    assert!(Document::parse(&nested(100_000)).is_err());
    assert!(Document::parse(&"- ".repeat(100_000)).is_err());
}

#[test]
fn an_anchor_may_not_contain_itself() {
    assert!(Document::parse("a: &x [*x]\n").unwrap_err().contains("contains itself"));
    assert_eq!(Document::parse("a: *x\n").unwrap_err(), "yaml: unknown anchor 'x' referenced");
}

#[test]
fn a_chain_of_aliases_is_dropped_without_recursion() {
    let mut text = String::from("a0: &a0 [x]\n");
    for n in 1..50_000 {
        text.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
    }
    assert!(Document::parse(&text).is_ok());
}

#[test]
fn secrets_are_replaced_in_every_style() {
    for secret in [
        "password: hunter2",
        "password: 'hunter2'",
        "password: \"hun\\x74er2\"",
        "password: |\n    hunter2\n    hunter2",
        "password: >-\n    hunter2\n\n    hunter2",
        "password: hunter2\n    hunter2",
        "password: !!str hunter2",
        "password: !!binary aHVudGVyMg==",
        "password: &p hunter2",
        "? password\n  : hunter2",
        "\"pass\\x77ord\": hunter2",
        "password: [hunter2]",
        "password: {a: hunter2} # hunter2",
        "<<: {password: hunter2}",
    ] {
        let text = format!("# hunter2\nbasic_auth:\n  {secret}\n  username: me # hunter2\n");
        let shown = redact(&text);
        assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{secret}:\n{shown}");
        assert!(shown.contains("<secret>") && shown.contains("username: me"), "{secret}:\n{shown}");
        Document::parse(&shown).unwrap();
    }
}

#[test]
fn a_secret_elsewhere_is_not_carried_by_its_anchor() {
    let shown = redact("basic_auth:\n  password: &p hunter2\n  username: *p\nbearer_token: *p\n");
    assert_eq!(shown, "basic_auth:\n  password: &a1 <secret>\n  username: *a1\nbearer_token: <secret>\n");
}

#[test]
fn an_empty_secret_is_no_secret() {
    assert_eq!(redact("password: ''\ntoken:\n"), "password: \"\"\ntoken: \n");
}

#[test]
fn what_is_shown_means_what_was_read() {
    let text = r#"
global: {scrape_interval: 15s, external_labels: {a: 'yes', "b\tc": "x # y", d: "", e: ~}}
rule_files: ["a*.yml", 'it''s', -plain, []]
anchors:
- &one
  - x
  - - y
    - {z: 1}
- *one
- <<: &two {k: v}
  *one : 2
text: |+
  a

   b

folded: >
  c
  d
multi: e
  f

  g
? |
  block key
: !!int "5"
odd: "\u2028\ud83d\ude00\e"
"#;
    let text = text.replace("\\ud83d\\ude00", "\\U0001F600");
    assert_eq!(outlined(&redact(&text)), outlined(&text), "{}", redact(&text));
}

/// Some value of a configuration, as YAML in flow style.
fn value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        "[a-z]{1,8}",
        "[ -~]{0,12}".prop_map(|text| format!("'{}'", text.replace('\'', "''"))),
        "\\PC{0,8}".prop_map(|text| format!("'{}'", text.replace('\'', "''"))),
        Just("~".to_owned()),
        Just("\"a\\nb\\tc\\\\\"".to_owned()),
    ];
    scalar.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::vec(("[a-j]{1,3}", inner), 0..4).prop_map(|entries| {
                let entries: Vec<String> = entries.iter().map(|(k, v)| format!("{k}: {v}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_is_shown_as_it_was_read(text in value()) {
        let text = format!("root: {text}\n");
        prop_assert_eq!(outlined(&redact(&text)), outlined(&text));
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "[-a-c:,\\[\\]{}&*!|>'\"%#? \n\t]{0,60}") {
        if let Ok(document) = Document::parse(&text) {
            let shown = redacted(&document);
            prop_assert!(shown.len() <= 64 + 40 * text.len());
        }
    }
}
