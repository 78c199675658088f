//! Which groups are due when, and the end of groups that are gone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use control::{ConfigCache, ControlError, Loaded, RuleGroupOfFile};
use platform::{Deadline, Handler, Platform, Retry};
use tsdb::{Shard, Store};
use wire::{DiscoverTask, RuleTask};

use crate::RulerError;
use crate::ruler::group_hash;

/// A window has at most so many ticks of one group.
const TICKS_MAX: usize = 1_000;

/// Sends the rule tasks that are due in a window.
pub struct RulePlanner {
    platform: Platform,
    configs: Arc<ConfigCache>,
    store: Arc<Store>,
    /// The configuration of the window before. After a cold start nothing is known to be gone; then the series of a
    /// removed group end by PromQL's lookback instead.
    before: Mutex<Option<Arc<Loaded>>>,
}

impl std::fmt::Debug for RulePlanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RulePlanner").finish_non_exhaustive()
    }
}

impl RulePlanner {
    /// The function over a platform and a store.
    #[must_use]
    pub fn new(platform: Platform, configs: Arc<ConfigCache>, store: Arc<Store>) -> Self {
        Self { platform, configs, store, before: Mutex::new(None) }
    }

    /// Ends the series of groups that the configuration had in the window before and has no more.
    async fn end_groups(&self, loaded: &Arc<Loaded>, at: i64) -> Result<(), RulerError> {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(before) = before.filter(|before| before.key != loaded.key) else { return Ok(()) };
        for entry in &before.rule_groups {
            if loaded.rule_groups.iter().any(|other| same_group(other, entry)) {
                continue;
            }
            let register = control::group_state(&self.platform, &entry.file, &entry.group.name).await?;
            let ended = rules::end_group(&register.state, at);
            if !ended.is_empty() {
                let shard = Shard::rules(group_hash(&entry.file, &entry.group.name));
                self.store.append(at, shard, &ended).await?;
            }
        }
        Ok(())
    }
}

impl Handler for RulePlanner {
    type Task = DiscoverTask;
    type Error = RulerError;

    async fn handle(&self, task: DiscoverTask, _deadline: Deadline) -> Result<(), RulerError> {
        let loaded = match self.configs.current().await {
            Ok(loaded) => loaded,
            // Nothing was published yet: there are no rules.
            Err(ControlError::NoConfig) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.end_groups(&loaded, task.from).await?;
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&loaded));
        for rule_task in plan_groups(&loaded, task.from, task.until) {
            let due_in = rule_task.tick.saturating_sub(self.platform.clock.now_ms());
            let delay = Duration::from_millis(u64::try_from(due_in).unwrap_or(0));
            let body = Bytes::from(wire::encode(&rule_task));
            self.platform.rule_queue.send(body, delay).await.map_err(RulerError::Queue)?;
        }
        Ok(())
    }

    fn retry(error: &RulerError) -> Retry {
        error.retry()
    }
}

/// A task for each group and each of its ticks in `from <= t < until`, in order of time.
#[must_use]
pub fn plan_groups(loaded: &Loaded, from: i64, until: i64) -> Vec<RuleTask> {
    let mut tasks = Vec::new();
    for entry in &loaded.rule_groups {
        let interval = entry.group.interval.unwrap_or(loaded.config.global.evaluation_interval);
        for tick in rules::ticks(&entry.file, &entry.group.name, interval, from, until, TICKS_MAX) {
            tasks.push(RuleTask {
                config: loaded.key.clone(),
                file: entry.file.clone(),
                group: entry.group.name.clone(),
                tick,
            });
        }
    }
    tasks.sort_by(|a, b| (a.tick, &a.file, &a.group).cmp(&(b.tick, &b.file, &b.group)));
    tasks
}

fn same_group(a: &RuleGroupOfFile, b: &RuleGroupOfFile) -> bool {
    a.file == b.file && a.group.name == b.group.name
}
