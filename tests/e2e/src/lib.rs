//! Drives the real `foxfire serve` beside real peers: Debian's node_exporter, Alertmanager and promtool, and DuckDB.
//!
//! ```text
//! node_exporter, bad targets ◄── foxfire serve (a process, a data directory) ──► Alertmanager
//!                                   ▲ promtool query, HTTP          ▲ DuckDB reads the blocks
//! ```
//!
//! Peers that are missing are installed from Debian's packages and PyPI; the tests fail where that is impossible.

#![allow(clippy::disallowed_methods, reason = "this crate drives real processes in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test harness fails by panicking")]
#![allow(
    clippy::missing_panics_doc,
    reason = "everything here panics where the world is not as the test needs it"
)]

mod bad_targets;
mod foxfire;
mod http;
mod peers;
mod process;
mod pusher;
mod small_disk;
pub mod soak;
mod wait;

pub use bad_targets::{BadTarget, start_bad_target};
pub use foxfire::{Foxfire, build, serve_arguments, serve_once};
pub use http::{get, post, post_body};
pub use peers::{Alertmanager, NodeExporter, Prometheus, duckdb, promtool};
pub use process::{Process, free_port};
pub use pusher::Pusher;
pub use small_disk::SmallDisk;
pub use wait::eventually;
