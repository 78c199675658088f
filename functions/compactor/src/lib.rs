//! The compactor function, and the collector, which alone may delete.
//!
//! ```text
//! CompactTask ─► WAL ─► blocks of minutes ─► blocks of 2 h ─► blocks of a day; retention drops the oldest
//! CollectTask ─► objects and rows that nothing refers to are deleted, behind the fences
//! ```
//!
//! Both may run concurrently with themselves and each other: the head register's compare-and-set decides.

use std::sync::Arc;

use control::ControlError;
use platform::{Deadline, Handler, Platform, Retry};
use telemetry::{Compaction, Metrics};
use tsdb::{JobKind, JobReport, Store, TsdbError};
use wire::{CollectTask, CompactTask};

/// Compacts whatever is due.
pub struct Compactor {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
}

/// Deletes what nothing refers to.
pub struct Collector {
    platform: Platform,
    store: Arc<Store>,
    metrics: Option<Arc<Metrics>>,
}

/// Why collecting failed.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// Of the store.
    #[error(transparent)]
    Store(#[from] TsdbError),
    /// Of configurations and target snapshots.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl Compactor {
    /// The function over a store.
    #[must_use]
    pub fn new(store: Arc<Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }
}

impl Compactor {
    fn report(&self, job: &JobReport) {
        let seconds = job.duration_ns as f64 / 1e9;
        if job.kind == JobKind::Segments
            && let Some(series) = job.blocks.iter().map(|block| block.series).max()
        {
            self.metrics.head_series(series);
        }
        self.metrics.compaction(&Compaction {
            kind: job.kind.as_str(),
            level: job.level,
            read_bytes: job.read.bytes,
            read_samples: job.read.samples,
            duplicate_samples: job.duplicates,
            deleted_samples: job.deleted,
            seconds,
        });
        for block in &job.blocks {
            let bytes: u64 = block.files.iter().map(|file| file.len).sum();
            self.metrics.block_written(block.level, bytes, block.samples);
            tracing::info!(
                ulid = block.id,
                level = block.level,
                mint = block.min_time,
                maxt = block.max_time,
                series = block.series,
                samples = block.samples,
                bytes,
                "write block"
            );
        }
    }
}

impl Collector {
    /// The function over a platform and its store.
    #[must_use]
    pub fn new(platform: Platform, store: Arc<Store>) -> Self {
        Self { platform, store, metrics: None }
    }

    /// Counts what it deletes.
    #[must_use]
    pub fn counting(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics: Some(metrics), ..self }
    }
}

impl std::fmt::Debug for Compactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compactor").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

impl Handler for Compactor {
    type Task = CompactTask;
    type Error = TsdbError;

    async fn handle(&self, task: CompactTask, deadline: Deadline) -> Result<(), TsdbError> {
        let done = self.store.compact_work(task.work, task.tick, deadline).await.inspect_err(|error| {
            if let TsdbError::Halt { invariant, .. } = error {
                self.metrics.invariant_violated(invariant);
            }
            self.metrics.compaction_failed();
        })?;
        self.metrics.commits_lost(done.lost);
        if done.watermark > 0 {
            self.metrics.compaction_lag(task.tick.saturating_sub(done.watermark).max(0) as f64 / 1e3);
        }
        for job in &done.jobs {
            self.report(job);
        }
        Ok(())
    }

    fn retry(error: &TsdbError) -> Retry {
        error.retry()
    }
}

impl Handler for Collector {
    type Task = CollectTask;
    type Error = CollectorError;

    async fn handle(&self, task: CollectTask, deadline: Deadline) -> Result<(), CollectorError> {
        let collected = self.store.collect(task.tick, deadline).await?;
        if let Some(metrics) = &self.metrics {
            for (kind, count) in [
                ("block_file", collected.block_files),
                ("manifest", collected.manifests),
                ("wal_object", collected.segment_objects),
                ("wal_row", collected.segment_rows),
            ] {
                metrics.collected(kind, count);
            }
            metrics.collected_block_bytes(collected.block_bytes);
        }
        let replaced = control::collect(&self.platform).await?;
        tracing::debug!(?collected, replaced, "collected");
        Ok(())
    }

    fn retry(error: &CollectorError) -> Retry {
        match error {
            CollectorError::Store(error) => error.retry(),
            CollectorError::Control(error) => error.retry(),
        }
    }
}
