//! Aggregations of groups that have native histograms. Source: `promql/engine.go:aggregation`.

use std::sync::Arc;

use model::CounterResetHint::{CounterReset, NotCounterReset};
use model::FloatHistogram;
use model::histogram::{Combined, HistogramMean, HistogramSum, IncompatibleSchemas};

use crate::annotations::HistogramOperation::Aggregation as InAggregation;
use crate::eval::Evaluator;
use crate::eval::aggregate::range_of;
use crate::eval::column::{ABSENT, Column, Histograms, Vector, VectorSeries};
use crate::parser::ast::AggregateOp;
use crate::plan::node::Aggregation;

/// What a sum or mean keeps of one group at one step that has histograms.
enum Total {
    Sum(HistogramSum),
    Mean(HistogramMean),
}

impl Total {
    fn new(op: AggregateOp, first: &FloatHistogram) -> Self {
        match op {
            AggregateOp::Sum => Self::Sum(HistogramSum::new(first)),
            _ => Self::Mean(HistogramMean::new(first)),
        }
    }

    fn add(&mut self, other: &FloatHistogram) -> Result<Combined, IncompatibleSchemas> {
        match self {
            Self::Sum(sum) => sum.add(other),
            Self::Mean(mean) => mean.add(other),
        }
    }

    fn finish(self) -> FloatHistogram {
        let mut histogram = match self {
            Self::Sum(sum) => sum.total(),
            Self::Mean(mean) => mean.value(),
        };
        histogram.compact(0);
        histogram
    }
}

/// One group at one step.
#[derive(Default)]
struct State {
    float: bool,
    histogram: bool,
    /// Exponential and custom buckets have met; nothing is looked at any more.
    incompatible: bool,
    reset: bool,
    no_reset: bool,
    /// None once a float came first: there will be no result.
    total: Option<Box<Total>>,
}

impl Evaluator<'_> {
    /// Completes the result of a group whose floats have been aggregated by what its histograms change.
    pub(super) fn aggregate_histograms(
        &mut self,
        node: &Aggregation,
        vector: &Vector,
        members: &[usize],
        result: &mut VectorSeries,
    ) {
        match node.op {
            AggregateOp::Sum | AggregateOp::Avg => self.total_histograms(node, vector, members, result),
            AggregateOp::Count => result.column = count(vector, members, |count| count + 1.0),
            AggregateOp::Group => result.column = count(vector, members, |_| 1.0),
            AggregateOp::Min => self.annotations.ignored_in_aggregation("min", node.expr_span),
            AggregateOp::Max => self.annotations.ignored_in_aggregation("max", node.expr_span),
            AggregateOp::Stddev => self.annotations.ignored_in_aggregation("stddev", node.expr_span),
            AggregateOp::Stdvar => self.annotations.ignored_in_aggregation("stdvar", node.expr_span),
            _ => self.annotations.ignored_in_aggregation("quantile", node.expr_span),
        }
    }

    fn total_histograms(
        &mut self,
        node: &Aggregation,
        vector: &Vector,
        members: &[usize],
        result: &mut VectorSeries,
    ) {
        let range = range_of(vector, members);
        let mut states: Vec<State> = Vec::new();
        states.resize_with(range.len(), State::default);
        for series in members.iter().filter_map(|at| vector.get(*at)) {
            for (step, _) in series.column.iter() {
                if let Some(state) = states.get_mut(step - range.start).filter(|state| !state.incompatible) {
                    state.float = true;
                }
            }
            for (step, histogram) in series.histograms.iter() {
                if let Some(state) = states.get_mut(step - range.start).filter(|state| !state.incompatible) {
                    self.take_in(node, state, histogram, series.labels.metric_name());
                }
            }
        }
        let mut histograms = Histograms::default();
        let mut invalid = vec![false; states.len()];
        for ((step, state), invalid) in (range.start..).zip(states).zip(&mut invalid) {
            if !state.histogram {
                continue;
            }
            *invalid = true;
            if state.float {
                self.annotations.mixed_in_aggregation(node.expr_span);
                continue;
            }
            let Some(total) = state.total.filter(|_| !state.incompatible) else { continue };
            histograms.push(step, Arc::new(total.finish()));
            if state.reset && state.no_reset {
                self.annotations.counter_reset_collision(InAggregation, node.expr_span);
            }
        }
        result.histograms = histograms;
        result.column.update(|step, value| {
            let invalid = step.checked_sub(range.start).and_then(|at| invalid.get(at));
            if invalid == Some(&true) { ABSENT } else { value }
        });
    }

    fn take_in(&mut self, node: &Aggregation, state: &mut State, histogram: &FloatHistogram, name: &str) {
        let first = !state.histogram && !state.float;
        state.histogram = true;
        if first {
            state.total = Some(Box::new(Total::new(node.op, histogram)));
        } else if state.total.is_none() {
            return;
        }
        state.reset |= histogram.counter_reset_hint == CounterReset;
        state.no_reset |= histogram.counter_reset_hint == NotCounterReset;
        if first {
            return;
        }
        let Some(total) = &mut state.total else { return };
        match total.add(histogram) {
            Ok(combined) if combined.bounds_reconciled => {
                self.annotations.bounds_reconciled(InAggregation, node.expr_span);
            }
            Ok(_) => {}
            Err(IncompatibleSchemas) => {
                self.annotations.mixed_schemas(name, node.expr_span);
                state.incompatible = true;
            }
        }
    }
}

/// How many samples of either kind there are at each step, by `more`.
fn count(vector: &Vector, members: &[usize], more: impl Fn(f64) -> f64) -> Column {
    let range = range_of(vector, members);
    let mut counts = vec![ABSENT; range.len()];
    for step in members.iter().filter_map(|at| vector.get(*at)).flat_map(VectorSeries::present) {
        if let Some(count) = counts.get_mut(step - range.start) {
            *count = more(if crate::eval::column::is_absent(*count) { 0.0 } else { *count });
        }
    }
    Column::new(range.start, counts)
}
