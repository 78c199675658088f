//! Alerting rules: the life of alerts. Source: `AlertingRule.Eval` of Prometheus.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use config::AlertingRule;
use model::labels::METRIC_NAME;
use model::{Labels, TimestampMs};
use promql::{Features, parser};
use storage::Queryable;
use wire::{ActiveAlert, Alert, AlertPhase, AlertState, WireLabels};

use crate::recording::{Recorded, Results};
use crate::template::{AlertData, Expander, Template, Value, label_map};
use crate::{QueryRunner, RuleContext};

const ALERT_METRIC: &str = "ALERTS";
const ALERT_FOR_STATE_METRIC: &str = "ALERTS_FOR_STATE";
const ALERT_NAME: &str = "alertname";
const ALERT_STATE: &str = "alertstate";

/// How long a resolved alert is kept and sent again, so that Alertmanager surely learns of it.
const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;

/// What an evaluation of an alerting rule gave.
pub(crate) struct AlertingOutcome {
    /// The alerts afterwards.
    pub(crate) alerts: AlertState,
    /// The `ALERTS` and `ALERTS_FOR_STATE` series, or why there are none.
    pub(crate) results: Result<Results, String>,
}

/// When an evaluation is.
#[derive(Clone, Copy)]
pub(crate) struct Instant {
    /// The tick, ms: what alerts are dated by.
    pub(crate) tick_ms: TimestampMs,
    /// The tick less the query offset, ms: what is queried and written.
    pub(crate) at_ms: TimestampMs,
}

type Active = BTreeMap<Labels, ActiveAlert>;

/// Evaluates `rule`, whose alerts so far are `before`. `limit` 0 means none.
pub(crate) async fn evaluate(
    rule: &AlertingRule,
    before: &AlertState,
    instant: Instant,
    limit: u64,
    queryable: &dyn Queryable,
    runner: &dyn QueryRunner,
    context: &RuleContext<'_>,
) -> AlertingOutcome {
    let holding = match holding_alerts(rule, instant, queryable, runner, context).await {
        Ok(holding) => holding,
        Err(error) => return AlertingOutcome { alerts: before.clone(), results: Err(error) },
    };
    let mut active: Active =
        before.0.iter().map(|alert| (Labels::from(&alert.labels), alert.clone())).collect();
    let active_or_pending = advance(rule, &mut active, holding, instant.tick_ms);
    if limit > 0 && active_or_pending > limit {
        let error = format!("exceeded limit of {limit} with {active_or_pending} alerts");
        return AlertingOutcome { alerts: AlertState::default(), results: Err(error) };
    }
    let mut alerts = AlertState(active.into_values().collect());
    for alert in &mut alerts.0 {
        if needs_sending(alert, instant.tick_ms, context.resend_delay) {
            alert.last_sent_at = instant.tick_ms;
        }
    }
    AlertingOutcome { results: Ok(series(rule, &alerts)), alerts }
}

/// The series that a rule with these alerts has.
pub(crate) fn series(rule: &AlertingRule, alerts: &AlertState) -> Results {
    let mut results = Results::new();
    for alert in alerts.0.iter().filter(|alert| alert.phase != AlertPhase::Inactive) {
        // The rule's labels come first, not expanded, as in Prometheus: a template that expands to nothing shows.
        let mut labels = Labels::from_pairs(rule.labels.iter().cloned()).to_builder();
        for (name, value) in &alert.labels.0 {
            labels.set(name, value);
        }
        labels.set(ALERT_NAME, rule.alert.as_str()).set(METRIC_NAME, ALERT_FOR_STATE_METRIC);
        results.insert(labels.build(), Recorded::Float(alert.active_at.div_euclid(1000) as f64));
        labels.set(METRIC_NAME, ALERT_METRIC).set(ALERT_STATE, alert.phase.as_str());
        results.insert(labels.build(), Recorded::Float(1.0));
    }
    results
}

/// The alerts of `alerts` that were found to need sending at `tick_ms`.
pub(crate) fn alerts_sent_at(
    rule: &AlertingRule,
    alerts: &AlertState,
    tick_ms: TimestampMs,
    interval: Duration,
    context: &RuleContext<'_>,
) -> Vec<Alert> {
    // Allows for two failed evaluations or sends.
    let valid_ms = ms(interval.max(context.resend_delay)).saturating_mul(4);
    let generator_url = generator_url(context.external_url, &rule.expr);
    let sent =
        alerts.0.iter().filter(|alert| alert.last_sent_at == tick_ms && alert.phase != AlertPhase::Pending);
    sent.map(|alert| Alert {
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        starts_at: alert.fired_at,
        ends_at: if alert.resolved_at == 0 { tick_ms.saturating_add(valid_ms) } else { alert.resolved_at },
        generator_url: generator_url.clone(),
    })
    .collect()
}

/// Where the expression of an alert can be seen: `<external URL>/graph?g0.expr=…&g0.tab=1`, the expression as PromQL's
/// printer writes it.
#[must_use]
pub fn generator_url(external_url: &str, expr: &str) -> String {
    let any = Features {
        experimental_functions: true,
        extended_range_selectors: true,
        binop_fill_modifiers: true,
        ..Features::default()
    };
    let printed = parser::parse(expr, &any).map(|expr| expr.to_string());
    format!("{external_url}{}", crate::template::table_link(printed.as_deref().unwrap_or(expr)))
}

/// A new alert for each sample of the expression, by its labels.
async fn holding_alerts(
    rule: &AlertingRule,
    instant: Instant,
    queryable: &dyn Queryable,
    runner: &dyn QueryRunner,
    context: &RuleContext<'_>,
) -> Result<Active, String> {
    let samples = runner.instant(&rule.expr, instant.at_ms, queryable).await?;
    let labels = Texts::new(&rule.alert, &rule.labels);
    let annotations = Texts::new(&rule.alert, &rule.annotations);
    let mut expander = Expander::new(runner, queryable, instant.tick_ms, context.external_url);
    let external_labels = label_map(context.external_labels);
    let mut holding = Active::new();
    for sample in samples {
        let data = Value::from(AlertData {
            labels: label_map(&sample.labels),
            external_labels: Arc::clone(&external_labels),
            external_url: context.external_url.to_owned(),
            value: sample.value,
        });
        let mut builder = sample.labels.to_builder();
        builder.remove(METRIC_NAME);
        for (name, value) in labels.expand(&mut expander, &data).await {
            builder.set(name, value);
        }
        builder.set(ALERT_NAME, rule.alert.as_str());
        let labels = builder.build();
        let alert = ActiveAlert {
            labels: WireLabels::from(&labels),
            annotations: WireLabels(annotations.expand(&mut expander, &data).await),
            phase: AlertPhase::Pending,
            value_bits: sample.value.to_bits(),
            active_at: instant.tick_ms,
            fired_at: 0,
            resolved_at: 0,
            last_sent_at: 0,
            keep_firing_since: 0,
        };
        if holding.insert(labels, alert).is_some() {
            return Err(
                "vector contains metrics with the same labelset after applying alert labels".to_owned()
            );
        }
    }
    Ok(holding)
}

/// Brings the alerts to `tick_ms`, at which those of `holding` hold. How many are pending or firing.
fn advance(rule: &AlertingRule, active: &mut Active, holding: Active, tick_ms: TimestampMs) -> u64 {
    let is_holding: Vec<Labels> = holding.keys().cloned().collect();
    for (labels, new) in holding {
        match active.get_mut(&labels) {
            Some(alert) if alert.phase != AlertPhase::Inactive => {
                alert.value_bits = new.value_bits;
                alert.annotations = new.annotations;
            }
            _ => {
                active.insert(labels, new);
            }
        }
    }
    let mut count = 0;
    active.retain(|labels, alert| {
        if is_holding.binary_search(labels).is_ok() {
            alert.keep_firing_since = 0;
        } else if !keeps_firing(rule, alert, tick_ms) {
            return cease(alert, tick_ms);
        }
        count += 1;
        hold(rule, alert, tick_ms);
        true
    });
    count
}

/// Whether an alert whose condition has ceased fires on because of `keep_firing_for`.
fn keeps_firing(rule: &AlertingRule, alert: &mut ActiveAlert, tick_ms: TimestampMs) -> bool {
    if alert.phase != AlertPhase::Firing || rule.keep_firing_for.is_zero() {
        return false;
    }
    if alert.keep_firing_since == 0 {
        alert.keep_firing_since = tick_ms;
    }
    tick_ms - alert.keep_firing_since < ms(rule.keep_firing_for)
}

/// Ends an alert whose condition has ceased; whether it is kept.
fn cease(alert: &mut ActiveAlert, tick_ms: TimestampMs) -> bool {
    let is_old = alert.resolved_at != 0 && tick_ms - alert.resolved_at > RESOLVED_RETENTION_MS;
    if alert.phase == AlertPhase::Pending || is_old {
        return false;
    }
    if alert.phase != AlertPhase::Inactive {
        alert.phase = AlertPhase::Inactive;
        alert.resolved_at = tick_ms;
    }
    true
}

/// Fires an alert that has held for long enough, or makes it wait where `for` has become longer.
fn hold(rule: &AlertingRule, alert: &mut ActiveAlert, tick_ms: TimestampMs) {
    let has_held = tick_ms - alert.active_at >= ms(rule.hold_duration);
    match (alert.phase, has_held) {
        (AlertPhase::Pending, true) => {
            alert.phase = AlertPhase::Firing;
            alert.fired_at = tick_ms;
        }
        (AlertPhase::Firing, false) => {
            alert.phase = AlertPhase::Pending;
            alert.fired_at = 0;
            alert.last_sent_at = 0;
            alert.keep_firing_since = 0;
        }
        _ => {}
    }
}

fn needs_sending(alert: &ActiveAlert, tick_ms: TimestampMs, resend_delay: Duration) -> bool {
    if alert.phase == AlertPhase::Pending {
        return false;
    }
    let never_sent = alert.last_sent_at == 0;
    let resolved_since = alert.resolved_at > alert.last_sent_at;
    never_sent || resolved_since || alert.last_sent_at.saturating_add(ms(resend_delay)) < tick_ms
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Labels or annotations of a rule, parsed once for all its alerts.
struct Texts<'r> {
    texts: Vec<(&'r str, Text<'r>)>,
}

enum Text<'r> {
    Plain(&'r str),
    Template(Template),
    Malformed(String),
}

impl<'r> Texts<'r> {
    fn new(alert: &str, texts: &'r [(String, String)]) -> Self {
        let parse = |text: &'r str| {
            if !text.contains("{{") {
                return Text::Plain(text);
            }
            Template::parse_alert(alert, text).map_or_else(Text::Malformed, Text::Template)
        };
        let mut texts: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), parse(text))).collect();
        texts.sort_by_key(|(name, _)| *name);
        Self { texts }
    }

    async fn expand(&self, expander: &mut Expander<'_>, data: &Value) -> Vec<(String, String)> {
        let mut expanded = Vec::with_capacity(self.texts.len());
        for (name, text) in &self.texts {
            let result = match text {
                Text::Plain(text) => Ok((*text).to_owned()),
                Text::Template(template) => expander.expand(template, data).await,
                Text::Malformed(error) => Err(error.clone()),
            };
            let value = result.unwrap_or_else(|error| {
                tracing::warn!(%error, "Expanding alert template failed");
                format!("<error expanding template: {error}>")
            });
            expanded.push(((*name).to_owned(), value));
        }
        expanded
    }
}

#[cfg(test)]
mod tests;
