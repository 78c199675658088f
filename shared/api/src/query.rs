//! `/query`, `/query_range`, `/format_query`.

use std::time::Duration;

use model::TimestampMs;
use platform::{Clock, Deadline};
use promql::{EngineOptions, Interrupt, QueryError, QueryResult, QueryTime, QueryValue};

use crate::params::Params;
use crate::route::Answer;
use crate::{Api, ApiError, json};

/// A range query may give at most so many points a series.
const POINTS_MAX: i64 = 11_000;
/// An answer shows at most so many warnings, and as many remarks.
const ANNOTATIONS_MAX: usize = 10;
const TRUNCATED: &str = "results truncated due to limit";

impl Api {
    /// Evaluates at one instant.
    pub(crate) async fn query(&self, params: &Params) -> Result<Answer, ApiError> {
        let limit = params.limit()?;
        let at = params.time_or("time", self.clock.now_ms())?;
        self.evaluate(params, QueryTime::Instant(at), limit).await
    }

    /// Evaluates at the instants of a range.
    pub(crate) async fn query_range(&self, params: &Params) -> Result<Answer, ApiError> {
        let limit = params.limit()?;
        let (start, end) = (params.time("start")?, params.time("end")?);
        if end < start {
            let message = "end timestamp must not be before start time";
            return Err(ApiError::invalid_parameter("end", message));
        }
        let step = params.duration_ms("step")?;
        if step <= 0 {
            let message =
                "zero or negative query resolution step widths are not accepted. Try a positive integer";
            return Err(ApiError::invalid_parameter("step", message));
        }
        if end.saturating_sub(start) / step > POINTS_MAX {
            return Err(ApiError::bad_data(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
                 (?step=XX)",
            ));
        }
        self.evaluate(params, QueryTime::Range { start, end, step }, limit).await
    }

    /// The query as Prometheus would print it.
    pub(crate) fn format_query(&self, params: &Params) -> Result<Answer, ApiError> {
        let expr = promql::parser::parse(params.value("query"), &self.engine.features)
            .map_err(|error| ApiError::invalid_parameter("query", error))?;
        let mut data = String::new();
        json::string(&mut data, &expr.to_string());
        Ok(Answer::raw(data))
    }

    async fn evaluate(&self, params: &Params, time: QueryTime, limit: usize) -> Result<Answer, ApiError> {
        let timeout = params.timeout(self.query_timeout)?;
        let engine = self.engine_for(params).await?;
        let deadline = Deadline::after(&*self.clock, timeout);
        let interrupt = DeadlinePassed { clock: &*self.clock, deadline };
        let query = params.value("query");
        let mut result =
            promql::execute(&*self.queryable, query, time, &engine, deadline.0, &interrupt).await?;
        if limit > 0 && truncate(&mut result.value, limit) {
            result.warnings.push(TRUNCATED.to_owned());
        }
        let QueryResult { value, warnings, infos } = result;
        let mut answer = Answer::raw(json::query_data(&value));
        answer.warnings = at_most(warnings, "warning");
        answer.infos = at_most(infos, "info");
        Ok(answer)
    }

    async fn engine_for(&self, params: &Params) -> Result<EngineOptions, ApiError> {
        let mut engine = self.engine;
        if may_have_subquery(params.value("query")) {
            let interval = self.deployment.global_config().await?.evaluation_interval;
            engine.default_subquery_step_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        }
        let text = params.value("lookback_delta");
        if !text.is_empty() {
            let parsed = params.duration_ms("lookback_delta").map_err(|_| {
                ApiError::bad_data(format!(
                    "error parsing lookback delta duration: cannot parse {} to a valid duration",
                    model::labels::quote(text)
                ))
            })?;
            if parsed > 0 {
                engine.lookback_delta_ms = parsed;
            }
        }
        Ok(engine)
    }
}

/// Whether the configuration must be asked for the step of a subquery that names none. Too often rather than too seldom.
fn may_have_subquery(query: &str) -> bool {
    query.contains('[') && query.contains(':')
}

struct DeadlinePassed<'a> {
    clock: &'a dyn Clock,
    deadline: Deadline,
}

impl Interrupt for DeadlinePassed<'_> {
    fn check(&self) -> Result<(), QueryError> {
        if self.deadline.remaining(self.clock) == Duration::ZERO {
            return Err(QueryError::Timeout("expression evaluation"));
        }
        Ok(())
    }
}

fn truncate(value: &mut QueryValue, limit: usize) -> bool {
    let longer = match value {
        QueryValue::Vector(samples) => samples.len() > limit,
        QueryValue::Matrix(series) => series.len() > limit,
        QueryValue::Scalar { .. } | QueryValue::String { .. } => false,
    };
    match value {
        QueryValue::Vector(samples) => samples.truncate(limit),
        QueryValue::Matrix(series) => series.truncate(limit),
        QueryValue::Scalar { .. } | QueryValue::String { .. } => {}
    }
    longer
}

fn at_most(mut annotations: Vec<String>, kind: &str) -> Vec<String> {
    let omitted = annotations.len().saturating_sub(ANNOTATIONS_MAX);
    if omitted > 0 {
        annotations.truncate(ANNOTATIONS_MAX);
        annotations.push(format!("{omitted} more {kind} annotations omitted"));
    }
    annotations
}

/// The first and last instant that a question about labels covers where it names none.
pub(crate) fn label_range(params: &Params) -> Result<(TimestampMs, TimestampMs), ApiError> {
    let min = params.time_or("start", crate::params::MIN_TIME)?;
    let max = params.time_or("end", crate::params::MAX_TIME)?;
    Ok((min, max))
}
