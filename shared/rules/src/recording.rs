//! Recording rules. Source: `RecordingRule.Eval` of Prometheus.

use std::collections::BTreeMap;

use config::RecordingRule;
use model::labels::METRIC_NAME;
use model::{Labels, TimestampMs};
use storage::Queryable;

use crate::QueryRunner;

/// What a rule gives: one value a series.
pub(crate) type Results = BTreeMap<Labels, f64>;

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
        let mut labels = sample.labels.to_builder();
        labels.set(METRIC_NAME, rule.record.as_str());
        for (name, value) in &rule.labels {
            labels.set(name, value);
        }
        if results.insert(labels.build(), sample.value).is_some() {
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
