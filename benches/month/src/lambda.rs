//! Functions as Lambda runs them: sandboxes that are reused one invocation at a time, and billed by the millisecond.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use api::Api;
use compactor_function::{Collector, Compactor};
use control::ConfigCache;
use cost::{Architecture, Requests, Trigger, Usage};
use discovery::PackSettings;
use discovery_function::Discovery;
use platform::{Billed, Meter, Platform};
use promql::EngineOptions;
use query_function::{QueryDeployment, QuerySettings};
use ruler_function::{RulePlanner, Ruler, RulerSettings};
use scraper_function::Scraper;
use storage_bench::stopwatch::time_on_core;
use telemetry::Metrics;
use tsdb::{Settings, Store};

use crate::fleet::Fleet;
use crate::place::Place;

/// Memory that makes a function's share one vCPU, MB.
const VCPU_MB: f64 = 1_769.0;
/// How much slower a whole vCPU of Lambda is than a core of the machine that this runs on: an assumption, for virtual time.
const SLOWER: f64 = 2.0;
/// A new sandbox takes so long until its first invocation begins, and that is billed, too.
const INIT_SECONDS: f64 = 0.08;
/// Lambda lets sandboxes go after about so long.
const SANDBOX_LIFE_MS: i64 = 2 * 3_600_000;

/// The functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Function {
    Discovery,
    Scraper,
    Compactor,
    Collector,
    Ruler,
    Query,
}

impl Function {
    /// As records of usage name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Scraper => "scraper",
            Self::Compactor => "compactor",
            Self::Collector => "collector",
            Self::Ruler => "ruler",
            Self::Query => "query",
        }
    }

    /// Its memory, MB.
    pub(crate) fn memory_mb(self) -> u32 {
        match self {
            Self::Discovery => 256,
            Self::Scraper => 512,
            Self::Ruler => 1_024,
            Self::Compactor | Self::Collector | Self::Query => 1_769,
        }
    }
}

/// What a process keeps between invocations.
pub(crate) struct Process {
    pub(crate) platform: Platform,
    pub(crate) discovery: Discovery,
    pub(crate) scraper: Scraper,
    pub(crate) planner: RulePlanner,
    pub(crate) ruler: Ruler,
    pub(crate) compactor: Compactor,
    pub(crate) collector: Collector,
    pub(crate) api: Api,
    started_ms: i64,
}

/// What all functions share.
pub(crate) struct Lambda {
    pub(crate) place: Place,
    fleet: Arc<Fleet>,
    settings: Settings,
    pack: PackSettings,
    idle: Mutex<Vec<(Function, Arc<Process>)>>,
    usage: Arc<Mutex<Usage>>,
    metrics: Arc<Metrics>,
    cold_starts: Mutex<u64>,
}

/// Counts for one function.
struct FunctionMeter {
    function: Function,
    usage: Arc<Mutex<Usage>>,
}

impl Meter for FunctionMeter {
    fn count(&self, billed: Billed) {
        let Billed { service, operation, units, sent, received } = billed;
        let requests = Requests { count: 1.0, units, sent: sent as f64, received: received as f64 };
        lock(&self.usage).function(self.function.name()).count(service, operation, requests);
    }
}

impl Lambda {
    pub(crate) fn new(place: Place, fleet: Arc<Fleet>, settings: Settings, pack: PackSettings) -> Arc<Self> {
        Arc::new(Self {
            place,
            fleet,
            settings,
            pack,
            idle: Mutex::default(),
            usage: Arc::default(),
            metrics: Arc::new(Metrics::new("month")),
            cold_starts: Mutex::new(0),
        })
    }

    /// What was used so far; counting begins anew.
    pub(crate) fn take_usage(&self) -> (Usage, u64) {
        (std::mem::take(&mut *lock(&self.usage)), std::mem::take(&mut *lock(&self.cold_starts)))
    }

    /// Runs an invocation of a function.
    pub(crate) async fn invoke<R, F>(
        self: &Arc<Self>,
        function: Function,
        trigger: Trigger,
        work: impl FnOnce(Arc<Process>) -> F,
    ) -> R
    where
        F: Future<Output = R> + Send + 'static,
    {
        let (process, mut seconds) = match self.warm(function) {
            Some(process) => (process, 0.0),
            None => {
                *lock(&self.cold_starts) += 1;
                (self.start(function).await, INIT_SECONDS)
            }
        };
        let clock = Arc::clone(&process.platform.clock);
        let before = clock.monotonic_ns();
        let timed = OnCore {
            work: Box::pin(work(Arc::clone(&process))),
            spent: Duration::ZERO,
            fleet: Arc::clone(&self.fleet),
        };
        let (result, on_core) = timed.await;
        let waited = clock.monotonic_ns().saturating_sub(before) as f64 / 1e9;
        seconds += waited;
        if self.place.is_virtual() {
            let share = (f64::from(function.memory_mb()) / VCPU_MB).min(1.0);
            seconds += on_core.as_secs_f64() * SLOWER / share;
        }
        let seconds = (seconds * 1e3).ceil() / 1e3;
        lock(&self.usage).function(function.name()).invoke(
            trigger,
            seconds,
            function.memory_mb(),
            Architecture::Arm64,
        );
        lock(&self.idle).push((function, process));
        result
    }

    /// The idle sandbox that was used last, as Lambda chooses.
    fn warm(&self, function: Function) -> Option<Arc<Process>> {
        let now = self.place.now_ms();
        let mut idle = lock(&self.idle);
        idle.retain(|(_, process)| now - process.started_ms < SANDBOX_LIFE_MS);
        let at = idle.iter().rposition(|(of, _)| *of == function)?;
        Some(idle.remove(at).1)
    }

    async fn start(&self, function: Function) -> Arc<Process> {
        let meter: Arc<dyn Meter> = Arc::new(FunctionMeter { function, usage: Arc::clone(&self.usage) });
        let platform = self.place.metered(&meter).await;
        let metrics = Arc::clone(&self.metrics);
        let configs = Arc::new(ConfigCache::new(platform.clone(), |_| None));
        let store = Arc::new(Store::new(platform.clone(), self.settings.clone()));
        let ruler_settings = RulerSettings {
            engine: EngineOptions::default(),
            external_url: "http://foxfire".to_owned(),
            resend_delay: Duration::from_secs(60),
            query_timeout: Duration::from_secs(10),
        };
        Arc::new(Process {
            discovery: Discovery::new(
                platform.clone(),
                Arc::clone(&configs),
                Arc::clone(&metrics),
                self.pack.clone(),
            ),
            scraper: Scraper::new(
                platform.clone(),
                Arc::clone(&configs),
                Arc::clone(&store),
                Arc::clone(&metrics),
            ),
            planner: RulePlanner::new(platform.clone(), Arc::clone(&configs), Arc::clone(&store)),
            ruler: Ruler::new(
                platform.clone(),
                Arc::clone(&configs),
                Arc::clone(&store),
                Arc::clone(&metrics),
                ruler_settings,
            ),
            compactor: Compactor::new(Arc::clone(&store), Arc::clone(&metrics)),
            collector: Collector::new(platform.clone(), Arc::clone(&store)),
            api: api(&platform, &configs, &store),
            started_ms: self.place.now_ms(),
            platform,
        })
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
    Api {
        queryable: Arc::clone(store) as _,
        exemplars: Arc::clone(store) as _,
        metadata: Arc::clone(store) as _,
        deployment: Arc::new(deployment),
        clock: Arc::clone(&platform.clock),
        engine: EngineOptions::default(),
        query_timeout: Duration::from_secs(120),
    }
}

/// Work, and the time on a core that it takes by itself.
struct OnCore<R> {
    work: Pin<Box<dyn Future<Output = R> + Send>>,
    spent: Duration,
    fleet: Arc<Fleet>,
}

impl<R> Future for OnCore<R> {
    type Output = (R, Duration);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (before, rendered) = (time_on_core().unwrap_or_default(), self.fleet.spent_ns());
        let polled = self.work.as_mut().poll(context);
        let took = time_on_core().unwrap_or_default().saturating_sub(before);
        let rendering = Duration::from_nanos(self.fleet.spent_ns() - rendered);
        self.spent += took.saturating_sub(rendering);
        match polled {
            Poll::Ready(result) => Poll::Ready((result, self.spent)),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
