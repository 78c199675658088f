//! The discovery function: finds the targets, tells everybody, and plans their scrapes.
//!
//! ```text
//! DiscoverTask {from, until} ─► configuration in force ─► discover, relabel ─► target snapshot (register)
//!                                                              └─► schedule ─► ScrapeTask per batch and slot ─► queue
//! ```
//!
//! # Contract
//! A task covers the scrapes that are due in `from <= t < until`; consecutive tasks have consecutive windows. Running
//! a task twice sends the same messages twice, which the scrapers make harmless: a WAL segment is named by its tick
//! and shard, and the first writer wins.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use control::{ConfigCache, ControlError};
use discovery::{LastGood, PackSettings, Slot};
use platform::{Deadline, Handler, Platform, PlatformError, Retry};
use telemetry::Metrics;
use wire::{DiscoverTask, ScrapeTask, TargetSnapshot};

/// Batches that hold sources which are gone have the highest shard number, which no batch of targets reaches.
const GONE_SHARD: u32 = u32::MAX;

/// The function.
pub struct Discovery {
    platform: Platform,
    configs: Arc<ConfigCache>,
    metrics: Arc<Metrics>,
    settings: PackSettings,
    last_good: Mutex<LastGood>,
}

impl std::fmt::Debug for Discovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discovery").finish_non_exhaustive()
    }
}

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// A register or the configuration.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The queue.
    #[error("sending a scrape task failed: {0}")]
    Queue(#[from] PlatformError),
}

impl Discovery {
    /// The function over a platform.
    #[must_use]
    pub fn new(
        platform: Platform,
        configs: Arc<ConfigCache>,
        metrics: Arc<Metrics>,
        settings: PackSettings,
    ) -> Self {
        Self { platform, configs, metrics, settings, last_good: Mutex::new(LastGood::default()) }
    }

    async fn discover(&self) -> Result<(Arc<control::Loaded>, TargetSnapshot), DiscoveryError> {
        let loaded = self.configs.current().await?;
        // Taken out for the while: a lock must not be held across an await, and a concurrent run may start afresh.
        let mut last_good = std::mem::take(&mut *self.lock());
        let found = discovery::discover(&loaded.config, &*self.platform.files, &mut last_good).await;
        *self.lock() = last_good;
        let snapshot = discovery::snapshot(&loaded.key, &loaded.config, &found);
        Ok((loaded, snapshot))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LastGood> {
        self.last_good.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, mut task: ScrapeTask, config: &str, due: i64) -> Result<(), DiscoveryError> {
        config.clone_into(&mut task.config);
        let delay = u64::try_from(due.saturating_sub(self.platform.clock.now_ms())).unwrap_or(0);
        let body = Bytes::from(wire::encode(&task));
        self.platform.scrape_queue.send(body, Duration::from_millis(delay)).await?;
        Ok(())
    }
}

impl Handler for Discovery {
    type Task = DiscoverTask;
    type Error = DiscoveryError;

    async fn handle(&self, task: DiscoverTask, _deadline: Deadline) -> Result<(), DiscoveryError> {
        let (loaded, snapshot) = self.discover().await?;
        let register = control::current_targets(&self.platform).await?;
        let previous = register.snapshot.clone().unwrap_or_default();
        // Before the register changes: after a crash in between, the next run finds the same difference again.
        let gone = discovery::gone(&previous, &snapshot);
        if !gone.is_empty() {
            let gone_task = ScrapeTask {
                config: String::new(),
                tick: task.from,
                shard: GONE_SHARD,
                targets: Vec::new(),
                gone,
            };
            self.send(gone_task, &loaded.key, task.from).await?;
        }
        control::publish_targets(&self.platform, &register, &snapshot).await?;
        let slots = discovery::schedule(&snapshot, task.from, task.until, &self.settings);
        self.metrics.discovered(snapshot.pools.iter().map(|pool| (pool.name.as_str(), pool.active.len())));
        for Slot { task, due } in slots {
            self.send(task, &loaded.key, due).await?;
        }
        Ok(())
    }

    fn retry(error: &DiscoveryError) -> Retry {
        match error {
            DiscoveryError::Control(error) => error.retry(),
            DiscoveryError::Queue(error) => error.retry(),
        }
    }
}
