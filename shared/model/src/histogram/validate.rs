//! What is no histogram. Source: `FloatHistogram.Validate`, `model/histogram/generic.go`.

use super::{BUCKETS_MAX, BUCKETS_PER_SIGN_MAX, EXPONENTIAL_SCHEMAS, FloatHistogram, Span};
use crate::number::format_g;

/// Why a histogram is not one. The texts are Prometheus's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistogramError {
    /// The schema is neither exponential nor that of custom buckets.
    #[error(
        "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets, got schema {0}"
    )]
    Schema(i32),
    /// A span other than the first of its list, or with custom buckets any, has a negative offset.
    #[error("span number {number} with offset {offset}: histogram has a span whose offset is negative")]
    NegativeOffset {
        /// Counted from 1.
        number: usize,
        /// The offset.
        offset: i32,
    },
    /// Spans and buckets do not fit each other.
    #[error(
        "spans need {spans} buckets, have {buckets} buckets: histogram spans specify different number of buckets than provided"
    )]
    SpansMismatch {
        /// Buckets that the spans speak of.
        spans: u64,
        /// Buckets that there are.
        buckets: usize,
    },
    /// A bucket has a negative count.
    #[error(
        "bucket number {number} has observation count of {count}: histogram has a bucket whose observation count is negative"
    )]
    NegativeBucket {
        /// Counted from 1.
        number: usize,
        /// The count as Go prints it.
        count: String,
    },
    /// The zero bucket has a negative count.
    #[error(
        "zero bucket has observation count of {0}: histogram has a bucket whose observation count is negative"
    )]
    NegativeZeroBucket(String),
    /// The count of all observations is negative.
    #[error("observation count is  {0}: histogram's observation count is negative")]
    NegativeCount(String),
    /// Custom bounds are not ascending.
    #[error(
        "previous bound is {previous} and current is {current}: histogram custom bounds must be in strictly increasing order"
    )]
    CustomBounds {
        /// The bound before, as Go prints it.
        previous: String,
        /// The bound that is not larger.
        current: String,
    },
    /// A custom bound is not a number.
    #[error("histogram custom bounds must not be NaN")]
    CustomBoundNan,
    /// The bound above all is written out.
    #[error("last +Inf bound must not be explicitly defined: histogram custom bounds must be finite")]
    CustomBoundInfinite,
    /// There are buckets beyond the last custom bound.
    #[error(
        "only {bounds} custom bounds defined which is insufficient to cover total span length of {spans}: histogram custom bounds are too few"
    )]
    CustomBoundsTooFew {
        /// Bounds that there are.
        bounds: usize,
        /// Buckets that the spans reach over.
        spans: u64,
    },
    /// Custom buckets with something that they cannot have.
    #[error("must {0}")]
    CustomBuckets(&'static str),
    /// Exponential buckets with custom bounds.
    #[error("histogram with exponential schema must not have custom bounds")]
    BoundsOfExponential,
    /// Where an error is.
    #[error("{0}: {1}")]
    In(&'static str, Box<HistogramError>),
    /// More buckets than [`BUCKETS_MAX`] or [`BUCKETS_PER_SIGN_MAX`], or more spans.
    #[error("histogram has too many buckets: {0}")]
    TooManyBuckets(usize),
}

impl FloatHistogram {
    /// Whether schema, spans, buckets and custom bounds fit together, and no count is negative.
    ///
    /// # Errors
    /// [`HistogramError`].
    pub fn validate(&self) -> Result<(), HistogramError> {
        self.validate_size()?;
        if self.uses_custom_buckets() {
            self.validate_custom().map_err(|error| inside("custom buckets", error))?;
        } else {
            self.validate_exponential()?;
        }
        if self.count < 0.0 {
            return Err(HistogramError::NegativeCount(format_g(self.count)));
        }
        validate_counts(&self.positive_buckets).map_err(|error| inside("positive side", error))
    }

    fn validate_size(&self) -> Result<(), HistogramError> {
        let total = self.positive_buckets.len().saturating_add(self.negative_buckets.len());
        if total > BUCKETS_MAX || self.custom_values.len() > BUCKETS_MAX {
            return Err(HistogramError::TooManyBuckets(total.max(self.custom_values.len())));
        }
        let spans = self.positive_spans.len().max(self.negative_spans.len());
        let one_sign = self.positive_buckets.len().max(self.negative_buckets.len()).max(spans);
        if one_sign > BUCKETS_PER_SIGN_MAX {
            return Err(HistogramError::TooManyBuckets(one_sign));
        }
        Ok(())
    }

    fn validate_custom(&self) -> Result<(), HistogramError> {
        let bounds = &self.custom_values;
        let mut previous = f64::NEG_INFINITY;
        for (at, bound) in bounds.iter().enumerate() {
            if bound.is_nan() {
                return Err(HistogramError::CustomBoundNan);
            }
            if at > 0 && *bound <= previous {
                let fixed =
                    |value: f64| if value.is_finite() { format!("{value:.6}") } else { format_g(value) };
                let (previous, current) = (fixed(previous), fixed(*bound));
                return Err(HistogramError::CustomBounds { previous, current });
            }
            previous = *bound;
        }
        if previous == f64::INFINITY {
            return Err(HistogramError::CustomBoundInfinite);
        }
        validate_spans(&self.positive_spans, self.positive_buckets.len(), 0)?;
        let length = |span: &Span| u64::from(span.length) + u64::from(span.offset.unsigned_abs());
        let spans: u64 = self.positive_spans.iter().map(length).sum();
        if (bounds.len() as u64 + 1) < spans {
            return Err(HistogramError::CustomBoundsTooFew { bounds: bounds.len(), spans });
        }
        for (wrong, text) in [
            (self.zero_count != 0.0, "have zero count of 0"),
            (self.zero_threshold != 0.0, "have zero threshold of 0"),
            (!self.negative_spans.is_empty(), "not have negative spans"),
            (!self.negative_buckets.is_empty(), "not have negative buckets"),
        ] {
            if wrong {
                return Err(HistogramError::CustomBuckets(text));
            }
        }
        Ok(())
    }

    fn validate_exponential(&self) -> Result<(), HistogramError> {
        if !EXPONENTIAL_SCHEMAS.contains(&self.schema) {
            return Err(HistogramError::Schema(self.schema));
        }
        validate_spans(&self.positive_spans, self.positive_buckets.len(), 1)
            .map_err(|error| inside("positive side", error))?;
        validate_spans(&self.negative_spans, self.negative_buckets.len(), 1)
            .and_then(|()| validate_counts(&self.negative_buckets))
            .map_err(|error| inside("negative side", error))?;
        if self.zero_count < 0.0 {
            return Err(HistogramError::NegativeZeroBucket(format_g(self.zero_count)));
        }
        if !self.custom_values.is_empty() {
            return Err(HistogramError::BoundsOfExponential);
        }
        Ok(())
    }
}

fn inside(place: &'static str, error: HistogramError) -> HistogramError {
    HistogramError::In(place, Box::new(error))
}

/// `free` spans at the beginning may have a negative offset.
fn validate_spans(spans: &[Span], buckets: usize, free: usize) -> Result<(), HistogramError> {
    for (at, span) in spans.iter().enumerate().skip(free) {
        if span.offset < 0 {
            return Err(HistogramError::NegativeOffset { number: at + 1, offset: span.offset });
        }
    }
    let wanted: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if wanted != buckets as u64 {
        return Err(HistogramError::SpansMismatch { spans: wanted, buckets });
    }
    Ok(())
}

fn validate_counts(buckets: &[f64]) -> Result<(), HistogramError> {
    match buckets.iter().position(|count| *count < 0.0) {
        Some(at) => Err(HistogramError::NegativeBucket {
            number: at + 1,
            count: buckets.get(at).copied().map(format_g).unwrap_or_default(),
        }),
        None => Ok(()),
    }
}
