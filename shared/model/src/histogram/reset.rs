//! Counter resets between histograms. Source: `FloatHistogram.DetectReset`.

use super::arithmetic::{common_bounds, roll_up};
use super::bounds::exponential_bound;
use super::buckets::indexed;
use super::layout::{Layout, coarser, shift};
use super::{CounterResetHint, FloatHistogram, Span};

impl FloatHistogram {
    /// Whether the counter was reset between `previous` and this histogram: what is known of it, or else whether any
    /// count has decreased, or the resolution has become finer, or the zero bucket narrower.
    #[must_use]
    pub fn detect_reset(&self, previous: &Self) -> bool {
        match self.counter_reset_hint {
            CounterResetHint::CounterReset => return true,
            CounterResetHint::NotCounterReset => return false,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.uses_custom_buckets() {
            if !previous.uses_custom_buckets() {
                return true;
            }
            if !self.has_bounds_of(previous) {
                return self.custom_bucket_decreased(previous);
            }
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        if !self.uses_custom_buckets() {
            let (zero_count, threshold) = previous.zero_count_for(self.zero_threshold);
            // A populated bucket cannot come to lie half in the zero bucket.
            if threshold != self.zero_threshold || self.zero_count < zero_count.sum {
                return true;
            }
        }
        self.side_decreased(
            (&self.positive_spans, &self.positive_buckets),
            (&previous.positive_spans, &previous.positive_buckets),
            previous.schema,
        ) || self.side_decreased(
            (&self.negative_spans, &self.negative_buckets),
            (&previous.negative_spans, &previous.negative_buckets),
            previous.schema,
        )
    }

    /// Whether a bucket beyond the zero bucket holds less than before, or is missing although it was populated.
    fn side_decreased(
        &self,
        (spans, buckets): (&[Span], &[f64]),
        (previous_spans, previous_buckets): (&[Span], &[f64]),
        previous_schema: i32,
    ) -> bool {
        if previous_schema == self.schema && spans == previous_spans && self.zero_threshold == 0.0 {
            return buckets.iter().zip(previous_buckets).any(|(now, before)| now < before);
        }
        let exponential = !self.uses_custom_buckets();
        let in_zero_bucket = |index: i64| {
            exponential
                && self.zero_threshold != 0.0
                && exponential_bound(index, self.schema) <= self.zero_threshold
        };
        let shift = shift(previous_schema, self.schema);
        let previous = Layout::collect(coarser(indexed(previous_spans, previous_buckets), shift));
        let mut now = indexed(spans, buckets).skip_while(|(index, _)| in_zero_bucket(*index)).peekable();
        indexed(&previous.spans, &previous.cells).skip_while(|(index, _)| in_zero_bucket(*index)).any(
            |(index, before)| {
                while now.next_if(|(at, _)| *at < index).is_some() {}
                match now.peek() {
                    Some((at, count)) if *at == index => *count < before,
                    _ => before != 0.0,
                }
            },
        )
    }

    /// Whether less than before lies between any two bounds that both have.
    fn custom_bucket_decreased(&self, previous: &Self) -> bool {
        let bounds = common_bounds(&self.custom_values, &previous.custom_values);
        let rolled_up = |histogram: &Self| {
            let mut counts = vec![0.0; bounds.len() + 1];
            let (spans, buckets) = (&histogram.positive_spans, &histogram.positive_buckets);
            roll_up(spans, buckets, &histogram.custom_values, &bounds, |at, count| {
                if let Some(total) = counts.get_mut(at) {
                    *total += count;
                }
            });
            counts
        };
        rolled_up(self).iter().zip(rolled_up(previous)).any(|(now, before)| *now < before)
    }
}
