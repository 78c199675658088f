//! Prometheus's own PromQL test suite, read from the fixtures, and what is needed to run it.

#![allow(clippy::disallowed_methods, reason = "tests find the fixtures through the environment")]
#![allow(clippy::panic, clippy::print_stdout, reason = "these are tests, although not each function is one")]
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod compare;
pub(crate) mod json;
pub(crate) mod load;
pub(crate) mod run;
pub(crate) mod store;

use std::path::PathBuf;

use promql::{EngineOptions, Features};
use serde_json::Value;

/// The suite's options: everything on.
pub(crate) fn suite_options() -> EngineOptions {
    EngineOptions {
        features: Features {
            experimental_functions: true,
            extended_range_selectors: true,
            binop_fill_modifiers: true,
            delayed_name_removal: true,
        },
        ..EngineOptions::default()
    }
}

/// Reads a fixture below `promql/json`; `None` where fixtures are not at hand.
pub(crate) fn fixture(path: &str) -> Option<Value> {
    let root = std::env::var("FOXFIRE_FIXTURES").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
        PathBuf::from,
    );
    if !root.is_dir() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "fixtures are missing");
        println!("skipped: no fixtures");
        return None;
    }
    let path = root.join("promql/json").join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_str(&text).expect("a fixture is JSON"))
}
