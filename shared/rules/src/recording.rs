//! Recording rules. Source: `RecordingRule.Eval` of Prometheus.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use config::RecordingRule;
use model::labels::METRIC_NAME;
use model::{FloatHistogram, Labels, TimestampMs};
use storage::Queryable;

use crate::QueryRunner;

/// What a rule gives: one value a series.
pub(crate) type Results = BTreeMap<Labels, Recorded>;

/// What a rule gives a series.
#[derive(Clone, Debug)]
pub(crate) enum Recorded {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

impl Recorded {
    /// Whether both are the same, bit by bit.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Histogram(a), Self::Histogram(b)) => a.bit_eq(b),
            _ => false,
        }
    }
}

impl Display for Recorded {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(value) => f.write_str(&model::number::format_g(*value)),
            Self::Histogram(value) => value.fmt(f),
        }
    }
}

/// Evaluates `rule` at `at_ms`. `limit` 0 means none.
pub(crate) async fn evaluate(
    rule: &RecordingRule,
    at_ms: TimestampMs,
    limit: u64,
    queryable: &dyn Queryable,
    runner: &dyn QueryRunner,
) -> Result<Results, String> {
    let samples = runner.instant(&rule.expr, at_ms, queryable).await?;
    let mut results = Results::new();
    for sample in samples {
        let value = sample.histogram.map_or(Recorded::Float(sample.value), Recorded::Histogram);
        let mut labels = sample.labels.to_builder();
        labels.set(METRIC_NAME, rule.record.as_str());
        for (name, value) in &rule.labels {
            labels.set(name, value);
        }
        if results.insert(labels.build(), value).is_some() {
            return Err(
                "vector contains metrics with the same labelset after applying rule labels".to_owned()
            );
        }
    }
    let count = results.len();
    if limit > 0 && count as u64 > limit {
        return Err(format!("exceeded limit of {limit} with {count} series"));
    }
    Ok(results)
}
