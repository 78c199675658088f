//! The rule group of every world, and what its results must be (S12).
//!
//! The recorded time of a tick is the tick; the alert that always holds is pending for two minutes from the group's
//! first tick on and fires ever after, whatever crashes in between. The first tick is the first whose state was committed.
//!
//! Results are stored before their state is committed, and the first who stores those of a tick is the one who counts
//! (P1). So an evaluation may be recorded whose state lost against another's, or was never set: it is a sound one, of a
//! state that was committed, but by then perhaps not the latest. It counts for no other tick. Seen from outside, in the
//! group's first minutes the alert may be active since the very tick that is recorded; later never.

use std::collections::BTreeMap;

use model::Labels;
use model::value::STALE_NAN_BITS;

use crate::ledger::{Ledger, Violation};

/// The rule file.
pub const RULES: &str = "groups:\n  - name: g\n    interval: 1m\n    rules:\n      - {record: 'rule:time', expr: 'time()'}\n      \
                         - {record: 'rule:up', expr: 'count(up)'}\n      \
                         - {alert: Always, expr: 'vector(1)', for: 2m}\n";
/// Its path.
pub const FILE: &str = "/rules.yml";
/// Interval of the group, ms.
const INTERVAL_MS: i64 = 60_000;
/// The alert's `for`, seconds.
const FOR_S: f64 = 120.0;
/// Whoever evaluates a tick so long after the first that was committed, ms, has seen its state: it would be too late else.
const SEEN_MS: i64 = 120_000;

/// Checks the series that are no target's and no pusher's.
///
/// # Errors
/// The first violation.
pub fn check_rules(series: &[(&Labels, &Vec<(i64, u64)>)], ledger: &Ledger) -> Result<(), Violation> {
    let mut active_at: BTreeMap<i64, u64> = BTreeMap::new();
    let mut offset: Option<i64> = None;
    let mut states: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for (labels, samples) in series {
        for (at, bits) in samples.iter().filter(|(_, bits)| *bits != STALE_NAN_BITS) {
            let value = f64::from_bits(*bits);
            let wrong =
                |what: &str| Err(Violation::new("S12", format!("{labels} at {at} is {value}: {what}")));
            if *offset.get_or_insert(at.rem_euclid(INTERVAL_MS)) != at.rem_euclid(INTERVAL_MS) {
                return wrong("it is at no tick of its group");
            }
            match labels.metric_name() {
                "rule:time" if value == *at as f64 / 1000.0 => {}
                "rule:time" => return wrong("it is not the time of its tick"),
                "rule:up" if value >= 1.0 && value.fract() == 0.0 => {}
                "rule:up" => return wrong("it is no count"),
                "ALERTS" => states.entry(*at).or_default().push(labels.get("alertstate").unwrap_or_default()),
                "ALERTS_FOR_STATE" if *active_at.entry(*at).or_insert(*bits) == *bits => {}
                "ALERTS_FOR_STATE" => return wrong("there is another"),
                _ => return Err(Violation::new("S3", format!("{labels} is nobody's"))),
            }
        }
    }
    check_active(&active_at, ledger)?;
    for (at, states) in states {
        let Some(active_at) = active_at.get(&at).map(|bits| f64::from_bits(*bits)) else { continue };
        let firing = at as f64 / 1000.0 - active_at >= FOR_S;
        let expected = if firing { "firing" } else { "pending" };
        if states != [expected] {
            let detail = format!("the alert is {states:?} at {at}, active since {active_at}");
            return Err(Violation::new("S12", detail));
        }
    }
    Ok(())
}

/// Since when the alert is active, by tick: since the first tick that was committed, or, where that was not seen yet, since
/// the tick itself.
fn check_active(active_at: &BTreeMap<i64, u64>, ledger: &Ledger) -> Result<(), Violation> {
    let since = |tick: i64| (tick.div_euclid(1000) as f64).to_bits();
    let Some(first) = ledger.rule_commits.first().copied() else {
        let other =
            active_at.iter().find(|(at, bits)| since(**at) != **bits && ledger.rule_doubts.is_empty());
        return other.map_or(Ok(()), |(at, _)| Err(anew(*at)));
    };
    let doubted = ledger.rule_doubts.range(..first).map(|tick| since(*tick));
    let possible: Vec<u64> = doubted.chain([since(first)]).collect();
    let mut chain: Option<u64> = None;
    for (at, bits) in active_at {
        let is_chain = possible.contains(bits) && chain.is_none_or(|chain| chain == *bits);
        if is_chain && ledger.rule_commits.contains(at) {
            chain = Some(*bits);
        }
        let alone = *at < first + SEEN_MS && since(*at) == *bits;
        if !is_chain && !alone {
            return Err(anew(*at));
        }
    }
    Ok(())
}

fn anew(at: i64) -> Violation {
    Violation::new("S12", format!("the alert has become active anew by {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(commits: &[i64], doubts: &[i64], active: &[(i64, i64)]) -> bool {
        let ledger = Ledger {
            rule_commits: commits.iter().copied().collect(),
            rule_doubts: doubts.iter().copied().collect(),
            ..Ledger::default()
        };
        let active = active.iter().map(|(at, since)| (*at, ((since / 1000) as f64).to_bits())).collect();
        check_active(&active, &ledger).is_ok()
    }

    #[test]
    fn an_alert_is_active_since_the_first_tick_that_was_committed() {
        assert!(check(&[60_000, 120_000], &[], &[(60_000, 60_000), (120_000, 60_000)]));
        assert!(check(&[60_000, 600_000], &[], &[(600_000, 60_000)]));
        assert!(!check(&[60_000, 600_000], &[], &[(600_000, 600_000)]));
        assert!(!check(&[60_000, 600_000], &[], &[(600_000, 120_000)]));
    }

    #[test]
    fn an_evaluation_whose_state_lost_counts_for_no_other_tick() {
        // Stored, and its state never set; or at the same time as the first that was committed.
        assert!(check(&[120_000], &[], &[(60_000, 60_000), (120_000, 120_000)]));
        assert!(check(&[60_000, 180_000], &[], &[(120_000, 120_000), (180_000, 60_000)]));
        assert!(!check(&[60_000, 180_000], &[], &[(120_000, 120_000), (180_000, 120_000)]));
        assert!(!check(&[60_000], &[], &[(60_000, 60_000), (240_000, 240_000)]));
        // Its state may have been set after all, but then it counts for all.
        assert!(check(&[120_000, 180_000], &[60_000], &[(120_000, 60_000), (180_000, 60_000)]));
        assert!(!check(&[120_000, 240_000], &[60_000], &[(120_000, 60_000), (240_000, 120_000)]));
    }
}
