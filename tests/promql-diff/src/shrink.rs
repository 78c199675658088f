//! Makes a case that differs as small as it can be made.

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

/// The smallest case found that still `differs`. Asks at most some thousand times.
pub fn shrink(
    mut case: Case,
    mut differs: impl FnMut(&Case) -> Result<bool, String>,
) -> Result<Case, String> {
    let mut left = 3_000;
    'again: while left > 0 {
        for smaller in candidates(&case) {
            left -= 1;
            if left > 0 && differs(&smaller)? {
                case = smaller;
                continue 'again;
            }
        }
        break;
    }
    Ok(case)
}

fn candidates(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    let size = case.query.to_string().len();
    for query in case.query.smaller() {
        let text = query.to_string();
        if text.len() < size {
            all.push(Case {
                request: Request { query: text, ..case.request.clone() },
                query,
                ..case.clone()
            });
        }
    }
    let count = case.series.len();
    let mut part = count.div_ceil(2);
    while part > 0 {
        for first in (0..count).step_by(part) {
            let mut series = case.series.clone();
            series.drain(first..count.min(first + part));
            all.push(Case { series, ..case.clone() });
        }
        part /= 2;
    }
    if case.request.step > 0 && case.request.end > case.request.start {
        for (start, end) in [
            (case.request.start, case.request.end - case.request.step),
            (case.request.start + case.request.step, case.request.end),
        ] {
            all.push(Case { request: Request { start, end, ..case.request.clone() }, ..case.clone() });
        }
    }
    for (at, series) in case.series.iter().enumerate() {
        let count = series.t.len();
        let mut part = count.div_ceil(2);
        while part > 0 && (count > 8 || part <= count) {
            for first in (0..count).step_by(part) {
                let last = count.min(first + part);
                if last - first < count {
                    let mut all_series = case.series.clone();
                    if let Some(series) = all_series.get_mut(at) {
                        drop_samples(series, first, last);
                    }
                    all.push(Case { series: all_series, ..case.clone() });
                }
            }
            part /= 2;
        }
    }
    all
}

fn drop_samples(series: &mut Series, first: usize, last: usize) {
    series.t.drain(first..last);
    series.f.drain(first..last);
    if !series.h.is_empty() {
        series.h.drain(first..last);
    }
    if !series.st.is_empty() {
        series.st.drain(first..last);
    }
}
