//! Buckets with their bounds, in order. Source: `model/histogram/float_histogram.go`, the iterators.

use super::bounds::{custom_bound, exponential_bound};
use super::{FloatHistogram, Span};

/// One bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Whether the lower bound itself is counted.
    pub lower_inclusive: bool,
    /// Whether the upper bound itself is counted.
    pub upper_inclusive: bool,
    /// Observations.
    pub count: f64,
    /// Its index within schema and sign; 0 for the zero bucket.
    pub index: i32,
}

impl Bucket {
    /// The share of the bucket's observations at or below `value`, which lies inside its finite bounds: linear, or on a
    /// logarithmic scale.
    #[must_use]
    pub fn fraction_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let [lower, upper, at] = [self.lower, self.upper, value].map(|bound| bound.abs().log2());
        if value > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
    }
}

impl FloatHistogram {
    /// The positive buckets, or the custom ones, ascending.
    pub fn positive(&self) -> impl Iterator<Item = Bucket> + '_ {
        indexed(&self.positive_spans, &self.positive_buckets)
            .map(|(index, count)| self.bucket(index, count, true))
    }

    /// The negative buckets, from zero downwards.
    pub fn negative(&self) -> impl Iterator<Item = Bucket> + '_ {
        indexed(&self.negative_spans, &self.negative_buckets)
            .map(|(index, count)| self.bucket(index, count, false))
    }

    /// The zero bucket.
    #[must_use]
    pub fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
            index: 0,
        }
    }

    /// All buckets, ascending; the zero bucket where it is populated. Neighbours of the zero bucket end where it begins.
    pub fn all_buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        let negative = indexed_from_top(&self.negative_spans, &self.negative_buckets)
            .map(|(index, count)| self.clipped(self.bucket(index, count, false)));
        negative.chain(self.populated_zero_bucket()).chain(self.positive().map(|b| self.clipped(b)))
    }

    /// As [`FloatHistogram::all_buckets`], descending.
    pub fn all_buckets_descending(&self) -> impl Iterator<Item = Bucket> + '_ {
        let positive = indexed_from_top(&self.positive_spans, &self.positive_buckets)
            .map(|(index, count)| self.clipped(self.bucket(index, count, true)));
        positive.chain(self.populated_zero_bucket()).chain(self.negative().map(|b| self.clipped(b)))
    }

    pub(super) fn bucket(&self, index: i64, count: f64, positive: bool) -> Bucket {
        bucket(index, count, positive, self.schema, &self.custom_values)
    }

    fn populated_zero_bucket(&self) -> Option<Bucket> {
        (self.zero_count > 0.0 && !self.uses_custom_buckets()).then(|| self.zero_bucket())
    }

    fn clipped(&self, mut bucket: Bucket) -> Bucket {
        let zero = self.zero_threshold;
        if bucket.upper < 0.0 && bucket.upper > -zero {
            bucket.upper = -zero;
        } else if bucket.lower > 0.0 && bucket.lower < zero {
            bucket.lower = zero;
        }
        bucket
    }
}

/// The bucket of an index.
pub(super) fn bucket(index: i64, count: f64, positive: bool, schema: i32, custom_values: &[f64]) -> Bucket {
    let custom = schema == super::CUSTOM_BUCKETS_SCHEMA;
    let bound = |index: i64| {
        if custom { custom_bound(index, custom_values) } else { exponential_bound(index, schema) }
    };
    let (lower, upper) =
        if positive { (bound(index - 1), bound(index)) } else { (-bound(index), -bound(index - 1)) };
    let (lower_inclusive, upper_inclusive) =
        if custom { (index == 0, true) } else { (lower < 0.0, upper > 0.0) };
    Bucket { lower, upper, lower_inclusive, upper_inclusive, count, index: clamp(index) }
}

/// Bucket indexes with what belongs to each bucket, ascending.
pub(super) fn indexed<'a, T: Copy>(
    spans: &'a [Span],
    buckets: &'a [T],
) -> impl Iterator<Item = (i64, T)> + 'a {
    let mut end = 0i64;
    let indexes = spans.iter().flat_map(move |span| {
        let start = end + i64::from(span.offset);
        end = start + i64::from(span.length);
        start..end
    });
    indexes.zip(buckets.iter().copied())
}

/// As [`indexed`], descending.
fn indexed_from_top<'a>(spans: &'a [Span], buckets: &'a [f64]) -> impl Iterator<Item = (i64, f64)> + 'a {
    let mut end: i64 = spans.iter().map(|span| i64::from(span.offset) + i64::from(span.length)).sum();
    let indexes = spans.iter().rev().flat_map(move |span| {
        let (start, above) = (end - i64::from(span.length), end);
        end = start - i64::from(span.offset);
        (start..above).rev()
    });
    indexes.zip(buckets.iter().rev().copied())
}

/// An index or a gap as spans hold it. Only histograms that are no histograms reach the ends.
pub(super) fn clamp(index: i64) -> i32 {
    i32::try_from(index).unwrap_or(if index < 0 { i32::MIN } else { i32::MAX })
}
