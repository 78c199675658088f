//! What has been promised: acknowledged tasks and pushes, and what went wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use model::Labels;

use crate::fleet::TaskName;

/// Something that must never happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// Where and how.
    pub detail: String,
    /// The sample that is missing or wrong, where it is one.
    pub sample: Option<(Labels, i64)>,
}

impl Violation {
    /// The violation of an invariant.
    pub fn new(invariant: &'static str, detail: impl Into<String>) -> Self {
        Self { invariant, detail: detail.into(), sample: None }
    }

    /// The violation by a sample.
    #[must_use]
    pub fn of_sample(self, labels: &Labels, at: i64) -> Self {
        Self { sample: Some((labels.clone(), at)), ..self }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

/// A scrape task whose message was deleted after its scrapes were made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckedTask {
    /// Which one.
    pub task: TaskName,
    /// Its targets, and when each was due, ms.
    pub targets: Vec<(u32, i64)>,
    /// When it was acknowledged, ms.
    pub acked_at: i64,
}

/// Pushed samples that were acknowledged.
pub type Pushed = BTreeMap<(Labels, i64), u64>;

/// A deletion that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Of the series with this name.
    pub metric: String,
    /// From this instant, ms, inclusive.
    pub min: i64,
    /// Until this instant, ms, inclusive.
    pub max: i64,
    /// Whether it was acknowledged.
    pub acked: bool,
}

impl Deletion {
    /// Whether it deletes a sample.
    #[must_use]
    pub fn covers(&self, labels: &Labels, at: i64) -> bool {
        labels.metric_name() == self.metric && (self.min..=self.max).contains(&at)
    }
}

/// All promises of a world.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Acknowledged as written.
    pub acked: BTreeMap<TaskName, AckedTask>,
    /// Names of acknowledged tasks that an audit has yet to look at; with the number of the promise.
    pub promises: u64,
    /// Scrapes acknowledged as written.
    pub scrapes: u64,
    /// Tasks acknowledged as missed.
    pub missed: u64,
    /// Pushed samples acknowledged.
    pub pushed: Pushed,
    /// Pushed samples that may have been stored, acknowledged or not.
    pub offered: Pushed,
    /// Deletions that were asked for.
    pub deletions: Vec<Deletion>,
    /// Samples that were offered more than once, and so may be stored more than once.
    pub offered_again: u64,
    /// Ticks, ms, of segments that were or may have been created after their late bound. Their writers know that they were
    /// missed, and who sees them may see them vanish when the watermark passes them.
    pub zombies: BTreeSet<i64>,
    /// Ticks, ms, of segments that slow scrapes wrote under another name than their task's.
    pub slow_ticks: BTreeSet<i64>,
    /// Ticks, ms, of the rule group whose state was committed, and those whose commit had an unknown outcome.
    pub rule_commits: BTreeSet<i64>,
    /// See `rule_commits`.
    pub rule_doubts: BTreeSet<i64>,
    /// When which targets were not to be scraped: (target, from, until), ms.
    pub absent: Vec<(u32, i64, i64)>,
    /// What was found.
    pub violations: Vec<Violation>,
}

impl Ledger {
    /// Records that a task was acknowledged as written.
    pub fn acknowledge(&mut self, acked: AckedTask) {
        self.promises += 1;
        self.scrapes += acked.targets.len() as u64;
        self.acked.entry(acked.task).or_insert(acked);
    }

    /// Records a violation; more than a few are noise.
    pub fn violate(&mut self, violation: Violation) {
        const KEPT: usize = 20;
        if self.violations.len() < KEPT {
            self.violations.push(violation);
        }
    }

    /// Whether a scrape near `at`, ms, may have been written under another name than its task's.
    #[must_use]
    pub fn slow_near(&self, from: i64, until: i64) -> bool {
        self.slow_ticks.range(from..=until).next().is_some()
    }

    /// Whether somebody has asked for a sample's deletion.
    #[must_use]
    pub fn may_be_deleted(&self, labels: &Labels, at: i64) -> bool {
        self.deletions.iter().any(|deletion| deletion.covers(labels, at))
    }

    /// Whether what was scraped or evaluated at `at`, ms, may vanish.
    #[must_use]
    pub fn may_vanish(&self, at: i64) -> bool {
        // A segment is named by an instant before its scrapes, but where they may be slow, by one that lies up to the late
        // bound behind them.
        const EARLY_MS: i64 = 5_000;
        const SLOW_MS: i64 = 60_000;
        let mut zombies = self.zombies.range(at - 120_000..=at + SLOW_MS);
        zombies.any(|tick| *tick <= at + EARLY_MS || self.slow_ticks.contains(tick))
    }

    /// Forgets promises whose time is before `before`, ms: they have been audited for good.
    pub fn forget(&mut self, before: i64) {
        self.acked = self.acked.split_off(&(before, 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_late_may_vanish_and_no_more() {
        let mut ledger = Ledger::default();
        assert!(!ledger.may_vanish(100_000));
        ledger.zombies.insert(120_000);
        assert!(ledger.may_vanish(120_000) && ledger.may_vanish(180_000) && ledger.may_vanish(115_000));
        assert!(!ledger.may_vanish(100_000) && !ledger.may_vanish(250_000));
        // A slow segment's tick is later than its scrapes.
        ledger.slow_ticks.insert(120_000);
        assert!(ledger.may_vanish(100_000) && !ledger.may_vanish(50_000));
    }
}
