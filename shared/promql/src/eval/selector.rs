//! Instant selectors: the newest sample at or before each step.

use std::sync::Arc;

use model::FloatHistogram;
use model::value::is_stale_nan;
use storage::Series;

use crate::eval::Evaluator;
use crate::eval::column::{Column, Histograms, Steps, Vector, VectorSeries};
use crate::plan::node::{InstantSelector, Source};
use crate::query::QueryError;

impl Evaluator<'_> {
    /// The samples that a selector sees at each step.
    pub(super) fn select(&mut self, selector: &InstantSelector, steps: Steps) -> Result<Vector, QueryError> {
        let (source, lookback_ms, slots_max) = (selector.source, self.lookback_ms, self.limits.slots_max());
        if selector.smoothed {
            return self.select_smoothed(selector, steps);
        }
        self.columns(source.select, |series| {
            if series.histograms.timestamps.is_empty() {
                let value = |at: usize| series.values.get(at).copied().unwrap_or_default();
                let column = instant_column(series, source, steps, lookback_ms, value, slots_max)?;
                return Ok((column, Histograms::default()));
            }
            mixed_columns(series, selector, steps, lookback_ms, slots_max)
        })
    }

    /// When the samples were taken that a selector sees at each step, in ms.
    pub(super) fn select_times(&mut self, source: Source, steps: Steps) -> Result<Vector, QueryError> {
        let (lookback_ms, slots_max) = (self.lookback_ms, self.limits.slots_max());
        self.columns(source.select, |series| {
            if series.histograms.timestamps.is_empty() {
                let time = |at: usize| series.timestamps.get(at).map_or(0.0, |time| *time as f64);
                let column = instant_column(series, source, steps, lookback_ms, time, slots_max)?;
                return Ok((column, Histograms::default()));
            }
            let mut column = Column::default();
            for (step, sample) in newest_samples(series, source, steps, lookback_ms) {
                column.push_within(step, sample.time(series) as f64, slots_max)?;
            }
            Ok((column, Histograms::default()))
        })
    }

    /// Since when the samples count that a selector sees at each step, in ms; 0 where that is unknown.
    pub(super) fn select_starts(&mut self, source: Source, steps: Steps) -> Result<Vector, QueryError> {
        let (lookback_ms, slots_max) = (self.lookback_ms, self.limits.slots_max());
        self.columns(source.select, |series| {
            let mut column = Column::default();
            for (step, sample) in newest_samples(series, source, steps, lookback_ms) {
                column.push_within(step, sample.start(series) as f64, slots_max)?;
            }
            Ok((column, Histograms::default()))
        })
    }

    pub(super) fn columns(
        &mut self,
        select: usize,
        mut columns: impl FnMut(&Series) -> Result<(Column, Histograms), QueryError>,
    ) -> Result<Vector, QueryError> {
        let (mut vector, mut slots) = (Vector::new(), 0usize);
        for series in self.sets.get(select).into_iter().flatten() {
            let (column, histograms) = columns(series)?;
            self.limits.work(series.timestamps.len().max(column.range().len()))?;
            let found = VectorSeries { labels: series.labels.clone(), drop_name: false, column, histograms };
            let samples = found.samples();
            if samples > 0 {
                self.limits.hold(samples)?;
                slots += found.column.range().len();
                self.limits.check_slots(slots)?;
                vector.push(found);
            }
        }
        Ok(vector)
    }
}

/// The newest sample, by its index among those of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newest {
    Float(usize),
    Histogram(usize),
}

impl Newest {
    fn time(self, series: &Series) -> i64 {
        let time = match self {
            Self::Float(at) => series.timestamps.get(at),
            Self::Histogram(at) => series.histograms.timestamps.get(at),
        };
        time.copied().unwrap_or_default()
    }

    fn start(self, series: &Series) -> i64 {
        let start = match self {
            Self::Float(at) => series.start_timestamps.floats.get(at),
            Self::Histogram(at) => series.start_timestamps.histograms.get(at),
        };
        start.copied().unwrap_or_default()
    }

    fn is_stale(self, series: &Series) -> bool {
        match self {
            Self::Float(at) => series.values.get(at).is_none_or(|value| is_stale_nan(*value)),
            Self::Histogram(at) => series.histograms.values.get(at).is_none_or(|value| value.is_stale()),
        }
    }
}

/// The sample of either kind that each step sees: the newest that is not after it and younger than the lookback; none if
/// that is a stale marker.
pub(super) fn newest_samples(
    series: &Series,
    source: Source,
    steps: Steps,
    lookback_ms: i64,
) -> impl Iterator<Item = (usize, Newest)> + '_ {
    let (floats, histograms) = (&series.timestamps, &series.histograms.timestamps);
    let first = floats.first().into_iter().chain(histograms.first()).min().copied();
    let last = floats.last().into_iter().chain(histograms.last()).max().copied();
    let relevant = match (first, last) {
        (Some(_), _) if source.at.is_some() => 0..steps.count,
        (Some(first), Some(last)) => {
            steps.within(first, last.saturating_add(lookback_ms), source.offset_ms.saturating_neg())
        }
        _ => 0..0,
    };
    let (mut float, mut histogram) = (0, 0);
    relevant.filter_map(move |step| {
        let reference = source.reference(steps.time(step));
        while floats.get(float).is_some_and(|time| *time <= reference) {
            float += 1;
        }
        while histograms.get(histogram).is_some_and(|time| *time <= reference) {
            histogram += 1;
        }
        let candidates =
            [float.checked_sub(1).map(Newest::Float), histogram.checked_sub(1).map(Newest::Histogram)];
        let newest = candidates.into_iter().flatten().max_by_key(|newest| newest.time(series))?;
        let fresh = reference.saturating_sub(newest.time(series)) < lookback_ms;
        (fresh && !newest.is_stale(series)).then_some((step, newest))
    })
}

/// What a selector sees of a series that has native histograms.
fn mixed_columns(
    series: &Series,
    selector: &InstantSelector,
    steps: Steps,
    lookback_ms: i64,
    slots_max: usize,
) -> Result<(Column, Histograms), QueryError> {
    let (mut column, mut found) = (Column::default(), Histograms::default());
    let stats;
    let mut values: &[Arc<FloatHistogram>] = &series.histograms.values;
    if selector.stats_only {
        stats = without_buckets(values);
        values = &stats;
    }
    for (step, sample) in newest_samples(series, selector.source, steps, lookback_ms) {
        match sample {
            Newest::Float(at) => {
                column.push_within(step, series.values.get(at).copied().unwrap_or_default(), slots_max)?;
            }
            Newest::Histogram(at) => {
                if let Some(histogram) = values.get(at) {
                    found.push_within(step, Arc::clone(histogram), slots_max)?;
                }
            }
        }
    }
    Ok((column, found))
}

/// Histograms with count and sum alone, and what is known of counter resets, which cannot be found out later. Source:
/// `promql/histogram_stats_iterator.go`.
pub(super) fn without_buckets(histograms: &[Arc<FloatHistogram>]) -> Vec<Arc<FloatHistogram>> {
    use model::CounterResetHint::{CounterReset, NotCounterReset, Unknown};
    let mut last: Option<&Arc<FloatHistogram>> = None;
    let strip = |histogram| {
        let histogram: &Arc<FloatHistogram> = histogram;
        let mut hint = histogram.counter_reset_hint;
        if !histogram.is_stale() {
            if let (Unknown, Some(last)) = (hint, last) {
                hint = if histogram.detect_reset(last) { CounterReset } else { NotCounterReset };
            }
            last = Some(histogram);
        }
        Arc::new(FloatHistogram {
            counter_reset_hint: hint,
            schema: histogram.schema,
            count: histogram.count,
            sum: histogram.sum,
            ..FloatHistogram::default()
        })
    };
    histograms.iter().map(strip).collect()
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
        let stale = series.values.get(at).is_none_or(|value| is_stale_nan(*value));
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
