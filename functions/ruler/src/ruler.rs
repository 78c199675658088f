//! One rule group at one tick.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use control::{ConfigCache, ControlError, GroupRegister, Loaded, RuleGroupOfFile};
use discovery::LastGood;
use platform::{Deadline, Handler, Platform, Retry};
use promql::EngineOptions;
use rules::{EngineRunner, GroupEvaluation, RuleContext, evaluate_group};
use telemetry::Metrics;
use tsdb::{Appended, Shard, Store, TsdbError};
use wire::{Alert, RuleTask};

use crate::running::{Begun, Running};

/// Settings of the ruler.
#[derive(Clone, Debug)]
pub struct RulerSettings {
    /// How expressions are evaluated.
    pub engine: EngineOptions,
    /// Where users reach foxfire, without a slash at its end.
    pub external_url: String,
    /// An alert that still fires is sent again after so long.
    pub resend_delay: Duration,
    /// Bound on one expression.
    pub query_timeout: Duration,
}

/// The function.
pub struct Ruler {
    platform: Platform,
    configs: Arc<ConfigCache>,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    settings: RulerSettings,
    running: Running,
}

impl fmt::Debug for Ruler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ruler").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
pub enum RulerError {
    /// A register or the configuration.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The WAL.
    #[error("writing the WAL segment failed: {0}")]
    Store(#[from] TsdbError),
    /// The queue.
    #[error("sending a rule task failed: {0}")]
    Queue(platform::PlatformError),
    /// Another delivery of the same task is being evaluated: what becomes of it is not known yet.
    #[error("the rule group is being evaluated for this tick")]
    Busy,
}

impl RulerError {
    /// What to do about it.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Control(error) => error.retry(),
            Self::Store(error) => error.retry(),
            Self::Queue(error) => error.retry(),
            Self::Busy => Retry::Later,
        }
    }
}

impl Ruler {
    /// The function over a platform and a store.
    #[must_use]
    pub fn new(
        platform: Platform,
        configs: Arc<ConfigCache>,
        store: Arc<Store>,
        metrics: Arc<Metrics>,
        settings: RulerSettings,
    ) -> Self {
        Self { platform, configs, store, metrics, settings, running: Running::default() }
    }

    async fn evaluate(
        &self,
        entry: &RuleGroupOfFile,
        tick: i64,
        register: &GroupRegister,
        loaded: &Loaded,
    ) -> GroupEvaluation {
        let interval = loaded.config.global.evaluation_interval;
        let runner = EngineRunner {
            engine: EngineOptions {
                default_subquery_step_ms: i64::try_from(interval.as_millis()).unwrap_or(i64::MAX),
                ..self.settings.engine
            },
            timeout: self.settings.query_timeout,
            clock: Arc::clone(&self.platform.clock),
        };
        let context = self.context(loaded);
        evaluate_group(&entry.group, &entry.file, tick, &register.state, &*self.store, &runner, &context)
            .await
    }

    fn context<'a>(&'a self, loaded: &'a Loaded) -> RuleContext<'a> {
        RuleContext {
            external_labels: &loaded.config.global.external_labels,
            external_url: &self.settings.external_url,
            query_offset: loaded.config.global.rule_query_offset,
            evaluation_interval: loaded.config.global.evaluation_interval,
            resend_delay: self.settings.resend_delay,
            clock: &*self.platform.clock,
        }
    }

    /// Makes the results durable, then commits the state. Whether this invocation did it: a twin may have.
    async fn commit(
        &self,
        entry: &RuleGroupOfFile,
        tick: i64,
        register: &GroupRegister,
        evaluation: &GroupEvaluation,
    ) -> Result<bool, RulerError> {
        let shard = Shard::rules(group_hash(&entry.file, &entry.group.name));
        match self.store.append(tick, shard, &evaluation.scrapes).await? {
            Appended::Written(summary) => self.metrics.segment_written(summary.bytes, summary.samples),
            Appended::AlreadyThere => {}
            Appended::TooLate => {
                self.metrics.missed("ruler", 1);
                return Ok(false);
            }
        }
        let (file, group) = (&entry.file, &entry.group.name);
        Ok(control::store_group_state(&self.platform, file, group, register, &evaluation.state).await?)
    }

    async fn notify(&self, alerts: &[Alert], loaded: &Loaded) {
        if alerts.is_empty() {
            return;
        }
        futures::join!(self.send(alerts, loaded), self.publish(alerts, loaded));
    }

    /// Tells all Alertmanagers.
    async fn send(&self, alerts: &[Alert], loaded: &Loaded) {
        let alerting = &loaded.config.alerting;
        let mut last_good = LastGood::default();
        let found = discovery::alertmanagers(alerting, &*self.platform.files, &mut last_good).await;
        let external_labels = &loaded.config.global.external_labels;
        let results = notify::send(alerts, &found, alerting, external_labels, &self.platform).await;
        for result in results {
            self.metrics.notified(&result.url, result.alerts, result.error.is_some());
            if let Some(error) = result.error {
                tracing::error!(alertmanager = result.url, count = result.alerts, %error, "Error sending alerts");
            }
        }
    }

    /// Tells the alert topic, where there is one.
    async fn publish(&self, alerts: &[Alert], loaded: &Loaded) {
        let Some(topic) = &self.platform.alert_topic else { return };
        let external_labels = &loaded.config.global.external_labels;
        let now = self.platform.clock.now_ms();
        let results = notify::publish(alerts, &loaded.config.alerting, external_labels, &**topic, now).await;
        for result in results {
            self.metrics.notified("topic", result.alerts, result.error.is_some());
            if let Some(error) = result.error {
                tracing::error!(count = result.alerts, %error, "Error publishing alerts");
            }
        }
    }

    fn observe(&self, entry: &RuleGroupOfFile, evaluation: &GroupEvaluation) {
        let group = format!("{};{}", entry.file, entry.group.name);
        let failed = evaluation.state.rules.iter().filter(|rule| rule.last_error.is_some()).count();
        let rules = evaluation.state.rules.len();
        self.metrics.rules_evaluated(&group, rules, failed, evaluation.state.evaluation_seconds);
        for (rule, state) in entry.group.rules.iter().zip(&evaluation.state.rules) {
            if let Some(error) = &state.last_error {
                let name = match rule {
                    config::Rule::Recording(rule) => &rule.record,
                    config::Rule::Alerting(rule) => &rule.alert,
                };
                tracing::warn!(
                    file = entry.file,
                    group = entry.group.name,
                    name,
                    error,
                    "Evaluating rule failed"
                );
            }
        }
    }
}

impl Handler for Ruler {
    type Task = RuleTask;
    type Error = RulerError;

    async fn handle(&self, task: RuleTask, _deadline: Deadline) -> Result<(), RulerError> {
        let loaded = match self.configs.at(&task.config).await {
            Ok(loaded) => loaded,
            // The configuration may be gone by now, and with it whoever was waiting for this tick.
            Err(_) if self.store.is_late(task.tick) => {
                self.metrics.missed("ruler", 1);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let same = |entry: &&RuleGroupOfFile| entry.file == task.file && entry.group.name == task.group;
        let Some(entry) = loaded.rule_groups.iter().find(same) else { return Ok(()) };
        let identity = group_hash(&task.file, &task.group);
        let running = match self.running.begin(identity, task.tick) {
            Begun::Alone(running) => running,
            Begun::SameTick => return Err(RulerError::Busy),
            // As in Prometheus: an iteration that is due while the one before still runs is missed.
            Begun::OtherTick => {
                self.metrics.missed("ruler", 1);
                tracing::warn!(
                    file = task.file,
                    group = task.group,
                    tick = task.tick,
                    "rule group missed: its evaluation takes longer than its interval"
                );
                return Ok(());
            }
        };
        let register = control::group_state(&self.platform, &task.file, &task.group).await?;
        if register.version > 0 && task.tick <= register.state.last_tick {
            // Evaluated already, by this task's earlier delivery or by a later tick: but was everybody told?
            if task.tick == register.state.last_tick {
                let alerts = rules::unsent_alerts(&entry.group, &register.state, &self.context(&loaded));
                drop(running);
                self.notify(&alerts, &loaded).await;
            }
            return Ok(());
        }
        if self.store.is_late(task.tick) {
            self.metrics.missed("ruler", 1);
            return Ok(());
        }
        let evaluation = self.evaluate(entry, task.tick, &register, &loaded).await;
        if self.commit(entry, task.tick, &register, &evaluation).await? {
            self.observe(entry, &evaluation);
            // An Alertmanager that hangs does not keep the group from its next tick.
            drop(running);
            self.notify(&evaluation.alerts, &loaded).await;
        }
        Ok(())
    }

    fn retry(error: &RulerError) -> Retry {
        error.retry()
    }
}

/// Which shard of a tick a group's results are.
pub(crate) fn group_hash(file: &str, group: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(format!("{file}\0{group}").as_bytes())
}
