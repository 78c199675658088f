//! Sums, differences and multiples of histograms. Source: `model/histogram/float_histogram.go`.
//!
//! Buckets are merged by ascending index in one pass, whatever the spans; histograms of the same spans are added element
//! by element.

use super::bounds::exponential_bound;
use super::buckets::indexed;
use super::kahan::Kahan;
use super::layout::{Cell, Layout, coarser, compact, shift};
use super::{CounterResetHint, FloatHistogram, Span};

/// Exponential and custom buckets cannot be put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")]
pub struct IncompatibleSchemas;

/// What is to be said of a sum or difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Combined {
    /// One side was known to be a counter reset, the other to be none.
    pub counter_reset_collision: bool,
    /// Custom bounds differed; only those that both have are left.
    pub bounds_reconciled: bool,
}

/// The mutable parts of a histogram that are kept bucket by bucket, in a sum with compensations or without.
pub(super) struct Parts<'a, C> {
    pub(super) zero_count: &'a mut C,
    pub(super) positive: &'a mut Vec<C>,
    pub(super) negative: &'a mut Vec<C>,
}

impl FloatHistogram {
    /// Adds `other`: of two schemas the coarser counts, of two zero buckets the wider.
    ///
    /// # Errors
    /// [`IncompatibleSchemas`]; nothing has been added then.
    pub fn add(&mut self, other: &Self) -> Result<Combined, IncompatibleSchemas> {
        self.combine(other, 1.0)
    }

    /// Subtracts `other`, likewise.
    ///
    /// # Errors
    /// [`IncompatibleSchemas`]; nothing has been subtracted then.
    pub fn sub(&mut self, other: &Self) -> Result<Combined, IncompatibleSchemas> {
        self.combine(other, -1.0)
    }

    /// Multiplies all counts and the sum. A negative factor makes it a gauge.
    pub fn mul(&mut self, factor: f64) -> &mut Self {
        self.for_each_count(|count| *count *= factor);
        if factor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
        self
    }

    /// Divides all counts and the sum. A negative divisor makes it a gauge, zero removes all buckets.
    pub fn div(&mut self, divisor: f64) -> &mut Self {
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.positive_buckets.clear();
            self.negative_spans.clear();
            self.negative_buckets.clear();
        }
        self.for_each_count(|count| *count /= divisor);
        if divisor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
        self
    }

    /// Whether any count or bound or the sum is infinite.
    #[must_use]
    pub fn has_overflow(&self) -> bool {
        self.any_magnitude(|magnitude| magnitude == f64::INFINITY)
    }

    /// Whether a sum with a histogram of like size might be infinite.
    pub(super) fn is_huge(&self) -> bool {
        self.any_magnitude(|magnitude| magnitude > f64::MAX / 4.0)
    }

    fn any_magnitude(&self, condition: impl Fn(f64) -> bool) -> bool {
        [self.zero_count, self.count, self.sum]
            .iter()
            .chain(&self.positive_buckets)
            .chain(&self.negative_buckets)
            .chain(&self.custom_values)
            .any(|value| condition(value.abs()))
    }

    fn for_each_count(&mut self, mut f: impl FnMut(&mut f64)) {
        f(&mut self.zero_count);
        f(&mut self.count);
        f(&mut self.sum);
        self.positive_buckets.iter_mut().chain(&mut self.negative_buckets).for_each(f);
    }

    fn combine(&mut self, other: &Self, sign: f64) -> Result<Combined, IncompatibleSchemas> {
        let mut combined = self.begin(other)?;
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        if self.uses_custom_buckets() && !self.has_bounds_of(other) {
            combined.bounds_reconciled = true;
            let cells = reconcile(self, &exact(&self.positive_buckets), other, sign);
            self.positive_buckets = cells.into_iter().map(|cell| cell.sum).collect();
            return Ok(combined);
        }
        let mut zero_count = self.zero_count;
        let mut positive = std::mem::take(&mut self.positive_buckets);
        let mut negative = std::mem::take(&mut self.negative_buckets);
        let parts = Parts { zero_count: &mut zero_count, positive: &mut positive, negative: &mut negative };
        self.merge_buckets(parts, other, sign);
        (self.zero_count, self.positive_buckets, self.negative_buckets) = (zero_count, positive, negative);
        Ok(combined)
    }

    /// Checks that both fit and settles what is known of counter resets.
    pub(super) fn begin(&mut self, other: &Self) -> Result<Combined, IncompatibleSchemas> {
        if self.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(IncompatibleSchemas);
        }
        use CounterResetHint::{Gauge, Unknown};
        let (mine, others) = (self.counter_reset_hint, other.counter_reset_hint);
        let collision = mine != others && ![mine, others].iter().any(|hint| matches!(hint, Gauge | Unknown));
        self.counter_reset_hint = match (mine, others) {
            (mine, others) if mine == others => mine,
            (Gauge, _) | (_, Gauge) => Gauge,
            _ => Unknown,
        };
        Ok(Combined { counter_reset_collision: collision, bounds_reconciled: false })
    }

    /// Adds the buckets of `other`, whose custom bounds are the same, `sign` times. Spans, schema and zero threshold of
    /// `self` follow.
    pub(super) fn merge_buckets<C: Cell>(&mut self, parts: Parts<'_, C>, other: &Self, sign: f64) {
        let cell = |count: f64| C::of(Kahan::from(sign * count));
        let Parts { zero_count, positive, negative } = parts;
        if !self.uses_custom_buckets() {
            let others = self.reconcile_zero_buckets(zero_count, positive, negative, other);
            let Kahan { sum, compensation } = others;
            *zero_count =
                zero_count.plus(C::of(Kahan { sum: sign * sum, compensation: sign * compensation }));
        }
        let schema = self.schema.min(other.schema);
        for (spans, cells, other_spans, other_buckets) in [
            (&mut self.positive_spans, positive, &other.positive_spans, &other.positive_buckets),
            (&mut self.negative_spans, negative, &other.negative_spans, &other.negative_buckets),
        ] {
            let (mine, others) = (shift(self.schema, schema), shift(other.schema, schema));
            let exponential = schema != super::CUSTOM_BUCKETS_SCHEMA;
            // What lies in the zero bucket has been added to it.
            let in_zero_bucket =
                |index: i64| exponential && exponential_bound(index, schema) <= self.zero_threshold;
            let first = other_spans.first().map_or(0, |span| i64::from(span.offset));
            if mine == 0 && others == 0 && spans == other_spans && !in_zero_bucket(first) {
                for (mine, count) in cells.iter_mut().zip(other_buckets) {
                    *mine = mine.plus(cell(*count));
                }
                continue;
            }
            let added = Layout::collect(coarser(indexed(other_spans, other_buckets), others));
            let skipped = indexed(&added.spans, &added.cells).skip_while(|(index, _)| in_zero_bucket(*index));
            let added = skipped.map(|(index, count)| (index, cell(count)));
            let capacity = cells.len() + other_buckets.len();
            let merged = Layout::merge(coarser(indexed(spans, cells), mine), added, capacity);
            (*spans, *cells) = (merged.spans, merged.cells);
        }
        self.schema = schema;
    }

    /// Widens the zero bucket of `self` until it is as wide as that of `other` would be and ends inside no populated
    /// bucket of either. What the zero count of `other` would then be.
    fn reconcile_zero_buckets<C: Cell>(
        &mut self,
        zero_count: &mut C,
        positive: &mut Vec<C>,
        negative: &mut Vec<C>,
        other: &Self,
    ) -> Kahan {
        let mut others = Kahan::from(other.zero_count);
        let mut threshold = other.zero_threshold;
        let unsettled = |a: f64, b: f64| a != b && !a.is_nan() && !b.is_nan();
        while unsettled(threshold, self.zero_threshold) {
            if self.zero_threshold > threshold {
                (others, threshold) = other.zero_count_for(self.zero_threshold);
            }
            if threshold > self.zero_threshold {
                let sides = [(&self.positive_spans, &*positive), (&self.negative_spans, &*negative)];
                let (count, wider) = widened(sides, *zero_count, threshold, self.schema);
                (*zero_count, self.zero_threshold) = (count, wider);
                for (spans, cells) in
                    [(&mut self.positive_spans, &mut *positive), (&mut self.negative_spans, &mut *negative)]
                {
                    clear_below(spans, cells, wider, self.schema);
                    compact(spans, cells, 0, C::of(Kahan::default()));
                }
            }
        }
        others
    }

    /// The zero count if the threshold were at least `threshold`, and what it would have to be to end inside no
    /// populated bucket.
    pub(super) fn zero_count_for(&self, threshold: f64) -> (Kahan, f64) {
        if threshold == self.zero_threshold {
            return (Kahan::from(self.zero_count), threshold);
        }
        let positive = exact(&self.positive_buckets);
        let negative = exact(&self.negative_buckets);
        let sides = [(&self.positive_spans, &positive), (&self.negative_spans, &negative)];
        widened(sides, Kahan::from(self.zero_count), threshold, self.schema)
    }
}

pub(super) fn exact(buckets: &[f64]) -> Vec<Kahan> {
    buckets.iter().map(|count| Kahan::from(*count)).collect()
}

/// The zero count with all buckets that begin below `threshold`, which grows until it ends inside no populated one.
fn widened<C: Cell>(
    sides: [(&Vec<Span>, &Vec<C>); 2],
    zero_count: C,
    mut threshold: f64,
    schema: i32,
) -> (C, f64) {
    'again: loop {
        let mut total = zero_count;
        for (number, (spans, cells)) in sides.iter().enumerate() {
            for (index, cell) in indexed(spans, cells) {
                if exponential_bound(index - 1, schema) >= threshold {
                    break;
                }
                total = total.plus(cell);
                let upper = exponential_bound(index, schema);
                if upper > threshold {
                    if cell.sum() != 0.0 {
                        threshold = upper;
                        if number > 0 {
                            // The other side has to be looked at again.
                            continue 'again;
                        }
                    }
                    break;
                }
            }
        }
        return (total, threshold);
    }
}

/// Empties the buckets that begin below `threshold`.
fn clear_below<C: Cell>(spans: &[Span], cells: &mut [C], threshold: f64, schema: i32) {
    let count = indexed(spans, cells)
        .take_while(|(index, _)| exponential_bound(index - 1, schema) < threshold)
        .count();
    for cell in cells.iter_mut().take(count) {
        *cell = C::of(Kahan::default());
    }
}

/// Brings two sets of custom buckets to the bounds that both have and adds them up; spans and bounds of `own` follow.
pub(super) fn reconcile(
    own: &mut FloatHistogram,
    own_cells: &[Kahan],
    other: &FloatHistogram,
    sign: f64,
) -> Vec<Kahan> {
    let bounds = common_bounds(&own.custom_values, &other.custom_values);
    let mut target = vec![Kahan::from(0.0); bounds.len() + 1];
    roll_up(&own.positive_spans, own_cells, &own.custom_values, &bounds, |at, cell| {
        if let Some(target) = target.get_mut(at) {
            *target = target.plus(cell);
        }
    });
    let others: Vec<Kahan> = other.positive_buckets.iter().map(|count| Kahan::from(sign * count)).collect();
    roll_up(&other.positive_spans, &others, &other.custom_values, &bounds, |at, cell| {
        if let Some(target) = target.get_mut(at) {
            *target = target.plus(cell);
        }
    });
    let filled = (0i64..).zip(target).filter(|(_, cell)| !cell.is_empty());
    let layout = Layout::collect(filled);
    own.positive_spans = layout.spans;
    own.custom_values = bounds;
    layout.cells
}

/// The bounds that are in both, which are sorted.
pub(super) fn common_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut common = Vec::new();
    let mut rest = b.iter().copied().peekable();
    for bound in a {
        while rest.next_if(|other| other < bound).is_some() {}
        if rest.next_if(|other| other == bound).is_some() {
            common.push(*bound);
        }
    }
    common
}

/// Calls `put` for each bucket with the number of the bucket between `coarse` bounds, all of which are in `fine`, that it
/// lies in.
pub(super) fn roll_up<T: Copy>(
    spans: &[Span],
    cells: &[T],
    fine: &[f64],
    coarse: &[f64],
    mut put: impl FnMut(usize, T),
) {
    let mut at = 0;
    for (index, cell) in indexed(spans, cells) {
        match usize::try_from(index).ok().and_then(|index| fine.get(index)) {
            Some(bound) => {
                while coarse.get(at).is_some_and(|coarse| coarse < bound) {
                    at += 1;
                }
                put(at, cell);
            }
            None => put(coarse.len(), cell),
        }
    }
}
