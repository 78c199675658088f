//! All mechanisms of a configuration.

use std::collections::BTreeMap;

use config::{Config, ServiceDiscovery, TargetGroup};
use platform::Files;

use crate::file_sd::{self, LastGoodFiles};

/// What mechanisms gave when they last succeeded. Losing it costs nothing but that: the next error then has nothing to
/// fall back to.
#[derive(Clone, Debug, Default)]
pub struct LastGood {
    files: LastGoodFiles,
}

/// The target groups of each scrape config.
#[derive(Clone, Debug, Default)]
pub struct Discovered {
    /// By `job_name`.
    pub jobs: BTreeMap<String, DiscoveredJob>,
}

/// The target groups of one scrape config.
#[derive(Clone, Debug, Default)]
pub struct DiscoveredJob {
    /// The groups of all its mechanisms.
    pub groups: Vec<TargetGroup>,
    /// What failed; the groups are then the last good ones.
    pub errors: Vec<String>,
}

/// Runs every mechanism of every scrape config.
pub async fn discover(config: &Config, files: &dyn Files, last_good: &mut LastGood) -> Discovered {
    let mut discovered = Discovered::default();
    let mut seen = Vec::new();
    for scrape_config in &config.scrape_configs {
        let job = run(&scrape_config.discovery, files, last_good, &mut seen).await;
        for error in &job.errors {
            tracing::error!(scrape_pool = scrape_config.job_name, "{error}");
        }
        discovered.jobs.insert(scrape_config.job_name.clone(), job);
    }
    // Files that no pattern matches any more are gone, and so are their targets.
    last_good.files.retain(|path, _| seen.contains(path));
    discovered
}

/// Runs the mechanisms of one section.
pub(crate) async fn run(
    section: &ServiceDiscovery,
    files: &dyn Files,
    last_good: &mut LastGood,
    seen: &mut Vec<String>,
) -> DiscoveredJob {
    let mut job = DiscoveredJob { groups: section.static_configs.clone(), errors: Vec::new() };
    for file_sd in &section.file_sd_configs {
        job.groups.extend(file_sd::read(file_sd, files, &mut last_good.files, seen, &mut job.errors).await);
    }
    job
}
