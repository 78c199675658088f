//! Text to syntax tree.

pub mod ast;

/// Why a text is not PromQL. Prints as `line:col: parse error: message`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: parse error: {message}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// Where it stands, in bytes.
    pub span: ast::Span,
    /// What is wrong, in Prometheus's words.
    pub message: String,
}
