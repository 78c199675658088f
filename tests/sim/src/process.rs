//! The real handlers, as one sandbox has them, and the sandboxes of a world.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::Api;
use compactor_function::{Collector, Compactor};
use control::ConfigCache;
use discovery::PackSettings;
use discovery_function::Discovery;
use platform::{FetchError, Fetcher, HttpRequest, HttpResponse, Platform, PlatformFuture};
use promql::EngineOptions;
use query_function::{QueryDeployment, QuerySettings};
use ruler_function::{RulePlanner, Ruler, RulerSettings};
use scraper_function::Scraper;
use telemetry::Metrics;
use tsdb::{Settings, Store};

use crate::fleet::{TASK_HEADER, TaskName, task_text};
use crate::lock;

/// Targets in a batch at most: small, so that which are together depends on which there are.
pub const BATCH: usize = 3;
/// How far apart the targets of a batch are due, ms.
pub const SPREAD_MS: u64 = 10_000;

/// One sandbox: everything that a process keeps between invocations.
pub struct Process {
    /// Its ports.
    pub platform: Platform,
    /// Its store.
    pub store: Arc<Store>,
    /// Its metrics.
    pub metrics: Arc<Metrics>,
    /// The discovery function.
    pub discovery: Discovery,
    /// The scraper function.
    pub scraper: Scraper,
    /// The planner of rule groups.
    pub planner: RulePlanner,
    /// The ruler function.
    pub ruler: Ruler,
    /// The compactor function.
    pub compactor: Compactor,
    /// The collector.
    pub collector: Collector,
    /// The query function.
    pub api: Api,
    task: Arc<Mutex<TaskName>>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

impl Process {
    /// A process that has just started.
    #[must_use]
    pub fn new(platform: Platform, settings: Settings) -> Arc<Self> {
        Self::with(platform, settings, Arc::new(Metrics::new("sim")))
    }

    /// A process that has just started, with these metrics, which take long to make.
    #[must_use]
    pub fn with(mut platform: Platform, settings: Settings, metrics: Arc<Metrics>) -> Arc<Self> {
        let task = Arc::new(Mutex::new(TaskName::default()));
        platform.fetcher = Arc::new(Tagging { inner: platform.fetcher, task: Arc::clone(&task) });
        let configs = Arc::new(ConfigCache::new(platform.clone(), |_| None));
        let store = Arc::new(Store::new(platform.clone(), settings));
        let pack = PackSettings { spread_ms_max: SPREAD_MS, targets_max: BATCH, ..PackSettings::default() };
        let discovery = Discovery::new(platform.clone(), Arc::clone(&configs), Arc::clone(&metrics), pack);
        let scraper =
            Scraper::new(platform.clone(), Arc::clone(&configs), Arc::clone(&store), Arc::clone(&metrics));
        let planner = RulePlanner::new(platform.clone(), Arc::clone(&configs), Arc::clone(&store));
        let ruler_settings = RulerSettings {
            engine: EngineOptions::default(),
            external_url: "http://foxfire".to_owned(),
            resend_delay: Duration::from_secs(60),
            query_timeout: Duration::from_secs(10),
        };
        let ruler = Ruler::new(
            platform.clone(),
            Arc::clone(&configs),
            Arc::clone(&store),
            Arc::clone(&metrics),
            ruler_settings,
        );
        let compactor = Compactor::new(Arc::clone(&store), Arc::clone(&metrics));
        let collector = Collector::new(platform.clone(), Arc::clone(&store));
        let api = api(&platform, &configs, &store);
        Arc::new(Self {
            platform,
            store,
            metrics,
            discovery,
            scraper,
            planner,
            ruler,
            compactor,
            collector,
            api,
            task,
        })
    }

    /// Says which task the scrapes from now on belong to.
    pub fn begin_task(&self, task: TaskName) {
        *lock(&self.task) = task;
    }
}

fn api(platform: &Platform, configs: &Arc<ConfigCache>, store: &Arc<Store>) -> Api {
    let settings = QuerySettings {
        flags: Vec::new(),
        global_url: api::GlobalUrlOptions::default(),
        build_info: api::BuildInfo::default(),
        runtime_info: Arc::new(api::RuntimeInfo::default),
    };
    let deployment = QueryDeployment::new(platform.clone(), Arc::clone(configs), Arc::clone(store), settings);
    let queryable: Arc<dyn storage::Queryable> = Arc::clone(store) as _;
    Api {
        queryable,
        deployment: Arc::new(deployment),
        clock: Arc::clone(&platform.clock),
        engine: EngineOptions::default(),
        query_timeout: Duration::from_secs(120),
    }
}

/// Tells the targets which task a scrape is part of.
struct Tagging {
    inner: Arc<dyn Fetcher>,
    task: Arc<Mutex<TaskName>>,
}

impl Fetcher for Tagging {
    fn fetch(&self, mut request: HttpRequest) -> PlatformFuture<'_, HttpResponse, FetchError> {
        let task = *lock(&self.task);
        request.headers.push((TASK_HEADER.to_owned(), task_text(task)));
        self.inner.fetch(request)
    }
}

/// Makes processes: with which settings and on what platform.
pub type MakeProcess = Arc<dyn Fn() -> Arc<Process> + Send + Sync>;

/// The idle sandboxes: each has one invocation at a time, and is reused.
pub struct Sandboxes {
    idle: Mutex<Vec<Arc<Process>>>,
    make: Mutex<MakeProcess>,
    started: AtomicU64,
}

impl fmt::Debug for Sandboxes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandboxes").field("started", &self.started).finish_non_exhaustive()
    }
}

/// More idle ones are let go.
const IDLE_MAX: usize = 8;

impl Sandboxes {
    /// None so far.
    #[must_use]
    pub fn new(make: MakeProcess) -> Self {
        Self { idle: Mutex::default(), make: Mutex::new(make), started: AtomicU64::new(0) }
    }

    /// An idle one, or a new one.
    #[must_use]
    pub fn take(&self) -> Arc<Process> {
        let idle = lock(&self.idle).pop();
        idle.unwrap_or_else(|| {
            self.started.fetch_add(1, Ordering::Relaxed);
            let make = Arc::clone(&*lock(&self.make));
            make()
        })
    }

    /// A new one that nobody else will get.
    #[must_use]
    pub fn fresh(&self) -> Arc<Process> {
        let make = Arc::clone(&*lock(&self.make));
        make()
    }

    /// One whose invocation has ended.
    pub fn put(&self, process: Arc<Process>) {
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE_MAX {
            idle.push(process);
        }
    }

    /// Lets all idle ones go: the next invocations are cold starts, by `make` where it is given.
    pub fn recycle(&self, make: Option<MakeProcess>) {
        lock(&self.idle).clear();
        if let Some(make) = make {
            *lock(&self.make) = make;
        }
    }

    /// How many there were.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }
}
