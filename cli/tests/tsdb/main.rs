//! `foxfire tsdb` as a user runs it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::disallowed_methods, reason = "these tests drive a real process")]

mod import;
mod looking;
mod run;
