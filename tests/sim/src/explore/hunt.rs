//! The hunt for mutants: each is looked for where the rule that it breaks matters, with small bounds first.

use super::scenario::{Kind, Scenario};
use super::search::{Bounds, explore};
use crate::ledger::Violation;
use crate::mutant::Mutant;

/// What became of the hunt for one mutant.
#[derive(Clone, Debug)]
pub struct Hunted {
    /// Which one.
    pub mutant: Mutant,
    /// Where it was found; nowhere is a failure of the harness.
    pub found: Option<Found>,
    /// Runs over all scenarios and bounds.
    pub executions: u64,
}

/// Where a mutant was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// In which scenario.
    pub kind: Kind,
    /// With so many preemptions.
    pub preemptions: u8,
    /// And so many faults.
    pub faults: u8,
    /// What it broke.
    pub violation: Violation,
    /// The schedule.
    pub story: String,
}

/// Where a rule matters, and the least bounds that can show it.
fn home(mutant: Mutant) -> (Kind, u8, u8) {
    match mutant {
        Mutant::AttemptInKey
        | Mutant::Overwrite
        | Mutant::AcknowledgeFirst
        | Mutant::ForgetWatermark
        | Mutant::ForgetContext => (Kind::WriteSmall, 0, 0),
        Mutant::NeverLate | Mutant::NoGrace => (Kind::WriteSmall, 1, 0),
        Mutant::HeadBeforeList => (Kind::Expire, 1, 0),
        Mutant::AcknowledgeFailures
        | Mutant::TidyUnknown
        | Mutant::UnknownIsDone
        | Mutant::RefusedIsExists => (Kind::WriteSmall, 0, 1),
        Mutant::PayloadByCause => (Kind::WriteBulky, 0, 0),
        Mutant::ForgetTombstones => (Kind::Delete, 0, 0),
        Mutant::ExistsIsCreated | Mutant::ReverseList => (Kind::Chain, 0, 0),
        Mutant::BlindGroupState => (Kind::Rules, 1, 0),
        Mutant::BlindHead => (Kind::MergeTwice, 1, 0),
        Mutant::NoFence | Mutant::RepeatedNames => (Kind::Orphan, 1, 0),
        Mutant::DeleteBeforeCommit => (Kind::Orphan, 0, 1),
    }
}

/// Looks for a mutant with at most so many runs a scenario and bound.
#[must_use]
pub fn hunt(mutant: Mutant, executions_max: u64) -> Hunted {
    let (kind, least_preemptions, least_faults) = home(mutant);
    let mut executions = 0;
    for (preemptions, faults) in [(least_preemptions, least_faults), (1, 0), (0, 1), (1, 1)] {
        let bounds = Bounds { preemptions, faults, executions_max };
        let found = |violation, story| Some(Found { kind, preemptions, faults, violation, story });
        match Scenario::new(kind, Some(mutant)) {
            Err(violation) => {
                let found = found(violation, "on the way to the scenario".to_owned());
                return Hunted { mutant, found, executions: executions + 1 };
            }
            Ok(scenario) => {
                let explored = explore(&scenario, bounds, 1);
                executions += explored.executions;
                if let Some((violation, story)) = explored.violation {
                    return Hunted { mutant, found: found(violation, story), executions };
                }
            }
        }
    }
    Hunted { mutant, found: None, executions }
}
