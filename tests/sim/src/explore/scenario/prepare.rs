//! The state in which a scenario begins: scraped, compacted, queued, waited for, through the real handlers.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use platform::{Handler, Queue, Receipt};
use platform_sim::{Fate, FaultPlan, Operation, Random, Situation};
use wire::{CompactTask, CompactWork, ConfigBundle, DiscoverTask, RuleFileText, RuleTask, ScrapeTask};

use super::actors::acknowledge;
use super::{FOREVER, HOUR_MS, Kind, MINUTE_MS, World};
use crate::fleet::{Fleet, POOL};
use crate::ledger::Violation;
use crate::process::Process;
use crate::rules::{FILE, RULES};

impl World<'_> {
    /// Brings the world into the state in which the kind begins; the messages that are to be delivered.
    pub(super) fn prepare(&self, kind: Kind) -> Result<Vec<(Bytes, Receipt)>, Violation> {
        let start = self.sim.now_ms();
        let process = self.process(0);
        self.write_targets(&[0]);
        self.publish()?;
        match kind {
            Kind::Write | Kind::WriteBulky | Kind::WriteSlow | Kind::WriteSmall => {
                self.scrape_window(&process, start + MINUTE_MS)?;
                self.wait_until(start + 7 * MINUTE_MS);
                self.compact(&process)?;
                let deliveries = self.plan_window(&process, start + 8 * MINUTE_MS)?;
                let received = self.receive(&*process.platform.scrape_queue, deliveries, 2)?;
                // Queues take a while.
                let after_ms = if kind == Kind::WriteSlow { 30_000 } else { 5_000 };
                self.wait_until(self.sim.now_ms() + after_ms);
                Ok(received)
            }
            Kind::Merge
            | Kind::MergeTwice
            | Kind::MergeParts
            | Kind::Delete
            | Kind::Orphan
            | Kind::Retention => {
                for minute in [1, 21] {
                    self.scrape_window(&process, start + minute * MINUTE_MS)?;
                    self.wait_until(start + (minute + 14) * MINUTE_MS);
                    self.compact(&process)?;
                }
                self.wait_until(start + 2 * HOUR_MS + 8 * MINUTE_MS);
                if kind != Kind::Retention {
                    self.compact(&process)?;
                    self.wait_until(start + 2 * HOUR_MS + 10 * MINUTE_MS);
                }
                if kind == Kind::Orphan {
                    self.crash_before_commit();
                }
                Ok(Vec::new())
            }
            Kind::Rules => {
                let plan = DiscoverTask { from: start + MINUTE_MS, until: start + 2 * MINUTE_MS };
                self.handle(&process.planner, plan)?;
                let mut tasks = self.receive(&*process.platform.rule_queue, 1, 2)?;
                // Delivered so late that the next tick is about to come, by a clock that is ahead.
                self.wait_until(self.sim.now_ms() + 50_000);
                let next = tasks.first().and_then(|(body, receipt)| {
                    let mut task: RuleTask = wire::decode("task", body).ok()?;
                    task.tick += MINUTE_MS;
                    Some((Bytes::from(wire::encode(&task)), receipt.clone()))
                });
                tasks.extend(next);
                Ok(tasks)
            }
            Kind::Chain => {
                self.scrape_window(&process, start + MINUTE_MS)?;
                let messages = self.plan_window(&process, start + 2 * MINUTE_MS)?;
                let first = self.receive(&*process.platform.scrape_queue, messages, 2)?;
                // The next message of the same targets differs in its tick.
                let next = |(body, receipt): &(Bytes, Receipt)| {
                    let mut task: ScrapeTask = wire::decode("task", body).ok()?;
                    task.tick += MINUTE_MS;
                    Some((Bytes::from(wire::encode(&task)), receipt.clone()))
                };
                let second: Vec<(Bytes, Receipt)> = first.iter().filter_map(next).collect();
                Ok(first.into_iter().chain(second).collect())
            }
            Kind::Expire => {
                self.scrape_window(&process, start + MINUTE_MS)?;
                self.wait_until(start + 40 * MINUTE_MS);
                Ok(Vec::new())
            }
            Kind::Plan => Ok(Vec::new()),
        }
    }

    fn crash_before_commit(&self) {
        self.sim.set_faults(CrashAtCommit);
        self.spawn_compact("crash", 9);
        self.sim.run_for(Duration::from_millis(1));
        self.sim.heal();
    }

    pub(super) fn handle<H: Handler>(&self, handler: &H, task: H::Task) -> Result<(), Violation> {
        let handled = self.run(handler.handle(task, FOREVER))?;
        handled.map_err(|error| Violation::new("Halt", error.to_string()))
    }

    fn write_targets(&self, targets: &[u32]) {
        self.sim.write_file("/sd.json", Fleet::file(&targets.iter().copied().collect::<BTreeSet<u32>>()));
    }

    fn publish(&self) -> Result<(), Violation> {
        let yml = format!(
            "global: {{scrape_interval: 60s, scrape_timeout: {}s, evaluation_interval: 60s}}\nrule_files: [{FILE}]\n\
             scrape_configs: [{{job_name: {POOL}, file_sd_configs: [{{files: [/sd.json]}}]}}]\n",
            if self.scenario.kind == Kind::WriteSlow { 60 } else { 10 }
        );
        let bundle = ConfigBundle {
            v: 1,
            path: "/prometheus.yml".to_owned(),
            prometheus_yml: yml,
            rule_files: vec![RuleFileText { path: FILE.to_owned(), text: RULES.to_owned() }],
        };
        let platform = self.sim.platform();
        let published = self.run(async move { control::publish_config(&platform, &bundle).await })?;
        published.map(|_| ()).map_err(|error| Violation::new("Halt", error.to_string()))
    }

    /// Plans the scrapes of a minute; how many messages there are.
    fn plan_window(&self, process: &Process, from: i64) -> Result<usize, Violation> {
        self.handle(&process.discovery, DiscoverTask { from, until: from + MINUTE_MS })?;
        Ok(self.sim.queue_depths()[0].messages)
    }

    fn scrape_window(&self, process: &Process, from: i64) -> Result<(), Violation> {
        let messages = self.plan_window(process, from)?;
        for (body, receipt) in self.receive(&*process.platform.scrape_queue, messages, 1)? {
            let task: ScrapeTask =
                wire::decode("task", &body).map_err(|error| Violation::new("Halt", error.to_string()))?;
            process.begin_task((task.tick, task.shard));
            self.handle(&process.scraper, task.clone())?;
            acknowledge(&self.ledger, &task, self.sim.now_ms());
            let deleted = self.run(process.platform.scrape_queue.delete(&receipt))?;
            deleted.map_err(|error| Violation::new("Halt", error.to_string()))?;
        }
        Ok(())
    }

    pub(super) fn compact(&self, process: &Process) -> Result<(), Violation> {
        self.handle(&process.compactor, CompactTask { tick: self.sim.now_ms(), work: CompactWork::All })
    }

    /// Receives all of so many messages as soon as they are due, each so often.
    fn receive(
        &self,
        queue: &dyn Queue,
        messages: usize,
        times: usize,
    ) -> Result<Vec<(Bytes, Receipt)>, Violation> {
        const WAIT: Duration = Duration::from_secs(600);
        let mut received = Vec::new();
        for time in 1..=times {
            let hidden = Duration::from_secs(if time == times { 43_200 } else { 0 });
            while received.len() < messages * time {
                let some = self.run(queue.receive(messages, hidden, WAIT))?;
                let some = some.map_err(|error| Violation::new("Halt", error.to_string()))?;
                if some.is_empty() {
                    return Err(Violation::new("L2", "a message does not come"));
                }
                received.extend(some.into_iter().map(|message| (message.body, message.receipt)));
            }
        }
        Ok(received)
    }
}

/// The first compare-and-set is never done: its caller crashes.
struct CrashAtCommit;

impl FaultPlan for CrashAtCommit {
    fn fate(&mut self, situation: &Situation<'_>, _: &mut Random) -> Fate {
        match situation.operation {
            Operation::RowCompareAndSet => Fate::CrashBefore,
            _ => Fate::Ok,
        }
    }
}
