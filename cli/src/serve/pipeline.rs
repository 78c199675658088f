//! The schedule: what EventBridge, SQS and Lambda do on AWS.
//!
//! ```text
//! every few seconds  ─► discovery and rule planner for the next window ─► queues (delay until due)
//! queue workers      ─► scraper, ruler; delete the message when its handler is done, else it is delivered again
//! every few seconds  ─► compactor          every ten minutes ─► collector
//! ```

use std::sync::Arc;
use std::time::Duration;

use compactor_function::{Collector, Compactor};
use discovery_function::Discovery;
use ruler_function::{RulePlanner, Ruler};
use scraper_function::Scraper;
use telemetry::StoreState;
use tokio::sync::watch;
use tokio::task::JoinSet;
use wire::{CollectTask, CompactTask, CompactWork, DiscoverTask};

use super::metering::Trigger;
use super::wiring::{Queues, Wired};
use super::workers::{Ended, Function, invoke, work};

/// Length of a planning window: how soon a new target or configuration takes effect.
const WINDOW_MS: i64 = 5_000;
/// A window is planned so long before it begins.
const LEAD_MS: i64 = 1_000;
/// The machine slept, or was too busy: windows older than this are skipped, their scrapes are gaps.
const BEHIND_MS_MAX: i64 = 30_000;
const COMPACT_EVERY: Duration = Duration::from_secs(5);
const COLLECT_EVERY: Duration = Duration::from_secs(600);
/// Where blocks are short (tests), what they leave behind is collected as often.
const COLLECT_EVERY_MIN: Duration = Duration::from_secs(60);
const OBSERVE_EVERY: Duration = Duration::from_secs(5);
/// Batches scraped at once. Most of them wait: for their instant, or for a target that hangs.
const SCRAPE_WORKERS: usize = 1_000;
/// Rule groups evaluated, or telling Alertmanager, at once.
const RULE_WORKERS: usize = 64;

const DISCOVERY: Function<Discovery> = Function {
    name: "discovery",
    trigger: Trigger::Schedule,
    handler: |wired| &wired.discovery,
    computes: false,
};
const RULE_PLANNER: Function<RulePlanner> = Function {
    name: "rule_planner",
    trigger: Trigger::Schedule,
    handler: |wired| &wired.rule_planner,
    computes: false,
};
const SCRAPER: Function<Scraper> =
    Function { name: "scraper", trigger: Trigger::Queue, handler: |wired| &wired.scraper, computes: false };
const RULER: Function<Ruler> =
    Function { name: "ruler", trigger: Trigger::Queue, handler: |wired| &wired.ruler, computes: true };
const COMPACTOR: Function<Compactor> = Function {
    name: "compactor",
    trigger: Trigger::Schedule,
    handler: |wired| &wired.compactor,
    computes: true,
};
const COLLECTOR: Function<Collector> = Function {
    name: "collector",
    trigger: Trigger::Schedule,
    handler: |wired| &wired.collector,
    computes: true,
};

/// Tells everybody to stop.
pub(crate) type Stop = watch::Receiver<bool>;

/// Runs the pipeline until `stop`, then lets work that has begun finish. Dropped, it gives that work up.
pub(crate) async fn run(wired: Arc<Wired>, queues: Queues, stop: Stop) {
    let mut loops = JoinSet::new();
    loops.spawn(plan(Arc::clone(&wired), stop.clone()));
    // Merges may take minutes; the segments of the minutes do not wait for them.
    for work in [CompactWork::Segments, CompactWork::Blocks] {
        loops.spawn(compact(Arc::clone(&wired), work, stop.clone()));
    }
    loops.spawn(collect(Arc::clone(&wired), stop.clone()));
    loops.spawn(observe(Arc::clone(&wired), queues, stop.clone()));
    let queue = Arc::clone(&wired.platform.scrape_queue);
    loops.spawn(work(Arc::clone(&wired), queue, SCRAPER, SCRAPE_WORKERS, stop.clone()));
    let queue = Arc::clone(&wired.platform.rule_queue);
    loops.spawn(work(Arc::clone(&wired), queue, RULER, RULE_WORKERS, stop.clone()));
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
            skip(&wired, from, now).await;
            from = now;
        } else if from - now > WINDOW_MS + LEAD_MS {
            tracing::warn!(ahead_ms = from - now, "The clock was set back; planning from its new time");
            from = now;
        }
        let task = DiscoverTask { from, until: from + WINDOW_MS };
        if invoke(DISCOVERY, &wired, task.clone()).await != Ended::Done {
            skip(&wired, task.from, task.until).await;
        }
        invoke(RULE_PLANNER, &wired, task.clone()).await;
        from = task.until;
        let pause = u64::try_from(from - LEAD_MS - clock.now_ms()).unwrap_or(0);
        let pause = Duration::from_millis(pause).min(Duration::from_millis(WINDOW_MS.unsigned_abs()));
        if stopped_within(&mut stop, pause).await {
            return;
        }
    }
}

/// Counts the scrapes of a time that was not planned.
async fn skip(wired: &Wired, from: i64, until: i64) {
    match wired.discovery.skip(from, until).await {
        Ok(scrapes) => tracing::warn!(from, until, scrapes, "scrapes missed: they were not planned"),
        Err(error) => tracing::error!(%error, from, until, "missed scrapes cannot be counted"),
    }
}

async fn compact(wired: Arc<Wired>, work: CompactWork, mut stop: Stop) {
    while !stopped_within(&mut stop, COMPACT_EVERY).await {
        let task = CompactTask { tick: wired.platform.clock.now_ms(), work };
        Box::pin(invoke(COMPACTOR, &wired, task)).await;
    }
}

async fn collect(wired: Arc<Wired>, mut stop: Stop) {
    let window = Duration::from_millis(wired.store.settings().window_ms.unsigned_abs());
    let every = COLLECT_EVERY.min(window.saturating_mul(2)).max(COLLECT_EVERY_MIN);
    while !stopped_within(&mut stop, every).await {
        let task = CollectTask { tick: wired.platform.clock.now_ms() };
        invoke(COLLECTOR, &wired, task).await;
    }
}

/// Keeps the gauges right.
async fn observe(wired: Arc<Wired>, queues: Queues, mut stop: Stop) {
    loop {
        for (name, dead, queue) in
            [("scrape", "scrape-dead-letters", &queues.scrape), ("rule", "rule-dead-letters", &queues.rule)]
        {
            let depth = queue.depth();
            wired.metrics.queue_messages(name, depth.ready + depth.delayed + depth.in_flight);
            wired.metrics.queue_messages(dead, usize::try_from(depth.dead_letters).unwrap_or(usize::MAX));
        }
        match wired.store.status().await {
            Ok(status) => wired.metrics.store_state(&store_state(&status)),
            Err(error) => tracing::error!(%error, "the head of the store cannot be read"),
        }
        if stopped_within(&mut stop, OBSERVE_EVERY).await {
            return;
        }
    }
}

fn store_state(status: &tsdb::Status) -> StoreState {
    StoreState {
        blocks: status.blocks.values().sum(),
        block_bytes: status.block_bytes,
        lag_seconds: status.lag_ms as f64 / 1e3,
        min_time_seconds: status.min_time.map_or(0.0, |time| time as f64 / 1e3),
        pending_parts: status.pending_parts,
        tombstones: status.tombstones,
        head_segments: status.head_segments,
        head_samples: status.head_samples,
        debt: status.debt.iter().map(|(level, debt)| (*level, debt.blocks, debt.bytes)).collect(),
    }
}

/// Whether a stop was asked for within `pause`.
async fn stopped_within(stop: &mut Stop, pause: Duration) -> bool {
    tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok()
}
