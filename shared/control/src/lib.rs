//! The control registers: which configuration is in force, which targets discovery found, what rule groups remember.
//!
//! ```text
//!            publish_config                    current_config / config_at
//! operator ──────────────────► config/<name> ◄──────────────────────────── every function
//!                              targets/<name> ◄─ publish_targets ── discovery;   current_targets ── query
//!                              plans/<window> ◄─ plan_window ────── discovery
//!                              alerts/<group> ◄─ store_group_state ── ruler;     group_state ── ruler, query
//! ```
//!
//! A configuration and a target snapshot are immutable objects named by when they were stored and a hash of their
//! content; a register (a row changed by compare-and-set) names the one in force. A task names the configuration that
//! it was made under, so an invocation never mixes two (invariant S14). A window of the schedule is planned by one
//! snapshot, which its plan names: a second attempt plans the same scrapes under the same names. What was replaced an
//! hour ago is collected.

mod configuration;
mod content;
mod group_state;
mod load;
mod targets;

use platform::PlatformError;

pub use configuration::{ConfigCache, publish_config};
pub use content::collect;
pub use group_state::{GroupRegister, group_state, store_group_state};
pub use load::{Loaded, RuleGroupOfFile, load_bundle, load_rule_file};
pub use targets::{SnapshotRegister, WindowPlan, current_targets, plan_window, publish_targets, window_plan};

/// Why a register cannot be read or set.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The store failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// What is stored is not what it should be.
    #[error(transparent)]
    Malformed(#[from] wire::WireError),
    /// The configuration is refused; in Prometheus's words.
    #[error("{0}")]
    Config(String),
    /// No configuration has been published.
    #[error("no configuration has been loaded")]
    NoConfig,
    /// Somebody else changed the register again and again.
    #[error("register {0} is contended")]
    Contended(String),
}

impl ControlError {
    /// What a task that met it should do.
    #[must_use]
    pub fn retry(&self) -> platform::Retry {
        match self {
            Self::Platform(error) => error.retry(),
            Self::Contended(_) | Self::NoConfig => platform::Retry::Later,
            Self::Malformed(_) | Self::Config(_) => platform::Retry::Never,
        }
    }
}

/// Partition of all control registers.
const PARTITION: &str = "control";
/// How often a lost compare-and-set is tried again.
const CAS_ATTEMPTS_MAX: usize = 8;
