//! Function calls.

use std::collections::BTreeMap;

use model::labels::METRIC_NAME;
use model::regex::AnchoredRegex;
use model::{Labels, MatchOp, Matcher};
use storage::SelectHints;

use crate::eval::math;
use crate::parser::ast::{self, Expr, ExprKind, Span, ValueType, VectorSelector};
use crate::plan::build::{Builder, Built, Context, Typed, seconds, unexpected, without_parentheses};
use crate::plan::function::{
    ANCHORED_FUNCTIONS, DateFunction, HistogramFunction, MathFunction, RangeFunction, SMOOTHED_FUNCTIONS,
    depends_on_time,
};
use crate::plan::node::{
    Bounds, Call, HistogramQuantile, Info, LabelJoin, LabelReplace, OverRange, RangeInput, RangeNode,
    ScalarNode, Source, VectorNode,
};
use crate::query::QueryError;

/// What makes a metric an info metric unless told otherwise.
const TARGET_INFO: &str = "target_info";

/// The arguments of a call, taken one after the other.
struct Arguments {
    built: std::vec::IntoIter<Built>,
    /// Whether the call as a whole is step-invariant, so that its arguments need no mark.
    marked: bool,
}

impl Arguments {
    fn next(&mut self) -> Result<Built, QueryError> {
        self.built.next().ok_or_else(|| QueryError::Invalid("missing argument".to_owned()))
    }

    fn vector(&mut self) -> Result<VectorNode, QueryError> {
        self.next()?.vector(self.marked)
    }

    fn scalar(&mut self) -> Result<ScalarNode, QueryError> {
        self.next()?.scalar(self.marked)
    }

    fn scalar_or(&mut self, default: f64) -> Result<ScalarNode, QueryError> {
        match self.built.next() {
            Some(built) => built.scalar(self.marked),
            None => Ok(ScalarNode::Number(default)),
        }
    }
}

impl Builder<'_> {
    pub(crate) fn call(
        &mut self,
        call: &ast::Call,
        span: Span,
        context: Context<'_>,
    ) -> Result<Built, QueryError> {
        if let Some(value) = self.fixed_by_query(call.function) {
            let node = Typed::Scalar(ScalarNode::Number(value));
            return Ok(Built::literal(node, span));
        }
        let context = context.within(call.function);
        match call.function {
            "info" => return self.info(call, span, context),
            "timestamp" | "start_timestamp" => return self.timestamp(call, span, context),
            _ => {}
        }
        let strings = string_arguments(&call.args);
        let built: Vec<Built> =
            call.args.iter().map(|arg| self.argument(arg, context)).collect::<Result<_, _>>()?;
        let invariant = !depends_on_time(call.function) && built.iter().all(|built| built.invariant);
        let first_span = built.first().map_or(span, Built::span);
        let mut args = Arguments { built: built.into_iter(), marked: invariant };
        if let Some(node) = scalar_call(call.function, &mut args)? {
            return Ok(finish(Typed::Scalar(node), span, invariant));
        }
        let node = match call.function {
            "label_replace" => Call::LabelReplace(label_replace(args.vector()?, &strings)?),
            "label_join" => Call::LabelJoin(label_join(args.vector()?, &strings)?),
            "sort_by_label" | "sort_by_label_desc" => Call::SortByLabel {
                vector: args.vector()?,
                labels: strings.iter().map(|name| lossy(name)).collect(),
                descending: call.function == "sort_by_label_desc",
                span,
            },
            "histogram_quantiles" => histogram_quantiles(&mut args, &strings, first_span)?,
            "absent" => {
                let labels = absent_labels(call.args.first());
                Call::Absent { vector: args.vector()?, labels }
            }
            "absent_over_time" => {
                let labels = absent_labels(call.args.first());
                let range = args.next()?.range()?;
                check_bounds(&range, call.function)?;
                Call::AbsentOverTime { range, labels }
            }
            name => match RangeFunction::named(name) {
                Some(function) => over_range(function, name, args, first_span)?,
                None => vector_call(name, &mut args, span)?,
            },
        };
        Ok(finish(Typed::Vector(VectorNode::Call(Box::new(node))), span, invariant))
    }

    /// `start()`, `end()`, `range()`, `step()`.
    fn fixed_by_query(&self, function: &str) -> Option<f64> {
        Some(match function {
            "start" => seconds(self.start),
            "end" => seconds(self.end),
            "range" => seconds(self.end.saturating_sub(self.start)),
            "step" if self.start == self.end => 0.0,
            "step" => seconds(self.step),
            _ => return None,
        })
    }

    fn timestamp(&mut self, call: &ast::Call, span: Span, context: Context<'_>) -> Result<Built, QueryError> {
        let Some(arg) = call.args.first() else { return Err(unexpected(ValueType::Vector)) };
        let built = self.argument(arg, context)?;
        let of_samples = matches!(without_parentheses(arg).kind, ExprKind::VectorSelector(_));
        // The time of a fixed sample is fixed, the time of a step is not.
        let invariant = built.invariant && (call.function == "start_timestamp" || of_samples);
        let node = match built.vector(invariant)? {
            VectorNode::Selector(selector) if call.function == "start_timestamp" => {
                Call::StartTimestampOfSample(selector.source)
            }
            node if call.function == "start_timestamp" => Call::StartTimestampOfStep(node),
            VectorNode::Selector(selector) => Call::TimestampOfSample(selector.source),
            node => Call::TimestampOfStep(node),
        };
        Ok(finish(Typed::Vector(VectorNode::Call(Box::new(node))), span, invariant))
    }

    fn info(&mut self, call: &ast::Call, span: Span, context: Context<'_>) -> Result<Built, QueryError> {
        let Some(arg) = call.args.first() else { return Err(unexpected(ValueType::Vector)) };
        let built = self.argument(arg, context)?;
        let selected = match call.args.get(1).map(|arg| &without_parentheses(arg).kind) {
            None => Vec::new(),
            Some(ExprKind::VectorSelector(selector)) => selector.matchers.clone(),
            Some(_) => return Err(unexpected(ValueType::Vector)),
        };
        let (names, data_matchers): (Vec<_>, Vec<_>) =
            selected.into_iter().partition(|matcher| matcher.name() == METRIC_NAME);
        let name_matchers = info_name_matchers(names);
        let (at, offset_ms) = self.first_selector(arg)?.unwrap_or_default();
        let times = context.span.shifted(at, offset_ms).widened(self.lookback_ms().saturating_sub(1), 0);
        let hints =
            SelectHints { step_ms: context.step_ms, func: "info".to_owned(), ..SelectHints::default() };
        let matchers: Vec<Matcher> = data_matchers.iter().chain(&name_matchers).cloned().collect();
        let select = self.reads.add(&matchers, times, hints);
        // A selector as second argument has no `@`, which makes the whole depend on the step.
        let invariant = built.invariant && call.args.len() < 2;
        let node = Info {
            vector: built.vector(invariant)?,
            source: Source { select, at, offset_ms },
            name_matchers,
            data_matchers,
        };
        Ok(finish(Typed::Vector(VectorNode::Call(Box::new(Call::Info(node)))), span, invariant))
    }

    /// `@` and offset of the first selector in `expr`, those of the subqueries around it included.
    fn first_selector(&self, expr: &Expr) -> Result<Option<(Option<i64>, i64)>, QueryError> {
        let mut pending = vec![expr];
        while let Some(expr) = pending.pop() {
            match &expr.kind {
                ExprKind::VectorSelector(selector) => {
                    return self.place(selector.at, &selector.offset).map(Some);
                }
                ExprKind::MatrixSelector(matrix) => {
                    return self.place(matrix.selector.at, &matrix.selector.offset).map(Some);
                }
                ExprKind::Subquery(subquery) => {
                    let Some((at, offset_ms)) = self.first_selector(&subquery.expr)? else { continue };
                    if at.is_some() {
                        return Ok(Some((at, offset_ms)));
                    }
                    let (at, outer_ms) = self.place(subquery.at, &subquery.offset)?;
                    return Ok(Some((at, offset_ms.saturating_add(outer_ms))));
                }
                ExprKind::Number { .. } | ExprKind::String(_) => {}
                ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => pending.push(inner),
                ExprKind::Binary(binary) => pending.extend([&binary.rhs, &binary.lhs]),
                ExprKind::Aggregate(aggregate) => {
                    pending.extend(&aggregate.param);
                    pending.push(&aggregate.expr);
                }
                ExprKind::Call(call) => pending.extend(call.args.iter().rev()),
            }
        }
        Ok(None)
    }
}

fn finish(node: Typed, span: Span, invariant: bool) -> Built {
    if invariant { Built::invariant(node, span) } else { Built::new(node, span) }
}

fn scalar_call(function: &str, args: &mut Arguments) -> Result<Option<ScalarNode>, QueryError> {
    Ok(Some(match function {
        "pi" => ScalarNode::Number(std::f64::consts::PI),
        "time" => ScalarNode::Time,
        "scalar" => ScalarNode::OfVector(Box::new(args.vector()?)),
        "max_of" | "min_of" => match (function, args.scalar()?, args.scalar()?) {
            ("max_of", ScalarNode::Number(a), ScalarNode::Number(b)) => {
                ScalarNode::Number(math::go_max(a, b))
            }
            (_, ScalarNode::Number(a), ScalarNode::Number(b)) => ScalarNode::Number(math::go_min(a, b)),
            ("max_of", a, b) => ScalarNode::Max(Box::new(a), Box::new(b)),
            (_, a, b) => ScalarNode::Min(Box::new(a), Box::new(b)),
        },
        _ => return Ok(None),
    }))
}

fn vector_call(name: &str, args: &mut Arguments, span: Span) -> Result<Call, QueryError> {
    if let Some(function) = MathFunction::named(name) {
        return Ok(Call::Math(function, args.vector()?));
    }
    if let Some(function) = HistogramFunction::named(name) {
        return Ok(Call::Histogram(function, args.vector()?));
    }
    if let Some(function) = DateFunction::named(name) {
        let vector = args.built.next().map(|built| built.vector(args.marked)).transpose()?;
        return Ok(Call::Date(function, vector));
    }
    Ok(match name {
        "round" => Call::Round(args.vector()?, args.scalar_or(1.0)?),
        "clamp" => Call::Clamp { vector: args.vector()?, min: args.scalar()?, max: args.scalar()? },
        "clamp_min" => {
            let (vector, min) = (args.vector()?, args.scalar()?);
            Call::Clamp { vector, min, max: ScalarNode::Number(f64::INFINITY) }
        }
        "clamp_max" => {
            let (vector, max) = (args.vector()?, args.scalar()?);
            Call::Clamp { vector, min: ScalarNode::Number(f64::NEG_INFINITY), max }
        }
        "vector" => Call::OfScalar(args.scalar()?),
        "sort" | "sort_desc" => Call::Sort { vector: args.vector()?, descending: name == "sort_desc", span },
        "histogram_quantile" => {
            let quantile = args.next()?;
            let quantile_span = quantile.span();
            let quantiles = vec![(quantile.scalar(args.marked)?, quantile_span)];
            let vector = args.next()?;
            let vector_span = vector.span();
            let vector = vector.vector(args.marked)?;
            Call::HistogramQuantile(HistogramQuantile { quantiles, label: None, vector, vector_span })
        }
        "histogram_fraction" => {
            let (lower, upper) = (args.scalar()?, args.scalar()?);
            let vector = args.next()?;
            let vector_span = vector.span();
            Call::HistogramFraction { lower, upper, vector: vector.vector(args.marked)?, vector_span }
        }
        _ => return Err(QueryError::Invalid(format!("unknown function with name \"{name}\""))),
    })
}

fn over_range(
    function: RangeFunction,
    name: &str,
    args: Arguments,
    mut first_argument_span: Span,
) -> Result<Call, QueryError> {
    let (marked, mut range, mut parameters) = (args.marked, None, Vec::new());
    for (at, built) in args.built.enumerate() {
        match built.into_node(marked) {
            Typed::Range(node) => {
                if at == 0 && matches!(node.input, RangeInput::Subquery { .. }) {
                    // While it runs, Prometheus has its samples in the place of the subquery, and they have no position.
                    first_argument_span = Span::default();
                }
                range = Some(node);
            }
            Typed::Scalar(node) => parameters.push(node),
            _ => return Err(unexpected(ValueType::Matrix)),
        }
    }
    let Some(range) = range else { return Err(unexpected(ValueType::Matrix)) };
    check_bounds(&range, name)?;
    Ok(Call::OverRange(OverRange { function, range, parameters, first_argument_span }))
}

fn check_bounds(range: &RangeNode, function: &str) -> Result<(), QueryError> {
    let (modifier, allowed): (&str, &[&str]) = match range.input {
        RangeInput::Selector { bounds: Bounds::Anchored, .. } => ("anchored", &ANCHORED_FUNCTIONS),
        RangeInput::Selector { bounds: Bounds::Smoothed, .. } => ("smoothed", &SMOOTHED_FUNCTIONS),
        _ => return Ok(()),
    };
    if allowed.contains(&function) {
        return Ok(());
    }
    Err(QueryError::Execution(format!(
        "{modifier} modifier can only be used with: {} - not with {function}",
        allowed.join(", ")
    )))
}

fn histogram_quantiles(
    args: &mut Arguments,
    strings: &[&[u8]],
    vector_span: Span,
) -> Result<Call, QueryError> {
    let vector = args.vector()?;
    let label = strings.first().map(|label| lossy(label));
    let mut quantiles = Vec::new();
    for built in args.built.by_ref().skip(1) {
        let span = built.span();
        quantiles.push((built.scalar(args.marked)?, span));
    }
    Ok(Call::HistogramQuantile(HistogramQuantile { quantiles, label, vector, vector_span }))
}

fn label_replace(vector: VectorNode, strings: &[&[u8]]) -> Result<LabelReplace, QueryError> {
    let [destination, replacement, source, pattern] = strings else {
        return Err(unexpected(ValueType::String));
    };
    let regex = std::str::from_utf8(pattern)
        .ok()
        .and_then(|pattern| AnchoredRegex::new(pattern).ok())
        .ok_or_else(|| {
            let pattern = lossy(pattern);
            QueryError::Execution(format!("invalid regular expression in label_replace(): {pattern}"))
        })?;
    let destination = label_name(destination, "destination", "label_replace")?;
    Ok(LabelReplace { vector, destination, replacement: lossy(replacement), source: lossy(source), regex })
}

fn label_join(vector: VectorNode, strings: &[&[u8]]) -> Result<LabelJoin, QueryError> {
    let [destination, separator, sources @ ..] = strings else {
        return Err(unexpected(ValueType::String));
    };
    let sources =
        sources.iter().map(|source| label_name(source, "source", "label_join")).collect::<Result<_, _>>()?;
    let destination = label_name(destination, "destination", "label_join")?;
    Ok(LabelJoin { vector, destination, separator: lossy(separator), sources })
}

fn label_name(name: &[u8], role: &str, function: &str) -> Result<String, QueryError> {
    match std::str::from_utf8(name) {
        Ok(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => {
            let name = lossy(name);
            Err(QueryError::Execution(format!("invalid {role} label name in {function}(): {name}")))
        }
    }
}

/// Labels are UTF-8, so bytes that are not can only be shown.
fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// The arguments that are texts, which all come after the vector.
fn string_arguments(args: &[Expr]) -> Vec<&[u8]> {
    args.iter()
        .filter_map(|arg| match &without_parentheses(arg).kind {
            ExprKind::String(text) => Some(text.as_slice()),
            _ => None,
        })
        .collect()
}

/// The labels of what is absent: those that the selector fixes. Source:
/// `promql/functions.go:createLabelsForAbsentFunction`.
fn absent_labels(arg: Option<&Expr>) -> Labels {
    let selector: &VectorSelector = match arg.map(|arg| &without_parentheses(arg).kind) {
        Some(ExprKind::VectorSelector(selector)) => selector,
        Some(ExprKind::MatrixSelector(matrix)) => &matrix.selector,
        _ => return Labels::empty(),
    };
    // `None` once a label was fixed and then taken back: it stays away.
    let mut labels: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for matcher in selector.matchers.iter().filter(|matcher| matcher.name() != METRIC_NAME) {
        match labels.get(matcher.name()) {
            None if matcher.op() == MatchOp::Equal => {
                labels.insert(matcher.name(), Some(matcher.value()));
            }
            None => {}
            Some(_) => {
                labels.insert(matcher.name(), None);
            }
        }
    }
    Labels::from_pairs(labels.into_iter().filter_map(|(name, value)| Some((name, value?))))
}

/// Source: `promql/info.go:effectiveInfoNameMatchers`.
fn info_name_matchers(names: Vec<Matcher>) -> Vec<Matcher> {
    if names.is_empty() {
        return vec![Matcher::equal(METRIC_NAME, TARGET_INFO)];
    }
    if names.iter().any(|matcher| matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex)) {
        return names;
    }
    Matcher::new(MatchOp::Regex, METRIC_NAME, ".+_info").into_iter().chain(names).collect()
}
