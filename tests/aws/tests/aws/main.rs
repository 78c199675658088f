//! The template on LocalStack, end to end.

#![allow(clippy::disallowed_methods, reason = "this crate drives real processes in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test harness fails by panicking")]

mod alerts;
mod deliveries;
mod journey;
mod resources;
mod scene;
