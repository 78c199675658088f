//! What a histogram says of its observations: quantiles, shares, variance. Source: `promql/quantile.go`,
//! `promql/functions.go:histogramVariance`.

use super::FloatHistogram;
use super::buckets::Bucket;
use super::kahan::Kahan;

/// What observations that are no numbers do to a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NanObservations {
    /// There are none, or they do not matter.
    None,
    /// The result is not a number.
    ResultIsNan,
    /// They count as very large: the result is too high.
    SkewedHigher,
}

impl FloatHistogram {
    /// The quantile `q`: interpolated linearly in custom and zero buckets, exponentially in others.
    #[must_use]
    pub fn quantile(&self, q: f64) -> (f64, NanObservations) {
        if q < 0.0 {
            return (f64::NEG_INFINITY, NanObservations::None);
        }
        if q > 1.0 {
            return (f64::INFINITY, NanObservations::None);
        }
        if self.count == 0.0 || q.is_nan() {
            return (crate::value::normal_nan(), NanObservations::None);
        }
        // From the nearer end; from below where some observations are in no bucket.
        if self.sum.is_nan() || q < 0.5 {
            self.quantile_of(self.all_buckets(), q * self.count, true)
        } else {
            self.quantile_of(self.all_buckets_descending(), (1.0 - q) * self.count, false)
        }
    }

    fn quantile_of(
        &self,
        mut buckets: impl Iterator<Item = Bucket>,
        rank: f64,
        ascending: bool,
    ) -> (f64, NanObservations) {
        let nothing = Bucket {
            lower: 0.0,
            upper: 0.0,
            lower_inclusive: false,
            upper_inclusive: false,
            count: 0.0,
            index: 0,
        };
        let (mut bucket, mut count) = (nothing, 0.0);
        for next in buckets.by_ref() {
            bucket = next;
            if bucket.count == 0.0 {
                continue;
            }
            count += bucket.count;
            if count >= rank {
                break;
            }
        }
        if self.uses_custom_buckets() {
            if bucket.lower == f64::NEG_INFINITY {
                if bucket.upper <= 0.0 {
                    return (bucket.upper, NanObservations::None);
                }
                bucket.lower = 0.0;
            } else if bucket.upper == f64::INFINITY {
                return (bucket.lower, NanObservations::None);
            }
        } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
            self.bound_zero_bucket(&mut bucket);
        }
        let count = if count > self.count { self.count } else { count };
        if count < rank {
            if self.sum.is_nan() {
                return (crate::value::normal_nan(), NanObservations::ResultIsNan);
            }
            return (bucket.upper, NanObservations::None);
        }
        let within = if ascending { rank - (count - bucket.count) } else { count - rank };
        let mut nan = NanObservations::None;
        if self.sum.is_nan() {
            // As in Prometheus, it is the last bucket that the rank is then looked up in.
            let mut all = count;
            for next in buckets {
                bucket = next;
                all += next.count;
            }
            if all < self.count {
                nan = NanObservations::SkewedHigher;
            }
        }
        (self.interpolate(&bucket, within / bucket.count), nan)
    }

    /// The value at `fraction` of a bucket.
    fn interpolate(&self, bucket: &Bucket, fraction: f64) -> f64 {
        let Bucket { lower, upper, .. } = *bucket;
        if self.uses_custom_buckets() || (lower <= 0.0 && upper >= 0.0) {
            return lower + (upper - lower) * fraction;
        }
        let (log_lower, log_upper) = (lower.abs().log2(), upper.abs().log2());
        if lower > 0.0 {
            (log_lower + (log_upper - log_lower) * fraction).exp2()
        } else {
            -(log_upper + (log_lower - log_upper) * (1.0 - fraction)).exp2()
        }
    }

    /// A histogram with buckets of one sign alone is taken to have no observations of the other in its zero bucket.
    fn bound_zero_bucket(&self, bucket: &mut Bucket) {
        if self.negative_buckets.is_empty() && !self.positive_buckets.is_empty() {
            bucket.lower = 0.0;
        } else if self.positive_buckets.is_empty() && !self.negative_buckets.is_empty() {
            bucket.upper = 0.0;
        }
    }

    /// The share of observations between two bounds, and whether some observations are no numbers, which lie in no share.
    #[must_use]
    pub fn fraction(&self, lower: f64, upper: f64) -> (f64, bool) {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return (crate::value::normal_nan(), false);
        }
        if lower >= upper {
            return (0.0, false);
        }
        let (mut count, mut rank) = (0.0, 0.0);
        let (mut lower_rank, mut upper_rank) = (None, None);
        let mut buckets = self.all_buckets();
        for mut bucket in buckets.by_ref() {
            count += bucket.count;
            let is_zero_bucket = bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if is_zero_bucket {
                self.bound_zero_bucket(&mut bucket);
            }
            let linear = is_zero_bucket || self.uses_custom_buckets();
            for (bound, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
                if found.is_none() {
                    *found = rank_within(&bucket, bound, rank, linear);
                }
            }
            if lower_rank.is_some() && upper_rank.is_some() {
                break;
            }
            rank += bucket.count;
        }
        let mut any_nan = false;
        if self.sum.is_nan() {
            count += buckets.map(|bucket| bucket.count).sum::<f64>();
            any_nan = count < self.count;
        } else {
            count = self.count;
        }
        let at_most = |rank: Option<f64>| match rank {
            Some(rank) if rank > count => count,
            Some(rank) => rank,
            None => count,
        };
        ((at_most(upper_rank) - at_most(lower_rank)) / self.count, any_nan)
    }

    /// The variance, each observation taken to be in the middle of its bucket.
    #[must_use]
    pub fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let mut variance = Kahan::default();
        for bucket in self.all_buckets().filter(|bucket| bucket.count != 0.0) {
            let value = if self.uses_custom_buckets() {
                (bucket.upper + bucket.lower) / 2.0
            } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
                0.0
            } else {
                let geometric = (bucket.upper * bucket.lower).sqrt();
                if bucket.upper < 0.0 { -geometric } else { geometric }
            };
            let delta = value - mean;
            variance = variance.plus_value(bucket.count * delta * delta);
        }
        variance.total() / self.count
    }
}

/// How many observations lie below `bound`, if the bucket, before which there are `rank`, tells.
fn rank_within(bucket: &Bucket, bound: f64, rank: f64, linear: bool) -> Option<f64> {
    if bucket.lower >= bound {
        return Some(rank);
    }
    if bucket.lower < bound && bucket.upper > bound {
        if linear && bucket.lower == f64::NEG_INFINITY {
            // Nothing can be said of where in an infinite bucket observations lie.
            return Some(bucket.count);
        }
        return Some(rank + bucket.count * bucket.fraction_below(bound, linear));
    }
    None
}
