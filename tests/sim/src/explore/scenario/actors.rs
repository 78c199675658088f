//! The invocations of a scenario, each in a sandbox of its own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use platform::{Handler, Receipt, Retry};
use wire::{CollectTask, CompactTask, CompactWork, DiscoverTask, RuleTask, ScrapeTask};

use super::{FOREVER, Kind, MINUTE_MS, World, hash, hash_rows};
use crate::audit;
use crate::fleet::Fleet;
use crate::ledger::{AckedTask, Deletion, Ledger, Violation};
use crate::lock;
use crate::mutant::Mutant;
use crate::process::Process;
use crate::workers::scrape_due;

impl World<'_> {
    /// Starts the invocations of the scenario.
    pub fn spawn_all(&self) {
        match self.scenario.kind {
            Kind::Write => {
                self.spawn_scrapes();
                self.spawn_clock();
                self.spawn_compact("compact 1", 3);
                self.spawn_compact("compact 2", 4);
                self.spawn_collect(5);
            }
            Kind::Chain => {
                self.spawn_scrapes();
                self.spawn_reader(6);
            }
            Kind::WriteSmall | Kind::WriteBulky | Kind::WriteSlow => {
                self.spawn_scrapes();
                self.spawn_clock();
                self.spawn_compact("compact 1", 3);
                self.spawn_reader(6);
            }
            Kind::MergeTwice => {
                self.spawn_compact("compact 1", 3);
                self.spawn_compact("compact 2", 4);
            }
            Kind::Delete => {
                self.spawn_delete(2);
                self.spawn_compact("compact 1", 3);
                self.spawn_reader(6);
            }
            Kind::Expire => {
                self.spawn_compact("compact 1", 3);
                self.spawn_collect(5);
                self.spawn_reader(6);
            }
            Kind::Orphan => {
                self.spawn_compact("compact 1", 3);
                self.spawn_collect(5);
            }
            Kind::Merge | Kind::MergeParts | Kind::Retention => {
                self.spawn_compact("compact 1", 3);
                self.spawn_compact("compact 2", 4);
                self.spawn_collect(5);
                self.spawn_reader(6);
            }
            Kind::Rules => {
                for (nth, (body, receipt)) in self.scenario.deliveries.iter().enumerate() {
                    self.spawn_rule(nth, body, receipt);
                }
                self.spawn_reader(6);
            }
            Kind::Plan => {
                self.spawn_plan(1);
                self.spawn_plan(2);
                let handle = (*self.sim).clone();
                self.sim.spawn("operator", async move {
                    handle.jump(Duration::from_millis(1)).await;
                    let targets: BTreeSet<u32> = [0, 1].into_iter().collect();
                    handle.write_file("/sd.json", Fleet::file(&targets));
                    handle.observe(2);
                });
            }
        }
    }

    fn spawn_clock(&self) {
        const PASSES: Duration = Duration::from_secs(15 * 60);
        let handle = (*self.sim).clone();
        self.sim.spawn("time", async move { handle.jump(PASSES).await });
    }

    /// Starts a sandbox for each delivery of a message; where there are several messages, it handles one after the other.
    fn spawn_scrapes(&self) {
        let tasks: Vec<(ScrapeTask, Receipt)> = self
            .scenario
            .deliveries
            .iter()
            .filter_map(|(body, receipt)| Some((wire::decode("task", body).ok()?, receipt.clone())))
            .collect();
        for nth in 0..2 {
            let process = self.process(nth + 1);
            let mine: Vec<(ScrapeTask, Receipt)> = tasks.iter().skip(nth).step_by(2).cloned().collect();
            let (ledger, handle, mutant) =
                (Arc::clone(&self.ledger), (*self.sim).clone(), self.scenario.mutant);
            self.sim.spawn(&format!("scrape {}", nth + 1), async move {
                for (task, receipt) in mine {
                    // The second sandbox gets its next message first.
                    let due = task.tick + i64::from(nth == 0);
                    let wait = u64::try_from(due - handle.now_ms()).unwrap_or(0);
                    if wait > 1_000 {
                        process.platform.clock.sleep(Duration::from_millis(wait)).await;
                    }
                    scrape(&process, &ledger, &handle, mutant, task, receipt).await;
                }
            });
        }
    }

    fn spawn_rule(&self, nth: usize, body: &Bytes, receipt: &Receipt) {
        let Ok(task) = wire::decode::<RuleTask>("task", body) else { return };
        let (process, ledger, receipt) = (self.process(nth + 1), Arc::clone(&self.ledger), receipt.clone());
        self.sim.spawn(&format!("rule {nth}"), async move {
            let done = match process.ruler.handle(task, FOREVER).await {
                Ok(()) => true,
                Err(error) => judge(&ledger, error.retry(), &error),
            };
            if done {
                let _ = process.platform.rule_queue.delete(&receipt).await;
            }
        });
    }

    fn spawn_plan(&self, nth: usize) {
        let (process, ledger) = (self.process(nth), Arc::clone(&self.ledger));
        let from = self.sim.now_ms() + MINUTE_MS;
        self.sim.spawn(&format!("discover {nth}"), async move {
            let task = DiscoverTask { from, until: from + MINUTE_MS };
            if let Err(error) = process.discovery.handle(task, FOREVER).await {
                judge(&ledger, discovery_function::Discovery::retry(&error), &error);
            }
        });
    }

    pub(super) fn spawn_compact(&self, name: &str, process: usize) {
        let (process, ledger) = (self.process(process), Arc::clone(&self.ledger));
        self.sim.spawn(name, async move {
            let task = CompactTask { tick: i64::MAX, work: CompactWork::All };
            if let Err(error) = process.compactor.handle(task, FOREVER).await {
                judge(&ledger, error.retry(), &error);
            }
        });
    }

    fn spawn_collect(&self, process: usize) {
        let (process, ledger) = (self.process(process), Arc::clone(&self.ledger));
        self.sim.spawn("collect", async move {
            let task = CollectTask { tick: i64::MAX };
            if let Err(error) = process.collector.handle(task, FOREVER).await {
                judge(&ledger, compactor_function::Collector::retry(&error), &error);
            }
        });
    }

    fn spawn_delete(&self, process: usize) {
        let (process, ledger, handle) =
            (self.process(process), Arc::clone(&self.ledger), (*self.sim).clone());
        let deletion = Deletion {
            metric: "raw".to_owned(),
            min: 0,
            max: handle.now_ms() - 10 * MINUTE_MS,
            acked: false,
        };
        lock(&ledger).deletions.push(deletion.clone());
        self.sim.spawn("delete", async move {
            let matchers: Vec<_> = audit::metric(&deletion.metric).into_iter().collect();
            let deleted = process.store.delete_series(&[matchers], deletion.min, deletion.max).await;
            match deleted {
                Ok(_) => {
                    for deletion in &mut lock(&ledger).deletions {
                        deletion.acked = true;
                    }
                    handle.observe(3);
                }
                Err(error) => {
                    judge(&ledger, error.retry(), &error);
                }
            }
        });
    }

    fn spawn_reader(&self, process: usize) {
        let process = self.process(process);
        let (ledger, oracle, watch) =
            (Arc::clone(&self.ledger), Arc::clone(&self.oracle), Arc::clone(&self.watch));
        let (handle, retention_ms) = ((*self.sim).clone(), self.scenario.settings.retention_ms);
        self.sim.spawn("reader", async move {
            let now = handle.now_ms();
            let promised = audit::promised(&ledger, 0, now);
            handle.learn(promised.tasks.len() as u64 * 10 + promised.deletions.len() as u64);
            // A reader that fails under faults tries again later.
            let view = match audit::read(&process.store, &watch, 0, now, retention_ms).await {
                Ok(view) => view,
                Err(violation) => {
                    // A port may have failed; what is stored must not be wrong.
                    if violation.detail.contains("orrupt") {
                        lock(&ledger).violate(violation);
                    }
                    return;
                }
            };
            handle.observe(hash_rows(&view.rows));
            let mut ledger = lock(&ledger);
            if let Err(violation) = lock(&oracle).check(&view, &promised, &ledger) {
                ledger.violate(violation);
            }
        });
    }
}

/// Handles a delivery of a scrape task, and acknowledges it.
async fn scrape(
    process: &Process,
    ledger: &Mutex<Ledger>,
    handle: &platform_sim::Handle,
    mutant: Option<Mutant>,
    task: ScrapeTask,
    receipt: Receipt,
) {
    let queue = Arc::clone(&process.platform.scrape_queue);
    process.begin_task((task.tick, task.shard));
    let promise = |task: &ScrapeTask| {
        acknowledge(ledger, task, handle.now_ms());
        handle.observe(hash(&(task.tick, task.shard)));
    };
    if mutant == Some(Mutant::AcknowledgeFirst) {
        promise(&task);
        let _ = queue.delete(&receipt).await;
    }
    let before = process.metrics.missed_total("scraper");
    let handled = process.scraper.handle(task.clone(), FOREVER).await;
    let missed = process.metrics.missed_total("scraper") > before;
    let done = match &handled {
        Ok(()) => true,
        Err(error) => {
            let retry = scraper_function::Scraper::retry(error);
            judge(ledger, retry, error) || mutant == Some(Mutant::AcknowledgeFailures)
        }
    };
    if done {
        if !missed {
            promise(&task);
        }
        let _ = queue.delete(&receipt).await;
    }
}

/// Whether a failed task is not to be tried again. Nothing in these worlds gives a reason for that.
fn judge(ledger: &Mutex<Ledger>, retry: Retry, error: &dyn std::error::Error) -> bool {
    if retry == Retry::Never {
        lock(ledger).violate(Violation::new("Halt", error.to_string()));
    }
    retry == Retry::Never
}

pub(super) fn acknowledge(ledger: &Mutex<Ledger>, task: &ScrapeTask, now: i64) {
    let targets = task.targets.iter().filter_map(|target| {
        let address = target.url.strip_prefix("http://")?.split('/').next()?;
        Some((Fleet::target_of(address)?, scrape_due(target.offset_ms, target.interval_ms, task.tick)))
    });
    let acked = AckedTask { task: (task.tick, task.shard), targets: targets.collect(), acked_at: now };
    lock(ledger).acknowledge(acked);
}
