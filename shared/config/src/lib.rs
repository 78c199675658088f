//! `prometheus.yml` and rule files: text in, validated values out, no I/O.
//!
//! ```text
//! YAML text ──► nodes with line numbers ──► decoded, unknown keys refused ──► validated ──► Config, RuleFile
//! ```
//!
//! ```text
//! yaml     text to nodes, nodes to redacted text      decode   nodes to values, strictly, as go-yaml does
//! load     prometheus.yml, one module a section       rules    rule files
//! targets  files of target groups                     values   what all of it ends in
//! ```
//!
//! Errors have Prometheus's wording. Secrets are [`Secret`]s, which print as `<secret>`. What Prometheus has and
//! foxfire does not is refused where it would change what is collected or sent, else reported as a warning; nothing is
//! passed over in silence.

mod decode;
mod error;
mod expand;
mod load;
mod paths;
mod rules;
mod targets;
mod units;
pub mod values;
mod yaml;

pub use error::ConfigError;
pub use load::{LoadOptions, Loaded, check_target_address, load};
pub use paths::clean as clean_path;
pub use rules::{CheckTemplate, load_rules};
pub use targets::target_groups_from_yaml;
pub use units::parse_base2_bytes;
pub use values::*;
