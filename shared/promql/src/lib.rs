//! PromQL: parser, plan and engine over [`storage`], synchronous and pure.
//!
//! ```text
//! text ──parser──► Expr (byte positions) ──plan──► Plan ──selects()──► what to load ──(the caller loads)──┐
//!                                                   └──────────────evaluate(series sets)──────────────────┴──► Value
//! ```
//!
//! This crate knows neither blocks nor AWS and has no clock. Loading is the caller's; [`execute()`] does all of it over
//! a [`storage::Queryable`].

mod annotations;
mod eval;
mod execute;
mod interrupt;
pub mod parser;
mod plan;
mod query;
mod value;

pub use execute::execute;
pub use interrupt::{Interrupt, Never};
pub use plan::Plan;
pub use query::{EngineOptions, Features, QueryError, QueryTime};
pub use value::{MatrixSeries, QueryResult, QueryValue, VectorSample};
