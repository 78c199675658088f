//! PromQL: parser, plan and engine over [`storage`], synchronous and pure.
//!
//! ```text
//! text ──parser──► Expr (byte positions) ──plan──► Plan ──selects()──► what to load ──(the caller loads)──┐
//!                                                   └──────────────evaluate(series sets)──────────────────┴──► Value
//! ```
//!
//! This crate knows neither blocks nor AWS, has no async and no clock: loading is the caller's.

pub mod parser;
mod query;
mod value;

pub use query::{EngineOptions, Features, QueryError, QueryTime};
pub use value::{MatrixSeries, QueryResult, QueryValue, VectorSample};
