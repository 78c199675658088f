//! What the same work would use of AWS, counted by function as it is done here.
//!
//! ```text
//! workers, http ──► as_function(name, work) ──► handlers ──► metered ports ──► FunctionMeter ──► foxfire_aws_*
//! ```
//!
//! All functions share one process and one store here, so whose request it is follows from the task that makes it: handlers
//! spawn nothing.

use std::sync::Arc;

use platform::{Billed, Clock, Meter, Platform};
use telemetry::Metrics;

pub(crate) use cost::Trigger;

/// What no function does: loading the configuration, watching the store. On AWS nobody does it, or it costs nothing.
const PROCESS: &str = "process";

tokio::task_local! {
    static FUNCTION: &'static str;
}

/// Does a function's work: its requests are counted as the function's, and it as an invocation.
pub(crate) async fn as_function<F: Future>(
    function: &'static str,
    trigger: Trigger,
    metrics: &Metrics,
    clock: &dyn Clock,
    work: F,
) -> F::Output {
    let started = clock.monotonic_ns();
    let output = FUNCTION.scope(function, work).await;
    let seconds = clock.monotonic_ns().saturating_sub(started) as f64 / 1e9;
    metrics.invoked(function, trigger, seconds);
    output
}

/// The ports of a platform, counted.
pub(crate) fn metered(platform: &Platform, metrics: &Arc<Metrics>) -> Platform {
    let meter: Arc<dyn Meter> = Arc::new(FunctionMeter { metrics: Arc::clone(metrics) });
    platform_metered::metered(platform, &meter)
}

struct FunctionMeter {
    metrics: Arc<Metrics>,
}

impl Meter for FunctionMeter {
    fn count(&self, billed: Billed) {
        let function = FUNCTION.try_with(|function| *function).unwrap_or(PROCESS);
        self.metrics.billed(function, &billed);
    }
}
