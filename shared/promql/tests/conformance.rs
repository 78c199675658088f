//! Prometheus's own PromQL test files.

mod promqltest;

use std::collections::BTreeMap;

use promqltest::run::{Eval, Kind};
use promqltest::store::Store;
use promqltest::{fixture, suite_options};

/// Test files with how many `eval`s pass and how many are not yet run because native histograms take part.
const FILES: [(&str, usize, usize); 21] = [
    ("aggregators", 0, 0),
    ("at_modifier", 0, 0),
    ("collision", 0, 0),
    ("duration_expression", 0, 0),
    ("extended_vectors", 0, 0),
    ("fill-modifier", 0, 0),
    ("functions", 0, 0),
    ("histograms", 0, 0),
    ("info", 0, 0),
    ("limit", 0, 0),
    ("literals", 0, 0),
    ("name_label_dropping", 0, 0),
    ("native_histograms", 0, 0),
    ("operators", 0, 0),
    ("range_queries", 0, 0),
    ("selectors", 0, 0),
    ("staleness", 0, 0),
    ("start_timestamps", 0, 0),
    ("subquery", 0, 0),
    ("trig_functions", 0, 0),
    ("type_and_unit", 0, 0),
];

/// `eval`s that do not pass, by file and line, each with the reason.
const KNOWN: [(&str, u64, &str); 0] = [];

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
