use super::*;

#[test]
fn labels_travel_as_ordered_pairs() {
    let labels = Labels::from_pairs([("job", "node"), ("__name__", "up")]);
    let wire = WireLabels::from(&labels);
    assert_eq!(encode(&wire), br#"[["__name__","up"],["job","node"]]"#);
    assert_eq!(Labels::from(&wire), labels);
}

#[test]
fn a_head_of_format_1_reads_for_ever() {
    let head: Head = decode("head", br#"{"v":1,"manifest":"manifest/01","watermark":7}"#).unwrap();
    assert_eq!(head, Head { v: 1, manifest: Some("manifest/01".to_owned()), watermark: 7 });
}
