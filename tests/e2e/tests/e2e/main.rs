//! The whole product beside real peers. One binary: the tests share the machine and what they install.

#![allow(clippy::disallowed_methods, reason = "these tests drive real processes in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::print_stdout, reason = "a test says how much it has compared")]

mod alerting;
mod backfill;
mod bad_targets;
mod blocks_sql;
mod crash;
mod damage;
mod disk;
mod duckdb_questions;
mod errors;
mod lifecycle;
mod metadata;
mod node_exporters;
mod remote_write;
mod self_scrape;
mod soak;
