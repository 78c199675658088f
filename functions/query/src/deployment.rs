//! What the API is told of the deployment.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use api::{
    ApiError, BuildInfo, Deployment, DeploymentFuture, ErrorType, GlobalUrlOptions, LastScrape,
    RuleGroupStatus, RuntimeInfo, Targets, TsdbStatus,
};
use config::GlobalConfig;
use control::{ConfigCache, ControlError};
use discovery::LastGood;
use model::{Matcher, Metadata, TimestampMs};
use platform::Platform;
use storage::SourceId;
use tsdb::{Store, TsdbError};
use wire::BlockMeta;

/// What cannot be read from the store.
#[derive(Clone)]
pub struct QuerySettings {
    /// How it was started: flag names without dashes, and values.
    pub flags: Vec<(String, String)>,
    /// How it is reached from outside.
    pub global_url: GlobalUrlOptions,
    /// What was built.
    pub build_info: BuildInfo,
    /// Facts of the running process.
    pub runtime_info: Arc<dyn Fn() -> RuntimeInfo + Send + Sync>,
}

impl fmt::Debug for QuerySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuerySettings").field("flags", &self.flags).finish_non_exhaustive()
    }
}

/// The deployment as its registers and its WAL show it.
pub struct QueryDeployment {
    platform: Platform,
    configs: Arc<ConfigCache>,
    store: Arc<Store>,
    settings: QuerySettings,
    admin: bool,
}

impl fmt::Debug for QueryDeployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryDeployment").finish_non_exhaustive()
    }
}

impl QueryDeployment {
    /// The deployment over a platform and a store.
    #[must_use]
    pub fn new(
        platform: Platform,
        configs: Arc<ConfigCache>,
        store: Arc<Store>,
        settings: QuerySettings,
    ) -> Self {
        Self { platform, configs, store, settings, admin: false }
    }

    /// With the endpoints for administrators switched on, or off.
    #[must_use]
    pub fn with_admin(self, admin: bool) -> Self {
        Self { admin, ..self }
    }

    async fn all_targets(&self) -> Result<Targets, ApiError> {
        let register = control::current_targets(&self.platform).await.map_err(control_error)?;
        let pools = register.snapshot.map(|snapshot| snapshot.pools).unwrap_or_default();
        let sources: Vec<SourceId> = pools
            .iter()
            .flat_map(|pool| &pool.active)
            .filter_map(|target| source_id(&target.source))
            .collect();
        let statuses = self.store.latest_scrapes(&sources).await.map_err(store_error)?;
        let last_scrapes: BTreeMap<String, LastScrape> = statuses
            .into_iter()
            .map(|(source, status)| {
                let last = LastScrape {
                    timestamp: status.timestamp,
                    duration: status.duration,
                    error: status.error,
                };
                (source.to_string(), last)
            })
            .collect();
        Ok(Targets { pools, last_scrapes })
    }

    async fn all_rule_groups(&self) -> Result<Vec<RuleGroupStatus>, ApiError> {
        let loaded = self.configs.current().await.map_err(control_error)?;
        let mut groups = Vec::with_capacity(loaded.rule_groups.len());
        for entry in &loaded.rule_groups {
            let register = control::group_state(&self.platform, &entry.file, &entry.group.name)
                .await
                .map_err(control_error)?;
            groups.push(RuleGroupStatus {
                file: entry.file.clone(),
                group: entry.group.clone(),
                interval: entry.group.interval.unwrap_or(loaded.config.global.evaluation_interval),
                state: (register.version > 0).then_some(register.state),
            });
        }
        Ok(groups)
    }

    async fn all_alertmanagers(&self) -> Result<Vec<String>, ApiError> {
        let loaded = self.configs.current().await.map_err(control_error)?;
        let mut last_good = LastGood::default();
        let found =
            discovery::alertmanagers(&loaded.config.alerting, &*self.platform.files, &mut last_good).await;
        Ok(found.into_iter().map(|alertmanager| alertmanager.url).collect())
    }
}

impl Deployment for QueryDeployment {
    fn targets(&self) -> DeploymentFuture<'_, Targets> {
        Box::pin(self.all_targets())
    }

    fn target_metadata<'a>(
        &'a self,
        sources: &'a [&'a str],
    ) -> DeploymentFuture<'a, BTreeMap<String, Arc<[Metadata]>>> {
        Box::pin(async move {
            let sources: Vec<SourceId> = sources.iter().filter_map(|source| source_id(source)).collect();
            let said = self.store.latest_metadata(&sources).await.map_err(store_error)?;
            Ok(said.into_iter().map(|(source, said)| (source.to_string(), said)).collect())
        })
    }

    fn rule_groups(&self) -> DeploymentFuture<'_, Vec<RuleGroupStatus>> {
        Box::pin(self.all_rule_groups())
    }

    fn alertmanagers(&self) -> DeploymentFuture<'_, Vec<String>> {
        Box::pin(self.all_alertmanagers())
    }

    fn config_yaml(&self) -> DeploymentFuture<'_, String> {
        Box::pin(async {
            let loaded = self.configs.current().await.map_err(control_error)?;
            Ok(loaded.config.redacted_yaml.clone())
        })
    }

    fn global_config(&self) -> DeploymentFuture<'_, GlobalConfig> {
        Box::pin(async { Ok(self.configs.current().await.map_err(control_error)?.config.global.clone()) })
    }

    fn global_url(&self) -> GlobalUrlOptions {
        self.settings.global_url.clone()
    }

    fn tsdb_status(&self, limit: usize) -> DeploymentFuture<'_, TsdbStatus> {
        Box::pin(async move {
            let stats = self.store.head_stats(limit).await.map_err(store_error)?;
            Ok(TsdbStatus {
                head_series: stats.num_series,
                head_label_pairs: stats.num_label_pairs,
                head_chunks: stats.chunk_count,
                head_min_time: stats.min_time,
                head_max_time: stats.max_time,
                series_by_metric_name: stats.series_count_by_metric_name,
                values_by_label_name: stats.label_value_count_by_label_name,
                bytes_by_label_name: stats.memory_in_bytes_by_label_name,
                series_by_label_pair: stats.series_count_by_label_value_pair,
            })
        })
    }

    fn blocks(&self) -> DeploymentFuture<'_, Vec<BlockMeta>> {
        Box::pin(async { self.store.blocks().await.map_err(store_error) })
    }

    fn flags(&self) -> Vec<(String, String)> {
        self.settings.flags.clone()
    }

    fn runtime_info(&self) -> RuntimeInfo {
        (self.settings.runtime_info)()
    }

    fn build_info(&self) -> BuildInfo {
        self.settings.build_info.clone()
    }

    fn admin_enabled(&self) -> Result<(), ApiError> {
        if self.admin { Ok(()) } else { Err(ApiError::new(ErrorType::Unavailable, "admin APIs disabled")) }
    }

    fn delete_series(
        &self,
        matcher_sets: Vec<Vec<Matcher>>,
        min_time: TimestampMs,
        max_time: TimestampMs,
    ) -> DeploymentFuture<'_, ()> {
        Box::pin(async move {
            self.admin_enabled()?;
            let deleted = self.store.delete_series(&matcher_sets, min_time, max_time).await;
            let deleted = deleted.map_err(admin_error)?;
            tracing::info!(blocks = deleted.blocks, series = deleted.series, "series deleted");
            Ok(())
        })
    }

    fn clean_tombstones(&self) -> DeploymentFuture<'_, ()> {
        Box::pin(async {
            self.admin_enabled()?;
            let blocks = self.store.clean_tombstones().await.map_err(admin_error)?;
            tracing::info!(blocks, "blocks are to be written anew");
            Ok(())
        })
    }
}

/// The source that a target's text names.
fn source_id(text: &str) -> Option<SourceId> {
    u64::from_str_radix(text, 16).ok().map(SourceId)
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn control_error(error: ControlError) -> ApiError {
    ApiError::new(ErrorType::Internal, error.to_string())
}

/// Whatever goes wrong is internal, as in Prometheus.
#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn admin_error(error: TsdbError) -> ApiError {
    ApiError::new(ErrorType::Internal, error.to_string())
}

fn store_error(error: TsdbError) -> ApiError {
    storage::StorageError::from(error).into()
}
