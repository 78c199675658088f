//! Histograms as text. Source: `FloatHistogram.String`, `FloatHistogram.TestExpression`.

use std::fmt::{self, Display, Formatter};

use super::{Bucket, CounterResetHint, FloatHistogram, Span};
use crate::number::format_g;

/// Most empty buckets that are written out.
const GAPS_MAX: i64 = 1 << 16;

impl Display for Bucket {
    /// `(1,2]:3`
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let left = if self.lower_inclusive { '[' } else { '(' };
        let right = if self.upper_inclusive { ']' } else { ')' };
        let [lower, upper, count] = [self.lower, self.upper, self.count].map(format_g);
        write!(f, "{left}{lower},{upper}{right}:{count}")
    }
}

impl Display for FloatHistogram {
    /// `{count:3, sum:4.5, (1,2]:3}`: the populated buckets, ascending.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", format_g(self.count), format_g(self.sum))?;
        let negative: Vec<Bucket> = self.negative().filter(|bucket| bucket.count != 0.0).collect();
        for bucket in negative.iter().rev() {
            write!(f, ", {bucket}")?;
        }
        if self.zero_count != 0.0 {
            write!(f, ", {}", self.zero_bucket())?;
        }
        for bucket in self.positive().filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

impl FloatHistogram {
    /// As the test language writes it: `{{schema:1 count:3 sum:4.5 offset:1 buckets:[1 2]}}`.
    /// That language has no gaps, so a histogram of far-flung buckets is written as [`Display`] does.
    #[must_use]
    pub fn test_expression(&self) -> String {
        let gaps = self.positive_spans.iter().chain(&self.negative_spans).map(|span| i64::from(span.offset));
        if gaps.filter(|gap| *gap > 0).sum::<i64>() > GAPS_MAX {
            return self.to_string();
        }
        let mut compacted = self.clone();
        compacted.compact(usize::MAX >> 1);
        let mut parts = Vec::new();
        if self.schema != 0 {
            parts.push(format!("schema:{}", self.schema));
        }
        for (key, value) in [
            ("count", self.count),
            ("sum", self.sum),
            ("z_bucket", self.zero_count),
            ("z_bucket_w", self.zero_threshold),
        ] {
            if value != 0.0 {
                parts.push(format!("{key}:{}", format_g(value)));
            }
        }
        if self.uses_custom_buckets() {
            parts.push(format!("custom_values:{}", list(&self.custom_values)));
        }
        match self.counter_reset_hint {
            CounterResetHint::Unknown => {}
            CounterResetHint::CounterReset => parts.push("counter_reset_hint:reset".to_owned()),
            CounterResetHint::NotCounterReset => parts.push("counter_reset_hint:not_reset".to_owned()),
            CounterResetHint::Gauge => parts.push("counter_reset_hint:gauge".to_owned()),
        }
        let mut side = |prefix: &str, spans: &[Span], buckets: &[f64]| {
            if let Some(span) = spans.first().filter(|span| span.offset != 0) {
                parts.push(format!("{prefix}offset:{}", span.offset));
            }
            if !buckets.is_empty() {
                parts.push(format!("{prefix}buckets:{}", list(buckets)));
            }
        };
        side("", &compacted.positive_spans, &compacted.positive_buckets);
        side("n_", &compacted.negative_spans, &compacted.negative_buckets);
        format!("{{{{{}}}}}", parts.join(" "))
    }
}

fn list(values: &[f64]) -> String {
    let values: Vec<String> = values.iter().map(|value| format_g(*value)).collect();
    format!("[{}]", values.join(" "))
}
