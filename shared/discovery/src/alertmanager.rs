//! Where alerts are sent: Alertmanagers are discovered as targets are.

use config::{AlertingConfig, AlertmanagerConfig, TargetGroup};
use model::{Labels, relabel};
use platform::Files;
use wire::Alertmanager;

use crate::groups::{LastGood, run};
use crate::target::ADDRESS_LABEL;

const SCHEME_LABEL: &str = "__scheme__";
/// The label that holds the path, as in `notifier/alertmanagers.go`.
const PATH_LABEL: &str = "__alerts_path__";
const ALERTS_PATH: &str = "api/v2/alerts";

/// The Alertmanagers of every entry of `alerting.alertmanagers`, each URL once.
pub async fn alertmanagers(
    config: &AlertingConfig,
    files: &dyn Files,
    last_good: &mut LastGood,
) -> Vec<Alertmanager> {
    let mut found: Vec<Alertmanager> = Vec::new();
    for (entry, alertmanager) in config.alertmanagers.iter().enumerate() {
        let job = run(&alertmanager.discovery, files, last_good, &mut Vec::new()).await;
        for error in &job.errors {
            tracing::error!("Alertmanager discovery: {error}");
        }
        for url in job.groups.iter().flat_map(|group| urls(alertmanager, group)) {
            if !found.iter().any(|known| known.url == url) {
                found.push(Alertmanager { url, entry });
            }
        }
    }
    found
}

fn urls(config: &AlertmanagerConfig, group: &TargetGroup) -> Vec<String> {
    let url = |target: &Labels| {
        let mut labels = group.labels.to_builder();
        for (name, value) in target {
            labels.set(name, value);
        }
        labels.set(SCHEME_LABEL, config.scheme.as_str());
        labels.set(PATH_LABEL, alerts_path(&config.path_prefix));
        let labels = relabel::process(&labels.build(), &config.relabel_configs)?;
        let address = labels.get(ADDRESS_LABEL)?;
        Some(format!("{}://{address}{}", labels.value(SCHEME_LABEL), labels.value(PATH_LABEL)))
    };
    group.targets.iter().filter_map(url).collect()
}

fn alerts_path(prefix: &str) -> String {
    config::clean_path(&format!("/{prefix}/{ALERTS_PATH}"))
}

#[cfg(test)]
mod tests {
    use super::alerts_path;

    #[test]
    fn the_path_prefix_goes_before_the_api() {
        assert_eq!(alerts_path("/"), "/api/v2/alerts");
        assert_eq!(alerts_path("/am/"), "/am/api/v2/alerts");
    }
}
