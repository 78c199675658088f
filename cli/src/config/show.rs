//! Printing the configuration in force.

use control::ConfigCache;
use platform::Platform;

use super::Deployment;
use crate::say;
use crate::serve::files::environment;

/// Prints what is in force on AWS.
pub(crate) async fn run(deployment: &Deployment) -> Result<(), String> {
    let platform = platform_aws::open(&deployment.options()).await.map_err(|error| error.to_string())?;
    say(describe(&platform).await?);
    Ok(())
}

/// The configuration as YAML, without its secrets, after a comment that says which one it is.
async fn describe(platform: &Platform) -> Result<String, String> {
    let configs = ConfigCache::new(platform.clone(), environment);
    let pointer = configs.current_pointer().await.map_err(|error| error.to_string())?;
    let loaded = configs.at(&pointer.key).await.map_err(|error| error.to_string())?;
    let mut text = format!("# {}, in force since {}\n", pointer.key, model::rfc3339::format(pointer.set_at));
    for entry in &loaded.rule_groups {
        let (file, group, rules) = (&entry.file, &entry.group.name, entry.group.rules.len());
        text.push_str(&format!("# {file}: group {group}, {rules} rules\n"));
    }
    text.push_str(loaded.config.redacted_yaml.trim_end());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use platform_local::LocalOptions;
    use wire::{ConfigBundle, RuleFileText};

    use super::*;

    #[test]
    fn what_is_in_force_is_shown_without_its_secrets() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let local = platform_local::open(&LocalOptions::new(directory.path())).unwrap();
            assert_eq!(describe(&local.platform).await.unwrap_err(), "no configuration has been loaded");
            let yaml = "scrape_configs:\n- job_name: j\n  basic_auth: {username: u, password: hunter2}\n";
            let rules = "groups: [{name: g, rules: [{record: r, expr: up}]}]".to_owned();
            let bundle = ConfigBundle {
                v: 1,
                path: "prometheus.yml".to_owned(),
                prometheus_yml: yaml.to_owned(),
                rule_files: vec![RuleFileText { path: "rules.yml".to_owned(), text: rules }],
            };
            let key = control::publish_config(&local.platform, &bundle).await.unwrap();
            let text = describe(&local.platform).await.unwrap();
            assert!(text.starts_with(&format!("# {key}, in force since 20")), "{text}");
            assert!(text.contains("# rules.yml: group g, 1 rules\n"), "{text}");
            assert!(text.contains("job_name: j") && text.contains("<secret>"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        });
    }
}
