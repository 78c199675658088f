//! The quick run: some seeds, the smallest scenarios explored to the end, every mutant found.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use sim::explore::hunt::hunt;
use sim::explore::scenario::{Kind, Scenario};
use sim::explore::search::{Bounds, explore};
use sim::mutant::Mutant;
use sim::plan::Plan;
use sim::{day, plan, shrink};

/// Runs a history; where it fails, says how, and with how little.
fn assert_clean(plan: &Plan) -> day::Figures {
    let outcome = day::run(plan);
    assert!(outcome.violations.is_empty(), "{}", shrink::report(plan));
    outcome.figures
}

/// Longer histories are for the release build: `sim days` runs them first.
const HOURS_MAX: u32 = if cfg!(debug_assertions) { 6 } else { u32::MAX };

/// The seeds that `SIM_SEEDS` names, or those that failed before.
fn seeds() -> Vec<(u64, u32)> {
    #[expect(clippy::disallowed_methods, reason = "how a failing seed is replayed")]
    let named = std::env::var("SIM_SEEDS").unwrap_or_default();
    let named: Vec<(u64, u32)> =
        named.split(',').filter_map(|seed| Some((seed.trim().parse().ok()?, 24))).collect();
    if !named.is_empty() {
        return named;
    }
    plan::regressions().into_iter().filter(|(_, hours)| *hours <= HOURS_MAX).collect()
}

#[test]
fn days_under_faults_lose_double_change_and_invent_nothing() {
    for (seed, hours) in seeds() {
        let figures = assert_clean(&Plan::new(seed, hours));
        assert!(figures.scrapes > 0 && figures.commits > 0 && figures.audited.samples > 0, "{figures:?}");
    }
}

#[test]
fn a_seed_is_a_history() {
    let hash = |seed| day::run(&Plan::new(seed, 1)).trace_hash;
    assert_eq!(hash(3), hash(3));
    assert_ne!(hash(3), hash(4));
}

#[test]
fn the_smallest_scenarios_are_explored_to_their_end() {
    let quick = [(Kind::WriteSmall, 1, 0, 1_000), (Kind::Rules, 0, 0, 20), (Kind::Plan, 1, 1, 500)];
    // Seconds in a release build and minutes without optimisation; `sim explore` has them, too.
    let slow = [(Kind::WriteSmall, 0, 1, 1_000), (Kind::Rules, 1, 0, 500), (Kind::Rules, 0, 1, 500)];
    let slow = slow.into_iter().filter(|_| !cfg!(debug_assertions));
    for (kind, preemptions, faults, at_least) in quick.into_iter().chain(slow) {
        let bounds = Bounds { preemptions, faults, executions_max: u64::MAX };
        let explored = explore(&Scenario::new(kind, None).unwrap(), bounds, 1);
        assert_eq!(explored.violation, None, "{kind:?}");
        assert!(explored.exhausted && explored.executions >= at_least, "{kind:?}: {explored:?}");
    }
}

#[test]
fn every_mutant_is_found() {
    for mutant in Mutant::ALL {
        let hunted = hunt(mutant, 20_000);
        assert!(hunted.found.is_some(), "{mutant:?} was not found in {} schedules", hunted.executions);
    }
}

#[test]
fn a_failing_history_is_shrunk_to_one_that_fails_alike() {
    let plan = Plan { mutant: Some(Mutant::AttemptInKey), ..Plan::new(5, 2) };
    let report = shrink::report(&plan);
    let (first, last) = (report.outcome.violations.first().unwrap(), report.violation.as_ref().unwrap());
    assert_eq!(first.invariant, last.invariant);
    assert!(report.shrunk.hours <= plan.hours && report.to_string().contains("#[test]"), "{report}");
    let again = day::run(&report.shrunk);
    assert_eq!(again.violations.first().map(|violation| violation.invariant), Some(last.invariant));
}
