//! What is wrong is said as Prometheus says it, with its position, and the program exits non-zero.

use e2e::{Foxfire, serve_once};
use serde_json::Value;
use tempfile::TempDir;

fn error_of(foxfire: &Foxfire, path: &str) -> (u16, String, String) {
    let (status, body) = foxfire.get(path);
    let answer: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"));
    let field = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    (status, field("errorType"), field("error"))
}

/// The texts are those of Prometheus 3.14 for the same requests.
#[test]
fn bad_requests_get_prometheus_errors() {
    let foxfire = Foxfire::start("scrape_configs: []\n", &[], &[]);
    let range = "/api/v1/query_range?query=up";
    for (path, status, kind, message) in [
        (
            "/api/v1/query?query=sum(up",
            400,
            "bad_data",
            r#"invalid parameter "query": 1:7: parse error: unclosed left parenthesis"#,
        ),
        (
            "/api/v1/query?query=foo(up)",
            400,
            "bad_data",
            r#"invalid parameter "query": 1:1: parse error: unknown function with name "foo""#,
        ),
        (
            "/api/v1/query?query=rate(up)",
            400,
            "bad_data",
            r#"invalid parameter "query": 1:6: parse error: expected type range vector in call to function "rate", got instant vector"#,
        ),
        (
            "/api/v1/query?query=up&time=yesterday",
            400,
            "bad_data",
            r#"invalid parameter "time": invalid time value for 'time': cannot parse "yesterday" to a valid timestamp"#,
        ),
        (
            "/api/v1/query?query=up&timeout=soon",
            400,
            "bad_data",
            r#"invalid parameter "timeout": cannot parse "soon" to a valid duration"#,
        ),
        (
            &format!("{range}&start=10&end=5&step=1"),
            400,
            "bad_data",
            r#"invalid parameter "end": end timestamp must not be before start time"#,
        ),
        (
            &format!("{range}&start=1&end=5&step=0"),
            400,
            "bad_data",
            r#"invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer"#,
        ),
        (
            &format!("{range}&start=0&end=100000&step=1"),
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        (
            "/api/v1/query_range?query=up[5m]&start=1&end=5&step=1",
            400,
            "bad_data",
            r#"invalid parameter "query": invalid expression type "range vector" for range query, must be Scalar or instant Vector"#,
        ),
        ("/api/v1/series", 400, "bad_data", "no match[] parameter provided"),
        (
            "/api/v1/rules?type=other",
            400,
            "bad_data",
            r#"invalid parameter "type": not supported value "other""#,
        ),
    ] {
        let expected = (status, kind.to_owned(), message.to_owned());
        assert_eq!(error_of(&foxfire, path), expected, "{path}");
    }
    assert_eq!(foxfire.get("/api/v1/nonsense").0, 404);
}

fn refused(arguments: &[&str], files: &[(&str, &str)]) -> String {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let output = serve_once(arguments, folder.path());
    assert!(!output.status.success(), "{arguments:?} must fail");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_bad_configuration_is_refused_at_the_start_with_its_position() {
    let serve = ["serve", "--config.file=prometheus.yml", "--web.listen-address=127.0.0.1:0"];
    let error = refused(&serve, &[]);
    assert!(error.contains("open prometheus.yml: no such file or directory"), "{error}");
    let error = refused(&serve, &[("prometheus.yml", "global:\n  scrape_intervall: 5s\n")]);
    assert!(error.contains("line 2: field scrape_intervall not found in type config.plain"), "{error}");
    let error = refused(
        &serve,
        &[
            ("prometheus.yml", "rule_files: [r.yml]\n"),
            ("r.yml", "groups:\n- name: g\n  rules:\n  - record: a\n    expr: sum(up\n"),
        ],
    );
    assert!(
        error.contains("could not parse expression: 1:7: parse error: unclosed left parenthesis"),
        "{error}"
    );
}

#[test]
fn check_config_and_check_rules_exit_as_promtool_does() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("good.yml"), "scrape_configs: [{job_name: a}]\n").unwrap();
    std::fs::write(folder.path().join("bad.yml"), "scrape_configs: [{job_name: a}, {job_name: a}]\n")
        .unwrap();
    let good = serve_once(&["check", "config", "good.yml"], folder.path());
    assert_eq!(good.status.code(), Some(0), "{}", String::from_utf8_lossy(&good.stderr));
    assert!(
        String::from_utf8_lossy(&good.stdout)
            .contains("SUCCESS: good.yml is valid prometheus config file syntax")
    );
    let bad = serve_once(&["check", "config", "bad.yml"], folder.path());
    assert_eq!(bad.status.code(), Some(1));
    let error = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(error.contains("found multiple scrape configs with job name \"a\""), "{error}");
}

#[test]
fn wrong_flags_are_refused() {
    let error = refused(&["serve", "--web.listn-address=:1"], &[]);
    assert!(error.contains("--web.listen-address"), "{error}");
    let error = refused(&["serve", "--query.timeout=soon"], &[]);
    assert!(error.contains("not a valid duration string"), "{error}");
}
