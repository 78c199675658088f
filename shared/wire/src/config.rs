//! A configuration as it is stored.

use serde::{Deserialize, Serialize};

/// A whole configuration, immutable once stored. Its version is a hash of its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigBundle {
    /// Format version, 1.
    pub v: u32,
    /// Path of `prometheus.yml` as the operator gave it; relative paths inside are relative to its directory.
    pub path: String,
    /// Its text.
    pub prometheus_yml: String,
    /// The rule files that its patterns matched when it was stored, in order.
    pub rule_files: Vec<RuleFileText>,
}

/// A rule file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFileText {
    /// Its path.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A register that names an immutable object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// Format version, 1.
    pub v: u32,
    /// The object's key.
    pub key: String,
    /// When it was set, ms since the epoch.
    pub set_at: i64,
}
