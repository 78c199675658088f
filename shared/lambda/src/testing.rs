//! For tests that replay sample events: a function over a platform whose time stands still.

mod counted;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use platform::{Clock, Deadline, FetchError, Fetcher, HttpRequest, HttpResponse, Platform, PlatformFuture};
use serde_json::Value;
use wire::{ConfigBundle, RuleFileText};

pub use counted::{Asked, Counts};

use crate::{Budget, Function, InvocationError, Parts, Settings};

/// The minute at which the sample events were made, ms: `2026-11-22T22:00:00Z`.
pub const SCHEDULED_AT: i64 = 1_795_384_800_000;
/// The configuration that the sample events name.
pub const CONFIG: &str = "config/01JDAXB7R0GJ2N4T5V6W7X8Y9Z-6f1d2c3b4a5968778695a4b3c2d1e0f1";
/// What every target answers.
pub const METRICS: &str = "node_load1 0.5\nnode_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 12.25\n";

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct StandingClock(AtomicI64);

impl StandingClock {
    /// Sets it, ms since the epoch.
    pub fn set(&self, now_ms: i64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for StandingClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn monotonic_ns(&self) -> u64 {
        self.now_ms().unsigned_abs().saturating_mul(1_000_000)
    }

    #[expect(clippy::disallowed_methods, reason = "who waits for something races it against time that passes")]
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Every request is answered with [`METRICS`].
struct Exporter;

impl Fetcher for Exporter {
    fn fetch(&self, _: HttpRequest) -> PlatformFuture<'_, HttpResponse, FetchError> {
        let answer = HttpResponse {
            status: 200,
            status_line: "200 OK".to_owned(),
            content_type: "text/plain; version=0.0.4".to_owned(),
            body: Bytes::from_static(METRICS.as_bytes()),
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// A function and what it works on.
#[derive(Debug)]
pub struct Replay {
    /// Its clock, at [`SCHEDULED_AT`] at first.
    pub clock: Arc<StandingClock>,
    /// Its parts.
    pub parts: Parts,
    /// What its stores are asked.
    pub counts: Arc<Counts>,
    function: Function,
}

impl Replay {
    /// A function over a platform, which gets another clock and a network where every target answers. `variables` are
    /// its environment besides the bucket and the table.
    ///
    /// # Panics
    /// Where the variables are wrong.
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    pub fn new(
        name: &'static str,
        mut platform: Platform,
        variables: &[(&str, &str)],
        wire: impl FnOnce(&Parts) -> Function,
    ) -> Self {
        let lookup = |name: &str| {
            let given =
                variables.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned());
            given
                .or_else(|| ["FOXFIRE_BUCKET", "FOXFIRE_TABLE"].contains(&name).then(|| "foxfire".to_owned()))
        };
        let settings = Settings::from_lookup(&lookup).unwrap_or_else(|error| panic!("{error}"));
        let clock = Arc::new(StandingClock(AtomicI64::new(SCHEDULED_AT)));
        platform.clock = Arc::<StandingClock>::clone(&clock);
        platform.fetcher = Arc::new(Exporter);
        let counts = counted::counted(&mut platform);
        let parts = Parts::new(name, settings, platform, |_| None);
        let function = wire(&parts);
        Self { clock, parts, counts, function }
    }

    /// Stores a configuration under the name that the sample events have for it, and puts it in force.
    ///
    /// # Panics
    /// Where it cannot be stored.
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    pub async fn configure(&self, prometheus_yml: &str, rules_yml: &str) {
        let rules = RuleFileText { path: "rules.yml".to_owned(), text: rules_yml.to_owned() };
        let bundle = ConfigBundle {
            v: 1,
            path: "prometheus.yml".to_owned(),
            prometheus_yml: prometheus_yml.to_owned(),
            rule_files: vec![rules],
        };
        let body = Bytes::from(wire::encode(&bundle));
        let stored = self.parts.platform.objects.create(CONFIG, body).await;
        let published = control::publish_config(&self.parts.platform, &bundle).await;
        if stored.is_err() || published.is_err() {
            panic!("{stored:?}, {published:?}");
        }
    }

    /// Invokes the function with the sample event of that name.
    ///
    /// # Errors
    /// As [`Function::invoke`].
    pub async fn invoke(&self, event: &str) -> Result<Value, InvocationError> {
        self.invoke_with(sample(event)).await
    }

    /// Invokes the function with an event.
    ///
    /// # Errors
    /// As [`Function::invoke`].
    pub async fn invoke_with(&self, event: Value) -> Result<Value, InvocationError> {
        let now = self.clock.now_ms();
        let budget = Budget { deadline: Deadline(now + 55_000), end: Deadline(now + 60_000) };
        self.function.invoke(event, budget).await
    }
}

/// The sample event of that name.
///
/// # Panics
/// Where there is none.
#[must_use]
#[expect(clippy::panic, reason = "a test fails by panicking")]
pub fn sample(event: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(format!("{event}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs a test that waits.
///
/// # Panics
/// Where there are no threads to be had.
#[expect(clippy::panic, reason = "a test fails by panicking")]
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap_or_else(|error| panic!("{error}")).block_on(test)
}
