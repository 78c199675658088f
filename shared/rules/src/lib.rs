//! Rule groups: recording rules, alerting rules, the state of alerts, templates.
//!
//! ```text
//! RuleGroup, tick, RuleGroupState, Queryable ──evaluate_group──► GroupEvaluation
//!                                                                  ├─ scrapes  one a rule: to a WAL segment
//!                                                                  ├─ state    to the group's register
//!                                                                  └─ alerts   to Alertmanager
//! ```
//!
//! [`evaluate_group`] is a pure function of the group, the tick, the previous state and one snapshot of the store; the
//! clock that it is given only measures how long things took. Rules run in order and see what the earlier rules of the
//! group gave at the same tick ([`Overlay`]). The caller makes the scrapes durable, commits the state by
//! compare-and-set, and then sends the alerts; if it stops in between, [`unsent_alerts`] gives them again from the
//! committed state.
//!
//! Sources: `rules/group.go`, `rules/alerting.go`, `rules/recording.go` of Prometheus.

mod alerting;
mod engine;
mod group;
mod identity;
mod overlay;
mod query;
mod recording;
mod schedule;
pub mod template;
#[cfg(test)]
mod testing;

pub use alerting::generator_url;
pub use engine::EngineRunner;
pub use group::{GroupEvaluation, RuleContext, end_group, evaluate_group, unsent_alerts};
pub use identity::rule_sources;
pub use overlay::Overlay;
pub use query::{QueryFuture, QueryRunner};
pub use schedule::{evaluation_offset, ticks};
