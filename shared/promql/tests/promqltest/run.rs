//! One `eval` of the suite, run as `promql/promqltest/test.go` runs it.

use model::Labels;
use promql::{EngineOptions, QueryError, QueryResult, QueryTime, QueryValue};
use serde_json::Value;

use super::json::Point;
use super::{compare, json, store::Store};

/// An `eval`, its instants and its expression.
pub(crate) struct Eval<'a> {
    /// The case as in the fixture.
    pub(crate) case: &'a Value,
    /// The expression.
    pub(crate) query: &'a str,
    /// When it is evaluated.
    pub(crate) time: QueryTime,
}

impl<'a> Eval<'a> {
    /// Reads a case.
    pub(crate) fn new(case: &'a Value) -> Self {
        let time = match case["kind"].as_str() {
            Some("range") => QueryTime::Range {
                start: json::time(&case["start_ms"]),
                end: json::time(&case["end_ms"]),
                step: json::time(&case["step_ms"]),
            },
            _ => QueryTime::Instant(match case.get("range_vector") {
                // Such a query is evaluated at the end of what is expected; a string only seems to be one.
                Some(range) if case.get("expect_string").is_none() && range[1].as_i64() > Some(0) => {
                    json::time(&range[1])
                }
                _ => json::time(&case["at_ms"]),
            }),
        };
        Self { case, query: case["expr"].as_str().expect("an expression"), time }
    }

    /// Runs everything that the suite runs for this case, and compares with what the real engine gave with and
    /// without delayed name removal.
    pub(crate) fn run(&self, store: &Store, options: &EngineOptions) -> Result<(), String> {
        let result = store.query(self.query, self.time, options);
        self.check_actual(&result, &self.case["actual"])?;
        self.check(&result)?;
        let mut immediate = *options;
        immediate.features.delayed_name_removal = false;
        let actual = self.case.get("actual_without_delayed_name_removal").unwrap_or(&self.case["actual"]);
        self.check_actual(&store.query(self.query, self.time, &immediate), actual)
            .map_err(|error| format!("with immediate name removal: {error}"))?;
        let QueryTime::Instant(at) = self.time else { return Ok(()) };
        self.rerun_as_range(store, self.query, at, options)?;
        let Some(rewritten) = self.case["at_rewritten_expr"].as_str() else { return Ok(()) };
        for at in json::list(&self.case["at_rewritten_eval_times_ms"]).iter().map(json::time) {
            let result = store.query(rewritten, QueryTime::Instant(at), options);
            self.check(&result).map_err(|error| format!("`{rewritten}` at {at}: {error}"))?;
            self.rerun_as_range(store, rewritten, at, options)?;
        }
        Ok(())
    }

    fn check_actual(&self, result: &Result<QueryResult, QueryError>, actual: &Value) -> Result<(), String> {
        let ordered = self.case["expect"].get("ordered").is_some();
        match (result, actual["error"].as_str()) {
            (Ok(result), None) => {
                compare::same_as_actual(&result.value, &actual["result"], ordered)?;
                for (kind, got) in [("warnings", &result.warnings), ("infos", &result.infos)] {
                    let expected = json::texts(&actual[kind]);
                    if *got != expected {
                        return Err(format!("{kind}: {got:?} instead of {expected:?}"));
                    }
                }
                Ok(())
            }
            (Err(error), Some(expected)) if error.to_string() == expected => Ok(()),
            (Err(error), expected) => Err(format!("error `{error}` instead of {expected:?}")),
            (Ok(result), Some(expected)) => Err(format!("{result:?} instead of error `{expected}`")),
        }
    }

    fn check(&self, result: &Result<QueryResult, QueryError>) -> Result<(), String> {
        let expect = &self.case["expect"];
        let fails = expect.get("fail").is_some() || self.case.get("legacy_fail").is_some();
        let result = match result {
            Err(error) if fails => {
                let text = error.to_string();
                let met =
                    json::list(&expect["fail"]).iter().all(|expected| compare::matches(expected, &text));
                return if met { Ok(()) } else { Err(format!("error `{text}`")) };
            }
            Err(error) => return Err(format!("error `{error}`")),
            Ok(result) if fails => return Err(format!("no error but {result:?}")),
            Ok(result) => result,
        };
        compare::annotations("warn", expect, &result.warnings)?;
        compare::annotations("info", expect, &result.infos)?;
        let expected = &self.case["expected"];
        match &result.value {
            QueryValue::String { value, .. } => {
                let text = self.case["expect_string"].as_str().unwrap_or_default();
                (value == text.as_bytes()).then_some(()).ok_or_else(|| format!("string {value:?}"))
            }
            QueryValue::Scalar { value, .. } => {
                compare::equal_floats("scalar", json::float(&self.case["expected_scalar"]), *value)
            }
            QueryValue::Vector(samples) => {
                let samples: Vec<(Labels, Point)> =
                    samples.iter().map(|sample| (sample.labels.clone(), compare::value_of(sample))).collect();
                compare::same_as_listed(&samples, expected, expect.get("ordered").is_some())
            }
            QueryValue::Matrix(series) => {
                let (start, step) = match (self.time, self.case.get("range_vector")) {
                    (QueryTime::Range { start, step, .. }, _) => (start, step),
                    (QueryTime::Instant(_), Some(range)) => (json::time(&range[0]), json::time(&range[2])),
                    (QueryTime::Instant(_), None) => return Err(format!("matrix {series:?}")),
                };
                let expected = json::list(expected).iter().map(|series| {
                    let values =
                        (0i64..).zip(json::list(&series["vals"])).filter(|(_, value)| !value.is_null());
                    let points = values.map(|(at, value)| (start + at * step, json::point(value))).collect();
                    (json::labels(&series["metric"]), points)
                });
                compare::same_matrix(series, expected.collect())
            }
        }
    }

    /// The same at the middle of a range of three steps.
    fn rerun_as_range(
        &self,
        store: &Store,
        query: &str,
        at: i64,
        options: &EngineOptions,
    ) -> Result<(), String> {
        let context = ["start()", "end()", "range()", "step()"];
        let excluded = self.case.get("exclude_from_range_query").is_some()
            || self.case["expect"].get("fail").is_some()
            || self.case.get("legacy_fail").is_some()
            || context.iter().any(|function| query.contains(function));
        if excluded {
            return Ok(());
        }
        let time = QueryTime::Range { start: at - 60_000, end: at + 60_000, step: 60_000 };
        let result =
            store.query(query, time, options).map_err(|error| format!("as a range at {at}: `{error}`"))?;
        if self.case["expect"].get("ordered").is_some() {
            return Ok(());
        }
        let QueryValue::Matrix(series) = result.value else {
            return Err("a range query gave no matrix".to_owned());
        };
        if !series.is_sorted_by(|a, b| a.labels <= b.labels) {
            return Err("the matrix is not sorted".to_owned());
        }
        let samples: Vec<(Labels, Point)> = series
            .into_iter()
            .filter_map(|series| {
                let (_, value) = compare::points_of(&series).into_iter().find(|(time, _)| *time == at)?;
                Some((series.labels, value))
            })
            .collect();
        let checked = match self.case.get("expected_scalar") {
            Some(expected) => match samples.as_slice() {
                [(_, Point::Float(value))] => compare::equal_floats("scalar", json::float(expected), *value),
                samples => Err(format!("{samples:?} instead of a scalar")),
            },
            None => compare::same_as_listed(&samples, &self.case["expected"], false),
        };
        checked.map_err(|error| format!("as a range at {at}: {error}"))
    }
}
