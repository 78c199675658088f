//! Prometheus's language for testing PromQL: scripts that load samples, evaluate queries and say what is expected.
//! Source: `promql/promqltest/test.go`.
//!
//! ```text
//! text ──script──► Command: clear │ load │ eval ──runner──► Failure, Failure …
//!        └─ series: `metric{…} 1+2x3 {{…}}`        ├─ store: samples as a store gives them back
//!                                                  ├─ rewrite: the same query with `@`, as a range
//!                                                  └─ compare: result and annotations against what is expected
//! ```

mod compare;
mod nhcb;
mod numbers;
mod rewrite;
mod runner;
mod script;
mod series;
mod store;

pub use runner::{Failure, Report, options, run};
pub use script::{Command, Eval, Expect, Load, Loaded, ScriptError, Text, parse};
pub use series::{SeriesError, Value, parse_series};
pub use store::Store;
