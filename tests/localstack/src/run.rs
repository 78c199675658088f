//! Running installers.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a command to its end; what it prints goes to `log`, which a failure shows the end of.
pub(crate) fn run(what: &str, command: &mut Command, log: &Path) {
    let output = File::create(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    let status = command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output).status();
    let status = status.unwrap_or_else(|error| panic!("{what}: {:?}: {error}", command.get_program()));
    assert!(status.success(), "{what} failed ({status}): {command:?}\n{}", tail(log));
}

/// The end of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(60)..];
    format!("the end of {}:\n{}", log.display(), last.join("\n"))
}

/// A command without the variables that would make it act on something else than it is told: AWS's, Python's, LocalStack's.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let misleading = ["AWS_", "PYTHON", "LOCALSTACK_", "HOST_", "VIRTUAL_ENV", "LAMBDA_"];
        if misleading.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}
