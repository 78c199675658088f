//! `foxfire tsdb`: looking into a data directory, and bringing samples into one, in promtool's words.
//!
//! ```text
//! list, analyze, verify, dump, dump-openmetrics ──► open ──► tsdb::Store (read)
//! create-blocks-from openmetrics: file ─► textparse ─► tsdb::Backfill ─► one commit ─► merges
//! ```
//!
//! The embedded store has one owner at a time: while `foxfire serve` runs on a directory, all of this is refused.

mod analyze;
mod distribution;
mod dump;
mod histogram;
mod import;
mod list;
mod open;
mod openmetrics;
mod table;
mod units;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::complain;

/// What to do with a data directory.
#[derive(Debug, Subcommand)]
pub(crate) enum TsdbCommand {
    /// Analyze churn, label pair cardinality and what takes how much room.
    Analyze(analyze::AnalyzeFlags),
    /// List tsdb blocks.
    List(list::ListFlags),
    /// Check that everything stored is what was written: checksums, counts, order, overlaps.
    Verify(verify::VerifyFlags),
    /// Dump data (series+samples or optionally just series) from a TSDB.
    Dump(dump::DumpFlags),
    /// Dump samples from a TSDB into OpenMetrics text format, excluding native histograms and staleness markers, which
    /// are not representable in OpenMetrics.
    DumpOpenmetrics(dump::DumpOpenmetricsFlags),
    /// Import samples from input and produce TSDB blocks.
    CreateBlocksFrom(import::CreateBlocksFromFlags),
}

/// Where the data is.
#[derive(Clone, Debug, Args)]
pub(crate) struct DbPath {
    /// Database path.
    #[arg(value_name = "db path", default_value = "data/")]
    pub(crate) path: PathBuf,
}

/// Runs a command; complains of what goes wrong.
pub(crate) fn main(command: &TsdbCommand) -> ExitCode {
    if let Err(error) = telemetry::init_logging(telemetry::Level::Warn, telemetry::Format::Logfmt) {
        complain(format_args!("foxfire: {error}"));
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format_args!("foxfire: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match command {
            TsdbCommand::Analyze(flags) => analyze::run(flags).await,
            TsdbCommand::List(flags) => list::run(flags).await,
            TsdbCommand::Verify(flags) => verify::run(flags).await,
            TsdbCommand::Dump(flags) => dump::run(flags).await,
            TsdbCommand::DumpOpenmetrics(flags) => dump::run_openmetrics(flags).await,
            TsdbCommand::CreateBlocksFrom(flags) => Box::pin(import::run(flags)).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}
