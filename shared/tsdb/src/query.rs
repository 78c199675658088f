//! Queries over blocks and segments as one store.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use futures::{StreamExt, stream};
use model::matcher::matches_all;
use model::{Labels, Matcher, TimestampMs};
use platform::Deadline;
use storage::{LabelQuery, Limits, Queryable, Select, Series, SeriesSet, StorageFuture};
use wire::BlockMeta;

use crate::error::TsdbError;
use crate::keys::SegmentKey;
use crate::merge::merge_series;
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
        Box::pin(async move { Ok(limited(self.series_restarting(query).await?, query.limit)) })
    }

    fn label_names<'a>(&'a self, query: &'a LabelQuery) -> StorageFuture<'a, Vec<String>> {
        Box::pin(async move {
            let series = self.series_restarting(query).await?;
            let names: BTreeSet<&str> =
                series.iter().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
            Ok(limited(names, query.limit).into_iter().map(str::to_owned).collect())
        })
    }

    fn label_values<'a>(&'a self, name: &'a str, query: &'a LabelQuery) -> StorageFuture<'a, Vec<String>> {
        Box::pin(async move {
            let series = self.series_restarting(query).await?;
            let values: BTreeSet<&str> = series.iter().filter_map(|labels| labels.get(name)).collect();
            Ok(limited(values, query.limit).into_iter().map(str::to_owned).collect())
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
        let mut restarts = 0;
        loop {
            let snapshot = self.snapshot().await?;
            match self.select_in(&snapshot, selects, samples_max).await {
                // What is missing again and again was not collected but lost: then the error says what it is.
                Err(error) if error.is_not_found() && restarts < RESTARTS_MAX => self.forget_snapshot(),
                outcome => return outcome,
            }
            restarts += 1;
        }
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
    async fn segments_for(
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
        let segments = self.load_segments(&rows, Keep::Yes).await?;
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

    async fn series_restarting(&self, query: &LabelQuery) -> Result<BTreeSet<Labels>, TsdbError> {
        let mut restarts = 0;
        loop {
            let snapshot = self.snapshot().await?;
            match self.series_in(&snapshot, query).await {
                // What is missing again and again was not collected but lost: then the error says what it is.
                Err(error) if error.is_not_found() && restarts < RESTARTS_MAX => self.forget_snapshot(),
                outcome => return outcome,
            }
            restarts += 1;
        }
    }

    async fn series_in(
        &self,
        snapshot: &Snapshot,
        query: &LabelQuery,
    ) -> Result<BTreeSet<Labels>, TsdbError> {
        let (min_time, max_time) = (query.min_time, query.max_time);
        let mut works: Vec<Work<'_, Vec<Labels>>> = Vec::new();
        for meta in snapshot.blocks(min_time, max_time) {
            let deletions = self.deletions_of_block(&snapshot.committed.manifest, &meta.id)?;
            works.push(Box::pin(self.series_of_block(meta, query, deletions)));
        }
        let read = together(works, self.settings.concurrency).await?;
        let mut found: BTreeSet<Labels> = read.into_iter().flatten().collect();
        let select = Select { matchers: vec![], min_time, max_time, hints: storage::SelectHints::default() };
        let segments = self.segments_for(snapshot, std::slice::from_ref(&select)).await?;
        let wanted = |labels: &Labels| {
            let matches = |matchers: &Vec<Matcher>| matches_all(matchers, labels);
            query.matcher_sets.is_empty() || query.matcher_sets.iter().any(matches)
        };
        let live = self.replay(snapshot, &segments, min_time, max_time, u64::MAX, wanted)?;
        found.extend(live.into_iter().map(|series| series.labels));
        Ok(found)
    }

    async fn series_of_block(
        &self,
        meta: &BlockMeta,
        query: &LabelQuery,
        deletions: Deletions,
    ) -> Result<Vec<Labels>, TsdbError> {
        let reader = self.open_block(meta).await?;
        let found = reader.series(&query.matcher_sets, query.min_time, query.max_time).await?;
        deletions.hide_labels(&reader, found, query).await
    }
}

/// Adds what was found for the selector `at`, and counts its samples.
fn collect(
    parts: &mut [BTreeMap<Labels, Vec<Series>>],
    at: usize,
    found: Vec<Series>,
    left: &mut u64,
) -> Result<(), TsdbError> {
    let samples: u64 = found.iter().map(|series| series.timestamps.len() as u64).sum();
    *left = left.checked_sub(samples).ok_or(TsdbError::TooManySamples)?;
    if let Some(parts) = parts.get_mut(at) {
        for series in found {
            parts.entry(series.labels.clone()).or_default().push(series);
        }
    }
    Ok(())
}

/// The first `limit` of some answers; 0 is no limit.
fn limited<T>(answers: BTreeSet<T>, limit: usize) -> Vec<T> {
    answers.into_iter().take(if limit == 0 { usize::MAX } else { limit }).collect()
}
