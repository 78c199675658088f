//! Modifiers behind an operand: `[5m]`, `[1h:5m]`, `offset 5m`, `@ 10`, `anchored`, `smoothed`. They bind to the
//! operand directly before them.

use super::{Deep, Kind, Parsed, Parser, Token};
use crate::parser::ast::{
    At, BinaryOp, DurationExpr, DurationExprKind, Expr, ExprKind, MatrixSelector, Offset, Span, Subquery,
};
use crate::parser::check::check;
use crate::parser::literal;
use crate::parser::token::{Keyword, QueryWord};

/// Milliseconds where a duration is known, else what to compute.
type Length = (i64, Option<Box<DurationExpr>>);

/// Timestamps must be less, and more than its negative: 2^63.
const SECONDS_LIMIT: f64 = 9_223_372_036_854_775_808.0;

const RANGE: super::Context = ("subquery or range selector", "number, duration, step(), or range()");
const STEP: super::Context = ("subquery selector", "number, duration, step(), range(), or \"]\"");

impl Parser<'_> {
    pub(super) fn postfix(&mut self, mut operand: Deep) -> Parsed<Deep> {
        loop {
            let token = self.peek()?;
            match token.kind {
                Kind::LeftBracket => {
                    self.advance()?;
                    operand = self.brackets(operand, token)?;
                    if let Err(too_deep) = self.check_depth(operand.depth) {
                        // Prometheus bounds no depth, so what else is wrong with it is what is said.
                        let checked = check(self.text, &mut operand.expr);
                        return Err(checked.err().unwrap_or(too_deep));
                    }
                }
                Kind::At => {
                    self.advance()?;
                    self.at(&mut operand.expr)?;
                }
                Kind::Keyword(Keyword::Offset) => {
                    self.advance()?;
                    self.offset(&mut operand.expr)?;
                }
                Kind::Keyword(word @ (Keyword::Anchored | Keyword::Smoothed)) => {
                    self.advance()?;
                    self.extend_range(&mut operand.expr, word == Keyword::Anchored)?;
                }
                _ => return Ok(operand),
            }
        }
    }

    /// A range or subquery, behind its `[`.
    fn brackets(&mut self, operand: Deep, open: Token<'_>) -> Parsed<Deep> {
        let outer = self.set_context(RANGE);
        let range = self.positive_duration()?;
        self.context = outer;
        let token = self.peek()?;
        match token.kind {
            Kind::RightBracket => {
                self.advance()?;
                self.matrix(*operand.expr, range, Span { start: open.start, end: token.end() })
            }
            Kind::Colon => {
                self.advance()?;
                self.subquery(operand, range)
            }
            _ => Err(self.unexpected_in(token, ("subquery or range", "\":\" or \"]\""))),
        }
    }

    fn matrix(&self, expr: Expr, (range_ms, range_expr): Length, brackets: Span) -> Parsed<Deep> {
        let ExprKind::VectorSelector(selector) = expr.kind else {
            return Err(self.error(brackets, "ranges only allowed for vector selectors"));
        };
        if selector.offset != Offset::default() {
            return Err(self.error(brackets, "no offset modifiers allowed before range"));
        }
        if selector.at.is_some() {
            return Err(self.error(brackets, "no @ modifiers allowed before range"));
        }
        let span = Span { start: expr.span.start, end: self.last_closing };
        let matrix = MatrixSelector { selector, selector_span: expr.span, range_ms, range_expr };
        Ok(Deep::new(span, ExprKind::MatrixSelector(Box::new(matrix)), 1))
    }

    fn subquery(&mut self, operand: Deep, (range_ms, range_expr): Length) -> Parsed<Deep> {
        let outer = self.set_context(STEP);
        let is_default = self.peek()?.kind == Kind::RightBracket;
        let (step_ms, step_expr) = if is_default { (0, None) } else { self.positive_duration()? };
        self.context = outer;
        let close = self.peek()?;
        if close.kind != Kind::RightBracket {
            return Err(self.unexpected_in(close, ("subquery selector", "\"]\"")));
        }
        self.advance()?;
        let Deep { expr, depth } = operand;
        let span = Span { start: expr.span.start, end: close.end() };
        let subquery = Subquery {
            expr: *expr,
            range_ms,
            range_expr,
            step_ms,
            step_expr,
            offset: Offset::default(),
            at: None,
        };
        Ok(Deep::new(span, ExprKind::Subquery(Box::new(subquery)), depth + 1))
    }

    fn positive_duration(&mut self) -> Parsed<Length> {
        let duration = self.duration_expression(0)?;
        // Upstream decides it with the next token read.
        self.peek()?;
        match duration.kind {
            DurationExprKind::Number { value, .. } if value <= 0.0 => {
                Err(self.error(duration.span, "duration must be greater than 0"))
            }
            _ => Ok(length(duration)),
        }
    }

    fn offset(&mut self, expr: &mut Expr) -> Parsed<()> {
        let outer = self.set_context(("offset", "number, duration, step(), or range()"));
        let (ms, offset_expr) = length(self.offset_duration()?);
        self.context = outer;
        let modified = match &mut expr.kind {
            ExprKind::VectorSelector(selector) => &mut selector.offset,
            ExprKind::MatrixSelector(matrix) => &mut matrix.selector.offset,
            ExprKind::Subquery(subquery) => &mut subquery.offset,
            _ => {
                let message = "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery";
                return Err(self.error(expr.span, message));
            }
        };
        if *modified != Offset::default() {
            return Err(self.error(expr.span, "offset may not be set multiple times"));
        }
        *modified = Offset { ms, expr: offset_expr };
        expr.span.end = self.last_closing;
        Ok(())
    }

    fn at(&mut self, expr: &mut Expr) -> Parsed<()> {
        let outer = self.set_context(("@", "timestamp"));
        let at = self.timestamp(expr.span)?;
        self.context = outer;
        let modified = match &mut expr.kind {
            ExprKind::VectorSelector(selector) => &mut selector.at,
            ExprKind::MatrixSelector(matrix) => &mut matrix.selector.at,
            ExprKind::Subquery(subquery) => &mut subquery.at,
            _ => {
                let message = "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery";
                return Err(self.error(expr.span, message));
            }
        };
        if modified.is_some() {
            return Err(self.error(expr.span, "@ <timestamp> may not be set multiple times"));
        }
        *modified = Some(at);
        expr.span.end = self.last_closing;
        Ok(())
    }

    /// What stands behind the `@` of the expression at `span`.
    fn timestamp(&mut self, span: Span) -> Parsed<At> {
        let mut token = self.advance()?;
        if let Kind::Query(word @ (QueryWord::Start | QueryWord::End)) = token.kind {
            self.expect(Kind::LeftParen)?;
            self.expect(Kind::RightParen)?;
            return Ok(if word == QueryWord::Start { At::Start } else { At::End });
        }
        let sign = match token.kind {
            Kind::Operator(BinaryOp::Add) => Some(1.0),
            Kind::Operator(BinaryOp::Sub) => Some(-1.0),
            _ => None,
        };
        if sign.is_some() {
            token = self.advance()?;
        }
        if !matches!(token.kind, Kind::Number | Kind::Duration) {
            return Err(self.unexpected(token));
        }
        let seconds = self.number(token)? * sign.unwrap_or(1.0);
        if seconds.is_finite() && seconds.abs() < SECONDS_LIMIT {
            // What the multiplication takes out of range ends at the range's end.
            return Ok(At::Timestamp((seconds * 1000.0).round() as i64));
        }
        let shown = match seconds {
            f64::INFINITY => "+Inf".to_owned(),
            f64::NEG_INFINITY => "-Inf".to_owned(),
            _ => format!("{seconds:.6}"),
        };
        Err(self.error(span, format!("timestamp out of bounds for @ modifier: {shown}")))
    }

    fn extend_range(&self, expr: &mut Expr, is_anchored: bool) -> Parsed<()> {
        let word = if is_anchored { "anchored" } else { "smoothed" };
        if !self.features.extended_range_selectors {
            return Err(self.error(expr.span, format!("{word} modifier is experimental and not enabled")));
        }
        let selector = match &mut expr.kind {
            ExprKind::VectorSelector(selector) => selector,
            ExprKind::MatrixSelector(matrix) => &mut matrix.selector,
            ExprKind::Subquery(_) => {
                return Err(self.error(expr.span, format!("{word} modifier is not supported for subqueries")));
            }
            _ => return Err(self.error(expr.span, format!("{word} modifier not implemented"))),
        };
        if is_anchored {
            selector.anchored = true;
        } else {
            selector.smoothed = true;
        }
        if selector.anchored && selector.smoothed {
            return Err(self.error(expr.span, "anchored and smoothed modifiers cannot be used together"));
        }
        Ok(())
    }
}

fn length(duration: DurationExpr) -> Length {
    match duration.kind {
        DurationExprKind::Number { value, .. } => (literal::milliseconds(value), None),
        _ => (0, Some(Box::new(duration))),
    }
}
