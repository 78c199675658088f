//! What is asked of the engine, and how it may fail.

use model::TimestampMs;

use crate::parser::ParseError;

/// The instants at which a query is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryTime {
    /// At one instant, ms.
    Instant(TimestampMs),
    /// At `start`, `start + step` … not after `end`, all ms; `step` is positive.
    Range {
        /// First instant.
        start: TimestampMs,
        /// Last instant at most.
        end: TimestampMs,
        /// Distance of instants.
        step: i64,
    },
}

/// How the engine is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// How far an instant selector looks back, ms. Prometheus's default is 5 minutes.
    pub lookback_delta_ms: i64,
    /// At most so many samples in memory. Prometheus's default is 50,000,000.
    pub samples_max: u64,
    /// Step of a subquery that names none, ms: the global evaluation interval.
    pub default_subquery_step_ms: i64,
    /// Which parts of the language are on.
    pub features: Features,
}

/// Parts of the language that Prometheus has off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Experimental functions and aggregations.
    pub experimental_functions: bool,
    /// `anchored` and `smoothed`.
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left`, `fill_right`.
    pub binop_fill_modifiers: bool,
    /// Metric names are dropped at the end of the query instead of by each operation.
    pub delayed_name_removal: bool,
    /// Counters are known to have been reset where a sample's start timestamp says so.
    pub use_start_timestamps: bool,
    /// Whether a metric is a counter is told by its label `__type__`, not by its name.
    pub type_and_unit_labels: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lookback_delta_ms: 5 * 60_000,
            samples_max: 50_000_000,
            default_subquery_step_ms: 60_000,
            features: Features::default(),
        }
    }
}

/// Why a query gives no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// It is not PromQL. API: 400 `bad_data`.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// It is PromQL, but not for this kind of query. API: 400 `bad_data`.
    #[error("{0}")]
    Invalid(String),
    /// It failed while being evaluated, in Prometheus's words. API: 422 `execution`.
    #[error("{0}")]
    Execution(String),
    /// More samples than allowed. API: 422 `execution`.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// The deadline passed. API: 503 `timeout`.
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    /// The client went away or the server stops. API: 503 `canceled`.
    #[error("query was canceled in {0}")]
    Canceled(&'static str),
}
