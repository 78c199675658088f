//! What AWS does around the functions: event source mappings that deliver messages, schedules that fire, sandboxes that
//! are started, killed at their timeout, frozen and reused.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{Either, join_all, select};
use platform::{Clock, Deadline, Handler, Message, Platform, Queue, Retry};
use platform_sim::Handle;
use wire::{CollectTask, CompactTask, DiscoverTask, RuleTask, ScrapeTask};

use crate::chaos::Injected;
use crate::fleet::Fleet;
use crate::ledger::{AckedTask, Ledger, Violation};
use crate::lock;
use crate::marks::Marks;
use crate::process::{Process, Sandboxes};

/// What the workers of a world share.
#[derive(Clone, Debug)]
pub struct Workers {
    /// The world.
    pub world: Handle,
    /// Its sandboxes.
    pub sandboxes: Arc<Sandboxes>,
    /// What is promised.
    pub ledger: Arc<Mutex<Ledger>>,
    /// What happens sometimes.
    pub marks: Arc<Marks>,
    /// What goes wrong.
    pub injected: Arc<Mutex<Injected>>,
    /// How long a delivered message is hidden.
    pub visibility: Duration,
    /// Whether messages are acknowledged before they are handled: a mutant.
    pub ack_first: bool,
    /// Whether messages are acknowledged though handling them failed: a mutant.
    pub ack_failed: bool,
}

/// What a scheduled invocation is to do.
#[derive(Clone, Debug)]
pub enum Scheduled {
    /// Plan the scrapes of a window.
    Discover(DiscoverTask),
    /// Plan the rule groups of a window.
    Plan(DiscoverTask),
    /// Compact.
    Compact(CompactTask),
    /// Collect.
    Collect(CollectTask),
}

/// The functions' timeout.
const TIMEOUT: Duration = Duration::from_secs(50);
/// Compactor and collector have longer.
const TIMEOUT_LONG: Duration = Duration::from_secs(300);
/// A handler's deadline is so long before its end.
const SPARE: Duration = Duration::from_secs(5);
/// Messages in a batch.
const MESSAGES: usize = 5;
/// A schedule tries an invocation so often.
const TRIES: u32 = 3;

impl Workers {
    /// Runs an invocation in a sandbox of its own; `None` where it crashed, was killed or hangs.
    pub async fn invoke<R, F, W>(&self, name: &str, timeout: Duration, work: W) -> Option<R>
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
        W: FnOnce(Arc<Process>) -> F,
    {
        let process = self.sandboxes.take();
        let clock = self.world.platform().clock;
        let join = self.world.spawn(name, work(Arc::clone(&process)));
        let id = join.id();
        match select(join, pin!(clock.sleep(timeout))).await {
            Either::Left((Ok(result), _)) => {
                self.sandboxes.put(process);
                Some(result)
            }
            Either::Left((Err(_), _)) => None,
            Either::Right(_) => {
                if lock(&self.injected).frozen.contains(name) {
                    self.marks.hit("sandbox_frozen");
                } else {
                    self.world.kill(id);
                    self.marks.hit("invocation_killed");
                }
                None
            }
        }
    }

    /// Delivers scrape tasks for ever.
    pub async fn scrape_loop(self) {
        let queue = self.world.platform().scrape_queue;
        self.deliver_loop(queue, |workers, message| Box::pin(async move { workers.scrape(message).await }))
            .await;
    }

    /// Delivers rule tasks for ever.
    pub async fn rule_loop(self) {
        let queue = self.world.platform().rule_queue;
        self.deliver_loop(queue, |workers, message| Box::pin(async move { workers.rule(message).await }))
            .await;
    }

    async fn deliver_loop<H>(self, queue: Arc<dyn Queue>, handle: H)
    where
        H: Fn(Self, Message) -> futures::future::BoxFuture<'static, bool>,
    {
        let clock = self.world.platform().clock;
        loop {
            let received = queue.receive(MESSAGES, self.visibility, Duration::from_secs(20)).await;
            let Ok(messages) = received else {
                clock.sleep(Duration::from_secs(1)).await;
                continue;
            };
            // Of a batch, those that failed come again, and only those.
            join_all(messages.into_iter().map(|message| {
                let handled = handle(self.clone(), message.clone());
                let (queue, early) = (&queue, self.ack_first);
                async move {
                    if early {
                        let _ = queue.delete(&message.receipt).await;
                    }
                    if handled.await && !early {
                        let _ = queue.delete(&message.receipt).await;
                    }
                }
            }))
            .await;
        }
    }

    /// Handles a scrape task; whether its message is done with.
    async fn scrape(self, message: Message) -> bool {
        let Ok(task) = wire::decode::<ScrapeTask>("task", &message.body) else { return true };
        let name = format!("scrape {}-{} {}", task.tick, task.shard, message.receipt.0);
        if self.ack_first {
            self.acknowledge(&task, false);
        }
        let given = task.clone();
        let handled = self.invoke(&name, TIMEOUT, |process| async move {
            process.begin_task((given.tick, given.shard));
            let before = process.metrics.missed_total("scraper");
            let deadline = deadline(&process.platform, TIMEOUT);
            let result = process.scraper.handle(given, deadline).await;
            (result, process.metrics.missed_total("scraper") > before)
        });
        match handled.await {
            None => self.ack_first,
            Some((Ok(()), missed)) => {
                self.acknowledge(&task, missed);
                true
            }
            Some((Err(error), _)) => {
                let done = self.is_over(&name, scraper_function::Scraper::retry(&error), &error);
                if self.ack_failed {
                    self.acknowledge(&task, false);
                }
                done || self.ack_failed
            }
        }
    }

    fn acknowledge(&self, task: &ScrapeTask, missed: bool) {
        let mut ledger = lock(&self.ledger);
        if missed {
            ledger.missed += 1;
            self.marks.hit("tick_missed");
            return;
        }
        let targets = task.targets.iter().filter_map(|target| {
            let address = target.url.strip_prefix("http://")?.split('/').next()?;
            Some((Fleet::target_of(address)?, scrape_due(target.offset_ms, target.interval_ms, task.tick)))
        });
        let acked = AckedTask {
            task: (task.tick, task.shard),
            targets: targets.collect(),
            acked_at: self.world.now_ms(),
        };
        ledger.acknowledge(acked);
    }

    /// Handles a rule task; whether its message is done with.
    async fn rule(self, message: Message) -> bool {
        let Ok(task) = wire::decode::<RuleTask>("task", &message.body) else { return true };
        let name = format!("rule {} {}", task.tick, message.receipt.0);
        let handled = self.invoke(&name, TIMEOUT, |process| async move {
            let deadline = deadline(&process.platform, TIMEOUT);
            process.ruler.handle(task, deadline).await
        });
        match handled.await {
            None => false,
            Some(Ok(())) => true,
            Some(Err(error)) => self.is_over(&name, error.retry(), &error),
        }
    }

    /// Whether a failed task is not to be tried again. Nothing in a simulated world gives a reason for that.
    fn is_over(&self, name: &str, retry: Retry, error: &dyn std::error::Error) -> bool {
        if retry == Retry::Never {
            lock(&self.ledger).violate(Violation::new("Halt", format!("{name}: {error}")));
        }
        retry == Retry::Never
    }

    /// Fires a schedule: after `delay`, and again where it fails, a few times.
    pub async fn fire(self, name: String, delay: Duration, scheduled: Scheduled) {
        let clock = Arc::clone(&self.world.platform().clock);
        clock.sleep(delay).await;
        for attempt in 0..TRIES {
            let name = format!("{name} {attempt}");
            let timeout = match scheduled {
                Scheduled::Discover(_) | Scheduled::Plan(_) => TIMEOUT,
                Scheduled::Compact(_) | Scheduled::Collect(_) => TIMEOUT_LONG,
            };
            let work = scheduled.clone();
            let outcome = self.invoke(&name, timeout, |process| async move { run(&process, work).await });
            match outcome.await {
                Some(Ok(())) => return,
                Some(Err((Retry::Never, error))) => {
                    lock(&self.ledger).violate(Violation::new("Halt", format!("{name}: {error}")));
                    return;
                }
                Some(Err(_)) | None => {}
            }
            clock.sleep(Duration::from_secs(5)).await;
        }
    }
}

async fn run(process: &Process, scheduled: Scheduled) -> Result<(), (Retry, String)> {
    let (short, long) = (deadline(&process.platform, TIMEOUT), deadline(&process.platform, TIMEOUT_LONG));
    match scheduled {
        Scheduled::Discover(task) => judge(&process.discovery, task, short).await,
        Scheduled::Plan(task) => judge(&process.planner, task, short).await,
        Scheduled::Compact(task) => judge(&process.compactor, task, long).await,
        Scheduled::Collect(task) => judge(&process.collector, task, long).await,
    }
}

async fn judge<H: Handler>(handler: &H, task: H::Task, deadline: Deadline) -> Result<(), (Retry, String)> {
    handler.handle(task, deadline).await.map_err(|error| (H::retry(&error), error.to_string()))
}

fn deadline(platform: &Platform, timeout: Duration) -> Deadline {
    let clock: &dyn Clock = &*platform.clock;
    Deadline::after(clock, timeout.saturating_sub(SPARE))
}

/// When a target is due that is part of the task of `tick`, ms.
#[must_use]
pub fn scrape_due(offset_ms: u64, interval_ms: u64, tick: i64) -> i64 {
    let interval = i64::try_from(interval_ms.max(1)).unwrap_or(i64::MAX);
    let offset = i64::try_from(offset_ms).unwrap_or(0);
    tick + (offset - tick).rem_euclid(interval)
}
