//! The query function: the HTTP API over blocks and WAL.
//!
//! ```text
//! request ─► api::Api::route ─┬─► tsdb::Store (samples)
//!                             └─► QueryDeployment (targets, rules, configuration: the control registers and the WAL)
//! ```
//!
//! It only reads. What `/targets` says of the last scrapes comes from the WAL, where each scrape's outcome is stored
//! beside its samples: no function has to remember anything.

mod deployment;
mod web;

pub use deployment::{QueryDeployment, QuerySettings};
pub use web::answer;
