//! The syntax tree. Every node knows where it stands in the query, in bytes, for annotations and errors show it.

mod chain;
mod names;

use model::Matcher;

/// Where a node stands in the query text: `start..end` in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: ExprKind,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `0x1F`, `5m` (seconds, with `duration` set).
    Number {
        /// The value.
        value: f64,
        /// Whether it was written as a duration.
        duration: bool,
    },
    /// `"text"`. Go strings are bytes, so it need not be UTF-8.
    String(Vec<u8>),
    /// `(expr)`
    Paren(Box<Expr>),
    /// `-expr`, `+expr`
    Unary(UnaryOp, Box<Expr>),
    /// `lhs op rhs`
    Binary(Box<Binary>),
    /// `sum by (job) (expr)`
    Aggregate(Box<Aggregate>),
    /// `rate(expr)`
    Call(Call),
    /// `up{job="x"} offset 5m @ 10`
    VectorSelector(VectorSelector),
    /// `up[5m]`; offset and `@` are the selector's.
    MatrixSelector(Box<MatrixSelector>),
    /// `expr[1h:5m] offset 5m @ 10`
    Subquery(Box<Subquery>),
}

/// A sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `+`
    Plus,
    /// `-`
    Minus,
}

/// Binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the operator that its name says")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
    Unless,
    /// `</`: keeps a histogram's observations up to a bound.
    TrimUpper,
    /// `>/`: keeps a histogram's observations from a bound on.
    TrimLower,
}

/// `lhs op bool on(…) group_left(…) rhs`. Chains of these may be long: see [`Binary::chain`].
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Whether a comparison has `bool`.
    pub return_bool: bool,
    /// How samples are matched; set exactly where both sides are vectors.
    pub matching: Option<VectorMatching>,
    /// Left operand.
    pub lhs: Expr,
    /// Right operand.
    pub rhs: Expr,
}

/// How many samples of a side may match one of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// One to one.
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// How the samples of two vectors are matched.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorMatching {
    /// How many may match.
    pub cardinality: Cardinality,
    /// Whether `labels` are `on` (else `ignoring`).
    pub on: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// The labels of `group_left` or `group_right`.
    pub include: Vec<String>,
    /// `fill_left` or `fill`.
    pub fill_left: Option<f64>,
    /// `fill_right` or `fill`.
    pub fill_right: Option<f64>,
}

/// Aggregation operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the operator that its name says")]
pub enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    TopK,
    BottomK,
    CountValues,
    Quantile,
    LimitK,
    LimitRatio,
}

/// `op by (grouping) (param, expr)`
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// The operator.
    pub op: AggregateOp,
    /// Whether `grouping` is `without` (else `by`).
    pub without: bool,
    /// The grouping labels; `None` where no modifier was written.
    pub grouping: Option<Vec<String>>,
    /// The parameter of `topk`, `quantile`, `count_values` …
    pub param: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
}

/// `function(args)`
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function's name, which is known to exist.
    pub function: &'static str,
    /// The arguments, type-checked.
    pub args: Vec<Expr>,
}

/// What `@` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// An instant, ms.
    Timestamp(i64),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// The `offset` of a selector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offset {
    /// Milliseconds; positive looks back. Not meaningful where `expr` is set.
    pub ms: i64,
    /// A duration expression that gives it once the query's start, end and step are known.
    pub expr: Option<Box<DurationExpr>>,
}

/// A duration that may have to be computed.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: DurationExprKind,
}

/// The kinds of duration expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExprKind {
    /// Seconds; `duration` tells whether it was written with units.
    Number {
        /// Seconds.
        value: f64,
        /// Whether it was written with units.
        duration: bool,
    },
    /// `step()`
    Step,
    /// `range()`
    Range,
    /// `min_of(a, b)`
    MinOf(Box<DurationExpr>, Box<DurationExpr>),
    /// `max_of(a, b)`
    MaxOf(Box<DurationExpr>, Box<DurationExpr>),
    /// `-a`, `+a`
    Unary(UnaryOp, Box<DurationExpr>),
    /// `a op b`, op one of `+ - * / % ^`
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
    /// `(a)`
    Paren(Box<DurationExpr>),
}

/// `name{matchers} offset … @ …`
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The metric name where it was written before the braces; its matcher is then the last of `matchers`.
    pub name: Option<String>,
    /// All conditions, the metric name's included.
    pub matchers: Vec<Matcher>,
    /// `offset`
    pub offset: Offset,
    /// `@`
    pub at: Option<At>,
    /// `anchored`
    pub anchored: bool,
    /// `smoothed`
    pub smoothed: bool,
}

/// `selector[range]`
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// The selector, with its span.
    pub selector: VectorSelector,
    /// Where the selector stands.
    pub selector_span: Span,
    /// Milliseconds; not meaningful where `range_expr` is set.
    pub range_ms: i64,
    /// A duration expression that gives the range.
    pub range_expr: Option<Box<DurationExpr>>,
}

/// `expr[range:step] offset … @ …`
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// Milliseconds; not meaningful where `range_expr` is set.
    pub range_ms: i64,
    /// A duration expression that gives the range.
    pub range_expr: Option<Box<DurationExpr>>,
    /// Milliseconds; 0 for the default.
    pub step_ms: i64,
    /// A duration expression that gives the step.
    pub step_expr: Option<Box<DurationExpr>>,
    /// `offset`
    pub offset: Offset,
    /// `@`
    pub at: Option<At>,
}

/// The types of expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A number.
    Scalar,
    /// Text.
    String,
    /// One sample a series.
    Vector,
    /// Samples over a range a series.
    Matrix,
}

impl ValueType {
    /// As Prometheus names it in errors.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}
