//! `foxfire cost`: what it costs on AWS a month, at list prices: by a model, by what a deployment logged, or by what
//! `foxfire serve` counted.
//!
//! ```text
//! --series …        ─► cost::Deployment (model) ────────────────────────┐
//! --from-logs FILE  ─► records of usage in log lines ─► logs            ├─► Usage of a month ─► Bill ─► table or JSON
//! --url URL         ─► foxfire_aws_* of /metrics ─► metrics ────────────┘
//! ```

mod logs;
mod metrics;
mod output;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use cost::{Bill, Deployment, US_EAST_1, Workload};

use crate::{complain, say};

/// What to cost.
#[derive(Debug, Args)]
pub(crate) struct CostFlags {
    /// Active series.
    #[arg(long, default_value_t = 10_000, conflicts_with_all = ["from_logs", "url"])]
    series: u64,
    /// Time between two scrapes of a target.
    #[arg(long, default_value = "15s", value_name = "DURATION", value_parser = parse_duration)]
    interval: Duration,
    /// Targets; default: one for each thousand series.
    #[arg(long, value_name = "N")]
    targets: Option<u64>,
    /// Rules, in groups of ten that are evaluated each minute.
    #[arg(long, default_value_t = 20, value_name = "N")]
    rules: u64,
    /// Queries a month.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    queries: u64,
    /// How long samples are kept.
    #[arg(long, default_value = "15d", value_name = "DURATION", value_parser = parse_duration)]
    retention: Duration,
    /// Cost what a deployment used, by its log lines: a file, or - for standard input.
    #[arg(long, value_name = "FILE")]
    from_logs: Option<PathBuf>,
    /// Cost what a running `foxfire serve` would use on AWS, by its metrics.
    #[arg(long, value_name = "URL", conflicts_with = "from_logs")]
    url: Option<String>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs `foxfire cost`.
pub(crate) fn main(flags: &CostFlags) -> ExitCode {
    let estimated = match (&flags.from_logs, &flags.url) {
        (Some(path), _) => logs::read(path),
        (None, Some(url)) => metrics::read(url),
        (None, None) => Ok(model(flags)),
    };
    match estimated {
        Ok(estimate) => {
            let bill = Bill::of(&estimate.month, &US_EAST_1);
            let text =
                if flags.json { output::json(&estimate, &bill) } else { output::table(&estimate, &bill) };
            say(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!("foxfire: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A month's usage, and where it comes from.
pub(crate) struct Estimate {
    /// What was found, in words: one line each.
    pub(crate) notes: Vec<String>,
    /// The workload, where it is known: others have prices for it.
    pub(crate) workload: Option<Workload>,
    /// What is used in a month.
    pub(crate) month: cost::Usage,
}

fn model(flags: &CostFlags) -> Estimate {
    let series = flags.series as f64;
    let workload = Workload {
        series,
        targets: flags.targets.map_or_else(|| (series / 1_000.0).ceil(), |targets| targets as f64),
        interval_seconds: flags.interval.as_secs_f64(),
        rules: flags.rules as f64,
        queries: flags.queries as f64,
        retention_seconds: flags.retention.as_secs_f64(),
    };
    let notes = vec![format!(
        "{} series on {} targets every {}, {} rules each minute, {} queries a month, kept for {}",
        flags.series,
        workload.targets,
        model::duration::format(flags.interval),
        flags.rules,
        flags.queries,
        model::duration::format(flags.retention),
    )];
    let month = Deployment::default().month(&workload);
    Estimate { notes, workload: Some(workload), month }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    match model::duration::parse(text) {
        Ok(duration) if duration.is_zero() => Err("must be longer than 0s".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
