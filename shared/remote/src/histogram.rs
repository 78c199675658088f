//! Native histograms: the same message in both versions of the protocol.

use std::sync::Arc;

use model::TimestampMs;
use model::histogram::{CounterResetHint, FloatHistogram, HistogramError, Span};

use crate::limits::{Budget, Exceeded};
use crate::proto::{Field, Fields, Malformed, zigzag};

/// A sound histogram and its instant.
pub(crate) type HistogramAt = (TimestampMs, Arc<FloatHistogram>);

/// Why a histogram was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HistogramFault {
    Malformed(Malformed),
    Exceeded(Exceeded),
    /// It is well-formed, but no histogram.
    Unsound(String),
}

impl From<Malformed> for HistogramFault {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl From<Exceeded> for HistogramFault {
    fn from(error: Exceeded) -> Self {
        Self::Exceeded(error)
    }
}

impl From<HistogramError> for HistogramFault {
    fn from(error: HistogramError) -> Self {
        Self::Unsound(error.to_string())
    }
}

/// The fields of the message.
#[derive(Debug, Default)]
struct Sent {
    /// Observations as an integer: which of the two decides what kind of histogram it is.
    count_int: Option<u64>,
    count_float: f64,
    zero_int: u64,
    zero_float: f64,
    histogram: FloatHistogram,
    positive_deltas: Vec<i64>,
    negative_deltas: Vec<i64>,
    positive_counts: Vec<f64>,
    negative_counts: Vec<f64>,
    timestamp: TimestampMs,
    is_float: bool,
}

/// Reads a `Histogram` and checks it as Prometheus does when it is appended.
pub(crate) fn decode(message: &[u8], budget: &mut Budget) -> Result<HistogramAt, HistogramFault> {
    let mut sent = Sent::default();
    let mut fields = Fields::of(message, "Histogram");
    while let Some(field) = fields.next()? {
        sent.set(&field, budget)?;
    }
    let timestamp = sent.timestamp;
    Ok((timestamp, Arc::new(sent.finish()?)))
}

impl Sent {
    fn set(&mut self, field: &Field<'_>, budget: &mut Budget) -> Result<(), HistogramFault> {
        match field.number {
            1 => {
                (self.count_int, self.is_float) = (Some(field.varint()?), false);
            }
            2 => (self.count_float, self.is_float) = (field.double()?, true),
            3 => self.histogram.sum = field.double()?,
            4 => self.histogram.schema = field.sint32()?,
            5 => self.histogram.zero_threshold = field.double()?,
            6 => self.zero_int = field.varint()?,
            7 => self.zero_float = field.double()?,
            8 => self.histogram.negative_spans.push(span(field, budget)?),
            9 => deltas(field, &mut self.negative_deltas, budget)?,
            10 => counts(field, &mut self.negative_counts, budget)?,
            11 => self.histogram.positive_spans.push(span(field, budget)?),
            12 => deltas(field, &mut self.positive_deltas, budget)?,
            13 => counts(field, &mut self.positive_counts, budget)?,
            14 => {
                self.histogram.counter_reset_hint = match field.varint()? {
                    1 => CounterResetHint::CounterReset,
                    2 => CounterResetHint::NotCounterReset,
                    3 => CounterResetHint::Gauge,
                    _ => CounterResetHint::Unknown,
                };
            }
            15 => self.timestamp = field.int64()?,
            16 => counts(field, &mut self.histogram.custom_values, budget)?,
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<FloatHistogram, HistogramFault> {
        let mut histogram = self.histogram;
        if self.is_float {
            histogram.count = self.count_float;
            histogram.zero_count = self.zero_float;
            histogram.positive_buckets = self.positive_counts;
            histogram.negative_buckets = self.negative_counts;
            check_not_negative(histogram.count, "observation count")?;
            check_not_negative(histogram.zero_count, "zero bucket's observation count")?;
            histogram.validate()?;
            return Ok(histogram);
        }
        let (count, zero) = (self.count_int.unwrap_or(0), self.zero_int);
        let (positive, in_positive) = absolute(&self.positive_deltas)?;
        let (negative, in_negative) = absolute(&self.negative_deltas)?;
        histogram.count = count as f64;
        histogram.zero_count = zero as f64;
        histogram.positive_buckets = positive;
        histogram.negative_buckets = negative;
        histogram.validate()?;
        check_count(histogram.sum, count, u128::from(zero) + in_positive + in_negative)?;
        Ok(histogram)
    }
}

/// Source: `Histogram.Validate`.
fn check_count(sum: f64, count: u64, in_buckets: u128) -> Result<(), HistogramFault> {
    let found = format!("{in_buckets} observations found in buckets, but the Count field is {count}");
    if sum.is_nan() {
        if in_buckets > u128::from(count) {
            return Err(HistogramFault::Unsound(format!(
                "{found}: histogram's observation count should be at least the number of observations found in the buckets"
            )));
        }
    } else if in_buckets != u128::from(count) {
        return Err(HistogramFault::Unsound(format!(
            "{found}: histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)"
        )));
    }
    Ok(())
}

fn check_not_negative(count: f64, what: &str) -> Result<(), HistogramFault> {
    if count < 0.0 {
        let count = model::number::format_g(count);
        return Err(HistogramFault::Unsound(format!("histogram's {what} is negative: {count}")));
    }
    Ok(())
}

/// Counts from deltas, and their sum.
fn absolute(deltas: &[i64]) -> Result<(Vec<f64>, u128), HistogramFault> {
    let mut counts = Vec::with_capacity(deltas.len());
    let (mut count, mut total) = (0i64, 0u128);
    for (at, delta) in deltas.iter().enumerate() {
        count = count.wrapping_add(*delta);
        let Ok(positive) = u64::try_from(count) else {
            let error = HistogramError::NegativeBucket { number: at + 1, count: count.to_string() };
            return Err(error.into());
        };
        total += u128::from(positive);
        counts.push(positive as f64);
    }
    Ok((counts, total))
}

fn span(field: &Field<'_>, budget: &mut Budget) -> Result<Span, HistogramFault> {
    budget.bucket()?;
    let mut span = Span::default();
    let mut fields = Fields::of(field.bytes()?, "BucketSpan");
    while let Some(field) = fields.next()? {
        match field.number {
            1 => span.offset = field.sint32()?,
            2 => span.length = field.uint32()?,
            _ => {}
        }
    }
    Ok(span)
}

fn deltas(field: &Field<'_>, into: &mut Vec<i64>, budget: &mut Budget) -> Result<(), HistogramFault> {
    for value in field.varints()? {
        budget.bucket()?;
        into.push(zigzag(value?));
    }
    Ok(())
}

fn counts(field: &Field<'_>, into: &mut Vec<f64>, budget: &mut Budget) -> Result<(), HistogramFault> {
    for value in field.doubles()? {
        budget.bucket()?;
        into.push(value?);
    }
    Ok(())
}
