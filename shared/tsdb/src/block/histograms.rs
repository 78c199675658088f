//! Native histograms: runs of samples of one series that have the same buckets are one row each.
//!
//! A row's counts are one list: the counts of all samples, then their zero counts, then those of the first positive
//! bucket, and so on to the last negative one: in that order the numbers next to each other are alike.

mod read;
mod write;

use model::FloatHistogram;
use model::histogram::{CounterResetHint, Span};

pub(super) use read::HistogramRows;
pub(crate) use read::histogram_weight;
pub(super) use write::HistogramWriter;

/// Lists of a row's counts before those of the buckets: count and zero count.
const LISTS_BEFORE_BUCKETS: usize = 2;
/// A run is cut where its row would hold more counts.
const ROW_COUNTS_MAX: usize = 1 << 20;

/// What the samples of a row have in common. Floats are compared by their bits.
#[derive(Clone, Debug)]
pub(super) struct Structure {
    schema: i32,
    zero_threshold: f64,
    hint: CounterResetHint,
    positive_spans: Vec<Span>,
    negative_spans: Vec<Span>,
    custom_values: Vec<f64>,
}

impl Structure {
    fn of(histogram: &FloatHistogram) -> Self {
        Self {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            hint: histogram.counter_reset_hint,
            positive_spans: histogram.positive_spans.clone(),
            negative_spans: histogram.negative_spans.clone(),
            custom_values: histogram.custom_values.clone(),
        }
    }

    fn is_of(&self, histogram: &FloatHistogram) -> bool {
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        self.schema == histogram.schema
            && self.zero_threshold.to_bits() == histogram.zero_threshold.to_bits()
            && self.hint == histogram.counter_reset_hint
            && self.positive_spans == histogram.positive_spans
            && self.negative_spans == histogram.negative_spans
            && bits(&self.custom_values) == bits(&histogram.custom_values)
    }

    /// Buckets of either sign.
    fn buckets(&self) -> (usize, usize) {
        let count =
            |spans: &[Span]| spans.iter().map(|span| span.length as usize).fold(0, usize::saturating_add);
        (count(&self.positive_spans), count(&self.negative_spans))
    }

    /// Counts that a sample has.
    fn counts(&self) -> usize {
        let (positive, negative) = self.buckets();
        LISTS_BEFORE_BUCKETS.saturating_add(positive).saturating_add(negative)
    }
}
