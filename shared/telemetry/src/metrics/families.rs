//! The metric families: names, helps, labels and buckets. Those of Prometheus are spelled as Prometheus spells them.

use prometheus::core::Collector;
use prometheus::{
    Error, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::summary::SummaryVec;

const QUERY_QUANTILES: &[f64] = &[0.5, 0.9, 0.99];
const INTERVAL_QUANTILES: &[f64] = &[0.01, 0.05, 0.5, 0.9, 0.99];
const REQUEST_BUCKETS: [f64; 9] = [0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0];
const RESPONSE_BUCKETS: [f64; 8] = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
const QUERY_BUCKETS: [f64; 4] = [0.01, 0.1, 1.0, 10.0];
const TASK_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// What was made of static names. That it can be is a property of this file, which a test checks: no outside data
/// takes part in it.
pub(super) fn made<T>(families: Result<T, Error>) -> T {
    families.expect("metric names are valid and unique")
}

/// The HTTP server and the configuration.
#[derive(Debug)]
pub(super) struct ApiFamilies {
    pub(super) requests: IntCounterVec,
    pub(super) request_duration: HistogramVec,
    pub(super) response_size: HistogramVec,
    pub(super) ready: IntGauge,
    pub(super) reload_successful: IntGauge,
    pub(super) reload_success_timestamp: Gauge,
}

impl ApiFamilies {
    pub(super) fn new(registry: &Registry, version: &str) -> Result<Self, Error> {
        let help = "A metric with a constant '1' value labeled by version, revision, branch, goversion from which \
                    prometheus was built, and the goos and goarch for the build.";
        let mut info = Opts::new("prometheus_build_info", help);
        for (name, value) in [
            ("version", version),
            ("revision", ""),
            ("branch", ""),
            ("goversion", "rust"),
            ("goos", std::env::consts::OS),
            ("goarch", std::env::consts::ARCH),
            ("tags", "foxfire"),
        ] {
            info = info.const_label(name, value);
        }
        register(registry, IntGauge::with_opts(info))?.set(1);
        Ok(Self {
            requests: counters(
                registry,
                "prometheus_http_requests_total",
                "Counter of HTTP requests.",
                &["handler", "code"],
            )?,
            request_duration: histograms(
                registry,
                "prometheus_http_request_duration_seconds",
                "Histogram of latencies for HTTP requests.",
                &["handler"],
                &REQUEST_BUCKETS,
            )?,
            response_size: histograms(
                registry,
                "prometheus_http_response_size_bytes",
                "Histogram of response size for HTTP requests.",
                &["handler"],
                &RESPONSE_BUCKETS,
            )?,
            ready: register(
                registry,
                IntGauge::new(
                    "prometheus_ready",
                    "Whether Prometheus startup was fully completed and the server is ready for normal operation.",
                ),
            )?,
            reload_successful: register(
                registry,
                IntGauge::new(
                    "prometheus_config_last_reload_successful",
                    "Whether the last configuration reload attempt was successful.",
                ),
            )?,
            reload_success_timestamp: register(
                registry,
                Gauge::new(
                    "prometheus_config_last_reload_success_timestamp_seconds",
                    "Timestamp of the last successful configuration reload.",
                ),
            )?,
        })
    }
}

/// The PromQL engine.
#[derive(Debug)]
pub(super) struct QueryFamilies {
    pub(super) duration: SummaryVec,
    pub(super) duration_histogram: HistogramVec,
}

impl QueryFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            duration: register(
                registry,
                SummaryVec::new(
                    "prometheus_engine_query_duration_seconds",
                    "Query timings",
                    "slice",
                    QUERY_QUANTILES,
                ),
            )?,
            duration_histogram: histograms(
                registry,
                "prometheus_engine_query_duration_histogram_seconds",
                "The duration of various parts of PromQL query execution.",
                &["slice"],
                &QUERY_BUCKETS,
            )?,
        })
    }
}

/// Rules and the alerts that come of them.
#[derive(Debug)]
pub(super) struct RuleFamilies {
    pub(super) evaluations: IntCounterVec,
    pub(super) failures: IntCounterVec,
    pub(super) iterations: IntCounterVec,
    pub(super) last_duration: prometheus::GaugeVec,
    pub(super) rules: IntGaugeVec,
    pub(super) notifications: IntCounterVec,
    pub(super) notification_errors: IntCounterVec,
}

impl RuleFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let group = &["rule_group"];
        let last_duration = Opts::new(
            "prometheus_rule_group_last_duration_seconds",
            "The duration of the last rule group evaluation.",
        );
        Ok(Self {
            evaluations: counters(
                registry,
                "prometheus_rule_evaluations_total",
                "The total number of rule evaluations.",
                group,
            )?,
            failures: counters(
                registry,
                "prometheus_rule_evaluation_failures_total",
                "The total number of rule evaluation failures.",
                group,
            )?,
            iterations: counters(
                registry,
                "prometheus_rule_group_iterations_total",
                "The total number of scheduled rule group evaluations, whether executed or missed.",
                group,
            )?,
            last_duration: register(registry, prometheus::GaugeVec::new(last_duration, group))?,
            rules: gauges(registry, "prometheus_rule_group_rules", "The number of rules.", group)?,
            notifications: counters(
                registry,
                "prometheus_notifications_sent_total",
                "Total number of alerts sent.",
                &["alertmanager"],
            )?,
            notification_errors: counters(
                registry,
                "prometheus_notifications_errors_total",
                "Total number of sent alerts affected by errors.",
                &["alertmanager"],
            )?,
        })
    }
}

/// Targets and scrapes.
#[derive(Debug)]
pub(super) struct ScrapeFamilies {
    pub(super) pool_targets: IntGaugeVec,
    pub(super) interval_length: SummaryVec,
    pub(super) samples: IntCounter,
    pub(super) exceeded_body_size_limit: IntCounter,
    pub(super) exceeded_sample_limit: IntCounter,
    pub(super) exceeded_label_limits: IntCounter,
    pub(super) duplicate_samples: IntCounter,
    pub(super) out_of_order_samples: IntCounter,
    pub(super) out_of_bounds_samples: IntCounter,
}

impl ScrapeFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            pool_targets: gauges(
                registry,
                "prometheus_target_scrape_pool_targets",
                "Current number of targets in this scrape pool.",
                &["scrape_job"],
            )?,
            interval_length: register(
                registry,
                SummaryVec::new(
                    "prometheus_target_interval_length_seconds",
                    "Actual intervals between scrapes.",
                    "interval",
                    INTERVAL_QUANTILES,
                ),
            )?,
            samples: counter(
                registry,
                "foxfire_scrape_samples_total",
                "Samples that scrapes have given, report series included.",
            )?,
            exceeded_body_size_limit: counter(
                registry,
                "prometheus_target_scrapes_exceeded_body_size_limit_total",
                "Total number of scrapes that hit the body size limit",
            )?,
            exceeded_sample_limit: counter(
                registry,
                "prometheus_target_scrapes_exceeded_sample_limit_total",
                "Total number of scrapes that hit the sample limit and were rejected.",
            )?,
            exceeded_label_limits: counter(
                registry,
                "prometheus_target_scrape_pool_exceeded_label_limits_total",
                "Total number of times scrape pools hit the label limits, during sync or config reload.",
            )?,
            duplicate_samples: counter(
                registry,
                "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                "Total number of samples rejected due to duplicate timestamps but different values.",
            )?,
            out_of_order_samples: counter(
                registry,
                "prometheus_target_scrapes_sample_out_of_order_total",
                "Total number of samples rejected due to not being out of the expected order.",
            )?,
            out_of_bounds_samples: counter(
                registry,
                "prometheus_target_scrapes_sample_out_of_bounds_total",
                "Total number of samples rejected due to timestamp falling outside of the time bounds.",
            )?,
        })
    }
}

/// Segments, blocks and what must hold of them.
#[derive(Debug)]
pub(super) struct StoreFamilies {
    pub(super) wal_segments: IntCounter,
    pub(super) wal_bytes: IntCounter,
    pub(super) wal_samples: IntCounter,
    pub(super) compactions: IntCounterVec,
    pub(super) block_bytes: IntCounterVec,
    pub(super) block_samples: IntCounterVec,
    pub(super) blocks_loaded: IntGauge,
    pub(super) invariant_violations: IntCounterVec,
}

impl StoreFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let level = &["level"];
        Ok(Self {
            wal_segments: counter(registry, "foxfire_wal_segments_written_total", "WAL segments written.")?,
            wal_bytes: counter(registry, "foxfire_wal_bytes_total", "Bytes of WAL segments written.")?,
            wal_samples: counter(registry, "foxfire_wal_samples_total", "Samples in WAL segments written.")?,
            compactions: counters(
                registry,
                "foxfire_compactions_total",
                "Compactions that wrote a block, by its level.",
                level,
            )?,
            block_bytes: counters(registry, "foxfire_block_bytes_total", "Bytes of blocks written.", level)?,
            block_samples: counters(
                registry,
                "foxfire_block_samples_total",
                "Samples in blocks written.",
                level,
            )?,
            blocks_loaded: register(
                registry,
                IntGauge::new("prometheus_tsdb_blocks_loaded", "Number of currently loaded data blocks"),
            )?,
            invariant_violations: counters(
                registry,
                "foxfire_invariant_violations_total",
                "Invariants found violated, by identifier.",
                &["id"],
            )?,
        })
    }
}

/// Functions and their queues.
#[derive(Debug)]
pub(super) struct TaskFamilies {
    pub(super) tasks: IntCounterVec,
    pub(super) duration: HistogramVec,
    pub(super) missed: IntCounterVec,
    pub(super) queue_messages: IntGaugeVec,
}

impl TaskFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            tasks: counters(registry, "foxfire_tasks_total", "Tasks handled.", &["function", "outcome"])?,
            duration: histograms(
                registry,
                "foxfire_task_duration_seconds",
                "How long handling a task took.",
                &["function"],
                &TASK_BUCKETS,
            )?,
            missed: counters(
                registry,
                "foxfire_tasks_missed_total",
                "Work not done because its time had passed: targets for scrapers, else tasks.",
                &["function"],
            )?,
            queue_messages: gauges(
                registry,
                "foxfire_queue_messages",
                "Messages waiting in a queue.",
                &["queue"],
            )?,
        })
    }
}

pub(super) fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, Error> {
    register(registry, IntCounter::new(name, help))
}

pub(super) fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, Error> {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

pub(super) fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntGaugeVec, Error> {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> Result<HistogramVec, Error> {
    register(registry, HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
}

pub(super) fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    family: Result<C, Error>,
) -> Result<C, Error> {
    let family = family?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}
