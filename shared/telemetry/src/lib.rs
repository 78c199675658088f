//! What foxfire says about itself: log lines on stderr, and its own metrics.
//!
//! ```text
//! tracing events ──► init_logging ──► stderr, a line each, logfmt as Prometheus writes it, or JSON
//! handlers, api  ──► Metrics (one per process, made by main) ──► encode ──► /metrics
//! platform-aws   ──► UsageMeter (one per process of a function) ──► a line of the log: what it used of AWS
//! ```
//!
//! Metrics have Prometheus's own names where dashboards and alerts expect them, and `foxfire_*` where there is no such
//! thing in Prometheus. Nothing here is global but the log; nothing here reads a clock: times are passed in.

mod logging;
mod metrics;
mod process;
mod summary;
mod usage;

pub use logging::{Format, Level, LoggingError, init_logging};
pub use metrics::{Compaction, Metrics, Pushed, ScrapeTotals, StoreState, Totals};
pub use usage::UsageMeter;
