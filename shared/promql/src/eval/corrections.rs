//! What `histogram_quantile` had to correct, counted as Prometheus counts it.
//!
//! Prometheus hands the annotations of all steps so far from each step to the next and merges them with themselves on the
//! way, so that the count of corrected samples doubles at every step after the first correction. Users see that count;
//! so it is ours. Source: `promql/engine.go:eval` (`return vec, warnings.Merge(annos)`) and `rangeEval`.

use std::collections::BTreeMap;

use crate::annotations::{Annotations, Monotonicity, merge};
use crate::parser::ast::Span;

/// The corrections of one call, by metric name and step.
#[derive(Debug, Default)]
pub(super) struct Corrections {
    by_name: BTreeMap<String, BTreeMap<usize, Monotonicity>>,
}

impl Corrections {
    /// Notes one correction.
    pub(super) fn note(&mut self, metric_name: &str, step: usize, correction: Monotonicity) {
        if !self.by_name.contains_key(metric_name) {
            self.by_name.insert(metric_name.to_owned(), BTreeMap::new());
        }
        let Some(steps) = self.by_name.get_mut(metric_name) else { return };
        steps.entry(step).and_modify(|known| merge(known, correction)).or_insert(correction);
    }

    /// Says what was noted of a call that was evaluated at `steps` steps.
    pub(super) fn annotate(self, annotations: &mut Annotations, span: Span, steps: usize) {
        for (name, by_step) in self.by_name {
            let (Some(first), Some(all)) = (by_step.keys().next(), by_step.values().copied().reduce(both))
            else {
                continue;
            };
            // Counted from 0, as Prometheus does; it adds 1 when it prints.
            let mut count = -1_i64;
            for step in *first..steps {
                count = count.wrapping_add(by_step.get(&step).map_or(0, |noted| noted.samples));
                if step > *first {
                    count = count.wrapping_mul(2).wrapping_add(1);
                }
            }
            let samples = count.wrapping_add(1);
            annotations.forced_monotonicity(&name, span, Monotonicity { samples, ..all });
        }
    }
}

fn both(mut a: Monotonicity, b: Monotonicity) -> Monotonicity {
    merge(&mut a, b);
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(noted: &[usize], steps: usize) -> String {
        let mut corrections = Corrections::default();
        for step in noted {
            let correction = Monotonicity {
                min_bucket: 1.0,
                max_bucket: 1.0,
                max_difference: 1.0,
                min_time: 0,
                max_time: 0,
                samples: 1,
            };
            corrections.note("", *step, correction);
        }
        let mut annotations = Annotations::default();
        corrections.annotate(&mut annotations, Span::default(), steps);
        let (_, infos) = annotations.into_texts("");
        let text = infos.first().cloned().unwrap_or_default();
        text.split(" over ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned()
    }

    #[test]
    fn the_count_doubles_at_every_step_as_it_does_in_prometheus() {
        assert_eq!(counted(&[0], 1), "1");
        assert_eq!(counted(&[0, 1], 2), "4");
        assert_eq!(counted(&[0, 1, 2], 3), "10");
        assert_eq!(counted(&[0, 1, 2, 3, 4], 5), "46");
        assert_eq!(counted(&[2, 2], 3), "2");
        assert_eq!(counted(&[0], 100), "0");
    }
}
