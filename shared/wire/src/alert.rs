//! The state of rule groups between evaluations, and alerts on their way to Alertmanager.

use serde::{Deserialize, Serialize};

use crate::WireLabels;

/// The register of one rule group, changed by compare-and-set once an evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleGroupState {
    /// Format version, 1.
    pub v: u32,
    /// The last evaluated tick, ms; 0 if there was none.
    pub last_tick: i64,
    /// When that evaluation began by the clock, ms.
    #[serde(default)]
    pub last_evaluation: i64,
    /// How long that evaluation took, seconds.
    pub evaluation_seconds: f64,
    /// How many ticks there have been, missed ones included.
    #[serde(default)]
    pub iterations_scheduled: u64,
    /// How many of them were not evaluated.
    #[serde(default)]
    pub iterations_missed: u64,
    /// One entry a rule, in order.
    pub rules: Vec<RuleState>,
}

/// What is known of one rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleState {
    /// The rule's source identifier, 16 hexadecimal digits: it hashes the file, the group, the rule's name and its
    /// labels, so a rule keeps its state when its expression changes.
    pub rule: String,
    /// When it was last evaluated, ms; 0 if never.
    pub last_evaluation: i64,
    /// How long that took, seconds.
    pub evaluation_seconds: f64,
    /// Why it failed, where it did.
    pub last_error: Option<String>,
    /// The instant of the samples that it wrote last, ms; 0 if it never wrote any.
    #[serde(default)]
    pub last_written: i64,
    /// Its alerts; empty for a recording rule.
    #[serde(default)]
    pub alerts: AlertState,
}

/// How the last evaluation of a rule went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleHealth {
    /// It has not been evaluated.
    Unknown,
    /// It succeeded.
    Good,
    /// It failed.
    Bad,
}

impl RuleHealth {
    /// As the HTTP API names it: `unknown`, `ok`, `err`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Good => "ok",
            Self::Bad => "err",
        }
    }
}

impl RuleState {
    /// How its last evaluation went.
    #[must_use]
    pub fn health(&self) -> RuleHealth {
        match (self.last_evaluation, &self.last_error) {
            (0, _) => RuleHealth::Unknown,
            (_, None) => RuleHealth::Good,
            (_, Some(_)) => RuleHealth::Bad,
        }
    }

    /// The state of an alerting rule as the HTTP API names it: that of its furthest alert, `inactive` without any,
    /// `unknown` before the first evaluation.
    #[must_use]
    pub fn alerting_state(&self) -> &'static str {
        if self.last_evaluation == 0 {
            return "unknown";
        }
        self.alerts.0.iter().map(|alert| alert.phase).max().unwrap_or(AlertPhase::Inactive).as_str()
    }
}

/// The alerts of one alerting rule, in order of their labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertState(pub Vec<ActiveAlert>);

impl AlertState {
    /// The alerts that are pending or firing: what `/api/v1/alerts` shows.
    pub fn active(&self) -> impl Iterator<Item = &ActiveAlert> {
        self.0.iter().filter(|alert| alert.resolved_at == 0)
    }
}

/// Where an alert is in its life; ordered by how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertPhase {
    /// It has ceased; kept for a while so that Alertmanager surely learns of it.
    Inactive,
    /// The condition holds, but not yet for the `for` duration.
    Pending,
    /// It fires.
    Firing,
}

impl AlertPhase {
    /// As labels and the HTTP API name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveAlert {
    /// Its labels, templates expanded.
    pub labels: WireLabels,
    /// Its annotations, templates expanded.
    pub annotations: WireLabels,
    /// Where it is in its life.
    pub phase: AlertPhase,
    /// The expression's value, as bits, for JSON has no NaN.
    pub value_bits: u64,
    /// Since when the condition holds, ms.
    pub active_at: i64,
    /// Since when it fires, ms; 0 if it does not.
    pub fired_at: i64,
    /// When it ceased, ms; 0 if it has not.
    pub resolved_at: i64,
    /// When it was last sent, ms; 0 if never.
    pub last_sent_at: i64,
    /// Since when it is kept firing though the condition has ceased, ms; 0 if it is not.
    #[serde(default)]
    pub keep_firing_since: i64,
}

/// An alert as Alertmanager is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its labels, `alertname` included; external labels are added when it is sent.
    pub labels: WireLabels,
    /// Its annotations.
    pub annotations: WireLabels,
    /// Since when it fires, ms.
    pub starts_at: i64,
    /// When it ceased or, while it fires, when it is to be taken for ceased unless it is sent again, ms.
    pub ends_at: i64,
    /// Where its expression can be seen.
    pub generator_url: String,
}

/// An Alertmanager that discovery found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alertmanager {
    /// Where alerts are posted: `http://host:9093/api/v2/alerts`.
    pub url: String,
    /// Which entry of `alerting.alertmanagers` it was found by, from 0: says how to talk to it.
    pub entry: usize,
}
