//! The typed tree that is evaluated: every node gives one kind of value, names are resolved, durations are numbers.

use model::regex::AnchoredRegex;
use model::{Labels, Matcher};

use crate::parser::ast::{AggregateOp, BinaryOp, Span, VectorMatching};
use crate::plan::function::{DateFunction, HistogramFunction, MathFunction, RangeFunction};

/// A whole query by the kind of its result.
#[derive(Clone, Debug)]
pub(crate) enum Root {
    Scalar(ScalarNode),
    String(Vec<u8>),
    Vector(VectorNode),
    Range(RangeNode),
}

/// What gives one number a step.
#[derive(Clone, Debug)]
pub(crate) enum ScalarNode {
    Number(f64),
    Time,
    Negate(Box<ScalarNode>),
    Chain(Box<ScalarChain>),
    Min(Box<ScalarNode>, Box<ScalarNode>),
    Max(Box<ScalarNode>, Box<ScalarNode>),
    /// `scalar(vector)`
    OfVector(Box<VectorNode>),
    /// Evaluated once, at the first step.
    StepInvariant(Box<ScalarNode>),
}

/// Where a selector finds its samples: in the series of `select`, at `at` or else the step, `offset_ms` earlier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    /// Which of the plan's selects.
    pub(crate) select: usize,
    /// `@`, ms.
    pub(crate) at: Option<i64>,
    /// `offset`, ms; positive looks back.
    pub(crate) offset_ms: i64,
}

impl Source {
    /// The instant that a step at `time` looks at, ms.
    pub(crate) fn reference(&self, time: i64) -> i64 {
        self.at.unwrap_or(time).saturating_sub(self.offset_ms)
    }
}

/// How a range selector treats its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bounds {
    /// Only what lies inside.
    Plain,
    /// `anchored`
    Anchored,
    /// `smoothed`
    Smoothed,
}

/// An instant selector.
#[derive(Clone, Debug)]
pub(crate) struct InstantSelector {
    pub(crate) source: Source,
    pub(crate) smoothed: bool,
    /// Whether only count and sum of native histograms are needed.
    pub(crate) stats_only: bool,
    /// Where it stands, for annotations.
    pub(crate) span: Span,
}

/// What gives the samples of a range a step.
#[derive(Clone, Debug)]
pub(crate) struct RangeNode {
    pub(crate) input: RangeInput,
    pub(crate) at: Option<i64>,
    pub(crate) offset_ms: i64,
    pub(crate) range_ms: i64,
}

/// Where the samples of a range come from.
#[derive(Clone, Debug)]
pub(crate) enum RangeInput {
    /// `metric[5m]`
    Selector { select: usize, bounds: Bounds, stats_only: bool },
    /// `expr[5m:1m]`
    Subquery { expr: Box<VectorNode>, step_ms: i64 },
}

/// What gives samples of several series a step.
#[derive(Clone, Debug)]
pub(crate) enum VectorNode {
    Selector(InstantSelector),
    Negate(Box<VectorNode>),
    Chain(Box<VectorChain>),
    Aggregate(Box<Aggregation>),
    Call(Box<Call>),
    /// Evaluated once, at the first step.
    StepInvariant(Box<VectorNode>),
}

/// `start op operand op operand …`, from left to right. A list, for a chain may be of any length.
#[derive(Clone, Debug)]
pub(crate) struct ScalarChain {
    pub(crate) start: ScalarNode,
    pub(crate) links: Vec<(BinaryOp, ScalarNode)>,
}

/// `start op operand op operand …`, from left to right. A list, for a chain may be of any length.
#[derive(Clone, Debug)]
pub(crate) struct VectorChain {
    pub(crate) start: VectorNode,
    pub(crate) links: Vec<Link>,
}

/// A binary operator and what stands on its other side.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) op: BinaryOp,
    pub(crate) return_bool: bool,
    pub(crate) operand: Operand,
    pub(crate) span: Span,
}

/// The other side of a binary operator.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// `scalar op …`
    ScalarLeft(ScalarNode),
    /// `… op scalar`
    ScalarRight(ScalarNode),
    /// `… op vector`
    Vector(VectorNode, VectorMatching),
}

/// An aggregation.
#[derive(Clone, Debug)]
pub(crate) struct Aggregation {
    pub(crate) op: AggregateOp,
    pub(crate) grouping: Grouping,
    pub(crate) parameter: AggregateParameter,
    pub(crate) expr: VectorNode,
    /// Where the aggregated expression stands, for annotations.
    pub(crate) expr_span: Span,
    /// Where the whole stands.
    pub(crate) span: Span,
}

/// What decides which group a series is in.
#[derive(Clone, Debug)]
pub(crate) struct Grouping {
    pub(crate) without: bool,
    pub(crate) labels: Vec<String>,
}

/// What stands before the aggregated expression.
#[derive(Clone, Debug)]
pub(crate) enum AggregateParameter {
    None,
    Scalar(ScalarNode, Span),
    Label(Vec<u8>),
}

/// A function call that gives a vector.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Math(MathFunction, VectorNode),
    Round(VectorNode, ScalarNode),
    Clamp {
        vector: VectorNode,
        min: ScalarNode,
        max: ScalarNode,
    },
    Date(DateFunction, Option<VectorNode>),
    /// `vector(scalar)`
    OfScalar(ScalarNode),
    Absent {
        vector: VectorNode,
        labels: Labels,
    },
    AbsentOverTime {
        range: RangeNode,
        labels: Labels,
    },
    /// `timestamp(metric)`: when the sample was taken.
    TimestampOfSample(Source),
    /// `timestamp(expr)`: the step.
    TimestampOfStep(VectorNode),
    /// `histogram_count(vector)` and its kin.
    Histogram(HistogramFunction, VectorNode),
    /// `start_timestamp(metric)`: since when the sample counts.
    StartTimestampOfSample(Source),
    /// `start_timestamp(expr)`, which gives nothing.
    StartTimestampOfStep(VectorNode),
    Sort {
        vector: VectorNode,
        descending: bool,
        span: Span,
    },
    SortByLabel {
        vector: VectorNode,
        labels: Vec<String>,
        descending: bool,
        span: Span,
    },
    LabelReplace(LabelReplace),
    LabelJoin(LabelJoin),
    HistogramQuantile(HistogramQuantile),
    HistogramFraction {
        lower: ScalarNode,
        upper: ScalarNode,
        vector: VectorNode,
        vector_span: Span,
    },
    Info(Info),
    OverRange(OverRange),
}

/// `label_replace(vector, destination, replacement, source, regex)`
#[derive(Clone, Debug)]
pub(crate) struct LabelReplace {
    pub(crate) vector: VectorNode,
    pub(crate) destination: String,
    pub(crate) replacement: String,
    pub(crate) source: String,
    pub(crate) regex: AnchoredRegex,
}

/// `label_join(vector, destination, separator, source, …)`
#[derive(Clone, Debug)]
pub(crate) struct LabelJoin {
    pub(crate) vector: VectorNode,
    pub(crate) destination: String,
    pub(crate) separator: String,
    pub(crate) sources: Vec<String>,
}

/// `histogram_quantile` (one quantile, no label) and `histogram_quantiles` (several, each named by a label).
#[derive(Clone, Debug)]
pub(crate) struct HistogramQuantile {
    pub(crate) quantiles: Vec<(ScalarNode, Span)>,
    pub(crate) label: Option<String>,
    pub(crate) vector: VectorNode,
    pub(crate) vector_span: Span,
}

/// `info(vector, {…})`
#[derive(Clone, Debug)]
pub(crate) struct Info {
    pub(crate) vector: VectorNode,
    /// Where the info series are looked up: at the time that the first argument's selector is.
    pub(crate) source: Source,
    /// What makes a series an info series.
    pub(crate) name_matchers: Vec<Matcher>,
    /// Which labels are taken over; none means all.
    pub(crate) data_matchers: Vec<Matcher>,
}

/// A function of a range, such as `rate`.
#[derive(Clone, Debug)]
pub(crate) struct OverRange {
    pub(crate) function: RangeFunction,
    pub(crate) range: RangeNode,
    pub(crate) parameters: Vec<ScalarNode>,
    /// Where the first argument stands, for annotations.
    pub(crate) first_argument_span: Span,
}
