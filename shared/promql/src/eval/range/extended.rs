//! `anchored` and `smoothed`: ranges whose bounds have values of their own. Source:
//! `promql/functions.go:extendedRate`, `promql/engine.go:extendFloats, smoothSeries`.
//!
//! The windows given here hold samples beyond the range, up to the lookback.

use storage::Series;

use crate::eval::Evaluator;
use crate::eval::column::{Column, Histograms, Steps, Vector};
use crate::eval::range::counter::Kind;
use crate::eval::range::histograms::{self, Note};
use crate::eval::range::load::{reachable, reachable_histograms};
use crate::eval::range::{RangeSeries, Window, Windows};
use crate::plan::node::{InstantSelector, Source};
use crate::query::QueryError;

/// The samples that matter: indexes of those at, or next to, the bounds of the range.
struct Ends {
    first: usize,
    last: usize,
}

/// `rate`, `increase` and `delta` between the values at the bounds.
pub(super) fn rate(window: &Window<'_>, kind: Kind, smoothed: bool) -> Option<f64> {
    let ends = ends(window, smoothed)?;
    if smoothed && *window.timestamps.get(ends.first)? > window.end {
        return None;
    }
    let left = left_value(window, &ends, smoothed, kind.is_counter)?;
    let right = right_value(window, &ends, smoothed, kind.is_counter)?;
    let mut result = right - left;
    if kind.is_counter {
        result += lost_by_resets(left, right, inside(window, &ends).1);
    }
    Some(kind.per_second_over.map_or(result, |range| result / range))
}

/// The range as the result of a query: its samples, and one at each bound.
pub(super) fn points(window: &Window<'_>, smoothed: bool) -> Vec<(i64, f64)> {
    let Some(ends) = ends(window, smoothed) else { return Vec::new() };
    let left = left_value(window, &ends, smoothed, false);
    let right = right_value(window, &ends, smoothed, false);
    let (Some(left), Some(right)) = (left, right) else { return Vec::new() };
    let (timestamps, values) = inside(window, &ends);
    let mut points = vec![(window.start, left)];
    points.extend(timestamps.iter().copied().zip(values.iter().copied()));
    points.push((window.end, right));
    points
}

impl Evaluator<'_> {
    /// What an instant selector that is `smoothed` sees: values between the samples around each step.
    pub(in crate::eval) fn select_smoothed(
        &mut self,
        selector: &InstantSelector,
        steps: Steps,
    ) -> Result<Vector, QueryError> {
        let (source, lookback_ms, slots_max) = (selector.source, self.lookback_ms, self.limits.slots_max());
        let mut noted: Vec<(Note, String)> = Vec::new();
        let vector = self.columns(source.select, |series| {
            if series.histograms.timestamps.is_empty() {
                let column = smoothed_column(series, source, steps, lookback_ms, slots_max)?;
                return Ok((column, Histograms::default()));
            }
            let name = series.labels.metric_name();
            smoothed_mixed(series, selector, steps, lookback_ms, &mut |note| {
                if !noted.iter().any(|(known, of)| *known == note && of == name) {
                    noted.push((note, name.to_owned()));
                }
            })
        })?;
        for (note, name) in noted {
            self.note(&[note], &name, selector.span);
        }
        Ok(vector)
    }
}

/// As [`smoothed_column`] of a series that has native histograms.
fn smoothed_mixed(
    series: &Series,
    selector: &InstantSelector,
    steps: Steps,
    lookback_ms: i64,
    note: &mut dyn FnMut(Note),
) -> Result<(Column, Histograms), QueryError> {
    let Source { at, offset_ms, .. } = selector.source;
    let windows =
        Windows { steps, at, offset_ms, range_ms: lookback_ms, before_ms: 0, after_ms: lookback_ms };
    let everything = (i64::MIN, i64::MAX);
    let (timestamps, values) = reachable(series, everything);
    let series = RangeSeries {
        labels: series.labels.clone(),
        drop_name: false,
        timestamps,
        values,
        starts: std::borrow::Cow::default(),
        histograms: reachable_histograms(series, everything, selector.stats_only, false),
    };
    let (mut column, mut found) = (Column::default(), Histograms::default());
    windows.slide_mixed(&series, |window| {
        let (floats, step, time) = (&window.floats, window.floats.step, window.floats.end);
        match (floats.values.is_empty(), window.histograms.values.is_empty()) {
            (false, false) => note(Note::MixedFloats),
            (false, true) => {
                let next = floats.timestamps.partition_point(|sample| *sample < time);
                let before = next.checked_sub(1).and_then(|at| sample(floats, at));
                if let Some(value) = between(before, sample(floats, next), time) {
                    column.push(step, value);
                }
            }
            _ => {
                let (value, notes) = histograms::smoothed_value(window.histograms, time);
                notes.into_iter().for_each(&mut *note);
                if let Some(value) = value {
                    found.push(step, std::sync::Arc::new(value));
                }
            }
        }
        Ok(())
    })?;
    Ok((column, found))
}

/// The value at `time` between two samples, or after the last.
fn between(before: Option<(i64, f64)>, after: Option<(i64, f64)>, time: i64) -> Option<f64> {
    match (before, after) {
        (_, Some((sample, value))) if sample == time => Some(value),
        (Some(before), Some(after)) => Some(interpolate(before, after, time, false)),
        (Some((_, value)), None) => Some(value),
        (None, _) => None,
    }
}

/// An instant selector that interpolates between the samples around each step.
fn smoothed_column(
    series: &Series,
    source: Source,
    steps: Steps,
    lookback_ms: i64,
    slots_max: usize,
) -> Result<Column, QueryError> {
    let (timestamps, values) = reachable(series, (i64::MIN, i64::MAX));
    let (Some(first), Some(last)) = (timestamps.first(), timestamps.last()) else {
        return Ok(Column::default());
    };
    let relevant = if source.at.is_some() {
        0..steps.count
    } else {
        steps.within(*first, last.saturating_add(lookback_ms), source.offset_ms.saturating_neg())
    };
    let mut column = Column::default();
    let (mut next, mut step) = (0, relevant.start);
    while step < relevant.end {
        let reference = source.reference(steps.time(step));
        while timestamps.get(next).is_some_and(|time| *time < reference) {
            next += 1;
        }
        let sample = |at: Option<usize>| at.and_then(|at| Some((*timestamps.get(at)?, *values.get(at)?)));
        let after = sample(Some(next)).filter(|(time, _)| *time <= reference.saturating_add(lookback_ms));
        let before =
            sample(next.checked_sub(1)).filter(|(time, _)| *time > reference.saturating_sub(lookback_ms));
        let value = between(before, after, reference);
        step = match (value, timestamps.get(next)) {
            (Some(value), _) => {
                column.push_within(step, value, slots_max)?;
                step + 1
            }
            (None, Some(time)) if source.at.is_none() => {
                steps.next_at(step + 1, *time, source.offset_ms.saturating_neg())
            }
            (None, _) => break,
        };
    }
    Ok(column)
}

fn ends(window: &Window<'_>, smoothed: bool) -> Option<Ends> {
    let mut last = window.timestamps.len().checked_sub(1)?;
    let before_last = window.timestamps.get(..last)?;
    let first = before_last.partition_point(|time| *time <= window.start).saturating_sub(1);
    if smoothed {
        last = before_last.partition_point(|time| *time < window.end);
    }
    (*window.timestamps.get(last)? > window.start).then_some(Ends { first, last })
}

/// The samples strictly between the bounds.
fn inside<'a>(window: &Window<'a>, ends: &Ends) -> (&'a [i64], &'a [f64]) {
    let is =
        |at: usize, condition: &dyn Fn(i64) -> bool| window.timestamps.get(at).is_some_and(|t| condition(*t));
    let from = ends.first + usize::from(is(ends.first, &|time| time <= window.start));
    let to = ends.last + usize::from(!is(ends.last, &|time| time >= window.end));
    (window.timestamps.get(from..to).unwrap_or_default(), window.values.get(from..to).unwrap_or_default())
}

fn left_value(window: &Window<'_>, ends: &Ends, smoothed: bool, is_counter: bool) -> Option<f64> {
    let first = sample(window, ends.first)?;
    if smoothed && first.0 < window.start {
        return Some(interpolate(first, sample(window, ends.first + 1)?, window.start, is_counter));
    }
    Some(first.1)
}

fn right_value(window: &Window<'_>, ends: &Ends, smoothed: bool, is_counter: bool) -> Option<f64> {
    let last = sample(window, ends.last)?;
    match ends.last.checked_sub(1) {
        Some(before) if smoothed && last.0 > window.end => {
            Some(interpolate(sample(window, before)?, last, window.end, is_counter))
        }
        _ => Some(last.1),
    }
}

fn sample(window: &Window<'_>, at: usize) -> Option<(i64, f64)> {
    Some((*window.timestamps.get(at)?, *window.values.get(at)?))
}

/// The value at `time` on the line between two samples. A counter that has been reset in between starts at zero.
fn interpolate(before: (i64, f64), after: (i64, f64), time: i64, is_counter: bool) -> f64 {
    let low = if is_counter && after.1 < before.1 { 0.0 } else { before.1 };
    low + (after.1 - low) * time.saturating_sub(before.0) as f64 / after.0.saturating_sub(before.0) as f64
}

fn lost_by_resets(left: f64, right: f64, values: &[f64]) -> f64 {
    let (mut lost, mut before) = (0.0, left);
    for value in values.iter().copied().chain([right]) {
        if value < before {
            lost += before;
        }
        before = value;
    }
    lost
}
