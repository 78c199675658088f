//! Groups: recording rules, order, failures, ends.

use std::collections::BTreeMap;

use config::RecordingRule;
use serde_json::Value as Json;

use super::*;
use crate::testing::{EmptyStore, MemoryStore, Script, Selector, StepClock, Vector, block_on};

const TICK: i64 = 10_000_000;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

fn recording(record: &str, expr: &str, of_rule: &[(&str, &str)]) -> Rule {
    Rule::Recording(RecordingRule {
        record: record.to_owned(),
        expr: expr.to_owned(),
        labels: labels(of_rule),
    })
}

fn group(rules: Vec<Rule>) -> RuleGroup {
    let labels = Labels::empty();
    RuleGroup { name: "g".to_owned(), interval: None, query_offset: None, limit: 0, labels, rules }
}

fn evaluate(
    group: &RuleGroup,
    tick: i64,
    previous: &RuleGroupState,
    store: &dyn Queryable,
    runner: &dyn QueryRunner,
) -> GroupEvaluation {
    let (clock, external_labels) = (StepClock::default(), Labels::empty());
    let context = RuleContext {
        external_labels: &external_labels,
        external_url: "",
        query_offset: Duration::ZERO,
        evaluation_interval: Duration::from_secs(60),
        resend_delay: Duration::from_secs(60),
        clock: &clock,
    };
    block_on(evaluate_group(group, "f.yml", tick, previous, store, runner, &context))
}

fn series(scrape: &Scrape) -> Vec<(String, f64)> {
    scrape.samples.iter().map(|sample| (sample.labels.to_string(), sample.value)).collect()
}

/// `labels.FromStrings("a", "b")` of the fixtures.
fn go_labels(json: &Json) -> Labels {
    let text = json["go"].as_str().unwrap();
    let quoted: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
    quoted.chunks(2).map(|pair| (pair[0], pair[1])).collect()
}

fn table(file: &str) -> Option<Json> {
    let text = std::fs::read_to_string(fixtures::folder()?.join("rules/json").join(file)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

#[test]
fn recording_rules_of_prometheus_cases() {
    let Some(tables) = table("recording_rule_eval.json") else { return };
    let base = [("1", "3", 1.0), ("2", "4", 10.0)];
    let named = base.map(|(a, b, v)| (labels(&[("__name__", "metric"), ("label_a", a), ("label_b", b)]), v));
    let summed = base.map(|(a, b, v)| (labels(&[("label_a", a), ("label_b", b)]), 2.0 * v));
    let rows = tables[0]["rows"].as_array().unwrap();
    for row in rows {
        let vector = if row["expr"]["go"] == "exprWithMetricName" { named.to_vec() } else { summed.to_vec() };
        let of_rule = go_labels(&row["ruleLabels"]);
        let of_rule: Vec<(&str, &str)> = of_rule.iter().collect();
        let group = group(vec![recording("test_rule", "e", &of_rule)]);
        let runner = Script::answering("e", vector);
        let evaluation = evaluate(&group, TICK, &RuleGroupState::default(), &EmptyStore, &runner);
        let expected: BTreeMap<Labels, f64> = row["expected"]
            .as_object()
            .unwrap()
            .values()
            .map(|sample| (go_labels(&sample["Metric"]), sample["F"].as_f64().unwrap()))
            .collect();
        let got = evaluation.scrapes[0]
            .samples
            .iter()
            .map(|sample| (sample.labels.clone(), sample.value))
            .collect();
        assert_eq!(expected, got, "{}", row["name"]);
        assert_eq!(evaluation.scrapes[0].timestamp, TICK);
    }
    assert_eq!(rows.len(), 4);
}

#[test]
fn recording_limits_of_prometheus_cases() {
    let Some(tables) = table("recording_rule_eval.json") else { return };
    let mut checked = 0;
    for row in tables[1]["rows"].as_array().unwrap() {
        let Some(limit) = row["limit"].as_u64() else { continue };
        let group = RuleGroup { limit, ..group(vec![recording("r", "e", &[])]) };
        let runner = Script::answering("e", vec![(labels(&[("l", "1")]), 1.0), (labels(&[("l", "2")]), 1.0)]);
        let evaluation = evaluate(&group, TICK, &RuleGroupState::default(), &EmptyStore, &runner);
        assert_eq!(evaluation.state.rules[0].last_error.as_deref(), row["err"].as_str());
        checked += 1;
    }
    assert_eq!(checked, 3);
}

#[test]
fn equal_label_sets_after_relabelling_are_an_error() {
    let group = group(vec![recording("r", "e", &[("l", "same")])]);
    let runner = Script::answering("e", vec![(labels(&[("l", "1")]), 1.0), (labels(&[("l", "2")]), 1.0)]);
    let evaluation = evaluate(&group, TICK, &RuleGroupState::default(), &EmptyStore, &runner);
    assert_eq!(
        evaluation.state.rules[0].last_error.as_deref(),
        Some("vector contains metrics with the same labelset after applying rule labels")
    );
    assert!(evaluation.scrapes.is_empty());
}

#[test]
fn a_later_rule_sees_what_an_earlier_one_gave_and_what_it_ended() {
    let store = MemoryStore(vec![
        (labels(&[("__name__", "up"), ("i", "a")]), vec![(TICK, 1.0)]),
        (labels(&[("__name__", "first"), ("i", "a")]), vec![(TICK - 60_000, 5.0)]),
        (labels(&[("__name__", "first"), ("i", "gone")]), vec![(TICK - 60_000, 6.0)]),
        (labels(&[("__name__", "first"), ("i", "elsewhere")]), vec![(TICK - 59_000, 7.0)]),
    ]);
    let group = group(vec![recording("first", "up", &[]), recording("second", "first", &[])]);
    let mut previous = evaluate(&group, TICK - 60_000, &RuleGroupState::default(), &store, &Selector).state;
    previous.rules[0].last_written = TICK - 60_000;
    let evaluation = evaluate(&group, TICK, &previous, &store, &Selector);
    assert_eq!(series(&evaluation.scrapes[0]), [(r#"{__name__="first", i="a"}"#.to_owned(), 1.0)]);
    assert_eq!(
        series(&evaluation.scrapes[1]),
        [
            (r#"{__name__="second", i="a"}"#.to_owned(), 1.0),
            (r#"{__name__="second", i="elsewhere"}"#.to_owned(), 7.0)
        ]
    );
}

#[test]
fn a_failing_rule_keeps_its_series_and_stops_nobody() {
    let group = group(vec![recording("bad", "b", &[]), recording("good", "g", &[])]);
    let mut runner = Script::answering("g", vec![(Labels::empty(), 3.0)]);
    runner.by_expr.insert("b".to_owned(), Err("query timed out in expression evaluation".to_owned()));
    let evaluation = evaluate(&group, TICK, &RuleGroupState::default(), &EmptyStore, &runner);
    assert_eq!(evaluation.scrapes.len(), 1);
    assert_eq!(evaluation.scrapes[0].source, rule_sources("f.yml", &group)[1]);
    let [bad, good] = evaluation.state.rules.as_slice() else { panic!("two rules") };
    assert_eq!(bad.last_error.as_deref(), Some("query timed out in expression evaluation"));
    assert_eq!((bad.health().as_str(), good.health().as_str()), ("err", "ok"));
    assert_eq!((bad.last_written, good.last_written), (0, TICK));
    assert_eq!(bad.evaluation_seconds, 1.0);
}

#[test]
fn of_two_rules_that_give_one_series_the_first_wins() {
    let group = group(vec![recording("r", "one", &[]), recording("r", "two", &[])]);
    let mut runner = Script::answering("one", vec![(Labels::empty(), 1.0)]);
    runner.by_expr.insert("two".to_owned(), Ok(vec![(Labels::empty(), 2.0), (labels(&[("l", "x")]), 2.0)]));
    let evaluation = evaluate(&group, TICK, &RuleGroupState::default(), &EmptyStore, &runner);
    assert_eq!(series(&evaluation.scrapes[1]), [(r#"{__name__="r", l="x"}"#.to_owned(), 2.0)]);
    assert_eq!(
        evaluation.state.rules[1].last_error.as_deref(),
        Some("duplicate sample for timestamp 10000000; overrides not allowed: existing 1, new value 2")
    );
}

#[test]
fn rules_and_groups_that_are_gone_end_their_series() {
    let one: Vector = vec![(Labels::empty(), 1.0)];
    let runner = Script { any: one, ..Script::default() };
    let before = group(vec![recording("a", "1", &[]), recording("b", "1", &[])]);
    let first = evaluate(&before, TICK, &RuleGroupState::default(), &EmptyStore, &runner);
    let after = group(vec![recording("b", "1", &[])]);
    let second = evaluate(&after, TICK + 60_000, &first.state, &EmptyStore, &runner);
    assert_eq!(second.scrapes.len(), 2);
    assert_eq!(second.scrapes[0].source, rule_sources("f.yml", &before)[1]);
    assert_eq!(second.scrapes[1].source, rule_sources("f.yml", &before)[0]);
    assert!(second.scrapes[1].samples.is_empty());
    let third = evaluate(&after, TICK + 120_000, &second.state, &EmptyStore, &runner);
    assert_eq!(third.scrapes.len(), 1, "an end is written once");
    let end = end_group(&third.state, TICK + 180_000);
    assert_eq!(end.len(), 1);
    assert_eq!((end[0].source, end[0].timestamp), (third.scrapes[0].source, TICK + 180_000));
    assert!(end[0].samples.is_empty());
}

#[test]
fn missed_iterations_are_counted() {
    let group = group(vec![]);
    let runner = Script::default();
    let mut state = RuleGroupState::default();
    for tick in [TICK, TICK + 60_000, TICK + 240_000] {
        state = evaluate(&group, tick, &state, &EmptyStore, &runner).state;
    }
    assert_eq!((state.iterations_scheduled, state.iterations_missed), (5, 2));
    assert_eq!((state.last_tick, state.last_evaluation, state.v), (TICK + 240_000, 7_000_000, 1));
}

#[test]
fn an_evaluation_is_a_pure_function() {
    let group = group(vec![recording("a", "1", &[]), recording("b", "1", &[])]);
    let runner = Script { any: vec![(labels(&[("l", "x")]), f64::INFINITY)], ..Script::default() };
    let run = || evaluate(&group, TICK, &RuleGroupState::default(), &EmptyStore, &runner);
    assert_eq!(run(), run());
}

#[test]
fn an_alert_on_a_recorded_series_follows_it_through_the_engine() {
    let up = |instance: &str, until: i64| {
        let points: Vec<(i64, f64)> = (0..until).map(|i| (TICK + i * 30_000, 1.0)).collect();
        (labels(&[("__name__", "up"), ("instance", instance), ("job", "node")]), points)
    };
    // `b` goes silent without a stale marker, so it counts for almost 5 more minutes: until 9:29.999.
    let mut store = MemoryStore(vec![up("a", 100), up("b", 10)]);
    let alert = Rule::Alerting(config::AlertingRule {
        alert: "TooFew".to_owned(),
        expr: "job:up:count < 2".to_owned(),
        hold_duration: Duration::from_secs(60),
        keep_firing_for: Duration::ZERO,
        labels: Vec::new(),
        annotations: vec![(
            "summary".to_owned(),
            "{{ $labels.job }}: {{ $value }} of {{ query \"count(up offset 5m)\" | first | value }}"
                .to_owned(),
        )],
    });
    let group = group(vec![recording("job:up:count", "count by (job) (up)", &[]), alert]);
    let runner = crate::EngineRunner {
        engine: promql::EngineOptions::default(),
        timeout: Duration::from_secs(100_000),
        clock: Arc::new(StepClock::default()),
    };
    let mut state = RuleGroupState::default();
    let mut seen = Vec::new();
    for minute in 0..14 {
        let evaluation = evaluate(&group, TICK + minute * 60_000, &state, &store, &runner);
        for scrape in &evaluation.scrapes {
            for sample in &scrape.samples {
                let at = (scrape.timestamp, sample.value);
                match store.0.iter_mut().find(|(labels, _)| *labels == sample.labels) {
                    Some((_, points)) => points.push(at),
                    None => store.0.push((sample.labels.clone(), vec![at])),
                }
            }
        }
        state = evaluation.state;
        assert!(state.rules.iter().all(|rule| rule.last_error.is_none()), "{state:?}");
        seen.push(state.rules[1].alerting_state());
        if let Some(alert) = evaluation.alerts.first() {
            assert!(alert.annotations.0[0].1.starts_with("node: 1 of "), "{alert:?}");
        }
    }
    let expected = [&["inactive"; 10][..], &["pending"], &["firing"; 3]].concat();
    assert_eq!(seen, expected);
}

/// Answers whatever it is asked with one histogram.
struct OneHistogram;

impl QueryRunner for OneHistogram {
    fn instant<'a>(&'a self, _: &'a str, at_ms: i64, _: &'a dyn Queryable) -> crate::QueryFuture<'a> {
        let histogram = model::FloatHistogram { count: 2.0, ..model::FloatHistogram::default() };
        let mut sample = promql::VectorSample::float(labels(&[("l", "x")]), at_ms, 0.0);
        sample.histogram = Some(Arc::new(histogram));
        Box::pin(std::future::ready(Ok(vec![sample])))
    }
}

#[test]
fn recorded_histograms_are_written_as_histograms() {
    let group = group(vec![recording("test_rule", "e", &[])]);
    let evaluation = evaluate(&group, TICK, &RuleGroupState::default(), &EmptyStore, &OneHistogram);
    let scrape = &evaluation.scrapes[0];
    assert!(scrape.samples.is_empty());
    assert_eq!(scrape.histograms[0].labels, labels(&[("__name__", "test_rule"), ("l", "x")]));
    assert_eq!(scrape.histograms[0].value.count, 2.0);
}
