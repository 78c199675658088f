//! `foxfire test promql`, `foxfire promql format` and `foxfire promql explain`, as users call them.

use std::fs;
use std::process::{Command, Output};

fn foxfire(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foxfire")).args(arguments).output().expect("foxfire runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn test_files_pass_or_say_what_was_expected_and_what_came() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.test");
    let path = file.to_string_lossy().into_owned();
    fs::write(&file, "load 1m\n  a 1 2 3\n\neval instant at 2m sum_over_time(a[2m])\n  {} 5\n")
        .expect("a file");
    let output = foxfire(&["test", "promql", &path]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), format!("{path}: SUCCESS: 1 passed, 0 failed\n"));
    fs::write(&file, "load 1m\n  a 1 2 3\n\neval instant at 2m sum_over_time(a[2m])\n  {} 6\n")
        .expect("a file");
    let output = foxfire(&["test", "promql", &path]);
    assert!(!output.status.success());
    let expected = format!("{path}:4: sum_over_time(a[2m])\n    expected 6 for {{}}, got 5\n");
    assert_eq!(text(&output.stderr), expected);
    assert_eq!(text(&output.stdout), format!("{path}: FAILED: 0 passed, 1 failed\n"));
    let output = foxfire(&["test", "promql", "no/such/file"]);
    assert!(!output.status.success());
}

#[test]
fn an_expression_is_formatted_or_refused() {
    let output = foxfire(&["promql", "format", "sum by(job)(rate(a_total{x='1'}[5m]))"]);
    assert_eq!(text(&output.stdout), "sum by (job) (rate(a_total{x=\"1\"}[5m]))\n");
    let output = foxfire(&["promql", "format", "sum("]);
    assert!(!output.status.success());
    assert_eq!(text(&output.stderr), "foxfire: 1:5: parse error: unclosed left parenthesis\n");
}

#[test]
fn an_explanation_says_what_is_read() {
    let arguments =
        ["promql", "explain", "sum by (job) (rate(a[5m] offset 1m)) / 2", "--start", "600", "--end", "1200"];
    let output = foxfire(&arguments);
    let expected = "\
evaluated from 600000 ms (1970-01-01T00:10:00Z) to 1200000 ms (1970-01-01T00:20:00Z) every 60000 ms
  operators from left to right
    sum by (job)
      Rate
        300000 ms of #0 60000 ms earlier
    /
    number 2
reads
  #0 {__name__=\"a\"}
     from 240001 ms (1970-01-01T00:04:00.001Z) to 1140000 ms (1970-01-01T00:19:00Z)
     for rate
";
    assert_eq!(text(&output.stdout), expected, "{output:?}");
}
