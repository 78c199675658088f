//! Which Alertmanagers alerts are sent to. Source: `notifier/alertmanager.go` of Prometheus.

use std::collections::BTreeSet;

use config::{AlertingConfig, AlertmanagerConfig, TargetGroup};
use model::Labels;
use model::relabel;
use platform::Files;
use wire::Alertmanager;

use crate::discover::{LastGood, groups};
use crate::target::{ADDRESS_LABEL, SCHEME_LABEL};

/// Holds the path that alerts are posted to; relabelling may change it.
const PATH_LABEL: &str = "__alerts_path__";

/// All Alertmanagers of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alertmanagers {
    /// Those that alerts are sent to, each URL once an entry.
    pub active: Vec<Alertmanager>,
    /// URLs of those that relabelling dropped, as they were before it.
    pub dropped: Vec<String>,
    /// What could not be read, and groups with an impossible address.
    pub errors: Vec<String>,
}

/// The Alertmanagers that alerts are sent to. What is wrong is logged.
pub async fn alertmanagers(
    config: &AlertingConfig,
    files: &dyn Files,
    cache: &mut LastGood,
) -> Vec<Alertmanager> {
    let found = discover_alertmanagers(config, files, cache).await;
    for error in &found.errors {
        tracing::error!("Alertmanager discovery: {error}");
    }
    found.active
}

/// Finds the Alertmanagers of `config`, those that relabelling drops included.
pub async fn discover_alertmanagers(
    config: &AlertingConfig,
    files: &dyn Files,
    cache: &mut LastGood,
) -> Alertmanagers {
    let mut found = Alertmanagers::default();
    for (entry, alertmanager) in config.alertmanagers.iter().enumerate() {
        let mut seen = BTreeSet::new();
        for group in groups(&alertmanager.discovery, files, cache, &mut found.errors).await {
            match from_group(alertmanager, &group) {
                Ok((active, dropped)) => {
                    let fresh = active.into_iter().filter(|url| seen.insert(url.clone()));
                    found.active.extend(fresh.map(|url| Alertmanager { url, entry }));
                    found.dropped.extend(dropped);
                }
                Err(error) => found.errors.push(format!("group {}: {error}", group.source)),
            }
        }
    }
    found
}

/// URLs of those that are kept and of those that are dropped.
fn from_group(
    config: &AlertmanagerConfig,
    group: &TargetGroup,
) -> Result<(Vec<String>, Vec<String>), String> {
    let (mut active, mut dropped) = (Vec::new(), Vec::new());
    for target in &group.targets {
        let mut labels = target.to_builder();
        labels.set(SCHEME_LABEL, config.scheme.as_str());
        labels.set(PATH_LABEL, post_path(&config.path_prefix));
        for (name, value) in &group.labels {
            if target.get(name).is_none() {
                labels.set(name, value);
            }
        }
        let before = labels.build();
        let Some(after) = relabel::process(&before, &config.relabel_configs) else {
            dropped.push(url(&before));
            continue;
        };
        config::check_target_address(after.value(ADDRESS_LABEL))?;
        active.push(url(&after));
    }
    Ok((active, dropped))
}

fn url(labels: &Labels) -> String {
    crate::url::format(labels.value(SCHEME_LABEL), labels.value(ADDRESS_LABEL), labels.value(PATH_LABEL), "")
}

fn post_path(prefix: &str) -> String {
    config::clean_path(&format!("/{prefix}/api/v2/alerts"))
}

#[cfg(test)]
mod tests;
