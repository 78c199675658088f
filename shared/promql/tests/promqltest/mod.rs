//! Prometheus's own PromQL test suite, read from the fixtures, and what is needed to run it.

#![allow(clippy::panic, clippy::print_stdout, reason = "these are tests, although not each function is one")]
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod compare;
pub(crate) mod json;
pub(crate) mod load;
pub(crate) mod run;
pub(crate) mod store;

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
            use_start_timestamps: true,
            type_and_unit_labels: false,
        },
        ..EngineOptions::default()
    }
}

/// Reads a fixture below `promql/json`; `None` where fixtures are not at hand.
pub(crate) fn fixture(path: &str) -> Option<Value> {
    fixtures::json(&format!("promql/json/{path}"))
}
