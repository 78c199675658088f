//! Instant selectors: the newest sample at or before each step.

use storage::Series;

use crate::eval::Evaluator;
use crate::eval::column::{Column, Steps, Vector, VectorSeries};
use crate::plan::node::{InstantSelector, Source};
use crate::query::QueryError;

impl Evaluator<'_> {
    /// The samples that a selector sees at each step.
    pub(super) fn select(&mut self, selector: &InstantSelector, steps: Steps) -> Result<Vector, QueryError> {
        let (source, lookback_ms, slots_max) = (selector.source, self.lookback_ms, self.limits.slots_max());
        if selector.smoothed {
            return self.columns(source.select, |series| {
                super::range::smoothed_column(series, source, steps, lookback_ms, slots_max)
            });
        }
        self.columns(source.select, |series| {
            let value = |at: usize| series.values.get(at).copied().unwrap_or_default();
            instant_column(series, source, steps, lookback_ms, value, slots_max)
        })
    }

    /// When the samples were taken that a selector sees at each step, in ms.
    pub(super) fn select_times(&mut self, source: Source, steps: Steps) -> Result<Vector, QueryError> {
        let (lookback_ms, slots_max) = (self.lookback_ms, self.limits.slots_max());
        self.columns(source.select, |series| {
            let time = |at: usize| series.timestamps.get(at).map_or(0.0, |time| *time as f64);
            instant_column(series, source, steps, lookback_ms, time, slots_max)
        })
    }

    fn columns(
        &mut self,
        select: usize,
        column: impl Fn(&Series) -> Result<Column, QueryError>,
    ) -> Result<Vector, QueryError> {
        let (mut vector, mut slots) = (Vector::new(), 0usize);
        for series in self.sets.get(select).into_iter().flatten() {
            let column = column(series)?;
            self.limits.work(series.timestamps.len().max(column.range().len()))?;
            let samples = column.count();
            if samples > 0 {
                self.limits.hold(samples)?;
                slots += column.range().len();
                self.limits.check_slots(slots)?;
                vector.push(VectorSeries { labels: series.labels.clone(), drop_name: false, column });
            }
        }
        Ok(vector)
    }
}

/// What `value` gives for the index of the sample that each step sees: the newest that is not after it and younger than
/// the lookback; none if that is a stale marker.
fn instant_column(
    series: &Series,
    source: Source,
    steps: Steps,
    lookback_ms: i64,
    value: impl Fn(usize) -> f64,
    slots_max: usize,
) -> Result<Column, QueryError> {
    let times = &series.timestamps;
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(Column::default()) };
    let seen = |at: usize, reference: i64| {
        let fresh = times.get(at).is_some_and(|time| reference.saturating_sub(*time) < lookback_ms);
        let stale = series.values.get(at).is_none_or(|value| model::value::is_stale_nan(*value));
        fresh && !stale
    };
    if source.at.is_some() {
        let reference = source.reference(steps.start);
        return match times.partition_point(|time| *time <= reference).checked_sub(1) {
            Some(at) if seen(at, reference) && steps.count > slots_max => Err(QueryError::TooManySamples),
            Some(at) if seen(at, reference) => Ok(Column::constant(value(at), steps.count)),
            _ => Ok(Column::default()),
        };
    }
    let shift = source.offset_ms.saturating_neg();
    let relevant = steps.within(*first, last.saturating_add(lookback_ms), shift);
    let reference = source.reference(steps.time(relevant.start));
    let mut next = times.partition_point(|time| *time <= reference);
    let mut column = Column::default();
    let mut step = relevant.start;
    while step < relevant.end {
        let reference = source.reference(steps.time(step));
        while times.get(next).is_some_and(|time| *time <= reference) {
            next += 1;
        }
        match (next.checked_sub(1), times.get(next)) {
            (Some(at), _) if seen(at, reference) => {
                column.push_within(step, value(at), slots_max)?;
                step += 1;
            }
            // Nothing to see before the next sample.
            (_, Some(time)) => step = steps.next_at(step + 1, *time, shift),
            (_, None) => break,
        }
    }
    Ok(column)
}
