//! What one function of the pipeline is.

use std::future::Future;
use std::time::Duration;

use crate::{Clock, Retry};

/// When an invocation must be over, on the clock's own time, ms since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub i64);

impl Deadline {
    /// The deadline that is `after` from now.
    #[must_use]
    pub fn after(clock: &dyn Clock, after: Duration) -> Self {
        Self(clock.now_ms().saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How much time is left; zero once it has passed.
    #[must_use]
    pub fn remaining(&self, clock: &dyn Clock) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(clock.now_ms())).unwrap_or(0))
    }
}

/// One function: discovery, scraper, compactor, ruler.
///
/// # Contract
/// - `handle` may run any number of times, and concurrently with itself, for one task.
/// - Its future may be dropped at any `.await`: that is a crash.
/// - It returns only when every effect that it promised is durable, and leaves nothing running.
pub trait Handler: Send + Sync {
    /// What it is asked to do; the message of its queue or schedule.
    type Task: Send;
    /// Why it could not.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Does the task.
    fn handle(
        &self,
        task: Self::Task,
        deadline: Deadline,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// What to do about an error.
    fn retry(error: &Self::Error) -> Retry;
}
