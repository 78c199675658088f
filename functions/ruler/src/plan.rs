//! Which groups are due when.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use control::{ConfigCache, Loaded};
use platform::{Deadline, Handler, Platform, Retry};
use wire::{DiscoverTask, RuleTask};

use crate::RulerError;

/// Sends the rule tasks that are due in a window.
pub struct RulePlanner {
    platform: Platform,
    configs: Arc<ConfigCache>,
}

impl RulePlanner {
    /// The function over a platform.
    #[must_use]
    pub fn new(platform: Platform, configs: Arc<ConfigCache>) -> Self {
        Self { platform, configs }
    }
}

impl std::fmt::Debug for RulePlanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RulePlanner").finish_non_exhaustive()
    }
}

impl Handler for RulePlanner {
    type Task = DiscoverTask;
    type Error = RulerError;

    async fn handle(&self, task: DiscoverTask, _deadline: Deadline) -> Result<(), RulerError> {
        let loaded = self.configs.current().await?;
        for rule_task in plan_groups(&loaded, task.from, task.until) {
            let delay = u64::try_from(rule_task.tick - self.platform.clock.now_ms()).unwrap_or(0);
            let body = Bytes::from(wire::encode(&rule_task));
            self.platform.rule_queue.send(body, Duration::from_millis(delay)).await?;
        }
        Ok(())
    }

    fn retry(error: &RulerError) -> Retry {
        error.retry()
    }
}

/// A task for each group and each of its ticks in `from <= t < until`, in order of time. A group's ticks are its
/// interval's multiples shifted by a hash of its name, so that groups spread as in Prometheus.
#[must_use]
pub fn plan_groups(loaded: &Loaded, from: i64, until: i64) -> Vec<RuleTask> {
    let mut tasks = Vec::new();
    for entry in &loaded.rule_groups {
        let interval = entry.group.interval.unwrap_or(loaded.config.global.evaluation_interval);
        let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        let identity = format!("{};{}", entry.file, entry.group.name);
        let offset = (xxhash_rust::xxh3::xxh3_64(identity.as_bytes()) % interval.unsigned_abs()).cast_signed();
        let mut tick = model::time::align_down(from - 1 - offset, interval) + offset + interval;
        while tick < until {
            tasks.push(RuleTask {
                config: loaded.key.clone(),
                file: entry.file.clone(),
                group: entry.group.name.clone(),
                tick,
            });
            tick += interval;
        }
    }
    tasks.sort_by(|a, b| (a.tick, &a.file, &a.group).cmp(&(b.tick, &b.file, &b.group)));
    tasks
}
