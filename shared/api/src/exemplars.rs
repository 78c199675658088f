//! `/query_exemplars`.

use model::{Exemplar, Matcher};
use promql::{Plan, QueryTime};
use storage::SeriesExemplars;

use crate::params::Params;
use crate::query::label_range;
use crate::route::Answer;
use crate::{Api, ApiError, json};

/// Exemplars in one answer: what Prometheus keeps of all series by default.
const EXEMPLARS_MAX: usize = 100_000;

impl Api {
    /// Exemplars of the series that a query reads.
    pub(crate) async fn query_exemplars(&self, params: &Params) -> Result<Answer, ApiError> {
        let (start, end) = label_range(params)?;
        if end < start {
            return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
        }
        let plan = Plan::new(params.value("query"), QueryTime::Instant(self.clock.now_ms()), &self.engine)
            .map_err(|error| ApiError::bad_data(error.to_string()))?;
        if plan.selects().is_empty() {
            return Ok(Answer::nothing());
        }
        let matcher_sets: Vec<Vec<Matcher>> =
            plan.selects().iter().map(|select| select.matchers.clone()).collect();
        let found = self.exemplars.exemplars(&matcher_sets, start, end, EXEMPLARS_MAX).await?;
        let mut data = String::new();
        json::array(&mut data, &found, series_exemplars);
        Ok(Answer::raw(data))
    }
}

fn series_exemplars(out: &mut String, series: &SeriesExemplars) {
    out.push_str(r#"{"seriesLabels":"#);
    json::labels(out, &series.labels);
    out.push_str(r#","exemplars":"#);
    json::array(out, &series.exemplars, exemplar);
    out.push('}');
}

fn exemplar(out: &mut String, exemplar: &Exemplar) {
    out.push_str(r#"{"labels":"#);
    json::labels(out, &exemplar.labels);
    out.push_str(r#","value":""#);
    out.push_str(&model::number::format_api(exemplar.value));
    out.push_str(r#"","timestamp":"#);
    json::seconds(out, exemplar.timestamp);
    out.push('}');
}
