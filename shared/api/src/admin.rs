//! `/admin/tsdb/*`: deleting series. Source: `web/api/v1/api.go`.

use promql::parser;

use crate::params::{MAX_TIME, MIN_TIME, Params};
use crate::route::Answer;
use crate::{Api, ApiError};

impl Api {
    /// Deletes the samples there are of the series that match.
    pub(crate) async fn delete_series(&self, params: &Params) -> Result<Answer, ApiError> {
        self.deployment.admin_enabled()?;
        params.check_form()?;
        if params.all("match[]").next().is_none() {
            return Err(ApiError::bad_data("no match[] parameter provided"));
        }
        let (start, end) = (params.time_or("start", MIN_TIME)?, params.time_or("end", MAX_TIME)?);
        let selectors: Result<Vec<_>, _> = params.all("match[]").map(parser::parse_metric_selector).collect();
        let selectors = selectors.map_err(|error| ApiError::invalid_parameter("match[]", error))?;
        self.deployment.delete_series(selectors, start, end).await?;
        Ok(Answer::nothing())
    }

    /// Has deletions carried out in every block.
    pub(crate) async fn clean_tombstones(&self) -> Result<Answer, ApiError> {
        self.deployment.admin_enabled()?;
        self.deployment.clean_tombstones().await?;
        Ok(Answer::nothing())
    }

    /// Copies the store. There is no need for it: blocks never change, so that a copy of them is a snapshot.
    pub(crate) fn snapshot(&self) -> Result<Answer, ApiError> {
        self.deployment.admin_enabled()?;
        let reason =
            "create snapshot: not supported: blocks never change, copy the objects below block/ instead";
        Err(ApiError::new(crate::ErrorType::Internal, reason))
    }
}
