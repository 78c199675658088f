//! `foxfire check`: files are validated by the same code that `serve` loads them with.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use platform_local::LocalFiles;

use crate::serve::files::{environment, read_bundle, read_rule_file};
use crate::{complain, say};

/// What to check.
#[derive(Debug, Subcommand)]
pub(crate) enum CheckCommand {
    /// Check configuration files, and the rule files that they name.
    Config {
        /// The configuration files.
        #[arg(required = true, value_name = "config-files")]
        files: Vec<PathBuf>,
    },
    /// Check rule files.
    Rules {
        /// The rule files.
        #[arg(required = true, value_name = "rule-files")]
        files: Vec<PathBuf>,
    },
}

/// Runs a check: success only if every file is right.
pub(crate) fn main(command: &CheckCommand) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format_args!("foxfire: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let (CheckCommand::Config { files } | CheckCommand::Rules { files }) = command;
    let mut failed = false;
    for file in files {
        let path = file.to_string_lossy();
        say(format_args!("Checking {path}"));
        let checked = match command {
            CheckCommand::Config { .. } => runtime.block_on(check_config(&path)),
            CheckCommand::Rules { .. } => runtime.block_on(check_rules(&path)),
        };
        match checked {
            Ok(found) => say(format_args!(" SUCCESS: {found}\n")),
            Err(error) => {
                failed = true;
                complain(format_args!("  FAILED: {error}\n"));
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn check_config(path: &str) -> Result<String, String> {
    let bundle = read_bundle(&LocalFiles, path).await.map_err(|error| error.to_string())?;
    let loaded = control::load_bundle("", &bundle, &environment).map_err(|error| error.to_string())?;
    for warning in &loaded.warnings {
        complain(format_args!("  WARNING: {warning}"));
    }
    let rules: usize = loaded.rule_groups.iter().map(|entry| entry.group.rules.len()).sum();
    let files = bundle.rule_files.len();
    Ok(format!("{path} is valid prometheus config file syntax; {rules} rules found in {files} rule files"))
}

async fn check_rules(path: &str) -> Result<String, String> {
    let file = read_rule_file(&LocalFiles, path).await.map_err(|error| error.to_string())?;
    let groups = control::load_rule_file(&file).map_err(|error| error.to_string())?;
    let rules: usize = groups.iter().map(|entry| entry.group.rules.len()).sum();
    Ok(format!("{rules} rules found"))
}
