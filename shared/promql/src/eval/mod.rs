//! Evaluation: series by series over all steps.
//!
//! ```text
//! mod         the evaluator: dispatch, limits, what a query's result is made of
//! column      values of a series over steps       index        label sets to numbers
//! selector    samples to columns                  range        samples to windows; functions over windows
//! corrections what histogram_quantile corrected
//! binary      operators                           aggregate    aggregations, topk and its kin in select_k
//! function    functions of vectors                histogram    quantiles of classic histograms
//! labels      label_replace, label_join, sort     info         info()
//! math, date  arithmetic and calendar             limits       how much may be held and when to stop
//! ```
//!
//! Label sets are looked at once a series, never once a step: an operator first decides which series meet, then runs
//! over their columns.

mod aggregate;
mod binary;
mod column;
mod corrections;
pub(crate) mod date;
mod function;
mod histogram;
mod index;
mod info;
mod labels;
mod limits;
pub(crate) mod math;
mod range;
mod result;
mod select_k;
mod selector;

use std::sync::Arc;

use model::labels::METRIC_NAME;
use storage::SeriesSet;

use crate::annotations::Annotations;
use crate::eval::column::{Column, Histograms, Scalar, Steps, Vector, VectorSeries};
use crate::eval::index::LabelIndex;
use crate::eval::limits::Limits;
use crate::interrupt::Interrupt;
use crate::plan::node::{Root, ScalarNode, VectorNode};
use crate::query::{EngineOptions, QueryError, QueryTime};
use crate::value::QueryResult;

/// Labels that say what a metric is, which the result of most operations is no longer.
const METADATA_LABELS: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// All that an evaluation needs.
pub(crate) struct Input<'a> {
    pub(crate) query: &'a str,
    pub(crate) time: QueryTime,
    pub(crate) options: &'a EngineOptions,
    pub(crate) root: &'a Root,
    /// The series of each select.
    pub(crate) sets: &'a [SeriesSet],
    pub(crate) interrupt: &'a dyn Interrupt,
}

/// Evaluates a query.
///
/// # Errors
/// See [`crate::Plan::evaluate`].
pub(crate) fn evaluate(input: &Input<'_>) -> Result<QueryResult, QueryError> {
    let mut evaluator = Evaluator {
        sets: input.sets,
        lookback_ms: input.options.lookback_delta_ms,
        delayed_name_removal: input.options.features.delayed_name_removal,
        use_start_timestamps: input.options.features.use_start_timestamps,
        type_and_unit_labels: input.options.features.type_and_unit_labels,
        annotations: Annotations::default(),
        limits: Limits::new(input.options.samples_max, input.interrupt),
    };
    let value = evaluator.root(input.root, input.time)?;
    let (warnings, infos) = evaluator.annotations.into_texts(input.query);
    Ok(QueryResult { value, warnings, infos })
}

/// The error of two series that cannot be told apart.
fn same_labels() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned())
}

/// A running evaluation.
struct Evaluator<'a> {
    sets: &'a [SeriesSet],
    lookback_ms: i64,
    delayed_name_removal: bool,
    use_start_timestamps: bool,
    type_and_unit_labels: bool,
    annotations: Annotations,
    limits: Limits<'a>,
}

impl Evaluator<'_> {
    fn scalar(&mut self, node: &ScalarNode, steps: Steps) -> Result<Scalar, QueryError> {
        let before = self.limits.held();
        let (inputs, value) = match node {
            ScalarNode::Number(value) => (0, Scalar::Constant(*value)),
            ScalarNode::Time => {
                self.limits.check_room(steps.count)?;
                (0, Scalar::Steps((0..steps.count).map(|step| steps.time(step) as f64 / 1000.0).collect()))
            }
            ScalarNode::Negate(inner) => (1, self.scalar(inner, steps)?.map(|value| -value)),
            ScalarNode::Chain(chain) => {
                let mut value = self.scalar(&chain.start, steps)?;
                for (op, operand) in &chain.links {
                    let operand = self.scalar(operand, steps)?;
                    value = value.zip(operand, |a, b| math::scalar_operation(*op, a, b));
                    self.limits.settle(before, 2, steps.count)?;
                }
                (0, value)
            }
            ScalarNode::Min(a, b) => {
                let (a, b) = (self.scalar(a, steps)?, self.scalar(b, steps)?);
                (2, a.zip(b, math::go_min))
            }
            ScalarNode::Max(a, b) => {
                let (a, b) = (self.scalar(a, steps)?, self.scalar(b, steps)?);
                (2, a.zip(b, math::go_max))
            }
            ScalarNode::OfVector(inner) => {
                let vector = self.vector(inner, steps)?;
                self.limits.check_room(steps.count)?;
                (vector.len(), function::scalar_of(&vector, steps))
            }
            ScalarNode::StepInvariant(inner) => {
                (0, Scalar::Constant(self.scalar(inner, steps.first())?.at(0)))
            }
        };
        self.limits.settle(before, inputs, steps.count)?;
        Ok(value)
    }

    fn vector(&mut self, node: &VectorNode, steps: Steps) -> Result<Vector, QueryError> {
        if steps.count == 0 {
            return Ok(Vector::new());
        }
        match node {
            VectorNode::Selector(selector) => self.select(selector, steps),
            VectorNode::StepInvariant(inner) => self.step_invariant(inner, steps),
            VectorNode::Negate(inner) => {
                let mut vector = self.vector(inner, steps)?;
                for series in &mut vector {
                    self.drop_name(series);
                    series.column.update(|_, value| -value);
                    series.histograms.update(|_, mut histogram| {
                        Arc::make_mut(&mut histogram).mul(-1.0);
                        Some(histogram)
                    });
                }
                if self.delayed_name_removal { Ok(vector) } else { merge_same_labels(vector) }
            }
            VectorNode::Chain(chain) => self.chain(chain, steps),
            VectorNode::Aggregate(node) => self.aggregate(node, steps),
            VectorNode::Call(call) => self.call(call, steps),
        }
    }

    fn step_invariant(&mut self, inner: &VectorNode, steps: Steps) -> Result<Vector, QueryError> {
        let mut vector = self.vector(inner, steps.first())?;
        self.limits.check_slots(vector.len().saturating_mul(steps.count))?;
        for series in &mut vector {
            if let Some(value) = series.column.get(0) {
                self.limits.hold(steps.count - 1)?;
                series.column = Column::constant(value, steps.count);
            }
            if let Some(histogram) = series.histograms.get(0).cloned() {
                let more = column::histogram_samples(&histogram).saturating_mul(steps.count - 1);
                self.limits.hold(more)?;
                series.histograms = Histograms::constant(&histogram, steps.count);
            }
        }
        Ok(vector)
    }

    /// Notes that the series is no longer what its name says.
    fn drop_name(&self, series: &mut VectorSeries) {
        series.drop_name = true;
        if !self.delayed_name_removal {
            series.labels = series.labels.without(&METADATA_LABELS);
        }
    }

    /// Ends an operation that began when `before` samples were held: takes out what is empty, counts, and sees to it
    /// that label sets are unique. With one step and names removed at the end, that is left to the end.
    fn finish(
        &mut self,
        before: u64,
        inputs: usize,
        mut output: Vector,
        steps: Steps,
    ) -> Result<Vector, QueryError> {
        output.retain(|series| !series.is_empty());
        let samples = output.iter().map(VectorSeries::samples).sum();
        self.limits.settle(before, inputs, samples)?;
        if steps.count == 1 && self.delayed_name_removal { Ok(output) } else { merge_same_labels(output) }
    }
}

/// Makes one series of all that have the same labels.
///
/// # Errors
/// Where two of them have a value at the same step.
fn merge_same_labels(vector: Vector) -> Result<Vector, QueryError> {
    let mut index = LabelIndex::default();
    let mut merged = Vector::with_capacity(vector.len());
    for series in vector {
        let at = index.number(&series.labels);
        match merged.get_mut(at) {
            None => merged.push(series),
            Some(first) => {
                if !first.merge(&series) {
                    return Err(same_labels());
                }
            }
        }
    }
    Ok(merged)
}
