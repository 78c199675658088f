//! Templates of alert labels and annotations: the part of Go's `text/template` that they use, and Prometheus's
//! functions (`template/template.go`).
//!
//! ```text
//! text ──lex──► tokens ──parse──► trees ──execute──► text
//!                                            │ ▲
//!                               a new query  ▼ │ its result
//!                                        QueryRunner
//! ```
//!
//! Execution is synchronous and pure. Where it needs the result of a query that it does not have it stops; the
//! expander runs the query and executes the template again from its beginning. Expressions in templates see one
//! snapshot at one instant, so what was executed twice gave the same twice.
//!
//! Everything is bounded: nesting, the length of strings, steps, queries.
//!
//! What differs from Go: strings are UTF-8 (bytes that are not become U+FFFD); there are no complex numbers, no
//! function values and no hexadecimal floats; a printed query result shows its samples where Go shows addresses. `tmpl` is
//! not defined, as in Prometheus's rule templates: it exists in consoles only.

mod ast;
mod builtins;
mod eval;
mod exec;
mod functions;
mod gofmt;
mod gotime;
mod host;
mod lex;
mod methods;
mod parse;
mod title;
mod unquote;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use storage::Queryable;

use crate::QueryRunner;

pub(crate) use functions::table_link;
pub use value::{AlertData, AnyMap, IntKind, Sample, UintKind, Value};

/// The longest string that a template may make, and the longest output, bytes.
pub(crate) const STRING_BYTES_MAX: usize = 1 << 20;
/// How many different queries one expansion may run.
const QUERIES_MAX: usize = 100;
/// How many results an expander keeps for the next expansion.
const CACHED_QUERIES_MAX: usize = 1_000;

/// What Prometheus puts before the text of every label and annotation.
const ALERT_DEFINITIONS: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                                 {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// Checks the template of a label or an annotation of the alert `alert`, as Prometheus does when it loads a rule file.
///
/// # Errors
/// Go's message: `template: __alert_NAME:1: …`.
pub fn check(alert: &str, text: &str) -> Result<(), String> {
    let name = alert_template_name(alert);
    parse::parse(&name, &format!("{ALERT_DEFINITIONS}{text}")).map(|_| ())
}

/// A parsed template.
#[derive(Clone, Debug)]
pub struct Template {
    name: String,
    text: String,
    trees: parse::Trees,
}

impl Template {
    /// Parses `text`, which errors call `name`.
    ///
    /// # Errors
    /// `error parsing template NAME: template: …`
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let trees =
            parse::parse(name, text).map_err(|error| format!("error parsing template {name}: {error}"))?;
        Ok(Self { name: name.to_owned(), text: text.to_owned(), trees })
    }

    /// Parses a label or annotation of the alert `alert`: `$labels`, `$value`, `$externalLabels` and `$externalURL`
    /// are defined.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_alert(alert: &str, text: &str) -> Result<Self, String> {
        Self::parse(&alert_template_name(alert), &format!("{ALERT_DEFINITIONS}{text}"))
    }
}

fn alert_template_name(alert: &str) -> String {
    format!("__alert_{alert}")
}

/// Expands templates that see one store at one instant.
pub struct Expander<'a> {
    runner: &'a dyn QueryRunner,
    queryable: &'a dyn Queryable,
    at_ms: i64,
    external_url: &'a str,
    queries: Queries,
}

/// Results of queries by expression.
pub(crate) type Queries = BTreeMap<String, Result<Arc<[Arc<Sample>]>, String>>;

impl std::fmt::Debug for Expander<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expander").field("at_ms", &self.at_ms).finish_non_exhaustive()
    }
}

impl<'a> Expander<'a> {
    /// An expander: queries run on `queryable` at `at_ms`; `external_url` is what `externalURL` gives.
    #[must_use]
    pub fn new(
        runner: &'a dyn QueryRunner,
        queryable: &'a dyn Queryable,
        at_ms: i64,
        external_url: &'a str,
    ) -> Self {
        Self { runner, queryable, at_ms, external_url, queries: Queries::new() }
    }

    /// The template's output for `data`.
    ///
    /// # Errors
    /// `error executing template NAME: template: NAME:1:2: executing "NAME" at <…>: …`
    pub async fn expand(&mut self, template: &Template, data: &Value) -> Result<String, String> {
        if self.queries.len() > CACHED_QUERIES_MAX {
            self.queries.clear();
        }
        for _ in 0..=QUERIES_MAX {
            match self.execute(template, data) {
                Ok(output) => return Ok(output),
                Err(exec::ExecError::Failed(error)) => {
                    return Err(format!("error executing template {}: {error}", template.name));
                }
                Err(exec::ExecError::Query(expr)) => {
                    let result = self.query(&expr).await;
                    self.queries.insert(expr, result);
                }
            }
        }
        Err(format!("error executing template {}: more than {QUERIES_MAX} queries", template.name))
    }

    fn execute(&self, template: &Template, data: &Value) -> Result<String, exec::ExecError> {
        let env =
            functions::Env { now_ms: self.at_ms, external_url: self.external_url, queries: &self.queries };
        exec::execute(&template.trees, &template.name, &template.text, data, &env)
    }

    async fn query(&self, expr: &str) -> Result<Arc<[Arc<Sample>]>, String> {
        let samples = self.runner.instant(expr, self.at_ms, self.queryable).await?;
        let sample = |sample: promql::VectorSample| {
            Arc::new(Sample { labels: label_map(&sample.labels), value: sample.value })
        };
        Ok(samples.into_iter().map(sample).collect())
    }
}

/// Labels as templates see them.
pub(crate) fn label_map(labels: &model::Labels) -> Arc<BTreeMap<String, String>> {
    Arc::new(labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests;
