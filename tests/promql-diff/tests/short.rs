//! A short hunt in every test run; `cargo run --release -p promql-diff` hunts for longer.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]

use promql_diff::data::Kinds;
use promql_diff::hunt::{Hunted, Hunter, QUERIES_PER_SEED};

#[test]
fn foxfire_answers_as_prometheus_does() {
    let binary = match prometheus_engine::binary() {
        Ok(binary) => binary,
        Err(error) => {
            println!("skipped: Prometheus's engine cannot be built here: {error}");
            return;
        }
    };
    let mut hunter =
        Hunter::new(&binary, Kinds { histograms: true, start_timestamps: true }).expect("the engine starts");
    let mut hunted = Hunted::default();
    for seed in 0..20 {
        hunter.hunt(seed, QUERIES_PER_SEED, 3, &mut hunted, &|_, _| ()).expect("the engine answers");
    }
    for found in hunted.found.iter().take(3) {
        println!("{found}");
    }
    assert_eq!(hunted.found.len(), 0, "queries are answered differently");
    assert!(hunted.with_series > hunted.asked / 4, "most queries find nothing: {hunted:?}");
}
