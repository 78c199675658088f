//! The stores that users have today, from Debian's packages, given the same samples.

use std::path::Path;
use std::process::Command;

use crate::Outcome;

mod http;
mod prometheus;
mod victoria;

pub use prometheus::prometheus;
pub use victoria::victoria_metrics;

/// What a peer made of a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerSize {
    /// Bytes of everything that it needs to read the samples back.
    pub bytes: u64,
    /// Of these, what finds series: an index.
    pub index_bytes: u64,
    /// Samples that it says or shows to have.
    pub samples: u64,
    /// Samples that come back with other bits; `None` where nobody looked.
    pub inexact: Option<u64>,
    /// Its version, and what else is to be known of the measurement.
    pub remark: String,
}

/// A peer's size, or why there is none: it is not installed.
pub type Peer = Result<PeerSize, String>;

/// Whether a program of a Debian package can be run; otherwise what to say.
fn installed(program: &str, package: &str) -> Result<(), String> {
    let found = Command::new(program).arg("--version").output().is_ok();
    let missing = || format!("skipped: there is no {program}; `apt-get install {package}`");
    if found { Ok(()) } else { Err(missing()) }
}

/// The version of an installed Debian package.
fn version(package: &str) -> String {
    let output =
        Command::new("dpkg-query").args(["--show", "--showformat=${Package} ${Version}", package]).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

/// Bytes of all files below a folder.
fn bytes_below(folder: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    if !folder.exists() {
        return Ok(0);
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            bytes += bytes_below(&entry.path())?;
        } else if kind.is_file() {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
