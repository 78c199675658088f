//! Hostile expressions end in an error within the limits, and never in anything worse.

use promql::{EngineOptions, QueryError, QueryTime};
use promqltest::{Command, Store, options, parse};

fn store() -> Store {
    let mut script = String::from("load 10s\n");
    for n in 0..200 {
        script += &format!("  a{{n=\"{n}\"}} 0+{n}x60\n  b{{n=\"{n}\"}} 1x60\n");
    }
    let mut store = Store::default();
    for command in parse(&script).expect("a script") {
        if let Command::Load(load) = command {
            store.load(&load).expect("samples");
        }
    }
    store
}

fn ask(query: &str, samples_max: u64) -> Result<(), QueryError> {
    let time = QueryTime::Range { start: 0, end: 600_000, step: 10_000 };
    let options = EngineOptions { samples_max, ..options() };
    store().query(query, time, &options).map(|_| ())
}

#[test]
fn what_nests_too_deep_is_refused() {
    for (open, close) in
        [("(", ")"), ("-(", ")"), ("sum(", ")"), ("abs(", ")"), ("(", "[5m:1m])"), ("{", "}"), ("[", "]")]
    {
        let query = open.repeat(20_000) + "a" + &close.repeat(20_000);
        assert!(matches!(ask(&query, 1_000), Err(QueryError::Parse(_))), "{open}");
        assert!(matches!(ask(&open.repeat(20_000), 1_000), Err(QueryError::Parse(_))), "{open}");
    }
}

#[test]
fn chains_may_be_long() {
    assert_eq!(ask(&("1".to_owned() + &"+1".repeat(20_000)), 1_000), Ok(()));
    assert_eq!(ask(&("1".to_owned() + &"^1".repeat(100)), 1_000), Ok(()));
}

#[test]
fn huge_numbers_are_numbers_or_errors() {
    for query in
        ["1e309", "a[99999999999y]", "a offset 9999999999y", "a @ 1e300", "a[5m:0]", "topk(1e300, a)"]
    {
        assert!(ask(query, 1_000_000).is_err(), "{query}");
    }
    assert_eq!(ask("a @ 9223372036854775", 1_000_000), Ok(()));
    assert!(ask("rate(a[290y]) offset -290y", 1_000_000).is_err());
}

#[test]
fn exploding_regexes_are_refused_or_answered() {
    for pattern in
        ["(a{1000}){1000}", "((a*)*)*b", "(.*)(.*)(.*)(.*)x", "a{1001}", "((((a{30}){30}){30}){30})"]
    {
        // Either is right; what matters is that there is an answer.
        drop(ask(&format!("a{{n=~\"{pattern}\"}}"), 1_000_000));
        drop(ask(&format!("label_replace(a, \"x\", \"$1\", \"n\", \"{pattern}\")"), 1_000_000));
    }
}

#[test]
fn what_explodes_is_stopped_by_the_limit_of_samples() {
    for query in [
        "a",
        "sum_over_time(a[10m:1ms])",
        "count_over_time((1 + 0 * b)[1y:1s])",
        "a * on () group_left () b",
        "count_values(\"v\", a)",
    ] {
        let error = ask(query, 100).expect_err(query);
        let limit = error == QueryError::TooManySamples || error.to_string().contains("many-to-many");
        assert!(limit, "{query}: {error}");
    }
}
