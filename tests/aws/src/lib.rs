//! Deploys `template.yaml` to LocalStack with AWS's own tools and drives what came of it.
//!
//! ```text
//! Stack::deployed() ── sam build ── sam deploy ──► LocalStack: functions as processes, queues, schedules, HTTP API
//!                        └─► cargo-lambda, or in tests cargo itself, so that what is compiled already serves
//! Cloud ── requests to S3, SQS, SNS, Lambda, DynamoDB       Target ── something to scrape that knows who came when
//! ```
//!
//! One deployment serves all tests of a process. What LocalStack cannot do, and where that is checked instead, is in
//! `README.md`.

#![allow(clippy::disallowed_methods, reason = "this crate drives real processes in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test harness fails by panicking")]
#![allow(
    clippy::missing_panics_doc,
    reason = "everything here panics where the world is not as the test needs it"
)]

mod build;
mod cloud;
mod processes;
mod stack;
mod target;

pub use cloud::{Answer, Cloud};
pub use processes::{function_processes, kill};
pub use stack::{SKIPPED, Stack, now_ms};
pub use target::Target;
