//! A store in memory that answers exactly what it is asked for, so that a select that asks for too little shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Labels, Matcher, TimestampMs};
use promql::{EngineOptions, Never, Plan, QueryError, QueryResult, QueryTime};
use serde_json::Value;
use storage::{LabelQuery, Limits, Queryable, Select, SeriesSet, StorageError, StorageFuture};

use super::json;

/// One stored series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    /// Floats by time.
    pub(crate) points: BTreeMap<TimestampMs, f64>,
    /// Whether it also has native histograms.
    pub(crate) histograms: bool,
    /// Whether it has start timestamps.
    pub(crate) start_timestamps: bool,
}

/// The store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    /// Series by labels.
    pub(crate) series: BTreeMap<Labels, Stored>,
}

impl Store {
    /// Takes over what a `load` of the suite stored: the whole content of each series that it touched.
    pub(crate) fn load(&mut self, stored: &Value) {
        for series in json::list(stored) {
            let mut content = Stored::default();
            for point in json::list(&series["points"]) {
                match json::point(&point[1]) {
                    Some(value) => {
                        content.points.insert(json::time(&point[0]), value);
                    }
                    None => content.histograms = true,
                }
            }
            content.start_timestamps = series.get("start_timestamps").is_some();
            self.series.insert(json::labels(&series["metric"]), content);
        }
    }

    /// Adds one sample.
    pub(crate) fn add(&mut self, labels: &Labels, time: TimestampMs, value: f64) {
        self.series.entry(labels.clone()).or_default().points.insert(time, value);
    }

    /// The series that satisfy `matchers`.
    pub(crate) fn matching<'a>(
        &'a self,
        matchers: &'a [Matcher],
    ) -> impl Iterator<Item = (&'a Labels, &'a Stored)> {
        self.series.iter().filter(|(labels, _)| model::matcher::matches_all(matchers, labels))
    }

    /// What one select gives.
    pub(crate) fn select(&self, select: &Select) -> SeriesSet {
        let mut set = SeriesSet::new();
        if select.min_time > select.max_time {
            return set;
        }
        for (labels, stored) in self.matching(&select.matchers) {
            let (timestamps, values): (Vec<i64>, Vec<f64>) = stored
                .points
                .range(select.min_time..=select.max_time)
                .map(|(time, value)| (*time, *value))
                .unzip();
            if !timestamps.is_empty() {
                let (timestamps, values) = (Arc::from(timestamps), Arc::from(values));
                set.push(storage::Series::floats(labels.clone(), timestamps, values));
            }
        }
        set
    }

    /// Runs a query.
    pub(crate) fn query(
        &self,
        query: &str,
        time: QueryTime,
        options: &EngineOptions,
    ) -> Result<QueryResult, QueryError> {
        let plan = Plan::new(query, time, options)?;
        let sets = plan.selects().iter().map(|select| self.select(select)).collect();
        plan.evaluate(sets, &Never)
    }
}

impl Queryable for Store {
    fn select<'a>(&'a self, selects: &'a [Select], limits: Limits) -> StorageFuture<'a, Vec<SeriesSet>> {
        Box::pin(async move {
            let sets: Vec<SeriesSet> = selects.iter().map(|select| Store::select(self, select)).collect();
            let samples: usize = sets.iter().flatten().map(|series| series.values.len()).sum();
            if samples as u64 > limits.samples_max {
                return Err(StorageError::TooManySamples);
            }
            if limits.deadline < 0 {
                return Err(StorageError::Timeout("query execution"));
            }
            Ok(sets)
        })
    }

    fn series<'a>(&'a self, _: &'a LabelQuery) -> StorageFuture<'a, Vec<Labels>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn label_names<'a>(&'a self, _: &'a LabelQuery) -> StorageFuture<'a, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn label_values<'a>(&'a self, _: &'a str, _: &'a LabelQuery) -> StorageFuture<'a, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
