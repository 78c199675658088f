//! foxfire's own metrics.

mod billing;
mod compaction;
mod families;
mod pushes;
mod totals;

use prometheus::TextEncoder;

use billing::BillingFamilies;
use compaction::CompactionFamilies;
use families::{ApiFamilies, QueryFamilies, RuleFamilies, ScrapeFamilies, StoreFamilies, TaskFamilies};
use pushes::PushFamilies;

pub use pushes::Pushed;
pub use totals::Totals;

use crate::process::ProcessMetrics;

/// The metrics of one process. Not global: made by `main` and shared by those who count.
#[derive(Debug)]
pub struct Metrics {
    registry: prometheus::Registry,
    api: ApiFamilies,
    billing: BillingFamilies,
    compaction: CompactionFamilies,
    query: QueryFamilies,
    rules: RuleFamilies,
    scrape: ScrapeFamilies,
    store: StoreFamilies,
    tasks: TaskFamilies,
    pushes: PushFamilies,
    process: ProcessMetrics,
}

/// Totals of a process's scraper since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeTotals {
    /// Samples written, report series included.
    pub samples: u64,
    /// Scrapes that `body_size_limit` ended.
    pub exceeded_body_size_limit: u64,
    /// Scrapes that `sample_limit` ended.
    pub exceeded_sample_limit: u64,
    /// Scrapes that a limit on labels ended.
    pub exceeded_label_limits: u64,
    /// Samples dropped as duplicates.
    pub duplicate_samples: u64,
    /// Samples dropped as older than another of their series.
    pub out_of_order_samples: u64,
    /// Samples dropped for their own timestamp.
    pub out_of_bounds_samples: u64,
}

/// A job of a compactor that was committed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Compaction {
    /// `segments`, `merge`, `split`, `part` or `drop`.
    pub kind: &'static str,
    /// The level of its blocks; 0 where it made none.
    pub level: u32,
    /// Bytes of what it read.
    pub read_bytes: u64,
    /// Samples of what it read.
    pub read_samples: u64,
    /// Samples left out as equal to another by series and timestamp.
    pub duplicate_samples: u64,
    /// Samples left out as deleted.
    pub deleted_samples: u64,
    /// How long it took.
    pub seconds: f64,
}

/// The state of the store in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreState {
    /// Live blocks.
    pub blocks: u64,
    /// Their bytes.
    pub block_bytes: u64,
    /// How far compaction is behind now.
    pub lag_seconds: f64,
    /// The earliest sample, seconds since the epoch; 0 where there is none.
    pub min_time_seconds: f64,
    /// Parts of merges that are not done.
    pub pending_parts: u64,
    /// Deletions that are not carried out everywhere.
    pub tombstones: u64,
    /// Segments that are not in blocks.
    pub head_segments: u64,
    /// Their samples.
    pub head_samples: u64,
    /// What waits to be merged: level, blocks, bytes.
    pub debt: Vec<(u32, u64, u64)>,
}

impl Metrics {
    /// Metrics in a registry of their own; `version` is what `prometheus_build_info` says.
    #[must_use]
    pub fn new(version: &str) -> Self {
        let registry = prometheus::Registry::new();
        Self {
            api: families::made(ApiFamilies::new(&registry, version)),
            billing: families::made(BillingFamilies::new(&registry)),
            compaction: families::made(CompactionFamilies::new(&registry)),
            query: families::made(QueryFamilies::new(&registry)),
            rules: families::made(RuleFamilies::new(&registry)),
            scrape: families::made(ScrapeFamilies::new(&registry)),
            store: families::made(StoreFamilies::new(&registry)),
            tasks: families::made(TaskFamilies::new(&registry)),
            pushes: families::made(PushFamilies::new(&registry)),
            process: families::made(ProcessMetrics::new(&registry)),
            registry,
        }
    }

    /// All of them in text format 0.0.4.
    #[must_use]
    pub fn encode(&self) -> String {
        self.process.refresh();
        let mut text = String::new();
        // A string takes whatever is written; and no family is empty, for the registry leaves those out.
        let _ = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text);
        text
    }

    /// A request was answered. `handler` is the route, not the path, so that clients cannot make up series.
    pub fn http_request(&self, handler: &str, code: u16, seconds: f64, response_bytes: usize) {
        self.api.requests.with_label_values(&[handler, &code.to_string()]).inc();
        self.api.request_duration.with_label_values(&[handler]).observe(seconds);
        self.api.response_size.with_label_values(&[handler]).observe(response_bytes as f64);
    }

    /// Whether the process can do its work.
    pub fn ready(&self, ready: bool) {
        self.api.ready.set(i64::from(ready));
    }

    /// The configuration was loaded, or could not be, at `at_seconds` since the Unix epoch.
    pub fn config_reloaded(&self, succeeded: bool, at_seconds: f64) {
        self.api.reload_successful.set(i64::from(succeeded));
        if succeeded {
            self.api.reload_success_timestamp.set(at_seconds);
        }
    }

    /// A part of a query took so long. `slice` is `queue_time`, `prepare_time`, `inner_eval` or `result_sort`.
    pub fn query(&self, slice: &str, seconds: f64) {
        self.query.duration.observe(slice, seconds);
        self.query.duration_histogram.with_label_values(&[slice]).observe(seconds);
    }

    /// A rule group was evaluated. `group` is `<file>;<name>`, as in Prometheus.
    pub fn rules_evaluated(&self, group: &str, rules: usize, failed: usize, seconds: f64) {
        self.rules.evaluations.with_label_values(&[group]).inc_by(rules as u64);
        self.rules.failures.with_label_values(&[group]).inc_by(failed as u64);
        self.rules.iterations.with_label_values(&[group]).inc();
        self.rules.last_duration.with_label_values(&[group]).set(seconds);
        self.rules.rules.with_label_values(&[group]).set(i64::try_from(rules).unwrap_or(i64::MAX));
    }

    /// Alerts were sent to an Alertmanager, or were not.
    pub fn notified(&self, alertmanager: &str, alerts: usize, failed: bool) {
        let errors = self.rules.notification_errors.with_label_values(&[alertmanager]);
        self.rules.notifications.with_label_values(&[alertmanager]).inc_by(alerts as u64);
        errors.inc_by(if failed { alerts as u64 } else { 0 });
    }

    /// The scrape pools and how many targets each has; pools not named are gone.
    pub fn discovered<'a>(&self, pools: impl IntoIterator<Item = (&'a str, usize)>) {
        self.scrape.pool_targets.reset();
        for (pool, targets) in pools {
            let targets = i64::try_from(targets).unwrap_or(i64::MAX);
            self.scrape.pool_targets.with_label_values(&[pool]).set(targets);
        }
    }

    /// What the process's scraper has counted; each total counts up from the one given before.
    pub fn scraped(&self, totals: &ScrapeTotals) {
        for (counter, total) in [
            (&self.scrape.samples, totals.samples),
            (&self.scrape.exceeded_body_size_limit, totals.exceeded_body_size_limit),
            (&self.scrape.exceeded_sample_limit, totals.exceeded_sample_limit),
            (&self.scrape.exceeded_label_limits, totals.exceeded_label_limits),
            (&self.scrape.duplicate_samples, totals.duplicate_samples),
            (&self.scrape.out_of_order_samples, totals.out_of_order_samples),
            (&self.scrape.out_of_bounds_samples, totals.out_of_bounds_samples),
        ] {
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }

    /// Between two scrapes of a target of that interval, as written in the configuration, so much time passed.
    pub fn scrape_interval(&self, interval: &str, seconds: f64) {
        self.scrape.interval_length.observe(interval, seconds);
    }

    /// A WAL segment was written: bytes of its payload, and samples in it.
    pub fn segment_written(&self, bytes: u64, samples: u64) {
        self.store.wal_segments.inc();
        self.store.wal_bytes.inc_by(bytes);
        self.store.wal_samples.inc_by(samples);
    }

    /// A compaction wrote a block of that level.
    pub fn block_written(&self, level: u32, bytes: u64, samples: u64) {
        let level = level.to_string();
        self.store.compactions.with_label_values(&[level.as_str()]).inc();
        self.store.block_bytes.with_label_values(&[level.as_str()]).inc_by(bytes);
        self.store.block_samples.with_label_values(&[level.as_str()]).inc_by(samples);
    }

    /// A job of a compactor was committed.
    pub fn compaction(&self, job: &Compaction) {
        let level = job.level.to_string();
        let compaction = &self.compaction;
        compaction.jobs.with_label_values(&[job.kind, level.as_str()]).inc();
        compaction.seconds.with_label_values(&[job.kind, level.as_str()]).inc_by(job.seconds);
        compaction.duration.observe(job.seconds);
        compaction.compactions.inc();
        compaction.read_bytes.with_label_values(&[level.as_str()]).inc_by(job.read_bytes);
        compaction.read_samples.with_label_values(&[level.as_str()]).inc_by(job.read_samples);
        compaction.dropped.with_label_values(&["duplicate"]).inc_by(job.duplicate_samples);
        compaction.dropped.with_label_values(&["deleted"]).inc_by(job.deleted_samples);
    }

    /// An invocation of the compactor failed.
    pub fn compaction_failed(&self) {
        self.compaction.failed.inc();
    }

    /// So many commits came too late, and what they were about was done again or by others.
    pub fn commits_lost(&self, commits: u64) {
        self.compaction.commits_lost.inc_by(commits);
    }

    /// So many series were in the segments that were compacted last.
    pub fn head_series(&self, series: u64) {
        self.compaction.head_series.set(gauge(series));
    }

    /// The collector deleted so many of a kind of thing.
    pub fn collected(&self, kind: &str, count: u64) {
        self.compaction.collected.with_label_values(&[kind]).inc_by(count);
    }

    /// The collector deleted blocks' files of so many bytes.
    pub fn collected_block_bytes(&self, bytes: u64) {
        self.compaction.collected_bytes.inc_by(bytes);
    }

    /// How far compaction is behind now, where nothing else of the store is known.
    pub fn compaction_lag(&self, seconds: f64) {
        self.compaction.lag.set(seconds);
    }

    /// The state of the store.
    pub fn store_state(&self, state: &StoreState) {
        let compaction = &self.compaction;
        self.store.blocks_loaded.set(gauge(state.blocks));
        compaction.blocks_bytes.set(gauge(state.block_bytes));
        compaction.lag.set(state.lag_seconds);
        compaction.lowest_timestamp.set(state.min_time_seconds);
        compaction.pending_parts.set(gauge(state.pending_parts));
        compaction.tombstones.set(gauge(state.tombstones));
        compaction.head_segments.set(gauge(state.head_segments));
        compaction.head_samples.set(gauge(state.head_samples));
        compaction.debt_blocks.reset();
        compaction.debt_bytes.reset();
        for (level, blocks, bytes) in &state.debt {
            let level = level.to_string();
            compaction.debt_blocks.with_label_values(&[level.as_str()]).set(gauge(*blocks));
            compaction.debt_bytes.with_label_values(&[level.as_str()]).set(gauge(*bytes));
        }
    }

    /// What must never happen was found to have happened; `id` is that of the invariant (S1 … L6).
    pub fn invariant_violated(&self, id: &str) {
        self.store.invariant_violations.with_label_values(&[id]).inc();
    }

    /// A function has handled a task, with `outcome` `ok` or `error`.
    pub fn task(&self, function: &str, outcome: &str, seconds: f64) {
        self.tasks.tasks.with_label_values(&[function, outcome]).inc();
        self.tasks.duration.with_label_values(&[function]).observe(seconds);
    }

    /// So much work of a function was not done because its time had passed: targets for scrapers, else tasks.
    pub fn missed(&self, function: &str, count: usize) {
        self.tasks.missed.with_label_values(&[function]).inc_by(count as u64);
    }

    /// How much of a function's work has been missed so far.
    #[must_use]
    pub fn missed_total(&self, function: &str) -> u64 {
        self.tasks.missed.with_label_values(&[function]).get()
    }

    /// So many messages wait in a queue.
    pub fn queue_messages(&self, queue: &str, messages: usize) {
        self.tasks
            .queue_messages
            .with_label_values(&[queue])
            .set(i64::try_from(messages).unwrap_or(i64::MAX));
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
