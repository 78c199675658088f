//! A store in memory that answers exactly what it is asked for, so that a select that asks for too little shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Labels, Matcher, TimestampMs};
use promql::{EngineOptions, Never, Plan, QueryError, QueryResult, QueryTime};
use serde_json::Value;
use storage::{
    HistogramColumn, LabelQuery, Limits, Queryable, Select, Series, SeriesSet, StartTimestamps, StorageError,
    StorageFuture,
};

use super::json::{self, Point};

/// One stored series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    /// Samples by time, each with its start timestamp, 0 where that is unknown.
    pub(crate) points: BTreeMap<TimestampMs, (Point, TimestampMs)>,
}

impl Stored {
    /// The samples of an inclusive stretch of time.
    fn series(&self, labels: &Labels, min_time: TimestampMs, max_time: TimestampMs) -> Series {
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for (time, (point, start)) in self.points.range(min_time..=max_time) {
            match point {
                Point::Float(value) => floats.push((*time, *value, *start)),
                Point::Histogram(value, _) => histograms.push((*time, Arc::clone(value), *start)),
            }
        }
        let starts = self.points.values().any(|(_, start)| *start != 0);
        let start_timestamps = StartTimestamps {
            floats: floats.iter().filter(|_| starts).map(|(.., start)| *start).collect(),
            histograms: histograms.iter().filter(|_| starts).map(|(.., start)| *start).collect(),
        };
        Series {
            labels: labels.clone(),
            timestamps: floats.iter().map(|(time, ..)| *time).collect(),
            values: floats.iter().map(|(_, value, _)| *value).collect(),
            histograms: HistogramColumn {
                timestamps: histograms.iter().map(|(time, ..)| *time).collect(),
                values: histograms.into_iter().map(|(_, value, _)| value).collect(),
            },
            start_timestamps,
        }
    }
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
            let starts = json::list(&series["start_timestamps"]);
            for (at, point) in json::list(&series["points"]).iter().enumerate() {
                let start = starts.get(at).map_or(0, json::time);
                content.points.insert(json::time(&point[0]), (json::point(&point[1]), start));
            }
            self.series.insert(json::labels(&series["metric"]), content);
        }
    }

    /// Adds one sample.
    pub(crate) fn add(&mut self, labels: &Labels, time: TimestampMs, value: f64) {
        self.add_point(labels, time, Point::Float(value));
    }

    /// Adds one sample of either kind.
    pub(crate) fn add_point(&mut self, labels: &Labels, time: TimestampMs, point: Point) {
        self.series.entry(labels.clone()).or_default().points.insert(time, (point, 0));
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
            let series = stored.series(labels, select.min_time, select.max_time);
            if series.sample_count() > 0 {
                set.push(series);
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
            let samples: usize = sets.iter().flatten().map(Series::sample_count).sum();
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
