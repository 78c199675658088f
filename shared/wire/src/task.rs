//! What is asked of the functions, and what discovery found.

use serde::{Deserialize, Serialize};

use crate::WireLabels;

/// Asks discovery to plan all scrapes that are due in `from <= t < until`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoverTask {
    /// First instant, ms.
    pub from: i64,
    /// Instant to stop before, ms.
    pub until: i64,
}

/// Asks a scraper to scrape a batch of targets at one tick and to write one WAL segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrapeTask {
    /// Key of the configuration it was made under.
    pub config: String,
    /// The scheduled instant, ms: names the segment together with `shard`.
    pub tick: i64,
    /// Which batch of that tick.
    pub shard: u32,
    /// The batch.
    pub targets: Vec<ScrapeTarget>,
    /// Sources that discovery no longer finds: their series end at this tick.
    #[serde(default)]
    pub gone: Vec<String>,
}

/// A target, relabelled and ready to scrape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrapeTarget {
    /// Its source identifier, 16 hexadecimal digits.
    pub source: String,
    /// The scrape pool: a `job_name` of the configuration.
    pub pool: String,
    /// What to fetch, parameters included.
    pub url: String,
    /// Labels of all its samples: no `__` labels; `job` and `instance` included.
    pub labels: WireLabels,
    /// Labels before relabelling, for `/api/v1/targets`.
    pub discovered: WireLabels,
    /// Interval between scrapes, ms.
    pub interval_ms: u64,
    /// Bound on one scrape, ms.
    pub timeout_ms: u64,
    /// How far into its interval this target is scraped, ms.
    pub offset_ms: u64,
    /// Why it must not be fetched: the scrape fails with this error (`target_limit` exceeded).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced_error: Option<String>,
}

/// All targets as discovery last found them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetSnapshot {
    /// Format version, 1.
    pub v: u32,
    /// Key of the configuration it was made under.
    pub config: String,
    /// The scrape pools in the configuration's order.
    pub pools: Vec<ScrapePool>,
}

/// The targets of one scrape pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrapePool {
    /// A `job_name` of the configuration.
    pub name: String,
    /// Targets that are scraped, sorted by source.
    pub active: Vec<ScrapeTarget>,
    /// Targets that relabelling dropped.
    pub dropped: Vec<DroppedTarget>,
    /// Why discovery or target building failed, where it did.
    #[serde(default)]
    pub errors: Vec<String>,
}

/// A target that relabelling dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedTarget {
    /// Its labels before relabelling.
    pub discovered: WireLabels,
}

/// Asks the ruler to evaluate one rule group at one tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleTask {
    /// Key of the configuration it was made under.
    pub config: String,
    /// The rule file's path.
    pub file: String,
    /// The group's name.
    pub group: String,
    /// The scheduled instant, ms.
    pub tick: i64,
}

/// Asks the compactor to do whatever is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactTask {
    /// The scheduled instant, ms.
    pub tick: i64,
    /// Which work, where others do the rest.
    #[serde(default, skip_serializing_if = "CompactWork::is_all")]
    pub work: CompactWork,
}

/// A compactor's kind of work. Merges may take minutes; where they have compactors of their own, segments need not wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompactWork {
    /// Whatever is due.
    #[default]
    All,
    /// Segments to blocks.
    Segments,
    /// Blocks to larger blocks, and retention.
    Blocks,
}

impl CompactWork {
    /// Whether it is all work.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }
}

/// Asks the collector to delete what nothing refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectTask {
    /// The scheduled instant, ms.
    pub tick: i64,
}
