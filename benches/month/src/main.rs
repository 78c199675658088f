//! What a month of the whole pipeline costs on AWS, by running hours of it in virtual time and counting.
//!
//! ```text
//! schedules, queues, clients ──► sandboxes of each function, reused as Lambda does ──► the real handlers
//!                                                                                        │ metered ports
//!                            Usage ◄── requests and units by function, billed time ◄─────┘ over platform-sim
//!                              └──► Bill of a month
//! ```
//!
//! Requests and their units are exact and the same in each run. Billed time is made of virtual time (waiting for targets and
//! for requests of assumed latency) and of this machine's time on a core, times how much slower a function's share of a
//! vCPU is. With the feature `aws` the same runs in real time on AWS, or on LocalStack, with `platform-aws` telling the meter.
//! `cargo run --release -p month-bench -- --series 10000 --hours 6`.

#[cfg(feature = "aws")]
mod aws;
mod fleet;
mod lambda;
mod options;
mod place;
mod run;

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "month-bench: {error}\n{}", options::USAGE);
            return ExitCode::FAILURE;
        }
    };
    let result = match options.aws_minutes {
        0 => run::run(&options),
        minutes => on_aws(&options, minutes),
    };
    match result {
        Ok(report) => {
            let _ = writeln!(std::io::stdout().lock(), "{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "month-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(feature = "aws")]
fn on_aws(options: &options::Options, minutes: u32) -> Result<String, Box<dyn std::error::Error>> {
    aws::run(options, minutes)
}

#[cfg(not(feature = "aws"))]
fn on_aws(_: &options::Options, _: u32) -> Result<String, Box<dyn std::error::Error>> {
    Err("this program was built without the feature `aws`".into())
}
