//! Instant selectors: `name{label="value", "quoted label"=~"regex", "metric name"}`.

use super::{Context, Deep, Kind, Parsed, Parser, Token};
use crate::parser::ParseError;
use crate::parser::ast::{BinaryOp, ExprKind, Offset, Span, VectorSelector};
use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};

const MATCHING: &str = "label matching";

impl Parser<'_> {
    /// The selector whose metric `name` has been read, or that starts with a brace.
    pub(super) fn selector(&mut self, name: Option<Token<'_>>) -> Parsed<Deep> {
        let next = self.peek()?;
        let mut span = name.map_or(next.span(), |name| name.span());
        let mut matchers = Vec::new();
        if next.kind == Kind::LeftBrace {
            self.advance()?;
            matchers = self.matchers()?;
            span.end = self.last_closing;
        }
        if let Some(name) = name {
            matchers.push(Matcher::equal(METRIC_NAME, name.text));
        }
        let selector = VectorSelector {
            name: name.map(|name| name.text.to_owned()),
            matchers,
            offset: Offset::default(),
            at: None,
            anchored: false,
            smoothed: false,
        };
        Ok(Deep::new(span, ExprKind::VectorSelector(selector), 1))
    }

    /// What stands behind `{`, up to and with `}`.
    fn matchers(&mut self) -> Parsed<Vec<Matcher>> {
        let mut matchers = Vec::new();
        loop {
            if self.take(Kind::RightBrace)? {
                return Ok(matchers);
            }
            matchers.push(self.matcher()?);
            if !self.take(Kind::Comma)? {
                break;
            }
        }
        if self.take(Kind::RightBrace)? {
            return Ok(matchers);
        }
        Err(self.unexpected_matching("\",\" or \"}\""))
    }

    fn matcher(&mut self) -> Parsed<Matcher> {
        let label = self.peek()?;
        if !matches!(label.kind, Kind::Identifier | Kind::String) {
            return Err(self.unexpected_matching("identifier or \"}\""));
        }
        self.advance()?;
        let is_quoted = label.kind == Kind::String;
        let name = if is_quoted { self.unquote_text(label)? } else { label.text.to_owned() };
        let op = match self.peek()?.kind {
            Kind::Equal => MatchOp::Equal,
            Kind::Operator(BinaryOp::Ne) => MatchOp::NotEqual,
            Kind::EqualRegex => MatchOp::Regex,
            Kind::NotEqualRegex => MatchOp::NotRegex,
            _ if is_quoted => return Ok(Matcher::equal(METRIC_NAME, name)),
            _ => return Err(self.unexpected_matching("label matching operator")),
        };
        self.advance()?;
        let value = self.peek()?;
        if value.kind != Kind::String {
            return Err(self.unexpected_matching("string"));
        }
        self.advance()?;
        let text = self.unquote_text(value)?;
        let span = Span { start: label.start, end: value.end() };
        Matcher::new(op, name, text).map_err(|error| self.error(span, error.to_string()))
    }

    fn unexpected_matching(&mut self, expected: &'static str) -> Box<ParseError> {
        let context: Context = (MATCHING, expected);
        match self.peek() {
            Ok(token) => self.unexpected_in(token, context),
            Err(error) => error,
        }
    }
}
