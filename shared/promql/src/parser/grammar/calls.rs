//! What starts with a word: calls, aggregations and metric names.

use super::{Deep, Kind, Parsed, Parser, Token};
use crate::parser::ast::{Aggregate, AggregateOp, Call, Expr, ExprKind, Span};
use crate::parser::functions;
use crate::parser::lexer::is_space;
use crate::parser::token::Keyword;
use model::labels::quote;

/// Whether it is `without`, and the labels.
type Grouping = (bool, Vec<String>);

impl Parser<'_> {
    /// The call, aggregation or selector whose first word has been read.
    pub(super) fn named(&mut self, word: Token<'_>) -> Parsed<Deep> {
        let next = self.peek()?.kind;
        match word.kind {
            Kind::Aggregator(op)
                if matches!(
                    next,
                    Kind::LeftParen | Kind::Keyword(Keyword::By) | Kind::Keyword(Keyword::Without)
                ) =>
            {
                self.aggregate(op, word)
            }
            Kind::Identifier | Kind::Query(_) if next == Kind::LeftParen => self.call(word),
            _ => self.selector(Some(word)),
        }
    }

    fn call(&mut self, word: Token<'_>) -> Parsed<Deep> {
        let (args, depth) = self.arguments()?;
        self.build_call(word, args, depth)
    }

    fn build_call(&self, word: Token<'_>, args: Vec<Expr>, depth: usize) -> Parsed<Deep> {
        let name = quote(word.text);
        let function = functions::lookup(word.text)
            .ok_or_else(|| self.error(word.span(), format!("unknown function with name {name}")))?;
        if function.experimental && !self.features.experimental_functions {
            return Err(self.error(word.span(), format!("function {name} is not enabled")));
        }
        let span = Span { start: word.start, end: self.last_closing };
        let kind = ExprKind::Call(Call { function: function.name, args });
        Ok(Deep::new(span, kind, depth + 1))
    }

    /// `(a, b)`, and the depth of the deepest.
    fn arguments(&mut self) -> Parsed<(Vec<Expr>, usize)> {
        self.expect(Kind::LeftParen)?;
        let (mut args, mut depth) = (Vec::new(), 0);
        if self.take(Kind::RightParen)? {
            return Ok((args, depth));
        }
        loop {
            let arg = self.inner(0)?;
            depth = depth.max(arg.depth);
            self.check_depth(depth + 1)?;
            args.push(*arg.expr);
            let token = self.peek()?;
            match token.kind {
                Kind::Comma => {
                    self.advance()?;
                    if !self.peek()?.kind.starts_expression() {
                        let message = "trailing commas not allowed in function call args";
                        return Err(self.error(token.span(), message));
                    }
                }
                Kind::RightParen => {
                    self.advance()?;
                    return Ok((args, depth));
                }
                _ => return Err(self.unexpected(token)),
            }
        }
    }

    fn aggregate(&mut self, op: AggregateOp, word: Token<'_>) -> Parsed<Deep> {
        let outer = self.set_context(("aggregation", ""));
        let mut modifier = self.grouping()?;
        let (args, depth) = self.arguments()?;
        let mut end = self.last_closing;
        if modifier.is_none() {
            // Reading on for a modifier may meet an outer parenthesis.
            modifier = self.grouping()?;
            end = if modifier.is_some() { self.last_closing } else { self.closing_before_last() };
        }
        self.context = outer;
        self.build_aggregate(op, Span { start: word.start, end }, modifier, (args, depth))
    }

    fn build_aggregate(
        &self,
        op: AggregateOp,
        span: Span,
        modifier: Option<Grouping>,
        (args, depth): (Vec<Expr>, usize),
    ) -> Parsed<Deep> {
        if args.is_empty() {
            return Err(self.error(span, "no arguments for aggregate expression provided"));
        }
        if op.is_experimental() && !self.features.experimental_functions {
            let flag = "--enable-feature=promql-experimental-functions";
            let message = format!("{}() is experimental and must be enabled with {flag}", op.as_str());
            return Err(self.error(span, message));
        }
        let wanted = if op.has_param() { 2 } else { 1 };
        let got = args.len();
        let mut args = args.into_iter();
        let param = if op.has_param() { args.next() } else { None };
        let (Some(expr), true) = (args.next(), got == wanted) else {
            let counts = format!("expected {wanted}, got {got}");
            let message = format!("wrong number of arguments for aggregate expression provided, {counts}");
            return Err(self.error(span, message));
        };
        let (without, grouping) = modifier.map_or((false, None), |(without, labels)| (without, Some(labels)));
        let kind = ExprKind::Aggregate(Box::new(Aggregate { op, without, grouping, param, expr }));
        Ok(Deep::new(span, kind, depth + 1))
    }

    /// `by (…)` or `without (…)` if it is next.
    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        let without = match self.peek()?.kind {
            Kind::Keyword(Keyword::By) => false,
            Kind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.advance()?;
        Ok(Some((without, self.label_list()?)))
    }

    /// Where the last closing token ends, or where the parenthesis before it does if it is one and only spaces
    /// stand between. Source: `lex.go:findPrevRightParen`.
    fn closing_before_last(&self) -> usize {
        let before = self.text.get(..self.last_start).unwrap_or_default().trim_end_matches(is_space);
        let last_is_paren = self.text.as_bytes().get(self.last_start) == Some(&b')');
        if last_is_paren && before.ends_with(')') { before.len() } else { self.last_closing }
    }
}
