//! The metric families of compaction, retention, deletion and collection.

use prometheus::{
    CounterVec, Error, Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

use super::families::{counter, counters, gauges, register};

/// As Prometheus's `prometheus_tsdb_compaction_duration_seconds`.
const DURATION_BUCKETS: [f64; 14] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0];

/// What compactors and the collector do, and what waits for them.
#[derive(Debug)]
pub(super) struct CompactionFamilies {
    pub(super) compactions: IntCounter,
    pub(super) failed: IntCounter,
    pub(super) duration: Histogram,
    pub(super) jobs: IntCounterVec,
    pub(super) seconds: CounterVec,
    pub(super) read_bytes: IntCounterVec,
    pub(super) read_samples: IntCounterVec,
    pub(super) dropped: IntCounterVec,
    pub(super) commits_lost: IntCounter,
    pub(super) collected: IntCounterVec,
    pub(super) collected_bytes: IntCounter,
    pub(super) blocks_bytes: IntGauge,
    pub(super) lag: Gauge,
    pub(super) lowest_timestamp: Gauge,
    pub(super) debt_blocks: IntGaugeVec,
    pub(super) debt_bytes: IntGaugeVec,
    pub(super) pending_parts: IntGauge,
    pub(super) tombstones: IntGauge,
    pub(super) head_series: IntGauge,
    pub(super) head_segments: IntGauge,
    pub(super) head_samples: IntGauge,
}

impl CompactionFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let count = |name: &str, help: &str| counter(registry, name, help);
        let by = |name: &str, help: &str, labels: &[&str]| counters(registry, name, help, labels);
        let gauge = |name: &str, help: &str| register(registry, IntGauge::new(name, help));
        let duration =
            HistogramOpts::new("prometheus_tsdb_compaction_duration_seconds", "Duration of compaction runs");
        let seconds = Opts::new("foxfire_compaction_seconds_total", "Time that compactions took.");
        Ok(Self {
            compactions: count(
                "prometheus_tsdb_compactions_total",
                "Total number of compactions that were executed for the partition.",
            )?,
            failed: count(
                "prometheus_tsdb_compactions_failed_total",
                "Total number of compactions that failed for the partition.",
            )?,
            duration: register(registry, Histogram::with_opts(duration.buckets(DURATION_BUCKETS.to_vec())))?,
            jobs: by("foxfire_compaction_jobs_total", "Jobs of compactors committed.", &["kind", "level"])?,
            seconds: register(registry, CounterVec::new(seconds, &["kind", "level"]))?,
            read_bytes: by(
                "foxfire_compaction_read_bytes_total",
                "Bytes of compactions' inputs.",
                &["level"],
            )?,
            read_samples: by(
                "foxfire_compaction_read_samples_total",
                "Samples of compactions' inputs.",
                &["level"],
            )?,
            dropped: by(
                "foxfire_compaction_dropped_samples_total",
                "Samples that merges left out, as duplicates or as deleted.",
                &["reason"],
            )?,
            commits_lost: count("foxfire_commits_lost_total", "Commits that another one came before.")?,
            collected: by("foxfire_collected_total", "Things that the collector deleted.", &["kind"])?,
            collected_bytes: count(
                "foxfire_collected_block_bytes_total",
                "Bytes of blocks' files that the collector deleted.",
            )?,
            blocks_bytes: gauge(
                "prometheus_tsdb_storage_blocks_bytes",
                "The number of bytes that are currently used for local storage by all blocks.",
            )?,
            lag: register(
                registry,
                Gauge::new("foxfire_compaction_lag_seconds", "How far the watermark is behind now."),
            )?,
            lowest_timestamp: register(
                registry,
                Gauge::new(
                    "prometheus_tsdb_lowest_timestamp_seconds",
                    "Lowest timestamp value stored in the database.",
                ),
            )?,
            debt_blocks: gauges(
                registry,
                "foxfire_compaction_debt_blocks",
                "Blocks waiting to be merged.",
                &["level"],
            )?,
            debt_bytes: gauges(
                registry,
                "foxfire_compaction_debt_bytes",
                "Bytes waiting to be merged.",
                &["level"],
            )?,
            pending_parts: gauge(
                "foxfire_compaction_pending_parts",
                "Parts of merges under way that are not done.",
            )?,
            tombstones: gauge("foxfire_tombstones", "Deletions that are not carried out everywhere.")?,
            head_series: gauge("prometheus_tsdb_head_series", "Total number of series in the head block.")?,
            head_segments: gauge("foxfire_head_segments", "WAL segments that are not in blocks.")?,
            head_samples: gauge("foxfire_head_samples", "Samples that are not in blocks.")?,
        })
    }
}
