//! How an estimate is shown.

use std::fmt::Write;

use cost::{Bill, peers};
use serde_json::json;

use super::Estimate;

/// As text: what it is of, the bill, and what others ask.
pub(crate) fn table(estimate: &Estimate, bill: &Bill) -> String {
    let mut text = String::new();
    for note in &estimate.notes {
        let _ = writeln!(text, "# {note}");
    }
    let _ = writeln!(text, "\n{bill}");
    for (name, usage) in &estimate.month.functions {
        let invoked = usage.invoked();
        if invoked > 0.0 {
            let each = usage.seconds * 1e3 / invoked;
            let _ = writeln!(text, "{name}: {invoked:.0} invocations a month, {each:.0} ms billed each");
        }
    }
    if let Some(workload) = &estimate.workload {
        text.push('\n');
        for peer in peers(workload) {
            let times = peer.dollars / bill.total.max(0.01);
            let _ = writeln!(
                text,
                "{}: ${:.2} a month, {times:.0} times as much ({})",
                peer.name, peer.dollars, peer.note
            );
        }
    }
    text
}

/// As JSON: the same.
pub(crate) fn json(estimate: &Estimate, bill: &Bill) -> String {
    let peers: Vec<serde_json::Value> = estimate
        .workload
        .iter()
        .flat_map(peers)
        .map(|peer| json!({"name": peer.name, "dollars": peer.dollars, "note": peer.note}))
        .collect();
    let value = json!({
        "notes": estimate.notes,
        "total": bill.total,
        "prices": bill.prices,
        "lines": bill.lines,
        "usage": estimate.month,
        "peers": peers,
    });
    serde_json::to_string_pretty(&value).unwrap_or_default()
}
