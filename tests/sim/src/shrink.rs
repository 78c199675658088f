//! From a failing seed to the little that makes it fail.

use std::collections::BTreeSet;
use std::fmt;

use crate::chaos::FateKey;
use crate::day::{self, Outcome};
use crate::ledger::Violation;
use crate::plan::Plan;

/// A failure, before and after it was shrunk.
#[derive(Clone, Debug)]
pub struct Report {
    /// The plan that failed.
    pub plan: Plan,
    /// How.
    pub outcome: Outcome,
    /// The smallest plan that was found to fail, with the same invariant.
    pub shrunk: Plan,
    /// How that fails.
    pub violation: Option<Violation>,
    /// How many plans were tried.
    pub tried: u32,
}

impl Report {
    /// The report of a failure as it is.
    #[must_use]
    pub fn unshrunk(plan: &Plan, outcome: Outcome) -> Self {
        let violation = outcome.violations.first().cloned();
        Self { plan: plan.clone(), outcome, shrunk: plan.clone(), violation, tried: 0 }
    }
}

/// Plans tried at most.
const TRIES_MAX: u32 = 300;

/// Runs a plan that fails, and shrinks it: fewer hours, fewer targets, no changes, pushes, unreliable schedules or wrong
/// clocks, and as few faults as will do.
#[must_use]
pub fn report(plan: &Plan) -> Report {
    let outcome = day::run(plan);
    let mut shrinking = Shrinking { best: plan.clone(), found: None, tried: 0, invariant: None };
    shrinking.invariant = outcome.violations.first().map(|violation| violation.invariant);
    if shrinking.invariant.is_some() {
        shrinking.shrink_plan();
        shrinking.shrink_faults();
    }
    let violation = shrinking.found.or_else(|| outcome.violations.first().cloned());
    Report { plan: plan.clone(), outcome, shrunk: shrinking.best, violation, tried: shrinking.tried }
}

struct Shrinking {
    best: Plan,
    found: Option<Violation>,
    invariant: Option<&'static str>,
    tried: u32,
}

impl Shrinking {
    /// Takes a plan if it fails in the same way.
    fn attempt(&mut self, plan: Plan) -> bool {
        if self.tried >= TRIES_MAX {
            return false;
        }
        self.tried += 1;
        let outcome = day::run(&plan);
        let same =
            outcome.violations.into_iter().find(|violation| Some(violation.invariant) == self.invariant);
        let fails = same.is_some();
        if fails {
            self.best = plan;
            self.found = same;
        }
        fails
    }

    fn shrink_plan(&mut self) {
        while self.best.hours > 1 {
            let half = self.best.hours.div_ceil(2);
            if !self.attempt(Plan { hours: half, ..self.best.clone() }) {
                break;
            }
        }
        let drops: [fn(&mut Plan); 6] = [
            |plan| plan.faults = false,
            |plan| plan.changes = false,
            |plan| plan.schedules = false,
            |plan| plan.pushes = false,
            |plan| plan.skew = false,
            |plan| plan.targets = 1,
        ];
        for drop in drops {
            let mut plan = self.best.clone();
            drop(&mut plan);
            self.attempt(plan);
        }
    }

    /// Leaves out ever smaller parts of the faults, as long as it still fails.
    fn shrink_faults(&mut self) {
        if !self.best.faults {
            return;
        }
        let mut keys: Vec<FateKey> = day::run(&self.best).fates.into_iter().map(|(key, _)| key).collect();
        let mut part = keys.len().div_ceil(2);
        while part > 0 && self.tried < TRIES_MAX {
            let mut at = 0;
            while at < keys.len() {
                let mut fewer = keys.clone();
                fewer.drain(at..(at + part).min(keys.len()));
                let keep: BTreeSet<FateKey> = fewer.iter().cloned().collect();
                if self.attempt(Plan { keep: Some(keep), ..self.best.clone() }) {
                    keys = fewer;
                } else {
                    at += part;
                }
            }
            part /= 2;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.plan.seed;
        for violation in &self.outcome.violations {
            writeln!(f, "seed {seed}: {violation}")?;
        }
        writeln!(f, "faults injected: {:?}", crate::chaos::by_kind(&self.outcome.fates))?;
        writeln!(f, "the last effects (number, time, who, what, fate, outcome):")?;
        for line in &self.outcome.last_effects {
            writeln!(f, "  {line}")?;
        }
        let Plan { hours, targets, faults, schedules, changes, pushes, skew, keep, mutant, .. } =
            &self.shrunk;
        if let Some(violation) = &self.violation {
            writeln!(f, "shrunk in {} runs: {violation}", self.tried)?;
        }
        writeln!(f, "replay: SIM_SEEDS={seed} cargo test -p sim; or as a test:\n")?;
        writeln!(f, "#[test]\nfn seed_{seed}() {{")?;
        match keep {
            Some(keep) => {
                let keys: Vec<String> =
                    keep.iter().map(|(actor, nth)| format!("({actor:?}.to_owned(), {nth})")).collect();
                writeln!(f, "    let keep = Some([{}].into_iter().collect());", keys.join(", "))?;
            }
            None => writeln!(f, "    let keep = None;")?,
        }
        writeln!(
            f,
            "    let plan = Plan {{ targets: {targets}, faults: {faults}, schedules: {schedules}, changes: {changes}, \
             pushes: {pushes}, skew: {skew}, keep, mutant: {mutant:?}, ..Plan::new({seed}, {hours}) }};"
        )?;
        writeln!(f, "    assert_eq!(sim::day::run(&plan).violations, []);\n}}")
    }
}
