//! Durations in brackets and behind `offset`: literals, or arithmetic with `step()`, `range()`, `min_of()`, `max_of()`.

use super::{Kind, Parsed, Parser, Token};
use crate::parser::ast::{BinaryOp, DurationExpr, DurationExprKind, Span, UnaryOp};
use crate::parser::literal;
use crate::parser::token::QueryWord;

/// Operators at most of one duration: their chain is as deep as it is long.
const OPERATORS_MAX: usize = super::DEPTH_MAX;

impl Parser<'_> {
    /// A duration whose operators bind at least as tightly as `precedence`.
    pub(super) fn duration_expression(&mut self, precedence: u8) -> Parsed<DurationExpr> {
        let left = self.duration_operand()?;
        self.duration_operators(left, precedence)
    }

    /// What stands behind `offset`. A literal or a call, signed or not, ends it, so that `x offset 5m + 3` is
    /// `(x offset 5m) + 3`; other durations go on: `x offset (5m) + 3` is `x offset ((5m) + 3)`.
    pub(super) fn offset_duration(&mut self) -> Parsed<DurationExpr> {
        let token = self.peek()?;
        let Some(sign) = sign(token) else {
            let operand = self.duration_operand()?;
            let goes_on = token.kind == Kind::LeftParen;
            return if goes_on { self.duration_operators(operand, 0) } else { Ok(operand) };
        };
        self.advance()?;
        let next = self.peek()?;
        let signed = |rhs: DurationExpr| DurationExpr {
            span: Span { start: token.start, end: rhs.span.end },
            kind: DurationExprKind::Unary(sign, Box::new(rhs)),
        };
        match next.kind {
            Kind::Number | Kind::Duration => {
                self.advance()?;
                let literal = self.duration_literal(next, token)?;
                Ok(apply_sign(sign, token, literal))
            }
            Kind::LeftParen => {
                self.advance()?;
                let inner = self.inner_duration(0)?;
                self.expect(Kind::RightParen)?;
                let span = inner.span;
                Ok(apply_sign(sign, token, in_parens(inner, span)))
            }
            Kind::Query(_) => Ok(signed(self.duration_operand()?)),
            _ => {
                let operand = self.inner_duration(BinaryOp::Pow.precedence())?;
                self.duration_operators(apply_sign(sign, token, operand), 0)
            }
        }
    }

    fn inner_duration(&mut self, precedence: u8) -> Parsed<DurationExpr> {
        self.enter()?;
        let inner = self.duration_expression(precedence)?;
        self.leave();
        Ok(inner)
    }

    fn duration_operators(&mut self, mut left: DurationExpr, precedence: u8) -> Parsed<DurationExpr> {
        for _ in 0..OPERATORS_MAX {
            let token = self.peek()?;
            let op = match token.kind {
                Kind::Operator(op) if is_arithmetic(op) && op.precedence() >= precedence => op,
                _ => return Ok(left),
            };
            self.advance()?;
            let right = self.inner_duration(op.right_precedence())?;
            self.peek()?;
            if matches!(right.kind, DurationExprKind::Number { value: 0.0, .. }) {
                match op {
                    BinaryOp::Div => return Err(self.error(token.span(), "division by zero")),
                    BinaryOp::Mod => return Err(self.error(token.span(), "modulo by zero")),
                    _ => {}
                }
            }
            let span = Span { start: left.span.start, end: right.span.end };
            let kind = DurationExprKind::Binary(op, Box::new(left), Box::new(right));
            left = DurationExpr { span, kind };
        }
        Err(self.error(left.span, format!("duration has more than {OPERATORS_MAX} operators")))
    }

    fn duration_operand(&mut self) -> Parsed<DurationExpr> {
        let token = self.peek()?;
        if let Some(sign) = sign(token) {
            self.advance()?;
            let operand = self.inner_duration(BinaryOp::Pow.precedence())?;
            self.peek()?;
            return Ok(apply_sign(sign, token, operand));
        }
        match token.kind {
            Kind::Number | Kind::Duration => {
                self.advance()?;
                self.duration_literal(token, token)
            }
            Kind::LeftParen => {
                self.advance()?;
                let inner = self.inner_duration(0)?;
                let close = self.expect(Kind::RightParen)?;
                Ok(in_parens(inner, Span { start: token.start, end: close.end() }))
            }
            Kind::Query(word @ (QueryWord::Step | QueryWord::Range)) => {
                self.advance()?;
                self.expect(Kind::LeftParen)?;
                let close = self.expect(Kind::RightParen)?;
                let kind =
                    if word == QueryWord::Step { DurationExprKind::Step } else { DurationExprKind::Range };
                Ok(DurationExpr { span: Span { start: token.start, end: close.end() }, kind })
            }
            Kind::Query(word @ (QueryWord::MinOf | QueryWord::MaxOf)) => {
                self.advance()?;
                self.expect(Kind::LeftParen)?;
                let left = self.inner_duration(0)?;
                self.expect(Kind::Comma)?;
                let right = self.inner_duration(0)?;
                self.expect(Kind::RightParen)?;
                // From argument to argument, as upstream.
                let span = Span { start: left.span.start, end: right.span.end };
                let (left, right) = (Box::new(left), Box::new(right));
                let kind = if word == QueryWord::MinOf {
                    DurationExprKind::MinOf(left, right)
                } else {
                    DurationExprKind::MaxOf(left, right)
                };
                Ok(DurationExpr { span, kind })
            }
            _ => Err(self.unexpected(token)),
        }
    }

    /// A literal; if it is out of range, the error is at `blamed`.
    fn duration_literal(&self, token: Token<'_>, blamed: Token<'_>) -> Parsed<DurationExpr> {
        let value = self.number(token)?;
        if literal::is_out_of_range(value) {
            return Err(self.error(blamed.span(), "duration out of range"));
        }
        let kind = DurationExprKind::Number { value, duration: token.kind == Kind::Duration };
        Ok(DurationExpr { span: token.span(), kind })
    }
}

fn sign(token: Token<'_>) -> Option<UnaryOp> {
    match token.kind {
        Kind::Operator(BinaryOp::Add) => Some(UnaryOp::Plus),
        Kind::Operator(BinaryOp::Sub) => Some(UnaryOp::Minus),
        _ => None,
    }
}

fn is_arithmetic(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Pow
    )
}

/// A sign is folded into a literal, and a plus vanishes.
fn apply_sign(sign: UnaryOp, token: Token<'_>, mut operand: DurationExpr) -> DurationExpr {
    match (&mut operand.kind, sign) {
        (DurationExprKind::Number { value, .. }, _) => {
            if sign == UnaryOp::Minus {
                *value = -*value;
            }
            operand.span.start = token.start;
            operand
        }
        (_, UnaryOp::Plus) => operand,
        (_, UnaryOp::Minus) => DurationExpr {
            span: Span { start: token.start, end: operand.span.end },
            kind: DurationExprKind::Unary(UnaryOp::Minus, Box::new(operand)),
        },
    }
}

/// `inner` in parentheses that stand at `span`. Of several, one pair is kept; and like upstream, positions are those
/// of what stands inside, but for the start of a literal's.
fn in_parens(inner: DurationExpr, span: Span) -> DurationExpr {
    let span = match inner.kind {
        DurationExprKind::Paren(_) => return inner,
        DurationExprKind::Number { .. } => Span { start: span.start, end: inner.span.end },
        _ => inner.span,
    };
    DurationExpr { span, kind: DurationExprKind::Paren(Box::new(inner)) }
}
