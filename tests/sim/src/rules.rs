//! The rule group of every world, and what its results must be (S12).
//!
//! The recorded time of a tick is the tick; the alert that always holds is pending for two minutes from the group's
//! first tick on and fires ever after, whatever crashes in between.

use std::collections::BTreeMap;

use model::Labels;
use model::value::STALE_NAN_BITS;

use crate::ledger::Violation;

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

/// Checks the series that are no target's and no pusher's.
///
/// # Errors
/// The first violation.
pub fn check_rules(series: &[(&Labels, &Vec<(i64, u64)>)]) -> Result<(), Violation> {
    let mut active_at: Option<u64> = None;
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
                "ALERTS_FOR_STATE" if *active_at.get_or_insert(*bits) == *bits => {}
                "ALERTS_FOR_STATE" => return wrong("the alert has become active anew"),
                _ => return Err(Violation::new("S3", format!("{labels} is nobody's"))),
            }
        }
    }
    let Some(active_at) = active_at.map(f64::from_bits) else { return Ok(()) };
    for (at, states) in states {
        let firing = at as f64 / 1000.0 - active_at >= FOR_S;
        let expected = if firing { "firing" } else { "pending" };
        if states != [expected] {
            let detail = format!("the alert is {states:?} at {at}, active since {active_at}");
            return Err(Violation::new("S12", detail));
        }
    }
    Ok(())
}
