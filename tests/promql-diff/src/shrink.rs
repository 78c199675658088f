//! Makes a case that differs as small as it can be made.

use std::ops::Range;

use prometheus_engine::{Request, Series};

use crate::node::Node;

/// Samples and a query.
#[derive(Clone, Debug)]
pub struct Case {
    /// The samples.
    pub series: Vec<Series>,
    /// The query.
    pub query: Node,
    /// When and how it is asked; its text is `query`'s.
    pub request: Request,
}

/// A way to make a case smaller.
#[derive(Clone, Debug)]
enum Edit {
    Query(Node),
    /// Without these series.
    Series(Range<usize>),
    /// Asked from here to there.
    Times(i64, i64),
    /// Without these samples of a series.
    Samples(usize, Range<usize>),
}

impl Edit {
    fn apply(self, case: &Case) -> Case {
        let mut case = case.clone();
        match self {
            Self::Query(query) => {
                case.request.query = query.to_string();
                case.query = query;
            }
            Self::Series(range) => drop(case.series.drain(range)),
            Self::Times(start, end) => (case.request.start, case.request.end) = (start, end),
            Self::Samples(at, range) => {
                if let Some(series) = case.series.get_mut(at) {
                    drop_samples(series, range);
                }
            }
        }
        case
    }
}

/// The smallest case found that still `differs`. Asks at most some thousand times.
///
/// # Errors
/// Those of `differs`.
pub fn shrink(
    mut case: Case,
    mut differs: impl FnMut(&Case) -> Result<bool, String>,
) -> Result<Case, String> {
    let mut left = 3_000;
    'again: while left > 0 {
        for edit in edits(&case) {
            left -= 1;
            let smaller = edit.apply(&case);
            if left > 0 && differs(&smaller)? {
                case = smaller;
                continue 'again;
            }
        }
        break;
    }
    Ok(case)
}

/// Those that make the most of it first.
fn edits(case: &Case) -> Vec<Edit> {
    let mut all: Vec<Edit> = halves(case.series.len()).into_iter().map(Edit::Series).collect();
    let size = case.request.query.len();
    let queries = case.query.smaller().into_iter().filter(|query| query.to_string().len() < size);
    all.extend(queries.map(Edit::Query));
    let Request { start, end, step, .. } = case.request;
    if step > 0 && end > start {
        all.extend([Edit::Times(start, end - step), Edit::Times(start + step, end)]);
    }
    for (at, series) in case.series.iter().enumerate() {
        all.extend(halves(series.t.len()).into_iter().map(|range| Edit::Samples(at, range)));
    }
    all
}

/// Halves, quarters … down to single ones.
fn halves(count: usize) -> Vec<Range<usize>> {
    let mut all = Vec::new();
    let mut part = count.div_ceil(2);
    while part > 0 {
        let parts = (0..count).step_by(part).map(|first| first..count.min(first + part));
        all.extend(parts.filter(|range| range.len() < count || count == 1));
        part = if part == 1 { 0 } else { part.div_ceil(2) };
    }
    all
}

fn drop_samples(series: &mut Series, range: Range<usize>) {
    series.t.drain(range.clone());
    series.f.drain(range.clone());
    if !series.h.is_empty() {
        series.h.drain(range.clone());
    }
    if !series.st.is_empty() {
        series.st.drain(range);
    }
}
