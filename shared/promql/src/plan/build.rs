//! Syntax tree to typed tree.
//!
//! What does not depend on the step is evaluated once and copied to all steps. Which parts those are follows
//! `promql/engine.go:preprocessExprHelper` exactly, for it can be seen: `topk(scalar(k), v @ 60)` has one `k`.

use storage::{Select, SelectHints};

use crate::eval::math;
use crate::parser::ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Expr, ExprKind, MatrixSelector, Offset, Span, Subquery,
    UnaryOp, ValueType, VectorSelector,
};
use crate::plan::duration::{DurationContext, milliseconds};
use crate::plan::node::{
    AggregateParameter, Aggregation, Bounds, Grouping, InstantSelector, Link, Operand, RangeInput, RangeNode,
    Root, ScalarChain, ScalarNode, Source, VectorChain, VectorNode,
};
use crate::plan::reads::{Reads, TimeSpan};
use crate::query::{EngineOptions, QueryError, QueryTime};

/// The typed tree of a query and what it reads.
///
/// # Errors
/// See [`crate::Plan::new`].
pub(crate) fn build(
    expr: &Expr,
    time: QueryTime,
    options: &EngineOptions,
) -> Result<(Root, Vec<Select>), QueryError> {
    let (start, end, step) = match time {
        QueryTime::Instant(at) => (at, at, 0),
        QueryTime::Range { start, end, step } => (start, end, step),
    };
    if matches!(time, QueryTime::Range { .. }) && step <= 0 {
        let message =
            "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(QueryError::Invalid(message.to_owned()));
    }
    let mut builder = Builder {
        start,
        end,
        step,
        options,
        durations: DurationContext { step_s: seconds(step), range_s: seconds(end.saturating_sub(start)) },
        reads: Reads::default(),
    };
    let span = TimeSpan { start, end };
    let context = Context { span, step_ms: step, func: "", grouping: None, stats: false, buckets: false };
    let built = builder.expr(expr, context)?;
    if let (QueryTime::Range { .. }, ValueType::Matrix | ValueType::String) = (time, built.value_type()) {
        return Err(QueryError::Invalid(format!(
            "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
            built.value_type().as_str()
        )));
    }
    let root = match built.into_wrapped() {
        Typed::Scalar(node) => Root::Scalar(node),
        Typed::String(text) => Root::String(text),
        Typed::Vector(node) => Root::Vector(node),
        Typed::Range(node) => Root::Range(node),
    };
    Ok((root, builder.reads.into_selects()))
}

/// Milliseconds in seconds.
pub(crate) fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}

/// What a part of the query stands in.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The instants at which it is evaluated.
    pub(crate) span: TimeSpan,
    /// Their distance; 0 for an instant query.
    pub(crate) step_ms: i64,
    /// The nearest function or aggregation around it, up to a binary operator.
    pub(crate) func: &'a str,
    /// The aggregation directly around it.
    pub(crate) grouping: Option<&'a Aggregate>,
    /// Whether something around it looks only at counts and sums of histograms.
    stats: bool,
    /// Whether something around it needs whole histograms.
    buckets: bool,
}

impl<'a> Context<'a> {
    /// Inside a call of `func`.
    pub(crate) fn within(self, func: &'a str) -> Self {
        let stats = matches!(func, "histogram_count" | "histogram_sum" | "histogram_avg");
        let buckets = matches!(func, "histogram_quantile" | "histogram_quantiles" | "histogram_fraction");
        Self { func, grouping: None, stats: self.stats || stats, buckets: self.buckets || buckets, ..self }
    }

    /// Whether buckets of histograms need not be looked at. Source: `promql/engine.go:detectHistogramStatsDecoding`.
    fn stats_only(self) -> bool {
        self.stats && !self.buckets
    }
}

/// A node of any kind.
pub(crate) enum Typed {
    Scalar(ScalarNode),
    String(Vec<u8>),
    Vector(VectorNode),
    Range(RangeNode),
}

/// A part that is built.
pub(crate) struct Built {
    node: Typed,
    span: Span,
    /// Whether it is the same at every step.
    pub(crate) invariant: bool,
    /// Whether marking it as such is of use.
    wrap: bool,
}

impl Built {
    pub(crate) fn new(node: Typed, span: Span) -> Self {
        Self { node, span, invariant: false, wrap: false }
    }

    pub(crate) fn invariant(node: Typed, span: Span) -> Self {
        Self { node, span, invariant: true, wrap: true }
    }

    pub(crate) fn literal(node: Typed, span: Span) -> Self {
        Self { node, span, invariant: true, wrap: false }
    }

    pub(crate) fn span(&self) -> Span {
        self.span
    }

    fn value_type(&self) -> ValueType {
        match self.node {
            Typed::Scalar(_) => ValueType::Scalar,
            Typed::String(_) => ValueType::String,
            Typed::Vector(_) => ValueType::Vector,
            Typed::Range(_) => ValueType::Matrix,
        }
    }

    /// The node, marked as step-invariant where it is and where that is of use.
    pub(crate) fn into_wrapped(self) -> Typed {
        match self.node {
            Typed::Scalar(node) if self.wrap => Typed::Scalar(ScalarNode::StepInvariant(Box::new(node))),
            Typed::Vector(node) if self.wrap => Typed::Vector(VectorNode::StepInvariant(Box::new(node))),
            node => node,
        }
    }

    /// The node for use in a whole that is marked itself (`marked`), or else marked.
    pub(crate) fn into_node(self, marked: bool) -> Typed {
        if marked { self.node } else { self.into_wrapped() }
    }

    pub(crate) fn vector(self, marked: bool) -> Result<VectorNode, QueryError> {
        match self.into_node(marked) {
            Typed::Vector(node) => Ok(node),
            _ => Err(unexpected(ValueType::Vector)),
        }
    }

    pub(crate) fn scalar(self, marked: bool) -> Result<ScalarNode, QueryError> {
        match self.into_node(marked) {
            Typed::Scalar(node) => Ok(node),
            _ => Err(unexpected(ValueType::Scalar)),
        }
    }

    pub(crate) fn range(self) -> Result<RangeNode, QueryError> {
        match self.node {
            Typed::Range(node) => Ok(node),
            _ => Err(unexpected(ValueType::Matrix)),
        }
    }
}

/// The parser checks types, so this tells of a defect, not of a user's mistake.
pub(crate) fn unexpected(expected: ValueType) -> QueryError {
    QueryError::Invalid(format!("unexpected expression type, must be {}", expected.as_str()))
}

/// Builds the tree.
pub(crate) struct Builder<'a> {
    /// First instant of the query, ms.
    pub(crate) start: i64,
    /// Last instant of the query, ms.
    pub(crate) end: i64,
    /// Step of the query, ms; 0 for an instant query.
    pub(crate) step: i64,
    options: &'a EngineOptions,
    durations: DurationContext,
    pub(crate) reads: Reads,
}

impl Builder<'_> {
    pub(crate) fn expr(&mut self, expr: &Expr, context: Context<'_>) -> Result<Built, QueryError> {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Number { value, .. } => {
                Ok(Built::literal(Typed::Scalar(ScalarNode::Number(*value)), span))
            }
            ExprKind::String(text) => Ok(Built::literal(Typed::String(text.clone()), span)),
            ExprKind::Paren(inner) => Ok(Built { span, ..self.expr(inner, context)? }),
            ExprKind::Unary(op, inner) => self.unary(*op, inner, span, context),
            ExprKind::Binary(binary) => self.binary(binary, span, context),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate, span, context),
            ExprKind::Call(call) => self.call(call, span, context),
            ExprKind::VectorSelector(selector) => self.instant_selector(selector, span, context),
            ExprKind::MatrixSelector(selector) => self.range_selector(selector, span, context),
            ExprKind::Subquery(subquery) => self.subquery(subquery, span, context),
        }
    }

    /// As [`Builder::expr`], with parentheses taken off, which moves the position of annotations inside them.
    pub(crate) fn argument(&mut self, expr: &Expr, context: Context<'_>) -> Result<Built, QueryError> {
        self.expr(without_parentheses(expr), context)
    }

    fn unary(
        &mut self,
        op: UnaryOp,
        inner: &Expr,
        span: Span,
        context: Context<'_>,
    ) -> Result<Built, QueryError> {
        let context = Context { grouping: None, ..context };
        let built = self.expr(inner, context)?;
        let node = match (op, built.node) {
            (UnaryOp::Plus, node) => node,
            (UnaryOp::Minus, Typed::Scalar(ScalarNode::Number(value))) => {
                Typed::Scalar(ScalarNode::Number(-value))
            }
            (UnaryOp::Minus, Typed::Scalar(node)) => Typed::Scalar(ScalarNode::Negate(Box::new(node))),
            (UnaryOp::Minus, Typed::Vector(node)) => Typed::Vector(VectorNode::Negate(Box::new(node))),
            (UnaryOp::Minus, _) => return Err(unexpected(ValueType::Vector)),
        };
        Ok(Built { node, span, ..built })
    }

    /// A chain of binary operators. Its left operands nest without bound, so it is walked, not recursed into.
    fn binary(&mut self, binary: &Binary, span: Span, context: Context<'_>) -> Result<Built, QueryError> {
        let context = context.within("");
        // Trimming needs the buckets of whatever is below it.
        let below = |context: Context<'_>, binary: &Binary| {
            context.buckets || matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
        };
        let mut context = Context { buckets: below(context, binary), ..context };
        let mut chain = vec![(binary, span, context)];
        let mut leftmost = &binary.lhs;
        while let ExprKind::Binary(inner) = &leftmost.kind {
            context = Context { buckets: below(context, inner), ..context };
            chain.push((inner, leftmost.span, context));
            leftmost = &inner.lhs;
        }
        let mut built = self.expr(leftmost, context)?;
        while let Some((binary, span, context)) = chain.pop() {
            let rhs = self.expr(&binary.rhs, context)?;
            built = combine(binary, span, built, rhs)?;
        }
        Ok(built)
    }

    fn aggregate(
        &mut self,
        aggregate: &Aggregate,
        span: Span,
        context: Context<'_>,
    ) -> Result<Built, QueryError> {
        let context = Context { func: aggregate_name(aggregate.op), grouping: Some(aggregate), ..context };
        let parameter = match &aggregate.param {
            None => AggregateParameter::None,
            Some(param) => {
                let built = self.argument(param, Context { grouping: None, ..context })?;
                let param_span = built.span();
                match built.node {
                    // Not marked: whether the aggregation is invariant depends on the vector alone.
                    Typed::Scalar(node) => AggregateParameter::Scalar(node, param_span),
                    Typed::String(label) => AggregateParameter::Label(label),
                    _ => return Err(unexpected(ValueType::Scalar)),
                }
            }
        };
        let built = self.argument(&aggregate.expr, context)?;
        let (invariant, wrap, expr_span) = (built.invariant, built.wrap, built.span);
        let node = Aggregation {
            op: aggregate.op,
            grouping: Grouping {
                without: aggregate.without,
                labels: aggregate.grouping.clone().unwrap_or_default(),
            },
            parameter,
            expr: built.vector(true)?,
            expr_span,
            span,
        };
        Ok(Built { node: Typed::Vector(VectorNode::Aggregate(Box::new(node))), span, invariant, wrap })
    }

    fn instant_selector(
        &mut self,
        selector: &VectorSelector,
        span: Span,
        context: Context<'_>,
    ) -> Result<Built, QueryError> {
        let (at, offset_ms) = self.place(selector.at, &selector.offset)?;
        let lookback = self.options.lookback_delta_ms;
        let after = if selector.smoothed { lookback } else { 0 };
        let times = context.span.shifted(at, offset_ms).widened(lookback.saturating_sub(1), after);
        let select = self.reads.add(&selector.matchers, times, hints(context, 0));
        let source = Source { select, at, offset_ms };
        let node = VectorNode::Selector(InstantSelector {
            source,
            smoothed: selector.smoothed,
            stats_only: context.stats_only(),
            span,
        });
        let invariant = at.is_some();
        Ok(Built { node: Typed::Vector(node), span, invariant, wrap: invariant })
    }

    fn range_selector(
        &mut self,
        matrix: &MatrixSelector,
        span: Span,
        context: Context<'_>,
    ) -> Result<Built, QueryError> {
        let context = Context { grouping: None, ..context };
        let selector = &matrix.selector;
        let range_ms = match &matrix.range_expr {
            Some(expr) => milliseconds(expr, self.durations, false).map_err(QueryError::Invalid)?,
            None => matrix.range_ms,
        };
        let (at, offset_ms) = self.place(selector.at, &selector.offset)?;
        let lookback = self.options.lookback_delta_ms;
        let (bounds, before, after) = match (selector.anchored, selector.smoothed) {
            (true, _) => (Bounds::Anchored, range_ms.saturating_add(lookback), 0),
            (false, true) => (Bounds::Smoothed, range_ms.saturating_add(lookback), lookback),
            (false, false) => (Bounds::Plain, range_ms, 0),
        };
        let times = context.span.shifted(at, offset_ms).widened(before.saturating_sub(1), after);
        let select = self.reads.add(&selector.matchers, times, hints(context, range_ms));
        let input = RangeInput::Selector { select, bounds, stats_only: context.stats_only() };
        let node = Typed::Range(RangeNode { input, at, offset_ms, range_ms });
        Ok(Built { node, span, invariant: at.is_some(), wrap: false })
    }

    fn subquery(
        &mut self,
        subquery: &Subquery,
        span: Span,
        context: Context<'_>,
    ) -> Result<Built, QueryError> {
        let (at, offset_ms) = self.place(subquery.at, &subquery.offset)?;
        let range_ms = match &subquery.range_expr {
            Some(expr) => milliseconds(expr, self.durations, false).map_err(QueryError::Invalid)?,
            None => subquery.range_ms,
        };
        let step_ms = match &subquery.step_expr {
            Some(expr) => milliseconds(expr, self.durations, false).map_err(QueryError::Invalid)?,
            None => subquery.step_ms,
        };
        let step_ms = if step_ms > 0 { step_ms } else { self.options.default_subquery_step_ms.max(1) };
        let inner = Context {
            span: context.span.shifted(at, offset_ms).widened(range_ms, 0),
            step_ms,
            grouping: None,
            buckets: true,
            ..context
        };
        let built = self.expr(&subquery.expr, inner)?;
        // The inside is marked whenever it is invariant, whatever the subquery itself is.
        let expr = Built { wrap: built.invariant, ..built }.vector(false)?;
        let input = RangeInput::Subquery { expr: Box::new(expr), step_ms };
        let node = Typed::Range(RangeNode { input, at, offset_ms, range_ms });
        Ok(Built { node, span, invariant: at.is_some(), wrap: false })
    }

    /// `@` in ms and the offset in ms.
    pub(crate) fn place(&self, at: Option<At>, offset: &Offset) -> Result<(Option<i64>, i64), QueryError> {
        let at = at.map(|at| match at {
            At::Timestamp(at) => at,
            At::Start => self.start,
            At::End => self.end,
        });
        let offset_ms = match &offset.expr {
            Some(expr) => milliseconds(expr, self.durations, true).map_err(QueryError::Invalid)?,
            None => offset.ms,
        };
        Ok((at, offset_ms))
    }

    pub(crate) fn lookback_ms(&self) -> i64 {
        self.options.lookback_delta_ms
    }
}

/// `lhs op rhs`
fn combine(binary: &Binary, span: Span, lhs: Built, rhs: Built) -> Result<Built, QueryError> {
    let (op, return_bool) = (binary.op, binary.return_bool);
    if let (Typed::Scalar(ScalarNode::Number(a)), Typed::Scalar(ScalarNode::Number(b))) =
        (&lhs.node, &rhs.node)
    {
        let folded = ScalarNode::Number(math::scalar_operation(op, *a, *b));
        return Ok(Built::literal(Typed::Scalar(folded), span));
    }
    let marked = lhs.invariant && rhs.invariant;
    let link = |operand| Link { op, return_bool, operand, span };
    let node = match (lhs.into_node(marked), rhs.into_node(marked)) {
        (Typed::Scalar(lhs), Typed::Scalar(rhs)) => Typed::Scalar(scalar_chain(lhs, op, rhs)),
        (Typed::Vector(lhs), Typed::Scalar(rhs)) => {
            Typed::Vector(vector_chain(lhs, link(Operand::ScalarRight(rhs))))
        }
        (Typed::Scalar(lhs), Typed::Vector(rhs)) => {
            Typed::Vector(vector_chain(rhs, link(Operand::ScalarLeft(lhs))))
        }
        (Typed::Vector(lhs), Typed::Vector(rhs)) => {
            let Some(matching) = binary.matching.clone() else { return Err(unexpected(ValueType::Scalar)) };
            Typed::Vector(vector_chain(lhs, link(Operand::Vector(rhs, matching))))
        }
        _ => return Err(unexpected(ValueType::Vector)),
    };
    Ok(if marked { Built::invariant(node, span) } else { Built::new(node, span) })
}

fn scalar_chain(start: ScalarNode, op: BinaryOp, operand: ScalarNode) -> ScalarNode {
    let mut chain = match start {
        ScalarNode::Chain(chain) => chain,
        start => Box::new(ScalarChain { start, links: Vec::new() }),
    };
    chain.links.push((op, operand));
    ScalarNode::Chain(chain)
}

fn vector_chain(start: VectorNode, link: Link) -> VectorNode {
    let mut chain = match start {
        VectorNode::Chain(chain) => chain,
        start => Box::new(VectorChain { start, links: Vec::new() }),
    };
    chain.links.push(link);
    VectorNode::Chain(chain)
}

/// `expr` without the parentheses around it.
pub(crate) fn without_parentheses(mut expr: &Expr) -> &Expr {
    while let ExprKind::Paren(inner) = &expr.kind {
        expr = inner;
    }
    expr
}

/// Whether `op` compares.
pub(crate) fn is_comparison(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge)
}

fn hints(context: Context<'_>, range_ms: i64) -> SelectHints {
    SelectHints {
        step_ms: context.step_ms,
        range_ms,
        func: context.func.to_owned(),
        grouping: context.grouping.and_then(|aggregate| aggregate.grouping.clone()).unwrap_or_default(),
        by: context.grouping.is_some_and(|aggregate| !aggregate.without),
    }
}

fn aggregate_name(op: AggregateOp) -> &'static str {
    match op {
        AggregateOp::Sum => "sum",
        AggregateOp::Avg => "avg",
        AggregateOp::Min => "min",
        AggregateOp::Max => "max",
        AggregateOp::Count => "count",
        AggregateOp::Group => "group",
        AggregateOp::Stddev => "stddev",
        AggregateOp::Stdvar => "stdvar",
        AggregateOp::TopK => "topk",
        AggregateOp::BottomK => "bottomk",
        AggregateOp::CountValues => "count_values",
        AggregateOp::Quantile => "quantile",
        AggregateOp::LimitK => "limitk",
        AggregateOp::LimitRatio => "limit_ratio",
    }
}
