//! What a deployment will use, by what it is to do.

use crate::MONTH_SECONDS;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Active series.
    pub series: f64,
    /// Seconds between two scrapes of a target.
    pub interval_seconds: f64,
    /// Rules.
    pub rules: f64,
    /// Queries a month.
    pub queries: f64,
    /// Samples are kept so long.
    pub retention_seconds: f64,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            series: 10_000.0,
            interval_seconds: 15.0,
            rules: 20.0,
            queries: 100_000.0,
            retention_seconds: 15.0 * 86_400.0,
        }
    }
}

impl Workload {
    /// Samples that are taken in a month.
    #[must_use]
    pub fn samples_a_month(&self) -> f64 {
        self.series / self.interval_seconds.max(0.001) * MONTH_SECONDS
    }
}
