//! AWS SAM's CLI, cfn-lint and cargo-lambda, in a virtual environment of their own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::run::command;
use crate::{folders, python};

/// The tools that build and deploy, installed.
#[derive(Debug)]
pub struct Tools {
    programs: PathBuf,
}

impl Tools {
    /// Installs them where they are missing (half a minute and 800 MB, once).
    #[must_use]
    pub fn install() -> Self {
        let folder = folders::home().join("venv-tools");
        let _lock = folders::lock("tools");
        python::environment(&folder, &folders::sources().join("requirements-tools.txt"));
        Self { programs: folder.join("bin") }
    }

    /// One of them, to be run in the checkout: `sam`, `cfn-lint`, `cargo-lambda`; the others are on its `PATH`.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = command(self.programs.join(program));
        command.env("PATH", self.path()).env("SAM_CLI_TELEMETRY", "0").current_dir(folders::checkout());
        command
    }

    /// The folder of the programs.
    #[must_use]
    pub fn programs(&self) -> &std::path::Path {
        &self.programs
    }

    fn path(&self) -> OsString {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = [self.programs.clone()].into_iter().chain(std::env::split_paths(&path));
        std::env::join_paths(all).unwrap()
    }
}
