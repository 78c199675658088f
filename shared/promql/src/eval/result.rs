//! From columns to what the user gets.

use std::sync::Arc;

use model::Labels;

use crate::eval::column::{Scalar, Steps, Vector, VectorSeries};
use crate::eval::{Evaluator, METADATA_LABELS, merge_same_labels};
use crate::plan::node::Root;
use crate::query::{QueryError, QueryTime};
use crate::value::{MatrixSeries, QueryValue, VectorSample};

impl Evaluator<'_> {
    /// Evaluates a whole query.
    pub(super) fn root(&mut self, root: &Root, time: QueryTime) -> Result<QueryValue, QueryError> {
        let (steps, instant) = match time {
            QueryTime::Instant(at) => (Steps::instant(at), true),
            QueryTime::Range { start, end, step } => (Steps::between(start, end, step), false),
        };
        let timestamp = steps.start;
        Ok(match root {
            Root::String(text) => QueryValue::String { timestamp, value: text.clone() },
            Root::Scalar(node) => {
                let scalar = self.scalar(node, steps)?;
                if instant {
                    QueryValue::Scalar { timestamp, value: scalar.at(0) }
                } else {
                    QueryValue::Matrix(scalar_matrix(&scalar, steps))
                }
            }
            Root::Vector(node) => {
                let vector = self.vector(node, steps)?;
                let vector = self.remove_names(vector)?;
                if instant {
                    instant_vector(vector, timestamp)
                } else {
                    QueryValue::Matrix(matrix(vector, steps))
                }
            }
            Root::Range(node) => {
                let mut series = self.range_result(node, steps)?;
                series.sort_by(|a, b| a.labels.cmp(&b.labels));
                QueryValue::Matrix(series)
            }
        })
    }

    /// Removes the names that were to go at the end.
    pub(super) fn remove_names(&self, mut vector: Vector) -> Result<Vector, QueryError> {
        if !self.delayed_name_removal {
            return Ok(vector);
        }
        for series in vector.iter_mut().filter(|series| series.drop_name) {
            series.labels = series.labels.without(&METADATA_LABELS);
        }
        merge_same_labels(vector)
    }
}

fn scalar_matrix(scalar: &Scalar, steps: Steps) -> Vec<MatrixSeries> {
    if steps.count == 0 {
        return Vec::new();
    }
    let points = (0..steps.count).map(|step| (steps.time(step), scalar.at(step))).collect();
    vec![MatrixSeries { labels: Labels::empty(), points, histograms: Vec::new() }]
}

fn instant_vector(vector: Vector, timestamp: i64) -> QueryValue {
    let samples = vector.into_iter().filter_map(|series| {
        let (value, histogram) = (series.column.get(0), series.histograms.get(0).cloned());
        if value.is_none() && histogram.is_none() {
            return None;
        }
        Some(VectorSample { labels: series.labels, timestamp, value: value.unwrap_or_default(), histogram })
    });
    QueryValue::Vector(samples.collect())
}

/// A series with instants instead of steps.
pub(super) fn matrix_series(series: VectorSeries, steps: Steps) -> MatrixSeries {
    let histograms = series.histograms.iter();
    MatrixSeries {
        points: series.column.iter().map(|(step, value)| (steps.time(step), value)).collect(),
        histograms: histograms.map(|(step, value)| (steps.time(step), Arc::clone(value))).collect(),
        labels: series.labels,
    }
}

fn matrix(vector: Vector, steps: Steps) -> Vec<MatrixSeries> {
    let series = vector.into_iter().filter(|series| !series.is_empty());
    let mut series: Vec<MatrixSeries> = series.map(|series| matrix_series(series, steps)).collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    series
}
