//! From a target group to targets: defaults, relabelling, checks. Source: `PopulateLabels` of `scrape/target.go`.

use std::collections::BTreeSet;
use std::time::Duration;

use config::{ScrapeConfig, TargetGroup, check_target_address};
use model::labels::{INSTANCE_LABEL, JOB_LABEL, quote};
use model::{Labels, LabelsBuilder, duration, relabel};
use url::form_urlencoded;
use wire::{DroppedTarget, ScrapeTarget, WireLabels};

/// The label that holds a target's address.
pub(crate) const ADDRESS_LABEL: &str = "__address__";
const SCHEME_LABEL: &str = "__scheme__";
const METRICS_PATH_LABEL: &str = "__metrics_path__";
const SCRAPE_INTERVAL_LABEL: &str = "__scrape_interval__";
const SCRAPE_TIMEOUT_LABEL: &str = "__scrape_timeout__";
const PARAM_LABEL_PREFIX: &str = "__param_";
const META_LABEL_PREFIX: &str = "__meta_";
const RESERVED_LABEL_PREFIX: &str = "__";

/// The targets of one scrape pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuiltTargets {
    /// Targets to scrape, each once, sorted by source.
    pub active: Vec<ScrapeTarget>,
    /// Targets that relabelling dropped.
    pub dropped: Vec<DroppedTarget>,
    /// Targets that are not valid, and why.
    pub errors: Vec<String>,
}

/// Builds the targets of a scrape config from what discovery found.
#[must_use]
pub fn build_targets(config: &ScrapeConfig, groups: &[TargetGroup]) -> BuiltTargets {
    let mut built = BuiltTargets::default();
    let mut seen = BTreeSet::new();
    for group in groups {
        for (index, target) in group.targets.iter().enumerate() {
            let discovered = discovered_labels(config, target, &group.labels);
            match build_target(config, &discovered) {
                Ok(Some(target)) => {
                    if seen.insert(target.source.clone()) {
                        built.active.push(target);
                    }
                }
                Ok(None) => keep_dropped(config, &discovered, &mut built.dropped),
                Err(error) => {
                    built.errors.push(format!("instance {index} in group {}: {error}", group.source))
                }
            }
        }
    }
    built.active.sort_by(|a, b| a.source.cmp(&b.source));
    enforce_target_limit(config, &mut built.active);
    built
}

/// Over `target_limit` no target of the pool is scraped: all fail, so that somebody notices.
fn enforce_target_limit(config: &ScrapeConfig, active: &mut [ScrapeTarget]) {
    let limit = config.limits.targets_max;
    let count = active.len();
    if limit == 0 || u64::try_from(count).is_ok_and(|count| count <= limit) {
        return;
    }
    for target in active {
        target.forced_error =
            Some(format!("target_limit exceeded (number of targets: {count}, limit: {limit})"));
    }
}

fn keep_dropped(config: &ScrapeConfig, discovered: &Labels, dropped: &mut Vec<DroppedTarget>) {
    let limit = usize::try_from(config.limits.keep_dropped_targets).unwrap_or(usize::MAX);
    if limit == 0 || dropped.len() < limit {
        dropped.push(DroppedTarget { discovered: WireLabels::from(discovered) });
    }
}

/// The target's labels before relabelling: its own, its group's, and the scrape config's as defaults.
fn discovered_labels(config: &ScrapeConfig, target: &Labels, group: &Labels) -> Labels {
    let mut labels = group.to_builder();
    for (name, value) in target {
        labels.set(name, value);
    }
    let defaults = [
        (JOB_LABEL, config.job_name.clone()),
        (SCRAPE_INTERVAL_LABEL, duration::format(config.scrape_interval)),
        (SCRAPE_TIMEOUT_LABEL, duration::format(config.scrape_timeout)),
        (METRICS_PATH_LABEL, config.metrics_path.clone()),
        (SCHEME_LABEL, config.scheme.clone()),
    ];
    for (name, value) in defaults {
        if labels.value(name).is_empty() {
            labels.set(name, value);
        }
    }
    for (name, values) in &config.params {
        let label = format!("{PARAM_LABEL_PREFIX}{name}");
        if let Some(first) = values.first().filter(|_| labels.value(&label).is_empty()) {
            labels.set(label, first.as_str());
        }
    }
    labels.build()
}

/// The target, or `None` where relabelling drops it.
fn build_target(config: &ScrapeConfig, discovered: &Labels) -> Result<Option<ScrapeTarget>, String> {
    let mut labels = discovered.to_builder();
    if !relabel::process_builder(&mut labels, &config.relabel_configs) {
        return Ok(None);
    }
    let address = labels.value(ADDRESS_LABEL).to_owned();
    if address.is_empty() {
        return Err("no address".to_owned());
    }
    check_target_address(&address)?;
    let interval = scrape_duration(&labels, SCRAPE_INTERVAL_LABEL, "interval")?;
    let timeout = scrape_duration(&labels, SCRAPE_TIMEOUT_LABEL, "timeout")?;
    if timeout > interval {
        return Err(format!(
            "scrape timeout cannot be greater than scrape interval ({} > {})",
            quote(labels.value(SCRAPE_TIMEOUT_LABEL)),
            quote(labels.value(SCRAPE_INTERVAL_LABEL))
        ));
    }
    labels.retain(|name, _| !name.starts_with(META_LABEL_PREFIX));
    if labels.value(INSTANCE_LABEL).is_empty() {
        labels.set(INSTANCE_LABEL, address);
    }
    let all = labels.build();
    let url = target_url(config, &all);
    let identity = identity_hash(&all, &url);
    let interval_ms = millis(interval).max(1);
    Ok(Some(ScrapeTarget {
        source: format!("{:016x}", source_of(&config.job_name, identity)),
        pool: config.job_name.clone(),
        url,
        labels: WireLabels::from(&all.filtered(|name| !name.starts_with(RESERVED_LABEL_PREFIX))),
        discovered: WireLabels::from(discovered),
        interval_ms,
        timeout_ms: millis(timeout).max(1),
        offset_ms: offset_of(identity, interval).min(interval_ms - 1),
        forced_error: None,
    }))
}

fn scrape_duration(labels: &LabelsBuilder, label: &str, what: &str) -> Result<Duration, String> {
    let parsed = duration::parse(labels.value(label))
        .map_err(|error| format!("error parsing scrape {what}: {error}"))?;
    if parsed.is_zero() {
        return Err(format!("scrape {what} cannot be 0"));
    }
    Ok(parsed)
}

/// What is fetched. Parameters are sorted by name, as Go encodes them; a `__param_` label replaces the first value.
fn target_url(config: &ScrapeConfig, labels: &Labels) -> String {
    let mut params: Vec<(String, Vec<String>)> = config.params.clone();
    for (name, value) in labels.iter().filter_map(|(n, v)| Some((n.strip_prefix(PARAM_LABEL_PREFIX)?, v))) {
        match params.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => match values.first_mut() {
                Some(first) => value.clone_into(first),
                None => values.push(value.to_owned()),
            },
            None => params.push((name.to_owned(), vec![value.to_owned()])),
        }
    }
    params.sort();
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, values) in &params {
        for value in values {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    let path = labels.value(METRICS_PATH_LABEL);
    let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
    let (scheme, address) = (labels.value(SCHEME_LABEL), labels.value(ADDRESS_LABEL));
    let question = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{address}{slash}{path}{question}{query}")
}

/// Prometheus's `Target.hash`: FNV-1a of the labels' hash, as 16 decimal digits, and the URL.
fn identity_hash(labels: &Labels, url: &str) -> u64 {
    let text = format!("{:016}{url}", labels.hash());
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The same target in two scrape pools is two sources.
fn source_of(job: &str, identity: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(job.as_bytes(), identity)
}

/// How far into its interval a target is scraped, ms: the hash modulo the interval's nanoseconds, as in Prometheus.
fn offset_of(identity: u64, interval: Duration) -> u64 {
    let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
    identity % interval_ns / 1_000_000
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
