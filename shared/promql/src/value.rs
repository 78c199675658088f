//! What a query gives.

use std::sync::Arc;

use model::{FloatHistogram, Labels, TimestampMs};

/// The result of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryValue {
    /// A number at an instant.
    Scalar {
        /// When, ms.
        timestamp: TimestampMs,
        /// What.
        value: f64,
    },
    /// Text at an instant; as bytes, for Go strings need not be UTF-8.
    String {
        /// When, ms.
        timestamp: TimestampMs,
        /// What.
        value: Vec<u8>,
    },
    /// One sample a series.
    Vector(Vec<VectorSample>),
    /// Samples a series, sorted by labels.
    Matrix(Vec<MatrixSeries>),
}

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// The series.
    pub labels: Labels,
    /// When, ms.
    pub timestamp: TimestampMs,
    /// What; 0 where it is a histogram.
    pub value: f64,
    /// What, where it is a native histogram.
    pub histogram: Option<Arc<FloatHistogram>>,
}

impl VectorSample {
    /// A sample that is a float.
    #[must_use]
    pub fn float(labels: Labels, timestamp: TimestampMs, value: f64) -> Self {
        Self { labels, timestamp, value, histogram: None }
    }
}

/// One series of a matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSeries {
    /// The series.
    pub labels: Labels,
    /// The samples that are floats, in order of time.
    pub points: Vec<(TimestampMs, f64)>,
    /// The samples that are native histograms, in order of time.
    pub histograms: Vec<(TimestampMs, Arc<FloatHistogram>)>,
}

/// A result and what is to be said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryResult {
    /// The result.
    pub value: QueryValue,
    /// Warnings, each with its position, as Prometheus words them.
    pub warnings: Vec<String>,
    /// Remarks, likewise.
    pub infos: Vec<String>,
}
