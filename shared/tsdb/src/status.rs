//! What operators ask about the store: its size, its lag, the cardinality of its head, how targets' scrapes went.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, Metadata, TimestampMs};
use storage::SourceId;
use wire::{Manifest, MergePart};

use crate::error::TsdbError;
use crate::planner::{Job, plan};
use crate::segments::{Keep, Segment};
use crate::store::Store;

/// The store in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Version of the head register: the number of commits and fences.
    pub version: u64,
    /// Segments whose tick is before this, ms, are in blocks.
    pub watermark: i64,
    /// How far the watermark, or before the first commit the oldest segment, is behind now, ms.
    pub lag_ms: i64,
    /// Blocks by level.
    pub blocks: BTreeMap<u32, u64>,
    /// Bytes of all blocks.
    pub block_bytes: u64,
    /// Samples of all blocks.
    pub block_samples: u64,
    /// The earliest sample of all blocks, ms.
    pub min_time: Option<TimestampMs>,
    /// The latest sample of all blocks, ms.
    pub max_time: Option<TimestampMs>,
    /// Segments that are not in blocks yet.
    pub head_segments: u64,
    /// Samples of these.
    pub head_samples: u64,
    /// What waits to be merged, by the level that it waits for, merges under way included.
    pub debt: BTreeMap<u32, Debt>,
    /// Parts of merges under way that are not done.
    pub pending_parts: u64,
    /// Deletions that are not carried out everywhere.
    pub tombstones: u64,
}

/// Work that waits for a compactor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debt {
    /// Blocks to be read.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The series that are not in blocks yet, as `/api/v1/status/tsdb` shows them. Lists are sorted by falling number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadStats {
    /// Number of series.
    pub num_series: u64,
    /// Number of different pairs of label name and value.
    pub num_label_pairs: u64,
    /// Number of segments, for want of chunks.
    pub chunk_count: u64,
    /// The earliest sample, ms.
    pub min_time: Option<TimestampMs>,
    /// The latest sample, ms.
    pub max_time: Option<TimestampMs>,
    /// Metric names by number of series.
    pub series_count_by_metric_name: Vec<(String, u64)>,
    /// Label names by number of values.
    pub label_value_count_by_label_name: Vec<(String, u64)>,
    /// Label names by bytes of their values over all series.
    pub memory_in_bytes_by_label_name: Vec<(String, u64)>,
    /// Pairs `name=value` by number of series.
    pub series_count_by_label_value_pair: Vec<(String, u64)>,
}

/// How a source's last scrape went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeStatus {
    /// When it was, ms.
    pub timestamp: TimestampMs,
    /// How long it took.
    pub duration: Duration,
    /// Why it failed, in Prometheus's words; `None` where it succeeded.
    pub error: Option<String>,
    /// How many samples it gave, report series included.
    pub samples: u64,
}

impl Store {
    /// The store in numbers, from the head and the rows alone.
    ///
    /// # Errors
    /// [`TsdbError`].
    pub async fn status(&self) -> Result<Status, TsdbError> {
        let snapshot = self.snapshot().await?;
        let blocks = &snapshot.committed.manifest.blocks;
        let now = self.ports.now();
        let watermark = snapshot.committed.head.watermark;
        // Before the first commit, nothing lags but what is there.
        let first = snapshot.rows.first().map_or(now, |row| row.key.tick);
        let behind = if watermark > 0 { watermark } else { first };
        let mut status = Status {
            version: snapshot.committed.version,
            watermark,
            lag_ms: now.saturating_sub(behind).max(0),
            min_time: blocks.iter().map(|block| block.min_time).min(),
            max_time: blocks.iter().map(|block| block.max_time - 1).max(),
            ..Status::default()
        };
        for block in blocks {
            *status.blocks.entry(block.level).or_default() += 1;
            status.block_bytes += block.files.iter().map(|file| file.len).sum::<u64>();
            status.block_samples += block.samples;
        }
        for row in snapshot.rows.iter().filter(|row| row.key.tick >= snapshot.emit_from) {
            status.head_segments += 1;
            status.head_samples += row.samples;
        }
        let manifest = &snapshot.committed.manifest;
        status.debt = debt(manifest, &plan(manifest, watermark, now, &self.settings));
        let parts = manifest.merges.iter().flat_map(|merge| &merge.parts);
        status.pending_parts = parts.filter(|part| !matches!(part, MergePart::Done(_))).count() as u64;
        status.tombstones = manifest.tombstones.len() as u64;
        Ok(status)
    }

    /// The cardinality of what is not in blocks yet; each list has at most `limit` entries.
    ///
    /// # Errors
    /// [`TsdbError`].
    pub async fn head_stats(&self, limit: usize) -> Result<HeadStats, TsdbError> {
        let snapshot = self.snapshot().await?;
        let rows: Vec<_> = snapshot.rows.iter().filter(|row| row.key.tick >= snapshot.emit_from).collect();
        let segments = self.load_segments(&rows, Keep::Yes).await?;
        let timed = || rows.iter().filter(|row| row.scrapes > 0);
        let mut stats = cardinality(&segments.iter().map(AsRef::as_ref).collect::<Vec<_>>(), limit);
        stats.chunk_count = rows.len() as u64;
        stats.min_time = timed().map(|row| row.min_time).min();
        stats.max_time = timed().map(|row| row.max_time).max();
        Ok(stats)
    }

    /// How the last scrape of each of some sources went, as far as it is not longer ago than the staleness gap and
    /// what is not in blocks yet.
    ///
    /// # Errors
    /// [`TsdbError`].
    pub async fn latest_scrapes(
        &self,
        sources: &[SourceId],
    ) -> Result<BTreeMap<SourceId, ScrapeStatus>, TsdbError> {
        let snapshot = self.snapshot().await?;
        let rows: Vec<_> = snapshot.rows.iter().collect();
        let segments = self.load_segments(&rows, Keep::Yes).await?;
        let sources: BTreeSet<&SourceId> = sources.iter().collect();
        let mut latest = BTreeMap::new();
        for scrape in segments.iter().rev().flat_map(|segment| segment.scrapes.iter().rev()) {
            if sources.contains(&scrape.source) && !latest.contains_key(&scrape.source) {
                let status = ScrapeStatus {
                    timestamp: scrape.timestamp,
                    duration: scrape.outcome.duration,
                    error: scrape.outcome.error.clone(),
                    samples: scrape.samples as u64,
                };
                latest.insert(scrape.source, status);
            }
        }
        Ok(latest)
    }
}

fn debt(manifest: &Manifest, jobs: &[Job]) -> BTreeMap<u32, Debt> {
    let planned = jobs.iter().filter_map(|job| match job {
        Job::Merge { level, blocks } | Job::Split { level, blocks, .. } => Some((*level, blocks)),
        Job::Drop { .. } | Job::Part { .. } => None,
    });
    let under_way = manifest.merges.iter().map(|merge| (merge.level, &merge.inputs));
    let mut debt: BTreeMap<u32, Debt> = BTreeMap::new();
    for (level, ids) in planned.chain(under_way) {
        let ids: BTreeSet<&String> = ids.iter().collect();
        let waiting = debt.entry(level).or_default();
        for block in manifest.blocks.iter().filter(|block| ids.contains(&block.id)) {
            waiting.blocks += 1;
            waiting.bytes += block.files.iter().map(|file| file.len).sum::<u64>();
        }
    }
    debt
}

impl Store {
    /// What each of some sources last said of its metric families, sorted by family, as far as [`Store::latest_scrapes`]
    /// knows of it.
    ///
    /// # Errors
    /// [`TsdbError`].
    pub async fn latest_metadata(
        &self,
        sources: &[SourceId],
    ) -> Result<BTreeMap<SourceId, Arc<[Metadata]>>, TsdbError> {
        let snapshot = self.snapshot().await?;
        let rows: Vec<_> = snapshot.rows.iter().collect();
        let segments = self.load_segments(&rows, Keep::Yes).await?;
        let sources: BTreeSet<&SourceId> = sources.iter().collect();
        let mut latest: BTreeMap<SourceId, Arc<[Metadata]>> = BTreeMap::new();
        for scrape in segments.iter().rev().flat_map(|segment| segment.scrapes.iter().rev()) {
            if sources.contains(&scrape.source) {
                latest.entry(scrape.source).or_insert_with(|| Arc::clone(&scrape.layout.metadata));
            }
        }
        Ok(latest)
    }
}

fn cardinality(segments: &[&Segment], limit: usize) -> HeadStats {
    let mut series: BTreeSet<&Labels> = BTreeSet::new();
    for scrape in segments.iter().flat_map(|segment| &segment.scrapes) {
        series.extend(scrape.samples().map(|sample| sample.labels));
        let of_histogram = |index: u32| scrape.layout.series.get(index as usize);
        series.extend(scrape.histograms.iter().filter_map(|histogram| of_histogram(histogram.series)));
    }
    let mut by_metric: BTreeMap<&str, u64> = BTreeMap::new();
    let mut by_pair: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for labels in &series {
        *by_metric.entry(labels.metric_name()).or_default() += 1;
        for pair in *labels {
            *by_pair.entry(pair).or_default() += 1;
        }
    }
    let mut values: BTreeMap<&str, u64> = BTreeMap::new();
    let mut bytes: BTreeMap<&str, u64> = BTreeMap::new();
    for ((name, value), count) in &by_pair {
        *values.entry(name).or_default() += 1;
        *bytes.entry(name).or_default() += value.len() as u64 * count;
    }
    let pairs = by_pair.iter().map(|((name, value), count)| (format!("{name}={value}"), *count));
    let owned = |counts: BTreeMap<&str, u64>| {
        top(counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(), limit)
    };
    HeadStats {
        num_series: series.len() as u64,
        num_label_pairs: by_pair.len() as u64,
        series_count_by_label_value_pair: top(pairs.collect(), limit),
        series_count_by_metric_name: owned(by_metric),
        label_value_count_by_label_name: owned(values),
        memory_in_bytes_by_label_name: owned(bytes),
        ..HeadStats::default()
    }
}

fn top(mut counts: Vec<(String, u64)>, limit: usize) -> Vec<(String, u64)> {
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.truncate(limit);
    counts
}
