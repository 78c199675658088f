//! What a query reads: one select for all selectors of the same data.

use model::Matcher;
use storage::{Select, SelectHints};

/// The instants that an expression is evaluated at, as far as loading cares; inclusive, ms. Source:
/// `promql/engine.go:getTimeRangesForSelector`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeSpan {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

impl TimeSpan {
    /// The span once `@` and `offset` are applied.
    pub(crate) fn shifted(self, at: Option<i64>, offset_ms: i64) -> Self {
        let (start, end) = at.map_or((self.start, self.end), |at| (at, at));
        Self { start: start.saturating_sub(offset_ms), end: end.saturating_sub(offset_ms) }
    }

    /// The span with `before` more milliseconds at its start and `after` more at its end.
    pub(crate) fn widened(self, before: i64, after: i64) -> Self {
        Self { start: self.start.saturating_sub(before), end: self.end.saturating_add(after) }
    }
}

/// All selects of a query so far.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    selects: Vec<Select>,
    /// The matchers of each select in a canonical order.
    keys: Vec<Vec<Matcher>>,
}

impl Reads {
    /// The index of a select that covers this demand. Demands for the same series whose times overlap share one.
    pub(crate) fn add(&mut self, matchers: &[Matcher], span: TimeSpan, hints: SelectHints) -> usize {
        let mut key = matchers.to_vec();
        key.sort();
        key.dedup();
        let (min_time, max_time) = (span.start, span.end);
        for (index, select) in self.selects.iter_mut().enumerate() {
            let touches = min_time <= select.max_time.saturating_add(1)
                && select.min_time <= max_time.saturating_add(1);
            if touches && self.keys.get(index) == Some(&key) {
                select.min_time = select.min_time.min(min_time);
                select.max_time = select.max_time.max(max_time);
                if select.hints != hints {
                    select.hints = SelectHints::default();
                }
                return index;
            }
        }
        self.selects.push(Select { matchers: matchers.to_vec(), min_time, max_time, hints });
        self.keys.push(key);
        self.selects.len() - 1
    }

    /// The selects in order of their indexes.
    pub(crate) fn into_selects(self) -> Vec<Select> {
        self.selects
    }
}
