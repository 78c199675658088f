//! Syntax tree to lines of bounded width, as Prometheus's API formats queries. Source: `promql/parser/prettier.go`.
//!
//! What fits is printed as it is; of what does not, each part stands on lines of its own, indented by its depth.

use super::ast::{Binary, Expr, ExprKind};
use super::printer::{AggregateHead, Operator, SubqueryTail, is_arithmetic};

/// Widest line, in bytes, that is not split.
const WIDTH: usize = 100;
/// Deepest indentation. Only endless chains of operators go beyond, which indentation would make quadratic.
const INDENT_MAX: usize = 256;

impl Expr {
    /// The query on lines of at most 100 bytes, where it can be split so.
    #[must_use]
    pub fn prettify(&self) -> String {
        self.prettify_within(WIDTH)
    }

    /// The query on lines of at most `width` bytes, where it can be split so.
    #[must_use]
    pub fn prettify_within(&self, width: usize) -> String {
        Prettier { width }.expr(self, 0, false)
    }
}

struct Prettier {
    width: usize,
}

impl Prettier {
    /// `expr` at a depth; arithmetic follows it where `is_open`, see the printer.
    fn expr(&self, expr: &Expr, level: usize, is_open: bool) -> String {
        match &expr.kind {
            ExprKind::Binary(binary) => return self.chain(binary, level, is_open),
            ExprKind::Unary(op, inner) => {
                let inner = self.expr(inner, level, is_open);
                return format!("{}{}{}", indent(level), op.as_str(), inner.trim());
            }
            _ => {}
        }
        let line = text(expr, is_open);
        let fits = line.len() <= self.width;
        let (indent, below) = (indent(level), level + 1);
        match &expr.kind {
            // Upstream forgets to indent these.
            ExprKind::Subquery(_) if fits => line,
            ExprKind::Subquery(subquery) => {
                let tail = SubqueryTail(subquery);
                let inner = self.expr(&subquery.expr, level, false);
                if is_open { format!("{inner}{tail:#}") } else { format!("{inner}{tail}") }
            }
            ExprKind::Aggregate(aggregate) if !fits => {
                let param = aggregate.param.as_ref();
                let param = param.map_or_else(String::new, |param| self.expr(param, below, false) + ",\n");
                let inner = self.expr(&aggregate.expr, below, false);
                format!("{indent}{}(\n{param}{inner}\n{indent})", AggregateHead(aggregate))
            }
            ExprKind::Call(call) if !fits => {
                let args: Vec<_> = call.args.iter().map(|arg| self.expr(arg, below, false)).collect();
                format!("{indent}{}(\n{}\n{indent})", call.function, args.join(",\n"))
            }
            ExprKind::Paren(inner) if !fits => {
                format!("{indent}(\n{}\n{indent})", self.expr(inner, below, false))
            }
            _ => indent + &line,
        }
    }

    /// Operators on lines of their own, each between its operands, which stand deeper. The first operand of a long
    /// chain stands deepest.
    fn chain(&self, binary: &Binary, level: usize, is_open: bool) -> String {
        let (links, first) = binary.chain();
        let opens = |at: usize| links.get(at).map_or(is_open, |link| is_arithmetic(link.op));
        // The longest start of the chain that fits on a line. Links come outermost first, so that the next of one is the
        // one before it.
        let mut line = text(first, opens(links.len() - 1));
        let mut split = links.len();
        for (at, link) in links.iter().enumerate().rev() {
            let is_open = at.checked_sub(1).map_or(is_open, opens);
            let longer = format!("{line} {} {}", Operator(link), text(&link.rhs, is_open));
            if longer.len() > self.width {
                break;
            }
            (line, split) = (longer, at);
        }
        let mut out = if split == links.len() {
            self.expr(first, level + split, opens(split - 1))
        } else {
            indent(level + split) + &line
        };
        for (at, link) in links.iter().enumerate().take(split).rev() {
            let is_open = at.checked_sub(1).map_or(is_open, opens);
            out.push_str(&format!("\n{}{}\n", indent(level + at), Operator(link)));
            out.push_str(&self.expr(&link.rhs, level + at + 1, is_open));
        }
        out
    }
}

fn text(expr: &Expr, is_open: bool) -> String {
    if is_open { format!("{expr:#}") } else { expr.to_string() }
}

fn indent(level: usize) -> String {
    "  ".repeat(level.min(INDENT_MAX))
}
