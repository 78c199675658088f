//! Tokens to syntax tree: operators by precedence climbing, the rest by recursive descent.
//!
//! Prometheus collects errors and prints the first, so parsing ends at the first here. To find the same one, a token
//! is read ahead only where Prometheus's generated parser reads ahead. Source: `promql/parser/generated_parser.y`.

mod calls;
mod durations;
mod matchers;
mod modifiers;
mod postfix;

use super::ast::{Binary, BinaryOp, Expr, ExprKind, Span, UnaryOp};
use super::lexer::Lexer;
use super::literal;
use super::token::{Kind, Token};
use super::{ParseError, error_at};
use crate::query::Features;

/// How deep expressions may nest, so that neither parsing nor anything that walks the tree overflows the stack.
/// Chains of operators do not nest.
const DEPTH_MAX: usize = 128;

/// Within what construct an unexpected token stands, and what was expected instead: the end of the error.
type Context = (&'static str, &'static str);

pub(super) struct Parser<'a> {
    text: &'a str,
    features: &'a Features,
    lexer: Lexer<'a>,
    ahead: Option<Token<'a>>,
    /// Where the last token that was read starts.
    last_start: usize,
    /// Where the last closing parenthesis, brace, bracket, number or duration that was read ends. Upstream ends
    /// expressions there.
    last_closing: usize,
    depth: usize,
    context: Context,
}

/// Both sides are small, for what recursion holds on the stack bounds how deep it may go.
type Parsed<T> = Result<T, Box<ParseError>>;

/// An expression and how deep it is; a chain of operators counts as one level.
struct Deep {
    expr: Box<Expr>,
    depth: usize,
}

impl Deep {
    fn new(span: Span, kind: ExprKind, depth: usize) -> Self {
        Self { expr: Box::new(Expr { span, kind }), depth }
    }
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, features: &'a Features) -> Self {
        Self {
            text,
            features,
            lexer: Lexer::new(text),
            ahead: None,
            last_start: 0,
            last_closing: 0,
            depth: 0,
            context: ("", ""),
        }
    }

    /// The whole text as an expression, not type-checked.
    pub(super) fn whole_expression(&mut self) -> Parsed<Box<Expr>> {
        if self.peek()?.kind == Kind::EndOfInput {
            return Err(self.error(Span::default(), "no expression found in input"));
        }
        let parsed = self.expression(0)?;
        self.end_of_input()?;
        Ok(parsed.expr)
    }

    /// The whole text as an instant selector without modifiers.
    pub(super) fn whole_selector(&mut self) -> Parsed<Box<Expr>> {
        let token = self.peek()?;
        let selector = if token.kind == Kind::LeftBrace {
            self.selector(None)?
        } else if token.kind.can_name_metric() {
            self.advance()?;
            self.selector(Some(token))?
        } else {
            return Err(self.unexpected(token));
        };
        self.end_of_input()?;
        Ok(selector.expr)
    }

    fn end_of_input(&mut self) -> Parsed<()> {
        self.expect(Kind::EndOfInput).map(|_| ())
    }

    /// The next token, which stays next.
    fn peek(&mut self) -> Parsed<Token<'a>> {
        if let Some(token) = self.ahead {
            return Ok(token);
        }
        let token = self
            .lexer
            .next_token()
            .map_err(|error| self.error(Span { start: error.start, end: self.text.len() }, error.message))?;
        if matches!(
            token.kind,
            Kind::RightBrace | Kind::RightParen | Kind::RightBracket | Kind::Duration | Kind::Number
        ) {
            self.last_closing = token.end();
        }
        self.last_start = token.start;
        self.ahead = Some(token);
        Ok(token)
    }

    /// The next token, and goes behind it.
    fn advance(&mut self) -> Parsed<Token<'a>> {
        let token = self.peek()?;
        self.ahead = None;
        Ok(token)
    }

    /// Whether the next token is of a kind; if so, goes behind it.
    fn take(&mut self, kind: Kind) -> Parsed<bool> {
        let is_next = self.peek()?.kind == kind;
        if is_next {
            self.advance()?;
        }
        Ok(is_next)
    }

    fn expect(&mut self, kind: Kind) -> Parsed<Token<'a>> {
        let token = self.peek()?;
        if token.kind == kind { self.advance() } else { Err(self.unexpected(token)) }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> Box<ParseError> {
        Box::new(error_at(self.text, span, message.into()))
    }

    fn unexpected(&self, token: Token<'_>) -> Box<ParseError> {
        self.unexpected_in(token, self.context)
    }

    fn unexpected_in(&self, token: Token<'_>, (construct, expected): Context) -> Box<ParseError> {
        let mut message = format!("unexpected {}", token.description());
        if !construct.is_empty() {
            message.push_str(" in ");
            message.push_str(construct);
        }
        if !expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(expected);
        }
        self.error(token.span(), message)
    }

    /// Makes errors name `context`, and gives what they named before, to be set again. Nothing needs to be set again
    /// after an error, for parsing ends there.
    fn set_context(&mut self, context: Context) -> Context {
        std::mem::replace(&mut self.context, context)
    }

    /// Goes one level deeper, until [`Self::leave`] or an error.
    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        self.check_depth(self.depth)
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// An expression one level deeper.
    fn inner(&mut self, precedence: u8) -> Parsed<Deep> {
        self.enter()?;
        let inner = self.expression(precedence)?;
        self.leave();
        Ok(inner)
    }

    fn check_depth(&self, depth: usize) -> Parsed<()> {
        if depth <= DEPTH_MAX {
            return Ok(());
        }
        let span = Span { start: self.last_start, end: self.text.len() };
        Err(self.error(span, format!("expression is nested more than {DEPTH_MAX} levels deep")))
    }

    /// An expression whose operators bind at least as tightly as `precedence`.
    fn expression(&mut self, precedence: u8) -> Parsed<Deep> {
        let mut left = self.unary()?;
        loop {
            let Kind::Operator(op) = self.peek()?.kind else { return Ok(left) };
            if op.precedence() < precedence {
                return Ok(left);
            }
            self.advance()?;
            let (return_bool, matching) = self.operator_modifiers()?;
            let right = self.inner(op.right_precedence())?;
            left = self.binary(op, return_bool, matching, left, right)?;
        }
    }

    fn binary(
        &self,
        op: BinaryOp,
        return_bool: bool,
        matching: super::ast::VectorMatching,
        left: Deep,
        right: Deep,
    ) -> Parsed<Deep> {
        let span = Span { start: left.expr.span.start, end: right.expr.span.end };
        let has_fill = matching.fill_left.is_some() || matching.fill_right.is_some();
        if has_fill && !self.features.binop_fill_modifiers {
            return Err(self.error(span, "binop fill modifiers are experimental and not enabled"));
        }
        let left_depth = left.depth + usize::from(!matches!(left.expr.kind, ExprKind::Binary(_)));
        let depth = left_depth.max(right.depth + 1);
        self.check_depth(depth)?;
        let binary = Binary { op, return_bool, matching: Some(matching), lhs: *left.expr, rhs: *right.expr };
        Ok(Deep::new(span, ExprKind::Binary(Box::new(binary)), depth))
    }

    /// An operand with its signs. A sign binds like `*`: `-1^2` is `-(1^2)`.
    fn unary(&mut self) -> Parsed<Deep> {
        let token = self.peek()?;
        let sign = match token.kind {
            Kind::Operator(BinaryOp::Add) => UnaryOp::Plus,
            Kind::Operator(BinaryOp::Sub) => UnaryOp::Minus,
            _ => return self.operand(),
        };
        self.advance()?;
        let mut operand = self.inner(BinaryOp::Pow.precedence())?;
        let span = Span { start: token.start, end: operand.expr.span.end };
        if let ExprKind::Number { value, .. } = &mut operand.expr.kind {
            if sign == UnaryOp::Minus {
                *value = -*value;
            }
            operand.expr.span = span;
            return Ok(operand);
        }
        let depth = operand.depth + 1;
        self.check_depth(depth)?;
        Ok(Deep::new(span, ExprKind::Unary(sign, operand.expr), depth))
    }

    /// What signs and operators apply to, with the modifiers behind it.
    fn operand(&mut self) -> Parsed<Deep> {
        let token = self.peek()?;
        let operand = match token.kind {
            Kind::Number | Kind::Duration => self.number_literal()?,
            Kind::String => self.string_literal()?,
            Kind::LeftParen => self.paren()?,
            Kind::LeftBrace => self.selector(None)?,
            kind if kind.can_name_metric() => {
                self.advance()?;
                self.named(token)?
            }
            _ => return Err(self.unexpected(token)),
        };
        self.postfix(operand)
    }

    fn number_literal(&mut self) -> Parsed<Deep> {
        let token = self.advance()?;
        let kind = ExprKind::Number { value: self.number(token)?, duration: token.kind == Kind::Duration };
        Ok(Deep::new(token.span(), kind, 1))
    }

    fn string_literal(&mut self) -> Parsed<Deep> {
        let token = self.advance()?;
        Ok(Deep::new(token.span(), ExprKind::String(self.unquote(token)?), 1))
    }

    fn paren(&mut self) -> Parsed<Deep> {
        let open = self.advance()?;
        let inner = self.inner(0)?;
        let close = self.expect(Kind::RightParen)?;
        let depth = inner.depth + 1;
        self.check_depth(depth)?;
        Ok(Deep::new(Span { start: open.start, end: close.end() }, ExprKind::Paren(inner.expr), depth))
    }

    /// The value of a number or the seconds of a duration.
    fn number(&self, token: Token<'_>) -> Parsed<f64> {
        let value = if token.kind == Kind::Duration {
            literal::duration_seconds(token.text)
        } else {
            literal::number(token.text).map_err(|error| format!("error parsing number: {error}"))
        };
        value.map_err(|message| self.error(token.span(), message))
    }

    fn unquote(&self, token: Token<'_>) -> Parsed<Vec<u8>> {
        literal::unquote(token.text).ok_or_else(|| {
            let quoted = model::labels::quote(token.text);
            self.error(token.span(), format!("error unquoting string {quoted}: invalid syntax"))
        })
    }

    /// A quoted name or a matcher's value. Labels are UTF-8, so other bytes match nothing.
    fn unquote_text(&self, token: Token<'_>) -> Parsed<String> {
        Ok(String::from_utf8_lossy(&self.unquote(token)?).into_owned())
    }
}
