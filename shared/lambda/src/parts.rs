//! What a function is made of: made once, before the first event.

use std::sync::Arc;

use control::ConfigCache;
use platform::Platform;
use telemetry::Metrics;
use tsdb::Store;

use crate::dead_letters::DeadLetterQueue;
use crate::settings::Settings;
use crate::store::store_settings;

/// The parts of a function.
#[derive(Clone)]
pub struct Parts {
    /// The function's name.
    pub name: &'static str,
    /// Its settings.
    pub settings: Settings,
    /// Its ports.
    pub platform: Platform,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// The samples.
    pub store: Arc<Store>,
    /// The configurations.
    pub configs: Arc<ConfigCache>,
    /// Where messages go that can never be handled.
    pub dead_letters: Option<Arc<dyn DeadLetterQueue>>,
    /// When the process started, ms since the epoch.
    pub started_at: i64,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Parts {
    /// Parts over a platform; `environment` gives the variables that `external_labels` may name. Nothing is asked of
    /// the platform.
    pub fn new(
        name: &'static str,
        settings: Settings,
        platform: Platform,
        environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let store = Arc::new(Store::new(platform.clone(), store_settings(&settings)));
        Self {
            name,
            configs: Arc::new(ConfigCache::new(platform.clone(), environment)),
            metrics: Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"))),
            store,
            dead_letters: None,
            started_at: platform.clock.now_ms(),
            platform,
            settings,
        }
    }
}
