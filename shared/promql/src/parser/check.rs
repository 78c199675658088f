//! Types, numbers of arguments and what else grammar does not tell. The first error in Prometheus's order is the one
//! reported. Source: `promql/parser/parse.go:checkAST`.

use model::labels::{METRIC_NAME, quote};

use super::ast::{
    Aggregate, AggregateOp, Binary, Call, Cardinality, Expr, ExprKind, Span, ValueType, VectorMatching,
    VectorSelector,
};
use super::functions::{self, Function, Variadic};
use super::lexer::is_space;
use super::{ParseError, error_at};

/// Checks `expr`, which was parsed from `text`, and leaves vector matching only where both operands are vectors.
pub(super) fn check(text: &str, expr: &mut Expr) -> Result<(), Box<ParseError>> {
    Checker { text }.expr(expr).map(|_| ())
}

struct Checker<'a> {
    text: &'a str,
}

type Checked<T> = Result<T, Box<ParseError>>;

impl Checker<'_> {
    fn fail<T>(&self, span: Span, message: impl Into<String>) -> Checked<T> {
        Err(Box::new(error_at(self.text, span, message.into())))
    }

    fn expr(&self, expr: &mut Expr) -> Checked<ValueType> {
        let span = expr.span;
        match &mut expr.kind {
            ExprKind::Number { .. } => Ok(ValueType::Scalar),
            ExprKind::String(_) => Ok(ValueType::String),
            ExprKind::Paren(inner) => self.expr(inner),
            ExprKind::Unary(_, inner) => {
                let found = self.expr(inner)?;
                if matches!(found, ValueType::Scalar | ValueType::Vector) {
                    return Ok(found);
                }
                let allowed = "unary expression only allowed on expressions of type scalar or instant vector";
                self.fail(span, format!("{allowed}, got {}", quote(found.as_str())))
            }
            ExprKind::Binary(_) => self.chain(expr),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate),
            ExprKind::Call(call) => self.call(span, call),
            ExprKind::VectorSelector(selector) => self.selector(span, selector),
            ExprKind::MatrixSelector(matrix) => {
                self.selector(matrix.selector_span, &matrix.selector)?;
                Ok(ValueType::Matrix)
            }
            ExprKind::Subquery(subquery) => match self.expr(&mut subquery.expr)? {
                ValueType::Vector => Ok(ValueType::Matrix),
                found => {
                    let found = if found == ValueType::Matrix { "matrix" } else { found.as_str() };
                    self.fail(
                        span,
                        format!("subquery is only allowed on instant vector, got {found} instead"),
                    )
                }
            },
        }
    }

    /// Takes a chain of operators apart and puts it together again from its first operand on, so that a long one
    /// needs no stack.
    fn chain(&self, expr: &mut Expr) -> Checked<ValueType> {
        let mut links = Vec::new();
        let mut first = std::mem::replace(expr, Expr::placeholder());
        while let ExprKind::Binary(binary) = &mut first.kind {
            let lhs = std::mem::replace(&mut binary.lhs, Expr::placeholder());
            links.push(std::mem::replace(&mut first, lhs));
        }
        let mut found = self.expr(&mut first)?;
        for mut link in links.into_iter().rev() {
            if let ExprKind::Binary(binary) = &mut link.kind {
                binary.lhs = first;
                found = self.binary(link.span, binary, found)?;
            }
            first = link;
        }
        *expr = first;
        Ok(found)
    }

    fn binary(&self, span: Span, binary: &mut Binary, left: ValueType) -> Checked<ValueType> {
        let right = self.expr(&mut binary.rhs)?;
        let op = binary.op;
        let both_scalar = left == ValueType::Scalar && right == ValueType::Scalar;
        if binary.return_bool && !op.is_comparison() {
            let message = "bool modifier can only be used on comparison operators";
            return self.fail(self.operator_span(binary), message);
        }
        if op.is_comparison() && !binary.return_bool && both_scalar {
            return self
                .fail(self.operator_span(binary), "comparisons between scalars must use BOOL modifier");
        }
        if let Some(matching) = &mut binary.matching
            && op.is_set_operator()
            && matching.cardinality == Cardinality::OneToOne
        {
            matching.cardinality = Cardinality::ManyToMany;
        }
        let in_both = |matching: &VectorMatching| {
            matching.labels.iter().find(|label| matching.on && matching.include.contains(label)).cloned()
        };
        if let Some(label) = binary.matching.as_ref().and_then(in_both) {
            let label = quote(&label);
            let message = format!("label {label} must not occur in ON and GROUP clause at once");
            return self.fail(self.operator_span(binary), message);
        }
        for (operand, found) in [(&binary.lhs, left), (&binary.rhs, right)] {
            if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return self.fail(operand.span, message);
            }
        }
        let both_vectors = left == ValueType::Vector && right == ValueType::Vector;
        self.matching(span, binary, both_vectors)?;
        if !both_vectors {
            binary.matching = None;
            if op.is_set_operator() {
                let op = quote(op.as_str());
                let message = format!("set operator {op} not allowed in binary scalar expression");
                return self.fail(span, message);
            }
        }
        Ok(if both_scalar { ValueType::Scalar } else { ValueType::Vector })
    }

    fn matching(&self, span: Span, binary: &Binary, both_vectors: bool) -> Checked<()> {
        let Some(matching) = &binary.matching else { return Ok(()) };
        let has_fill = matching.fill_left.is_some() || matching.fill_right.is_some();
        if !both_vectors {
            if !matching.labels.is_empty() {
                return self.fail(span, "vector matching only allowed between instant vectors");
            }
            if has_fill {
                return self.fail(span, "filling in missing series only allowed between instant vectors");
            }
        } else if binary.op.is_set_operator() {
            if matching.cardinality != Cardinality::ManyToMany {
                let op = quote(binary.op.as_str());
                return self.fail(span, format!("no grouping allowed for {op} operation"));
            }
            if has_fill {
                return self.fail(span, "filling in missing series not allowed for set operators");
            }
        }
        Ok(())
    }

    /// Where the operator and its modifiers stand, without the spaces around them, and without the last byte, as
    /// upstream has it.
    fn operator_span(&self, binary: &Binary) -> Span {
        let between = binary.lhs.span.end..binary.rhs.span.start;
        let text = self.text.get(between.clone()).unwrap_or_default();
        let start = between.start + (text.len() - text.trim_start_matches(is_space).len());
        let end = between.start + text.trim_end_matches(is_space).len();
        Span { start, end: end.saturating_sub(1).max(start) }
    }

    fn aggregate(&self, aggregate: &mut Aggregate) -> Checked<ValueType> {
        self.expect(&mut aggregate.expr, ValueType::Vector, "aggregation expression")?;
        if let Some(param) = &mut aggregate.param {
            let wanted = match aggregate.op {
                AggregateOp::CountValues => ValueType::String,
                _ => ValueType::Scalar,
            };
            self.expect(param, wanted, "aggregation parameter")?;
        }
        Ok(ValueType::Vector)
    }

    fn expect(&self, expr: &mut Expr, wanted: ValueType, place: &str) -> Checked<()> {
        let found = self.expr(expr)?;
        if found == wanted {
            return Ok(());
        }
        let (wanted, found) = (wanted.as_str(), found.as_str());
        self.fail(expr.span, format!("expected type {wanted} in {place}, got {found}"))
    }

    fn call(&self, span: Span, call: &mut Call) -> Checked<ValueType> {
        let Some(function) = functions::lookup(call.function) else {
            return self.fail(span, format!("unknown function with name {}", quote(call.function)));
        };
        self.argument_count(span, function, call.args.len())?;
        let place = format!("call to function {}", quote(function.name));
        let is_info = function.name == "info";
        if let (true, Some(selector)) = (is_info, call.args.get(1)) {
            self.info_selector(span, selector, &place)?;
        }
        for (at, arg) in call.args.iter_mut().enumerate() {
            if is_info && at == 1 {
                // Unlike other selectors it may match everything.
                continue;
            }
            let Some(wanted) = function.arg_types.get(at).or(function.arg_types.last()) else { continue };
            self.expect(arg, *wanted, &place)?;
        }
        Ok(function.return_type)
    }

    /// The second argument of `info`, which must be matchers alone.
    fn info_selector(&self, call: Span, expr: &Expr, place: &str) -> Checked<()> {
        let found = expr.value_type();
        if found != ValueType::Vector {
            let (wanted, found) = (ValueType::Vector.as_str(), found.as_str());
            return self.fail(call, format!("expected type {wanted} in {place}, got {found}"));
        }
        match &expr.kind {
            ExprKind::VectorSelector(selector) if selector.name.is_none() => Ok(()),
            ExprKind::VectorSelector(_) => {
                self.fail(expr.span, "expected label selectors only, got vector selector instead")
            }
            _ => self.fail(expr.span, "expected label selectors only"),
        }
    }

    fn argument_count(&self, span: Span, function: &Function, got: usize) -> Checked<()> {
        let types = function.arg_types.len();
        let least = types.saturating_sub(1);
        let (is_wrong, wanted) = match function.variadic {
            Variadic::No => (got != types, format!("{types}")),
            _ if got < least => (true, format!("at least {least}")),
            Variadic::UpTo(more) => (got > least + more, format!("at most {}", least + more)),
            Variadic::Any => (false, String::new()),
        };
        if is_wrong {
            let name = quote(function.name);
            return self.fail(span, format!("expected {wanted} argument(s) in call to {name}, got {got}"));
        }
        Ok(())
    }

    fn selector(&self, span: Span, selector: &VectorSelector) -> Checked<ValueType> {
        if let Some(name) = &selector.name {
            // The last one is the name's own.
            let others = selector.matchers.split_last().map_or(&[][..], |(_, others)| others);
            if let Some(other) = others.iter().find(|matcher| matcher.name() == METRIC_NAME) {
                let names = format!("{} or {}", quote(name), quote(other.value()));
                return self.fail(span, format!("metric name must not be set twice: {names}"));
            }
        } else if selector.matchers.iter().all(model::Matcher::matches_empty) {
            return self.fail(span, "vector selector must contain at least one non-empty matcher");
        }
        Ok(ValueType::Vector)
    }
}
