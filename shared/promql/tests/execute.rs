//! A whole query over a store: what is loaded, what errors become, and that evaluation can be stopped.

#![allow(clippy::panic, clippy::print_stdout, reason = "these are tests, although not each function is one")]

mod promqltest;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use model::Labels;
use promql::{EngineOptions, Interrupt, Never, QueryError, QueryResult, QueryTime, QueryValue, execute};
use promqltest::store::Store;

/// The store of these tests never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the store waits"),
    }
}

/// `x{n="0"}` … with a sample a second for 1,000 seconds.
fn store(series: usize) -> Store {
    let mut store = Store::default();
    for n in 0..series {
        let labels = Labels::from_pairs([("__name__", "x".to_owned()), ("n", n.to_string())]);
        for second in 0..1_000 {
            store.add(&labels, second * 1_000, second as f64);
        }
    }
    store
}

fn run(
    store: &Store,
    query: &str,
    options: &EngineOptions,
    deadline: i64,
) -> Result<QueryResult, QueryError> {
    let time = QueryTime::Range { start: 0, end: 999_000, step: 1_000 };
    now(execute(store, query, time, options, deadline, &Never))
}

#[test]
fn a_query_is_planned_loaded_and_evaluated() {
    let result = run(&store(3), "sum(x)", &EngineOptions::default(), 0).expect("a result");
    let QueryValue::Matrix(matrix) = result.value else { panic!("no matrix") };
    assert_eq!(matrix.len(), 1);
    assert_eq!((matrix[0].points.len(), matrix[0].points[7]), (1_000, (7_000, 21.0)));
    let time = QueryTime::Instant(5);
    let number =
        now(execute(&store(0), "1 + 1", time, &EngineOptions::default(), 0, &Never)).expect("a number");
    assert_eq!(number.value, QueryValue::Scalar { timestamp: 5, value: 2.0 });
}

#[test]
fn what_the_store_says_is_said_in_prometheus_words() {
    let few = EngineOptions { samples_max: 10, ..EngineOptions::default() };
    assert_eq!(run(&store(1), "x", &few, 0), Err(QueryError::TooManySamples));
    let late = run(&store(1), "x", &EngineOptions::default(), -1);
    assert_eq!(late, Err(QueryError::Timeout("query execution")));
}

/// Lets an evaluation go on for so many questions.
struct After(AtomicUsize);

impl Interrupt for After {
    fn check(&self) -> Result<(), QueryError> {
        let left = self.0.load(Ordering::Relaxed);
        if left == 0 {
            return Err(QueryError::Canceled("expression evaluation"));
        }
        self.0.store(left - 1, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn an_evaluation_stops_when_it_is_told_to() {
    let store = store(20);
    let time = QueryTime::Range { start: 0, end: 999_000, step: 1_000 };
    // Two questions are asked before the evaluation begins.
    for query in ["max_over_time(x[15m])", "sum(avg_over_time(x[10m:1s]))", "stddev_over_time(x[5m])"] {
        for questions in [0, 1, 2, 5] {
            let interrupt = After(AtomicUsize::new(questions));
            let result = now(execute(&store, query, time, &EngineOptions::default(), 0, &interrupt));
            assert_eq!(
                result,
                Err(QueryError::Canceled("expression evaluation")),
                "{query} after {questions}"
            );
        }
    }
}
