//! Long runs of the simulation.

use std::io::Write;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seed: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let hours: u32 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(24);
    let records: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(50);
    let outcome = sim::day::run(&sim::plan::Plan { records, ..sim::plan::Plan::new(seed, hours) });
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{:#?}\n{:x}", outcome.figures, outcome.trace_hash);
    for line in &outcome.last_effects {
        let _ = writeln!(out, "{line}");
    }
    let _ = writeln!(out, "{:?}", outcome.violations);
}
