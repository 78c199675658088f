//! Functions that look at how a counter or gauge moves: `rate`, `increase`, `delta`, `irate`, `idelta`, `resets`,
//! `changes`. Source: `promql/functions.go:extrapolatedRate, instantValue`.

use crate::eval::range::{Window, WindowFunction};
use crate::query::QueryError;

/// Which of `rate`, `increase` and `delta`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// Whether a decrease means that the counter started again at zero.
    pub(super) is_counter: bool,
    /// The range in seconds that the result is divided by.
    pub(super) per_second_over: Option<f64>,
}

/// `rate`, `increase`, `delta`: the difference, extrapolated to the range.
pub(super) struct Rate {
    kind: Kind,
    /// Value before each reset, with the index in the series of the sample after.
    resets: Vec<(usize, f64)>,
    /// The first reset that a window can still hold.
    next_reset: usize,
}

impl Rate {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, resets: Vec::new(), next_reset: 0 }
    }

    /// What resets inside the window took away is added to `difference`, one after the other as Prometheus does.
    fn corrected(&mut self, window: &Window<'_>, mut difference: f64) -> f64 {
        while self.resets.get(self.next_reset).is_some_and(|(at, _)| *at <= window.first) {
            self.next_reset += 1;
        }
        let end = window.first + window.values.len();
        for (at, lost) in self.resets.iter().skip(self.next_reset) {
            if *at >= end {
                break;
            }
            difference += lost;
        }
        difference
    }
}

impl WindowFunction for Rate {
    fn begin(&mut self, values: &[f64]) {
        self.resets.clear();
        self.next_reset = 0;
        if self.kind.is_counter {
            for (at, pair) in values.windows(2).enumerate() {
                if let [before, after] = pair
                    && after < before
                {
                    self.resets.push((at + 1, *before));
                }
            }
        }
    }

    fn value(&mut self, window: &Window<'_>) -> Result<Option<f64>, QueryError> {
        let (Some(first), Some(last)) = (window.values.first(), window.values.last()) else {
            return Ok(None);
        };
        let (Some(first_time), Some(last_time)) = (window.timestamps.first(), window.timestamps.last())
        else {
            return Ok(None);
        };
        let intervals = window.values.len() - 1;
        if intervals == 0 {
            return Ok(None);
        }
        let difference = self.corrected(window, last - first);
        let mut to_start = seconds_between(window.start, *first_time);
        let mut to_end = seconds_between(*last_time, window.end);
        let sampled = seconds_between(*first_time, *last_time);
        let average = sampled / intervals as f64;
        // Samples within reach of the range's bounds are taken to go on to them, others for half an interval.
        let threshold = average * 1.1;
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if self.kind.is_counter && difference > 0.0 && *first >= 0.0 {
            // A counter cannot have been below zero.
            let to_zero = sampled * (first / difference);
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
        if let Some(range) = self.kind.per_second_over {
            factor /= range;
        }
        Ok(Some(difference * factor))
    }
}

/// `irate` and `idelta`: from the last two samples.
pub(super) fn instant(window: &Window<'_>, is_rate: bool) -> Option<f64> {
    let ([.., before, after], [.., before_time, after_time]) = (window.values, window.timestamps) else {
        return None;
    };
    let reset = is_rate && after < before;
    let difference = if reset { *after } else { after - before };
    Some(if is_rate { difference / seconds_between(*before_time, *after_time) } else { difference })
}

/// `resets` and `changes`: how many neighbours satisfy a condition, from running counts.
pub(super) struct Pairs<C> {
    condition: C,
    anchored: bool,
    /// For each sample, how many pairs up to it satisfy the condition.
    counts: Vec<u32>,
}

impl<C: Fn(f64, f64) -> bool> Pairs<C> {
    pub(super) fn new(condition: C, anchored: bool) -> Self {
        Self { condition, anchored, counts: Vec::new() }
    }
}

impl<C: Fn(f64, f64) -> bool> WindowFunction for Pairs<C> {
    fn begin(&mut self, values: &[f64]) {
        self.counts.clear();
        self.counts.push(0);
        let mut count = 0;
        for pair in values.windows(2) {
            if let [before, after] = pair {
                count += u32::from((self.condition)(*before, *after));
            }
            self.counts.push(count);
        }
    }

    fn value(&mut self, window: &Window<'_>) -> Result<Option<f64>, QueryError> {
        let mut first = window.first;
        if self.anchored {
            let at_or_before_start = window.timestamps.partition_point(|time| *time <= window.start);
            if at_or_before_start == window.timestamps.len() {
                return Ok(None);
            }
            first += at_or_before_start.saturating_sub(1);
        }
        let last = window.first + window.values.len() - 1;
        let count = |at: usize| self.counts.get(at).copied().unwrap_or(0);
        Ok(Some(f64::from(count(last).saturating_sub(count(first)))))
    }
}

/// Seconds from one instant to another, both in ms.
fn seconds_between(from: i64, to: i64) -> f64 {
    to.saturating_sub(from) as f64 / 1000.0
}
