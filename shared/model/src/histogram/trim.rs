//! Histograms cut off at a value: the operators `</` and `>/`. Source: `FloatHistogram.TrimBuckets`.

use super::FloatHistogram;
use super::buckets::{Bucket, bucket, indexed};

/// Which observations are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Those at most as large, `</`.
    Below,
    /// Those at least as large, `>/`.
    Above,
}

/// How a histogram is cut.
struct Cut {
    at: f64,
    keep: Keep,
    custom: bool,
    /// What is left: observations, and their sum as far as midpoints tell it.
    count: f64,
    sum: f64,
    /// Whether anything was taken away.
    trimmed: bool,
    any: [bool; 2],
}

impl FloatHistogram {
    /// Takes away the observations on one side of `at`, by interpolation inside a bucket. Count and sum are estimated
    /// anew if anything was taken away.
    pub fn trim(&mut self, at: f64, keep: Keep) -> &mut Self {
        let custom = self.uses_custom_buckets();
        let mut cut = Cut { at, keep, custom, count: 0.0, sum: 0.0, trimmed: false, any: [false; 2] };
        for positive in [true, false] {
            let (spans, buckets) = if positive {
                (&self.positive_spans, &mut self.positive_buckets)
            } else {
                (&self.negative_spans, &mut self.negative_buckets)
            };
            let before: Vec<(i64, f64)> = indexed(spans, buckets).collect();
            for ((index, count), kept) in before.into_iter().zip(buckets) {
                if count != 0.0 {
                    let bucket = bucket(index, count, positive, self.schema, &self.custom_values);
                    *kept = cut.bucket(&bucket, positive);
                }
            }
        }
        if self.zero_count > 0.0 {
            self.zero_count = cut.zero_bucket(self.zero_bucket());
        }
        if cut.trimmed {
            (self.count, self.sum) = (cut.count, cut.sum);
            self.compact(0);
        }
        self
    }
}

impl Cut {
    /// What is left of a populated bucket.
    fn bucket(&mut self, bucket: &Bucket, positive: bool) -> f64 {
        if let Some(any) = self.any.get_mut(usize::from(positive)) {
            *any = true;
        }
        let (inside, touched) = match self.keep {
            Keep::Below => (bucket.upper <= self.at, bucket.lower < self.at),
            Keep::Above => (bucket.lower >= self.at, bucket.upper > self.at),
        };
        if inside {
            return self.note(bucket, bucket.count, self.midpoint(bucket.lower, bucket.upper, positive));
        }
        if !touched {
            self.trimmed = true;
            return 0.0;
        }
        let (kept, midpoint) = self.partial(bucket, positive);
        self.note(bucket, kept, midpoint)
    }

    fn note(&mut self, bucket: &Bucket, kept: f64, midpoint: f64) -> f64 {
        self.count += kept;
        self.sum += midpoint * kept;
        if kept != bucket.count {
            self.trimmed = true;
        }
        kept
    }

    /// What is left of a bucket that the cut goes through, and around which value it lies.
    fn partial(&self, bucket: &Bucket, positive: bool) -> (f64, f64) {
        if bucket.lower == f64::NEG_INFINITY || bucket.upper == f64::INFINITY {
            return self.infinite(bucket);
        }
        let below = if self.at <= bucket.lower {
            0.0
        } else if self.at >= bucket.upper {
            bucket.count
        } else {
            bucket.count * bucket.fraction_below(self.at, self.custom)
        };
        match self.keep {
            Keep::Below => (below, self.midpoint(bucket.lower, self.at, positive)),
            Keep::Above => (bucket.count - below, self.midpoint(self.at, bucket.upper, positive)),
        }
    }

    /// Nothing is known of where in an infinite bucket observations lie, but that a lowest one which ends above zero is
    /// taken to begin there.
    fn infinite(&self, bucket: &Bucket) -> (f64, f64) {
        let Bucket { lower, upper, count, .. } = *bucket;
        let at = self.at;
        let finite = |bound: f64| if bound.is_infinite() { 0.0 } else { bound };
        if lower == f64::NEG_INFINITY {
            return match self.keep {
                Keep::Below if at >= upper => (count, 0.0),
                Keep::Below if at > 0.0 && upper > 0.0 && upper != f64::INFINITY => {
                    (count * at / upper, at / 2.0)
                }
                Keep::Below if upper <= 0.0 => (count, at),
                Keep::Above if at <= lower => (count, 0.0),
                Keep::Above if at >= 0.0 && upper > at && upper != f64::INFINITY => {
                    (count * (1.0 - at / upper), (at + upper) / 2.0)
                }
                _ => (0.0, finite(upper)),
            };
        }
        match self.keep {
            Keep::Above if at >= lower => (count, at),
            _ => (0.0, finite(lower)),
        }
    }

    fn zero_bucket(&mut self, bucket: Bucket) -> f64 {
        let [any_negative, any_positive] = self.any;
        let upper = if any_negative && !any_positive { 0.0 } else { bucket.upper };
        let lower = if any_positive && !any_negative { 0.0 } else { bucket.lower };
        let middle = |a: f64, b: f64| (a + b) / 2.0;
        let (kept, midpoint) = match self.keep {
            Keep::Below if self.at <= lower => (0.0, 0.0),
            Keep::Above if self.at <= lower => (bucket.count, middle(lower, upper)),
            Keep::Below if self.at >= upper => (bucket.count, middle(lower, upper)),
            Keep::Above if self.at >= upper => (0.0, 0.0),
            Keep::Below => (bucket.count * ((self.at - lower) / (upper - lower)), middle(lower, self.at)),
            Keep::Above => (bucket.count * ((upper - self.at) / (upper - lower)), middle(self.at, upper)),
        };
        self.note(&bucket, kept, midpoint)
    }

    /// The value that stands for the observations between two bounds.
    fn midpoint(&self, lower: f64, upper: f64, positive: bool) -> f64 {
        match (lower.is_infinite(), upper.is_infinite()) {
            (true, true) => 0.0,
            (true, false) if upper > 0.0 => upper / 2.0,
            (true, false) => upper,
            (false, true) => lower,
            (false, false) if self.custom => (lower + upper) / 2.0,
            (false, false) => {
                let geometric = (lower * upper).abs().sqrt();
                if positive { geometric } else { -geometric }
            }
        }
    }
}
