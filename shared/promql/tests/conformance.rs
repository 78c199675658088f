//! Prometheus's own PromQL test files.

#![allow(clippy::panic, clippy::print_stdout, reason = "these are tests, although not each function is one")]

mod promqltest;

use promqltest::run::Eval;
use promqltest::store::Store;
use promqltest::{fixture, suite_options};

/// Test files with how many `eval`s they have.
const FILES: [(&str, usize); 21] = [
    ("aggregators", 160),
    ("at_modifier", 78),
    ("collision", 2),
    ("duration_expression", 59),
    ("extended_vectors", 169),
    ("fill-modifier", 46),
    ("functions", 431),
    ("histograms", 185),
    ("info", 53),
    ("limit", 37),
    ("literals", 25),
    ("name_label_dropping", 30),
    ("native_histograms", 522),
    ("operators", 214),
    ("range_queries", 18),
    ("selectors", 31),
    ("staleness", 17),
    ("start_timestamps", 26),
    ("subquery", 34),
    ("trig_functions", 19),
    ("type_and_unit", 58),
];

#[test]
fn prometheus_own_tests_give_what_prometheus_gives() {
    let (mut total, mut wrong) = (0, Vec::new());
    for (file, evals) in FILES {
        let Some(passed) = run_file(file) else { return };
        println!("{file}: {passed} of {evals}");
        if passed != evals {
            wrong.push((file, passed, evals));
        }
        total += passed;
    }
    assert_eq!(wrong, [], "(file, passed, evals)");
    assert_eq!(total, 2214);
}

/// How many of a file's `eval`s pass.
fn run_file(file: &'static str) -> Option<usize> {
    let commands = fixture(&format!("promqltest/{file}.test.json"))?;
    let options = suite_options();
    let (mut store, mut passed) = (Store::default(), 0);
    for command in commands.as_array().expect("commands") {
        match command["cmd"].as_str() {
            Some("clear") => store = Store::default(),
            Some("load") => store.load(&command["stored"]),
            _ => {
                let eval = Eval::new(command);
                match eval.run(&store, &options) {
                    Ok(()) => passed += 1,
                    Err(error) => println!("{file}:{}: {}: {error}", command["line"], eval.query),
                }
            }
        }
    }
    Some(passed)
}
