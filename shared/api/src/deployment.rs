//! What the API asks of a deployment besides samples.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use config::{GlobalConfig, RuleGroup};
use model::{Matcher, Metadata, TimestampMs};
use wire::{BlockMeta, RuleGroupState, ScrapePool};

use crate::{ApiError, ErrorType, GlobalUrlOptions};

/// What a method of [`Deployment`] returns.
pub type DeploymentFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ApiError>> + Send + 'a>>;

/// What a deployment knows of itself.
pub trait Deployment: Send + Sync {
    /// The scrape pools and how their targets' last scrapes went.
    fn targets(&self) -> DeploymentFuture<'_, Targets>;
    /// What each of some targets last said of its metric families, by the targets' sources; each sorted by family.
    fn target_metadata<'a>(
        &'a self,
        sources: &'a [&'a str],
    ) -> DeploymentFuture<'a, BTreeMap<String, Arc<[Metadata]>>>;
    /// The rule groups with their state, in the order of their files.
    fn rule_groups(&self) -> DeploymentFuture<'_, Vec<RuleGroupStatus>>;
    /// URLs of the Alertmanagers that alerts are sent to.
    fn alertmanagers(&self) -> DeploymentFuture<'_, Vec<String>>;
    /// The configuration in force, secrets redacted.
    fn config_yaml(&self) -> DeploymentFuture<'_, String>;
    /// The global part of it.
    fn global_config(&self) -> DeploymentFuture<'_, GlobalConfig>;
    /// Figures of what is not yet in blocks; each list has at most `limit` entries.
    fn tsdb_status(&self, limit: usize) -> DeploymentFuture<'_, TsdbStatus>;
    /// The live blocks.
    fn blocks(&self) -> DeploymentFuture<'_, Vec<BlockMeta>>;
    /// How it is reached from outside.
    fn global_url(&self) -> GlobalUrlOptions;
    /// How it was started: flag names without dashes, and values.
    fn flags(&self) -> Vec<(String, String)>;
    /// Facts of the running process or function.
    fn runtime_info(&self) -> RuntimeInfo;
    /// What was built.
    fn build_info(&self) -> BuildInfo;

    /// Whether the endpoints for administrators may be used.
    ///
    /// # Errors
    /// Prometheus's, where not.
    fn admin_enabled(&self) -> Result<(), ApiError> {
        Err(ApiError::new(ErrorType::Unavailable, "admin APIs disabled"))
    }

    /// Deletes the samples that there are in `min_time..=max_time`, ms, of the series that satisfy all matchers of any one
    /// set.
    fn delete_series(
        &self,
        _matcher_sets: Vec<Vec<Matcher>>,
        _min_time: TimestampMs,
        _max_time: TimestampMs,
    ) -> DeploymentFuture<'_, ()> {
        Box::pin(async { self.admin_enabled() })
    }

    /// Has deletions carried out in every block.
    fn clean_tombstones(&self) -> DeploymentFuture<'_, ()> {
        Box::pin(async { self.admin_enabled() })
    }
}

/// All targets.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// The scrape pools.
    pub pools: Vec<ScrapePool>,
    /// How the last scrape of a source went, where one is known; by the source's 16 hexadecimal digits.
    pub last_scrapes: BTreeMap<String, LastScrape>,
}

/// How a scrape went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastScrape {
    /// When it began.
    pub timestamp: TimestampMs,
    /// How long it took.
    pub duration: Duration,
    /// Why it failed, where it did.
    pub error: Option<String>,
}

/// A rule group and its state.
#[derive(Clone, Debug)]
pub struct RuleGroupStatus {
    /// The rule file's path.
    pub file: String,
    /// Its definition.
    pub group: RuleGroup,
    /// How often it is evaluated.
    pub interval: Duration,
    /// Its state, where it has been evaluated.
    pub state: Option<RuleGroupState>,
}

/// Figures of what is in the WAL and not yet in blocks.
#[derive(Clone, Debug, Default)]
pub struct TsdbStatus {
    /// Series.
    pub head_series: u64,
    /// Pairs of label name and value.
    pub head_label_pairs: u64,
    /// Segments, for want of chunks.
    pub head_chunks: u64,
    /// First instant, if any.
    pub head_min_time: Option<TimestampMs>,
    /// Last instant, if any.
    pub head_max_time: Option<TimestampMs>,
    /// Series by metric name, most first.
    pub series_by_metric_name: Vec<(String, u64)>,
    /// Values by label name, most first.
    pub values_by_label_name: Vec<(String, u64)>,
    /// Bytes of values by label name, most first.
    pub bytes_by_label_name: Vec<(String, u64)>,
    /// Series by `label=value`, most first.
    pub series_by_label_pair: Vec<(String, u64)>,
}

/// Facts of the running process or function.
#[derive(Clone, Debug, Default)]
pub struct RuntimeInfo {
    /// When it started.
    pub start_time: TimestampMs,
    /// Its working directory.
    pub cwd: String,
    /// The machine's name.
    pub hostname: String,
    /// Whether the last reload of the configuration succeeded.
    pub reload_config_success: bool,
    /// When the configuration in force was loaded.
    pub last_config_time: TimestampMs,
    /// How long samples are kept, as it was given.
    pub storage_retention: String,
}

/// What was built.
#[derive(Clone, Debug, Default)]
pub struct BuildInfo {
    /// foxfire's version.
    pub version: String,
    /// The revision that it was built from, where known.
    pub revision: String,
}
