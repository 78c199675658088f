//! A plan as text: the tree that is evaluated, and what each select reads.

use std::fmt;

use model::rfc3339;

use super::Plan;
use super::node::{
    AggregateParameter, Aggregation, Bounds, Call, Link, Operand, RangeInput, RangeNode, Root, ScalarNode,
    Source, VectorNode,
};
use crate::parser::ast::VectorMatching;
use crate::query::QueryTime;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            QueryTime::Instant(at) => writeln!(f, "evaluated at {}", instant(at))?,
            QueryTime::Range { start, end, step } => {
                writeln!(f, "evaluated from {} to {} every {step} ms", instant(start), instant(end))?;
            }
        }
        let mut tree = Tree { out: f };
        match &self.root {
            Root::Scalar(node) => tree.scalar(0, node)?,
            Root::String(text) => tree.line(0, format_args!("string {:?}", String::from_utf8_lossy(text)))?,
            Root::Vector(node) => tree.vector(0, node)?,
            Root::Range(node) => tree.range(0, node)?,
        }
        if self.selects.is_empty() {
            return writeln!(f, "reads nothing");
        }
        writeln!(f, "reads")?;
        for (number, select) in self.selects.iter().enumerate() {
            let matchers: Vec<String> = select.matchers.iter().map(ToString::to_string).collect();
            writeln!(f, "  #{number} {{{}}}", matchers.join(", "))?;
            writeln!(f, "     from {} to {}", instant(select.min_time), instant(select.max_time))?;
            let hints = &select.hints;
            if !hints.func.is_empty() {
                write!(f, "     for {}", hints.func)?;
                if !hints.grouping.is_empty() {
                    let kind = if hints.by { "by" } else { "without" };
                    write!(f, " {kind} ({})", hints.grouping.join(", "))?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

fn instant(ms: i64) -> String {
    format!("{ms} ms ({})", rfc3339::format(ms))
}

struct Tree<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
}

impl Tree<'_, '_> {
    fn line(&mut self, depth: usize, text: impl fmt::Display) -> fmt::Result {
        writeln!(self.out, "{:indent$}{text}", "", indent = 2 * depth + 2)
    }

    fn scalar(&mut self, depth: usize, node: &ScalarNode) -> fmt::Result {
        match node {
            ScalarNode::Number(value) => self.line(depth, format_args!("number {value}")),
            ScalarNode::Time => self.line(depth, "time of the step"),
            ScalarNode::Negate(inner) => self.scalar_under(depth, "negate", [&**inner]),
            ScalarNode::Chain(chain) => {
                self.line(depth, "operators from left to right")?;
                self.scalar(depth + 1, &chain.start)?;
                chain.links.iter().try_for_each(|(op, operand)| {
                    self.line(depth + 1, op.as_str())?;
                    self.scalar(depth + 1, operand)
                })
            }
            ScalarNode::Min(a, b) => self.scalar_under(depth, "min_of", [&**a, &**b]),
            ScalarNode::Max(a, b) => self.scalar_under(depth, "max_of", [&**a, &**b]),
            ScalarNode::OfVector(vector) => self.over(depth, "scalar", vector),
            ScalarNode::StepInvariant(inner) => self.scalar_under(depth, "once for all steps", [&**inner]),
        }
    }

    fn scalar_under<'n>(
        &mut self,
        depth: usize,
        text: &str,
        inner: impl IntoIterator<Item = &'n ScalarNode>,
    ) -> fmt::Result {
        self.line(depth, text)?;
        inner.into_iter().try_for_each(|node| self.scalar(depth + 1, node))
    }

    fn over(&mut self, depth: usize, text: impl fmt::Display, inner: &VectorNode) -> fmt::Result {
        self.line(depth, text)?;
        self.vector(depth + 1, inner)
    }

    fn vector(&mut self, depth: usize, node: &VectorNode) -> fmt::Result {
        match node {
            VectorNode::Selector(selector) => {
                let smoothed = if selector.smoothed { ", smoothed" } else { "" };
                self.line(depth, format_args!("samples of {}{smoothed}", source(selector.source)))
            }
            VectorNode::Negate(inner) => self.over(depth, "negate", inner),
            VectorNode::Chain(chain) => {
                self.line(depth, "operators from left to right")?;
                self.vector(depth + 1, &chain.start)?;
                chain.links.iter().try_for_each(|link| self.link(depth + 1, link))
            }
            VectorNode::Aggregate(node) => self.aggregate(depth, node),
            VectorNode::Call(call) => self.call(depth, call),
            VectorNode::StepInvariant(inner) => self.over(depth, "once for all steps", inner),
        }
    }

    fn link(&mut self, depth: usize, link: &Link) -> fmt::Result {
        let op = link.op.as_str();
        let bool = if link.return_bool { " bool" } else { "" };
        match &link.operand {
            Operand::ScalarLeft(node) => {
                self.line(depth, format_args!("{op}{bool}, on its left"))?;
                self.scalar(depth, node)
            }
            Operand::ScalarRight(node) => {
                self.line(depth, format_args!("{op}{bool}"))?;
                self.scalar(depth, node)
            }
            Operand::Vector(node, matching) => {
                self.line(depth, format_args!("{op}{bool}{}", describe(matching)))?;
                self.vector(depth, node)
            }
        }
    }

    fn aggregate(&mut self, depth: usize, node: &Aggregation) -> fmt::Result {
        let kind = if node.grouping.without { "without" } else { "by" };
        let labels = node.grouping.labels.join(", ");
        self.line(depth, format_args!("{} {kind} ({labels})", node.op.as_str()))?;
        match &node.parameter {
            AggregateParameter::None => {}
            AggregateParameter::Scalar(scalar, _) => self.scalar(depth + 1, scalar)?,
            AggregateParameter::Label(label) => {
                self.line(depth + 1, format_args!("label {:?}", String::from_utf8_lossy(label)))?;
            }
        }
        self.vector(depth + 1, &node.expr)
    }

    fn call(&mut self, depth: usize, call: &Call) -> fmt::Result {
        match call {
            Call::Math(function, vector) => self.over(depth, format_args!("{function:?}"), vector),
            Call::Round(vector, to) => {
                self.over(depth, "round", vector)?;
                self.scalar(depth + 1, to)
            }
            Call::Clamp { vector, min, max } => {
                self.over(depth, "clamp", vector)?;
                self.scalar(depth + 1, min)?;
                self.scalar(depth + 1, max)
            }
            Call::Date(function, None) => self.line(depth, format_args!("{function:?} of the step")),
            Call::Date(function, Some(vector)) => self.over(depth, format_args!("{function:?}"), vector),
            Call::OfScalar(scalar) => {
                self.line(depth, "vector")?;
                self.scalar(depth + 1, scalar)
            }
            Call::Absent { vector, labels } => self.over(depth, format_args!("absent {labels}"), vector),
            Call::AbsentOverTime { range, labels } => {
                self.line(depth, format_args!("absent_over_time {labels}"))?;
                self.range(depth + 1, range)
            }
            Call::TimestampOfSample(from) => {
                self.line(depth, format_args!("times of the samples of {}", source(*from)))
            }
            Call::TimestampOfStep(vector) => self.over(depth, "time of the step, where there is", vector),
            Call::Histogram(function, vector) => self.over(depth, format_args!("{function:?}"), vector),
            Call::StartTimestampOfSample(from) => {
                self.line(depth, format_args!("start timestamps of the samples of {}", source(*from)))
            }
            Call::StartTimestampOfStep(vector) => {
                self.over(depth, "start_timestamp of no selector: nothing of", vector)
            }
            Call::Sort { vector, descending, .. } => {
                self.over(depth, if *descending { "sort_desc" } else { "sort" }, vector)
            }
            Call::SortByLabel { vector, labels, descending, .. } => {
                let name = if *descending { "sort_by_label_desc" } else { "sort_by_label" };
                self.over(depth, format_args!("{name} ({})", labels.join(", ")), vector)
            }
            Call::LabelReplace(call) => {
                let text = format!("label_replace {} from {}", call.destination, call.source);
                self.over(depth, text, &call.vector)
            }
            Call::LabelJoin(call) => {
                let text = format!("label_join {} from ({})", call.destination, call.sources.join(", "));
                self.over(depth, text, &call.vector)
            }
            Call::HistogramQuantile(call) => {
                self.line(depth, "quantiles of histograms")?;
                call.quantiles.iter().try_for_each(|(quantile, _)| self.scalar(depth + 1, quantile))?;
                self.vector(depth + 1, &call.vector)
            }
            Call::HistogramFraction { lower, upper, vector, .. } => {
                self.line(depth, "fraction of histograms between")?;
                self.scalar(depth + 1, lower)?;
                self.scalar(depth + 1, upper)?;
                self.vector(depth + 1, vector)
            }
            Call::Info(info) => {
                self.over(depth, format_args!("info from {}", source(info.source)), &info.vector)
            }
            Call::OverRange(call) => {
                self.line(depth, format_args!("{:?}", call.function))?;
                call.parameters.iter().try_for_each(|parameter| self.scalar(depth + 1, parameter))?;
                self.range(depth + 1, &call.range)
            }
        }
    }

    fn range(&mut self, depth: usize, node: &RangeNode) -> fmt::Result {
        let RangeNode { at, offset_ms, range_ms, .. } = node;
        match &node.input {
            RangeInput::Selector { select, bounds, .. } => {
                let from = Source { select: *select, at: *at, offset_ms: *offset_ms };
                let bounds = match bounds {
                    Bounds::Plain => "",
                    Bounds::Anchored => ", anchored",
                    Bounds::Smoothed => ", smoothed",
                };
                self.line(depth, format_args!("{range_ms} ms of {}{bounds}", source(from)))
            }
            RangeInput::Subquery { expr, step_ms } => {
                let shift = shift(*at, *offset_ms);
                self.line(depth, format_args!("{range_ms} ms every {step_ms} ms{shift} of"))?;
                self.vector(depth + 1, expr)
            }
        }
    }
}

fn source(source: Source) -> String {
    format!("#{}{}", source.select, shift(source.at, source.offset_ms))
}

fn shift(at: Option<i64>, offset_ms: i64) -> String {
    let at = at.map(|at| format!(" at {at} ms")).unwrap_or_default();
    let offset = if offset_ms == 0 { String::new() } else { format!(" {offset_ms} ms earlier") };
    at + &offset
}

fn describe(matching: &VectorMatching) -> String {
    use crate::parser::ast::Cardinality as C;
    let kind = if matching.on { "on" } else { "ignoring" };
    let group = match matching.cardinality {
        C::OneToOne | C::ManyToMany => String::new(),
        C::ManyToOne => format!(" group_left ({})", matching.include.join(", ")),
        C::OneToMany => format!(" group_right ({})", matching.include.join(", ")),
    };
    format!(" {kind} ({}){group}", matching.labels.join(", "))
}
