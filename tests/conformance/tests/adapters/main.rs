//! Every adapter passes every suite; and what the local one keeps survives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail as tests do")]

mod alike;
mod kill;
mod local;
mod sim;
