//! The scraper function: one batch of targets at one tick becomes one WAL segment.
//!
//! ```text
//! ScrapeTask ─► its configuration ─► all targets concurrently ─► Scrape each ─► one segment (tick, shard)
//! ```
//!
//! # Contract
//! A target that fails or hangs costs its own samples only. A task delivered twice writes once: the segment is named
//! by tick and shard and the first writer wins. A task that comes too late is over: its scrapes are missed and
//! counted (rule P12). Too late is also what comes when the next scrape of the same targets is due: after a pause,
//! targets are not scraped in a burst. The ends of sources that are gone are never too late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use control::{ConfigCache, ControlError};
use platform::{Deadline, Handler, Platform, Retry};
use storage::{Scrape, SourceId};
use telemetry::{Metrics, ScrapeTotals};
use tsdb::{Appended, Shard, Store, TsdbError};
use wire::ScrapeTask;

/// The function.
pub struct Scraper {
    platform: Platform,
    configs: Arc<ConfigCache>,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    scraper: scrape::Scraper,
    /// When each source was last scraped by this process, ms: only to tell the intervals.
    last: Mutex<BTreeMap<SourceId, i64>>,
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
        Self {
            platform,
            configs,
            store,
            metrics,
            scraper: scrape::Scraper::default(),
            last: Mutex::default(),
        }
    }
}

impl Scraper {
    fn miss(&self, task: &ScrapeTask) {
        if !task.targets.is_empty() {
            self.metrics.missed("scraper", task.targets.len());
            tracing::warn!(tick = task.tick, targets = task.targets.len(), "scrapes missed");
        }
    }

    /// Of a late task's ended sources, those that have not come back meanwhile.
    async fn keep_gone(&self, task: &mut ScrapeTask) -> Result<(), ScraperError> {
        let current = control::current_targets(&self.platform).await?;
        let pools = current.snapshot.map(|snapshot| snapshot.pools).unwrap_or_default();
        let active: BTreeSet<&str> =
            pools.iter().flat_map(|pool| &pool.active).map(|target| target.source.as_str()).collect();
        task.gone.retain(|source| !active.contains(source.as_str()));
        Ok(())
    }

    /// Tells how far apart the scrapes of each target were.
    fn observe_intervals(&self, task: &ScrapeTask, scrapes: &[Scrape]) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let intervals: BTreeMap<&str, u64> =
            task.targets.iter().map(|target| (target.source.as_str(), target.interval_ms)).collect();
        for scrape in scrapes {
            let Some(interval_ms) = intervals.get(scrape.source.to_string().as_str()) else {
                last.remove(&scrape.source);
                continue;
            };
            if let Some(before) = last.insert(scrape.source, scrape.timestamp) {
                let interval = model::duration::format(Duration::from_millis(*interval_ms));
                let seconds = scrape.timestamp.saturating_sub(before) as f64 / 1000.0;
                self.metrics.scrape_interval(&interval, seconds);
            }
        }
    }

    fn count(&self) {
        let counts = self.scraper.counts();
        self.metrics.scraped(&ScrapeTotals {
            samples: counts.samples,
            exceeded_body_size_limit: counts.exceeded_body_size_limit,
            exceeded_sample_limit: counts.exceeded_sample_limit,
            exceeded_label_limits: counts.exceeded_label_limits,
            duplicate_samples: counts.duplicate_samples,
            out_of_order_samples: counts.out_of_order_samples,
            out_of_bounds_samples: counts.out_of_bounds_samples,
        });
    }
}

impl Handler for Scraper {
    type Task = ScrapeTask;
    type Error = ScraperError;

    async fn handle(&self, mut task: ScrapeTask, deadline: Deadline) -> Result<(), ScraperError> {
        let now = self.platform.clock.now_ms();
        if self.store.is_late(task.tick) || overtaken(&task, now) {
            self.miss(&task);
            task.targets.clear();
            if task.gone.is_empty() {
                return Ok(());
            }
            self.keep_gone(&mut task).await?;
            let (tick, shard) = late_segment(&task, now);
            task.tick = tick;
            let ends = self.scraper.scrape_batch(&task, &[], (&self.platform).into(), deadline).await;
            self.store.append(tick, shard, &ends).await?;
            return Ok(());
        }
        let loaded = self.configs.at(&task.config).await?;
        let configs = &loaded.config.scrape_configs;
        let scrapes = self.scraper.scrape_batch(&task, configs, (&self.platform).into(), deadline).await;
        self.count();
        self.observe_intervals(&task, &scrapes);
        let (tick, shard) = segment_name(&task, self.platform.clock.now_ms());
        match self.store.append(tick, shard, &scrapes).await {
            Ok(Appended::Written(summary)) => self.metrics.segment_written(summary.bytes, summary.samples),
            Ok(Appended::AlreadyThere) => {}
            Ok(Appended::TooLate) => self.miss(&task),
            Err(error) => {
                if error.retry() == Retry::Never {
                    self.miss(&task);
                }
                return Err(error.into());
            }
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

/// Whether the next scrape of the task's targets is due by now, so that this one is over. Where intervals are short, a
/// little later.
fn overtaken(task: &ScrapeTask, now: i64) -> bool {
    const INTERVAL_MS_MIN: u64 = 2_000;
    let interval = task.targets.iter().map(|target| target.interval_ms).max();
    let patience = interval.map(|interval| i64::try_from(interval.max(INTERVAL_MS_MIN)).unwrap_or(i64::MAX));
    patience.is_some_and(|patience| now.saturating_sub(task.tick) >= patience)
}

/// What names the segment: the batch's own tick and shard. Only where targets took so long to answer that it is about to
/// be late (rule P12), the instant at which they all had.
fn segment_name(task: &ScrapeTask, now: i64) -> (i64, Shard) {
    const PATIENCE_MS: i64 = 20_000;
    if now.saturating_sub(task.tick) <= PATIENCE_MS {
        return (task.tick, Shard::scrape(task.shard));
    }
    late_segment(task, now)
}

/// This instant, and a shard that no other batch of this instant has: another delivery of the task may then write a
/// segment of its own, whose equal samples readers take once (rule P13).
fn late_segment(task: &ScrapeTask, now: i64) -> (i64, Shard) {
    const SLOW_SHARDS: u32 = 1 << 30;
    let identity = xxhash_rust::xxh3::xxh3_64(format!("{}/{}", task.tick, task.shard).as_bytes());
    let number = u32::try_from(identity % u64::from(SLOW_SHARDS)).unwrap_or(0);
    (now, Shard::scrape(SLOW_SHARDS + number))
}
