//! `foxfire config`: the configuration of a deployment on AWS.
//!
//! ```text
//! push   prometheus.yml ─► validated ─► the files it names ─► files/… of the bucket ─► config/<name>, made current
//! show   the one in force, without its secrets
//! ```

mod files;
mod push;
mod show;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use platform::NoMeter;
use platform_aws::{AddressRules, AwsOptions};

use crate::complain;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Validate a configuration and put it in force, with its rule files and the files that it names.
    Push(push::PushFlags),
    /// Print the configuration in force, without its secrets.
    Show(Deployment),
}

/// Which deployment. Region and credentials come from the environment, as for the AWS CLI.
#[derive(Debug, Args)]
pub(crate) struct Deployment {
    /// The deployment's bucket: an output of its stack.
    #[arg(long, value_name = "NAME")]
    bucket: String,
    /// The deployment's table: an output of its stack.
    #[arg(long, value_name = "NAME")]
    table: String,
}

impl Deployment {
    fn options(&self) -> AwsOptions {
        AwsOptions {
            bucket: self.bucket.clone(),
            table: self.table.clone(),
            scrape_queue_url: None,
            rule_queue_url: None,
            alert_topic_arn: None,
            addresses: AddressRules::default(),
            meter: Arc::new(NoMeter),
        }
    }
}

/// Runs a command.
pub(crate) fn main(command: &ConfigCommand) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format_args!("foxfire: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match command {
            ConfigCommand::Push(flags) => push::run(flags).await,
            ConfigCommand::Show(deployment) => show::run(deployment).await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("foxfire: {error}"));
            ExitCode::FAILURE
        }
    }
}
