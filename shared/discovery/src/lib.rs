//! From a configuration to what is to be scraped, and when.
//!
//! ```text
//! Config ──► discover ──► target groups ──► pool ──► TargetSnapshot ──► schedule ──► Slots (ScrapeTasks with a time)
//!              │ static, file_sd              relabelled, checked,          └─► gone: sources that ended
//!              │ (last good on error)         deduplicated, an offset each
//!              └──► alertmanagers
//! ```
//!
//! Everything after [`discover()`] is a pure function of its arguments: a task that is delivered twice plans the same
//! scrapes twice, and a scrape's name (its tick and shard) says which it is. Times are ms since the epoch.

mod alertmanager;
mod discover;
mod file_sd;
mod json;
mod pool;
mod schedule;
mod target;
#[cfg(test)]
mod test_files;
mod url;

pub use alertmanager::{Alertmanagers, alertmanagers, discover_alertmanagers};
pub use discover::{Discovered, DiscoveredPool, LastGood, discover};
pub use pool::{build_targets, gone, offset_seed, snapshot};
pub use schedule::{PackSettings, Slot, schedule, scrapes_due};
