//! `foxfire test`: scripts that say what queries have to give.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use crate::{complain, say};

/// What to test.
#[derive(Debug, Subcommand)]
pub(crate) enum TestCommand {
    /// Run PromQL test files, in the language that Prometheus tests its own engine with.
    Promql {
        /// The test files.
        #[arg(required = true, value_name = "test-files")]
        files: Vec<PathBuf>,
    },
}

/// Runs the files: success only where every query gave what is expected.
pub(crate) fn main(command: &TestCommand) -> ExitCode {
    let TestCommand::Promql { files } = command;
    let mut failed = false;
    for file in files {
        failed |= !run(file);
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run(file: &Path) -> bool {
    let path = file.display();
    let report = std::fs::read_to_string(file)
        .map_err(|error| format!("{path}: {error}"))
        .and_then(|text| promqltest::run(&text).map_err(|error| format!("{path}: {error}")));
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            complain(format_args!("  FAILED: {error}"));
            return false;
        }
    };
    for failure in &report.failures {
        complain(format_args!("{path}:{}: {}\n    {}", failure.line, failure.query, failure.message));
    }
    let result = if report.failures.is_empty() { "SUCCESS" } else { "FAILED" };
    say(format_args!("{path}: {result}: {} passed, {} failed", report.passed, report.failures.len()));
    report.failures.is_empty()
}
