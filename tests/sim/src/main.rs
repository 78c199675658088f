//! Long runs of the simulation.

use std::io::Write;

use sim::explore::scenario::{Kind, Scenario};
use sim::explore::search::{Bounds, explore};
use sim::mutant::Mutant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout();
    let number = |at: usize, default: u64| {
        arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    match arguments.first().map(String::as_str) {
        Some("seed") => {
            let plan = sim::plan::Plan {
                records: number(3, 50) as usize,
                mutant: arguments.get(4).and_then(|name| Mutant::named(name)),
                ..sim::plan::Plan::new(number(1, 1), number(2, 24) as u32)
            };
            let outcome = sim::day::run(&plan);
            for line in &outcome.last_effects {
                let _ = writeln!(out, "{line}");
            }
            let _ = writeln!(out, "{:#?}\n{:x}\n{:?}", outcome.figures, outcome.trace_hash, outcome.violations);
        }
        Some("explore") => {
            let kind = arguments.get(1).and_then(|name| Kind::named(name)).unwrap_or(Kind::WriteSmall);
            let bounds = Bounds {
                preemptions: number(2, 1) as u8,
                faults: number(3, 0) as u8,
                executions_max: number(4, u64::MAX),
            };
            let mutant = arguments.get(6).and_then(|name| Mutant::named(name));
            let explored =
                Scenario::new(kind, mutant).map(|scenario| explore(&scenario, bounds, number(5, 1) as usize));
            let _ = writeln!(out, "{explored:#?}");
            if let Ok(explored) = explored
                && let Some((violation, story)) = explored.violation
            {
                let _ = writeln!(out, "{violation}\n{story}");
            }
        }
        _ => {}
    }
}
