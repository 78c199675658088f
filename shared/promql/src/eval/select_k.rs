//! Aggregations that select among their samples: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use std::sync::Arc;

use crate::eval::Evaluator;
use crate::eval::aggregate::{Extremes, Groups, range_of};
use crate::eval::column::{Column, Histograms, Scalar, Steps, Vector, VectorSeries};
use crate::eval::labels::compare_values;
use crate::parser::ast::{AggregateOp, Span};
use crate::plan::node::Aggregation;
use crate::query::QueryError;

impl Evaluator<'_> {
    /// The samples that are selected. With one step they are in order: groups as they appear, values best first.
    pub(super) fn select_k(
        &mut self,
        node: &Aggregation,
        parameter: &Scalar,
        parameter_span: Span,
        vector: &Vector,
        steps: Steps,
    ) -> Result<Vector, QueryError> {
        if !self.is_worthwhile(node.op, parameter, parameter_span)? {
            return Ok(Vector::new());
        }
        let groups = Groups::new(vector, &node.grouping);
        let shares: Vec<f64> = match node.op {
            // Labels hash to a share of all hashes.
            AggregateOp::LimitRatio => {
                vector.iter().map(|series| series.labels.hash() as f64 / u64::MAX as f64).collect()
            }
            _ => Vec::new(),
        };
        let keeps_histograms = matches!(node.op, AggregateOp::LimitK | AggregateOp::LimitRatio);
        let mut columns = vec![Column::default(); vector.len()];
        let mut histograms = vec![Histograms::default(); vector.len()];
        let mut order = Vec::new();
        let mut selected: Vec<(usize, f64)> = Vec::new();
        for members in &groups.members {
            for step in range_of(vector, members) {
                self.limits.work(members.len())?;
                let p = parameter.at(step);
                // A histogram stands for itself by a value that is not looked at.
                let samples = members.iter().filter_map(|at| {
                    let series = vector.get(*at)?;
                    match series.column.get(step) {
                        None if keeps_histograms && series.has(step) => Some((*at, 0.0)),
                        value => Some((*at, value?)),
                    }
                });
                selected.clear();
                if !keeps_histograms && p >= 1.0 && any_histogram(vector, members, step) {
                    let aggregation = if node.op == AggregateOp::TopK { "topk" } else { "bottomk" };
                    self.annotations.ignored_in_aggregation(aggregation, node.span);
                }
                match node.op {
                    AggregateOp::LimitRatio => {
                        let ratio = p.clamp(-1.0, 1.0);
                        selected.extend(samples.filter(|(at, _)| in_ratio(ratio, shares.get(*at).copied())));
                    }
                    AggregateOp::LimitK => selected.extend(samples.take(whole(p, vector.len()))),
                    op => best(&mut selected, samples, whole(p, vector.len()), op == AggregateOp::TopK),
                }
                for (at, value) in &selected {
                    match vector.get(*at).and_then(|series| series.histograms.get(step)) {
                        Some(histogram) => {
                            if let Some(found) = histograms.get_mut(*at) {
                                found.push(step, Arc::clone(histogram));
                            }
                        }
                        None => {
                            if let Some(column) = columns.get_mut(*at) {
                                column.push(step, *value);
                            }
                        }
                    }
                    if steps.count == 1 {
                        order.push(*at);
                    }
                }
            }
        }
        if steps.count > 1 {
            order.extend(0..vector.len());
        }
        let output = order.into_iter().filter_map(|at| {
            let column = std::mem::take(columns.get_mut(at)?);
            let histograms = std::mem::take(histograms.get_mut(at)?);
            let series = vector.get(at)?;
            let (labels, drop_name) = (series.labels.clone(), series.drop_name);
            let found = VectorSeries { labels, drop_name, column, histograms };
            (!found.is_empty()).then_some(found)
        });
        Ok(output.collect())
    }

    /// Checks the parameter over all steps; `false` where nothing can be selected.
    fn is_worthwhile(&mut self, op: AggregateOp, parameter: &Scalar, span: Span) -> Result<bool, QueryError> {
        let fail = |message: String| Err(QueryError::Execution(message));
        let Extremes { min, max, any_nan } = Extremes::of(parameter);
        if op == AggregateOp::LimitRatio {
            if max == 0.0 && min == 0.0 {
                return Ok(false);
            }
            if any_nan {
                return fail("Ratio value is NaN".to_owned());
            }
            if max > 1.0 {
                self.annotations.invalid_ratio(max, 1.0, span);
            }
            if min < -1.0 {
                self.annotations.invalid_ratio(min, -1.0, span);
            }
            return Ok(true);
        }
        if max < 1.0 {
            return Ok(false);
        }
        if any_nan {
            return fail("Parameter value is NaN".to_owned());
        }
        let int64 = 9_223_372_036_854_775_808.0;
        if min <= -int64 {
            return fail(format!("Scalar value {} underflows int64", model::number::format_g(min)));
        }
        if max >= int64 {
            return fail(format!("Scalar value {} overflows int64", model::number::format_g(max)));
        }
        Ok(true)
    }
}

fn any_histogram(vector: &Vector, members: &[usize], step: usize) -> bool {
    let mut histograms = members.iter().filter_map(|at| vector.get(*at)).map(|series| &series.histograms);
    histograms.any(|histograms| !histograms.is_empty() && histograms.get(step).is_some())
}

/// How many to select of at most `limit`.
fn whole(parameter: f64, limit: usize) -> usize {
    if parameter < 1.0 { 0 } else { (parameter as usize).min(limit) }
}

/// Ratios `r` and `r - 1` select complements.
fn in_ratio(ratio: f64, share: Option<f64>) -> bool {
    share.is_some_and(|share| if ratio >= 0.0 { share < ratio } else { share >= 1.0 + ratio })
}

/// The `k` largest or smallest samples, best first, NaN worst. A heap with the worst kept sample on top.
fn best(kept: &mut Vec<(usize, f64)>, samples: impl Iterator<Item = (usize, f64)>, k: usize, largest: bool) {
    if k == 0 {
        return;
    }
    let worse = |a: f64, b: f64| compare_values(a, b, largest).is_gt();
    for sample in samples {
        if kept.len() < k {
            kept.push(sample);
            let mut at = kept.len() - 1;
            while at > 0 {
                let parent = (at - 1) / 2;
                if !worse(value(kept, at), value(kept, parent)) {
                    break;
                }
                kept.swap(at, parent);
                at = parent;
            }
        } else if worse(value(kept, 0), sample.1) {
            if let Some(top) = kept.first_mut() {
                *top = sample;
            }
            sink(kept, worse);
        }
    }
    kept.sort_by(|a, b| compare_values(a.1, b.1, largest));
}

fn sink(kept: &mut [(usize, f64)], worse: impl Fn(f64, f64) -> bool) {
    let mut at = 0;
    loop {
        let (left, right) = (2 * at + 1, 2 * at + 2);
        if left >= kept.len() {
            return;
        }
        let child =
            if right < kept.len() && worse(value(kept, right), value(kept, left)) { right } else { left };
        if !worse(value(kept, child), value(kept, at)) {
            return;
        }
        kept.swap(at, child);
        at = child;
    }
}

fn value(kept: &[(usize, f64)], at: usize) -> f64 {
    kept.get(at).map_or_else(model::value::normal_nan, |(_, value)| *value)
}
