//! The life of alerts, tick by tick.

use config::{Rule, RuleGroup};
use serde_json::Value as Json;
use wire::{RuleGroupState, RuleState};

use super::*;
use crate::group::{GroupEvaluation, evaluate_group, unsent_alerts};
use crate::testing::{EmptyStore, Script, StepClock, Vector, block_on};

const MINUTE: i64 = 60_000;
/// A tick far from 0, for 0 means never.
const START: i64 = 1_000 * MINUTE;

fn rule(hold: i64, keep_firing: i64) -> AlertingRule {
    let duration = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap());
    AlertingRule {
        alert: "High".to_owned(),
        expr: "requests > 50".to_owned(),
        hold_duration: duration(hold),
        keep_firing_for: duration(keep_firing),
        labels: vec![("severity".to_owned(), "page".to_owned())],
        annotations: vec![("summary".to_owned(), "{{ $labels.instance }} has {{ $value }}".to_owned())],
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

fn requests(value: f64) -> Vector {
    vec![(labels(&[("__name__", "requests"), ("instance", "a")]), value)]
}

/// A group of one alerting rule, brought from tick to tick.
struct Life {
    group: RuleGroup,
    state: RuleGroupState,
    external_labels: Labels,
    external_url: String,
    query_offset: Duration,
}

impl Life {
    fn of(rule: AlertingRule) -> Self {
        let group = RuleGroup {
            name: "g".to_owned(),
            interval: Some(Duration::from_secs(60)),
            query_offset: None,
            limit: 0,
            labels: Labels::empty(),
            rules: vec![Rule::Alerting(rule)],
        };
        Self {
            group,
            state: RuleGroupState::default(),
            external_labels: Labels::empty(),
            external_url: "http://x".to_owned(),
            query_offset: Duration::ZERO,
        }
    }

    fn with<T>(&self, use_it: impl FnOnce(&RuleContext<'_>) -> T) -> T {
        let clock = StepClock::default();
        use_it(&RuleContext {
            external_labels: &self.external_labels,
            external_url: &self.external_url,
            query_offset: self.query_offset,
            evaluation_interval: Duration::from_secs(15),
            resend_delay: Duration::from_secs(60),
            clock: &clock,
        })
    }

    fn evaluate(&mut self, tick: i64, script: &Script) -> GroupEvaluation {
        let evaluation = self.with(|context| {
            block_on(evaluate_group(&self.group, "f.yml", tick, &self.state, &EmptyStore, script, context))
        });
        self.state = evaluation.state.clone();
        evaluation
    }

    fn tick(&mut self, tick: i64, vector: Vector) -> GroupEvaluation {
        self.evaluate(tick, &Script { any: vector, ..Script::default() })
    }

    fn rule_state(&self) -> &RuleState {
        &self.state.rules[0]
    }
}

/// The samples of `metric` that an evaluation gave.
fn samples(evaluation: &GroupEvaluation, metric: &str) -> Vec<(Labels, f64)> {
    let all = evaluation.scrapes.iter().flat_map(|scrape| &scrape.samples);
    let of_metric = all.filter(|sample| sample.labels.metric_name() == metric);
    of_metric.map(|sample| (sample.labels.clone(), sample.value)).collect()
}

/// The `alertstate` labels of `ALERTS`.
fn states(evaluation: &GroupEvaluation) -> Vec<String> {
    samples(evaluation, "ALERTS").iter().map(|(labels, _)| labels.value("alertstate").to_owned()).collect()
}

#[test]
fn an_alert_is_pending_then_fires_then_is_resolved_and_forgotten() {
    let mut life = Life::of(rule(2 * MINUTE, 0));
    let first = life.tick(START, requests(75.0));
    let expected = labels(&[
        ("__name__", "ALERTS"),
        ("alertname", "High"),
        ("alertstate", "pending"),
        ("instance", "a"),
        ("severity", "page"),
    ]);
    assert_eq!(samples(&first, "ALERTS"), vec![(expected, 1.0)]);
    let since = samples(&first, "ALERTS_FOR_STATE");
    assert_eq!(
        since[0].0.to_string(),
        r#"{__name__="ALERTS_FOR_STATE", alertname="High", instance="a", severity="page"}"#
    );
    assert_eq!(since[0].1, (START / 1000) as f64);
    assert!(first.alerts.is_empty(), "pending alerts are not sent");

    assert_eq!(states(&life.tick(START + MINUTE, requests(80.0))), ["pending"]);
    let firing = life.tick(START + 2 * MINUTE, requests(85.0));
    assert_eq!(states(&firing), ["firing"]);
    let alert = &life.rule_state().alerts.0[0];
    assert_eq!((alert.active_at, alert.fired_at), (START, START + 2 * MINUTE));
    assert_eq!(f64::from_bits(alert.value_bits), 85.0);
    assert_eq!(alert.annotations.0, vec![("summary".to_owned(), "a has 85".to_owned())]);

    let resolved = life.tick(START + 3 * MINUTE, Vec::new());
    assert!(states(&resolved).is_empty());
    assert_eq!(resolved.scrapes.len(), 1, "an empty result ends the series");
    assert_eq!(life.rule_state().alerts.0[0].resolved_at, START + 3 * MINUTE);
    assert_eq!(life.rule_state().alerts.active().count(), 0);

    life.tick(START + 18 * MINUTE, Vec::new());
    assert_eq!(life.rule_state().alerts.0.len(), 1, "kept for 15 minutes");
    life.tick(START + 19 * MINUTE, Vec::new());
    assert!(life.rule_state().alerts.0.is_empty());
}

#[test]
fn a_pending_alert_that_ceases_is_forgotten_at_once() {
    let mut life = Life::of(rule(MINUTE, MINUTE));
    assert_eq!(states(&life.tick(START, requests(75.0))), ["pending"]);
    assert!(states(&life.tick(START + MINUTE, Vec::new())).is_empty());
    assert!(life.rule_state().alerts.0.is_empty());
}

#[test]
fn keep_firing_for_bridges_a_gap() {
    let mut life = Life::of(rule(MINUTE, MINUTE));
    life.tick(START, requests(75.0));
    assert_eq!(states(&life.tick(START + MINUTE, requests(85.0))), ["firing"]);
    assert_eq!(states(&life.tick(START + 2 * MINUTE, Vec::new())), ["firing"]);
    assert_eq!(life.rule_state().alerts.0[0].keep_firing_since, START + 2 * MINUTE);
    assert_eq!(states(&life.tick(START + 2 * MINUTE + 30_000, requests(70.0))), ["firing"]);
    assert_eq!(life.rule_state().alerts.0[0].keep_firing_since, 0, "it holds again");
    assert_eq!(states(&life.tick(START + 3 * MINUTE, Vec::new())), ["firing"]);
    assert!(states(&life.tick(START + 4 * MINUTE, Vec::new())).is_empty());
}

#[test]
fn a_longer_for_makes_a_firing_alert_wait_again() {
    let mut life = Life::of(rule(MINUTE, 0));
    life.tick(START, requests(75.0));
    assert_eq!(states(&life.tick(START + MINUTE, requests(75.0))), ["firing"]);
    life.group.rules = vec![Rule::Alerting(rule(60 * MINUTE, 0))];
    assert_eq!(states(&life.tick(START + 2 * MINUTE, requests(75.0))), ["pending"]);
    let alert = &life.rule_state().alerts.0[0];
    assert_eq!((alert.fired_at, alert.last_sent_at, alert.active_at), (0, 0, START));
    assert_eq!(states(&life.tick(START + 60 * MINUTE, requests(75.0))), ["firing"]);
}

#[test]
fn a_resolved_alert_that_holds_again_starts_anew() {
    let mut life = Life::of(rule(0, 0));
    assert_eq!(states(&life.tick(START, requests(75.0))), ["firing"]);
    life.tick(START + MINUTE, Vec::new());
    let again = life.tick(START + 2 * MINUTE, requests(75.0));
    assert_eq!(again.alerts.len(), 1);
    let alert = &life.rule_state().alerts.0[0];
    assert_eq!((alert.active_at, alert.resolved_at), (START + 2 * MINUTE, 0));
}

#[test]
fn firing_alerts_are_sent_again_after_the_resend_delay_and_resolved_ones_at_once() {
    let mut life = Life::of(rule(0, 0));
    let first = life.tick(START, requests(75.0));
    assert_eq!(first.alerts.len(), 1);
    let alert = &first.alerts[0];
    assert_eq!((alert.starts_at, alert.ends_at), (START, START + 4 * MINUTE));
    assert_eq!(alert.generator_url, "http://x/graph?g0.expr=requests+%3E+50&g0.tab=1");
    assert!(life.tick(START + 30_000, requests(75.0)).alerts.is_empty());
    assert!(life.tick(START + MINUTE, requests(75.0)).alerts.is_empty(), "only after more than the delay");
    assert_eq!(life.tick(START + MINUTE + 1, requests(75.0)).alerts.len(), 1);
    let resolved = life.tick(START + MINUTE + 2, Vec::new());
    assert_eq!(resolved.alerts[0].ends_at, START + MINUTE + 2);
    assert_eq!(resolved.alerts[0].starts_at, START);
    assert!(life.tick(START + MINUTE + 3, Vec::new()).alerts.is_empty());
    assert_eq!(
        life.tick(START + 3 * MINUTE, Vec::new()).alerts.len(),
        1,
        "resolved alerts are sent again too"
    );
}

#[test]
fn what_was_to_be_sent_can_be_had_again_from_the_state() {
    let mut life = Life::of(rule(0, 0));
    let evaluation = life.tick(START, requests(75.0));
    let stored: RuleGroupState = wire::decode("state", &wire::encode(&life.state)).unwrap();
    let again = life.with(|context| unsent_alerts(&life.group, &stored, context));
    assert_eq!(again, evaluation.alerts);
    assert_eq!(again.len(), 1);
}

#[test]
fn a_label_that_changes_makes_another_alert() {
    let mut changing = rule(MINUTE, 0);
    changing.labels =
        vec![("severity".to_owned(), "{{ if lt $value 80.0 }}critical{{ else }}warning{{ end }}".to_owned())];
    let mut life = Life::of(changing);
    let mut seen = Vec::new();
    for (minute, value) in [75.0, 85.0, 70.0, 70.0].into_iter().enumerate() {
        let tick = START + i64::try_from(minute).unwrap() * MINUTE;
        let alerts = samples(&life.tick(tick, requests(value)), "ALERTS");
        assert_eq!(alerts.len(), 1);
        seen.push(format!("{} {}", alerts[0].0.value("alertstate"), alerts[0].0.value("severity")));
    }
    assert_eq!(seen, ["pending critical", "pending warning", "pending critical", "firing critical"]);
}

#[test]
fn templates_see_external_labels_the_external_url_and_the_metric_name() {
    let mut templated = rule(0, 0);
    templated.labels = vec![
        ("a".to_owned(), "{{ len $externalLabels }} of which foo is {{ $externalLabels.foo }}".to_owned()),
        ("b".to_owned(), "{{ $externalURL }} {{ externalURL }} {{ $labels.__name__ }}".to_owned()),
        ("empty".to_owned(), String::new()),
    ];
    let mut life = Life::of(templated);
    life.external_labels = labels(&[("foo", "bar"), ("dings", "bums")]);
    let evaluation = life.tick(START, requests(75.0));
    let alert = Labels::from(&evaluation.alerts[0].labels);
    assert_eq!(alert.value("a"), "2 of which foo is bar");
    assert_eq!(alert.value("b"), "http://x http://x requests");
    assert_eq!(alert.get("empty"), None);
    assert_eq!(alert.get("__name__"), None);
}

#[test]
fn a_template_that_fails_says_so_in_its_place() {
    let mut broken = rule(0, 0);
    broken.annotations = vec![
        ("runs".to_owned(), "{{ humanize \"one\" }}".to_owned()),
        ("parses".to_owned(), "{{ $nope }}".to_owned()),
    ];
    let evaluation = Life::of(broken).tick(START, requests(75.0));
    let annotations = &evaluation.alerts[0].annotations.0;
    assert_eq!(
        annotations[0].1,
        "<error expanding template: error parsing template __alert_High: template: __alert_High:1: undefined \
         variable \"$nope\">"
    );
    assert_eq!(
        annotations[1].1,
        "<error expanding template: error executing template __alert_High: template: __alert_High:1:115: executing \
         \"__alert_High\" at <humanize \"one\">: error calling humanize: strconv.ParseFloat: parsing \"one\": invalid \
         syntax>"
    );
}

#[test]
fn a_query_in_a_template_runs_at_the_tick() {
    let mut querying = rule(0, 0);
    querying.annotations =
        vec![("total".to_owned(), "{{ with query \"total\" }}{{ . | first | value }}{{ end }}".to_owned())];
    let mut life = Life::of(querying);
    life.query_offset = Duration::from_secs(10);
    let mut script = Script::answering("requests > 50", requests(75.0));
    script.by_expr.insert("total".to_owned(), Ok(vec![(Labels::empty(), 7.0)]));
    let evaluation = life.evaluate(START, &script);
    assert_eq!(evaluation.alerts[0].annotations.0[0].1, "7");
    assert_eq!(evaluation.scrapes[0].timestamp, START - 10_000);
    let asked = script.asked.into_inner().unwrap();
    assert_eq!(asked, [("requests > 50".to_owned(), START - 10_000), ("total".to_owned(), START)]);
}

#[test]
fn one_query_serves_all_alerts_of_a_rule() {
    let mut querying = rule(0, 0);
    querying.annotations = vec![("total".to_owned(), "{{ query \"total\" | len }}".to_owned())];
    let many = (0..50).map(|i| (labels(&[("instance", &i.to_string())]), 1.0)).collect();
    let mut script = Script::answering("requests > 50", many);
    script.by_expr.insert("total".to_owned(), Ok(Vec::new()));
    assert_eq!(Life::of(querying).evaluate(START, &script).alerts.len(), 50);
    assert_eq!(script.asked.into_inner().unwrap().len(), 2);
}

#[test]
fn alerts_with_equal_labels_are_an_error_that_leaves_the_state() {
    let mut life = Life::of(rule(0, 0));
    life.tick(START, requests(75.0));
    let before = life.rule_state().alerts.clone();
    let twice = vec![
        (labels(&[("__name__", "a"), ("x", "1")]), 1.0),
        (labels(&[("__name__", "b"), ("x", "1")]), 1.0),
    ];
    let evaluation = life.tick(START + MINUTE, twice);
    assert_eq!(
        life.rule_state().last_error.as_deref(),
        Some("vector contains metrics with the same labelset after applying alert labels")
    );
    assert!(evaluation.scrapes.is_empty(), "a rule that failed keeps its series");
    assert_eq!(life.rule_state().alerts, before);
    assert_eq!(life.rule_state().health().as_str(), "err");
}

#[test]
fn limits_of_prometheus_cases() {
    let Some(fixtures) = fixtures::folder() else { return };
    let text = std::fs::read_to_string(fixtures.join("rules/json/alerting_rule.json")).unwrap();
    let tables: Json = serde_json::from_str(&text).unwrap();
    let rows =
        tables.as_array().unwrap().iter().find(|table| table["func"] == "TestAlertingRuleLimit").unwrap();
    let mut checked = 0;
    for row in rows["rows"].as_array().unwrap() {
        let Some(limit) = row["limit"].as_u64() else { continue };
        let mut life = Life::of(rule(MINUTE, 0));
        life.group.limit = limit;
        let evaluation =
            life.tick(START, vec![(labels(&[("label", "1")]), 1.0), (labels(&[("label", "2")]), 1.0)]);
        assert_eq!(life.rule_state().last_error.as_deref(), row["err"].as_str(), "{row}");
        assert_eq!(samples(&evaluation, "ALERTS").len(), if row["err"].is_null() { 2 } else { 0 });
        checked += 1;
    }
    assert_eq!(checked, 3, "all but the negative limit, which the configuration does not have");
}

#[test]
fn the_state_of_a_rule_is_that_of_its_furthest_alert() {
    let Some(fixtures) = fixtures::folder() else { return };
    let text = std::fs::read_to_string(fixtures.join("rules/json/alerting_rule.json")).unwrap();
    let tables: Json = serde_json::from_str(&text).unwrap();
    let rows =
        tables.as_array().unwrap().iter().find(|table| table["func"] == "TestAlertingRuleState").unwrap();
    let mut life = Life::of(rule(0, 0));
    life.tick(START, requests(1.0));
    let alert = life.rule_state().alerts.0[0].clone();
    let phase = |state: &Json| match state["go"].as_str().unwrap() {
        "StateFiring" => AlertPhase::Firing,
        "StatePending" => AlertPhase::Pending,
        _ => AlertPhase::Inactive,
    };
    for row in rows["rows"].as_array().unwrap() {
        let alerts = row["active"].as_object().unwrap().values();
        let alerts =
            alerts.map(|state| ActiveAlert { phase: phase(&state["State"]), ..alert.clone() }).collect();
        let state = RuleState { last_evaluation: 1, alerts: AlertState(alerts), ..RuleState::default() };
        assert_eq!(state.alerting_state(), phase(&row["want"]).as_str(), "{row}");
    }
    assert_eq!(RuleState::default().alerting_state(), "unknown");
}

#[test]
fn a_generator_url_has_the_printed_expression() {
    assert_eq!(
        generator_url("http://x", "sum( rate(a[5m]) )by(b)>0"),
        "http://x/graph?g0.expr=sum+by+%28b%29+%28rate%28a%5B5m%5D%29%29+%3E+0&g0.tab=1"
    );
    assert_eq!(generator_url("", "not promql ("), "/graph?g0.expr=not+promql+%28&g0.tab=1");
}
