//! Runs every mechanism of every job.

use std::collections::BTreeSet;

use config::{Config, FileSdConfig, ServiceDiscovery, TargetGroup};
use platform::Files;

use crate::file_sd::{self, LastGoodFiles};

/// What mechanisms found when they last worked; kept from run to run, so that an unreadable file does not end its
/// targets.
#[derive(Clone, Debug, Default)]
pub struct LastGood {
    files: LastGoodFiles,
}

/// The target groups of every job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Discovered {
    /// One entry a job, in the configuration's order.
    pub pools: Vec<DiscoveredPool>,
}

/// The target groups of one job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiscoveredPool {
    /// The job's name.
    pub job_name: String,
    /// Its groups: static ones, then those of files.
    pub groups: Vec<TargetGroup>,
    /// What could not be read. Its last good groups, where there are any, are among `groups`.
    pub errors: Vec<String>,
}

/// Finds the target groups of every job of `config`.
pub async fn discover(config: &Config, files: &dyn Files, cache: &mut LastGood) -> Discovered {
    let mut pools = Vec::with_capacity(config.scrape_configs.len());
    for job in &config.scrape_configs {
        let mut errors = Vec::new();
        let groups = groups(&job.discovery, files, cache, &mut errors).await;
        for error in &errors {
            tracing::error!(scrape_pool = job.job_name, "{error}");
        }
        pools.push(DiscoveredPool { job_name: job.job_name.clone(), groups, errors });
    }
    cache.files.retain(&patterns(config));
    Discovered { pools }
}

/// The groups of one set of mechanisms.
pub(crate) async fn groups(
    discovery: &ServiceDiscovery,
    files: &dyn Files,
    cache: &mut LastGood,
    errors: &mut Vec<String>,
) -> Vec<TargetGroup> {
    let mut groups = discovery.static_configs.clone();
    for file_sd in &discovery.file_sd_configs {
        groups.extend(file_sd::refresh(file_sd, files, &mut cache.files, errors).await);
    }
    groups
}

/// Every file pattern of `config`, those of Alertmanagers included, for they may share a cache.
fn patterns(config: &Config) -> BTreeSet<&str> {
    let jobs = config.scrape_configs.iter().map(|job| &job.discovery);
    let alertmanagers = config.alerting.alertmanagers.iter().map(|alertmanager| &alertmanager.discovery);
    let file_sd = jobs.chain(alertmanagers).flat_map(|discovery| &discovery.file_sd_configs);
    file_sd.flat_map(|FileSdConfig { files, .. }| files).map(String::as_str).collect()
}

#[cfg(test)]
mod tests;
