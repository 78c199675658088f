//! The scraper function: one batch of targets at one tick becomes one WAL segment.
//!
//! ```text
//! ScrapeTask ─► its configuration ─► all targets concurrently ─► Scrape each ─► one segment (tick, shard)
//! ```
//!
//! # Contract
//! A target that fails or hangs costs its own samples only. A task delivered twice writes once: the segment is named
//! by what the task says and the first writer wins. A target may take until shortly before its segment is late. A task that comes too late is over: its scrapes are missed and
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
use wire::{ScrapeTarget, ScrapeTask};

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
            // An end that is written twice ends nothing twice.
            let shard = shard_of_its_own(&task);
            task.tick = now;
            let ends = self.scraper.scrape_batch(&task, &[], (&self.platform).into(), deadline).await;
            self.store.append(now, shard, &ends).await?;
            return Ok(());
        }
        let loaded = self.configs.at(&task.config).await?;
        let configs = &loaded.config.scrape_configs;
        let late_bound_ms = self.store.settings().late_bound_ms;
        let (tick, shard) = segment_name(&task, late_bound_ms);
        let deadline = deadline.min(Deadline(end_of_scrapes(tick, late_bound_ms)));
        let scrapes = self.scraper.scrape_batch(&task, configs, (&self.platform).into(), deadline).await;
        self.count();
        self.observe_intervals(&task, &scrapes);
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

/// What names the segment, by the task alone, so that all its deliveries name the same one and the first writer wins
/// (rule P1): its tick and shard. Where its targets may take so long that the tick would be late by then (rule P12), an
/// instant later by so much, and a shard that no other batch of that instant has.
fn segment_name(task: &ScrapeTask, late_bound_ms: i64) -> (i64, Shard) {
    const PROMPT_MS: i64 = 20_000;
    // A segment's tick lies ahead of all clocks by less than the late bound.
    const SPARE_MS: i64 = 10_000;
    let done_after = |target: &ScrapeTarget| {
        let timeout = i64::try_from(target.timeout_ms).unwrap_or(i64::MAX);
        scrape::due_at(target, task.tick).saturating_sub(task.tick).saturating_add(timeout)
    };
    let slowest = task.targets.iter().map(done_after).max().unwrap_or(0);
    if slowest <= PROMPT_MS {
        return (task.tick, Shard::scrape(task.shard));
    }
    let later = slowest.min(late_bound_ms.saturating_sub(SPARE_MS)).max(0);
    (task.tick.saturating_add(later), shard_of_its_own(task))
}

/// The last instant, ms, at which scrapes may end and their segment of `tick` is not late.
fn end_of_scrapes(tick: i64, late_bound_ms: i64) -> i64 {
    const APPEND_MS: i64 = 5_000;
    tick.saturating_add(late_bound_ms).saturating_sub(APPEND_MS)
}

fn shard_of_its_own(task: &ScrapeTask) -> Shard {
    const SLOW_SHARDS: u32 = 1 << 30;
    let identity = xxhash_rust::xxh3::xxh3_64(format!("{}/{}", task.tick, task.shard).as_bytes());
    let number = u32::try_from(identity % u64::from(SLOW_SHARDS)).unwrap_or(0);
    Shard::scrape(SLOW_SHARDS + number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(timeouts_ms: &[u64]) -> ScrapeTask {
        let target = |timeout_ms: &u64| ScrapeTarget {
            source: "1".to_owned(),
            pool: "p".to_owned(),
            url: "http://t/".to_owned(),
            labels: wire::WireLabels::default(),
            discovered: wire::WireLabels::default(),
            interval_ms: 300_000,
            timeout_ms: *timeout_ms,
            offset_ms: 1_000,
            forced_error: None,
        };
        let targets = timeouts_ms.iter().map(target).collect();
        ScrapeTask { config: String::new(), tick: 600_000, shard: 3, targets, gone: Vec::new() }
    }

    #[test]
    fn a_segment_is_named_by_its_task_alone_and_never_beyond_the_late_bound() {
        let name = |timeouts: &[u64]| segment_name(&task(timeouts), 60_000);
        assert_eq!(name(&[]), (600_000, Shard::scrape(3)));
        assert_eq!(name(&[10_000, 19_000]), (600_000, Shard::scrape(3)));
        assert_eq!(name(&[10_000, 19_001]), (620_001, shard_of_its_own(&task(&[]))));
        assert_eq!(name(&[299_000]).0, 650_000);
        assert_eq!(end_of_scrapes(650_000, 60_000), 705_000);
    }
}
