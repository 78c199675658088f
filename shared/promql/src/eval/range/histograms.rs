//! Functions of ranges of native histograms. Source: `promql/functions.go:histogramRate, extendedHistogramRate,
//! interpolateHistograms, instantValue, funcAvgOverTime, funcSumOverTime`.

use model::CounterResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};
use model::FloatHistogram;
use model::histogram::{Combined, HistogramMean, HistogramSum, IncompatibleSchemas};

use crate::eval::range::counter::{self, Extrapolation, Kind, seconds_between};
use crate::eval::range::mixed::{HistogramWindow, MixedWindow, Value};

/// What is to be said of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    MixedFloats,
    NotACounter,
    NotAGauge,
    MixedSchemas,
    /// Bounds were reconciled in an addition.
    Added,
    /// Bounds were reconciled in a subtraction.
    Subtracted,
    /// Bounds were reconciled in an aggregation.
    Aggregated,
    /// Some are known to be counter resets, some to be none.
    Collision,
    /// Start timestamps overlap.
    Overlap,
}

type Noted<T> = (Option<T>, Vec<Note>);

/// Which counter resets are known of in a range.
#[derive(Default)]
struct HintsSeen {
    reset: bool,
    no_reset: bool,
    reconciled: bool,
}

impl HintsSeen {
    fn see(&mut self, histogram: &FloatHistogram) {
        self.reset |= histogram.counter_reset_hint == CounterReset;
        self.no_reset |= histogram.counter_reset_hint == NotCounterReset;
    }

    fn notes(&self) -> Vec<Note> {
        let collision = (self.reset && self.no_reset).then_some(Note::Collision);
        collision.into_iter().chain(self.reconciled.then_some(Note::Aggregated)).collect()
    }
}

/// `sum_over_time`
pub(super) fn sum(window: HistogramWindow<'_>) -> Noted<FloatHistogram> {
    let Some((first, rest)) = window.values.split_first() else { return (None, Vec::new()) };
    let (mut sum, mut seen) = (HistogramSum::new(first), HintsSeen::default());
    seen.see(first);
    for histogram in rest {
        seen.see(histogram);
        match sum.add(histogram) {
            Ok(combined) => seen.reconciled |= combined.bounds_reconciled,
            Err(IncompatibleSchemas) => return (None, vec![Note::MixedSchemas]),
        }
    }
    (Some(sum.total()), seen.notes())
}

/// `avg_over_time`
pub(super) fn average(window: HistogramWindow<'_>) -> Noted<FloatHistogram> {
    let Some((first, rest)) = window.values.split_first() else { return (None, Vec::new()) };
    let (mut mean, mut seen) = (HistogramMean::new(first), HintsSeen::default());
    seen.see(first);
    for histogram in rest {
        seen.see(histogram);
        match mean.add(histogram) {
            Ok(combined) => seen.reconciled |= combined.bounds_reconciled,
            Err(IncompatibleSchemas) => return (None, vec![Note::MixedSchemas]),
        }
    }
    (Some(mean.value()), seen.notes())
}

/// `rate`, `increase`, `delta`: the difference, extrapolated to the range.
pub(super) fn rate(window: &MixedWindow<'_>, kind: Kind) -> Noted<FloatHistogram> {
    let histograms = window.histograms;
    let mut notes = Vec::new();
    let (Some(first), Some(first_time), Some(last_time)) =
        (histograms.values.first(), histograms.timestamps.first(), histograms.timestamps.last())
    else {
        return (None, notes);
    };
    let mut result = None;
    if histograms.values.len() > 1 {
        match difference(histograms, kind, &mut notes) {
            Some(difference) => result = Some(difference),
            None => return (None, notes),
        }
    }
    let extrapolation = Extrapolation {
        start: window.floats.start,
        end: window.floats.end,
        first: *first_time,
        last: *last_time,
        intervals: histograms.values.len() - 1,
        known_start: kind.is_counter.then(|| histograms.starts.first().copied()).flatten(),
        zero_point: result.as_ref().filter(|_| kind.is_counter).map(|result| (first.count, result.count)),
    };
    let Some((mut factor, add_first)) = extrapolation.factor() else { return (None, notes) };
    if add_first {
        result = match result {
            None => Some(FloatHistogram::clone(first)),
            Some(mut result) => {
                if !noted(result.add(first), Note::Added, &mut notes) {
                    return (None, notes);
                }
                Some(result)
            }
        };
    }
    if let Some(range) = kind.per_second_over {
        factor /= range;
    }
    if let Some(result) = &mut result {
        result.mul(factor);
    }
    (result, notes)
}

/// What a counter or gauge grew by between the first and the last of at least two samples.
fn difference(window: HistogramWindow<'_>, kind: Kind, notes: &mut Vec<Note>) -> Option<FloatHistogram> {
    let ([first, rest @ ..], [.., last]) = (window.values, window.values) else { return None };
    let second = rest.first()?;
    let gauge = |histogram: &FloatHistogram| histogram.counter_reset_hint == Gauge;
    if kind.is_counter && (gauge(first) || gauge(last)) {
        notes.push(Note::NotACounter);
    }
    let only = |notes: &mut Vec<Note>, note| {
        notes.clear();
        notes.push(note);
        None
    };
    // Where the counter is reset after the first sample, its layout does not matter.
    let nothing;
    let mut previous: &FloatHistogram = first;
    if kind.is_counter && is_reset(window, 1, first, second) {
        nothing = FloatHistogram {
            schema: second.schema,
            custom_values: second.custom_values.clone(),
            ..FloatHistogram::default()
        };
        previous = &nothing;
    }
    let custom = previous.uses_custom_buckets();
    if last.uses_custom_buckets() != custom {
        notes.push(Note::MixedSchemas);
        return None;
    }
    let mut schema = last.schema.min(previous.schema);
    if kind.is_counter {
        for between in rest.iter().take(rest.len() - 1) {
            if gauge(between) {
                notes.push(Note::NotACounter);
            }
            schema = schema.min(between.schema);
            if between.uses_custom_buckets() != custom {
                return only(notes, Note::MixedSchemas);
            }
        }
    }
    let mut result = FloatHistogram::clone(last);
    result.reduce_to_schema(schema);
    match result.sub(previous) {
        Err(IncompatibleSchemas) => return only(notes, Note::MixedSchemas),
        Ok(combined) if combined.bounds_reconciled => notes.push(Note::Subtracted),
        Ok(_) => {}
    }
    if kind.is_counter {
        let mut overlap = false;
        for (at, current) in rest.iter().enumerate() {
            if !overlap && counter::starts_overlap(window.timestamps, window.starts, at + 1) {
                overlap = true;
                notes.push(Note::Overlap);
            }
            if is_reset(window, at + 1, previous, current) {
                match result.add(previous) {
                    Err(IncompatibleSchemas) => return only(notes, Note::MixedSchemas),
                    Ok(combined) if combined.bounds_reconciled => notes.push(Note::Added),
                    Ok(_) => {}
                }
            }
            previous = current;
        }
    } else if !gauge(first) || !gauge(last) {
        notes.push(Note::NotAGauge);
    }
    result.counter_reset_hint = Gauge;
    result.compact(0);
    Some(result)
}

/// Whether the counter was reset before sample `at`.
fn is_reset(
    window: HistogramWindow<'_>,
    at: usize,
    previous: &FloatHistogram,
    current: &FloatHistogram,
) -> bool {
    counter::is_start_reset(window.timestamps, window.starts, at) || current.detect_reset(previous)
}

/// `irate` and `idelta`: from the last two samples of either kind.
pub(super) fn instant(window: &MixedWindow<'_>, is_rate: bool) -> Noted<Value> {
    let nothing = (None, Vec::new());
    let (floats, histograms) = (&window.floats, &window.histograms);
    // The last two, by time: (time, start, float or histogram).
    let start = |starts: &[i64], at: usize| starts.get(at).copied().unwrap_or_default();
    let last_two = |count: usize| count.saturating_sub(2)..count;
    let mut last: Vec<(i64, i64, Result<f64, &FloatHistogram>)> = Vec::with_capacity(4);
    for at in last_two(floats.values.len()) {
        if let (Some(time), Some(value)) = (floats.timestamps.get(at), floats.values.get(at)) {
            last.push((*time, start(window.float_starts, at), Ok(*value)));
        }
    }
    for at in last_two(histograms.values.len()) {
        if let (Some(time), Some(value)) = (histograms.timestamps.get(at), histograms.values.get(at)) {
            last.push((*time, start(histograms.starts, at), Err(value)));
        }
    }
    last.sort_by_key(|(time, ..)| *time);
    let [.., before, after] = last.as_slice() else { return nothing };
    if before.0 == after.0 {
        return nothing;
    }
    let interval = seconds_between(before.0, after.0);
    let started = counter::start_tells_reset(before.1, before.0, after.1, after.0);
    match (before.2, after.2) {
        (Ok(before), Ok(after)) => {
            let reset = is_rate && (after < before || started);
            let difference = if reset { after } else { after - before };
            (Some(Value::Float(if is_rate { difference / interval } else { difference })), Vec::new())
        }
        (Err(before), Err(after)) => {
            let mut notes = Vec::new();
            let gauges = [before, after].iter().filter(|h| h.counter_reset_hint == Gauge).count();
            if is_rate && gauges > 0 {
                notes.push(Note::NotACounter);
            }
            if !is_rate && gauges < 2 {
                notes.push(Note::NotAGauge);
            }
            let mut result = after.clone();
            if (!is_rate || !started && !after.detect_reset(before))
                && !noted(result.sub(before), Note::Subtracted, &mut notes)
            {
                return (None, notes);
            }
            result.counter_reset_hint = Gauge;
            result.compact(0);
            if is_rate {
                result.div(interval);
            }
            (Some(Value::Histogram(result)), notes)
        }
        _ => (None, vec![Note::MixedFloats]),
    }
}

/// `rate`, `increase` and `delta` between the values at the bounds of an `anchored` or `smoothed` range.
pub(super) fn extended_rate(window: &MixedWindow<'_>, kind: Kind, smoothed: bool) -> Noted<FloatHistogram> {
    let mut notes = Vec::new();
    let result = extended_difference(window, kind, smoothed, &mut notes);
    (result, notes)
}

fn extended_difference(
    window: &MixedWindow<'_>,
    kind: Kind,
    smoothed: bool,
    notes: &mut Vec<Note>,
) -> Option<FloatHistogram> {
    let (start, end) = (window.floats.start, window.floats.end);
    let (times, values) = (window.histograms.timestamps, window.histograms.values);
    let mut last = times.len().checked_sub(1)?;
    let before_last = times.get(..last)?;
    let first = before_last.partition_point(|time| *time <= start).saturating_sub(1);
    if smoothed {
        last = before_last.partition_point(|time| *time < end);
    }
    if *times.get(last)? <= start || smoothed && *times.get(first)? > end {
        return None;
    }
    let used = values.get(first..=last)?;
    let custom = used.first()?.uses_custom_buckets();
    for histogram in used {
        if histogram.uses_custom_buckets() != custom {
            notes.push(Note::MixedSchemas);
            return None;
        }
        if kind.is_counter && histogram.counter_reset_hint == Gauge {
            notes.push(Note::NotACounter);
        }
    }
    let sample = |at: usize| Some((*times.get(at)?, &**values.get(at)?));
    let left = if smoothed && *times.get(first)? < start {
        interpolate(sample(first)?, sample(first + 1)?, start, kind.is_counter, notes)?
    } else {
        sample(first)?.1.clone()
    };
    let right = match last.checked_sub(1) {
        Some(before) if smoothed && *times.get(last)? > end => {
            interpolate(sample(before)?, sample(last)?, end, kind.is_counter, notes)?
        }
        _ => sample(last)?.1.clone(),
    };
    if !kind.is_counter && (left.counter_reset_hint != Gauge || right.counter_reset_hint != Gauge) {
        notes.push(Note::NotAGauge);
    }
    let mut result = right.clone();
    if !noted(result.sub(&left), Note::Subtracted, notes) {
        return None;
    }
    if kind.is_counter {
        let inside = Inside { first, last, start, smoothed };
        if let Some(lost) = inside.lost_by_resets(times, values, (&left, &right), notes)?
            && !noted(result.add(&lost), Note::Added, notes)
        {
            return None;
        }
    }
    if let Some(range) = kind.per_second_over {
        result.div(range);
    }
    result.counter_reset_hint = Gauge;
    result.compact(0);
    Some(result)
}

/// The samples between the bounds of a range.
struct Inside {
    first: usize,
    last: usize,
    start: i64,
    smoothed: bool,
}

impl Inside {
    /// What resets took away; the outer `None` where it cannot be added up.
    fn lost_by_resets(
        &self,
        times: &[i64],
        values: &[std::sync::Arc<FloatHistogram>],
        (left, right): (&FloatHistogram, &FloatHistogram),
        notes: &mut Vec<Note>,
    ) -> Option<Option<FloatHistogram>> {
        let (mut from, mut previous) = (self.first + 1, left);
        if self.smoothed && *times.get(self.first)? < self.start {
            let next = values.get(self.first + 1)?;
            if next.detect_reset(values.get(self.first)?) {
                // The value at the left bound already is one after this reset.
                previous = next;
                from += 1;
            }
        }
        if from > self.last {
            return Some(None);
        }
        let mut lost: Option<FloatHistogram> = None;
        let inside = values.get(from..self.last)?.iter().map(|histogram| &**histogram);
        for histogram in inside.chain([right]) {
            if histogram.detect_reset(previous) {
                match &mut lost {
                    None => lost = Some(previous.clone()),
                    Some(lost) => {
                        if !noted(lost.add(previous), Note::Added, notes) {
                            return None;
                        }
                    }
                }
            }
            previous = histogram;
        }
        Some(lost)
    }
}

/// The histogram at `time` on the line between two. A counter that has been reset in between starts at nothing.
fn interpolate(
    before: (i64, &FloatHistogram),
    after: (i64, &FloatHistogram),
    time: i64,
    is_counter: bool,
    notes: &mut Vec<Note>,
) -> Option<FloatHistogram> {
    if time == before.0 {
        return Some(before.1.clone());
    }
    let mut result = after.1.clone();
    if time == after.0 {
        return Some(result);
    }
    let fraction = time.saturating_sub(before.0) as f64 / after.0.saturating_sub(before.0) as f64;
    if is_counter && after.1.detect_reset(before.1) {
        result.mul(fraction);
        return Some(result);
    }
    if !noted(result.sub(before.1), Note::Subtracted, notes) {
        return None;
    }
    result.mul(fraction);
    noted(result.add(before.1), Note::Added, notes).then_some(result)
}

/// What an instant selector that is `smoothed` sees between two histograms, or after the last.
pub(super) fn smoothed_value(window: HistogramWindow<'_>, time: i64) -> Noted<FloatHistogram> {
    let mut notes = Vec::new();
    let at = window.timestamps.partition_point(|sample| *sample < time);
    let sample = |at: usize| Some((*window.timestamps.get(at)?, &**window.values.get(at)?));
    let (before, after) = (at.checked_sub(1).and_then(sample), sample(at));
    let value = match (before, after) {
        (_, Some((sample, histogram))) if sample == time => Some(histogram.clone()),
        (Some(before), Some(after)) => {
            if before.1.uses_custom_buckets() == after.1.uses_custom_buckets() {
                let is_counter = before.1.counter_reset_hint != Gauge || after.1.counter_reset_hint != Gauge;
                interpolate(before, after, time, is_counter, &mut notes)
            } else {
                notes.push(Note::MixedSchemas);
                None
            }
        }
        (Some((_, histogram)), None) => {
            Some(FloatHistogram { counter_reset_hint: Unknown, ..histogram.clone() })
        }
        (None, _) => None,
    };
    (value, notes)
}

/// Whether it worked; what is to be said of it goes to the notes.
fn noted(result: Result<Combined, IncompatibleSchemas>, reconciled: Note, notes: &mut Vec<Note>) -> bool {
    match result {
        Ok(combined) => {
            if combined.bounds_reconciled {
                notes.push(reconciled);
            }
            true
        }
        Err(IncompatibleSchemas) => {
            notes.push(Note::MixedSchemas);
            false
        }
    }
}
