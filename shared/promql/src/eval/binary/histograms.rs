//! Binary operators where one of the operands is a native histogram. Source: `promql/engine.go:vectorElemBinop`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::CounterResetHint::Gauge;
use model::FloatHistogram;
use model::histogram::{Combined, IncompatibleSchemas, Keep};

use crate::annotations::Annotations;
use crate::annotations::HistogramOperation::{Addition, Subtraction};
use crate::eval::column::{Column, Histograms, VectorSeries};
use crate::parser::ast::{BinaryOp, Span};

/// One operand.
#[derive(Clone, Copy)]
pub(super) enum Sample<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

impl<'a> Sample<'a> {
    /// What a series has at a step.
    pub(super) fn at(series: &'a VectorSeries, step: usize) -> Option<Self> {
        match series.histograms.get(step) {
            Some(histogram) => Some(Self::Histogram(histogram)),
            None => series.column.get(step).map(Self::Float),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Float(_) => "float",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// What is to be said of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Remark {
    /// The operator is not defined for these kinds.
    Types(&'static str, &'static str),
    /// Exponential and custom buckets.
    Layout,
    /// Known and denied counter resets.
    Collision,
    /// Custom bounds differed.
    Reconciled,
}

/// The result of an operation.
pub(super) enum Outcome {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
    /// A comparison that does not hold.
    Nothing,
    /// There is none: to Prometheus these operands have not met.
    Error(Remark),
}

/// The operator between two samples of which one at least is a histogram, or which it is not defined for.
pub(super) fn operate(
    op: BinaryOp,
    return_bool: bool,
    a: Sample<'_>,
    b: Sample<'_>,
) -> (Outcome, Option<Remark>) {
    let undefined = (Outcome::Error(Remark::Types(a.kind(), b.kind())), None);
    match (a, b) {
        (Sample::Float(factor), Sample::Histogram(histogram))
        | (Sample::Histogram(histogram), Sample::Float(factor))
            if op == BinaryOp::Mul =>
        {
            (changed(histogram, |h| h.mul(factor).compact(0)), None)
        }
        (Sample::Histogram(histogram), Sample::Float(number)) => match op {
            BinaryOp::Div => (changed(histogram, |h| h.div(number).compact(0)), None),
            BinaryOp::TrimUpper => (changed(histogram, |h| h.trim(number, Keep::Below)), None),
            BinaryOp::TrimLower => (changed(histogram, |h| h.trim(number, Keep::Above)), None),
            _ => undefined,
        },
        (Sample::Histogram(a), Sample::Histogram(b)) => match op {
            BinaryOp::Add => combined(a, |h| h.add(b)),
            BinaryOp::Sub => {
                let (mut outcome, remark) = combined(a, |h| h.sub(b));
                if let Outcome::Histogram(histogram) = &mut outcome {
                    Arc::make_mut(histogram).counter_reset_hint = Gauge;
                }
                (outcome, remark)
            }
            BinaryOp::Eq | BinaryOp::Ne => {
                let holds = a.equals(b) == (op == BinaryOp::Eq);
                let outcome = match (return_bool, holds) {
                    (true, holds) => Outcome::Float(f64::from(u8::from(holds))),
                    (false, true) => Outcome::Histogram(Arc::clone(a)),
                    (false, false) => Outcome::Nothing,
                };
                (outcome, None)
            }
            _ => undefined,
        },
        _ => undefined,
    }
}

fn changed(
    histogram: &FloatHistogram,
    f: impl FnOnce(&mut FloatHistogram) -> &mut FloatHistogram,
) -> Outcome {
    let mut result = histogram.clone();
    f(&mut result);
    Outcome::Histogram(Arc::new(result))
}

fn combined(
    a: &FloatHistogram,
    f: impl FnOnce(&mut FloatHistogram) -> Result<Combined, IncompatibleSchemas>,
) -> (Outcome, Option<Remark>) {
    let mut result = a.clone();
    match f(&mut result) {
        Err(IncompatibleSchemas) => (Outcome::Error(Remark::Layout), None),
        Ok(combined) if combined.counter_reset_collision => (Outcome::Error(Remark::Collision), None),
        Ok(combined) => {
            result.compact(0);
            let remark = combined.bounds_reconciled.then_some(Remark::Reconciled);
            (Outcome::Histogram(Arc::new(result)), remark)
        }
    }
}

/// What is to be said of the operations at each step. Only the last one of a step is, as in Prometheus.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    /// By step, with the place of the operation in the order of Prometheus.
    last: BTreeMap<usize, (usize, Remark)>,
}

impl Remarks {
    pub(super) fn push(&mut self, step: usize, rank: usize, remark: Remark) {
        let last = self.last.entry(step).or_insert((rank, remark));
        if rank >= last.0 {
            *last = (rank, remark);
        }
    }

    /// Turns them into annotations.
    pub(super) fn annotate(self, op: BinaryOp, annotations: &mut Annotations, span: Span) {
        let distinct: BTreeSet<Remark> = self.last.into_values().map(|(_, remark)| remark).collect();
        let operation = if op == BinaryOp::Sub { Subtraction } else { Addition };
        for remark in distinct {
            match remark {
                Remark::Types(left, right) => annotations.incompatible_types(left, op.as_str(), right, span),
                Remark::Layout => annotations.incompatible_bucket_layout(op.as_str(), span),
                Remark::Collision => annotations.counter_reset_collision(operation, span),
                Remark::Reconciled => annotations.bounds_reconciled(operation, span),
            }
        }
    }
}

/// The results of operations as they come, in any order of steps.
#[derive(Default)]
pub(super) struct Results {
    floats: Vec<(usize, f64)>,
    histograms: Vec<(usize, Arc<FloatHistogram>)>,
    /// Steps at which operands have not met.
    pub(super) errors: Vec<usize>,
}

impl Results {
    /// Operates and notes what comes of it.
    pub(super) fn push(
        &mut self,
        (step, rank): (usize, usize),
        (op, return_bool): (BinaryOp, bool),
        (a, b): (Sample<'_>, Sample<'_>),
        remarks: &mut Remarks,
    ) {
        let (outcome, remark) = operate(op, return_bool, a, b);
        match outcome {
            Outcome::Float(value) => self.floats.push((step, value)),
            Outcome::Histogram(histogram) => self.histograms.push((step, histogram)),
            Outcome::Nothing => {}
            Outcome::Error(error) => {
                self.errors.push(step);
                remarks.push(step, rank, error);
            }
        }
        if let Some(remark) = remark {
            remarks.push(step, rank, remark);
        }
    }

    /// Adds the floats to a column that has none at these steps.
    pub(super) fn finish(mut self, column: &mut Column) -> (Histograms, Vec<usize>) {
        self.floats.sort_by_key(|(step, _)| *step);
        column.merge(&self.floats.into_iter().collect());
        (Histograms::new(self.histograms), self.errors)
    }
}

#[cfg(test)]
mod tests {
    use model::CounterResetHint::{CounterReset, NotCounterReset, Unknown};

    use super::*;

    fn histogram(case: &serde_json::Value) -> Arc<FloatHistogram> {
        let floats = |name: &str| {
            let values = case[name].as_array().into_iter().flatten();
            values.map(|value| value.as_f64().expect("a number")).collect::<Vec<f64>>()
        };
        let spans = case["PositiveSpans"].as_array().into_iter().flatten().map(|span| model::Span {
            offset: span["Offset"].as_i64().expect("an offset") as i32,
            length: span["Length"].as_u64().expect("a length") as u32,
        });
        let number = |name: &str| case[name].as_f64().expect("a number");
        Arc::new(FloatHistogram {
            counter_reset_hint: match case["CounterResetHint"].as_i64() {
                Some(0) => Unknown,
                Some(1) => CounterReset,
                Some(2) => NotCounterReset,
                _ => Gauge,
            },
            schema: number("Schema") as i32,
            count: number("Count"),
            sum: number("Sum"),
            positive_spans: spans.collect(),
            positive_buckets: floats("PositiveBuckets"),
            custom_values: floats("CustomValues"),
            ..FloatHistogram::default()
        })
    }

    #[test]
    fn histograms_are_added_and_subtracted_as_in_prometheus() {
        let table = fixtures::json("promql/json/engine/vector_elem_binop_histograms.json");
        let Some(table) = table else { return };
        let cases = table["cases"].as_array().expect("cases");
        assert_eq!(cases.len(), 6);
        for case in cases {
            let op = if case["op"] == 57_383 { BinaryOp::Add } else { BinaryOp::Sub };
            let (a, b) = (histogram(&case["hlhs"]), histogram(&case["hrhs"]));
            match operate(op, false, Sample::Histogram(&a), Sample::Histogram(&b)) {
                (Outcome::Histogram(got), remark) => {
                    assert!(got.bit_eq(&histogram(&case["want"])), "{}: {got:?}", case["name"]);
                    assert_eq!(remark == Some(Remark::Reconciled), !case["wantInfo"].is_null());
                    assert!(case["wantErr"].is_null());
                }
                // What is computed is dropped with the warning.
                (Outcome::Error(Remark::Collision), None) => assert!(!case["wantErr"].is_null()),
                _ => panic!("{}", case["name"]),
            }
        }
    }
}
