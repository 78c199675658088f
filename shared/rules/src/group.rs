//! One evaluation of one rule group. Source: `Group.Eval` of Prometheus.

use std::sync::Arc;
use std::time::Duration;

use config::{Rule, RuleGroup};
use model::{Labels, TimestampMs};
use platform::Clock;
use storage::{Queryable, Scrape, ScrapeHistogram, ScrapeOutcome, ScrapeSample, SourceId};
use wire::{Alert, RuleGroupState, RuleState};

use crate::alerting::{self, Instant};
use crate::overlay::{Ended, Overlay};
use crate::recording::{self, Recorded, Results};
use crate::{QueryRunner, rule_sources};

/// What an evaluation needs besides the group and the store.
#[derive(Clone, Copy)]
pub struct RuleContext<'a> {
    /// `global.external_labels`, for templates.
    pub external_labels: &'a Labels,
    /// Where users reach foxfire, without a slash at its end.
    pub external_url: &'a str,
    /// `global.rule_query_offset`, for groups without one of their own.
    pub query_offset: Duration,
    /// `global.evaluation_interval`, for groups without an interval of their own.
    pub evaluation_interval: Duration,
    /// An alert that still fires is sent again after so long. Prometheus's default is 1 minute.
    pub resend_delay: Duration,
    /// Measures how long evaluations take.
    pub clock: &'a dyn Clock,
}

impl std::fmt::Debug for RuleContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuleContext").field("external_url", &self.external_url).finish_non_exhaustive()
    }
}

/// What an evaluation gave.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupEvaluation {
    /// The complete result of each rule that succeeded. A rule that failed has none, so its series go on until it
    /// succeeds again or they are too old, as in Prometheus. Rules that the group no longer has end here.
    pub scrapes: Vec<Scrape>,
    /// The group's next state.
    pub state: RuleGroupState,
    /// What Alertmanager is to be told once the state is committed.
    pub alerts: Vec<Alert>,
}

/// Evaluates the rules of `group` of the rule file `file` at `tick_ms`, which must be later than `previous.last_tick`:
/// a tick that has been evaluated is not evaluated again, see [`unsent_alerts`]. A rule that fails says so in its
/// state; the others go on.
pub async fn evaluate_group(
    group: &RuleGroup,
    file: &str,
    tick_ms: TimestampMs,
    previous: &RuleGroupState,
    queryable: &dyn Queryable,
    runner: &dyn QueryRunner,
    context: &RuleContext<'_>,
) -> GroupEvaluation {
    let (began_ms, began_ns) = (context.clock.now_ms(), context.clock.monotonic_ns());
    let offset = group.query_offset.unwrap_or(context.query_offset);
    let instant = Instant { tick_ms, at_ms: tick_ms.saturating_sub(ms(offset)) };
    let mut evaluation = Evaluation {
        group,
        instant,
        overlay: Overlay::new(queryable, instant.at_ms),
        runner,
        context,
        scrapes: Vec::new(),
    };
    let sources = rule_sources(file, group);
    let mut rules = Vec::with_capacity(group.rules.len());
    for (rule, source) in group.rules.iter().zip(&sources) {
        let id = source.to_string();
        let before = previous.rules.iter().find(|state| state.rule == id).cloned();
        let before = before.unwrap_or_else(|| RuleState { rule: id, ..RuleState::default() });
        rules.push(evaluation.rule(rule, *source, before).await);
    }
    let mut scrapes = evaluation.scrapes;
    let is_gone = |state: &&RuleState| !rules.iter().any(|rule| rule.rule == state.rule);
    scrapes.extend(ended(previous.rules.iter().filter(is_gone), instant.at_ms));
    let missed = missed_iterations(previous, tick_ms, group.interval.unwrap_or(context.evaluation_interval));
    let state = RuleGroupState {
        v: 1,
        last_tick: tick_ms,
        last_evaluation: began_ms,
        evaluation_seconds: elapsed(context.clock, began_ns).as_secs_f64(),
        iterations_scheduled: previous.iterations_scheduled + missed + 1,
        iterations_missed: previous.iterations_missed + missed,
        rules,
    };
    let alerts = unsent_alerts(group, &state, context);
    GroupEvaluation { scrapes, state, alerts }
}

/// The alerts that the evaluation which led to `state` decided to send: for a caller that committed the state and may
/// not have sent them.
#[must_use]
pub fn unsent_alerts(group: &RuleGroup, state: &RuleGroupState, context: &RuleContext<'_>) -> Vec<Alert> {
    let interval = group.interval.unwrap_or(context.evaluation_interval);
    let mut alerts = Vec::new();
    for (rule, state_of_rule) in group.rules.iter().zip(&state.rules) {
        if let Rule::Alerting(rule) = rule {
            let sent =
                alerting::alerts_sent_at(rule, &state_of_rule.alerts, state.last_tick, interval, context);
            alerts.extend(sent);
        }
    }
    alerts
}

/// Ends the series of a group that the configuration no longer has, at `at_ms`.
#[must_use]
pub fn end_group(previous: &RuleGroupState, at_ms: TimestampMs) -> Vec<Scrape> {
    ended(previous.rules.iter(), at_ms).collect()
}

fn ended<'a>(rules: impl Iterator<Item = &'a RuleState>, at_ms: TimestampMs) -> impl Iterator<Item = Scrape> {
    rules.filter(|state| state.last_written != 0).filter_map(move |state| {
        let source = SourceId(u64::from_str_radix(&state.rule, 16).ok()?);
        Some(Scrape {
            source,
            timestamp: at_ms,
            outcome: ScrapeOutcome::default(),
            samples: Vec::new(),
            ..Scrape::default()
        })
    })
}

fn missed_iterations(previous: &RuleGroupState, tick_ms: TimestampMs, interval: Duration) -> u64 {
    if previous.last_tick == 0 {
        return 0;
    }
    let passed = tick_ms.saturating_sub(previous.last_tick) / ms(interval).max(1);
    u64::try_from(passed - 1).unwrap_or(0)
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn elapsed(clock: &dyn Clock, began_ns: u64) -> Duration {
    Duration::from_nanos(clock.monotonic_ns().saturating_sub(began_ns))
}

/// An evaluation under way.
struct Evaluation<'a> {
    group: &'a RuleGroup,
    instant: Instant,
    overlay: Overlay<'a>,
    runner: &'a dyn QueryRunner,
    context: &'a RuleContext<'a>,
    scrapes: Vec<Scrape>,
}

impl Evaluation<'_> {
    /// Evaluates one rule: what is known of it afterwards.
    async fn rule(&mut self, rule: &Rule, source: SourceId, before: RuleState) -> RuleState {
        let (began_ms, began_ns) = (self.context.clock.now_ms(), self.context.clock.monotonic_ns());
        let limit = self.group.limit;
        let mut state = before.clone();
        let results = match rule {
            Rule::Recording(rule) => {
                recording::evaluate(rule, self.instant.at_ms, limit, &self.overlay, self.runner).await
            }
            Rule::Alerting(rule) => {
                let outcome = alerting::evaluate(
                    rule,
                    &before.alerts,
                    self.instant,
                    limit,
                    &self.overlay,
                    self.runner,
                    self.context,
                )
                .await;
                state.alerts = outcome.alerts;
                outcome.results
            }
        };
        let duration = elapsed(self.context.clock, began_ns);
        state.last_evaluation = began_ms;
        state.evaluation_seconds = duration.as_secs_f64();
        state.last_error = match results {
            Ok(results) => {
                let ended = self.ended_by(rule, &before);
                let error = self.write(source, results, ended, duration);
                state.last_written = self.instant.at_ms;
                error
            }
            Err(error) => Some(error),
        };
        state
    }

    /// Takes a rule's results; why some of them were dropped, if so.
    fn write(
        &mut self,
        source: SourceId,
        results: Results,
        ended: Ended,
        duration: Duration,
    ) -> Option<String> {
        let mut error = None;
        let mut kept = Results::new();
        for (labels, value) in results {
            match self.overlay.pending(&labels) {
                Some(existing) if !existing.same(&value) => {
                    error = Some(format!(
                        "duplicate sample for timestamp {}; overrides not allowed: existing {existing}, new value {value}",
                        self.instant.at_ms,
                    ));
                }
                _ => {
                    kept.insert(labels, value);
                }
            }
        }
        let (mut samples, mut histograms) = (Vec::new(), Vec::new());
        for (labels, value) in &kept {
            let (labels, timestamp) = (labels.clone(), None);
            match value {
                Recorded::Float(value) => samples.push(ScrapeSample { labels, value: *value, timestamp }),
                Recorded::Histogram(value) => {
                    let value = Arc::clone(value);
                    histograms.push(ScrapeHistogram { labels, value, timestamp });
                }
            }
        }
        self.scrapes.push(Scrape {
            source,
            timestamp: self.instant.at_ms,
            outcome: ScrapeOutcome { duration, error: error.clone() },
            samples,
            histograms,
            ..Scrape::default()
        });
        self.overlay.add(kept, ended);
        error
    }

    /// Which series of the rule's last results end unless they are in its new ones.
    fn ended_by(&self, rule: &Rule, before: &RuleState) -> Ended {
        match rule {
            Rule::Alerting(rule) => {
                Ended::Exactly(alerting::series(rule, &before.alerts).into_keys().collect())
            }
            Rule::Recording(_) if before.last_written == 0 => Ended::Exactly(Vec::new()),
            Rule::Recording(rule) => {
                let of_others = self.group.rules.iter().filter_map(|other| match other {
                    Rule::Recording(other) if other.record == rule.record && other != rule => {
                        Some(other.labels.clone())
                    }
                    _ => None,
                });
                Ended::WrittenAt {
                    record: rule.record.clone(),
                    labels: rule.labels.clone(),
                    of_others: of_others.collect(),
                    at_ms: before.last_written,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
