//! Expressions through the PromQL engine.

use std::sync::Arc;
use std::time::Duration;

use model::{Labels, TimestampMs};
use platform::Clock;
use promql::{EngineOptions, Interrupt, QueryError, QueryTime, QueryValue, VectorSample};
use storage::Queryable;

use crate::{QueryFuture, QueryRunner};

/// Runs expressions by [`promql::execute()`]. Source: `EngineQueryFunc` of Prometheus's `rules/manager.go`.
#[derive(Clone)]
pub struct EngineRunner {
    /// How expressions are evaluated.
    pub engine: EngineOptions,
    /// Bound on one expression.
    pub timeout: Duration,
    /// Tells when that is over.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for EngineRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineRunner").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl QueryRunner for EngineRunner {
    fn instant<'a>(
        &'a self,
        expr: &'a str,
        at_ms: TimestampMs,
        queryable: &'a dyn Queryable,
    ) -> QueryFuture<'a> {
        Box::pin(async move {
            let timeout_ms = i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX);
            let deadline_ms = self.clock.now_ms().saturating_add(timeout_ms);
            let timeout_ns = u64::try_from(self.timeout.as_nanos()).unwrap_or(u64::MAX);
            let limit =
                Limit { clock: &*self.clock, at_ns: self.clock.monotonic_ns().saturating_add(timeout_ns) };
            let time = QueryTime::Instant(at_ms);
            let result = promql::execute(queryable, expr, time, &self.engine, deadline_ms, &limit).await;
            vector(result.map_err(|error| error.to_string())?.value)
        })
    }
}

fn vector(value: QueryValue) -> Result<Vec<VectorSample>, String> {
    match value {
        QueryValue::Vector(samples) => Ok(samples),
        QueryValue::Scalar { timestamp, value } => {
            Ok(vec![VectorSample::float(Labels::empty(), timestamp, value)])
        }
        QueryValue::String { .. } | QueryValue::Matrix(_) => {
            Err("rule result is not a vector or scalar".to_owned())
        }
    }
}

/// The instant from which on an evaluation has taken too long.
struct Limit<'a> {
    clock: &'a dyn Clock,
    at_ns: u64,
}

impl Interrupt for Limit<'_> {
    fn check(&self) -> Result<(), QueryError> {
        if self.clock.monotonic_ns() < self.at_ns {
            Ok(())
        } else {
            Err(QueryError::Timeout("expression evaluation"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{MemoryStore, StepClock, block_on};

    const NOW: i64 = 1_000_000;

    fn run(expr: &str, timeout_s: u64) -> Result<Vec<(String, f64)>, String> {
        let labels = |instance: &str| Labels::from_pairs([("__name__", "up"), ("instance", instance)]);
        let store =
            MemoryStore(vec![(labels("a"), vec![(NOW - 1, 1.0)]), (labels("b"), vec![(NOW - 400_000, 1.0)])]);
        let runner = EngineRunner {
            engine: EngineOptions::default(),
            timeout: Duration::from_secs(timeout_s),
            clock: Arc::new(StepClock::default()),
        };
        let samples = block_on(runner.instant(expr, NOW, &store))?;
        assert!(samples.iter().all(|sample| sample.timestamp == NOW));
        Ok(samples.into_iter().map(|sample| (sample.labels.to_string(), sample.value)).collect())
    }

    #[test]
    fn vectors_come_as_they_are_and_scalars_as_one_sample() {
        assert_eq!(run("up", 1000).unwrap(), [(r#"{__name__="up", instance="a"}"#.to_owned(), 1.0)]);
        assert_eq!(run("1 + 1", 1000).unwrap(), [("{}".to_owned(), 2.0)]);
    }

    #[test]
    fn other_results_and_failures_say_what_prometheus_says() {
        assert_eq!(run("\"x\"", 1000).unwrap_err(), "rule result is not a vector or scalar");
        assert_eq!(run("up[5m]", 1000).unwrap_err(), "rule result is not a vector or scalar");
        assert!(run("up +", 1000).unwrap_err().contains("parse error"), "{:?}", run("up +", 1000));
        // The clock moves a second a look.
        assert_eq!(run("up", 1).unwrap_err(), "query timed out in expression evaluation");
    }
}
