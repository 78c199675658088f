//! Binary operators of vectors. Source: `promql/engine.go:VectorBinop, VectorscalarBinop, VectorAnd, VectorOr,
//! VectorUnless`.
//!
//! Which series meet is decided once, by signature; then columns are combined. Conflicts (two series where one is
//! needed) are looked for only in signatures that have several series, and reported for the earliest step, as
//! stepwise evaluation would.

mod histograms;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::Range;

use model::Labels;
use model::labels::METRIC_NAME;

use crate::eval::binary::histograms::{Remark, Remarks, Results, Sample};
use crate::eval::column::{ABSENT, Column, Histograms, Scalar, Steps, Vector, VectorSeries};
use crate::eval::index::LabelIndex;
use crate::eval::math::{arithmetic, compare};
use crate::eval::{Evaluator, METADATA_LABELS};
use crate::parser::ast::{BinaryOp, Cardinality, VectorMatching};
use crate::plan::is_comparison;
use crate::plan::node::{Link, Operand, ScalarNode, VectorChain, VectorNode};
use crate::query::QueryError;

/// The series of two vectors by signature, the labels that have to be equal for them to meet.
struct Meeting {
    signatures: Vec<Labels>,
    /// For each signature, the series of either side.
    left: Vec<Vec<usize>>,
    right: Vec<Vec<usize>>,
}

/// A binary operation between two vectors, the side that may have several series for one of the other on the left.
struct Operation<'a> {
    op: BinaryOp,
    return_bool: bool,
    matching: &'a VectorMatching,
    many: &'a Vector,
    one: &'a Vector,
    /// What stands in for a missing sample of the one side.
    fill_one: Option<f64>,
    /// What stands in for a missing sample of the many side.
    fill_many: Option<f64>,
    /// Whether the sides are exchanged.
    swapped: bool,
    /// The steps at which the many side has any sample, once they are needed.
    any_many: OnceCell<Presence>,
    drop_name_now: bool,
}

/// One result: which series it is of, and its values.
struct Pair {
    labels: Labels,
    /// The series of the many side; `None` where it is filled in.
    many: Option<usize>,
    /// The series of the one side; `None` where it is filled in.
    one: Option<usize>,
    column: Column,
    histograms: Histograms,
    /// Steps at which the operator is not defined for what met: to Prometheus it has not.
    errors: Vec<usize>,
}

/// The earliest conflict.
#[derive(Default)]
struct Conflict(Option<(usize, usize, String)>);

impl Conflict {
    fn offer(&mut self, step: usize, rank: usize, message: impl FnOnce() -> String) {
        if self.0.as_ref().is_none_or(|(known_step, known_rank, _)| (step, rank) < (*known_step, *known_rank))
        {
            self.0 = Some((step, rank, message()));
        }
    }

    fn into_result(self) -> Result<(), QueryError> {
        self.0.map_or(Ok(()), |(_, _, message)| Err(QueryError::Execution(message)))
    }
}

/// Which steps have a value in any of several columns.
struct Presence {
    first: usize,
    present: Vec<bool>,
}

impl Presence {
    fn of(vector: &Vector, members: &[usize]) -> Self {
        let range = super::aggregate::range_of(vector, members);
        let mut present = vec![false; range.len()];
        for step in members.iter().filter_map(|at| vector.get(*at)).flat_map(VectorSeries::present) {
            if let Some(present) = present.get_mut(step - range.start) {
                *present = true;
            }
        }
        Self { first: range.start, present }
    }

    fn at(&self, step: usize) -> bool {
        step.checked_sub(self.first).and_then(|at| self.present.get(at)).copied().unwrap_or(false)
    }

    fn range(&self) -> Range<usize> {
        self.first..self.first + self.present.len()
    }
}

impl Evaluator<'_> {
    /// Binary operators one after the other.
    pub(super) fn chain(&mut self, chain: &VectorChain, steps: Steps) -> Result<Vector, QueryError> {
        let before = self.limits.held();
        let mut vector = self.vector(&chain.start, steps)?;
        for link in &chain.links {
            vector = match &link.operand {
                Operand::ScalarLeft(scalar) => {
                    self.vector_scalar(link, vector, scalar, true, (before, steps))?
                }
                Operand::ScalarRight(scalar) => {
                    self.vector_scalar(link, vector, scalar, false, (before, steps))?
                }
                Operand::Vector(rhs, matching) => {
                    self.vector_vector(link, vector, rhs, matching, (before, steps))?
                }
            };
        }
        Ok(vector)
    }

    /// `vector op scalar`, `scalar op vector`
    fn vector_scalar(
        &mut self,
        node: &Link,
        mut vector: Vector,
        scalar: &ScalarNode,
        scalar_is_left: bool,
        (before, steps): (u64, Steps),
    ) -> Result<Vector, QueryError> {
        let scalar = self.scalar(scalar, steps)?;
        let (op, inputs) = (node.op, vector.len() + 1);
        let comparison = is_comparison(op);
        let mut remarks = Remarks::default();
        for (rank, series) in vector.iter_mut().enumerate() {
            if trim_operator(op) {
                for (step, _) in series.column.iter() {
                    remarks.push(step, rank, Remark::Types("float", "float"));
                }
                series.column = Column::default();
            }
            let of_histograms =
                histograms_scalar(node, series, (&scalar, scalar_is_left), rank, &mut remarks);
            series.column.update(|step, value| {
                let number = scalar.at(step);
                let (a, b) = if scalar_is_left { (number, value) } else { (value, number) };
                match (comparison, node.return_bool) {
                    (false, _) => arithmetic(op, a, b),
                    (true, true) => f64::from(u8::from(compare(op, a, b))),
                    (true, false) if compare(op, a, b) => value,
                    (true, false) => ABSENT,
                }
            });
            (series.histograms, _) = of_histograms.finish(&mut series.column);
            if changes_meaning(op) || node.return_bool {
                self.drop_name(series);
            }
        }
        remarks.annotate(op, &mut self.annotations, node.span);
        self.finish(before, inputs, vector, steps)
    }

    /// `vector op vector`
    fn vector_vector(
        &mut self,
        node: &Link,
        lhs: Vector,
        rhs: &VectorNode,
        matching: &VectorMatching,
        (before, steps): (u64, Steps),
    ) -> Result<Vector, QueryError> {
        let rhs = self.vector(rhs, steps)?;
        let inputs = lhs.len() + rhs.len();
        self.limits.work(lhs.iter().chain(&rhs).map(|series| series.range().len()).sum())?;
        if matches!(node.op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless) {
            let output = set_operation(node.op, lhs, rhs, matching);
            return self.finish(before, inputs, output, steps);
        }
        let swapped = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (&rhs, &lhs) } else { (&lhs, &rhs) };
        let operation = Operation {
            op: node.op,
            return_bool: node.return_bool,
            matching,
            many,
            one,
            // Not exchanged with the sides, as in Prometheus.
            fill_one: matching.fill_right,
            fill_many: matching.fill_left,
            swapped,
            any_many: OnceCell::new(),
            drop_name_now: node.return_bool && !self.delayed_name_removal,
        };
        let mut remarks = Remarks::default();
        let pairs = operation.run(&mut remarks)?;
        remarks.annotate(node.op, &mut self.annotations, node.span);
        let drop_name = node.return_bool;
        let output = pairs.into_iter().map(|pair| VectorSeries {
            labels: pair.labels,
            drop_name,
            column: pair.column,
            histograms: pair.histograms,
        });
        let output = output.collect();
        self.finish(before, inputs, output, steps)
    }
}

impl Meeting {
    fn new(left: &Vector, right: &Vector, matching: &VectorMatching) -> Self {
        let mut index = LabelIndex::default();
        let mut meeting = Self { signatures: Vec::new(), left: Vec::new(), right: Vec::new() };
        for (is_left, vector) in [(true, left), (false, right)] {
            for (at, series) in vector.iter().enumerate() {
                let signature = signature(&series.labels, matching);
                let number = index.number(&signature);
                if number == meeting.signatures.len() {
                    meeting.signatures.push(signature);
                    meeting.left.push(Vec::new());
                    meeting.right.push(Vec::new());
                }
                let side = if is_left { &mut meeting.left } else { &mut meeting.right };
                if let Some(members) = side.get_mut(number) {
                    members.push(at);
                }
            }
        }
        meeting
    }
}

impl Operation<'_> {
    /// The results.
    fn run(&self, remarks: &mut Remarks) -> Result<Vec<Pair>, QueryError> {
        let meeting = Meeting::new(self.many, self.one, self.matching);
        let mut conflict = Conflict::default();
        let mut pairs = Vec::new();
        for ((signature, many), one) in meeting.signatures.iter().zip(&meeting.left).zip(&meeting.right) {
            self.find_duplicates(signature, one, &mut conflict);
            let first = pairs.len();
            self.pair_up(signature, many, one, &mut pairs, remarks);
            self.find_ambiguities(many, one, pairs.get(first..).unwrap_or_default(), &mut conflict);
        }
        conflict.into_result()?;
        Ok(pairs)
    }

    /// Combines the series of one signature.
    fn pair_up(
        &self,
        signature: &Labels,
        many: &[usize],
        one: &[usize],
        pairs: &mut Vec<Pair>,
        remarks: &mut Remarks,
    ) {
        let first = pairs.len();
        let of_one = (self.fill_one.is_some() || one.len() > 1).then(|| Presence::of(self.one, one));
        for (many_at, left) in many.iter().filter_map(|at| Some((*at, self.many.get(*at)?))) {
            for (one_at, right) in one.iter().filter_map(|at| Some((*at, self.one.get(*at)?))) {
                let mut column = Column::default();
                if !trim_operator(self.op) {
                    column = left.column.zip(&right.column, |a, b| self.value(a, b));
                }
                let results = self.with_histograms(left, right, many_at, remarks);
                if !column.range().is_empty() || results.is_some() {
                    let (histograms, errors) = results.unwrap_or_default().finish(&mut column);
                    let labels = self.labels(&left.labels, &right.labels);
                    let (many, one) = (Some(many_at), Some(one_at));
                    pairs.push(Pair { labels, many, one, column, histograms, errors });
                }
            }
            if let (Some(fill), Some(of_one)) = (self.fill_one, &of_one) {
                let mut results = Results::default();
                let mut column = Column::default();
                let missing = |step: &usize| !of_one.at(*step);
                if trim_operator(self.op) {
                    for (step, value) in left.column.iter().filter(|(step, _)| missing(step)) {
                        let operands = self.operands(Sample::Float(value), Sample::Float(fill));
                        results.push((step, many_at), (self.op, self.return_bool), operands, remarks);
                    }
                } else {
                    column = left.column.clone();
                    column.update(|step, a| if of_one.at(step) { ABSENT } else { self.value(a, fill) });
                }
                for (step, histogram) in left.histograms.iter().filter(|(step, _)| missing(step)) {
                    let operands = self.operands(Sample::Histogram(histogram), Sample::Float(fill));
                    results.push((step, many_at), (self.op, self.return_bool), operands, remarks);
                }
                let (histograms, errors) = results.finish(&mut column);
                let labels = self.labels(&left.labels, signature);
                pairs.push(Pair { labels, many: Some(many_at), one: None, column, histograms, errors });
            }
        }
        if let Some(fill) = self.fill_many {
            let met = self.met(many, pairs.get(first..).unwrap_or_default());
            for (one_at, right) in one.iter().filter_map(|at| Some((*at, self.one.get(*at)?))) {
                let rank = self.many.len() + one_at;
                let mut results = Results::default();
                let mut column = Column::default();
                if trim_operator(self.op) {
                    for (step, value) in right.column.iter().filter(|(step, _)| !met(*step)) {
                        let operands = self.operands(Sample::Float(fill), Sample::Float(value));
                        results.push((step, rank), (self.op, self.return_bool), operands, remarks);
                    }
                } else {
                    column = right.column.clone();
                    column.update(|step, b| if met(step) { ABSENT } else { self.value(fill, b) });
                }
                for (step, histogram) in right.histograms.iter().filter(|(step, _)| !met(*step)) {
                    let operands = self.operands(Sample::Float(fill), Sample::Histogram(histogram));
                    results.push((step, rank), (self.op, self.return_bool), operands, remarks);
                }
                let (histograms, errors) = results.finish(&mut column);
                let labels = self.labels(signature, &right.labels);
                pairs.push(Pair { labels, many: None, one: Some(one_at), column, histograms, errors });
            }
        }
    }

    /// At which steps a sample of the many side has met one of the one side.
    fn met(&self, many: &[usize], pairs: &[Pair]) -> impl Fn(usize) -> bool + use<> {
        let present = Presence::of(self.many, many);
        let errors: BTreeSet<(Option<usize>, usize)> =
            pairs.iter().flat_map(|pair| pair.errors.iter().map(|step| (pair.many, *step))).collect();
        let fine: BTreeSet<usize> = if errors.is_empty() {
            BTreeSet::new()
        } else {
            let of_series = |at: &usize| {
                let steps: Vec<usize> =
                    self.many.get(*at).into_iter().flat_map(VectorSeries::present).collect();
                steps.into_iter().filter(|step| !errors.contains(&(Some(*at), *step))).collect::<Vec<_>>()
            };
            many.iter().flat_map(of_series).collect()
        };
        move |step| present.at(step) && (errors.is_empty() || fine.contains(&step))
    }

    /// The operands in the order of the query.
    fn operands<'b>(&self, many: Sample<'b>, one: Sample<'b>) -> (Sample<'b>, Sample<'b>) {
        if self.swapped { (one, many) } else { (many, one) }
    }

    /// The results where a histogram takes part, or where the operator is not defined for floats; `None` where there is
    /// nothing of that.
    fn with_histograms(
        &self,
        left: &VectorSeries,
        right: &VectorSeries,
        rank: usize,
        remarks: &mut Remarks,
    ) -> Option<Results> {
        let trims = trim_operator(self.op);
        if left.histograms.is_empty() && right.histograms.is_empty() && !trims {
            return None;
        }
        let mut results = Results::default();
        let mut any = false;
        for step in left.present() {
            let (Some(a), Some(b)) = (Sample::at(left, step), Sample::at(right, step)) else { continue };
            if !trims && matches!((a, b), (Sample::Float(_), Sample::Float(_))) {
                continue;
            }
            any = true;
            results.push((step, rank), (self.op, self.return_bool), self.operands(a, b), remarks);
        }
        any.then_some(results)
    }

    /// The result for a sample of the many side and one of the one side.
    fn value(&self, many: f64, one: f64) -> f64 {
        let (a, b) = if self.swapped { (one, many) } else { (many, one) };
        if !is_comparison(self.op) {
            return arithmetic(self.op, a, b);
        }
        match (compare(self.op, a, b), self.return_bool) {
            (holds, true) => f64::from(u8::from(holds)),
            (true, false) => a,
            (false, false) => ABSENT,
        }
    }

    fn labels(&self, many: &Labels, one: &Labels) -> Labels {
        let drop_metadata = self.drop_name_now || changes_meaning(self.op);
        let listed = |name: &str| self.matching.labels.iter().any(|label| label == name);
        let one_to_one = self.matching.cardinality == Cardinality::OneToOne;
        let kept = many.filtered(|name| {
            !(drop_metadata && METADATA_LABELS.contains(&name))
                && (!one_to_one || listed(name) == self.matching.on)
        });
        if self.matching.include.is_empty() {
            return kept;
        }
        let mut builder = kept.to_builder();
        for name in &self.matching.include {
            builder.set(name.as_str(), one.value(name));
        }
        builder.build()
    }

    /// Two samples of the one side that cannot be told apart.
    fn find_duplicates(&self, signature: &Labels, one: &[usize], conflict: &mut Conflict) {
        if one.len() < 2 {
            return;
        }
        let filled = self.fill_one.is_some() || self.fill_many.is_some();
        // Without a sample on the many side, and none filled in, nothing is matched.
        let any_many = || {
            self.any_many.get_or_init(|| {
                let everyone: Vec<usize> = (0..self.many.len()).collect();
                Presence::of(self.many, &everyone)
            })
        };
        for step in super::aggregate::range_of(self.one, one) {
            let mut present = one.iter().filter_map(|at| {
                let series = self.one.get(*at)?;
                series.has(step).then_some((*at, series))
            });
            let (Some((_, first)), Some((rank, second))) = (present.next(), present.next()) else { continue };
            if !filled && !any_many().at(step) {
                continue;
            }
            conflict.offer(step, rank, || {
                let side = if self.swapped { "left" } else { "right" };
                let (mut a, mut b) = (first.labels.to_string(), second.labels.to_string());
                if a > b {
                    std::mem::swap(&mut a, &mut b);
                }
                format!(
                    "found duplicate series for the match group {signature} on the {side} hand-side of the operation: \
                     [{a}, {b}];many-to-many matching not allowed: matching labels must be unique on one side"
                )
            });
            return;
        }
    }

    /// Two samples of the many side that give one result.
    fn find_ambiguities(&self, many: &[usize], one: &[usize], pairs: &[Pair], conflict: &mut Conflict) {
        if many.len() < 2 {
            return;
        }
        // After duplicates of the one side at the same step.
        let rank = self.one.len();
        let of_one = Presence::of(self.one, one);
        let errors: BTreeSet<(Option<usize>, usize)> =
            pairs.iter().flat_map(|pair| pair.errors.iter().map(|step| (pair.many, *step))).collect();
        let meets = |at: usize, step: usize| {
            let present = self.many.get(at).is_some_and(|series| series.has(step));
            present && (self.fill_one.is_some() || of_one.at(step)) && !errors.contains(&(Some(at), step))
        };
        if self.matching.cardinality == Cardinality::OneToOne {
            let range = if self.fill_one.is_some() {
                super::aggregate::range_of(self.many, many)
            } else {
                of_one.range()
            };
            for step in range {
                if many.iter().filter(|at| meets(**at, step)).nth(1).is_some() {
                    conflict.offer(step, rank, || {
                        let message = "multiple matches for labels: many-to-one matching must be explicit \
                                       (group_left/group_right)";
                        message.to_owned()
                    });
                    return;
                }
            }
            return;
        }
        let mut index = LabelIndex::default();
        let mut same: Vec<Vec<&Pair>> = Vec::new();
        for pair in pairs {
            let number = index.number(&pair.labels);
            match same.get_mut(number) {
                Some(pairs) => pairs.push(pair),
                None => same.push(vec![pair]),
            }
        }
        let at_step = |pair: &Pair, step: usize| {
            let has = |vector: &Vector, at: usize| vector.get(at).is_some_and(|series| series.has(step));
            if pair.errors.contains(&step) {
                return false;
            }
            match (pair.many, pair.one) {
                (Some(many), Some(one)) => has(self.many, many) && has(self.one, one),
                (Some(many), None) => has(self.many, many) && !of_one.at(step),
                (None, _) => false,
            }
        };
        for pairs in same.iter().filter(|pairs| pairs.len() > 1) {
            let members: Vec<usize> = pairs.iter().filter_map(|pair| pair.many).collect();
            let range = super::aggregate::range_of(self.many, &members);
            let clash = range
                .into_iter()
                .find(|step| pairs.iter().filter(|pair| at_step(pair, *step)).nth(1).is_some());
            if let Some(step) = clash {
                conflict.offer(step, rank, || {
                    "multiple matches for labels: grouping labels must ensure unique matches".to_owned()
                });
            }
        }
    }
}

fn set_operation(op: BinaryOp, mut lhs: Vector, mut rhs: Vector, matching: &VectorMatching) -> Vector {
    let meeting = Meeting::new(&lhs, &rhs, matching);
    let (sources, others, targets) = match op {
        BinaryOp::Or => (&lhs, &meeting.left, &meeting.right),
        _ => (&rhs, &meeting.right, &meeting.left),
    };
    let keep_present = op == BinaryOp::And;
    let masks: Vec<(Presence, &Vec<usize>)> = others
        .iter()
        .zip(targets)
        .map(|(others, targets)| (Presence::of(sources, others), targets))
        .collect();
    let filtered = if op == BinaryOp::Or { &mut rhs } else { &mut lhs };
    for (mask, targets) in masks {
        for target in targets {
            if let Some(series) = filtered.get_mut(*target) {
                series.retain(|step| mask.at(step) == keep_present);
            }
        }
    }
    if op == BinaryOp::Or {
        lhs.append(&mut rhs);
    }
    lhs
}

fn signature(labels: &Labels, matching: &VectorMatching) -> Labels {
    let listed = |name: &str| matching.labels.iter().any(|label| label == name);
    if matching.on {
        labels.filtered(listed)
    } else {
        labels.filtered(|name| name != METRIC_NAME && !listed(name))
    }
}

/// Whether the result is no longer what the metric's name says.
fn changes_meaning(op: BinaryOp) -> bool {
    use BinaryOp as Op;
    matches!(op, Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Pow | Op::Mod | Op::Atan2)
}

/// Operators that are defined for native histograms only.
fn trim_operator(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
}

/// What the histograms of a series give with a scalar.
fn histograms_scalar(
    node: &Link,
    series: &VectorSeries,
    (scalar, scalar_is_left): (&Scalar, bool),
    rank: usize,
    remarks: &mut Remarks,
) -> Results {
    let mut results = Results::default();
    for (step, histogram) in series.histograms.iter() {
        let (number, histogram) = (Sample::Float(scalar.at(step)), Sample::Histogram(histogram));
        let operands = if scalar_is_left { (number, histogram) } else { (histogram, number) };
        results.push((step, rank), (node.op, node.return_bool), operands, remarks);
    }
    results
}
