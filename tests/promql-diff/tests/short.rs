//! A short hunt in every test run; `cargo run --release -p promql-diff` hunts for longer.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]

use promql_diff::data::Kinds;
use promql_diff::hunt::{Hunted, Hunter, QUERIES_PER_SEED};
use promql_diff::release::answers_otherwise;

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
    let unknown = || hunted.found.iter().filter(|found| !answers_otherwise(found));
    for found in unknown().take(3) {
        println!("{found}");
    }
    assert_eq!(unknown().count(), 0, "queries are answered differently");
    assert!(hunted.with_series > hunted.asked / 4, "most queries find nothing: {hunted:?}");
}
