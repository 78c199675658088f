//! How rules run expressions.

use std::future::Future;
use std::pin::Pin;

use model::TimestampMs;
use storage::Queryable;

/// Runs instant queries: the PromQL engine, or a script in tests.
pub trait QueryRunner: Send + Sync {
    /// The result of `expr` at `at_ms` on `queryable`. A scalar is one sample without labels.
    ///
    /// # Errors
    /// Prometheus's message; `rule result is not a vector or scalar` for a matrix or a string.
    fn instant<'a>(
        &'a self,
        expr: &'a str,
        at_ms: TimestampMs,
        queryable: &'a dyn Queryable,
    ) -> QueryFuture<'a>;
}

/// What a [`QueryRunner`] returns.
pub type QueryFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<promql::VectorSample>, String>> + Send + 'a>>;
