//! The one place where adapters, store and handlers are put together.

use std::sync::Arc;

use api::Api;
use compactor_function::{Collector, Compactor};
use control::ConfigCache;
use discovery::PackSettings;
use discovery_function::Discovery;
use ingest_function::Ingest;
use platform::Platform;
use platform_local::LocalQueue;
use promql::EngineOptions;
use query_function::{QueryDeployment, QuerySettings};
use ruler_function::{RulePlanner, Ruler, RulerSettings};
use scraper_function::Scraper;
use telemetry::Metrics;
use tsdb::Store;

use super::files::environment;
use super::flags::ServeFlags;
use super::reload::Reloader;

/// Everything that runs.
pub(crate) struct Wired {
    pub(crate) platform: Platform,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) store: Arc<Store>,
    pub(crate) discovery: Discovery,
    pub(crate) scraper: Scraper,
    pub(crate) compactor: Compactor,
    pub(crate) collector: Collector,
    pub(crate) rule_planner: RulePlanner,
    pub(crate) ruler: Ruler,
    /// Where others push, if they may.
    pub(crate) ingest: Option<Arc<Ingest>>,
    pub(crate) api: Api,
}

/// The queues as this process has them, with their depths.
pub(crate) struct Queues {
    pub(crate) scrape: Arc<LocalQueue>,
    pub(crate) rule: Arc<LocalQueue>,
}

/// Puts everything together over a platform.
pub(crate) fn wire(
    flags: &ServeFlags,
    platform: &Platform,
    metrics: &Arc<Metrics>,
    reloader: &Arc<Reloader>,
) -> Wired {
    let configs = Arc::new(ConfigCache::new(platform.clone(), environment));
    let store = Arc::new(Store::new(platform.clone(), store_settings(flags)));
    let engine = EngineOptions {
        lookback_delta_ms: millis(flags.lookback_delta),
        samples_max: flags.query_max_samples,
        features: flags.promql_features(),
        ..EngineOptions::default()
    };
    let hostname = hostname();
    let external_url = flags.external_url(&hostname);
    let deployment = QueryDeployment::new(
        platform.clone(),
        Arc::clone(&configs),
        Arc::clone(&store),
        query_settings(flags, platform, reloader, hostname, external_url.clone()),
    );
    let ruler_settings = RulerSettings {
        engine,
        external_url,
        resend_delay: flags.resend_delay,
        query_timeout: flags.query_timeout,
    };
    Wired {
        platform: platform.clone(),
        metrics: Arc::clone(metrics),
        store: Arc::clone(&store),
        discovery: Discovery::new(
            platform.clone(),
            Arc::clone(&configs),
            Arc::clone(metrics),
            PackSettings::default(),
        ),
        scraper: Scraper::new(
            platform.clone(),
            Arc::clone(&configs),
            Arc::clone(&store),
            Arc::clone(metrics),
        ),
        compactor: Compactor::new(Arc::clone(&store), Arc::clone(metrics)),
        collector: Collector::new(platform.clone(), Arc::clone(&store)).counting(Arc::clone(metrics)),
        rule_planner: RulePlanner::new(platform.clone(), Arc::clone(&configs), Arc::clone(&store)),
        ingest: flags
            .enable_remote_write_receiver
            .then(|| Arc::new(Ingest::new(platform.clone(), Arc::clone(&store), Arc::clone(metrics)))),
        ruler: Ruler::new(platform.clone(), configs, Arc::clone(&store), Arc::clone(metrics), ruler_settings),
        api: Api {
            exemplars: Arc::<Store>::clone(&store),
            metadata: Arc::<Store>::clone(&store),
            queryable: store,
            deployment: Arc::new(deployment.with_admin(flags.enable_admin_api)),
            clock: Arc::clone(&platform.clock),
            engine,
            query_timeout: flags.query_timeout,
        },
    }
}

/// One process on one machine: its clock is the only one, and its writes take milliseconds.
const LATE_BOUND_MS: i64 = 30_000;
const GRACE_MS: i64 = 45_000;

fn store_settings(flags: &ServeFlags) -> tsdb::Settings {
    let retention = (!flags.retention.is_zero()).then(|| millis(flags.retention));
    tsdb::Settings {
        window_ms: millis(flags.min_block_duration),
        late_bound_ms: LATE_BOUND_MS,
        grace_ms: GRACE_MS,
        retention_ms: retention,
        retention_bytes: (flags.retention_size > 0).then_some(flags.retention_size),
        staleness_gap_ms: tsdb::Settings::default().staleness_gap_ms.max(millis(flags.lookback_delta)),
        delete_consumed_rows: true,
        ..tsdb::Settings::default()
    }
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn query_settings(
    flags: &ServeFlags,
    platform: &Platform,
    reloader: &Arc<Reloader>,
    hostname: String,
    external_url: String,
) -> QuerySettings {
    let reloader = Arc::clone(reloader);
    let start_time = platform.clock.now_ms();
    let storage_retention = model::duration::format(flags.retention);
    let cwd = std::env::current_dir().map_or_else(|_| String::new(), |path| path.display().to_string());
    QuerySettings {
        flags: flags.as_pairs(),
        global_url: api::GlobalUrlOptions { listen_port: Some(flags.listen_address.port()), external_url },
        build_info: api::BuildInfo { version: env!("CARGO_PKG_VERSION").to_owned(), revision: String::new() },
        runtime_info: Arc::new(move || api::RuntimeInfo {
            start_time,
            cwd: cwd.clone(),
            hostname: hostname.clone(),
            reload_config_success: reloader.succeeded(),
            last_config_time: reloader.loaded_at(),
            storage_retention: storage_retention.clone(),
        }),
    }
}

/// The machine's name, or nothing where the system does not tell.
fn hostname() -> String {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())
        .unwrap_or_default()
        .trim()
        .to_owned()
}
