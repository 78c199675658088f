//! The scraper function: one batch of targets at one tick becomes one WAL segment.
//!
//! ```text
//! ScrapeTask ─► its configuration ─► all targets concurrently ─► Scrape each ─► one segment (tick, shard)
//! ```
//!
//! # Contract
//! A target that fails or hangs costs its own samples only. A task delivered twice writes once: the segment is named
//! by tick and shard and the first writer wins. A task that comes too late is over: its scrapes are missed and
//! counted (rule P12).

use std::sync::Arc;

use control::{ConfigCache, ControlError};
use platform::{Deadline, Handler, Platform, Retry};
use scrape::ScrapeCache;
use telemetry::Metrics;
use tsdb::{Appended, Shard, Store, TsdbError};
use wire::ScrapeTask;

/// The function.
pub struct Scraper {
    platform: Platform,
    configs: Arc<ConfigCache>,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    cache: ScrapeCache,
}

impl std::fmt::Debug for Scraper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scraper").finish_non_exhaustive()
    }
}

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
pub enum ScraperError {
    /// The configuration.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The WAL.
    #[error("writing the WAL segment failed: {0}")]
    Store(#[from] TsdbError),
}

impl Scraper {
    /// The function over a platform and a store.
    #[must_use]
    pub fn new(
        platform: Platform,
        configs: Arc<ConfigCache>,
        store: Arc<Store>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { platform, configs, store, metrics, cache: ScrapeCache::default() }
    }
}

impl Handler for Scraper {
    type Task = ScrapeTask;
    type Error = ScraperError;

    async fn handle(&self, task: ScrapeTask, deadline: Deadline) -> Result<(), ScraperError> {
        let (tick, shard) = segment_name(&task);
        if self.store.is_too_late(tick) {
            self.metrics.missed("scraper", task.targets.len());
            tracing::warn!(tick, targets = task.targets.len(), "scrapes missed: the task came too late");
            return Ok(());
        }
        let loaded = self.configs.at(&task.config).await?;
        let scrapes =
            scrape::scrape_batch(&task, &loaded.config, &self.platform, &self.cache, deadline).await;
        match self.store.append(tick, shard, &scrapes).await? {
            Appended::Written(summary) => self.metrics.segment_written(summary.bytes, summary.samples),
            Appended::AlreadyThere => {}
            Appended::TooLate => self.metrics.missed("scraper", task.targets.len()),
        }
        Ok(())
    }

    fn retry(error: &ScraperError) -> Retry {
        match error {
            ScraperError::Control(error) => error.retry(),
            ScraperError::Store(error) => error.retry(),
        }
    }
}

/// What names the segment: the batch's own tick and shard or, where its targets may take long to answer, the instant
/// by which they all have, and a shard that no other batch of that instant has. Lateness (rule P12) is measured from
/// there, so a slow target is not taken for a late task.
fn segment_name(task: &ScrapeTask) -> (i64, Shard) {
    const PATIENCE_MS: u64 = 20_000;
    const SLOW_SHARDS: u32 = 1 << 30;
    let slowest = task.targets.iter().map(|target| target.timeout_ms).max().unwrap_or(0);
    if slowest <= PATIENCE_MS {
        return (task.tick, Shard::scrape(task.shard));
    }
    let allowance = i64::try_from(slowest).unwrap_or(0);
    (task.tick.saturating_add(allowance), Shard::scrape(SLOW_SHARDS.wrapping_add(task.shard)))
}
