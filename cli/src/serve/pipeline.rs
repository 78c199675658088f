//! The schedule and the workers: what EventBridge, SQS and Lambda do on AWS.
//!
//! ```text
//! every few seconds  ─► discovery and rule planner for the next window ─► queues (delay until due)
//! queue workers      ─► scraper, ruler; delete the message when its handler is done, else it is delivered again
//! every few seconds  ─► compactor          every ten minutes ─► collector
//! ```

use std::sync::Arc;
use std::time::Duration;

use platform::{Clock, Deadline, Handler, Message, Queue, Retry};
use serde::de::DeserializeOwned;
use telemetry::Metrics;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use wire::{CollectTask, CompactTask, DiscoverTask};

use super::wiring::Wired;

/// Length of a planning window: how soon a new target or configuration takes effect.
const WINDOW_MS: i64 = 5_000;
/// A window is planned so long before it begins.
const LEAD_MS: i64 = 1_000;
/// The machine slept, or was too busy: windows older than this are skipped, their scrapes are gaps.
const BEHIND_MS_MAX: i64 = 30_000;
const COMPACT_EVERY: Duration = Duration::from_secs(5);
const COLLECT_EVERY: Duration = Duration::from_secs(600);
/// Bound on one invocation, as on Lambda.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// A message whose handler has not succeeded by then is delivered again.
const VISIBILITY: Duration = Duration::from_secs(120);
const RECEIVE_WAIT: Duration = Duration::from_secs(1);
const MESSAGES_MAX: usize = 10;
/// So many messages of one queue are worked on at once.
const WORKERS: usize = 64;
/// After a stop is asked for, work that has begun gets this long.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Tells everybody to stop.
pub(crate) type Stop = watch::Receiver<bool>;

/// Runs the pipeline until `stop`, then lets work that has begun finish.
pub(crate) async fn run(wired: Arc<Wired>, stop: Stop) {
    let mut loops = JoinSet::new();
    loops.spawn(plan(Arc::clone(&wired), stop.clone()));
    loops.spawn(compact(Arc::clone(&wired), stop.clone()));
    loops.spawn(collect(Arc::clone(&wired), stop.clone()));
    let queue = Arc::clone(&wired.platform.scrape_queue);
    loops.spawn(work("scraper", Arc::clone(&wired), queue, |w| &w.scraper, stop.clone()));
    let queue = Arc::clone(&wired.platform.rule_queue);
    loops.spawn(work("ruler", Arc::clone(&wired), queue, |w| &w.ruler, stop.clone()));
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a loop of the pipeline failed");
        }
    }
}

/// Plans consecutive windows, each a little before it begins.
async fn plan(wired: Arc<Wired>, mut stop: Stop) {
    let clock = Arc::clone(&wired.platform.clock);
    let mut from = clock.now_ms();
    loop {
        let now = clock.now_ms();
        if now - from > BEHIND_MS_MAX {
            tracing::warn!(behind_ms = now - from, "Scheduling is behind; skipping what is overdue");
            from = now;
        }
        let task = DiscoverTask { from, until: from + WINDOW_MS };
        invoke("discovery", &wired.discovery, task.clone(), &*clock, &wired.metrics).await;
        invoke("rule_planner", &wired.rule_planner, task.clone(), &*clock, &wired.metrics).await;
        from = task.until;
        let pause = u64::try_from(from - LEAD_MS - clock.now_ms()).unwrap_or(0);
        if stopped_within(&mut stop, Duration::from_millis(pause)).await {
            return;
        }
    }
}

async fn compact(wired: Arc<Wired>, mut stop: Stop) {
    let clock = Arc::clone(&wired.platform.clock);
    while !stopped_within(&mut stop, COMPACT_EVERY).await {
        let task = CompactTask { tick: clock.now_ms() };
        invoke("compactor", &wired.compactor, task, &*clock, &wired.metrics).await;
    }
}

async fn collect(wired: Arc<Wired>, mut stop: Stop) {
    let clock = Arc::clone(&wired.platform.clock);
    while !stopped_within(&mut stop, COLLECT_EVERY).await {
        let task = CollectTask { tick: clock.now_ms() };
        invoke("collector", &wired.collector, task, &*clock, &wired.metrics).await;
    }
}

/// Whether a stop was asked for within `pause`.
async fn stopped_within(stop: &mut Stop, pause: Duration) -> bool {
    tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok()
}

/// Takes messages and has them handled, many at once.
async fn work<H>(
    name: &'static str,
    wired: Arc<Wired>,
    queue: Arc<dyn Queue>,
    handler: fn(&Wired) -> &H,
    mut stop: Stop,
) where
    H: Handler + 'static,
    H::Task: DeserializeOwned + 'static,
{
    let slots = Arc::new(Semaphore::new(WORKERS));
    let mut working = JoinSet::new();
    loop {
        while working.try_join_next().is_some() {}
        let received = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            received = queue.receive(MESSAGES_MAX, VISIBILITY, RECEIVE_WAIT) => received,
        };
        let messages = received.unwrap_or_else(|error| {
            tracing::error!(%error, queue = name, "receiving failed");
            Vec::new()
        });
        for message in messages {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
            let (wired, queue) = (Arc::clone(&wired), Arc::clone(&queue));
            working.spawn(async move {
                let _slot = slot;
                handle_message(name, handler(&wired), &*queue, message, &wired).await;
            });
        }
    }
    let finish = async { while working.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIMEOUT, finish).await.is_err() {
        tracing::warn!(
            function = name,
            "stopping with work unfinished; it is redone or missed after the next start"
        );
    }
}

/// Handles one message, and deletes it once it is done or can never be.
async fn handle_message<H>(
    name: &'static str,
    handler: &H,
    queue: &dyn Queue,
    message: Message,
    wired: &Wired,
) where
    H: Handler,
    H::Task: DeserializeOwned,
{
    let done = match wire::decode::<H::Task>("task", &message.body) {
        Ok(task) => invoke(name, handler, task, &*wired.platform.clock, &wired.metrics).await,
        Err(error) => {
            tracing::error!(%error, function = name, "dropping a message that is no task");
            true
        }
    };
    if done && let Err(error) = queue.delete(&message.receipt).await {
        tracing::warn!(%error, function = name, "deleting a handled message failed; it will be delivered again");
    }
}

/// Runs a handler once. Whether it is over: done, or never to succeed.
async fn invoke<H: Handler>(
    name: &'static str,
    handler: &H,
    task: H::Task,
    clock: &dyn Clock,
    metrics: &Metrics,
) -> bool {
    let started = clock.monotonic_ns();
    let result = handler.handle(task, Deadline::after(clock, INVOCATION_TIMEOUT)).await;
    let seconds = clock.monotonic_ns().saturating_sub(started) as f64 / 1e9;
    metrics.task(name, if result.is_ok() { "ok" } else { "error" }, seconds);
    match result {
        Ok(()) => true,
        Err(error) => {
            let never = H::retry(&error) == Retry::Never;
            tracing::error!(%error, function = name, retry = !never, "function failed");
            never
        }
    }
}
