//! Doubles for tests: a scripted engine, small stores, a clock.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::matcher::matches_all;
use model::{Labels, TimestampMs};
use platform::Clock;
use promql::VectorSample;
use storage::{LabelQuery, Limits, Queryable, Select, Series, SeriesSet, StorageFuture};

use crate::{QueryFuture, QueryRunner};

/// Runs a future whose doubles never wait.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// A vector without timestamps.
pub(crate) type Vector = Vec<(Labels, f64)>;

/// An engine that answers what it was told to.
#[derive(Default)]
pub(crate) struct Script {
    /// The answer to any expression that `by_expr` has not.
    pub(crate) any: Vector,
    /// Answers by expression; text that is no answer but an error.
    pub(crate) by_expr: BTreeMap<String, Result<Vector, String>>,
    /// The expressions asked for, with their instants.
    pub(crate) asked: Mutex<Vec<(String, TimestampMs)>>,
}

impl Script {
    pub(crate) fn answering(expr: &str, vector: Vector) -> Self {
        let mut script = Self::default();
        script.by_expr.insert(expr.to_owned(), Ok(vector));
        script
    }
}

impl QueryRunner for Script {
    fn instant<'a>(&'a self, expr: &'a str, at_ms: i64, _: &'a dyn Queryable) -> QueryFuture<'a> {
        self.asked.lock().unwrap().push((expr.to_owned(), at_ms));
        let answer = self.by_expr.get(expr).cloned().unwrap_or_else(|| Ok(self.any.clone()));
        let stamped = answer.map(|vector| {
            vector.into_iter().map(|(labels, value)| VectorSample::float(labels, at_ms, value)).collect()
        });
        Box::pin(std::future::ready(stamped))
    }
}

/// An engine that knows one kind of expression: a metric name, which selects with a lookback of 5 minutes.
pub(crate) struct Selector;

impl QueryRunner for Selector {
    fn instant<'a>(&'a self, expr: &'a str, at_ms: i64, queryable: &'a dyn Queryable) -> QueryFuture<'a> {
        Box::pin(async move {
            let selects = [Select {
                matchers: vec![model::Matcher::equal("__name__", expr)],
                min_time: at_ms - 299_999,
                max_time: at_ms,
                hints: storage::SelectHints::default(),
            }];
            let limits = Limits { samples_max: 1000, deadline: i64::MAX };
            let sets = queryable.select(&selects, limits).await.map_err(|error| error.to_string())?;
            let newest = |series: &Series| {
                let value = *series.values.last()?;
                let labels = series.labels.clone();
                (!model::value::is_stale_nan(value)).then(|| VectorSample::float(labels, at_ms, value))
            };
            Ok(sets.iter().flatten().filter_map(newest).collect())
        })
    }
}

/// A store of given series.
#[derive(Default)]
pub(crate) struct MemoryStore(pub(crate) Vec<(Labels, Vec<(TimestampMs, f64)>)>);

/// A store without anything.
pub(crate) struct EmptyStore;

impl MemoryStore {
    fn labels_in(&self, query: &LabelQuery) -> Vec<Labels> {
        let in_range =
            |points: &[(i64, f64)]| points.iter().any(|(t, _)| (query.min_time..=query.max_time).contains(t));
        let fits = |labels: &Labels| {
            query.matcher_sets.is_empty() || query.matcher_sets.iter().any(|set| matches_all(set, labels))
        };
        let all = self.0.iter().filter(|(labels, points)| in_range(points) && fits(labels));
        let mut all: Vec<Labels> = all.map(|(labels, _)| labels.clone()).collect();
        all.sort();
        all
    }
}

impl Queryable for MemoryStore {
    fn select<'a>(&'a self, selects: &'a [Select], _: Limits) -> StorageFuture<'a, Vec<SeriesSet>> {
        let one = |select: &Select| {
            let mut set = SeriesSet::new();
            for (labels, points) in &self.0 {
                let (timestamps, values): (Vec<i64>, Vec<f64>) = points
                    .iter()
                    .copied()
                    .filter(|(t, _)| *t >= select.min_time && *t <= select.max_time)
                    .unzip();
                if matches_all(&select.matchers, labels) && !timestamps.is_empty() {
                    let labels = labels.clone();
                    set.push(Series::floats(labels, timestamps.into(), values.into()));
                }
            }
            set.sort_by(|a, b| a.labels.cmp(&b.labels));
            set
        };
        Box::pin(std::future::ready(Ok(selects.iter().map(one).collect())))
    }

    fn series<'a>(&'a self, query: &'a LabelQuery) -> StorageFuture<'a, Vec<Labels>> {
        Box::pin(std::future::ready(Ok(self.labels_in(query))))
    }

    fn label_names<'a>(&'a self, query: &'a LabelQuery) -> StorageFuture<'a, Vec<String>> {
        let mut names: Vec<String> =
            self.labels_in(query).iter().flat_map(Labels::iter).map(|(name, _)| name.to_owned()).collect();
        names.sort();
        names.dedup();
        Box::pin(std::future::ready(Ok(names)))
    }

    fn label_values<'a>(&'a self, name: &'a str, query: &'a LabelQuery) -> StorageFuture<'a, Vec<String>> {
        let mut values: Vec<String> =
            self.labels_in(query).iter().filter_map(|labels| labels.get(name)).map(str::to_owned).collect();
        values.sort();
        values.dedup();
        Box::pin(std::future::ready(Ok(values)))
    }
}

impl Queryable for EmptyStore {
    fn select<'a>(&'a self, selects: &'a [Select], _: Limits) -> StorageFuture<'a, Vec<SeriesSet>> {
        Box::pin(std::future::ready(Ok(selects.iter().map(|_| SeriesSet::new()).collect())))
    }

    fn series<'a>(&'a self, _: &'a LabelQuery) -> StorageFuture<'a, Vec<Labels>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn label_names<'a>(&'a self, _: &'a LabelQuery) -> StorageFuture<'a, Vec<String>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn label_values<'a>(&'a self, _: &'a str, _: &'a LabelQuery) -> StorageFuture<'a, Vec<String>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

/// A clock that moves one second a look.
#[derive(Default)]
pub(crate) struct StepClock(Arc<Mutex<u64>>);

impl Clock for StepClock {
    fn now_ms(&self) -> i64 {
        7_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        let mut seconds = self.0.lock().unwrap();
        *seconds += 1;
        *seconds * 1_000_000_000
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}
