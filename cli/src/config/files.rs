//! The files of a configuration: seen from its directory, so that a deployment knows them by the same relative paths.

use std::collections::BTreeSet;

use config::{Config, FileSdConfig, HttpClientConfig, SecretSource};
use platform::{FileError, Files, PlatformFuture};

/// Files whose relative paths begin at a directory.
pub(crate) struct FilesIn<'a> {
    pub(crate) directory: &'a str,
    pub(crate) files: &'a dyn Files,
}

impl FilesIn<'_> {
    fn outside(&self, path: &str) -> String {
        if path.starts_with('/') || self.directory.is_empty() {
            path.to_owned()
        } else {
            format!("{}/{path}", self.directory.trim_end_matches('/'))
        }
    }

    fn inside(&self, path: String) -> String {
        let inside = path.strip_prefix(self.directory).filter(|_| !self.directory.is_empty());
        match inside {
            Some(rest) => rest.trim_start_matches('/').to_owned(),
            None => path,
        }
    }
}

impl Files for FilesIn<'_> {
    fn read<'a>(&'a self, path: &'a str, bytes_max: u64) -> PlatformFuture<'a, Vec<u8>, FileError> {
        Box::pin(async move { self.files.read(&self.outside(path), bytes_max).await })
    }

    fn glob<'a>(&'a self, pattern: &'a str) -> PlatformFuture<'a, Vec<String>, FileError> {
        Box::pin(async move {
            let relative = !pattern.starts_with('/');
            let paths = self.files.glob(&self.outside(pattern)).await?;
            Ok(if relative { paths.into_iter().map(|path| self.inside(path)).collect() } else { paths })
        })
    }
}

/// The files that a configuration refers to, besides its rule files, which are stored with it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Referenced {
    /// Paths of secrets: each must be there.
    pub(crate) secrets: BTreeSet<String>,
    /// Patterns of target files: there may be none yet.
    pub(crate) patterns: BTreeSet<String>,
}

/// What a configuration refers to.
pub(crate) fn referenced(config: &Config) -> Referenced {
    let mut referenced = Referenced::default();
    for job in &config.scrape_configs {
        referenced.http(&job.http);
        referenced.discovery(&job.discovery.file_sd_configs);
    }
    for alertmanager in &config.alerting.alertmanagers {
        referenced.http(&alertmanager.http);
        referenced.discovery(&alertmanager.discovery.file_sd_configs);
    }
    referenced
}

impl Referenced {
    fn http(&mut self, http: &HttpClientConfig) {
        let password = http.basic_auth.iter().map(|basic| &basic.password);
        let credentials = http.authorization.iter().map(|authorization| &authorization.credentials);
        for source in password.chain(credentials) {
            if let SecretSource::File(path) = source {
                self.secrets.insert(path.clone());
            }
        }
    }

    fn discovery(&mut self, configs: &[FileSdConfig]) {
        self.patterns.extend(configs.iter().flat_map(|config| config.files.iter().cloned()));
    }
}
