//! Every type that crosses a queue or is stored as JSON. Plain data: what it means is said where it is made.
//!
//! ```text
//! ConfigBundle    config/<version> (object), named by the register config/current       operator -> everyone
//! DiscoverTask    schedule -> discovery          ScrapeTask   discovery -> scraper (queue)
//! TargetSnapshot  targets/<id> (object), named by the register targets/current          discovery -> query
//! CompactTask     schedule -> compactor          Manifest     manifest/<scope>/<id> (object), named by the head register
//! RuleTask        schedule -> ruler (queue)      AlertState   register alerts/<group>    ruler -> ruler, query
//! ```
//!
//! Stored types carry `v`, the format version, and are read for ever; fields are only ever added, with a default.
//! Labels travel as arrays of `[name, value]` pairs in order. Times are ms since the epoch unless a name says other.

mod alert;
mod config;
mod manifest;
mod task;

use model::Labels;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use alert::{
    ActiveAlert, Alert, AlertPhase, AlertState, Alertmanager, RuleGroupState, RuleHealth, RuleState,
};
pub use config::{ConfigBundle, Pointer, RuleFileText};
pub use manifest::{
    BlockFile, BlockMeta, Head, Manifest, MergePart, MergedPart, PendingMerge, RetiredBlock, SampleSet,
    SeriesRange, Tombstone, TombstoneBlock, WireMatcher,
};
pub use task::{
    CollectTask, CompactTask, CompactWork, DiscoverTask, DroppedTarget, RuleTask, ScrapePool, ScrapeTarget,
    ScrapeTask, TargetSnapshot,
};

/// A value that is not what was expected.
#[derive(Debug, thiserror::Error)]
#[error("malformed {what}: {source}")]
pub struct WireError {
    what: &'static str,
    source: serde_json::Error,
}

/// `value` as JSON.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Plain structs with string keys: serialisation has no way to fail.
    serde_json::to_vec(value).unwrap_or_default()
}

/// Reads a `what` from JSON.
///
/// # Errors
/// Where `json` is not one.
pub fn decode<T: DeserializeOwned>(what: &'static str, json: &[u8]) -> Result<T, WireError> {
    serde_json::from_slice(json).map_err(|source| WireError { what, source })
}

/// Labels as they travel: pairs in order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WireLabels(pub Vec<(String, String)>);

impl From<&Labels> for WireLabels {
    fn from(labels: &Labels) -> Self {
        Self(labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl From<&WireLabels> for Labels {
    fn from(labels: &WireLabels) -> Self {
        labels.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

#[cfg(test)]
mod tests;
