//! Functions that look at how a counter or gauge moves: `rate`, `increase`, `delta`, `irate`, `idelta`, `resets`,
//! `changes`. Source: `promql/functions.go:extrapolatedRate, instantValue`.

use crate::eval::range::mixed::MixedWindow;
use crate::eval::range::{Window, WindowFunction, seconds};
use crate::plan::function::RangeFunction;
use crate::plan::node::OverRange;
use crate::query::QueryError;

/// Which of `rate`, `increase` and `delta`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// Whether a decrease means that the counter started again at zero.
    pub(super) is_counter: bool,
    /// The range in seconds that the result is divided by.
    pub(super) per_second_over: Option<f64>,
}

impl Kind {
    /// The kind that a call is.
    pub(super) fn of(call: &OverRange) -> Self {
        Self {
            is_counter: call.function != RangeFunction::Delta,
            per_second_over: (call.function == RangeFunction::Rate).then_some(seconds(call.range.range_ms)),
        }
    }
}

/// How far a difference is extrapolated beyond its samples.
pub(super) struct Extrapolation {
    /// Where the range begins, ms.
    pub(super) start: i64,
    /// Where it ends, ms.
    pub(super) end: i64,
    /// The instant of the first sample, ms.
    pub(super) first: i64,
    /// That of the last.
    pub(super) last: i64,
    /// Intervals between samples.
    pub(super) intervals: usize,
    /// Since when the first sample counts, if that is to be considered.
    pub(super) known_start: Option<i64>,
    /// Of a counter: its first value, and what it has grown by. It cannot have been below zero.
    pub(super) zero_point: Option<(f64, f64)>,
}

impl Extrapolation {
    /// What the difference is multiplied by, and whether the first value has to be added to it before, because it was
    /// zero inside the range. `None` where nothing can be said.
    pub(super) fn factor(&self) -> Option<(f64, bool)> {
        let mut to_start = seconds_between(self.start, self.first);
        let mut to_end = seconds_between(self.last, self.end);
        let mut sampled = seconds_between(self.first, self.last);
        let average = if self.intervals > 0 { sampled / self.intervals as f64 } else { 0.0 };
        // Samples within reach of the range's bounds are taken to go on to them, others for half an interval.
        let threshold = average * 1.1;
        let known = |start: &i64| *start != 0 && *start > self.start && *start < self.first;
        let known_start = self.known_start.filter(known);
        if let Some(start) = known_start {
            to_start = 0.0;
            sampled = seconds_between(start, self.last);
        } else if self.intervals == 0 {
            return None;
        } else {
            if to_start >= threshold {
                to_start = average / 2.0;
            }
            if let Some((first, difference)) = self.zero_point
                && difference > 0.0
                && first >= 0.0
            {
                let to_zero = sampled * (first / difference);
                if to_zero < to_start {
                    to_start = to_zero;
                }
            }
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        let factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
        Some((factor, known_start.is_some()))
    }
}

/// `rate` and `increase` of floats with start timestamps, and whether those overlap.
pub(super) fn rate_with_starts(window: &Window<'_>, starts: &[i64], kind: Kind) -> (Option<f64>, bool) {
    let (Some(first), Some(last)) = (window.values.first(), window.values.last()) else {
        return (None, false);
    };
    let (Some(first_time), Some(last_time)) = (window.timestamps.first(), window.timestamps.last()) else {
        return (None, false);
    };
    let (mut difference, mut overlap) = (last - first, false);
    for (at, pair) in window.values.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        overlap |= starts_overlap(window.timestamps, starts, at + 1);
        if after < before || is_start_reset(window.timestamps, starts, at + 1) {
            difference += before;
        }
    }
    let extrapolation = Extrapolation {
        start: window.start,
        end: window.end,
        first: *first_time,
        last: *last_time,
        intervals: window.values.len() - 1,
        known_start: starts.first().copied(),
        zero_point: Some((*first, difference)),
    };
    let value = extrapolation.factor().map(|(mut factor, add_first)| {
        if add_first {
            difference += first;
        }
        if let Some(range) = kind.per_second_over {
            factor /= range;
        }
        difference * factor
    });
    (value, overlap)
}

/// Whether start timestamps tell that the counter was reset before sample `at`.
pub(super) fn is_start_reset(times: &[i64], starts: &[i64], at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else { return false };
    match (starts.get(before), times.get(before), starts.get(at), times.get(at)) {
        (Some(before_start), Some(before), Some(start), Some(time)) => {
            start_tells_reset(*before_start, *before, *start, *time)
        }
        _ => false,
    }
}

/// Whether the start timestamp of a sample tells that the counter was reset since the sample before. Source:
/// `promql/functions.go:isStartTimestampReset`.
pub(super) fn start_tells_reset(before_start: i64, before: i64, start: i64, time: i64) -> bool {
    if start == 0 || start >= time || start < before {
        return false;
    }
    // A start at the sample before is a reset of differences, and no news where the start was unknown before.
    start > before || before_start != 0 && before_start < before
}

/// Whether sample `at` counts from before the sample before it, other than that. Source:
/// `promql/functions.go:checkStartTimeOverlap`.
pub(super) fn starts_overlap(times: &[i64], starts: &[i64], at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else { return false };
    match (starts.get(before), times.get(before), starts.get(at)) {
        (Some(before_start), Some(before), Some(start)) => {
            *start != 0 && start < before && start != before_start
        }
        _ => false,
    }
}

/// Whether something happened between two samples of the same kind; between a float and a histogram it always did.
struct Walk<'a> {
    floats: &'a dyn Fn(usize) -> bool,
    histograms: &'a dyn Fn(usize) -> bool,
    starts: &'a dyn Fn((i64, i64), (i64, i64)) -> bool,
}

/// `resets` where there are histograms or start timestamps.
pub(super) fn resets(window: &MixedWindow<'_>, anchored: bool) -> Option<f64> {
    let (floats, histograms) = (window.floats.values, window.histograms.values);
    count(
        window,
        anchored,
        &Walk {
            floats: &|at| matches!(floats.get(at - 1..=at), Some([before, after]) if after < before),
            histograms: &|at| matches!(histograms.get(at - 1..=at), Some([before, after]) if after.detect_reset(before)),
            starts: &|before, after| start_tells_reset(before.1, before.0, after.1, after.0),
        },
    )
}

/// `changes` where there are histograms.
pub(super) fn changes(window: &MixedWindow<'_>, anchored: bool) -> Option<f64> {
    let (floats, histograms) = (window.floats.values, window.histograms.values);
    let differ = |a: f64, b: f64| a != b && !(a.is_nan() && b.is_nan());
    count(
        window,
        anchored,
        &Walk {
            floats: &|at| matches!(floats.get(at - 1..=at), Some([before, after]) if differ(*before, *after)),
            histograms: &|at| matches!(histograms.get(at - 1..=at), Some([before, after]) if !after.equals(before)),
            starts: &|_, _| false,
        },
    )
}

/// Walks over samples of both kinds in order of time and counts.
fn count(window: &MixedWindow<'_>, anchored: bool, walk: &Walk<'_>) -> Option<f64> {
    let floats = window
        .floats
        .timestamps
        .iter()
        .enumerate()
        .map(|(at, time)| (*time, window.float_starts.get(at).copied().unwrap_or_default(), false, at));
    let histograms =
        window.histograms.timestamps.iter().enumerate().map(|(at, time)| {
            (*time, window.histograms.starts.get(at).copied().unwrap_or_default(), true, at)
        });
    let mut samples: Vec<(i64, i64, bool, usize)> = floats.chain(histograms).collect();
    samples.sort_by_key(|(time, ..)| *time);
    if anchored {
        let after = samples.partition_point(|(time, ..)| *time <= window.floats.start);
        if after == samples.len() {
            return None;
        }
        samples.drain(..after.saturating_sub(1));
    }
    let happened = |pair: &&[(i64, i64, bool, usize)]| {
        let [before, after] = pair else { return false };
        if before.2 != after.2 {
            return true;
        }
        let starts = (walk.starts)((before.0, before.1), (after.0, after.1));
        starts || if after.2 { (walk.histograms)(after.3) } else { (walk.floats)(after.3) }
    };
    Some(samples.windows(2).filter(happened).count() as f64)
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
        let extrapolation = Extrapolation {
            start: window.start,
            end: window.end,
            first: *first_time,
            last: *last_time,
            intervals,
            known_start: None,
            zero_point: self.kind.is_counter.then_some((*first, difference)),
        };
        let Some((mut factor, _)) = extrapolation.factor() else { return Ok(None) };
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
pub(super) fn seconds_between(from: i64, to: i64) -> f64 {
    to.saturating_sub(from) as f64 / 1000.0
}
