//! Putting a configuration in force.

use bytes::Bytes;
use clap::Args;
use platform::{FileError, Files, Platform, PlatformFuture};
use platform_aws::AwsFiles;
use platform_local::LocalFiles;
use wire::ConfigBundle;

use super::Deployment;
use super::files::{FilesIn, referenced};
use crate::serve::files::{environment, read_bundle};
use crate::{complain, say};

/// A file of targets or a secret may be at most so large.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Which configuration, and where to.
#[derive(Debug, Args)]
pub(crate) struct PushFlags {
    #[command(flatten)]
    deployment: Deployment,
    /// The configuration file. Relative paths in it are relative to its directory.
    #[arg(value_name = "FILE", default_value = "prometheus.yml")]
    file: String,
}

/// Where the files go that a configuration names.
pub(crate) trait Upload: Sync {
    /// Puts a file, over what was there.
    fn put<'a>(&'a self, path: &'a str, body: Bytes) -> PlatformFuture<'a, (), FileError>;
}

impl Upload for AwsFiles {
    fn put<'a>(&'a self, path: &'a str, body: Bytes) -> PlatformFuture<'a, (), FileError> {
        Box::pin(AwsFiles::put(self, path, body))
    }
}

/// Pushes a configuration to AWS.
pub(crate) async fn run(flags: &PushFlags) -> Result<(), String> {
    let options = flags.deployment.options();
    let platform = platform_aws::open(&options).await.map_err(|error| error.to_string())?;
    let uploads = platform_aws::open_files(&options).await.map_err(|error| error.to_string())?;
    push(&flags.file, &LocalFiles, &platform, &uploads).await
}

/// Validates the configuration file `path` before anything is changed; uploads what it names before it comes in force.
async fn push(
    path: &str,
    files: &dyn Files,
    platform: &Platform,
    uploads: &dyn Upload,
) -> Result<(), String> {
    let (directory, name) = match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((directory, name)) => (directory, name),
        None => ("", path),
    };
    let files = FilesIn { directory, files };
    let bundle = read_bundle(&files, name).await.map_err(|error| error.to_string())?;
    let loaded = control::load_bundle("", &bundle, &environment).map_err(|error| error.to_string())?;
    for warning in &loaded.warnings {
        complain(format_args!("WARNING: {warning}"));
    }
    let bodies = gather(&loaded.config, &files).await?;
    for (path, body) in &bodies {
        uploads.put(path, body.clone()).await.map_err(|error| error.to_string())?;
        say(format_args!("Uploaded {path}"));
    }
    let key = control::publish_config(platform, &bundle).await.map_err(|error| error.to_string())?;
    say(format_args!("{}", summary(&bundle, &loaded, &key)));
    Ok(())
}

/// Everything that the configuration names, read whole: all or nothing is uploaded.
async fn gather(config: &config::Config, files: &dyn Files) -> Result<Vec<(String, Bytes)>, String> {
    let referenced = referenced(config);
    let mut paths = referenced.secrets;
    for pattern in referenced.patterns {
        let found = files.glob(&pattern).await.map_err(|error| error.to_string())?;
        if found.is_empty() {
            complain(format_args!("WARNING: {pattern} matches no file"));
        }
        paths.extend(found);
    }
    let mut bodies = Vec::with_capacity(paths.len());
    for path in paths {
        // Refused here rather than by the bucket, in the middle of the uploads.
        platform_aws::file_key(&path).map_err(|error| error.to_string())?;
        let body = files.read(&path, FILE_BYTES_MAX).await.map_err(|error| error.to_string())?;
        bodies.push((path, Bytes::from(body)));
    }
    Ok(bodies)
}

fn summary(bundle: &ConfigBundle, loaded: &control::Loaded, key: &str) -> String {
    let jobs = loaded.config.scrape_configs.len();
    let groups = loaded.rule_groups.len();
    let files = bundle.rule_files.len();
    format!("In force: {key} ({jobs} scrape configs, {groups} rule groups in {files} rule files)")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use platform_local::{LocalOptions, LocalPlatform};

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<BTreeMap<String, Bytes>>);

    impl Upload for Kept {
        fn put<'a>(&'a self, path: &'a str, body: Bytes) -> PlatformFuture<'a, (), FileError> {
            self.0.lock().unwrap().insert(path.to_owned(), body);
            Box::pin(std::future::ready(Ok(())))
        }
    }

    const CONFIG: &str = "rule_files: ['rules/*.yml']
scrape_configs:
- job_name: node
  basic_auth: {username: u, password_file: secrets/password}
  file_sd_configs:
  - files: ['targets/*.json', 'none/*.yml']
alerting:
  alertmanagers:
  - file_sd_configs:
    - files: [alertmanagers.json]
";

    struct Folder {
        directory: tempfile::TempDir,
        local: LocalPlatform,
        kept: Kept,
    }

    impl Folder {
        fn new(config: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let local = platform_local::open(&LocalOptions::new(directory.path().join("data"))).unwrap();
            let folder = Self { directory, local, kept: Kept::default() };
            for (name, text) in [
                ("prometheus.yml", config),
                ("rules/a.yml", "groups: [{name: g, rules: [{record: r, expr: up}]}]"),
                ("secrets/password", "hunter2"),
                ("targets/a.json", "[]"),
                ("targets/b.json", "[]"),
                ("alertmanagers.json", "[]"),
            ] {
                let path = folder.directory.path().join("conf").join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            folder
        }

        fn push(&self) -> Result<(), String> {
            let path = self.directory.path().join("conf/prometheus.yml");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(push(path.to_str().unwrap(), &LocalFiles, &self.local.platform, &self.kept))
        }

        fn in_force(&self) -> Result<control::Loaded, String> {
            let configs = control::ConfigCache::new(self.local.platform.clone(), |_| None);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let loaded = runtime.block_on(configs.current()).map_err(|error| error.to_string())?;
            Ok((*loaded).clone())
        }
    }

    #[test]
    fn a_deployment_knows_files_by_the_paths_of_the_configuration_not_of_the_machine() {
        let folder = Folder::new(CONFIG);
        folder.push().unwrap();
        let kept = folder.kept.0.lock().unwrap();
        let paths: Vec<&str> = kept.keys().map(String::as_str).collect();
        assert_eq!(paths, ["alertmanagers.json", "secrets/password", "targets/a.json", "targets/b.json"]);
        assert_eq!(kept["secrets/password"], "hunter2");
        let loaded = folder.in_force().unwrap();
        assert_eq!(loaded.rule_groups[0].file, "rules/a.yml");
        assert_eq!(referenced(&loaded.config).secrets.first().map(String::as_str), Some("secrets/password"));
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        for (config, reason) in [
            ("scrape_configs: nonsense\n", "prometheus.yml"),
            (&CONFIG.replace("secrets/password", "secrets/missing"), "secrets/missing: no such file"),
            (&CONFIG.replace("secrets/password", "../data/rows.redb"), "leads out of the bucket"),
            (&CONFIG.replace("up}", "up("), ""),
        ] {
            let folder = Folder::new(config);
            if reason.is_empty() {
                let rules = folder.directory.path().join("conf/rules/a.yml");
                std::fs::write(rules, "groups: [{name: g, rules: [{record: r, expr: 'up('}]}]").unwrap();
            }
            let error = folder.push().unwrap_err();
            assert!(error.contains(reason), "{reason}: {error}");
            assert!(folder.kept.0.lock().unwrap().is_empty(), "{reason}");
            assert_eq!(folder.in_force().unwrap_err(), "no configuration has been loaded");
        }
    }
}
