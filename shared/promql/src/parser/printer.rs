//! Syntax tree to text, as Prometheus prints expressions. Source: `promql/parser/printer.go`.
//!
//! What it prints parses to an equal tree. That is not quite so upstream: `x offset +(5m) + y` is printed without the
//! first plus there, and then the parentheses swallow what follows. Here such a plus is kept where arithmetic follows,
//! which the alternate form (`{:#}`) tells the operand.

use std::fmt::{Display, Formatter, Result, Write as _};
use std::time::Duration;

use model::MatchOp;
use model::labels::{METRIC_NAME, is_legacy_label_name, quote, quote_bytes};
use model::number::{format_f, format_g};

use super::ast::{
    Aggregate, At, Binary, BinaryOp, Call, Cardinality, DurationExpr, DurationExprKind, Expr, ExprKind,
    MatrixSelector, Offset, Subquery, UnaryOp, VectorMatching, VectorSelector,
};
use super::literal;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.kind {
            ExprKind::Number { value, duration } => number(f, *value, *duration),
            ExprKind::String(bytes) => f.write_str(&quote_bytes(bytes)),
            ExprKind::Paren(expr) => write!(f, "({expr})"),
            ExprKind::Unary(op, expr) => {
                f.write_str(op.as_str())?;
                Display::fmt(expr, f)
            }
            ExprKind::Binary(binary) => chain(f, binary),
            ExprKind::Aggregate(aggregate) => Display::fmt(aggregate, f),
            ExprKind::Call(call) => Display::fmt(call, f),
            ExprKind::VectorSelector(selector) => Display::fmt(selector, f),
            ExprKind::MatrixSelector(matrix) => Display::fmt(matrix, f),
            ExprKind::Subquery(subquery) => Display::fmt(subquery, f),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}", AggregateHead(self))?;
        f.write_char('(')?;
        if let Some(param) = &self.param {
            write!(f, "{param}, ")?;
        }
        write!(f, "{})", self.expr)
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(self.function)?;
        f.write_char('(')?;
        for (at, arg) in self.args.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{arg}")?;
        }
        f.write_char(')')
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        name_and_matchers(f, self)?;
        at(f, self.at)?;
        range_extension(f, self)?;
        offset(f, &self.offset)
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        name_and_matchers(f, &self.selector)?;
        f.write_char('[')?;
        length(f, self.range_ms, self.range_expr.as_deref())?;
        f.write_char(']')?;
        range_extension(f, &self.selector)?;
        at(f, self.selector.at)?;
        offset(f, &self.selector.offset)
    }
}

impl Display for Subquery {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}", self.expr)?;
        Display::fmt(&SubqueryTail(self), f)
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.kind {
            DurationExprKind::Number { value, duration } => number(f, *value, *duration),
            DurationExprKind::Step => f.write_str("step()"),
            DurationExprKind::Range => f.write_str("range()"),
            DurationExprKind::MinOf(a, b) => write!(f, "min_of({a}, {b})"),
            DurationExprKind::MaxOf(a, b) => write!(f, "max_of({a}, {b})"),
            DurationExprKind::Unary(UnaryOp::Minus, inner) => write!(f, "-{inner}"),
            DurationExprKind::Unary(UnaryOp::Plus, inner) => write!(f, "{inner}"),
            DurationExprKind::Binary(op, lhs, rhs) => write!(f, "{lhs} {} {rhs}", op.as_str()),
            DurationExprKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

/// `sum by (a) `, what stands before an aggregation's parentheses.
pub(super) struct AggregateHead<'a>(pub(super) &'a Aggregate);

impl Display for AggregateHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(self.0.op.as_str())?;
        let labels = self.0.grouping.as_deref().unwrap_or_default();
        if self.0.without {
            f.write_str(" without ")?;
            label_list(f, labels)?;
            f.write_char(' ')?;
        } else if !labels.is_empty() {
            f.write_str(" by ")?;
            label_list(f, labels)?;
            f.write_char(' ')?;
        }
        Ok(())
    }
}

/// `[1h:5m] @ 10 offset 5m`, what stands behind a subquery's expression.
pub(super) struct SubqueryTail<'a>(pub(super) &'a Subquery);

impl Display for SubqueryTail<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_char('[')?;
        length(f, self.0.range_ms, self.0.range_expr.as_deref())?;
        f.write_char(':')?;
        if self.0.step_ms != 0 || self.0.step_expr.is_some() {
            length(f, self.0.step_ms, self.0.step_expr.as_deref())?;
        }
        f.write_char(']')?;
        at(f, self.0.at)?;
        offset(f, &self.0.offset)
    }
}

/// `+ on (a) group_left (b)`, what stands between operands.
pub(super) struct Operator<'a>(pub(super) &'a Binary);

impl Display for Operator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}{}", self.0.op.as_str(), if self.0.return_bool { " bool" } else { "" })?;
        self.0.matching.as_ref().map_or(Ok(()), |matching| vector_matching(f, matching))
    }
}

/// `a + b + c`, without going down by recursion.
fn chain(f: &mut Formatter<'_>, binary: &Binary) -> Result {
    let (links, first) = binary.chain();
    let mut operand = first;
    for link in links.iter().rev() {
        if is_arithmetic(link.op) {
            write!(f, "{operand:#}")?
        } else {
            write!(f, "{operand}")?
        }
        write!(f, " {}", Operator(link))?;
        f.write_char(' ')?;
        operand = &link.rhs;
    }
    Display::fmt(operand, f)
}

/// Whether durations have the operator too.
pub(super) fn is_arithmetic(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Div, Mod, Mul, Pow, Sub};
    matches!(op, Add | Sub | Mul | Div | Mod | Pow)
}

fn vector_matching(f: &mut Formatter<'_>, matching: &VectorMatching) -> Result {
    let group = match matching.cardinality {
        Cardinality::ManyToOne => Some("group_left"),
        Cardinality::OneToMany => Some("group_right"),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if !matching.labels.is_empty() || matching.on || group.is_some() {
        f.write_str(if matching.on { " on " } else { " ignoring " })?;
        label_list(f, &matching.labels)?;
    }
    if let Some(group) = group {
        write!(f, " {group} ")?;
        label_list(f, &matching.include)?;
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left == right => write!(f, " fill ({})", format_g(left)),
        (left, right) => {
            if let Some(left) = left {
                write!(f, " fill_left ({})", format_g(left))?;
            }
            if let Some(right) = right {
                write!(f, " fill_right ({})", format_g(right))?;
            }
            Ok(())
        }
    }
}

/// `(a, "b c")`
fn label_list(f: &mut Formatter<'_>, labels: &[String]) -> Result {
    f.write_char('(')?;
    for (at, label) in labels.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        if is_legacy_label_name(label) { f.write_str(label)? } else { f.write_str(&quote(label))? }
    }
    f.write_char(')')
}

/// `name{a="b",c="d"}`, the matchers sorted as text, and without the one that the name stands for.
fn name_and_matchers(f: &mut Formatter<'_>, selector: &VectorSelector) -> Result {
    let name = selector.name.as_deref().unwrap_or_default();
    f.write_str(name)?;
    let mut matchers: Vec<String> = selector
        .matchers
        .iter()
        .filter(|matcher| {
            let is_equal_name = matcher.name() == METRIC_NAME && matcher.op() == MatchOp::Equal;
            !(is_equal_name && matcher.value() == name && !name.is_empty())
        })
        .map(ToString::to_string)
        .collect();
    if matchers.is_empty() {
        return Ok(());
    }
    matchers.sort_unstable();
    write!(f, "{{{}}}", matchers.join(","))
}

fn at(f: &mut Formatter<'_>, at: Option<At>) -> Result {
    match at {
        Some(At::Timestamp(ms)) => write!(f, " @ {:.3}", ms as f64 / 1000.0),
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
        None => Ok(()),
    }
}

fn range_extension(f: &mut Formatter<'_>, selector: &VectorSelector) -> Result {
    if selector.anchored {
        f.write_str(" anchored")
    } else if selector.smoothed {
        f.write_str(" smoothed")
    } else {
        Ok(())
    }
}

fn offset(f: &mut Formatter<'_>, offset: &Offset) -> Result {
    if offset.ms == 0 && offset.expr.is_none() {
        return Ok(());
    }
    f.write_str(" offset ")?;
    let is_open = offset.expr.as_ref().is_some_and(|expr| matches!(expr.kind, DurationExprKind::Paren(_)));
    if is_open && f.alternate() {
        f.write_char('+')?;
    }
    length(f, offset.ms, offset.expr.as_deref())
}

fn length(f: &mut Formatter<'_>, ms: i64, expr: Option<&DurationExpr>) -> Result {
    match expr {
        Some(expr) => write!(f, "{expr}"),
        None => milliseconds(f, ms),
    }
}

fn number(f: &mut Formatter<'_>, value: f64, duration: bool) -> Result {
    if duration { milliseconds(f, literal::milliseconds(value)) } else { f.write_str(&format_f(value)) }
}

fn milliseconds(f: &mut Formatter<'_>, ms: i64) -> Result {
    if ms < 0 {
        f.write_char('-')?;
    }
    f.write_str(&model::duration::format(Duration::from_millis(ms.unsigned_abs())))
}
