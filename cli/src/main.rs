//! The `foxfire` command.
//!
//! ```text
//! foxfire serve     the whole pipeline in one process, on embedded stores
//! foxfire check     config and rule files, as promtool does
//! foxfire config    push a configuration to a deployment on AWS, and show the one in force
//! foxfire test      PromQL test files
//! foxfire promql    format and explain expressions
//! foxfire tsdb      list, analyze, verify, dump and fill a data directory
//! foxfire cost      what it costs on AWS a month: by a model, by logs, by metrics
//! ```
//!
//! This crate composes: it reads flags, builds the adapters, and drives the same handlers that Lambda drives.

mod check;
mod config;
mod cost;
mod promql;
mod serve;
mod test;
mod tsdb;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Prometheus without servers.
#[derive(Debug, Parser)]
#[command(name = "foxfire", version, about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole pipeline in one process: scrape, store, query, evaluate rules, alert.
    Serve(Box<serve::ServeFlags>),
    /// Check files for correctness.
    #[command(subcommand)]
    Check(check::CheckCommand),
    /// The configuration of a deployment on AWS.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Run tests.
    #[command(subcommand)]
    Test(test::TestCommand),
    /// Format and explain PromQL expressions.
    #[command(subcommand)]
    Promql(promql::PromqlCommand),
    /// Run tsdb commands.
    #[command(subcommand)]
    Tsdb(tsdb::TsdbCommand),
    /// Tell what it costs on AWS a month, at list prices.
    Cost(cost::CostFlags),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(flags) => serve::main(&flags),
        Command::Check(command) => check::main(&command),
        Command::Config(command) => config::main(&command),
        Command::Test(command) => test::main(&command),
        Command::Promql(command) => promql::main(&command),
        Command::Tsdb(command) => tsdb::main(&command),
        Command::Cost(flags) => cost::main(&flags),
    }
}

/// Prints a line for the user. That nobody reads it (a closed pipe) is no reason to fail.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Prints a complaint.
fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
