//! `anchored` and `smoothed`: ranges whose bounds have values of their own. Source:
//! `promql/functions.go:extendedRate`, `promql/engine.go:extendFloats, smoothSeries`.
//!
//! The windows given here hold samples beyond the range, up to the lookback.

use storage::Series;

use crate::eval::column::{Column, Steps};
use crate::eval::range::counter::Kind;
use crate::eval::range::{Window, reachable};
use crate::plan::node::Source;
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

/// An instant selector that interpolates between the samples around each step.
pub(in crate::eval) fn smoothed_column(
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
        let value = match (before, after) {
            (_, Some((time, value))) if time == reference => Some(value),
            (Some(before), Some(after)) => Some(interpolate(before, after, reference, false)),
            (Some((_, value)), None) => Some(value),
            (None, _) => None,
        };
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
