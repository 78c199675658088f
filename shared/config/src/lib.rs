//! `prometheus.yml` and rule files: text in, validated values out, no I/O.
//!
//! ```text
//! YAML text ──► nodes with line numbers ──► decoded, unknown keys refused ──► validated ──► Config, RuleFile
//! ```
//!
//! Errors have Prometheus's wording. Secrets are [`Secret`]s, which print as `<secret>`.

pub mod values;

pub use values::*;
