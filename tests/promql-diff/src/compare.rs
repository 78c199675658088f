//! Whether two answers are the same: values to 1e-12, labels, order where it is defined, annotations, errors.

use prometheus_engine::{Answer, Histogram, Point, ResultSeries};

/// How far values may be apart, relative to their sizes.
const EPSILON: f64 = 1e-12;

/// What is different, or `None`.
#[must_use]
pub fn difference(query: &str, ours: &Answer, theirs: &Answer) -> Option<String> {
    if defined(&ours.error) != defined(&theirs.error) {
        return Some(format!("error: ours `{}`, theirs `{}`", ours.error, theirs.error));
    }
    if ours.kind != theirs.kind {
        return Some(format!("type: ours {}, theirs {}", ours.kind, theirs.kind));
    }
    if ours.text != theirs.text {
        return Some(format!("text: ours {}, theirs {}", ours.text, theirs.text));
    }
    if let Some(text) = different_series(query, ours, theirs) {
        return Some(text);
    }
    for (kind, ours, theirs) in
        [("warnings", &ours.warnings, &theirs.warnings), ("infos", &ours.infos, &theirs.infos)]
    {
        let (mut ours, mut theirs) = (ours.clone(), theirs.clone());
        ours.sort();
        theirs.sort();
        if ours != theirs {
            return Some(format!("{kind}: ours {ours:?}, theirs {theirs:?}"));
        }
    }
    None
}

/// What is defined of an error: which two series of several are named is not.
fn defined(error: &str) -> &str {
    let end = if error.starts_with("found duplicate series for the match group") {
        error.find(": [")
    } else {
        None
    };
    end.and_then(|end| error.get(..end)).unwrap_or(error)
}

fn different_series(query: &str, ours: &Answer, theirs: &Answer) -> Option<String> {
    let ordered =
        ours.kind == "matrix" || ["sort", "topk", "bottomk"].iter().any(|name| query.starts_with(name));
    if ordered && ours.kind == "vector" {
        // Which of equal samples comes first is not defined, but how values follow each other is.
        let values =
            |answer: &Answer| answer.series.iter().flat_map(|s| &s.points).map(|p| p.f).collect::<Vec<f64>>();
        let (ours, theirs) = (values(ours), values(theirs));
        if ours.len() == theirs.len() && !ours.iter().zip(&theirs).all(|(a, b)| same_float(*a, *b)) {
            return Some(format!("order: ours {ours:?}, theirs {theirs:?}"));
        }
    }
    let mut ours: Vec<&ResultSeries> = ours.series.iter().collect();
    let mut theirs: Vec<&ResultSeries> = theirs.series.iter().collect();
    ours.sort_by(|a, b| a.labels.cmp(&b.labels));
    theirs.sort_by(|a, b| a.labels.cmp(&b.labels));
    let labels = |all: &[&ResultSeries]| all.iter().map(|series| series.labels.clone()).collect::<Vec<_>>();
    if labels(&ours) != labels(&theirs) {
        return Some(format!("series: ours {ours:?}, theirs {theirs:?}"));
    }
    for (a, b) in ours.iter().zip(&theirs) {
        let same =
            a.points.len() == b.points.len() && a.points.iter().zip(&b.points).all(|(a, b)| same_point(a, b));
        if !same {
            return Some(format!("samples of {:?}: ours {:?}, theirs {:?}", a.labels, a.points, b.points));
        }
    }
    None
}

fn same_point(a: &Point, b: &Point) -> bool {
    a.t == b.t
        && match (&a.h, &b.h) {
            (None, None) => same_float(a.f, b.f),
            (Some(a), Some(b)) => same_histogram(a, b),
            _ => false,
        }
}

fn same_histogram(a: &Histogram, b: &Histogram) -> bool {
    let same_all =
        |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_float(*a, *b));
    a.hint == b.hint
        && a.schema == b.schema
        && a.zt == b.zt
        && a.ps == b.ps
        && a.ns == b.ns
        && same_float(a.zc, b.zc)
        && same_float(a.count, b.count)
        && same_float(a.sum, b.sum)
        && same_all(&a.pb, &b.pb)
        && same_all(&a.nb, &b.nb)
        && same_all(&a.cv, &b.cv)
}

fn same_float(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= EPSILON * a.abs().max(b.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(values: &[f64]) -> Answer {
        let series = values.iter().enumerate().map(|(at, value)| ResultSeries {
            labels: [("n".to_owned(), at.to_string())].into(),
            points: vec![Point { t: 0, f: *value, h: None }],
        });
        Answer { kind: "vector".to_owned(), series: series.collect(), ..Answer::default() }
    }

    #[test]
    fn what_is_different_is_seen_and_what_is_not_is_not() {
        let ours = vector(&[1.0, f64::NAN]);
        assert_eq!(difference("a", &ours, &vector(&[1.0 + 1e-15, model::value::normal_nan()])), None);
        assert!(difference("a", &ours, &vector(&[1.0 + 1e-9, f64::NAN])).is_some());
        assert!(difference("a", &ours, &vector(&[1.0])).is_some());
        let warned = Answer { warnings: vec!["w".to_owned()], ..ours.clone() };
        assert!(difference("a", &ours, &warned).is_some());
        let failed = Answer { error: "e".to_owned(), ..ours.clone() };
        assert!(difference("a", &ours, &failed).is_some());
    }

    #[test]
    fn order_counts_where_it_is_defined() {
        let mut turned = vector(&[1.0, 2.0]);
        turned.series.reverse();
        assert_eq!(difference("a", &vector(&[1.0, 2.0]), &turned), None);
        assert!(difference("sort(a)", &vector(&[1.0, 2.0]), &turned).is_some());
    }
}
