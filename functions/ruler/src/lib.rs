//! The ruler function: one rule group at one tick becomes recorded series, alerts and their new state.
//!
//! ```text
//! DiscoverTask {from, until} ─► a RuleTask for each group and tick that is due ─► queue
//! RuleTask ─► state register ─► evaluate ─► WAL segment (tick, group) ─► state (compare-and-set) ─► Alertmanager
//! ```
//!
//! # Contract
//! - Results are named by (group, tick): a task delivered twice records once.
//! - Alert state is committed before anybody is told of it (rule P15); Alertmanager removes duplicates by fingerprint.
//! - A tick at or before the group's last is over: ticks are evaluated in order, and a late one is missed, as is one
//!   that is due while the one before is still being evaluated.

mod plan;
mod ruler;
mod running;

pub use plan::{RulePlanner, plan_groups};
pub use ruler::{Ruler, RulerError, RulerSettings};
