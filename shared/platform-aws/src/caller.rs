//! Attempts of one call: their number, their time, and what is known when they are over.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use platform::{Billed, Clock, Entropy, Meter, PlatformError};
use platform_system::{SystemClock, SystemEntropy};

use crate::failure::Failure;

/// Attempts of one call.
const ATTEMPTS_MAX: u32 = 10;

/// No attempt begins later than this after the first one: who calls has a deadline of its own.
const ATTEMPTS_WITHIN: Duration = Duration::from_secs(15);

/// The time of an attempt, beside what its body needs.
const ATTEMPT_MAX: Duration = Duration::from_secs(5);

/// Bytes of a body that travel in a second at the very least.
const BYTES_PER_SECOND_MIN: u64 = 2 << 20;

/// The longest wait before the second attempt; it doubles from there.
const WAIT_FIRST: Duration = Duration::from_millis(40);

/// The longest wait before any attempt.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Makes calls.
pub(crate) struct Caller {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) meter: Arc<dyn Meter>,
}

/// One call of a port.
pub(crate) struct Call {
    /// The service, as it is metered.
    pub(crate) service: &'static str,
    /// The service's operation, as it is metered.
    pub(crate) operation: &'static str,
    /// The port's method and key, as errors tell it.
    pub(crate) what: String,
    /// Whether it changes anything, so that its outcome can be unknown.
    pub(crate) changes: bool,
    /// The time of one attempt.
    pub(crate) timeout: Duration,
}

impl Call {
    /// A call that changes nothing.
    pub(crate) fn read(service: &'static str, operation: &'static str, what: String) -> Self {
        Self { service, operation, what, changes: false, timeout: ATTEMPT_MAX }
    }

    /// A call that changes something.
    pub(crate) fn change(service: &'static str, operation: &'static str, what: String) -> Self {
        Self { changes: true, ..Self::read(service, operation, what) }
    }

    /// With time for a body of so many bytes.
    pub(crate) fn with_body(self, bytes: u64) -> Self {
        let more = Duration::from_millis(bytes.saturating_mul(1_000) / BYTES_PER_SECOND_MIN);
        Self { timeout: self.timeout.saturating_add(more), ..self }
    }

    /// With so much more time.
    pub(crate) fn with_wait(self, wait: Duration) -> Self {
        Self { timeout: self.timeout.saturating_add(wait), ..self }
    }
}

impl Caller {
    /// With the system's time and randomness.
    pub(crate) fn of_the_system(meter: &Arc<dyn Meter>) -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy::new()),
            meter: Arc::clone(meter),
        }
    }

    /// Attempts a call until it is done, fails for good, or its attempts or its time are used up. Each attempt is told
    /// whether an earlier one may have taken effect.
    ///
    /// # Errors
    /// - What made it fail for good.
    /// - `Throttled` where no attempt has changed anything, nor will.
    /// - `Ambiguous` where one may have, or still may.
    pub(crate) async fn call<T, F, A>(&self, call: Call, mut attempt: F) -> Result<T, PlatformError>
    where
        F: FnMut(bool) -> A + Send,
        A: Future<Output = Result<T, Failure>> + Send,
    {
        let began_ns = self.clock.monotonic_ns();
        let mut unknown: Option<String> = None;
        let mut attempts = 0;
        loop {
            let failure = match tokio::time::timeout(call.timeout, attempt(unknown.is_some())).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(failure)) => failure,
                Err(_) => {
                    self.count_unanswered(&call);
                    Failure::Unknown(format!("no answer within {} ms", call.timeout.as_millis()))
                }
            };
            attempts += 1;
            let reason = match failure {
                Failure::Final(error) => return Err(outcome(call, unknown, error)),
                Failure::Refused(reason) => reason,
                Failure::Unknown(reason) => {
                    if call.changes {
                        unknown = Some(reason.clone());
                    }
                    reason
                }
            };
            let wait = self.wait(attempts);
            let spent = Duration::from_nanos(self.clock.monotonic_ns().saturating_sub(began_ns));
            if attempts >= ATTEMPTS_MAX || spent + wait > ATTEMPTS_WITHIN {
                tracing::warn!(operation = call.what, attempts, reason, "giving up a request to AWS");
                let error = PlatformError::Throttled { operation: call.what.clone() };
                return Err(outcome(call, unknown, error));
            }
            tracing::debug!(operation = call.what, attempts, reason, "another attempt of a request to AWS");
            self.clock.sleep(wait).await;
        }
    }

    /// Anything from nothing to a bound that doubles: callers that were refused together do not come back together.
    fn wait(&self, attempts: u32) -> Duration {
        let most = WAIT_FIRST.saturating_mul(1 << attempts.min(10).saturating_sub(1)).min(WAIT_MAX);
        let most_us = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.entropy.next_u64() % most_us.max(1))
    }

    /// An attempt that was abandoned is still a request, and most likely billed.
    fn count_unanswered(&self, call: &Call) {
        let Call { service, operation, .. } = *call;
        self.meter.count(Billed { service, operation, units: 1.0, sent: 0, received: 0 });
    }
}

/// What a call that ends with `error` has come to, where an earlier attempt may have taken effect.
fn outcome(call: Call, unknown: Option<String>, error: PlatformError) -> PlatformError {
    match unknown {
        Some(reason) => PlatformError::Ambiguous { operation: call.what, reason },
        None => error,
    }
}

#[cfg(test)]
mod tests;
