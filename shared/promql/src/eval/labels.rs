//! `label_replace`, `label_join`, and the order of results.

use std::cmp::Ordering;

use model::labels::METRIC_NAME;

use crate::eval::column::{Steps, Vector, VectorSeries};
use crate::eval::{Evaluator, merge_same_labels};
use crate::parser::ast::Span;
use crate::plan::node::{LabelJoin, LabelReplace, VectorNode};
use crate::query::QueryError;

impl Evaluator<'_> {
    /// `label_replace(…)`
    pub(super) fn label_replace(&mut self, call: &LabelReplace, steps: Steps) -> Result<Vector, QueryError> {
        let mut vector = self.vector(&call.vector, steps)?;
        for series in &mut vector {
            if let Some(value) = call.regex.expand(series.labels.value(&call.source), &call.replacement) {
                set_label(series, &call.destination, value);
            }
        }
        merge_same_labels(vector)
    }

    /// `label_join(…)`
    pub(super) fn label_join(&mut self, call: &LabelJoin, steps: Steps) -> Result<Vector, QueryError> {
        let mut vector = self.vector(&call.vector, steps)?;
        for series in &mut vector {
            let values: Vec<&str> = call.sources.iter().map(|source| series.labels.value(source)).collect();
            let value = values.join(&call.separator);
            set_label(series, &call.destination, value);
        }
        merge_same_labels(vector)
    }

    /// `sort(…)`, `sort_desc(…)`: NaN last in both.
    pub(super) fn sort(
        &mut self,
        vector: &VectorNode,
        descending: bool,
        span: Span,
        steps: Steps,
    ) -> Result<Vector, QueryError> {
        let mut vector = self.vector(vector, steps)?;
        for series in &mut vector {
            series.histograms.clear();
        }
        vector.retain(|series| !series.column.is_empty());
        if self.is_sortable(span, steps) {
            vector.sort_by(|a, b| compare_values(a.column.slot(0), b.column.slot(0), descending));
        }
        Ok(vector)
    }

    /// `sort_by_label(…)`, `sort_by_label_desc(…)`
    pub(super) fn sort_by_label(
        &mut self,
        vector: &VectorNode,
        labels: &[String],
        descending: bool,
        span: Span,
        steps: Steps,
    ) -> Result<Vector, QueryError> {
        let mut vector = self.vector(vector, steps)?;
        if self.is_sortable(span, steps) {
            vector.sort_by(|a, b| {
                let by_labels = labels.iter().find_map(|name| {
                    let (a, b) = (a.labels.value(name), b.labels.value(name));
                    (a != b).then(|| natural_order(a, b))
                });
                let order = by_labels.unwrap_or_else(|| a.labels.cmp(&b.labels));
                if descending { order.reverse() } else { order }
            });
        }
        Ok(vector)
    }

    /// Whether an order can show. A range query's result is always in order of labels.
    fn is_sortable(&mut self, span: Span, steps: Steps) -> bool {
        if steps.count > 1 {
            self.annotations.sort_in_range_query(span);
        }
        steps.count == 1
    }
}

/// Values in order, NaN last.
pub(super) fn compare_values(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
    }
}

/// A metric name that is set is not to be dropped again.
fn set_label(series: &mut VectorSeries, name: &str, value: String) {
    let mut builder = series.labels.to_builder();
    builder.set(name, value);
    series.labels = builder.build();
    if name == METRIC_NAME {
        series.drop_name = false;
    }
}

/// Numbers inside texts in order of their value. What Prometheus uses (`facette/natsort`) gives up on numbers beyond 64
/// bits and contradicts itself on leading zeros; here both are ordered, for a sort needs an order.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (chunks_a, chunks_b) = (chunks(a), chunks(b));
    for (a, b) in chunks_a.iter().zip(&chunks_b) {
        let order = match (number(a), number(b)) {
            (Some(a), Some(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
            _ => a.cmp(b),
        };
        if order.is_ne() {
            return order;
        }
    }
    chunks_a.len().cmp(&chunks_b.len()).then_with(|| a.cmp(b))
}

/// The digits of a number without leading zeros.
fn number(chunk: &str) -> Option<&str> {
    chunk.starts_with(|c: char| c.is_ascii_digit()).then(|| chunk.trim_start_matches('0'))
}

/// The stretches of digits and of other characters.
fn chunks(text: &str) -> Vec<&str> {
    let mut chunks = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (chunk, tail) = rest.split_at(end);
        chunks.push(chunk);
        rest = tail;
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_are_ordered_by_value() {
        let mut names = ["a10", "a9", "a1b2", "a1b10", "b", "10", "9"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["9", "10", "a1b2", "a1b10", "a9", "a10", "b"]);
        assert_eq!(natural_order("5", "10000000000000000000000"), Ordering::Less);
        assert_eq!(natural_order("01", "1"), natural_order("1", "01").reverse());
    }
}
