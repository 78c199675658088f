//! One suite for each port of [`platform`], run against every adapter: the contract, as code.
//!
//! ```text
//!  objects  rows  queue  clock  entropy  files        one async function a port, over `&dyn Port`
//!     ▲       ▲     ▲
//!  tests/adapters: platform-local, platform-sim       each in its own runtime
//! ```
//!
//! A suite fails by panicking. It leaves what it wrote behind, so each run is given a scope: a key segment, or a
//! partition's beginning, that nobody has used. Suites know no runtime: they wait through [`platform::Clock`] and run
//! concurrent callers within one future. A simulator is only as good as its likeness to the real store, so both are
//! pinned by the same lines.

mod files;
mod objects;
mod queue;
mod rows;
mod time;

pub use files::{FILES, files};
pub use objects::{objects, objects_do_not_nest, objects_recreated_alike};
pub use queue::{QueueTiming, queue};
pub use rows::rows;
pub use time::{clock, entropy};
