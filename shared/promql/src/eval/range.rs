//! Ranges of samples, and functions over them.
//!
//! A window slides over a series with two indexes, so a series is walked once whatever the step. What a function can
//! carry from window to window it does (counts, extrema, resets); sums are done anew in each window, for a compensated
//! sum cannot be taken from.

mod counter;
mod extended;
mod histograms;
mod load;
mod mixed;
mod over_time;
mod regression;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use model::Labels;

use crate::eval::column::{Column, Histograms, Scalar, Steps, Vector, VectorSeries, histogram_samples};
use crate::eval::index::LabelIndex;
use crate::eval::range::load::subquery_steps;
use crate::eval::range::mixed::{MixedWindow, RangeHistograms};
use crate::eval::result::matrix_series;
use crate::eval::{Evaluator, METADATA_LABELS, same_labels};
use crate::plan::function::RangeFunction;
use crate::plan::node::{Bounds, OverRange, RangeInput, RangeNode};
use crate::query::QueryError;
use crate::value::MatrixSeries;

/// Samples looked at between two questions to the interrupt.
const WORK_BETWEEN_CHECKS: usize = 1 << 16;

/// Suffixes that counters have.
const COUNTER_SUFFIXES: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

/// The samples of one series that windows slide over; no stale markers.
struct RangeSeries<'a> {
    labels: Labels,
    drop_name: bool,
    timestamps: Cow<'a, [i64]>,
    values: Cow<'a, [f64]>,
    /// Since when the floats count, 0 where that is unknown; empty if nothing is known.
    starts: Cow<'a, [i64]>,
    histograms: RangeHistograms<'a>,
}

impl RangeSeries<'_> {
    /// Whether there is nothing but floats to look at.
    fn is_plain(&self) -> bool {
        self.starts.is_empty() && self.histograms.timestamps.is_empty()
    }
}

/// The samples that a function sees at one step.
pub(super) struct Window<'a> {
    /// When, ms; strictly increasing.
    timestamps: &'a [i64],
    /// What; as long as `timestamps`.
    values: &'a [f64],
    /// The index in the series of the first sample.
    first: usize,
    /// Where the range begins, ms; exclusive.
    start: i64,
    /// Where it ends, ms; inclusive.
    end: i64,
    /// The step's instant, ms.
    time: i64,
    /// The step.
    step: usize,
}

/// How many samples windows of one series hold, for the limit.
struct WindowSizes {
    last_step: usize,
    /// The largest window.
    largest: usize,
    /// That of the last step, which is still held when the series is done.
    last: usize,
}

impl WindowSizes {
    fn new(steps: Steps) -> Self {
        Self { last_step: steps.count.saturating_sub(1), largest: 0, last: 0 }
    }

    fn see(&mut self, window: &Window<'_>) {
        self.see_samples(window.step, window.values.len());
    }

    fn see_samples(&mut self, step: usize, samples: usize) {
        self.largest = self.largest.max(samples);
        if step == self.last_step {
            self.last = samples;
        }
    }
}

/// A function of windows. It sees the windows of one series in order, [`WindowFunction::begin`] before each series.
trait WindowFunction {
    /// A new series begins.
    fn begin(&mut self, _values: &[f64]) {}

    /// The value at a window that is not empty.
    ///
    /// # Errors
    /// Where a parameter makes the query fail.
    fn value(&mut self, window: &Window<'_>) -> Result<Option<f64>, QueryError>;
}

/// A function that carries nothing from window to window.
struct Stateless<F>(F);

impl<F: Fn(&Window<'_>) -> Option<f64>> WindowFunction for Stateless<F> {
    fn value(&mut self, window: &Window<'_>) -> Result<Option<f64>, QueryError> {
        Ok((self.0)(window))
    }
}

/// Where the windows of a range lie.
#[derive(Clone, Copy)]
struct Windows {
    steps: Steps,
    at: Option<i64>,
    offset_ms: i64,
    range_ms: i64,
    /// How much earlier than the range samples are wanted.
    before_ms: i64,
    /// How much later.
    after_ms: i64,
}

impl Windows {
    fn new(node: &RangeNode, steps: Steps, lookback_ms: i64) -> Self {
        let (before_ms, after_ms) = match node.input {
            RangeInput::Selector { bounds: Bounds::Anchored, .. } => (lookback_ms, 0),
            RangeInput::Selector { bounds: Bounds::Smoothed, .. } => (lookback_ms, lookback_ms),
            _ => (0, 0),
        };
        let RangeNode { at, offset_ms, range_ms, .. } = *node;
        Self { steps, at, offset_ms, range_ms, before_ms, after_ms }
    }

    /// The range at a step: exclusive start, inclusive end.
    fn range(&self, step: usize) -> (i64, i64) {
        let end = self.at.unwrap_or_else(|| self.steps.time(step)).saturating_sub(self.offset_ms);
        (end.saturating_sub(self.range_ms), end)
    }

    /// What is loaded for a step: exclusive start, inclusive end.
    fn loaded(&self, step: usize) -> (i64, i64) {
        let (start, end) = self.range(step);
        (start.saturating_sub(self.before_ms), end.saturating_add(self.after_ms))
    }

    /// What is loaded for all steps together.
    fn extent(&self) -> (i64, i64) {
        (self.loaded(0).0, self.loaded(self.steps.count.saturating_sub(1)).1)
    }

    /// The steps whose windows can hold one of these samples.
    fn relevant(&self, timestamps: &[i64]) -> Range<usize> {
        let (Some(first), Some(last)) = (timestamps.first(), timestamps.last()) else { return 0..0 };
        if self.at.is_some() {
            return 0..self.steps.count;
        }
        let from = first.saturating_sub(self.after_ms);
        let to = last.saturating_add(self.range_ms).saturating_add(self.before_ms).saturating_sub(1);
        self.steps.within(from, to, self.offset_ms.saturating_neg())
    }

    /// Calls `visit` with every window that holds samples, in order.
    fn slide(
        &self,
        timestamps: &[i64],
        values: &[f64],
        mut visit: impl FnMut(&Window<'_>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let relevant = self.relevant(timestamps);
        let (start, end) = self.loaded(relevant.start);
        let mut first = timestamps.partition_point(|time| *time <= start);
        let mut next = timestamps.partition_point(|time| *time <= end);
        let mut step = relevant.start;
        while step < relevant.end {
            let (start, end) = self.loaded(step);
            while timestamps.get(next).is_some_and(|time| *time <= end) {
                next += 1;
            }
            while first < next && timestamps.get(first).is_some_and(|time| *time <= start) {
                first += 1;
            }
            if let (Some(timestamps), Some(values)) = (timestamps.get(first..next), values.get(first..next))
                && !timestamps.is_empty()
            {
                let (start, end) = self.range(step);
                let time = self.steps.time(step);
                visit(&Window { timestamps, values, first, start, end, time, step })?;
                step += 1;
                continue;
            }
            // Nothing before the next sample.
            let (Some(time), None) = (timestamps.get(next), self.at) else { break };
            let shift = self.after_ms.saturating_sub(self.offset_ms);
            step = self.steps.next_at(step + 1, *time, shift);
        }
        Ok(())
    }
}

impl<'a> Evaluator<'a> {
    /// The value of a function of a range.
    pub(super) fn over_range(&mut self, call: &OverRange, steps: Steps) -> Result<Vector, QueryError> {
        use RangeFunction as F;
        use over_time::Extremum;
        let before = self.limits.held();
        match call.function {
            F::AvgOverTime => self.run(call, steps, before, stateless(over_time::average)),
            F::CountOverTime => self.run(call, steps, before, stateless(|w| Some(w.values.len() as f64))),
            F::PresentOverTime => self.run(call, steps, before, stateless(|_| Some(1.0))),
            F::FirstOverTime => self.run(call, steps, before, stateless(|w| w.values.first().copied())),
            F::LastOverTime => self.run(call, steps, before, stateless(|w| w.values.last().copied())),
            F::SumOverTime => self.run(call, steps, before, stateless(over_time::sum)),
            F::StddevOverTime => {
                self.run(call, steps, before, stateless(|w| over_time::variance(w).map(f64::sqrt)))
            }
            F::StdvarOverTime => self.run(call, steps, before, stateless(over_time::variance)),
            F::MinOverTime => self.run(call, steps, before, Extremum::minimum()),
            F::MaxOverTime => self.run(call, steps, before, Extremum::maximum()),
            F::TsOfMinOverTime => self.run(call, steps, before, Extremum::minimum().time()),
            F::TsOfMaxOverTime => self.run(call, steps, before, Extremum::maximum().time()),
            F::TsOfFirstOverTime => {
                self.run(call, steps, before, stateless(|w| w.timestamps.first().map(|t| seconds(*t))))
            }
            F::TsOfLastOverTime => {
                self.run(call, steps, before, stateless(|w| w.timestamps.last().map(|t| seconds(*t))))
            }
            F::MadOverTime => self.run(call, steps, before, over_time::MedianDeviation::default()),
            F::Rate | F::Increase | F::Delta => self.rate(call, steps, before),
            F::Irate => self.run(call, steps, before, stateless(|w| counter::instant(w, true))),
            F::Idelta => self.run(call, steps, before, stateless(|w| counter::instant(w, false))),
            F::Resets => {
                let pairs = counter::Pairs::new(|a, b| b < a, bounds(&call.range) == Bounds::Anchored);
                self.run(call, steps, before, pairs)
            }
            F::Changes => {
                let changed = |a: f64, b: f64| a != b && !(a.is_nan() && b.is_nan());
                let pairs = counter::Pairs::new(changed, bounds(&call.range) == Bounds::Anchored);
                self.run(call, steps, before, pairs)
            }
            F::Deriv => self.run(call, steps, before, stateless(regression::derivative)),
            F::QuantileOverTime | F::PredictLinear | F::DoubleExponentialSmoothing => {
                self.with_parameters(call, steps, before)
            }
        }
    }

    fn rate(&mut self, call: &OverRange, steps: Steps, before: u64) -> Result<Vector, QueryError> {
        let kind = counter::Kind::of(call);
        match bounds(&call.range) {
            Bounds::Plain => self.run(call, steps, before, counter::Rate::new(kind)),
            Bounds::Anchored => self.run(call, steps, before, stateless(|w| extended::rate(w, kind, false))),
            Bounds::Smoothed => self.run(call, steps, before, stateless(|w| extended::rate(w, kind, true))),
        }
    }

    /// The functions that take numbers beside the range, one a step.
    fn with_parameters(&mut self, call: &OverRange, steps: Steps, before: u64) -> Result<Vector, QueryError> {
        let mut parameters = Vec::with_capacity(call.parameters.len());
        for parameter in &call.parameters {
            parameters.push(self.scalar(parameter, steps)?);
        }
        let parameter = |at: usize, step: usize| {
            parameters.get(at).map_or_else(model::value::normal_nan, |parameter: &Scalar| parameter.at(step))
        };
        match call.function {
            RangeFunction::QuantileOverTime => {
                let quantile = over_time::Quantile::new(|step| parameter(0, step));
                let (vector, quantile) = self.run_returning(call, steps, before, quantile)?;
                for q in quantile.invalid() {
                    self.annotations.invalid_quantile(*q, call.first_argument_span);
                }
                Ok(vector)
            }
            RangeFunction::PredictLinear => {
                let predict = stateless(|w| regression::predict(w, parameter(0, w.step)));
                self.run(call, steps, before, predict)
            }
            _ => {
                let smoothing = regression::Smoothing::new(|step| (parameter(0, step), parameter(1, step)));
                self.run(call, steps, before, smoothing)
            }
        }
    }

    /// At which steps some series has a sample in the range.
    pub(super) fn any_in_range(&mut self, range: &RangeNode, steps: Steps) -> Result<Vec<bool>, QueryError> {
        self.limits.check_room(steps.count)?;
        let before = self.limits.held();
        let mut found = vec![false; steps.count];
        let windows = Windows::new(range, steps, self.lookback_ms);
        for series in self.load(range, windows, false)? {
            self.limits.work(series.values.len())?;
            if !series.is_plain() {
                self.note_present(windows, &series, &mut found)?;
                continue;
            }
            let (mut held, mut samples) = (WindowSizes::new(steps), 0);
            windows.slide(&series.timestamps, &series.values, |window| {
                held.see(window);
                samples += 1;
                if let Some(found) = found.get_mut(window.step) {
                    *found = true;
                }
                Ok(())
            })?;
            self.limits.check_room(held.largest.max(held.last.saturating_add(samples)))?;
        }
        self.limits.release_to(before);
        Ok(found)
    }

    /// The samples of a range as the result of a query.
    pub(super) fn range_result(
        &mut self,
        range: &RangeNode,
        steps: Steps,
    ) -> Result<Vec<MatrixSeries>, QueryError> {
        if let RangeInput::Subquery { expr, .. } = &range.input {
            let inner = subquery_steps(range, steps);
            let vector = self.vector(expr, inner)?;
            let vector = self.remove_names(vector)?;
            return Ok(vector.into_iter().map(|series| matrix_series(series, inner)).collect());
        }
        let windows = Windows::new(range, steps.first(), self.lookback_ms);
        let bounds = bounds(range);
        let mut result = Vec::new();
        for series in self.load(range, windows, false)? {
            if !series.is_plain() {
                result.extend(self.mixed_result(&series, windows, bounds)?);
                continue;
            }
            let mut points = Vec::new();
            windows.slide(&series.timestamps, &series.values, |window| {
                points = match bounds {
                    Bounds::Plain => {
                        window.timestamps.iter().copied().zip(window.values.iter().copied()).collect()
                    }
                    bounds => extended::points(window, bounds == Bounds::Smoothed),
                };
                Ok(())
            })?;
            self.limits.hold(points.len())?;
            if !points.is_empty() {
                result.push(MatrixSeries { labels: series.labels, points, histograms: Vec::new() });
            }
        }
        Ok(result)
    }

    fn run(
        &mut self,
        call: &OverRange,
        steps: Steps,
        before: u64,
        function: impl WindowFunction,
    ) -> Result<Vector, QueryError> {
        self.run_returning(call, steps, before, function).map(|(vector, _)| vector)
    }

    /// Runs `function` over the windows of every series. Samples held since `before` are released.
    fn run_returning<F: WindowFunction>(
        &mut self,
        call: &OverRange,
        steps: Steps,
        before: u64,
        mut function: F,
    ) -> Result<(Vector, F), QueryError> {
        let windows = Windows::new(&call.range, steps, self.lookback_ms);
        let mut output = Vector::new();
        let (mut samples_total, mut slots) = (0usize, 0usize);
        let starts = self.use_start_timestamps && call.function.uses_start_timestamps();
        for series in self.load(&call.range, windows, starts)? {
            self.limits.work(series.values.len())?;
            let (mut column, mut histograms) = (Column::default(), Histograms::default());
            let mut held = WindowSizes::new(steps);
            if series.is_plain() {
                self.run_floats(windows, &series, &mut function, &mut held, &mut column)?;
            } else {
                (column, histograms) = self.run_mixed(call, windows, &series, &mut function, &mut held)?;
            }
            let any_float = !column.range().is_empty();
            let found =
                VectorSeries { labels: series.labels, drop_name: series.drop_name, column, histograms };
            let samples = found.samples();
            self.limits.check_room(held.largest.max(held.last.saturating_add(samples)))?;
            if samples == 0 {
                continue;
            }
            self.limits.hold(samples)?;
            samples_total += samples;
            slots += found.column.range().len();
            self.limits.check_slots(slots)?;
            if any_float {
                self.note_doubtful_counter(call, &found.labels);
            }
            let drop_name = found.drop_name || !call.function.keeps_name();
            let labels = if drop_name && !self.delayed_name_removal {
                found.labels.without(&METADATA_LABELS)
            } else {
                found.labels
            };
            output.push(VectorSeries {
                labels,
                drop_name,
                column: found.column,
                histograms: found.histograms,
            });
        }
        self.limits.release_to(before);
        self.limits.hold(samples_total)?;
        if !self.delayed_name_removal {
            let mut index = LabelIndex::default();
            if output.iter().enumerate().any(|(at, series)| index.number(&series.labels) != at) {
                return Err(same_labels());
            }
        }
        Ok((output, function))
    }

    /// Runs `function` over the windows of a series of floats.
    fn run_floats<F: WindowFunction>(
        &mut self,
        windows: Windows,
        series: &RangeSeries<'_>,
        function: &mut F,
        held: &mut WindowSizes,
        column: &mut Column,
    ) -> Result<(), QueryError> {
        function.begin(&series.values);
        let mut work = 0usize;
        let slots_max = self.limits.slots_max();
        let limits = &mut self.limits;
        windows.slide(&series.timestamps, &series.values, |window| {
            held.see(window);
            work += window.values.len();
            if work > WORK_BETWEEN_CHECKS {
                limits.work(work)?;
                work = 0;
            }
            if let Some(value) = function.value(window)? {
                column.push_within(window.step, value, slots_max)?;
            }
            Ok(())
        })
    }

    /// The samples of a range with histograms as the result of a query.
    fn mixed_result(
        &mut self,
        series: &RangeSeries<'_>,
        windows: Windows,
        bounds: Bounds,
    ) -> Result<Option<MatrixSeries>, QueryError> {
        let modifier = match bounds {
            Bounds::Plain => None,
            Bounds::Anchored => Some("anchored"),
            Bounds::Smoothed => Some("smoothed"),
        };
        let mut found =
            MatrixSeries { labels: series.labels.clone(), points: Vec::new(), histograms: Vec::new() };
        windows.slide_mixed(series, |window| {
            let MixedWindow { floats, histograms, .. } = window;
            if let Some(modifier) = modifier.filter(|_| !histograms.values.is_empty()) {
                let message = format!("{modifier} modifier is not supported with histograms");
                return Err(QueryError::Execution(message));
            }
            found.points = match bounds {
                Bounds::Plain => {
                    floats.timestamps.iter().copied().zip(floats.values.iter().copied()).collect()
                }
                bounds => extended::points(floats, bounds == Bounds::Smoothed),
            };
            let values = histograms.values.iter().map(Arc::clone);
            found.histograms = histograms.timestamps.iter().copied().zip(values).collect();
            Ok(())
        })?;
        let histograms: usize = found.histograms.iter().map(|(_, value)| histogram_samples(value)).sum();
        self.limits.hold(found.points.len() + histograms)?;
        Ok((!found.points.is_empty() || !found.histograms.is_empty()).then_some(found))
    }

    fn note_doubtful_counter(&mut self, call: &OverRange, labels: &Labels) {
        let name = labels.metric_name();
        if !matches!(call.function, RangeFunction::Rate | RangeFunction::Increase) || name.is_empty() {
            return;
        }
        if self.type_and_unit_labels {
            let metric_type = labels.value("__type__");
            if !matches!(metric_type, "counter" | "histogram") {
                self.annotations.not_typed_as_a_counter(metric_type, name, call.first_argument_span);
            }
        } else if !COUNTER_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
            self.annotations.possibly_not_a_counter(name, call.first_argument_span);
        }
    }
}

fn stateless<F: Fn(&Window<'_>) -> Option<f64>>(function: F) -> Stateless<F> {
    Stateless(function)
}

fn bounds(range: &RangeNode) -> Bounds {
    match range.input {
        RangeInput::Selector { bounds, .. } => bounds,
        RangeInput::Subquery { .. } => Bounds::Plain,
    }
}

fn seconds(time_ms: i64) -> f64 {
    time_ms as f64 / 1000.0
}
