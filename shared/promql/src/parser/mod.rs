//! Text to syntax tree.
//!
//! ```text
//! text ──lexer──► tokens ──grammar──► Expr ──check──► Expr, well-typed ──printer──► text
//!                            └─ literal: what numbers, durations and strings say
//! ```
//!
//! Every error is the one that Prometheus 3.14 would report, at the same line and column. What nests too deep is
//! refused; chains of operators may have any length.

pub mod ast;
mod check;
pub mod functions;
mod grammar;
mod lexer;
mod literal;
mod prettier;
mod printer;
mod quoting;
mod token;

use model::Matcher;

use crate::query::Features;
use ast::{Expr, ExprKind, Span};
use grammar::Parser;

/// Why a text is not PromQL. Prints as `line:col: parse error: message`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(*.line, *.column))]
pub struct ParseError {
    /// Line, from 1; 0 where the error has no place, and `message` is all there is to print.
    pub line: usize,
    /// Column in bytes, from 1; 0 where the error has no place.
    pub column: usize,
    /// Where it stands, in bytes.
    pub span: Span,
    /// What is wrong, in Prometheus's words.
    pub message: String,
}

/// Reads an expression and checks its types.
///
/// # Errors
/// Where `text` is not PromQL, or uses what `features` has off: the first error, as Prometheus reports it.
pub fn parse(text: &str, features: &Features) -> Result<Expr, ParseError> {
    let mut expr = Parser::new(text, features).whole_expression().map_err(|error| *error)?;
    check::check(text, &mut expr).map_err(|error| *error)?;
    Ok(*expr)
}

/// Reads a selector of series, as the API's `match[]` takes it: a metric name, matchers in braces, or both. A name
/// before the braces becomes the last matcher.
///
/// # Errors
/// Where `text` is anything else, or where every matcher matches the empty string, so that all series are selected.
pub fn parse_metric_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let selector = Parser::new(text, &Features::default()).whole_selector().map_err(|error| *error)?;
    let matchers = match selector.kind {
        ExprKind::VectorSelector(selector) => selector.matchers,
        _ => Vec::new(),
    };
    if matchers.iter().all(Matcher::matches_empty) {
        let message = "match[] must contain at least one non-empty matcher".to_owned();
        return Err(ParseError { line: 0, column: 0, span: selector.span, message });
    }
    Ok(matchers)
}

/// The error `message` about what stands at `span` of `text`.
fn error_at(text: &str, span: Span, message: String) -> ParseError {
    if text.is_empty() {
        // There is nothing to point at.
        return ParseError {
            line: 0,
            column: 0,
            span,
            message: format!("unknown position: parse error: {message}"),
        };
    }
    let before = text.as_bytes().get(..span.start).unwrap_or(text.as_bytes());
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    ParseError { line, column, span, message }
}

fn place(line: usize, column: usize) -> String {
    if line == 0 { String::new() } else { format!("{line}:{column}: parse error: ") }
}

#[cfg(test)]
mod tests;
