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
//! and shard, and the first writer wins. That only holds because a window is planned by one set of targets, whose
//! name its first planner records: a second run that found other targets would put them under names that the first
//! run's batches have, and so lose some and scrape others twice.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use control::{ConfigCache, ControlError, SnapshotRegister, WindowPlan};
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

    /// Counts the scrapes that were due in `from <= t < until`, ms, as missed: nobody will do them.
    ///
    /// # Errors
    /// [`DiscoveryError`].
    pub async fn skip(&self, from: i64, until: i64) -> Result<u64, DiscoveryError> {
        let register = control::current_targets(&self.platform).await?;
        let missed = register.snapshot.map_or(0, |snapshot| discovery::scrapes_due(&snapshot, from, until));
        self.metrics.missed("scraper", usize::try_from(missed).unwrap_or(usize::MAX));
        Ok(missed)
    }

    /// The targets of a window: those that it was planned by before, or what is found now.
    async fn plan(
        &self,
        task: &DiscoverTask,
        current: &SnapshotRegister,
    ) -> Result<WindowPlan, DiscoveryError> {
        if let Some(plan) = control::window_plan(&self.platform, task.from, task.until).await? {
            return Ok(plan);
        }
        let found = self.discover().await?;
        Ok(control::plan_window(&self.platform, task.from, task.until, current, found).await?)
    }

    async fn discover(&self) -> Result<TargetSnapshot, DiscoveryError> {
        let loaded = self.configs.current().await?;
        // A copy: a lock must not be held across an await, and a run that crashes must not take this along.
        let mut last_good = self.lock().clone();
        let found = discovery::discover(&loaded.config, &*self.platform.files, &mut last_good).await;
        *self.lock() = last_good;
        Ok(discovery::snapshot(&loaded.key, &loaded.config, &found))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LastGood> {
        self.last_good.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the scrapers which sources have ended, then everybody which targets there are now. In this order: after a
    /// crash in between, the next run finds the same difference again.
    async fn publish(
        &self,
        from: i64,
        current: &SnapshotRegister,
        plan: &WindowPlan,
    ) -> Result<(), DiscoveryError> {
        // A window that is planned again after a later one has been does not bring its old targets back.
        if plan.planned_at < current.set_at {
            return Ok(());
        }
        let none = TargetSnapshot::default();
        let gone = discovery::gone(current.snapshot.as_ref().unwrap_or(&none), &plan.snapshot);
        if !gone.is_empty() {
            let config = plan.snapshot.config.clone();
            let ends = ScrapeTask { config, tick: from, shard: GONE_SHARD, targets: Vec::new(), gone };
            self.send(&ends, from).await?;
        }
        Ok(control::publish_targets(&self.platform, current, plan).await?)
    }

    async fn send(&self, task: &ScrapeTask, due: i64) -> Result<(), DiscoveryError> {
        let delay = u64::try_from(due.saturating_sub(self.platform.clock.now_ms())).unwrap_or(0);
        let body = Bytes::from(wire::encode(task));
        self.platform.scrape_queue.send(body, Duration::from_millis(delay)).await?;
        Ok(())
    }
}

impl Handler for Discovery {
    type Task = DiscoverTask;
    type Error = DiscoveryError;

    async fn handle(&self, task: DiscoverTask, _deadline: Deadline) -> Result<(), DiscoveryError> {
        let current = control::current_targets(&self.platform).await?;
        let plan = match self.plan(&task, &current).await {
            Ok(plan) => plan,
            Err(DiscoveryError::Control(ControlError::NoConfig)) => {
                tracing::warn!("nothing is scraped: no configuration has been published");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.publish(task.from, &current, &plan).await?;
        let pools = plan.snapshot.pools.iter();
        self.metrics.discovered(pools.map(|pool| (pool.name.as_str(), pool.active.len())));
        for Slot { task, due } in discovery::schedule(&plan.snapshot, task.from, task.until, &self.settings) {
            self.send(&task, due).await?;
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
