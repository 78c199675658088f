//! Discovery: which targets there are, what they are called after relabelling, and when each is due.
//!
//! ```text
//! Config ─► discover: static, file_sd (errors keep the last good groups) ─► target groups
//!              └─► build_targets: defaults, relabelling, checks ─► ScrapeTarget, dropped, errors ─► TargetSnapshot
//!                      └─► schedule: every due instant of a window, packed into batches ─► ScrapeTask
//! ```
//!
//! How targets are built and spread over their interval is Prometheus's (`scrape/target.go`). Everything but reading
//! files is pure.

mod alertmanager;
mod file_sd;
mod groups;
mod schedule;
mod snapshot;
mod target;

pub use alertmanager::alertmanagers;
pub use groups::{Discovered, LastGood, discover};
pub use schedule::{PackSettings, Slot, schedule};
pub use snapshot::{gone, snapshot};
pub use target::{BuiltTargets, build_targets};
