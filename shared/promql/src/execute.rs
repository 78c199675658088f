//! Plan, load, evaluate: a whole query in one call.

use model::TimestampMs;
use storage::{Limits, Queryable, StorageError};

use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::query::{EngineOptions, QueryError, QueryTime};
use crate::value::QueryResult;

/// Plans `query`, loads what it reads from `queryable` and evaluates it. Needs no particular runtime. `deadline_ms` is
/// given to the store, by its clock; `interrupt` is asked while evaluating.
///
/// # Errors
/// Those of [`Plan::new`] and [`Plan::evaluate`]; what the store says, in Prometheus's words.
pub async fn execute(
    queryable: &dyn Queryable,
    query: &str,
    time: QueryTime,
    options: &EngineOptions,
    deadline_ms: TimestampMs,
    interrupt: &dyn Interrupt,
) -> Result<QueryResult, QueryError> {
    let plan = Plan::new(query, time, options)?;
    interrupt.check()?;
    let sets = if plan.selects().is_empty() {
        Vec::new()
    } else {
        let limits = Limits { samples_max: options.samples_max, deadline: deadline_ms };
        queryable.select(plan.selects(), limits).await.map_err(query_error)?
    };
    interrupt.check()?;
    plan.evaluate(sets, interrupt)
}

fn query_error(error: StorageError) -> QueryError {
    match error {
        StorageError::TooManySamples => QueryError::TooManySamples,
        StorageError::Timeout(phase) => QueryError::Timeout(phase),
        error => QueryError::Execution(format!("expanding series: {error}")),
    }
}
