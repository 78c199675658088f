//! Running handlers: once, or for the messages of a queue, many at once.
//!
//! Handlers that compute for long (compaction, rules) run on threads that may block, beside those that serve sockets: a
//! rule that takes a minute must not hold up a scrape.

use std::sync::Arc;
use std::time::Duration;

use platform::{Clock, Deadline, Handler, Message, Queue, Retry};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::metering::{Trigger, as_function};
use super::pipeline::Stop;
use super::wiring::Wired;

/// Bound on one invocation, as on Lambda.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// A message that was not handled by then is delivered again: later than any invocation lasts, so that none meets its
/// own twin.
const VISIBILITY: Duration = Duration::from_secs(16 * 60);
/// A failure that may pass is met by another attempt after this pause, then after twice as long: a message that comes
/// back by its visibility alone is too late.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const ATTEMPTS_MAX: u32 = 3;
const RECEIVE_WAIT: Duration = Duration::from_secs(1);
const MESSAGES_MAX: usize = 10;

/// A function of the pipeline, and how it is run.
pub(crate) struct Function<H> {
    /// Its name in logs and metrics.
    pub(crate) name: &'static str,
    /// Where its handler is.
    pub(crate) handler: fn(&Wired) -> &H,
    /// What makes it run.
    pub(crate) trigger: Trigger,
    /// Whether it computes for long.
    pub(crate) computes: bool,
}

impl<H> Clone for Function<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Function<H> {}

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Done.
    Done,
    /// Failed, and would again.
    Never,
    /// Failed; another attempt may succeed.
    Later,
}

/// Takes messages and has up to `workers` of them handled at once, until `stop`; then waits for those.
pub(crate) async fn work<H>(
    wired: Arc<Wired>,
    queue: Arc<dyn Queue>,
    function: Function<H>,
    workers: usize,
    mut stop: Stop,
) where
    H: Handler + 'static,
    H::Task: DeserializeOwned + Clone + 'static,
{
    let slots = Arc::new(Semaphore::new(workers));
    let mut working = JoinSet::new();
    loop {
        while working.try_join_next().is_some() {}
        // No message is taken before somebody is free to handle it.
        let received = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            received = receive(&*queue, &slots) => received,
        };
        let messages = received.unwrap_or_else(|error| {
            tracing::error!(%error, queue = function.name, "receiving failed");
            Vec::new()
        });
        for message in messages {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
            let (wired, queue) = (Arc::clone(&wired), Arc::clone(&queue));
            working.spawn(async move {
                let _slot = slot;
                handle_message(function, &*queue, message, &wired).await;
            });
        }
    }
    while working.join_next().await.is_some() {}
}

/// Runs a handler, again after a pause where that may help.
pub(crate) async fn invoke<H>(function: Function<H>, wired: &Arc<Wired>, task: H::Task) -> Ended
where
    H: Handler + 'static,
    H::Task: Clone + 'static,
{
    let mut attempt = 1;
    loop {
        let ended = invoke_once(function, wired, task.clone()).await;
        if ended != Ended::Later || attempt == ATTEMPTS_MAX {
            return ended;
        }
        wired.platform.clock.sleep(RETRY_PAUSE * attempt).await;
        attempt += 1;
    }
}

async fn receive(queue: &dyn Queue, slots: &Semaphore) -> Result<Vec<Message>, platform::PlatformError> {
    let free = slots.acquire().await;
    drop(free);
    queue.receive(slots.available_permits().clamp(1, MESSAGES_MAX), VISIBILITY, RECEIVE_WAIT).await
}

/// Handles one message, and deletes it once it is done or can never be.
async fn handle_message<H>(function: Function<H>, queue: &dyn Queue, message: Message, wired: &Arc<Wired>)
where
    H: Handler + 'static,
    H::Task: DeserializeOwned + Clone + 'static,
{
    let ended = match wire::decode::<H::Task>("task", &message.body) {
        Ok(task) => invoke(function, wired, task).await,
        Err(error) => {
            tracing::error!(%error, function = function.name, "dropping a message that is no task");
            Ended::Never
        }
    };
    if ended != Ended::Later
        && let Err(error) = queue.delete(&message.receipt).await
    {
        let function = function.name;
        tracing::warn!(%error, function, "deleting a handled message failed; it will be delivered again");
    }
}

async fn invoke_once<H>(function: Function<H>, wired: &Arc<Wired>, task: H::Task) -> Ended
where
    H: Handler + 'static,
    H::Task: 'static,
{
    if !function.computes {
        return run(function, wired, task).await;
    }
    let (runtime, wired) = (tokio::runtime::Handle::current(), Arc::clone(wired));
    let computed = tokio::task::spawn_blocking(move || runtime.block_on(run(function, &wired, task))).await;
    computed.unwrap_or_else(|error| {
        tracing::error!(%error, function = function.name, "function failed unexpectedly");
        Ended::Later
    })
}

async fn run<H: Handler>(function: Function<H>, wired: &Wired, task: H::Task) -> Ended {
    let (name, clock) = (function.name, &*wired.platform.clock);
    let started = clock.monotonic_ns();
    let handling = (function.handler)(wired).handle(task, Deadline::after(clock, INVOCATION_TIMEOUT));
    let handling = tokio::time::timeout(INVOCATION_TIMEOUT, handling);
    let result = as_function(name, function.trigger, &wired.metrics, clock, handling).await;
    let outcome = if matches!(result, Ok(Ok(()))) { "ok" } else { "error" };
    wired.metrics.task(name, outcome, seconds_since(clock, started));
    match result {
        Ok(Ok(())) => Ended::Done,
        Ok(Err(error)) => {
            let never = H::retry(&error) == Retry::Never;
            tracing::error!(%error, function = name, retry = !never, "function failed");
            if never { Ended::Never } else { Ended::Later }
        }
        Err(_) => {
            tracing::error!(function = name, "function took too long and was given up");
            Ended::Never
        }
    }
}

fn seconds_since(clock: &dyn Clock, started_ns: u64) -> f64 {
    clock.monotonic_ns().saturating_sub(started_ns) as f64 / 1e9
}
