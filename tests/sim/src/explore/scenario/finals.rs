//! What must hold at the end of every schedule.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wire::{CollectTask, Manifest, RuleTask, ScrapeTask};

use super::{HOUR_MS, Kind, MINUTE_MS, World};
use crate::audit::{self, HeadAudit};
use crate::fleet::TaskName;
use crate::ledger::Violation;
use crate::lock;
use crate::rules::FILE;

impl World<'_> {
    /// After everything has ended and what was late has landed: all that was promised is there, stays there when it is
    /// compacted and collected, and nothing else is left.
    ///
    /// # Errors
    /// The first violation.
    pub fn audit(&self) -> Result<(), Violation> {
        self.sim.end_exploration();
        self.sim.heal();
        let mut head = HeadAudit::default();
        head.check(&self.sim, &self.watch)?;
        if self.scenario.kind == Kind::Plan {
            return self.audit_plan();
        }
        self.audit_view()?;
        if self.scenario.kind == Kind::Rules {
            self.redeliver_rules()?;
            self.audit_view()?;
            return self.audit_rules();
        }
        // Now, for a merge takes once what is there twice.
        self.audit_blocks(&mut head)?;
        let process = self.process(7);
        for hours in [1, 30] {
            self.wait_until(self.sim.now_ms() + hours * HOUR_MS);
            self.compact(&process)?;
            head.check(&self.sim, &self.watch)?;
            for _ in 0..2 {
                self.handle(&process.collector, CollectTask { tick: self.sim.now_ms() })?;
            }
            head.check(&self.sim, &self.watch)?;
            self.audit_view()?;
        }
        let Some(manifest) = self.audit_blocks(&mut head)? else { return Ok(()) };
        let key = self.watch.head().and_then(|(_, head)| head.manifest);
        // The last day's layouts stay until their day is over.
        let garbage = audit::garbage(&self.sim, Some(&manifest), key.as_deref());
        match garbage.first() {
            Some(first) => Err(Violation::new("L5", format!("{first} is garbage"))),
            None => Ok(()),
        }
    }

    /// No sample is in two blocks.
    fn audit_blocks(&self, head: &mut HeadAudit) -> Result<Option<Arc<Manifest>>, Violation> {
        let Some(manifest) = head.check(&self.sim, &self.watch)? else { return Ok(None) };
        let objects = self.sim.platform().objects;
        match self.run(audit::doubled(&objects, &manifest))?? {
            0 => Ok(Some(manifest)),
            doubled => Err(Violation::new("S2", format!("{doubled} samples are in two blocks"))),
        }
    }

    fn audit_view(&self) -> Result<(), Violation> {
        let process = self.process(8);
        let now = self.sim.now_ms();
        let promised = audit::promised(&self.ledger, 0, now);
        let view =
            self.run(audit::read(&process.store, &self.watch, 0, now, self.scenario.settings.retention_ms))??;
        lock(&self.oracle).check(&view, &promised, &lock(&self.ledger)).map(|_| ())
    }

    /// What was not acknowledged is delivered again, and what was might be.
    fn redeliver_rules(&self) -> Result<(), Violation> {
        let process = self.process(7);
        for (body, _) in &self.scenario.deliveries {
            let Ok(task) = wire::decode::<RuleTask>("task", body) else { continue };
            self.handle(&process.ruler, task)?;
        }
        Ok(())
    }

    /// The group remembers the last tick, which is recorded.
    fn audit_rules(&self) -> Result<(), Violation> {
        let platform = self.sim.platform();
        let register = self.run(async move { control::group_state(&platform, FILE, "g").await })?;
        let register = register.map_err(|error| Violation::new("S12", error.to_string()))?;
        let process = self.process(8);
        let now = self.sim.now_ms();
        let view = self.run(audit::read(&process.store, &self.watch, 0, now, None))??;
        let recorded = view.rows.iter().find(|(labels, _)| labels.metric_name() == "rule:time");
        let ticks: Vec<i64> =
            recorded.into_iter().flat_map(|(_, samples)| samples).map(|(at, _)| *at).collect();
        let last =
            self.scenario.deliveries.last().and_then(|(body, _)| wire::decode::<RuleTask>("task", body).ok());
        let last = last.map_or(0, |task| task.tick);
        let is_last = register.state.last_tick == last && ticks.contains(&last);
        if register.version as usize > ticks.len() || !is_last {
            let detail = format!(
                "the state has version {} and last tick {}; recorded are {ticks:?}",
                register.version, register.state.last_tick
            );
            return Err(Violation::new("S12", detail));
        }
        Ok(())
    }

    /// Whatever became of the attempts, no target is in two batches of a tick.
    fn audit_plan(&self) -> Result<(), Violation> {
        let queue = self.sim.platform().scrape_queue;
        self.wait_until(self.sim.now_ms() + 3 * MINUTE_MS);
        let received = self.run(queue.receive(100, Duration::from_secs(60), Duration::ZERO))?;
        let received = received.map_err(|error| Violation::new("Halt", error.to_string()))?;
        let mut batches: BTreeMap<TaskName, Bytes> = BTreeMap::new();
        for message in received {
            let Ok(task) = wire::decode::<ScrapeTask>("task", &message.body) else { continue };
            let name = (task.tick, task.shard);
            if let Some(other) = batches.insert(name, message.body.clone())
                && other != message.body
            {
                return Err(Violation::new("S1", format!("two different batches are named {name:?}")));
            }
        }
        Ok(())
    }
}
