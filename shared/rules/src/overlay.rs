//! What the earlier rules of a group gave, over the store that does not have it yet.
//!
//! In Prometheus each rule's results, and the stale markers of series that it no longer gives, are in the store before
//! the next rule runs. Here a group's results become durable together, so later rules see them through [`Overlay`].
//! Which series have ended is known exactly for alerting rules, whose state has them. Of a recording rule only its
//! name, its labels and the instant of its last results are known: a series ends if it fits those, its newest sample
//! is of that instant, and no other rule of the group could have made it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::labels::METRIC_NAME;
use model::matcher::matches_all;
use model::value::{is_stale_nan, stale_nan};
use model::{Labels, MatchOp, Matcher, TimestampMs};
use storage::{LabelQuery, Limits, Queryable, Select, Series, SeriesSet, StartTimestamps, StorageFuture};

use crate::recording::{Recorded, Results};

/// Which series a rule gave before.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    /// These.
    Exactly(Vec<Labels>),
    /// Those of a recording rule.
    WrittenAt {
        /// The metric that it makes.
        record: String,
        /// Labels that its series have.
        labels: Labels,
        /// Labels of other rules of the group that make the same metric.
        of_others: Vec<Labels>,
        /// The instant of its last results, ms.
        at_ms: TimestampMs,
    },
}

/// A store with the results of a group's earlier rules on top, all of one instant.
pub struct Overlay<'a> {
    base: &'a dyn Queryable,
    at_ms: TimestampMs,
    /// New samples by metric name.
    pending: BTreeMap<String, Results>,
    /// Series that have ended, as far as they are known exactly.
    ended: BTreeSet<Labels>,
    /// The others.
    ended_records: Vec<Ended>,
}

impl std::fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay").field("at_ms", &self.at_ms).finish_non_exhaustive()
    }
}

impl<'a> Overlay<'a> {
    /// Nothing yet on top of `base`; results will be of the instant `at_ms`.
    #[must_use]
    pub fn new(base: &'a dyn Queryable, at_ms: TimestampMs) -> Self {
        Self { base, at_ms, pending: BTreeMap::new(), ended: BTreeSet::new(), ended_records: Vec::new() }
    }

    /// The value that an earlier rule gave this series.
    pub(crate) fn pending(&self, labels: &Labels) -> Option<&Recorded> {
        self.pending.get(labels.metric_name())?.get(labels)
    }

    /// Adds the results of a rule, which has ended the series of `ended` that are not in them.
    pub(crate) fn add(&mut self, results: Results, ended: Ended) {
        match ended {
            Ended::Exactly(series) => {
                self.ended.extend(series.into_iter().filter(|labels| !results.contains_key(labels)));
            }
            record @ Ended::WrittenAt { .. } => self.ended_records.push(record),
        }
        for (labels, value) in results {
            let name = labels.metric_name().to_owned();
            self.pending.entry(name).or_default().entry(labels).or_insert(value);
        }
    }

    /// The new samples whose series satisfy all of `matchers`.
    fn matching<'s>(&'s self, matchers: &'s [Matcher]) -> impl Iterator<Item = (&'s Labels, &'s Recorded)> {
        let name = matchers.iter().find(|m| m.name() == METRIC_NAME && m.op() == MatchOp::Equal);
        let by_name =
            self.pending.iter().filter(move |(candidate, _)| name.is_none_or(|m| m.value() == *candidate));
        by_name.flat_map(|(_, results)| results).filter(|(labels, _)| matches_all(matchers, labels))
    }

    fn merge(&self, select: &Select, set: &mut SeriesSet) {
        if self.at_ms < select.min_time || self.at_ms > select.max_time {
            return;
        }
        for series in set.iter_mut() {
            if self.has_ended(series) {
                insert(series, self.at_ms, &Recorded::Float(stale_nan()));
            }
        }
        let mut new = Vec::new();
        for (labels, value) in self.matching(&select.matchers) {
            match set.binary_search_by(|series| series.labels.cmp(labels)) {
                Ok(at) => {
                    if let Some(series) = set.get_mut(at) {
                        insert(series, self.at_ms, value);
                    }
                }
                Err(_) => {
                    let mut series = Series::floats(labels.clone(), Arc::default(), Arc::default());
                    insert(&mut series, self.at_ms, value);
                    new.push(series);
                }
            }
        }
        if !new.is_empty() {
            set.append(&mut new);
            set.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
    }

    fn has_ended(&self, series: &Series) -> bool {
        if self.pending(&series.labels).is_some() {
            return false;
        }
        if self.ended.contains(&series.labels) {
            return true;
        }
        let newest_of = |timestamps: &[TimestampMs]| {
            let until = timestamps.partition_point(|t| *t <= self.at_ms);
            until.checked_sub(1).and_then(|at| timestamps.get(at)).copied()
        };
        let newest = newest_of(&series.timestamps).max(newest_of(&series.histograms.timestamps));
        self.ended_records.iter().any(|ended| match ended {
            Ended::Exactly(_) => false,
            Ended::WrittenAt { record, labels, of_others, at_ms } => {
                newest == Some(*at_ms)
                    && series.labels.metric_name() == record
                    && has_all(&series.labels, labels)
                    && !of_others.iter().any(|labels| has_all(&series.labels, labels))
            }
        })
    }

    /// The label sets of new samples that a question about labels is about.
    fn label_sets<'s>(&'s self, query: &'s LabelQuery) -> impl Iterator<Item = &'s Labels> {
        let is_in_range = self.at_ms >= query.min_time && self.at_ms <= query.max_time;
        let all = self.pending.values().flat_map(BTreeMap::keys).filter(move |_| is_in_range);
        all.filter(|labels| {
            query.matcher_sets.is_empty() || query.matcher_sets.iter().any(|set| matches_all(set, labels))
        })
    }
}

impl Queryable for Overlay<'_> {
    fn select<'a>(&'a self, selects: &'a [Select], limits: Limits) -> StorageFuture<'a, Vec<SeriesSet>> {
        Box::pin(async move {
            let mut sets = self.base.select(selects, limits).await?;
            for (select, set) in selects.iter().zip(&mut sets) {
                self.merge(select, set);
            }
            Ok(sets)
        })
    }

    fn series<'a>(&'a self, query: &'a LabelQuery) -> StorageFuture<'a, Vec<Labels>> {
        Box::pin(async move {
            let base = self.base.series(query).await?;
            Ok(union(base, self.label_sets(query).cloned(), query.limit))
        })
    }

    fn label_names<'a>(&'a self, query: &'a LabelQuery) -> StorageFuture<'a, Vec<String>> {
        Box::pin(async move {
            let base = self.base.label_names(query).await?;
            let names = self.label_sets(query).flat_map(Labels::iter).map(|(name, _)| name.to_owned());
            Ok(union(base, names, query.limit))
        })
    }

    fn label_values<'a>(&'a self, name: &'a str, query: &'a LabelQuery) -> StorageFuture<'a, Vec<String>> {
        Box::pin(async move {
            let base = self.base.label_values(name, query).await?;
            let values = self.label_sets(query).filter_map(|labels| labels.get(name)).map(str::to_owned);
            Ok(union(base, values, query.limit))
        })
    }
}

fn has_all(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}

/// Both, sorted, each once, at most `limit` unless that is 0.
fn union<T: Ord>(base: Vec<T>, new: impl Iterator<Item = T>, limit: usize) -> Vec<T> {
    let all: BTreeSet<T> = base.into_iter().chain(new).collect();
    all.into_iter().take(if limit == 0 { usize::MAX } else { limit }).collect()
}

/// Adds a sample to a series. What the store has at that instant stays, unless it is a stale marker.
fn insert(series: &mut Series, at_ms: TimestampMs, value: &Recorded) {
    let floats = series.timestamps.binary_search(&at_ms);
    let histograms = series.histograms.timestamps.binary_search(&at_ms);
    let is_stale = match (floats, histograms) {
        (Ok(at), _) => series.values.get(at).is_some_and(|value| is_stale_nan(*value)),
        (_, Ok(at)) => series.histograms.values.get(at).is_some_and(|value| value.is_stale()),
        _ => true,
    };
    if !is_stale {
        return;
    }
    let (float, histogram) = match value {
        Recorded::Float(value) => (Some(*value), None),
        Recorded::Histogram(value) => (None, Some(Arc::clone(value))),
    };
    put(&mut series.timestamps, &mut series.values, at_ms, float);
    put(&mut series.histograms.timestamps, &mut series.histograms.values, at_ms, histogram);
    // Since when the samples count is not known of a new one.
    series.start_timestamps = StartTimestamps::default();
}

/// Makes `value` what there is at an instant; `None` takes it away.
fn put<T: Clone>(
    timestamps: &mut Arc<[TimestampMs]>,
    values: &mut Arc<[T]>,
    at_ms: TimestampMs,
    value: Option<T>,
) {
    let found = timestamps.binary_search(&at_ms);
    if found.is_err() && value.is_none() {
        return;
    }
    let (mut times, mut all) = (timestamps.to_vec(), values.to_vec());
    let (Ok(at) | Err(at)) = found;
    let replaced = at..at + usize::from(found.is_ok() && at < all.len());
    times.splice(at..at + usize::from(found.is_ok()), value.as_ref().map(|_| at_ms));
    all.splice(replaced, value);
    (*timestamps, *values) = (times.into(), all.into());
}

#[cfg(test)]
mod tests;
