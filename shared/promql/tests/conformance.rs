//! Prometheus's own PromQL test files.

#![allow(clippy::panic, clippy::print_stdout, reason = "these are tests, although not each function is one")]

mod promqltest;

use std::collections::BTreeMap;

use promqltest::run::{Eval, Kind};
use promqltest::store::Store;
use promqltest::{fixture, suite_options};

/// Test files with how many `eval`s pass and how many are not yet run because native histograms take part.
const FILES: [(&str, usize, usize); 21] = [
    ("aggregators", 125, 35),
    ("at_modifier", 78, 0),
    ("collision", 2, 0),
    ("duration_expression", 59, 0),
    ("extended_vectors", 120, 49),
    ("fill-modifier", 46, 0),
    ("functions", 323, 108),
    ("histograms", 93, 92),
    ("info", 52, 1),
    ("limit", 1, 36),
    ("literals", 25, 0),
    ("name_label_dropping", 30, 0),
    ("native_histograms", 3, 519),
    ("operators", 142, 72),
    ("range_queries", 16, 2),
    ("selectors", 31, 0),
    ("staleness", 17, 0),
    ("start_timestamps", 0, 10),
    ("subquery", 32, 2),
    ("trig_functions", 19, 0),
    ("type_and_unit", 58, 0),
];

/// `eval`s that do not pass, by file and line, each with the reason.
const KNOWN: [(&str, u64, &str); 16] = [
    ("start_timestamps", 8, NO_START_TIMESTAMPS),
    ("start_timestamps", 13, NO_START_TIMESTAMPS),
    ("start_timestamps", 18, NO_START_TIMESTAMPS),
    ("start_timestamps", 24, NO_START_TIMESTAMPS),
    ("start_timestamps", 36, NO_START_TIMESTAMPS),
    ("start_timestamps", 42, NO_START_TIMESTAMPS),
    ("start_timestamps", 66, NO_START_TIMESTAMPS),
    ("start_timestamps", 74, NO_START_TIMESTAMPS),
    ("start_timestamps", 82, NO_START_TIMESTAMPS),
    ("start_timestamps", 91, NO_START_TIMESTAMPS),
    ("start_timestamps", 144, NO_START_TIMESTAMPS),
    ("start_timestamps", 169, NO_START_TIMESTAMPS),
    ("start_timestamps", 189, NO_START_TIMESTAMPS),
    ("start_timestamps", 276, NO_START_TIMESTAMPS),
    ("start_timestamps", 284, NO_START_TIMESTAMPS),
    ("start_timestamps", 289, NO_START_TIMESTAMPS),
];

const NO_START_TIMESTAMPS: &str =
    "storage hands out no start timestamps (--enable-feature=use-start-timestamps)";

#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: usize,
    native_histograms: usize,
    known: usize,
    failed: usize,
}

#[test]
fn prometheus_own_tests_give_what_prometheus_gives() {
    let known: BTreeMap<(&str, u64), &str> =
        KNOWN.iter().map(|(file, line, reason)| ((*file, *line), *reason)).collect();
    let (mut all, mut wrong) = (Totals::default(), Vec::new());
    for (file, passed, native_histograms) in FILES {
        let Some(totals) = run_file(file, &known) else { return };
        println!("{file}: {totals:?}");
        if (totals.passed, totals.native_histograms) != (passed, native_histograms) {
            wrong.push((file, totals.passed, totals.native_histograms));
        }
        all.passed += totals.passed;
        all.native_histograms += totals.native_histograms;
        all.known += totals.known;
        all.failed += totals.failed;
    }
    println!("total: {all:?}");
    assert_eq!(all.failed, 0, "evals fail");
    assert_eq!(wrong, [], "totals have changed");
    assert_eq!(all.passed + all.native_histograms + all.known, 2214);
}

fn run_file(file: &'static str, known: &BTreeMap<(&str, u64), &str>) -> Option<Totals> {
    let commands = fixture(&format!("promqltest/{file}.test.json"))?;
    let options = suite_options();
    let (mut store, mut totals) = (Store::default(), Totals::default());
    for command in commands.as_array().expect("commands") {
        match command["cmd"].as_str() {
            Some("clear") => store = Store::default(),
            Some("load") => store.load(&command["stored"]),
            _ => {
                let eval = Eval::new(command);
                let line = command["line"].as_u64().expect("a line");
                if eval.kind(&store, &options) == Kind::NativeHistograms {
                    totals.native_histograms += 1;
                    continue;
                }
                match (eval.run(&store, &options), known.get(&(file, line))) {
                    (Ok(()), None) => totals.passed += 1,
                    (Ok(()), Some(reason)) => {
                        println!("{file}:{line}: passes, although {reason}");
                        totals.failed += 1;
                    }
                    (Err(_), Some(_)) => totals.known += 1,
                    (Err(error), None) => {
                        println!("{file}:{line}: {}: {error}", eval.query);
                        totals.failed += 1;
                    }
                }
            }
        }
    }
    Some(totals)
}
