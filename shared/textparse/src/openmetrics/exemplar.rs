//! Exemplars as exposed, their labels read only when somebody asks.

use std::borrow::Cow;

use super::lexer::{Lexer, State};
use crate::labels::{ExposedLabel, InvalidNames, describe};
use crate::lexer::Token;

/// An exemplar of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExposedExemplar<'a> {
    /// Its labels as written, from after the opening brace up to the closing one.
    pub text: &'a [u8],
    /// What was observed; NaN has Prometheus's bits.
    pub value: f64,
    /// When, where it says so, ms since the epoch.
    pub timestamp: Option<i64>,
}

impl<'a> ExposedExemplar<'a> {
    /// Puts the labels into `out`, in the order of the text. As in Prometheus, escapes stay as they are written.
    ///
    /// # Errors
    /// Where a name is not UTF-8. Values were checked when the line was parsed.
    pub fn labels(&self, out: &mut Vec<ExposedLabel<'a>>) -> Result<(), InvalidNames> {
        out.clear();
        let raw = raw_labels(self.text);
        for (name, value) in &raw {
            let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
                return Err(describe(&raw));
            };
            out.push(ExposedLabel { name: Cow::Borrowed(name), value: Cow::Borrowed(value) });
        }
        Ok(())
    }
}

/// Splits labels that have been parsed before.
fn raw_labels(text: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut lexer = Lexer::new(text, 0, State::Exemplar);
    let mut labels = Vec::new();
    let mut name: &[u8] = &[];
    loop {
        let inner = |token: &'_ [u8]| 1..token.len().saturating_sub(1);
        match lexer.next_token() {
            Token::LabelName => name = lexer.token(),
            Token::QuotedString => {
                let token = lexer.token();
                name = token.get(inner(token)).unwrap_or_default();
            }
            Token::LabelValue => {
                let token = lexer.token();
                labels.push((name, token.get(inner(token)).unwrap_or_default()));
            }
            Token::Equal | Token::Comma => {}
            _ => return labels,
        }
    }
}
