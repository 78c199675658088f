//! What ranges are made of: stored series, or the values of a subquery.

use std::borrow::Cow;
use std::sync::Arc;

use model::FloatHistogram;
use storage::Series;

use crate::eval::Evaluator;
use crate::eval::column::{Histograms, Steps};
use crate::eval::range::mixed::RangeHistograms;
use crate::eval::range::{RangeSeries, Windows};
use crate::eval::selector::without_buckets;
use crate::plan::node::{RangeInput, RangeNode};
use crate::query::QueryError;

impl<'a> Evaluator<'a> {
    /// The series of a range. Those of a subquery stay held.
    pub(super) fn load(
        &mut self,
        range: &RangeNode,
        windows: Windows,
        with_starts: bool,
    ) -> Result<Vec<RangeSeries<'a>>, QueryError> {
        match &range.input {
            RangeInput::Selector { select, stats_only, .. } => {
                let (sets, extent) = (self.sets, windows.extent());
                let series = sets.get(*select).into_iter().flatten().map(|series| {
                    let (timestamps, values) = reachable(series, extent);
                    RangeSeries {
                        labels: series.labels.clone(),
                        drop_name: false,
                        starts: if with_starts { reachable_starts(series, extent) } else { Cow::default() },
                        timestamps,
                        values,
                        histograms: reachable_histograms(series, extent, *stats_only, with_starts),
                    }
                });
                let any = |series: &RangeSeries<'_>| {
                    !series.timestamps.is_empty() || !series.histograms.timestamps.is_empty()
                };
                Ok(series.filter(any).collect())
            }
            RangeInput::Subquery { expr, .. } => {
                let inner = subquery_steps(range, windows.steps);
                let vector = self.vector(expr, inner)?;
                Ok(vector
                    .into_iter()
                    .map(|series| {
                        let (timestamps, values): (Vec<i64>, Vec<f64>) =
                            series.column.iter().map(|(step, value)| (inner.time(step), value)).unzip();
                        RangeSeries {
                            labels: series.labels,
                            drop_name: series.drop_name,
                            timestamps: Cow::Owned(timestamps),
                            values: Cow::Owned(values),
                            starts: Cow::default(),
                            histograms: subquery_histograms(&series.histograms, inner),
                        }
                    })
                    .collect())
            }
        }
    }
}

/// The instants at which the inside of a subquery is evaluated: multiples of its step.
pub(super) fn subquery_steps(range: &RangeNode, steps: Steps) -> Steps {
    let RangeInput::Subquery { step_ms, .. } = range.input else { return Steps { count: 0, ..steps } };
    let first = range.at.unwrap_or(steps.start).saturating_sub(range.offset_ms);
    let end = range.at.unwrap_or_else(|| steps.end()).saturating_sub(range.offset_ms);
    let bound = first.saturating_sub(range.range_ms);
    // The first multiple of the step after the bound.
    let start = bound.saturating_sub(bound.rem_euclid(step_ms)).saturating_add(step_ms);
    Steps::between(start, end, step_ms)
}

/// The part of a stored series that windows can reach, without stale markers.
pub(super) fn reachable<'a>(series: &'a Series, extent: (i64, i64)) -> (Cow<'a, [i64]>, Cow<'a, [f64]>) {
    let first = series.timestamps.partition_point(|time| *time <= extent.0);
    let next = series.timestamps.partition_point(|time| *time <= extent.1).max(first);
    let timestamps = series.timestamps.get(first..next).unwrap_or_default();
    let values = series.values.get(first..next).unwrap_or_default();
    if !values.iter().any(|value| model::value::is_stale_nan(*value)) {
        return (Cow::Borrowed(timestamps), Cow::Borrowed(values));
    }
    let kept = timestamps.iter().zip(values).filter(|(_, value)| !model::value::is_stale_nan(**value));
    let (timestamps, values): (Vec<i64>, Vec<f64>) = kept.unzip();
    (Cow::Owned(timestamps), Cow::Owned(values))
}

/// Since when the floats count that [`reachable`] gives; empty if nothing is known.
fn reachable_starts(series: &Series, extent: (i64, i64)) -> Cow<'_, [i64]> {
    let starts = &series.start_timestamps.floats;
    if starts.is_empty() {
        return Cow::default();
    }
    let in_extent = |time: i64| time > extent.0 && time <= extent.1;
    let samples = series.timestamps.iter().zip(series.values.iter()).zip(starts.iter());
    let kept = samples.filter(|((time, value), _)| in_extent(**time) && !model::value::is_stale_nan(**value));
    Cow::Owned(kept.map(|(_, start)| *start).collect())
}

/// The native histograms of a stored series that windows can reach.
pub(super) fn reachable_histograms<'b>(
    series: &'b Series,
    extent: (i64, i64),
    stats_only: bool,
    with_starts: bool,
) -> RangeHistograms<'b> {
    let times = &series.histograms.timestamps;
    if times.is_empty() {
        return RangeHistograms::default();
    }
    let first = times.partition_point(|time| *time <= extent.0);
    let next = times.partition_point(|time| *time <= extent.1).max(first);
    let timestamps = times.get(first..next).unwrap_or_default();
    let values = series.histograms.values.get(first..next).unwrap_or_default();
    let starts = if with_starts {
        series.start_timestamps.histograms.get(first..next).unwrap_or_default()
    } else {
        &[]
    };
    let values = if stats_only { Cow::Owned(without_buckets(values)) } else { Cow::Borrowed(values) };
    if !values.iter().any(|value| value.is_stale()) {
        let (timestamps, starts) = (Cow::Borrowed(timestamps), Cow::Borrowed(starts));
        return RangeHistograms { timestamps, values, starts };
    }
    let kept = |at: &usize| values.get(*at).is_some_and(|value| !value.is_stale());
    let kept: Vec<usize> = (0..values.len()).filter(kept).collect();
    let times_of = |of: &[i64]| kept.iter().filter_map(|at| of.get(*at).copied()).collect();
    RangeHistograms {
        timestamps: Cow::Owned(times_of(timestamps)),
        starts: Cow::Owned(times_of(starts)),
        values: Cow::Owned(kept.iter().filter_map(|at| values.get(*at).cloned()).collect()),
    }
}

/// A series of a subquery: what is known of counter resets is forgotten, for samples may be missing or repeated.
pub(super) fn subquery_histograms(histograms: &Histograms, steps: Steps) -> RangeHistograms<'static> {
    use model::CounterResetHint::{CounterReset, NotCounterReset, Unknown};
    let forget = |histogram: &Arc<FloatHistogram>| match histogram.counter_reset_hint {
        CounterReset | NotCounterReset => {
            Arc::new(FloatHistogram { counter_reset_hint: Unknown, ..FloatHistogram::clone(histogram) })
        }
        _ => Arc::clone(histogram),
    };
    let (timestamps, values): (Vec<i64>, Vec<_>) =
        histograms.iter().map(|(step, histogram)| (steps.time(step), forget(histogram))).unzip();
    RangeHistograms {
        timestamps: Cow::Owned(timestamps),
        values: Cow::Owned(values),
        starts: Cow::Borrowed(&[]),
    }
}
