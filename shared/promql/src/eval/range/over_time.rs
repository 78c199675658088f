//! `*_over_time`

use std::collections::VecDeque;

use crate::eval::math::{KahanSum, Mean, quantile};
use crate::eval::range::{Window, WindowFunction, seconds};
use crate::query::QueryError;

/// `sum_over_time`
pub(super) fn sum(window: &Window<'_>) -> Option<f64> {
    let mut sum = KahanSum::default();
    for value in window.values {
        sum.add(*value);
    }
    // The compensation of an infinite sum means nothing.
    Some(if sum.sum.is_infinite() { sum.sum } else { sum.total() })
}

/// `avg_over_time`
pub(super) fn average(window: &Window<'_>) -> Option<f64> {
    let (first, rest) = window.values.split_first()?;
    let mut mean = Mean::new(*first);
    for value in rest {
        mean.add(*value);
    }
    Some(mean.value())
}

/// `stdvar_over_time`
pub(super) fn variance(window: &Window<'_>) -> Option<f64> {
    let (mut count, mut mean, mut squares) = (0.0, KahanSum::default(), KahanSum::default());
    for value in window.values {
        count += 1.0;
        let delta = value - mean.total();
        mean.add(delta / count);
        squares.add(delta * (value - mean.total()));
    }
    Some(squares.total() / count)
}

/// `min_over_time`, `max_over_time` and the times of those: a queue of the samples that can still become the extremum,
/// best first, so that each sample is looked at once. NaN counts only where there is nothing else.
pub(super) struct Extremum {
    maximum: bool,
    /// Whether the time is wanted. It is that of the last of equals, the value is that of the first, which tells +0
    /// from -0.
    time: bool,
    /// Value and index in the series.
    queue: VecDeque<(f64, usize)>,
    /// The index after the last sample seen.
    seen: usize,
}

impl Extremum {
    /// The smallest value.
    pub(super) fn minimum() -> Self {
        Self { maximum: false, time: false, queue: VecDeque::new(), seen: 0 }
    }

    /// The largest value.
    pub(super) fn maximum() -> Self {
        Self { maximum: true, ..Self::minimum() }
    }

    /// When instead of what.
    pub(super) fn time(self) -> Self {
        Self { time: true, ..self }
    }

    fn beats(&self, new: f64, old: f64) -> bool {
        match (self.maximum, self.time) {
            (true, false) => new > old,
            (true, true) => new >= old,
            (false, false) => new < old,
            (false, true) => new <= old,
        }
    }
}

impl WindowFunction for Extremum {
    fn begin(&mut self, _values: &[f64]) {
        self.queue.clear();
        self.seen = 0;
    }

    fn value(&mut self, window: &Window<'_>) -> Result<Option<f64>, QueryError> {
        let new = self.seen.saturating_sub(window.first);
        for (at, value) in window.values.iter().enumerate().skip(new) {
            if value.is_nan() {
                continue;
            }
            while self.queue.back().is_some_and(|(old, _)| self.beats(*value, *old)) {
                self.queue.pop_back();
            }
            self.queue.push_back((*value, window.first + at));
        }
        self.seen = window.first + window.values.len();
        while self.queue.front().is_some_and(|(_, at)| *at < window.first) {
            self.queue.pop_front();
        }
        let best = self.queue.front().copied();
        Ok(match (best, self.time) {
            (Some((value, _)), false) => Some(value),
            (None, false) => window.values.first().copied(),
            (Some((_, at)), true) => window.timestamps.get(at - window.first).map(|time| seconds(*time)),
            (None, true) => window.timestamps.last().map(|time| seconds(*time)),
        })
    }
}

/// `quantile_over_time`
pub(super) struct Quantile<P> {
    parameter: P,
    buffer: Vec<f64>,
    invalid: Vec<f64>,
}

impl<P: Fn(usize) -> f64> Quantile<P> {
    /// The quantile that `parameter` gives for each step.
    pub(super) fn new(parameter: P) -> Self {
        Self { parameter, buffer: Vec::new(), invalid: Vec::new() }
    }

    /// Quantiles met outside 0..=1.
    pub(super) fn invalid(&self) -> &[f64] {
        &self.invalid
    }
}

impl<P: Fn(usize) -> f64> WindowFunction for Quantile<P> {
    fn value(&mut self, window: &Window<'_>) -> Result<Option<f64>, QueryError> {
        let q = (self.parameter)(window.step);
        let valid = (0.0..=1.0).contains(&q);
        if !valid && !self.invalid.iter().any(|known| known.to_bits() == q.to_bits()) {
            self.invalid.push(q);
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(window.values);
        Ok(Some(quantile(q, &mut self.buffer)))
    }
}

/// `mad_over_time`: the median of the distances from the median.
#[derive(Default)]
pub(super) struct MedianDeviation {
    buffer: Vec<f64>,
}

impl WindowFunction for MedianDeviation {
    fn value(&mut self, window: &Window<'_>) -> Result<Option<f64>, QueryError> {
        if window.values.iter().any(|value| value.is_nan()) {
            return Ok(Some(model::value::normal_nan()));
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(window.values);
        let median = quantile(0.5, &mut self.buffer);
        for value in &mut self.buffer {
            *value = (*value - median).abs();
        }
        Ok(Some(quantile(0.5, &mut self.buffer)))
    }
}
