//! Sums of histograms that keep what rounding would lose. Source: `FloatHistogram.KahanAdd`, `util/kahansum`.

use super::arithmetic::{Combined, IncompatibleSchemas, Parts, reconcile};
use super::layout::Cell;
use super::{CounterResetHint, FloatHistogram};

/// A sum and what rounding took from it: Kahan summation with Neumaier's improvement. Source: `util/kahansum`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Kahan {
    /// The sum without compensation.
    pub sum: f64,
    /// The compensation.
    pub compensation: f64,
}

impl Kahan {
    /// The sum with `value` added.
    #[must_use]
    pub fn plus_value(self, value: f64) -> Self {
        let total = self.sum + value;
        let compensation = if total.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.compensation + ((self.sum - total) + value)
        } else {
            self.compensation + ((value - total) + self.sum)
        };
        Self { sum: total, compensation }
    }

    /// The sum with compensation.
    #[must_use]
    pub fn total(self) -> f64 {
        self.sum + self.compensation
    }
}

impl From<f64> for Kahan {
    fn from(sum: f64) -> Self {
        Self { sum, compensation: 0.0 }
    }
}

impl Cell for Kahan {
    fn plus(self, other: Self) -> Self {
        let sum = self.plus_value(other.sum);
        if other.compensation == 0.0 { sum } else { sum.plus_value(other.compensation) }
    }

    fn of(value: Kahan) -> Self {
        value
    }

    fn sum(self) -> f64 {
        self.sum
    }

    fn is_empty(self) -> bool {
        self.sum == 0.0 && self.compensation == 0.0
    }
}

/// A sum of histograms, compensated bucket by bucket.
#[derive(Clone, Debug)]
pub struct HistogramSum {
    /// Schema, spans, zero threshold, bounds and hint; the counts are not used.
    layout: FloatHistogram,
    zero_count: Kahan,
    count: Kahan,
    sum: Kahan,
    positive: Vec<Kahan>,
    negative: Vec<Kahan>,
}

impl HistogramSum {
    /// The sum of one histogram.
    #[must_use]
    pub fn new(first: &FloatHistogram) -> Self {
        let layout = FloatHistogram {
            counter_reset_hint: first.counter_reset_hint,
            schema: first.schema,
            zero_threshold: first.zero_threshold,
            positive_spans: first.positive_spans.clone(),
            negative_spans: first.negative_spans.clone(),
            custom_values: first.custom_values.clone(),
            ..FloatHistogram::default()
        };
        let cells = |buckets: &[f64]| buckets.iter().map(|count| Kahan::from(*count)).collect();
        Self {
            zero_count: first.zero_count.into(),
            count: first.count.into(),
            sum: first.sum.into(),
            positive: cells(&first.positive_buckets),
            negative: cells(&first.negative_buckets),
            layout,
        }
    }

    /// Adds a histogram, as [`FloatHistogram::add`] does.
    ///
    /// # Errors
    /// [`IncompatibleSchemas`]; nothing has been added then.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<Combined, IncompatibleSchemas> {
        let mut combined = self.layout.begin(other)?;
        self.count = self.count.plus_value(other.count);
        self.sum = self.sum.plus_value(other.sum);
        if self.layout.uses_custom_buckets() && !self.layout.has_bounds_of(other) {
            combined.bounds_reconciled = true;
            self.positive = reconcile(&mut self.layout, &self.positive, other, 1.0);
            return Ok(combined);
        }
        let (zero_count, positive, negative) = (&mut self.zero_count, &mut self.positive, &mut self.negative);
        self.layout.merge_buckets(Parts { zero_count, positive, negative }, other, 1.0);
        Ok(combined)
    }

    /// Multiplies everything by a positive factor.
    pub fn mul(&mut self, factor: f64) {
        self.for_each(|value| *value *= factor);
    }

    /// Divides everything by a positive number.
    pub fn div(&mut self, divisor: f64) {
        self.for_each(|value| *value /= divisor);
    }

    /// What is known of counter resets.
    #[must_use]
    pub fn counter_reset_hint(&self) -> CounterResetHint {
        self.layout.counter_reset_hint
    }

    /// Whether any count or bound or the sum is infinite.
    #[must_use]
    pub fn has_overflow(&self) -> bool {
        self.any_magnitude(|magnitude| magnitude == f64::INFINITY)
    }

    fn any_magnitude(&self, condition: impl Fn(f64) -> bool) -> bool {
        let cells = [self.zero_count, self.count, self.sum];
        let cells = cells.iter().chain(&self.positive).chain(&self.negative).map(|cell| cell.sum);
        cells.chain(self.layout.custom_values.iter().copied()).any(|value| condition(value.abs()))
    }

    fn for_each(&mut self, f: impl Fn(&mut f64)) {
        let cells = [&mut self.zero_count, &mut self.count, &mut self.sum];
        for cell in cells.into_iter().chain(&mut self.positive).chain(&mut self.negative) {
            f(&mut cell.sum);
            f(&mut cell.compensation);
        }
    }

    /// The sum as a histogram.
    #[must_use]
    pub fn total(mut self) -> FloatHistogram {
        let totals = |cells: &[Kahan]| cells.iter().map(|cell| cell.total()).collect();
        self.layout.zero_count = self.zero_count.total();
        self.layout.count = self.count.total();
        self.layout.sum = self.sum.total();
        self.layout.positive_buckets = totals(&self.positive);
        self.layout.negative_buckets = totals(&self.negative);
        self.layout
    }

    /// With compensations given, as a sum that is under way would have them.
    #[cfg(test)]
    pub(super) fn with_compensation(first: &FloatHistogram, compensation: &FloatHistogram) -> Self {
        let mut sum = Self::new(first);
        sum.zero_count.compensation = compensation.zero_count;
        sum.count.compensation = compensation.count;
        sum.sum.compensation = compensation.sum;
        for (cell, value) in sum.positive.iter_mut().zip(&compensation.positive_buckets) {
            cell.compensation = *value;
        }
        for (cell, value) in sum.negative.iter_mut().zip(&compensation.negative_buckets) {
            cell.compensation = *value;
        }
        sum
    }
}

/// The mean of histograms: over a sum, or, where that would overflow, a running mean.
#[derive(Clone, Debug)]
pub struct HistogramMean {
    sum: HistogramSum,
    /// Whether it is already a mean.
    incremental: bool,
    count: f64,
}

impl HistogramMean {
    /// The mean of one histogram.
    #[must_use]
    pub fn new(first: &FloatHistogram) -> Self {
        Self { sum: HistogramSum::new(first), incremental: false, count: 1.0 }
    }

    /// Takes another histogram in.
    ///
    /// # Errors
    /// [`IncompatibleSchemas`].
    pub fn add(&mut self, other: &FloatHistogram) -> Result<Combined, IncompatibleSchemas> {
        self.count += 1.0;
        if !self.incremental {
            let huge = |magnitude: f64| magnitude > f64::MAX / 4.0;
            if !other.is_huge() && !self.sum.any_magnitude(huge) {
                return self.sum.add(other);
            }
            let mut sum = self.sum.clone();
            let combined = sum.add(other)?;
            if !sum.has_overflow() {
                self.sum = sum;
                return Ok(combined);
            }
            self.incremental = true;
            self.sum.div(self.count - 1.0);
        }
        self.sum.mul((self.count - 1.0) / self.count);
        let mut share = other.clone();
        share.div(self.count);
        self.sum.add(&share)
    }

    /// The mean.
    #[must_use]
    pub fn value(mut self) -> FloatHistogram {
        if !self.incremental {
            self.sum.div(self.count);
        }
        self.sum.total()
    }
}
