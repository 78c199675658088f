//! Functions over sliding windows against what they are by definition, window by window.

use std::sync::Arc;

use proptest::prelude::*;

use crate::query::{EngineOptions, Features, QueryTime};
use crate::value::QueryValue;
use crate::{Never, Plan};

/// Samples of one series.
#[derive(Clone, Debug)]
struct Samples(Vec<(i64, f64)>);

fn samples() -> impl Strategy<Value = Samples> {
    let value = prop_oneof![
        6 => (-4i32..9).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(-0.0),
        1 => Just(1e300),
        1 => Just(model::value::stale_nan()),
    ];
    proptest::collection::vec((1i64..40, value), 0..60).prop_map(|steps| {
        let mut time = -50;
        let point = |(gap, value)| {
            time += gap;
            (time, value)
        };
        Samples(steps.into_iter().map(point).collect())
    })
}

/// Evaluates `query` over `samples` of `x` and gives the points of the only series.
fn evaluate(query: &str, samples: &Samples, start: i64, end: i64, step: i64) -> Vec<(i64, f64)> {
    let features = Features { experimental_functions: true, ..Features::default() };
    let options = EngineOptions { features, ..EngineOptions::default() };
    let plan = Plan::new(query, QueryTime::Range { start, end, step }, &options).expect(query);
    let (timestamps, values): (Vec<i64>, Vec<f64>) = samples.0.iter().copied().unzip();
    let series = storage::Series::floats(
        model::Labels::from_pairs([("__name__", "x")]),
        Arc::from(timestamps),
        Arc::from(values),
    );
    let result = plan.evaluate(vec![vec![series]], &Never).expect(query);
    let QueryValue::Matrix(mut matrix) = result.value else { panic!("no matrix") };
    assert!(matrix.len() <= 1);
    matrix.pop().map(|series| series.points).unwrap_or_default()
}

/// `function` of the samples in `(time - range, time]` at each step, by definition.
fn naive(
    samples: &Samples,
    (start, end, step, range): (i64, i64, i64, i64),
    function: impl Fn(&[(i64, f64)], i64) -> Option<f64>,
) -> Vec<(i64, f64)> {
    let mut points = Vec::new();
    let mut time = start;
    while time <= end {
        let window: Vec<(i64, f64)> = samples
            .0
            .iter()
            .copied()
            .filter(|(at, value)| *at > time - range && *at <= time && !model::value::is_stale_nan(*value))
            .collect();
        if !window.is_empty()
            && let Some(value) = function(&window, time)
        {
            points.push((time, value));
        }
        time += step;
    }
    points
}

fn increase(window: &[(i64, f64)], time: i64, range: i64, is_counter: bool) -> Option<f64> {
    let ((first_time, first), (last_time, last)) = (*window.first()?, *window.last()?);
    if window.len() < 2 {
        return None;
    }
    let mut result = last - first;
    for pair in window.windows(2) {
        if is_counter && pair[1].1 < pair[0].1 {
            result += pair[0].1;
        }
    }
    let sampled = (last_time - first_time) as f64 / 1000.0;
    let average = sampled / (window.len() - 1) as f64;
    let mut to_start = (first_time - (time - range)) as f64 / 1000.0;
    let mut to_end = (time - last_time) as f64 / 1000.0;
    if to_start >= average * 1.1 {
        to_start = average / 2.0;
    }
    if is_counter && result > 0.0 && first >= 0.0 {
        to_start = to_start.min(sampled * (first / result));
    }
    if to_end >= average * 1.1 {
        to_end = average / 2.0;
    }
    Some(result * ((sampled + to_start + to_end) / sampled))
}

/// The extremum of the window; the first or the last of equals.
fn extremum(window: &[(i64, f64)], better: impl Fn(f64, f64) -> bool) -> (i64, f64) {
    window
        .iter()
        .copied()
        .reduce(|a, b| if better(b.1, a.1) || a.1.is_nan() { b } else { a })
        .expect("a sample")
}

fn count_pairs(window: &[(i64, f64)], condition: impl Fn(f64, f64) -> bool) -> f64 {
    window.windows(2).filter(|pair| condition(pair[0].1, pair[1].1)).count() as f64
}

fn same(got: &[(i64, f64)], expected: &[(i64, f64)]) -> bool {
    let equal = |a: f64, b: f64| a.is_nan() && b.is_nan() || a.to_bits() == b.to_bits();
    got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| a.0 == b.0 && equal(a.1, b.1))
}

proptest! {
    #[test]
    fn windows_that_slide_give_what_each_window_gives_alone(
        samples in samples(),
        start in -100i64..200,
        length in 0i64..800,
        step in 1i64..120,
        range in 1i64..300,
    ) {
        let end = start + length;
        let grid = (start, end, step, range);
        let seconds = |time: i64| time as f64 / 1000.0;
        type Definition = Box<dyn Fn(&[(i64, f64)], i64) -> Option<f64>>;
        let definitions: Vec<(&str, Definition)> = vec![
            ("count_over_time", Box::new(|w, _| Some(w.len() as f64))),
            ("present_over_time", Box::new(|_, _| Some(1.0))),
            ("first_over_time", Box::new(|w, _| w.first().map(|p| p.1))),
            ("last_over_time", Box::new(|w, _| w.last().map(|p| p.1))),
            ("min_over_time", Box::new(|w, _| Some(extremum(w, |a, b| a < b).1))),
            ("max_over_time", Box::new(|w, _| Some(extremum(w, |a, b| a > b).1))),
            ("ts_of_min_over_time", Box::new(move |w, _| Some(seconds(extremum(w, |a, b| a <= b).0)))),
            ("ts_of_max_over_time", Box::new(move |w, _| Some(seconds(extremum(w, |a, b| a >= b).0)))),
            ("ts_of_first_over_time", Box::new(move |w, _| w.first().map(|p| seconds(p.0)))),
            ("ts_of_last_over_time", Box::new(move |w, _| w.last().map(|p| seconds(p.0)))),
            ("resets", Box::new(|w, _| Some(count_pairs(w, |a, b| b < a)))),
            ("changes", Box::new(|w, _| {
                Some(count_pairs(w, |a, b| a != b && !(a.is_nan() && b.is_nan())))
            })),
            ("increase", Box::new(move |w, time| increase(w, time, range, true))),
            ("delta", Box::new(move |w, time| increase(w, time, range, false))),
            ("idelta", Box::new(|w, _| match w {
                [.., a, b] => Some(b.1 - a.1),
                _ => None,
            })),
        ];
        for (function, definition) in definitions {
            let query = format!("{function}(x[{range}ms])");
            let got = evaluate(&query, &samples, start, end, step);
            let expected = naive(&samples, grid, definition);
            prop_assert!(same(&got, &expected), "{query}: {got:?} instead of {expected:?}");
        }
    }

    #[test]
    fn an_instant_selector_sees_the_newest_sample_that_is_young_enough(
        samples in samples(),
        start in -100i64..200,
        length in 0i64..800,
        step in 1i64..120,
        lookback in 1i64..100,
    ) {
        let end = start + length;
        let options = EngineOptions { lookback_delta_ms: lookback, ..EngineOptions::default() };
        let plan = Plan::new("x", QueryTime::Range { start, end, step }, &options).expect("x");
        let (timestamps, values): (Vec<i64>, Vec<f64>) = samples.0.iter().copied().unzip();
        let series = storage::Series::floats(model::Labels::from_pairs([("__name__", "x")]), Arc::from(timestamps), Arc::from(values));
        let QueryValue::Matrix(mut matrix) = plan.evaluate(vec![vec![series]], &Never).expect("x").value else {
            panic!("no matrix")
        };
        let got = matrix.pop().map(|series| series.points).unwrap_or_default();
        let mut expected = Vec::new();
        let mut time = start;
        while time <= end {
            let newest = samples.0.iter().rev().find(|(at, _)| *at <= time);
            if let Some((at, value)) = newest
                && *at > time - lookback
                && !model::value::is_stale_nan(*value)
            {
                expected.push((time, *value));
            }
            time += step;
        }
        prop_assert!(same(&got, &expected), "{got:?} instead of {expected:?}");
    }
}
