//! The values of a series over steps, and how steps and instants relate.

use std::ops::Range;
use std::sync::Arc;

use model::value::STALE_NAN_BITS;
use model::{FloatHistogram, Labels};

use crate::query::QueryError;

/// What a column holds where the series has no value. Selectors never let a stale marker through and arithmetic never
/// makes one (it would quieten the NaN), so its bits are free to mean this.
pub(crate) const ABSENT: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether `value` stands for no value.
#[inline]
pub(crate) fn is_absent(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// The instants at which an expression is evaluated: `start`, `start + interval` …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    /// First instant, ms.
    pub(crate) start: i64,
    /// Distance, ms; positive.
    pub(crate) interval: i64,
    /// How many.
    pub(crate) count: usize,
}

impl Steps {
    /// One instant.
    pub(crate) fn instant(start: i64) -> Self {
        Self { start, interval: 1, count: 1 }
    }

    /// From `start` to at most `end`.
    pub(crate) fn between(start: i64, end: i64, interval: i64) -> Self {
        let interval = interval.max(1);
        let count =
            if end < start { 0 } else { (i128::from(end) - i128::from(start)) / i128::from(interval) + 1 };
        Self { start, interval, count: usize::try_from(count).unwrap_or(usize::MAX) }
    }

    /// Only the first step.
    pub(crate) fn first(self) -> Self {
        Self { count: self.count.min(1), ..self }
    }

    /// The instant of a step, ms.
    pub(crate) fn time(self, step: usize) -> i64 {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        self.start.saturating_add(self.interval.saturating_mul(step))
    }

    /// The last instant, ms; that of the first where there is none.
    pub(crate) fn end(self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }

    /// The first step from `step` on whose instant plus `shift` is not before `from`.
    pub(crate) fn next_at(self, step: usize, from: i64, shift: i64) -> usize {
        self.within(from, i64::MAX, shift).start.max(step)
    }

    /// The steps whose instant plus `shift` lies in `from..=to`.
    pub(crate) fn within(self, from: i64, to: i64, shift: i64) -> Range<usize> {
        let (start, interval) = (i128::from(self.start) + i128::from(shift), i128::from(self.interval));
        let limit = self.count as i128;
        let first = (i128::from(from) - start + interval - 1).div_euclid(interval).clamp(0, limit);
        let end = ((i128::from(to) - start).div_euclid(interval) + 1).clamp(first, limit);
        usize::try_from(first).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(usize::MAX)
    }
}

/// The values of one series over steps. Only the stretch from its first to its last value takes memory; gaps inside
/// hold [`ABSENT`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Column {
    first: usize,
    values: Vec<f64>,
}

impl Column {
    /// The same value at the first `count` steps.
    pub(crate) fn constant(value: f64, count: usize) -> Self {
        Self { first: 0, values: vec![value; count] }
    }

    /// `values` from step `first` on.
    pub(crate) fn new(first: usize, values: Vec<f64>) -> Self {
        Self { first, values }
    }

    /// Appends a value at a step after all others.
    pub(crate) fn push(&mut self, step: usize, value: f64) {
        if self.values.is_empty() {
            self.first = step;
        }
        let at = step.saturating_sub(self.first);
        if at > self.values.len() {
            self.values.resize(at, ABSENT);
        }
        self.values.push(value);
    }

    /// As [`Column::push`], unless the column would then take more than `slots_max`.
    ///
    /// # Errors
    /// [`QueryError::TooManySamples`]
    pub(crate) fn push_within(
        &mut self,
        step: usize,
        value: f64,
        slots_max: usize,
    ) -> Result<(), QueryError> {
        if !self.values.is_empty() && step.saturating_sub(self.first) >= slots_max {
            return Err(QueryError::TooManySamples);
        }
        self.push(step, value);
        Ok(())
    }

    /// The value at `step`, or [`ABSENT`].
    #[inline]
    pub(crate) fn slot(&self, step: usize) -> f64 {
        step.checked_sub(self.first).and_then(|at| self.values.get(at)).copied().unwrap_or(ABSENT)
    }

    /// The value at `step`.
    #[inline]
    pub(crate) fn get(&self, step: usize) -> Option<f64> {
        Some(self.slot(step)).filter(|value| !is_absent(*value))
    }

    /// The steps that have a value, with it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        (self.first..).zip(self.values.iter().copied()).filter(|(_, value)| !is_absent(*value))
    }

    /// The steps from the first to the last value.
    pub(crate) fn range(&self) -> Range<usize> {
        self.first..self.first + self.values.len()
    }

    /// How many steps have a value.
    pub(crate) fn count(&self) -> usize {
        self.values.iter().filter(|value| !is_absent(**value)).count()
    }

    /// Whether no step has a value.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(|value| is_absent(*value))
    }

    /// Replaces every value by `f` of its step and itself; [`ABSENT`] removes it.
    pub(crate) fn update(&mut self, mut f: impl FnMut(usize, f64) -> f64) {
        for (at, value) in self.values.iter_mut().enumerate() {
            if !is_absent(*value) {
                *value = f(self.first + at, *value);
            }
        }
    }

    /// `f` of the values of both, where both have one; [`ABSENT`] leaves a gap.
    pub(crate) fn zip(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let (a, b) = (self.range(), other.range());
        let first = a.start.max(b.start);
        let end = a.end.min(b.end).max(first);
        let left = self.values.iter().skip(first.saturating_sub(a.start));
        let right = other.values.iter().skip(first.saturating_sub(b.start));
        let value = |(a, b): (&f64, &f64)| if is_absent(*a) || is_absent(*b) { ABSENT } else { f(*a, *b) };
        Self { first, values: left.zip(right).take(end - first).map(value).collect() }
    }

    /// Takes over the values of `other`; `false` where both have one at the same step.
    pub(crate) fn merge(&mut self, other: &Self) -> bool {
        if self.values.is_empty() {
            *self = other.clone();
            return true;
        }
        let range = self.range();
        let other_range = other.range();
        if other_range.is_empty() {
            return true;
        }
        let first = range.start.min(other_range.start);
        let end = range.end.max(other_range.end);
        let mut values = vec![ABSENT; end - first];
        if let Some(slots) = values.get_mut(range.start - first..range.end - first) {
            slots.copy_from_slice(&self.values);
        }
        for (step, value) in other.iter() {
            match values.get_mut(step - first) {
                Some(slot) if is_absent(*slot) => *slot = value,
                _ => return false,
            }
        }
        (self.first, self.values) = (first, values);
        true
    }
}

/// From steps in order.
impl FromIterator<(usize, f64)> for Column {
    fn from_iter<T: IntoIterator<Item = (usize, f64)>>(values: T) -> Self {
        let mut column = Self::default();
        for (step, value) in values {
            column.push(step, value);
        }
        column
    }
}

/// The native histograms of one series over steps: only the steps that have one. Most series have none at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histograms {
    /// By step, ascending.
    entries: Vec<(usize, Arc<FloatHistogram>)>,
}

impl Histograms {
    /// The same histogram at the first `count` steps.
    pub(crate) fn constant(histogram: &Arc<FloatHistogram>, count: usize) -> Self {
        Self { entries: (0..count).map(|step| (step, Arc::clone(histogram))).collect() }
    }

    /// Histograms by step, in any order, no step twice.
    pub(crate) fn new(mut entries: Vec<(usize, Arc<FloatHistogram>)>) -> Self {
        entries.sort_by_key(|(step, _)| *step);
        Self { entries }
    }

    /// Appends a histogram at a step after all others.
    pub(crate) fn push(&mut self, step: usize, histogram: Arc<FloatHistogram>) {
        self.entries.push((step, histogram));
    }

    /// As [`Histograms::push`], unless there would then be more than `slots_max`.
    ///
    /// # Errors
    /// [`QueryError::TooManySamples`]
    pub(crate) fn push_within(
        &mut self,
        step: usize,
        histogram: Arc<FloatHistogram>,
        slots_max: usize,
    ) -> Result<(), QueryError> {
        if self.entries.len() >= slots_max {
            return Err(QueryError::TooManySamples);
        }
        self.push(step, histogram);
        Ok(())
    }

    /// The histogram at `step`.
    pub(crate) fn get(&self, step: usize) -> Option<&Arc<FloatHistogram>> {
        let at = self.entries.binary_search_by_key(&step, |(step, _)| *step).ok()?;
        self.entries.get(at).map(|(_, histogram)| histogram)
    }

    /// The steps that have one, with it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Arc<FloatHistogram>)> + '_ {
        self.entries.iter().map(|(step, histogram)| (*step, histogram))
    }

    /// Whether no step has one.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes all out.
    pub(crate) fn clear(&mut self) {
        self.entries = Vec::new();
    }

    /// Replaces every histogram by `f` of its step and itself; `None` removes it.
    pub(crate) fn update(
        &mut self,
        mut f: impl FnMut(usize, Arc<FloatHistogram>) -> Option<Arc<FloatHistogram>>,
    ) {
        let entries = std::mem::take(&mut self.entries);
        self.entries =
            entries.into_iter().filter_map(|(step, histogram)| Some((step, f(step, histogram)?))).collect();
    }

    /// The steps from the first to the last.
    fn range(&self) -> Range<usize> {
        match (self.entries.first(), self.entries.last()) {
            (Some((first, _)), Some((last, _))) => *first..last + 1,
            _ => 0..0,
        }
    }

    /// What they count for in the limit of samples.
    fn samples(&self) -> usize {
        self.entries.iter().map(|(_, histogram)| histogram_samples(histogram)).sum()
    }
}

/// What a histogram counts for in the limit of samples: a sample for every 16 bytes. Source:
/// `promql/value.go:HPoint.size`.
pub(crate) fn histogram_samples(histogram: &FloatHistogram) -> usize {
    (histogram.size() + 8) / 16
}

/// One series of a vector over steps. At each step it has a float, a native histogram, or nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct VectorSeries {
    /// Its labels.
    pub(crate) labels: Labels,
    /// Whether the metric name and its kin are to go at the end of the query.
    pub(crate) drop_name: bool,
    /// Its floats.
    pub(crate) column: Column,
    /// Its native histograms.
    pub(crate) histograms: Histograms,
}

impl VectorSeries {
    /// A series of floats.
    pub(crate) fn floats(labels: Labels, drop_name: bool, column: Column) -> Self {
        Self { labels, drop_name, column, histograms: Histograms::default() }
    }

    /// Whether there is anything at `step`.
    #[inline]
    pub(crate) fn has(&self, step: usize) -> bool {
        !is_absent(self.column.slot(step))
            || !self.histograms.is_empty() && self.histograms.get(step).is_some()
    }

    /// Whether no step has anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.histograms.is_empty() && self.column.is_empty()
    }

    /// The steps from the first to the last that has anything.
    pub(crate) fn range(&self) -> Range<usize> {
        let (floats, histograms) = (self.column.range(), self.histograms.range());
        match (floats.is_empty(), histograms.is_empty()) {
            (_, true) => floats,
            (true, false) => histograms,
            (false, false) => floats.start.min(histograms.start)..floats.end.max(histograms.end),
        }
    }

    /// The steps that have anything; floats first.
    pub(crate) fn present(&self) -> impl Iterator<Item = usize> + '_ {
        self.column.iter().map(|(step, _)| step).chain(self.histograms.iter().map(|(step, _)| step))
    }

    /// What it counts for in the limit of samples.
    pub(crate) fn samples(&self) -> usize {
        if self.histograms.is_empty() {
            return self.column.count();
        }
        self.column.count() + self.histograms.samples()
    }

    /// Takes over the samples of `other`; `false` where both have one at the same step.
    pub(crate) fn merge(&mut self, other: &Self) -> bool {
        if !self.histograms.is_empty() || !other.histograms.is_empty() {
            if other.present().any(|step| self.has(step)) {
                return false;
            }
            let all = self.histograms.entries.iter().chain(&other.histograms.entries);
            self.histograms = Histograms::new(all.cloned().collect());
        }
        self.column.merge(&other.column)
    }

    /// Keeps the samples at steps that satisfy a condition.
    pub(crate) fn retain(&mut self, mut condition: impl FnMut(usize) -> bool) {
        self.column.update(|step, value| if condition(step) { value } else { ABSENT });
        if !self.histograms.is_empty() {
            self.histograms.update(|step, histogram| condition(step).then_some(histogram));
        }
    }
}

/// A vector over steps: what an instant-vector expression gives. The order of series is that of the result where there
/// is only one step.
pub(crate) type Vector = Vec<VectorSeries>;

/// A scalar over steps.
#[derive(Clone, Debug)]
pub(crate) enum Scalar {
    /// The same at every step.
    Constant(f64),
    /// One value a step.
    Steps(Vec<f64>),
}

impl Scalar {
    /// The value at `step`.
    #[inline]
    pub(crate) fn at(&self, step: usize) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Steps(values) => values.get(step).copied().unwrap_or_else(model::value::normal_nan),
        }
    }

    /// `f` of the values of both.
    pub(crate) fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        match (self, other) {
            (Self::Constant(a), Self::Constant(b)) => Self::Constant(f(a, b)),
            (Self::Constant(a), Self::Steps(b)) => Self::Steps(b.into_iter().map(|b| f(a, b)).collect()),
            (Self::Steps(a), Self::Constant(b)) => Self::Steps(a.into_iter().map(|a| f(a, b)).collect()),
            (Self::Steps(a), Self::Steps(b)) => {
                Self::Steps(a.into_iter().zip(b).map(|(a, b)| f(a, b)).collect())
            }
        }
    }

    /// `f` of the value.
    pub(crate) fn map(self, f: impl Fn(f64) -> f64) -> Self {
        match self {
            Self::Constant(a) => Self::Constant(f(a)),
            Self::Steps(a) => Self::Steps(a.into_iter().map(f).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_end_at_the_last_that_fits() {
        let steps = Steps::between(0, 25, 10);
        assert_eq!((steps.count, steps.end()), (3, 20));
        assert_eq!(Steps::between(1, 0, 10).count, 0);
        assert_eq!(Steps::between(i64::MIN, i64::MAX, 1).count, usize::MAX);
    }

    #[test]
    fn the_steps_within_a_stretch_of_time_are_found_without_looking() {
        let steps = Steps::between(0, 100, 10);
        assert_eq!(steps.within(5, 20, 0), 1..3);
        assert_eq!(steps.within(5, 20, -10), 2..4);
        assert_eq!(steps.within(-50, 500, 0), 0..11);
        assert!(steps.within(i64::MIN, -1, 0).is_empty());
        assert_eq!(steps.within(i64::MIN, i64::MAX, 5), 0..11);
    }

    #[test]
    fn columns_grow_over_gaps_and_merge_where_they_do_not_overlap() {
        let mut a = Column::default();
        a.push(2, 1.0);
        a.push(5, 2.0);
        assert_eq!((a.range(), a.count(), a.get(3), a.get(5)), (2..6, 2, None, Some(2.0)));
        let mut b = Column::default();
        b.push(0, 7.0);
        b.push(3, 8.0);
        assert!(a.merge(&b));
        assert_eq!(a.iter().collect::<Vec<_>>(), [(0, 7.0), (2, 1.0), (3, 8.0), (5, 2.0)]);
        assert!(!a.merge(&b));
    }
}
