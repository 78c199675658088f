//! How fast foxfire's PromQL engine is beside Prometheus's own, on the same samples in the same run, and what memory
//! each takes.
//!
//! ```text
//! data     generated samples ──► a file ──┬──► measure: this program again, foxfire's engine  ──┐
//! queries  what dashboards and rules ask ─┤                                                      ├──► report: a table
//!                                         └──► prometheus-engine: Prometheus's, built from source┘
//! ```
//!
//! Every query has a process of its own in either engine, so that peaks of memory are its own. Loading is not measured.
//! One core each.

mod data;
mod measure;
mod options;
mod queries;
mod report;

use std::process::ExitCode;

use storage_bench::Outcome;

#[expect(clippy::print_stderr, reason = "this is a program for the terminal")]
fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let result: Outcome<()> = match (arguments.next().as_deref(), arguments.next()) {
        (Some("measure"), Some(file)) => measure::answer_all(file.as_ref()),
        _ => options::Options::parse(std::env::args().skip(1)).and_then(|options| report::run(&options)),
    };
    if let Err(error) = result {
        eprintln!("promql-bench: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
