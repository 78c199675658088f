//! Reading: selectors in, columns of samples out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use model::{Exemplar, FloatHistogram, Labels, Matcher, Metadata, TimestampMs};

/// A boxed future, so that stores can be used as objects: one virtual call per network round trip costs nothing.
pub type StorageFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + 'a>>;

/// One selector's demand: every sample of the matching series with `min_time <= t <= max_time`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// First instant wanted, ms, inclusive.
    pub min_time: TimestampMs,
    /// Last instant wanted, ms, inclusive.
    pub max_time: TimestampMs,
    /// What the samples are for; a store may use it to read less, never to answer differently.
    pub hints: SelectHints,
}

/// What a selector's samples are for. Source: `storage.SelectHints` of Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectHints {
    /// Evaluation step, ms; 0 for an instant query.
    pub step_ms: i64,
    /// Range of the range selector, ms; 0 for an instant selector.
    pub range_ms: i64,
    /// The function or aggregation directly around the selector, or empty.
    pub func: String,
    /// The grouping labels of that aggregation.
    pub grouping: Vec<String>,
    /// Whether they are `by` (else `without`).
    pub by: bool,
}

/// One series and its samples in order of time, columnar. `timestamps` and `values` are equally long; timestamps
/// strictly increase, and no instant is in both `timestamps` and `histograms`. Stale markers are samples with [`model::value::STALE_NAN_BITS`].
#[derive(Clone, Debug)]
pub struct Series {
    /// Its identity.
    pub labels: Labels,
    /// Milliseconds since the epoch. Shared: all series of one scraped target often have the same instants.
    pub timestamps: Arc<[TimestampMs]>,
    /// The values at those instants.
    pub values: Arc<[f64]>,
    /// The samples that are native histograms; most series have none.
    pub histograms: HistogramColumn,
    /// Since when samples count, where that is known.
    pub start_timestamps: StartTimestamps,
}

/// Since when the samples of a series count, in ms, 0 where it is unknown. Each column is as long as the samples it is of,
/// or empty if nothing is known.
#[derive(Clone, Debug, Default)]
pub struct StartTimestamps {
    /// Of the floats.
    pub floats: Arc<[TimestampMs]>,
    /// Of the native histograms.
    pub histograms: Arc<[TimestampMs]>,
}

/// The native histograms of a series in order of time; both are equally long, timestamps strictly increase.
#[derive(Clone, Debug, Default)]
pub struct HistogramColumn {
    /// Milliseconds since the epoch.
    pub timestamps: Arc<[TimestampMs]>,
    /// The histograms at those instants.
    pub values: Arc<[Arc<FloatHistogram>]>,
}

impl Series {
    /// A series of floats alone.
    #[must_use]
    pub fn floats(labels: Labels, timestamps: Arc<[TimestampMs]>, values: Arc<[f64]>) -> Self {
        Self {
            labels,
            timestamps,
            values,
            histograms: HistogramColumn::default(),
            start_timestamps: StartTimestamps::default(),
        }
    }

    /// Number of samples, of either kind.
    #[must_use]
    pub fn sample_count(&self) -> usize {
        self.timestamps.len() + self.histograms.timestamps.len()
    }
}

/// The exemplars of one series, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    /// The series.
    pub labels: Labels,
    /// Its exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// The series that one [`Select`] gave, sorted by labels, each label set once, none without samples.
pub type SeriesSet = Vec<Series>;

/// What a question about labels is restricted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelQuery {
    /// Alternatives: a series counts if it satisfies all matchers of any one set. Empty: every series counts.
    pub matcher_sets: Vec<Vec<Matcher>>,
    /// First instant, ms, inclusive.
    pub min_time: TimestampMs,
    /// Last instant, ms, inclusive.
    pub max_time: TimestampMs,
    /// At most so many answers; 0 means no limit.
    pub limit: usize,
}

/// Bounds on what one query may load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Samples over all selectors.
    pub samples_max: u64,
    /// When to give up, ms since the epoch by the store's clock.
    pub deadline: TimestampMs,
}

/// A store that can be queried. A snapshot is taken when a call begins: all selectors of one call see the same data.
pub trait Queryable: Send + Sync {
    /// The series of each selector, in the selectors' order.
    ///
    /// # Errors
    /// [`StorageError`]; nothing partial is returned.
    fn select<'a>(&'a self, selects: &'a [Select], limits: Limits) -> StorageFuture<'a, Vec<SeriesSet>>;

    /// The label sets of the series that have a sample in the range, sorted.
    ///
    /// # Errors
    /// [`StorageError`].
    fn series<'a>(&'a self, query: &'a LabelQuery) -> StorageFuture<'a, Vec<Labels>>;

    /// The label names of those series, sorted.
    ///
    /// # Errors
    /// [`StorageError`].
    fn label_names<'a>(&'a self, query: &'a LabelQuery) -> StorageFuture<'a, Vec<String>>;

    /// The values that the label `name` has on those series, sorted.
    ///
    /// # Errors
    /// [`StorageError`].
    fn label_values<'a>(&'a self, name: &'a str, query: &'a LabelQuery) -> StorageFuture<'a, Vec<String>>;
}

/// A store of exemplars.
pub trait ExemplarQueryable: Send + Sync {
    /// The exemplars with `min_time <= t <= max_time` of the series that satisfy all matchers of any one set, sorted by
    /// labels; at most `limit` exemplars, the latest of each series first to be kept.
    ///
    /// # Errors
    /// [`StorageError`].
    fn exemplars<'a>(
        &'a self,
        matcher_sets: &'a [Vec<Matcher>],
        min_time: TimestampMs,
        max_time: TimestampMs,
        limit: usize,
    ) -> StorageFuture<'a, Vec<SeriesExemplars>>;
}

/// A store that knows what metric families mean.
pub trait MetadataQueryable: Send + Sync {
    /// What sources have said of the family `metric` (of all families without one), sorted, each answer once.
    ///
    /// # Errors
    /// [`StorageError`].
    fn metadata<'a>(&'a self, metric: Option<&'a str>) -> StorageFuture<'a, Vec<Metadata>>;
}

/// Why a store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// More samples than the limit allows. The text is Prometheus's.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// The deadline passed.
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    /// A stored object is damaged; never answered with other rows.
    #[error("corrupt {what}")]
    Corrupt {
        /// Which object, and how it is damaged.
        what: String,
    },
    /// The store cannot be reached or refuses.
    #[error("{0}")]
    Unavailable(String),
}
