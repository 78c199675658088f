//! Ranges with native histograms among their samples, or with start timestamps.

use std::borrow::Cow;
use std::sync::Arc;

use model::FloatHistogram;

use crate::annotations::HistogramOperation;
use crate::eval::Evaluator;
use crate::eval::column::{Column, Histograms, histogram_samples};
use crate::eval::range::histograms::{self, Note};
use crate::eval::range::{RangeSeries, Window, WindowFunction, WindowSizes, Windows, counter, seconds};
use crate::parser::ast::Span;
use crate::plan::function::RangeFunction;
use crate::plan::node::{Bounds, OverRange};
use crate::query::QueryError;

/// The samples of one series that are native histograms; no stale markers.
#[derive(Default)]
pub(super) struct RangeHistograms<'a> {
    pub(super) timestamps: Cow<'a, [i64]>,
    pub(super) values: Cow<'a, [Arc<FloatHistogram>]>,
    /// Since when they count, 0 where that is unknown; empty if nothing is known.
    pub(super) starts: Cow<'a, [i64]>,
}

/// Native histograms that a function sees at one step.
#[derive(Clone, Copy)]
pub(super) struct HistogramWindow<'a> {
    pub(super) timestamps: &'a [i64],
    pub(super) values: &'a [Arc<FloatHistogram>],
    pub(super) starts: &'a [i64],
}

impl<'a> HistogramWindow<'a> {
    /// A part of it.
    pub(super) fn slice(&self, range: std::ops::Range<usize>) -> Self {
        Self {
            timestamps: self.timestamps.get(range.clone()).unwrap_or_default(),
            values: self.values.get(range.clone()).unwrap_or_default(),
            starts: self.starts.get(range).unwrap_or_default(),
        }
    }

    fn samples(&self) -> usize {
        self.values.iter().map(|histogram| histogram_samples(histogram)).sum()
    }
}

/// All that a function sees at one step.
pub(super) struct MixedWindow<'a> {
    /// The floats, of which there may be none.
    pub(super) floats: Window<'a>,
    /// Since when the floats count.
    pub(super) float_starts: &'a [i64],
    pub(super) histograms: HistogramWindow<'a>,
}

/// What a function gives.
pub(super) enum Value {
    Float(f64),
    Histogram(FloatHistogram),
    /// One that is not changed.
    Shared(Arc<FloatHistogram>),
}

impl Windows {
    /// Calls `visit` with every window that holds samples of either kind, in order.
    pub(super) fn slide_mixed(
        &self,
        series: &RangeSeries<'_>,
        mut visit: impl FnMut(&MixedWindow<'_>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let (times, histogram_times) = (&*series.timestamps, &*series.histograms.timestamps);
        let (floats, histograms) = (self.relevant(times), self.relevant(histogram_times));
        let relevant = match (times.is_empty(), histogram_times.is_empty()) {
            (true, _) => histograms,
            (_, true) => floats,
            _ => floats.start.min(histograms.start)..floats.end.max(histograms.end),
        };
        let (mut float, mut histogram) = (0..0, 0..0);
        let mut step = relevant.start;
        while step < relevant.end {
            let (after, until) = self.loaded(step);
            for (range, times) in [(&mut float, times), (&mut histogram, histogram_times)] {
                while times.get(range.end).is_some_and(|time| *time <= until) {
                    range.end += 1;
                }
                while range.start < range.end && times.get(range.start).is_some_and(|time| *time <= after) {
                    range.start += 1;
                }
            }
            if float.is_empty() && histogram.is_empty() {
                // Nothing before the next sample.
                let next = times.get(float.end).into_iter().chain(histogram_times.get(histogram.end)).min();
                let (Some(time), None) = (next, self.at) else { break };
                let shift = self.after_ms.saturating_sub(self.offset_ms);
                step = self.steps.next_at(step + 1, *time, shift);
                continue;
            }
            let (start, end) = self.range(step);
            let all = HistogramWindow {
                timestamps: histogram_times,
                values: &series.histograms.values,
                starts: &series.histograms.starts,
            };
            visit(&MixedWindow {
                floats: Window {
                    timestamps: times.get(float.clone()).unwrap_or_default(),
                    values: series.values.get(float.clone()).unwrap_or_default(),
                    first: float.start,
                    start,
                    end,
                    time: self.steps.time(step),
                    step,
                },
                float_starts: series.starts.get(float.clone()).unwrap_or_default(),
                histograms: all.slice(histogram.clone()),
            })?;
            step += 1;
        }
        Ok(())
    }
}

impl Evaluator<'_> {
    /// Runs `function` over the windows of a series that has native histograms or start timestamps.
    pub(super) fn run_mixed<F: WindowFunction>(
        &mut self,
        call: &OverRange,
        windows: Windows,
        series: &RangeSeries<'_>,
        function: &mut F,
        held: &mut WindowSizes,
    ) -> Result<(Column, Histograms), QueryError> {
        let (mut column, mut found) = (Column::default(), Histograms::default());
        let slots_max = self.limits.slots_max();
        function.begin(&series.values);
        windows.slide_mixed(series, |window| {
            let samples = window.floats.values.len() + window.histograms.samples();
            held.see_samples(window.floats.step, samples);
            self.limits.work(samples)?;
            match self.mixed_value(call, series, window, function)? {
                Some(Value::Float(value)) => column.push_within(window.floats.step, value, slots_max)?,
                Some(Value::Histogram(value)) => {
                    found.push_within(window.floats.step, Arc::new(value), slots_max)?
                }
                Some(Value::Shared(value)) => found.push_within(window.floats.step, value, slots_max)?,
                None => {}
            }
            Ok(())
        })?;
        Ok((column, found))
    }

    fn mixed_value<F: WindowFunction>(
        &mut self,
        call: &OverRange,
        series: &RangeSeries<'_>,
        window: &MixedWindow<'_>,
        function: &mut F,
    ) -> Result<Option<Value>, QueryError> {
        use RangeFunction as R;
        let (floats, histograms) = (&window.floats, window.histograms);
        let (any_float, any_histogram) = (!floats.values.is_empty(), !histograms.values.is_empty());
        let (name, span) = (series.labels.metric_name(), call.first_argument_span);
        let ends =
            |times: &dyn Fn(&[i64]) -> Option<i64>| (times(floats.timestamps), times(histograms.timestamps));
        Ok(match call.function {
            R::CountOverTime => Some(Value::Float((floats.values.len() + histograms.values.len()) as f64)),
            R::PresentOverTime => Some(Value::Float(1.0)),
            R::FirstOverTime => match ends(&|times| times.first().copied()) {
                (Some(float), histogram) if histogram.is_none_or(|histogram| float < histogram) => {
                    floats.values.first().copied().map(Value::Float)
                }
                _ => histograms.values.first().cloned().map(Value::Shared),
            },
            R::LastOverTime => match ends(&|times| times.last().copied()) {
                (Some(float), histogram) if histogram.is_none_or(|histogram| histogram < float) => {
                    floats.values.last().copied().map(Value::Float)
                }
                _ => histograms.values.last().cloned().map(Value::Shared),
            },
            R::TsOfFirstOverTime => {
                let (float, histogram) = ends(&|times| times.first().copied());
                float.into_iter().chain(histogram).min().map(|time| Value::Float(seconds(time)))
            }
            R::TsOfLastOverTime => {
                let (float, histogram) = ends(&|times| times.last().copied());
                float.into_iter().chain(histogram).max().map(|time| Value::Float(seconds(time)))
            }
            R::Resets => counter::resets(window, is_anchored(call)).map(Value::Float),
            R::Changes => counter::changes(window, is_anchored(call)).map(Value::Float),
            R::Irate | R::Idelta => {
                let (value, notes) = histograms::instant(window, call.function == R::Irate);
                self.note(&notes, name, span);
                value
            }
            R::AvgOverTime | R::SumOverTime | R::Rate | R::Increase | R::Delta => {
                if any_float && any_histogram {
                    self.annotations.mixed_floats_histograms(name, span);
                    return Ok(None);
                }
                if any_float {
                    return self.float_value(call, series, window, function);
                }
                let (value, notes) = match call.function {
                    R::AvgOverTime => histograms::average(histograms),
                    R::SumOverTime => histograms::sum(histograms),
                    _ => {
                        let kind = counter::Kind::of(call);
                        match super::bounds(&call.range) {
                            Bounds::Plain => histograms::rate(window, kind),
                            Bounds::Anchored => histograms::extended_rate(window, kind, false),
                            Bounds::Smoothed => histograms::extended_rate(window, kind, true),
                        }
                    }
                };
                self.note(&notes, name, span);
                value.map(Value::Histogram)
            }
            _ => {
                if !any_float && call.function != R::DoubleExponentialSmoothing {
                    return Ok(None);
                }
                if any_float && any_histogram {
                    self.annotations.ignored_in_mixed_range(name, span);
                }
                function.value(floats)?.map(Value::Float)
            }
        })
    }

    /// The value of a window of floats, which may have start timestamps.
    fn float_value<F: WindowFunction>(
        &mut self,
        call: &OverRange,
        series: &RangeSeries<'_>,
        window: &MixedWindow<'_>,
        function: &mut F,
    ) -> Result<Option<Value>, QueryError> {
        let kind = counter::Kind::of(call);
        let is_rate = matches!(call.function, RangeFunction::Rate | RangeFunction::Increase);
        if !is_rate || window.float_starts.is_empty() || super::bounds(&call.range) != Bounds::Plain {
            return Ok(function.value(&window.floats)?.map(Value::Float));
        }
        let (value, overlap) = counter::rate_with_starts(&window.floats, window.float_starts, kind);
        if overlap {
            self.annotations.start_time_overlap(series.labels.metric_name(), call.first_argument_span);
        }
        Ok(value.map(Value::Float))
    }

    pub(super) fn note(&mut self, notes: &[Note], name: &str, span: Span) {
        use HistogramOperation::{Addition, Aggregation, Subtraction};
        for note in notes {
            match note {
                Note::MixedFloats => self.annotations.mixed_floats_histograms(name, span),
                Note::NotACounter => self.annotations.histogram_not_a_counter(name, span),
                Note::NotAGauge => self.annotations.histogram_not_a_gauge(name, span),
                Note::MixedSchemas => self.annotations.mixed_schemas(name, span),
                Note::Added => self.annotations.bounds_reconciled(Addition, span),
                Note::Subtracted => self.annotations.bounds_reconciled(Subtraction, span),
                Note::Aggregated => self.annotations.bounds_reconciled(Aggregation, span),
                Note::Collision => self.annotations.counter_reset_collision(Aggregation, span),
                Note::Overlap => self.annotations.start_time_overlap(name, span),
            }
        }
    }

    /// Which steps have a sample of either kind in their range.
    pub(super) fn note_present(
        &mut self,
        windows: Windows,
        series: &RangeSeries<'_>,
        found: &mut [bool],
    ) -> Result<(), QueryError> {
        windows.slide_mixed(series, |window| {
            self.limits.work(1)?;
            if let Some(found) = found.get_mut(window.floats.step) {
                *found = true;
            }
            Ok(())
        })
    }
}

fn is_anchored(call: &OverRange) -> bool {
    super::bounds(&call.range) == Bounds::Anchored
}
