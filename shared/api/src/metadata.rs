//! `/metadata`, `/targets/metadata`, `/query_exemplars`: neither metadata nor exemplars are stored, so the answers are
//! empty; parameters are checked as by Prometheus, so that a client learns of its mistakes.

use promql::{Plan, QueryTime, parser};
use serde_json::json;

use crate::params::Params;
use crate::query::label_range;
use crate::route::Answer;
use crate::{Api, ApiError};

impl Api {
    /// Metadata by metric name.
    pub(crate) fn metric_metadata(params: &Params) -> Result<Answer, ApiError> {
        check_number(params, "limit")?;
        check_number(params, "limit_per_metric")?;
        Ok(Answer::json(&json!({})))
    }

    /// Metadata by target.
    pub(crate) fn target_metadata(params: &Params) -> Result<Answer, ApiError> {
        check_number(params, "limit")?;
        let target = params.value("match_target");
        if !target.is_empty() {
            parser::parse_metric_selector(target)
                .map_err(|error| ApiError::invalid_parameter("match_target", error))?;
        }
        Ok(Answer::json(&json!([])))
    }

    /// Exemplars of the series that a query reads.
    pub(crate) fn query_exemplars(&self, params: &Params) -> Result<Answer, ApiError> {
        let (start, end) = label_range(params)?;
        if end < start {
            return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
        }
        let plan = Plan::new(params.value("query"), QueryTime::Instant(self.clock.now_ms()), &self.engine)
            .map_err(|error| ApiError::bad_data(error.to_string()))?;
        if plan.selects().is_empty() {
            return Ok(Answer::nothing());
        }
        Ok(Answer::json(&json!([])))
    }
}

fn check_number(params: &Params, name: &str) -> Result<(), ApiError> {
    let text = params.value(name);
    if text.is_empty() || text.parse::<i64>().is_ok() {
        return Ok(());
    }
    Err(ApiError::bad_data(format!("{name} must be a number")))
}
