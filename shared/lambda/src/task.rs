//! Handling one task: again where that may help, and isolated from its neighbours.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use platform::{Clock, Deadline, Handler, Retry};

/// A failure that may pass is met by another attempt after this pause, then after twice as long: a message that comes
/// back by its visibility alone is too late.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const ATTEMPTS_MAX: u32 = 3;

/// Why a task was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) reason: String,
    /// Whether another delivery may succeed.
    pub(crate) retry: bool,
}

impl Failed {
    pub(crate) fn for_ever(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry: false }
    }

    pub(crate) fn for_now(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry: true }
    }
}

/// What a task's handler has become.
pub(crate) type Work = BoxFuture<'static, Result<(), Failed>>;

/// Handles a task until it is done, can never be, or there is no time left for another attempt. A panic is a failure
/// of this task.
pub(crate) fn work<H>(handler: &Arc<H>, clock: &Arc<dyn Clock>, task: H::Task, deadline: Deadline) -> Work
where
    H: Handler + 'static,
    H::Task: Clone + Sync + 'static,
{
    let (handler, clock) = (Arc::clone(handler), Arc::clone(clock));
    let attempts = async move { attempts(&*handler, &*clock, task, deadline).await };
    Box::pin(AssertUnwindSafe(attempts).catch_unwind().map(|ended| {
        // The panic hook has logged where.
        ended.unwrap_or_else(|panic| Err(Failed::for_ever(format!("panicked: {}", panic_text(&*panic)))))
    }))
}

async fn attempts<H>(handler: &H, clock: &dyn Clock, task: H::Task, deadline: Deadline) -> Result<(), Failed>
where
    H: Handler,
    H::Task: Clone,
{
    let mut attempt = 1;
    loop {
        let Err(error) = handler.handle(task.clone(), deadline).await else { return Ok(()) };
        if H::retry(&error) == Retry::Never {
            return Err(Failed::for_ever(error.to_string()));
        }
        let pause = RETRY_PAUSE * attempt;
        if attempt == ATTEMPTS_MAX || deadline.remaining(clock) <= pause {
            return Err(Failed::for_now(error.to_string()));
        }
        tracing::warn!(%error, attempt, "a task failed and is tried again");
        clock.sleep(pause).await;
        attempt += 1;
    }
}

/// What a panic says.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}
