//! From a query's text to what is loaded and evaluated.
//!
//! ```text
//! text ──parser──► Expr ──build──► typed tree: constants folded, durations computed, `@` resolved,
//!                          │       step-invariant parts marked
//!                          └─────► selects: one for all selectors of the same data
//! ```

mod build;
mod call;
mod duration;
mod explain;
pub(crate) mod function;
pub(crate) mod node;
mod reads;
#[cfg(test)]
mod tests;

pub(crate) use build::is_comparison;
use storage::{Select, SeriesSet};

use crate::eval;
use crate::interrupt::Interrupt;
use crate::parser::ast::Expr;
use crate::query::{EngineOptions, QueryError, QueryTime};
use crate::value::QueryResult;

/// A query made ready for one set of instants: it knows what it reads ([`Plan::selects`]) and, given that, is
/// evaluated as a plain function ([`Plan::evaluate`]).
#[derive(Debug)]
pub struct Plan {
    query: String,
    time: QueryTime,
    options: EngineOptions,
    expr: Expr,
    root: node::Root,
    selects: Vec<Select>,
}

impl Plan {
    /// Parses `query` and plans its evaluation at `time`.
    ///
    /// # Errors
    /// [`QueryError::Parse`] and [`QueryError::Invalid`] where it is no query of that kind,
    /// [`QueryError::Execution`] where an argument can already be seen to be unusable.
    pub fn new(query: &str, time: QueryTime, options: &EngineOptions) -> Result<Self, QueryError> {
        let expr = crate::parser::parse(query, &options.features)?;
        let (root, selects) = build::build(&expr, time, options)?;
        Ok(Self { query: query.to_owned(), time, options: *options, expr, root, selects })
    }

    /// The syntax tree of the query as written.
    #[must_use]
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Everything that the query reads, times exact and inclusive; selectors of the same data share an entry.
    #[must_use]
    pub fn selects(&self) -> &[Select] {
        &self.selects
    }

    /// Evaluates the query over `sets`, the series of each of [`Plan::selects`] in that order. `interrupt` is asked
    /// now and then.
    ///
    /// # Errors
    /// What the evaluation runs into, in Prometheus's words; what `interrupt` gives; or
    /// [`QueryError::TooManySamples`] where more samples are held at once than the options allow.
    #[expect(clippy::needless_pass_by_value, reason = "the loaded data is the evaluation's to free")]
    pub fn evaluate(
        &self,
        sets: Vec<SeriesSet>,
        interrupt: &dyn Interrupt,
    ) -> Result<QueryResult, QueryError> {
        if sets.len() != self.selects.len() {
            let message = format!("expanding series: {} sets for {} selects", sets.len(), self.selects.len());
            return Err(QueryError::Execution(message));
        }
        eval::evaluate(&eval::Input {
            query: &self.query,
            time: self.time,
            options: &self.options,
            root: &self.root,
            sets: &sets,
            interrupt,
        })
    }
}
