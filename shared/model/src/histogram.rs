//! Native histograms as values. Source: `model/histogram/float_histogram.go` of Prometheus.
//!
//! Counts are `f64`, as PromQL sees them; the integer histograms of expositions are converted on their way in, which is
//! exact below 2^53 observations.
//!
//! ```text
//! bounds      where buckets end             buckets   buckets in order, with their bounds
//! layout      spans: merge, compact, reduce arithmetic, kahan   sums, differences, multiples, means
//! reset       counter resets                trim      what lies beyond a value is taken away
//! quantile    quantiles, shares, variance   text      histograms as text
//! validate    what is no histogram
//! ```

mod arithmetic;
mod bounds;
mod buckets;
mod kahan;
mod layout;
mod quantile;
mod reset;
#[cfg(test)]
mod tables;
mod text;
mod trim;
mod validate;

use crate::value::is_stale_nan;

pub use arithmetic::{Combined, IncompatibleSchemas};
pub use buckets::Bucket;
pub use kahan::{HistogramMean, HistogramSum, Kahan};
pub use quantile::NanObservations;
pub use trim::Keep;
pub use validate::HistogramError;

/// Schema of histograms with custom bucket boundaries.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// Smallest and largest schema of exponential buckets; a bucket's width factor is `2^(2^-schema)`.
pub const EXPONENTIAL_SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;
/// Most buckets of one histogram that is accepted from outside, both signs together; and most custom bounds.
pub const BUCKETS_MAX: usize = 1 << 16;
/// Most buckets of one sign, and most spans: these may be empty. What is stored is read under these bounds, so nothing
/// beyond them may be accepted.
pub const BUCKETS_PER_SIGN_MAX: usize = BUCKETS_MAX / 2;

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Of the first span: the index of its first bucket. Of others: the gap to the end of the span before, not negative.
    pub offset: i32,
    /// Number of buckets.
    pub length: u32,
}

/// What is known of a counter reset between a histogram and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CounterResetHint {
    /// Whether there was a reset has to be found out.
    #[default]
    Unknown,
    /// There was one.
    CounterReset,
    /// There was none.
    NotCounterReset,
    /// It is a gauge histogram: it cannot reset.
    Gauge,
}

/// A native histogram with `f64` counts.
#[derive(Clone, Debug, Default)]
pub struct FloatHistogram {
    /// See [`CounterResetHint`].
    pub counter_reset_hint: CounterResetHint,
    /// -4 to 8, or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// Half width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of observations; the stale marker's bits where the histogram is one.
    pub sum: f64,
    /// Which positive buckets (with custom buckets: which buckets) there are.
    pub positive_spans: Vec<Span>,
    /// Which negative buckets there are.
    pub negative_spans: Vec<Span>,
    /// Observations per positive bucket, absolute.
    pub positive_buckets: Vec<f64>,
    /// Observations per negative bucket, absolute.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of custom buckets, ascending, without +Inf.
    pub custom_values: Vec<f64>,
}

impl FloatHistogram {
    /// The stale marker as a histogram.
    #[must_use]
    pub fn stale() -> Self {
        Self { sum: crate::value::stale_nan(), ..Self::default() }
    }

    /// Whether it is a stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        is_stale_nan(self.sum)
    }

    /// Whether it has custom buckets.
    #[must_use]
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Whether all fields of both are the same, floats by their bits.
    #[must_use]
    pub fn bit_eq(&self, other: &Self) -> bool {
        let floats = |a: &[f64], b: &[f64]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
        };
        let scalars = |h: &Self| [h.zero_threshold, h.zero_count, h.count, h.sum].map(f64::to_bits);
        self.counter_reset_hint == other.counter_reset_hint
            && self.schema == other.schema
            && scalars(self) == scalars(other)
            && self.has_structure_of(other)
            && floats(&self.positive_buckets, &other.positive_buckets)
            && floats(&self.negative_buckets, &other.negative_buckets)
    }

    /// Whether both have the same spans and custom bounds, so that their buckets correspond one to one.
    #[must_use]
    pub fn has_structure_of(&self, other: &Self) -> bool {
        self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && self.custom_values.len() == other.custom_values.len()
            && self.custom_values.iter().zip(&other.custom_values).all(|(a, b)| a.to_bits() == b.to_bits())
    }
}

/// As [`FloatHistogram::bit_eq`]: NaN equals itself, and 0 is not -0.
impl PartialEq for FloatHistogram {
    fn eq(&self, other: &Self) -> bool {
        self.bit_eq(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram() -> FloatHistogram {
        FloatHistogram {
            schema: 1,
            count: 6.0,
            sum: 18.4,
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 1, length: 1 }],
            positive_buckets: vec![1.0, 2.0, 2.0],
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn a_sound_histogram_is_accepted() {
        assert_eq!(histogram().validate(), Ok(()));
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_name() {
        let inside = |error| Err(HistogramError::In("positive side", Box::new(error)));
        let mut bad = histogram();
        bad.positive_buckets.pop();
        assert_eq!(bad.validate(), inside(HistogramError::SpansMismatch { spans: 3, buckets: 2 }));
        let mut bad = histogram();
        bad.positive_spans[1].offset = -1;
        assert_eq!(bad.validate(), inside(HistogramError::NegativeOffset { number: 2, offset: -1 }));
        let mut bad = histogram();
        bad.positive_buckets[1] = -2.0;
        let count = "-2".to_owned();
        assert_eq!(bad.validate(), inside(HistogramError::NegativeBucket { number: 2, count }));
        assert_eq!(FloatHistogram { schema: 9, ..histogram() }.validate(), Err(HistogramError::Schema(9)));
    }

    #[test]
    fn more_buckets_or_spans_than_a_store_reads_back_are_refused() {
        let wide = |buckets: usize| FloatHistogram {
            positive_spans: vec![Span { offset: 0, length: buckets as u32 }],
            positive_buckets: vec![1.0; buckets],
            ..FloatHistogram::default()
        };
        let empty = |spans: usize| FloatHistogram { negative_spans: vec![Span::default(); spans], ..wide(1) };
        let most = BUCKETS_PER_SIGN_MAX;
        assert_eq!((wide(most).validate(), empty(most).validate()), (Ok(()), Ok(())));
        assert_eq!(wide(most + 1).validate(), Err(HistogramError::TooManyBuckets(most + 1)));
        assert_eq!(empty(most + 1).validate(), Err(HistogramError::TooManyBuckets(most + 1)));
    }

    #[test]
    fn equality_is_that_of_bits() {
        let stale = FloatHistogram::stale();
        assert!(stale.is_stale() && stale.bit_eq(&stale.clone()));
        let negative = FloatHistogram { sum: -0.0, ..FloatHistogram::default() };
        assert!(!negative.bit_eq(&FloatHistogram::default()));
    }
}
