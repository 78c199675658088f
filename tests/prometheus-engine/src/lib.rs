//! Prometheus's own PromQL engine, built from its source, to compare ours with.
//!
//! ```text
//! go/  a small program around github.com/prometheus/prometheus/promql ──go build──► a binary below target/
//! binary() ──► Engine: requests and answers, a line of JSON each ──► promql-diff (same answers?), promql-bench (how fast?)
//! ```
//!
//! The environment's `FOXFIRE_PROMETHEUS_ENGINE` names a binary to use instead: one that speaks as `go/answer.go` says.

#![allow(clippy::disallowed_methods, reason = "which binary to run comes from the environment")]

mod answer;
mod process;

use std::path::{Path, PathBuf};
use std::process::Command;

pub use answer::{Answer, Histogram, Options, Point, Request, ResultSeries, Series};
pub use process::Engine;

/// The binary: that of the environment, or built now.
///
/// # Errors
/// Where there is no Go, or what it says.
pub fn binary() -> Result<PathBuf, String> {
    if let Ok(path) = std::env::var("FOXFIRE_PROMETHEUS_ENGINE") {
        return Ok(PathBuf::from(path));
    }
    let output = target_folder()?.join("prometheus-engine");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&output)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("go"))
        .env("GOFLAGS", "-mod=mod")
        .output()
        .map_err(|error| format!("go: {error}"))?;
    if built.status.success() {
        return Ok(output);
    }
    Err(format!("go build: {}", String::from_utf8_lossy(&built.stderr)))
}

/// Where Cargo puts what it builds: above the profile that this program was built in.
fn target_folder() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let profile = |path: &&Path| {
        matches!(path.file_name().and_then(|n| n.to_str()), Some("debug" | "release" | "dist"))
    };
    let folder = program.ancestors().find(profile).and_then(Path::parent);
    folder.map(Path::to_owned).ok_or_else(|| format!("{} is not below a target folder", program.display()))
}
