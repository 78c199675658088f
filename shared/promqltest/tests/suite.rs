//! Prometheus's own test files, as text, and what scripts may not say.

#![allow(clippy::print_stdout, reason = "a failing eval is printed")]

use std::fs;

use promqltest::run;

/// All evals of the suite.
const EVALS: usize = 2_214;

#[test]
fn all_test_files_of_prometheus_pass() {
    let Some(folder) = fixtures::folder() else { return };
    let folder = folder.join("promql/promql/promqltest/testdata");
    let (mut passed, mut failed) = (0, 0);
    for file in fs::read_dir(&folder).expect("the folder is there") {
        let path = file.expect("a file").path();
        let report = run(&fs::read_to_string(&path).expect("a text")).expect("a script");
        for failure in &report.failures {
            println!("{}:{}: {}: {}", path.display(), failure.line, failure.query, failure.message);
        }
        passed += report.passed;
        failed += report.failures.len();
    }
    assert_eq!((passed, failed), (EVALS, 0));
}

#[test]
fn what_is_not_as_expected_fails_with_what_was_expected_and_what_came() {
    let report = run("load 1m\n  a 1 2\n\neval instant at 1m a\n  a 3\n\neval instant at 1m a\n  a 2\n")
        .expect("a script");
    assert_eq!((report.passed, report.failures.len()), (1, 1));
    assert_eq!(report.failures[0].line, 4);
    assert_eq!(report.failures[0].message, "expected 3 for {__name__=\"a\"}, got 2");
}

#[test]
fn what_is_no_script_is_refused_with_its_line() {
    for (script, line) in [
        ("clear\nlaod 1m", 2),
        ("load x", 1),
        ("load 1m\n a 1x99999999999999", 2),
        ("load 1m\n a {{schema:1 schema:2}}", 2),
        ("eval instant at 1m sum(", 1),
        ("eval instant at 1m a\n a 1 2", 2),
        ("eval range from 2m to 1m step 1m a", 1),
        ("load 1m\n a@st -1m\n b 1", 3),
    ] {
        let error = run(script).expect_err(script);
        assert_eq!(error.line, line, "{script}: {error}");
    }
}
