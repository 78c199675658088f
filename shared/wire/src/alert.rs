//! The state of rule groups between evaluations.

use serde::{Deserialize, Serialize};

use crate::WireLabels;

/// The register of one rule group, changed by compare-and-set once an evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleGroupState {
    /// Format version, 1.
    pub v: u32,
    /// The last evaluated tick, ms.
    pub last_tick: i64,
    /// How long that evaluation took, seconds.
    pub evaluation_seconds: f64,
    /// One entry a rule, in order.
    pub rules: Vec<RuleState>,
}

/// What is known of one rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleState {
    /// Hash of the rule's definition: a changed rule starts afresh.
    pub rule: String,
    /// When it was last evaluated, ms.
    pub last_evaluation: i64,
    /// How long that took, seconds.
    pub evaluation_seconds: f64,
    /// Why it failed, where it did.
    pub last_error: Option<String>,
    /// Its alerts; empty for a recording rule.
    #[serde(default)]
    pub alerts: AlertState,
}

/// The alerts of one alerting rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertState(pub Vec<ActiveAlert>);

/// Where an alert is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertPhase {
    /// The condition holds, but not yet for the `for` duration.
    Pending,
    /// It fires.
    Firing,
    /// It has ceased; kept for a while so that Alertmanager surely learns of it.
    Inactive,
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
