//! Functions of vectors.

use model::labels::METRIC_NAME;
use model::{FloatHistogram, Labels};

use crate::eval::Evaluator;
use crate::eval::column::{ABSENT, Column, Scalar, Steps, Vector, VectorSeries};
use crate::eval::math::{go_max, go_min};
use crate::plan::function::HistogramFunction;
use crate::plan::node::{Call, ScalarNode, VectorNode};
use crate::query::QueryError;

impl Evaluator<'_> {
    /// The value of a function call.
    pub(super) fn call(&mut self, call: &Call, steps: Steps) -> Result<Vector, QueryError> {
        let before = self.limits.held();
        match call {
            Call::Math(function, vector) => self.map(vector, steps, before, |_, value| function.apply(value)),
            Call::Round(vector, to_nearest) => {
                let to_nearest = self.scalar(to_nearest, steps)?;
                self.map(vector, steps, before, |step, value| {
                    // The inverse, for it makes decimal fractions come out right more often.
                    let inverse = 1.0 / to_nearest.at(step);
                    (value * inverse + 0.5).floor() / inverse
                })
            }
            Call::Clamp { vector, min, max } => {
                let (min, max) = (self.scalar(min, steps)?, self.scalar(max, steps)?);
                self.map(vector, steps, before, |step, value| {
                    let (min, max) = (min.at(step), max.at(step));
                    if max < min { ABSENT } else { go_max(min, go_min(max, value)) }
                })
            }
            Call::Date(function, Some(vector)) => {
                self.map(vector, steps, before, |_, value| function.apply(value))
            }
            Call::Date(function, None) => {
                let time = self.scalar(&ScalarNode::Time, steps)?;
                let vector = of_scalar(&time.map(|seconds| function.apply(seconds.trunc())), steps);
                self.finish(before, 0, vector, steps)
            }
            Call::OfScalar(scalar) => {
                let scalar = self.scalar(scalar, steps)?;
                self.limits.check_room(steps.count)?;
                self.finish(before, 1, of_scalar(&scalar, steps), steps)
            }
            Call::Absent { vector, labels } => {
                let vector = self.vector(vector, steps)?;
                self.limits.check_room(steps.count)?;
                let mut found = vec![false; steps.count];
                for step in vector.iter().flat_map(VectorSeries::present) {
                    if let Some(found) = found.get_mut(step) {
                        *found = true;
                    }
                }
                self.finish(before, vector.len(), absent(&found, labels, false), steps)
            }
            Call::AbsentOverTime { range, labels } => {
                let found = self.any_in_range(range, steps)?;
                self.finish(before, 0, absent(&found, labels, true), steps)
            }
            Call::TimestampOfSample(source) => {
                let mut vector = self.select_times(*source, steps)?;
                for series in &mut vector {
                    series.column.update(|_, time| time / 1000.0);
                    self.drop_name(series);
                }
                // The samples themselves are not kept.
                self.limits.release_to(before);
                self.finish(before, vector.len(), vector, steps)
            }
            Call::TimestampOfStep(vector) => self.timestamp_of_step(vector, steps, before),
            Call::StartTimestampOfSample(source) => {
                let mut vector = if self.use_start_timestamps {
                    self.select_starts(*source, steps)?
                } else {
                    Vector::new()
                };
                for series in &mut vector {
                    series.column.update(|_, time| time / 1000.0);
                    self.drop_name(series);
                }
                self.limits.release_to(before);
                self.finish(before, vector.len(), vector, steps)
            }
            Call::StartTimestampOfStep(vector) => {
                self.vector(vector, steps)?;
                self.finish(before, 0, Vector::new(), steps)
            }
            Call::Histogram(function, vector) => self.of_histograms(*function, vector, steps, before),
            Call::Sort { vector, descending, span } => self.sort(vector, *descending, *span, steps),
            Call::SortByLabel { vector, labels, descending, span } => {
                self.sort_by_label(vector, labels, *descending, *span, steps)
            }
            Call::LabelReplace(call) => self.label_replace(call, steps),
            Call::LabelJoin(call) => self.label_join(call, steps),
            Call::HistogramQuantile(call) => self.histogram_quantile(call, steps),
            Call::HistogramFraction { lower, upper, vector, vector_span } => {
                self.histogram_fraction((lower, upper), vector, *vector_span, steps)
            }
            Call::Info(call) => self.info(call, steps),
            Call::OverRange(call) => self.over_range(call, steps),
        }
    }

    /// `f` of the step and value of every sample; what is no longer the metric loses its name.
    fn map(
        &mut self,
        vector: &VectorNode,
        steps: Steps,
        before: u64,
        f: impl Fn(usize, f64) -> f64,
    ) -> Result<Vector, QueryError> {
        let mut vector = self.vector(vector, steps)?;
        for series in &mut vector {
            series.column.update(&f);
            series.histograms.clear();
            self.drop_name(series);
        }
        if self.delayed_name_removal {
            // Labels are as they were, hence as unique as they were.
            vector.retain(|series| !series.column.is_empty());
            let samples = vector.iter().map(VectorSeries::samples).sum();
            self.limits.settle(before, vector.len(), samples)?;
            return Ok(vector);
        }
        self.finish(before, vector.len(), vector, steps)
    }

    /// The instant of each step at which there is a sample.
    fn timestamp_of_step(
        &mut self,
        vector: &VectorNode,
        steps: Steps,
        before: u64,
    ) -> Result<Vector, QueryError> {
        let mut vector = self.vector(vector, steps)?;
        for series in &mut vector {
            let time = |step: usize| steps.time(step) as f64 / 1000.0;
            series.column.update(|step, _| time(step));
            if !series.histograms.is_empty() {
                let times = series.histograms.iter().map(|(step, _)| (step, time(step)));
                let times = times.collect::<Column>();
                series.column.merge(&times);
                series.histograms.clear();
            }
            self.drop_name(series);
        }
        self.finish(before, vector.len(), vector, steps)
    }

    /// What a function says of each histogram; floats are left out.
    fn of_histograms(
        &mut self,
        function: HistogramFunction,
        vector: &VectorNode,
        steps: Steps,
        before: u64,
    ) -> Result<Vector, QueryError> {
        let mut vector = self.vector(vector, steps)?;
        vector.retain(|series| !series.histograms.is_empty());
        for series in &mut vector {
            let values = series.histograms.iter().map(|(step, histogram)| (step, function.apply(histogram)));
            series.column = values.collect();
            series.histograms.clear();
            series.drop_name = true;
            if !self.delayed_name_removal {
                // Type and unit stay, as in Prometheus.
                series.labels = series.labels.without(&[METRIC_NAME]);
            }
        }
        self.finish(before, vector.len(), vector, steps)
    }
}

impl HistogramFunction {
    fn apply(self, histogram: &FloatHistogram) -> f64 {
        match self {
            Self::Avg => histogram.sum / histogram.count,
            Self::Count => histogram.count,
            Self::Stddev => histogram.variance().sqrt(),
            Self::Stdvar => histogram.variance(),
            Self::Sum => histogram.sum,
        }
    }
}

/// The value of the only sample at each step; NaN where there is none or more than one.
pub(super) fn scalar_of(vector: &Vector, steps: Steps) -> Scalar {
    let nan = model::value::normal_nan();
    let mut values = vec![nan; steps.count];
    let mut seen = vec![false; steps.count];
    for (step, value) in vector.iter().flat_map(|series| series.column.iter()) {
        if let (Some(slot), Some(seen)) = (values.get_mut(step), seen.get_mut(step)) {
            *slot = if *seen { nan } else { value };
            *seen = true;
        }
    }
    Scalar::Steps(values)
}

fn of_scalar(scalar: &Scalar, steps: Steps) -> Vector {
    let values = (0..steps.count).map(|step| scalar.at(step)).collect();
    vec![VectorSeries::floats(Labels::empty(), false, Column::new(0, values))]
}

fn absent(found: &[bool], labels: &Labels, drop_name: bool) -> Vector {
    let mut column = Column::default();
    for (step, _) in found.iter().enumerate().filter(|(_, found)| !**found) {
        column.push(step, 1.0);
    }
    vec![VectorSeries::floats(labels.clone(), drop_name, column)]
}
