//! `foxfire promql`: an expression prettified, and what evaluating it would do.

use std::process::ExitCode;

use clap::Subcommand;
use promql::{EngineOptions, Features, Plan, QueryTime};

use crate::{complain, say};

/// What to do with an expression.
#[derive(Debug, Subcommand)]
pub(crate) enum PromqlCommand {
    /// Format an expression to multiple lines.
    Format {
        /// The expression.
        expr: String,
    },
    /// Show how an expression is evaluated, and what each of its selectors reads.
    Explain {
        /// The expression.
        expr: String,
        /// The instant, in seconds since the epoch; the start of a range query.
        #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
        start: f64,
        /// The end of a range query, in seconds since the epoch. Without it, the query is an instant query.
        #[arg(long, allow_negative_numbers = true)]
        end: Option<f64>,
        /// The step of a range query.
        #[arg(long, default_value = "1m")]
        step: String,
    },
}

/// Runs the command: success only where the expression is one.
pub(crate) fn main(command: &PromqlCommand) -> ExitCode {
    let done = match command {
        PromqlCommand::Format { expr } => format(expr),
        PromqlCommand::Explain { expr, start, end, step } => explain(expr, *start, *end, step),
    };
    match done {
        Ok(text) => {
            say(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!("foxfire: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Everything is on: what is only shown does no harm.
fn features() -> Features {
    Features {
        experimental_functions: true,
        extended_range_selectors: true,
        binop_fill_modifiers: true,
        ..Features::default()
    }
}

fn format(expr: &str) -> Result<String, String> {
    let parsed = promql::parser::parse(expr, &features()).map_err(|error| error.to_string())?;
    Ok(parsed.prettify())
}

fn explain(expr: &str, start: f64, end: Option<f64>, step: &str) -> Result<String, String> {
    let ms = |seconds: f64| (seconds * 1000.0).round() as i64;
    let time = match end {
        None => QueryTime::Instant(ms(start)),
        Some(end) => {
            let step = model::duration::parse(step).map_err(|error| error.to_string())?;
            let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
            if step == 0 {
                return Err("zero query resolution step widths are not accepted".to_owned());
            }
            QueryTime::Range { start: ms(start), end: ms(end), step }
        }
    };
    let options = EngineOptions { features: features(), ..EngineOptions::default() };
    Plan::new(expr, time, &options).map(|plan| plan.to_string()).map_err(|error| error.to_string())
}
