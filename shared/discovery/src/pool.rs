//! From target groups to the targets of a pool, and what changed between two snapshots.

use std::collections::{BTreeMap, BTreeSet};

use config::{Config, ScrapeConfig, TargetGroup};
use model::Labels;
use wire::{DroppedTarget, ScrapePool, ScrapeTarget, TargetSnapshot, WireLabels};
use xxhash_rust::xxh3::Xxh3;

use crate::discover::Discovered;
use crate::target::{self, Target, fnv1a};

/// Spreads the scrapes of several installations that have the same targets: a hash of what tells them apart.
#[must_use]
pub fn offset_seed(external_labels: &Labels) -> u64 {
    if external_labels.is_empty() { 0 } else { fnv1a(external_labels.to_string().bytes()) }
}

/// All targets of `config`, which is stored under `config_key`.
#[must_use]
pub fn snapshot(config_key: &str, config: &Config, discovered: &Discovered) -> TargetSnapshot {
    let seed = offset_seed(&config.global.external_labels);
    let found: BTreeMap<&str, _> =
        discovered.pools.iter().map(|pool| (pool.job_name.as_str(), pool)).collect();
    let pool = |job: &ScrapeConfig| {
        let found = found.get(job.job_name.as_str());
        let mut pool = build_targets(job, found.map_or(&[], |found| &found.groups), seed);
        pool.errors.splice(0..0, found.into_iter().flat_map(|found| found.errors.iter().cloned()));
        pool
    };
    TargetSnapshot {
        v: 1,
        config: config_key.to_owned(),
        pools: config.scrape_configs.iter().map(pool).collect(),
    }
}

/// The targets of one job: relabelled, checked, each once, sorted by source.
///
/// A target is known by its pool, its URL and the labels of its samples. Of several that agree in these the first
/// counts. Its interval and timeout are no part of that, so a changed interval does not end its series.
#[must_use]
pub fn build_targets(job: &ScrapeConfig, groups: &[TargetGroup], offset_seed: u64) -> ScrapePool {
    let mut active: BTreeMap<String, ScrapeTarget> = BTreeMap::new();
    let (mut dropped, mut errors) = (Vec::new(), Vec::new());
    for group in groups {
        for (index, labels) in group.targets.iter().enumerate() {
            let discovered = target::discovered(job, group, labels);
            match target::populate(job, &discovered) {
                Ok(Some(target)) => {
                    let target = scrape_target(job, &target, &discovered, offset_seed);
                    active.entry(target.source.clone()).or_insert(target);
                }
                Ok(None) => {
                    let limit = job.limits.keep_dropped_targets;
                    if limit == 0 || (dropped.len() as u64) < limit {
                        dropped.push(DroppedTarget { discovered: WireLabels::from(&discovered) });
                    }
                }
                Err(error) => errors.push(format!("instance {index} in group {}: {error}", group.source)),
            }
        }
    }
    let mut active: Vec<ScrapeTarget> = active.into_values().collect();
    let limit = job.limits.targets_max;
    if limit > 0 && active.len() as u64 > limit {
        let error = format!("target_limit exceeded (number of targets: {}, limit: {limit})", active.len());
        for target in &mut active {
            target.forced_error = Some(error.clone());
        }
        errors.push(error);
    }
    ScrapePool { name: job.job_name.clone(), active, dropped, errors }
}

/// Sources that are active in `previous` and no more in `current`, sorted: their series end.
#[must_use]
pub fn gone(previous: &TargetSnapshot, current: &TargetSnapshot) -> Vec<String> {
    let sources = |snapshot: &TargetSnapshot| -> BTreeSet<String> {
        let active = snapshot.pools.iter().flat_map(|pool| &pool.active);
        active.map(|target| target.source.clone()).collect()
    };
    sources(previous).difference(&sources(current)).cloned().collect()
}

fn scrape_target(job: &ScrapeConfig, target: &Target, discovered: &Labels, offset_seed: u64) -> ScrapeTarget {
    let labels = target.public_labels();
    let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // In nanoseconds, as Prometheus computes it. Durations are at least 1 ms and at most 2^63 ns.
    let interval_ns = u64::try_from(target.interval.as_nanos()).unwrap_or(u64::MAX).max(1);
    ScrapeTarget {
        source: source(&job.job_name, &target.url, &labels),
        pool: job.job_name.clone(),
        url: target.url.clone(),
        labels: WireLabels::from(&labels),
        discovered: WireLabels::from(discovered),
        interval_ms: ms(target.interval),
        timeout_ms: ms(target.timeout),
        offset_ms: (target.hash() ^ offset_seed) % interval_ns / 1_000_000,
        forced_error: None,
    }
}

/// Names a target: xxh3 of its pool, URL and labels, each preceded by its length.
fn source(pool: &str, url: &str, labels: &Labels) -> String {
    let mut hasher = Xxh3::new();
    let mut part = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    part(pool);
    part(url);
    for (name, value) in labels {
        part(name);
        part(value);
    }
    format!("{:016x}", hasher.digest())
}

#[cfg(test)]
mod tests;
