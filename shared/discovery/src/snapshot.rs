//! All targets as one value, and what has gone since the last.

use std::collections::BTreeSet;

use config::Config;
use wire::{ScrapePool, TargetSnapshot};

use crate::groups::Discovered;
use crate::target::build_targets;

/// The targets of every scrape config, in the configuration's order; `config_key` names the configuration.
#[must_use]
pub fn snapshot(config_key: &str, config: &Config, discovered: &Discovered) -> TargetSnapshot {
    let pools = config
        .scrape_configs
        .iter()
        .map(|scrape_config| {
            let job = discovered.jobs.get(&scrape_config.job_name).cloned().unwrap_or_default();
            let built = build_targets(scrape_config, &job.groups);
            let errors = job.errors.into_iter().chain(built.errors).collect();
            ScrapePool {
                name: scrape_config.job_name.clone(),
                active: built.active,
                dropped: built.dropped,
                errors,
            }
        })
        .collect();
    TargetSnapshot { v: 1, config: config_key.to_owned(), pools }
}

/// The sources that `previous` has and `current` lacks, sorted: their series have ended.
#[must_use]
pub fn gone(previous: &TargetSnapshot, current: &TargetSnapshot) -> Vec<String> {
    let sources = |snapshot: &TargetSnapshot| -> BTreeSet<String> {
        snapshot.pools.iter().flat_map(|pool| &pool.active).map(|target| target.source.clone()).collect()
    };
    sources(previous).difference(&sources(current)).cloned().collect()
}
