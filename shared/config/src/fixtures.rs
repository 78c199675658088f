//! Where tests find Prometheus's own test data.
#![allow(clippy::disallowed_methods, reason = "only tests read the environment")]

use std::path::{Path, PathBuf};

/// The directory of the fixtures, or `None`, with a note, where there are none on this machine.
pub(crate) fn root() -> Option<PathBuf> {
    let root = std::env::var("FOXFIRE_FIXTURES").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
        PathBuf::from,
    );
    if !root.is_dir() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no fixtures at {}", root.display());
        println!("skipped: no fixtures at {}", root.display());
        return None;
    }
    Some(root)
}

/// The JSON document at `path`.
pub(crate) fn json(root: &Path, path: &str) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(root.join(path)).unwrap()).unwrap()
}
