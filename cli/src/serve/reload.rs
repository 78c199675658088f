//! Loading the configuration, at the start and again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use control::ControlError;
use platform::Platform;
use telemetry::Metrics;
use tokio::sync::Mutex;

use super::files::{FilesError, bundle, environment, read_bundle};

/// What stands for the file name where there is no file.
const BUILT_IN: &str = "built-in configuration";

/// Where the configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConfigSource {
    /// A file, read again at each reload.
    File(PathBuf),
    /// No file: foxfire scrapes itself at this address.
    ScrapeItself(String),
}

/// Loads the configuration and publishes it. A configuration that is refused changes nothing.
pub(crate) struct Reloader {
    platform: Platform,
    source: ConfigSource,
    metrics: Arc<Metrics>,
    one_at_a_time: Mutex<()>,
    succeeded: AtomicBool,
    loaded_at: AtomicI64,
}

/// Why a configuration is not loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    /// A file cannot be read, or is refused.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// It is refused, or cannot be stored.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl Reloader {
    /// A loader over a platform.
    pub(crate) fn new(platform: Platform, source: ConfigSource, metrics: Arc<Metrics>) -> Self {
        Self {
            platform,
            source,
            metrics,
            one_at_a_time: Mutex::new(()),
            succeeded: AtomicBool::new(false),
            loaded_at: AtomicI64::new(0),
        }
    }

    /// Loads, validates and publishes the configuration; on failure the old one stays in force.
    pub(crate) async fn reload(&self) -> Result<(), ReloadError> {
        let _one_at_a_time = self.one_at_a_time.lock().await;
        let result = self.load().await;
        let now = self.platform.clock.now_ms();
        self.succeeded.store(result.is_ok(), Ordering::Relaxed);
        self.metrics.config_reloaded(result.is_ok(), now as f64 / 1000.0);
        if result.is_ok() {
            self.loaded_at.store(now, Ordering::Relaxed);
        }
        result
    }

    /// Whether the last attempt succeeded.
    pub(crate) fn succeeded(&self) -> bool {
        self.succeeded.load(Ordering::Relaxed)
    }

    /// When the configuration in force was loaded, ms since the epoch; 0 before the first.
    pub(crate) fn loaded_at(&self) -> i64 {
        self.loaded_at.load(Ordering::Relaxed)
    }

    async fn load(&self) -> Result<(), ReloadError> {
        let files = &*self.platform.files;
        let bundle = match &self.source {
            ConfigSource::File(path) => read_bundle(files, &path.to_string_lossy()).await?,
            ConfigSource::ScrapeItself(address) => bundle(files, BUILT_IN, scrape_itself(address)).await?,
        };
        let loaded = control::load_bundle("", &bundle, &environment)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let key = control::publish_config(&self.platform, &bundle).await?;
        tracing::info!(
            filename = bundle.path,
            scrape_configs = loaded.config.scrape_configs.len(),
            rule_groups = loaded.rule_groups.len(),
            version = key,
            "Completed loading of configuration file"
        );
        Ok(())
    }
}

fn scrape_itself(address: &str) -> String {
    format!(
        "global:\n  scrape_interval: 15s\n  evaluation_interval: 15s\nscrape_configs:\n  - job_name: foxfire\n    \
         static_configs:\n      - targets: ['{address}']\n"
    )
}
