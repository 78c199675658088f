//! The HTTP API of Prometheus (`/api/v1` and `/federate`) as a function from request to response.
//!
//! ```text
//! http::Request ──route──► params ──► Queryable + promql, or Deployment ──► envelope {status, data, …} ──► http::Response
//! ```
//!
//! It knows neither Lambda nor sockets: API Gateway and axum both end here. Samples come through
//! [`storage::Queryable`]; what the deployment knows of itself (targets, rules, configuration) through
//! [`Deployment`]. Parameters, error types and messages are Prometheus's own (`web/api/v1/api.go`).

mod admin;
mod compress;
mod cors;
mod deployment;
mod error;
mod exemplars;
mod federate;
mod global_url;
mod json;
mod labels;
mod metadata;
mod params;
mod query;
mod route;
mod rules;
mod status;
mod targets;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use platform::Clock;
use promql::EngineOptions;
use storage::{ExemplarQueryable, MetadataQueryable, Queryable};

pub use compress::compressed;
pub use deployment::{
    BuildInfo, Deployment, DeploymentFuture, LastScrape, RuleGroupStatus, RuntimeInfo, Targets, TsdbStatus,
};
pub use error::{ApiError, ErrorType};
pub use global_url::GlobalUrlOptions;
pub use route::{Request, Response, method_not_allowed, not_found};

/// The API over one deployment.
#[derive(Clone)]
pub struct Api {
    /// Where samples come from.
    pub queryable: Arc<dyn Queryable>,
    /// Where exemplars come from.
    pub exemplars: Arc<dyn ExemplarQueryable>,
    /// Who knows what metrics mean.
    pub metadata: Arc<dyn MetadataQueryable>,
    /// What the deployment knows of itself.
    pub deployment: Arc<dyn Deployment>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How queries are evaluated.
    pub engine: EngineOptions,
    /// Bound on one query; a request may ask for less.
    pub query_timeout: Duration,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("engine", &self.engine).finish_non_exhaustive()
    }
}
