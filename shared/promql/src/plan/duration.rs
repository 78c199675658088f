//! Duration expressions, computed once the query's step and range are known. Source: `promql/durations.go`.

use crate::eval::math::{go_max, go_min};
use crate::parser::ast::{BinaryOp, DurationExpr, DurationExprKind, Span, UnaryOp};

/// Largest magnitude in seconds: what fits 64 bits of nanoseconds.
const SECONDS_MAX: f64 = 9_223_372_036.854_775;

/// What `step()` and `range()` stand for, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DurationContext {
    pub(crate) step_s: f64,
    pub(crate) range_s: f64,
}

/// The milliseconds that an expression stands for, truncated.
///
/// # Errors
/// Prometheus's text, where it is no duration, or is not positive though it must be.
pub(crate) fn milliseconds(
    expr: &DurationExpr,
    context: DurationContext,
    may_be_negative: bool,
) -> Result<i64, String> {
    let seconds = seconds(expr, context)?;
    if !seconds.is_finite() {
        return Err(at(expr.span, "duration is NaN or infinite"));
    }
    if seconds <= 0.0 && !may_be_negative {
        return Err(at(expr.span, "duration must be greater than 0"));
    }
    if seconds.abs() > SECONDS_MAX {
        return Err(at(expr.span, "duration is out of range"));
    }
    Ok((seconds * 1000.0) as i64)
}

fn seconds(expr: &DurationExpr, context: DurationContext) -> Result<f64, String> {
    Ok(match &expr.kind {
        DurationExprKind::Number { value, .. } => *value,
        DurationExprKind::Step => context.step_s,
        DurationExprKind::Range => context.range_s,
        DurationExprKind::MinOf(a, b) => go_min(seconds(a, context)?, seconds(b, context)?),
        DurationExprKind::MaxOf(a, b) => go_max(seconds(a, context)?, seconds(b, context)?),
        DurationExprKind::Unary(UnaryOp::Plus, a) | DurationExprKind::Paren(a) => seconds(a, context)?,
        DurationExprKind::Unary(UnaryOp::Minus, a) => -seconds(a, context)?,
        DurationExprKind::Binary(op, a, b) => {
            let (a, b) = (seconds(a, context)?, seconds(b, context)?);
            match op {
                BinaryOp::Div if b == 0.0 => return Err(at(expr.span, "division by zero")),
                BinaryOp::Mod if b == 0.0 => return Err(at(expr.span, "modulo by zero")),
                _ => crate::eval::math::arithmetic(*op, a, b),
            }
        }
    })
}

fn at(span: Span, message: &str) -> String {
    format!("{}:{}: {message}", span.start, span.end)
}
