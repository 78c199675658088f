//! Looks for queries that foxfire and Prometheus answer differently.
//!
//! ```text
//! seed ──► data     random samples ──────┬──► ours: foxfire's engine, in this process   ──┐
//!     └──► grammar  random valid queries ┴──► prometheus-engine: Prometheus's own        ──┴──► compare ──► shrink
//! ```
//!
//! One seed always gives the same samples and queries. What differs is made as small as it can be made while it still
//! differs, and printed with its seed.

pub mod compare;
pub mod data;
pub mod grammar;
mod histograms;
pub mod hunt;
pub mod node;
pub mod ours;
pub mod release;
pub mod rounding;
pub mod shrink;
