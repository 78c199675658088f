//! `sam build` of all functions.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use localstack::Tools;

/// What `sam build` calls in place of cargo-lambda: cargo, in the profile and with the features of the tests, so that
/// what they have compiled need not be compiled again. Debug information stays behind: it is most of a file.
const CARGO_LAMBDA: &str = r#"#!/bin/sh
set -e
binary=
while [ $# -gt 0 ]; do
    if [ "$1" = --bin ]; then binary=$2; fi
    shift
done
cargo build --quiet --bin "$binary"
folder=${CARGO_TARGET_DIR:-target}
mkdir -p "$folder/lambda/$binary"
strip --strip-debug -o "$folder/lambda/$binary/bootstrap" "$folder/debug/$binary"
"#;

/// Builds the template's functions for this machine; the built template.
pub(crate) fn sam_build(tools: &Tools, folder: &Path) -> PathBuf {
    let programs = folder.join("programs");
    std::fs::create_dir_all(&programs).unwrap();
    let program = programs.join("cargo-lambda");
    std::fs::write(&program, CARGO_LAMBDA).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let built = folder.join("build");
    let mut sam = tools.command("sam");
    sam.args(["build", "--build-dir"]).arg(&built).args(["--parameter-overrides", &architecture()]);
    let path = first_on_path(&programs, &sam);
    // Not `--release`.
    sam.env("SAM_BUILD_MODE", "debug").env("PATH", path);
    run("sam build", &mut sam);
    built.join("template.yaml")
}

/// Builds `foxfire` as the functions are built; the program.
pub(crate) fn foxfire() -> PathBuf {
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    cargo.args(["build", "--quiet", "--bin", "foxfire"]);
    run("building foxfire", cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")));
    let program = std::env::current_exe().unwrap();
    let built = program.ancestors().map(|folder| folder.join("foxfire")).find(|built| built.is_file());
    built.unwrap_or_else(|| panic!("foxfire is not beside {}", program.display()))
}

/// The parameter that makes functions run on this machine.
pub(crate) fn architecture() -> String {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    format!("Architecture={architecture}")
}

/// Runs a tool to its end; a failure shows what it said.
pub(crate) fn run(what: &str, command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what} failed: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

fn first_on_path(folder: &Path, command: &Command) -> std::ffi::OsString {
    let path = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value);
    let path = path.unwrap_or_default().to_owned();
    std::env::join_paths([folder.to_owned()].into_iter().chain(std::env::split_paths(&path))).unwrap()
}
