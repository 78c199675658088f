//! Queries over blocks and segments as one store.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use futures::{StreamExt, stream};
use model::matcher::matches_all;
use model::{Labels, Matcher, Metadata, TimestampMs};
use platform::Deadline;
use storage::{
    ExemplarQueryable, LabelQuery, Limits, MetadataQueryable, Queryable, Select, Series, SeriesExemplars,
    SeriesSet, StorageFuture,
};
use wire::BlockMeta;

use crate::block::{BlockError, BlockReader, histogram_weight};
use crate::error::TsdbError;
use crate::keys::SegmentKey;
use crate::merge::{merge_exemplars, merge_series};
use crate::replay::{Replay, Rules};
use crate::segments::{Keep, Segment};
use crate::snapshot::Snapshot;
use crate::store::{RESTARTS_MAX, Store};
use crate::together::{Work, together};
use crate::tombstones::Deletions;

/// No query lasts longer, whatever its deadline.
const QUERY_MAX: Duration = Duration::from_secs(86_400);

impl Queryable for Store {
    fn select<'a>(&'a self, selects: &'a [Select], limits: Limits) -> StorageFuture<'a, Vec<SeriesSet>> {
        Box::pin(async move {
            Ok(self.within(limits.deadline, self.select_restarting(selects, limits.samples_max)).await?)
        })
    }

    fn series<'a>(&'a self, query: &'a LabelQuery) -> StorageFuture<'a, Vec<Labels>> {
        Box::pin(async move {
            let ask = |reader: Arc<BlockReader>| async move {
                let sets = &query.matcher_sets;
                reader.series_limited(sets, query.min_time, query.max_time, query.limit).await
            };
            let of_series = |labels: &Labels, found: &mut BTreeSet<Labels>| {
                found.insert(labels.clone());
            };
            Ok(limited(self.answers(query, ask, of_series).await?, query.limit))
        })
    }

    fn label_names<'a>(&'a self, query: &'a LabelQuery) -> StorageFuture<'a, Vec<String>> {
        Box::pin(async move {
            let ask = |reader: Arc<BlockReader>| async move {
                reader.label_names(&query.matcher_sets, query.min_time, query.max_time).await
            };
            let of_series = |labels: &Labels, found: &mut BTreeSet<String>| {
                found.extend(labels.iter().map(|(name, _)| name.to_owned()));
            };
            Ok(limited(self.answers(query, ask, of_series).await?, query.limit))
        })
    }

    fn label_values<'a>(&'a self, name: &'a str, query: &'a LabelQuery) -> StorageFuture<'a, Vec<String>> {
        Box::pin(async move {
            let ask = |reader: Arc<BlockReader>| async move {
                let sets = &query.matcher_sets;
                reader.label_values(name, sets, query.min_time, query.max_time, query.limit).await
            };
            let of_series = |labels: &Labels, found: &mut BTreeSet<String>| {
                found.extend(labels.get(name).map(str::to_owned));
            };
            Ok(limited(self.answers(query, ask, of_series).await?, query.limit))
        })
    }
}

impl ExemplarQueryable for Store {
    fn exemplars<'a>(
        &'a self,
        matcher_sets: &'a [Vec<Matcher>],
        min_time: TimestampMs,
        max_time: TimestampMs,
        limit: usize,
    ) -> StorageFuture<'a, Vec<SeriesExemplars>> {
        Box::pin(async move {
            let ask = |reader: Arc<BlockReader>, deletions: Deletions| async move {
                let found = reader.exemplars(matcher_sets, min_time, max_time).await?;
                Ok(deletions.hide_exemplars(found))
            };
            let read = self.restarting(|snapshot| async move {
                let mut found = self.ask_blocks(&snapshot, (min_time, max_time), ask).await?;
                found.push(self.live_exemplars(&snapshot, matcher_sets, (min_time, max_time)).await?);
                Ok(found)
            });
            Ok(latest(read.await?, limit))
        })
    }
}

impl MetadataQueryable for Store {
    fn metadata<'a>(&'a self, metric: Option<&'a str>) -> StorageFuture<'a, Vec<Metadata>> {
        Box::pin(async move {
            let ask = |reader: Arc<BlockReader>, _| async move { Ok(reader.metadata().await?) };
            let read = self.restarting(|snapshot| async move {
                let mut found = self.ask_blocks(&snapshot, (TimestampMs::MIN, TimestampMs::MAX), ask).await?;
                found.push(self.live_metadata(&snapshot).await?);
                Ok(found)
            });
            let all: BTreeSet<Metadata> = read.await?.into_iter().flatten().collect();
            let wanted = |answer: &Metadata| metric.is_none_or(|metric| answer.metric_family == metric);
            Ok(all.into_iter().filter(wanted).collect())
        })
    }
}

impl Store {
    /// The outcome of `work`, unless the deadline, ms, comes first.
    async fn within<T>(
        &self,
        deadline: TimestampMs,
        work: impl Future<Output = Result<T, TsdbError>> + Send,
    ) -> Result<T, TsdbError> {
        let deadline = Deadline(deadline);
        self.ports.check(deadline, "loading samples")?;
        let remaining = deadline.remaining(self.ports.clock.as_ref()).min(QUERY_MAX);
        match select(pin!(work), self.ports.clock.sleep(remaining)).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err(TsdbError::Deadline("loading samples")),
        }
    }

    async fn select_restarting(
        &self,
        selects: &[Select],
        samples_max: u64,
    ) -> Result<Vec<SeriesSet>, TsdbError> {
        self.restarting(|snapshot| async move { self.select_in(&snapshot, selects, samples_max).await }).await
    }

    async fn select_in(
        &self,
        snapshot: &Snapshot,
        selects: &[Select],
        samples_max: u64,
    ) -> Result<Vec<SeriesSet>, TsdbError> {
        let mut left = samples_max;
        let mut parts: Vec<BTreeMap<Labels, Vec<Series>>> = selects.iter().map(|_| BTreeMap::new()).collect();
        let mut works: Vec<Work<'_, (usize, Vec<Series>)>> = Vec::new();
        for (at, select) in selects.iter().enumerate() {
            for meta in snapshot.blocks(select.min_time, select.max_time) {
                let deletions = self.deletions_of_block(&snapshot.committed.manifest, &meta.id)?;
                works.push(Box::pin(self.select_block(meta, at, select, samples_max, deletions)));
            }
        }
        // Buffered in order: that is the order of precedence. Not waited for all together: too many samples are too
        // many as soon as they are there.
        let mut reads = stream::iter(works).buffered(self.settings.concurrency.max(1));
        while let Some(read) = reads.next().await {
            let (at, found) = read?;
            collect(&mut parts, at, found, &mut left)?;
        }
        let segments = self.segments_for(snapshot, selects).await?;
        for (at, select) in selects.iter().enumerate() {
            let wanted = |labels: &Labels| matches_all(&select.matchers, labels);
            let found = self.replay(snapshot, &segments, select.min_time, select.max_time, left, wanted)?;
            collect(&mut parts, at, found, &mut left)?;
        }
        let merge = |parts: BTreeMap<Labels, Vec<Series>>| {
            parts.into_values().filter_map(|parts| merge_series(parts, &mut |_, _| {})).collect()
        };
        Ok(parts.into_iter().map(merge).collect())
    }

    async fn select_block(
        &self,
        meta: &BlockMeta,
        at: usize,
        select: &Select,
        samples_max: u64,
        deletions: Deletions,
    ) -> Result<(usize, Vec<Series>), TsdbError> {
        let reader = self.open_block(meta).await?;
        let found =
            reader.select_limited(&select.matchers, select.min_time, select.max_time, samples_max).await?;
        Ok((at, deletions.hide(found)))
    }

    /// The segments that any of some selectors needs, each loaded once.
    pub(crate) async fn segments_for(
        &self,
        snapshot: &Snapshot,
        selects: &[Select],
    ) -> Result<BTreeMap<SegmentKey, Arc<Segment>>, TsdbError> {
        let rows: BTreeMap<&SegmentKey, _> = selects
            .iter()
            .flat_map(|select| {
                snapshot.segments(select.min_time, select.max_time, self.settings.staleness_gap_ms)
            })
            .map(|row| (&row.key, row))
            .collect();
        let rows: Vec<_> = rows.into_values().collect();
        let sets: Vec<&[Matcher]> = selects.iter().map(|select| select.matchers.as_slice()).collect();
        let segments = self.load_matching(&rows, &sets, Keep::Yes).await?;
        Ok(segments.into_iter().map(|segment| (segment.key.clone(), segment)).collect())
    }

    /// The samples that loaded segments have in a range.
    pub(crate) fn replay(
        &self,
        snapshot: &Snapshot,
        segments: &BTreeMap<SegmentKey, Arc<Segment>>,
        min_time: TimestampMs,
        max_time: TimestampMs,
        samples_max: u64,
        wanted: impl Fn(&Labels) -> bool,
    ) -> Result<Vec<Series>, TsdbError> {
        let staleness_gap_ms = self.settings.staleness_gap_ms;
        let rows = snapshot.segments(min_time, max_time, staleness_gap_ms);
        let range = min_time..=max_time;
        let deletions = self.deletions_of_segments(&snapshot.committed.manifest, snapshot.emit_from)?;
        let rules = Rules { emit_from: snapshot.emit_from, range, staleness_gap_ms, samples_max, deletions };
        let mut replay = Replay::new(rules, wanted);
        for segment in rows.into_iter().filter_map(|row| segments.get(&row.key)) {
            replay.push(segment)?;
        }
        Ok(replay.finish())
    }

    /// What blocks answer by `ask`, and live series by `of_series`.
    async fn answers<T, F>(
        &self,
        query: &LabelQuery,
        ask: impl Fn(Arc<BlockReader>) -> F + Copy + Send + Sync,
        of_series: impl Fn(&Labels, &mut BTreeSet<T>) + Copy + Send + Sync,
    ) -> Result<BTreeSet<T>, TsdbError>
    where
        T: Ord + Send,
        F: Future<Output = Result<BTreeSet<T>, BlockError>> + Send,
    {
        self.restarting(|snapshot| async move {
            let times = (query.min_time, query.max_time);
            let ask = |reader: Arc<BlockReader>, deletions: Deletions| async move {
                if deletions.is_empty() {
                    return Ok(ask(reader).await?);
                }
                let mut answers = BTreeSet::new();
                for labels in deletions.visible_series(&reader, query).await? {
                    of_series(&labels, &mut answers);
                }
                Ok(answers)
            };
            let mut found = BTreeSet::new();
            for mut answers in self.ask_blocks(&snapshot, times, ask).await? {
                // The larger set takes the smaller.
                if answers.len() > found.len() {
                    std::mem::swap(&mut answers, &mut found);
                }
                found.append(&mut answers);
            }
            for series in self.live_series(&snapshot, query).await? {
                of_series(&series.labels, &mut found);
            }
            Ok(found)
        })
        .await
    }

    /// The series that segments have.
    async fn live_series(&self, snapshot: &Snapshot, query: &LabelQuery) -> Result<Vec<Series>, TsdbError> {
        let (min_time, max_time) = (query.min_time, query.max_time);
        let staleness_gap_ms = self.settings.staleness_gap_ms;
        let rows = snapshot.segments(min_time, max_time, staleness_gap_ms);
        let sets: Vec<&[Matcher]> = query.matcher_sets.iter().map(Vec::as_slice).collect();
        let wanted = |labels: &Labels| sets.is_empty() || sets.iter().any(|set| matches_all(set, labels));
        let rules = self.rules(snapshot, min_time..=max_time)?;
        let mut replay = Replay::new(rules, wanted);
        for segment in self.load_matching(&rows, &sets, Keep::Yes).await? {
            replay.push(&segment)?;
        }
        Ok(replay.finish())
    }

    /// What each block in a range of time answers, given what of it is deleted, in order of precedence.
    async fn ask_blocks<T, F>(
        &self,
        snapshot: &Snapshot,
        (min_time, max_time): (TimestampMs, TimestampMs),
        ask: impl Fn(Arc<BlockReader>, Deletions) -> F + Copy + Send + Sync,
    ) -> Result<Vec<T>, TsdbError>
    where
        T: Send,
        F: Future<Output = Result<T, TsdbError>> + Send,
    {
        let mut works: Vec<Work<'_, T>> = Vec::new();
        for meta in snapshot.blocks(min_time, max_time) {
            let deletions = self.deletions_of_block(&snapshot.committed.manifest, &meta.id)?;
            works.push(Box::pin(async move {
                let reader = self.open_block(meta).await?;
                ask(reader, deletions).await
            }));
        }
        together(works, self.settings.concurrency).await
    }

    /// Does `work` on a snapshot, and anew on a later one where something was collected meanwhile.
    async fn restarting<T, F>(&self, work: impl Fn(Arc<Snapshot>) -> F + Send) -> Result<T, TsdbError>
    where
        F: Future<Output = Result<T, TsdbError>> + Send,
    {
        let mut restarts = 0;
        loop {
            let snapshot = Arc::new(self.snapshot().await?);
            match work(snapshot).await {
                // What is missing again and again was not collected but lost: then the error says what it is.
                Err(error) if error.is_not_found() && restarts < RESTARTS_MAX => self.forget_snapshot(),
                outcome => return outcome,
            }
            restarts += 1;
        }
    }
}

/// Adds what was found for the selector `at`, and counts its samples.
fn collect(
    parts: &mut [BTreeMap<Labels, Vec<Series>>],
    at: usize,
    found: Vec<Series>,
    left: &mut u64,
) -> Result<(), TsdbError> {
    let weight_of = |series: &Series| {
        let histograms = series.histograms.values.iter().map(|histogram| histogram_weight(histogram));
        (series.timestamps.len() + histograms.sum::<usize>()) as u64
    };
    let samples: u64 = found.iter().map(weight_of).sum();
    *left = left.checked_sub(samples).ok_or(TsdbError::TooManySamples)?;
    if let Some(parts) = parts.get_mut(at) {
        for series in found {
            parts.entry(series.labels.clone()).or_default().push(series);
        }
    }
    Ok(())
}

/// The exemplars that several places have, each once, sorted by labels; at most `limit` of them. Where there are more,
/// the latest of every series are kept before second latest are.
fn latest(found: Vec<Vec<SeriesExemplars>>, limit: usize) -> Vec<SeriesExemplars> {
    let mut by_labels: BTreeMap<Labels, Vec<SeriesExemplars>> = BTreeMap::new();
    for series in found.into_iter().flatten() {
        by_labels.entry(series.labels.clone()).or_default().push(series);
    }
    let merged = by_labels.into_values().filter_map(|parts| merge_exemplars(parts, &mut |_| {}));
    let mut all: Vec<SeriesExemplars> = merged.collect();
    // How many of each series may stay: as many as possible, the same for all.
    let (mut each, mut total) = (0usize, 0usize);
    loop {
        let more = all.iter().filter(|series| series.exemplars.len() > each).count();
        if more == 0 || total + more > limit {
            break;
        }
        (each, total) = (each + 1, total + more);
    }
    for series in &mut all {
        let mut keep = each;
        if total < limit && series.exemplars.len() > each {
            (keep, total) = (keep + 1, total + 1);
        }
        series.exemplars.drain(..series.exemplars.len().saturating_sub(keep));
    }
    all.retain(|series| !series.exemplars.is_empty());
    all
}

/// The first `limit` of some answers; 0 is no limit.
fn limited<T>(answers: BTreeSet<T>, limit: usize) -> Vec<T> {
    answers.into_iter().take(if limit == 0 { usize::MAX } else { limit }).collect()
}
