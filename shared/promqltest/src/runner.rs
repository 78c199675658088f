//! Running a script.

use promql::{EngineOptions, Features, QueryTime, QueryValue};

use crate::compare;
use crate::rewrite::fixed_at;
use crate::script::{Command, Eval, ScriptError, parse};
use crate::store::Store;

/// What a script gave.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many `eval`s gave what is expected.
    pub passed: usize,
    /// Those that did not.
    pub failures: Vec<Failure>,
}

/// An `eval` or `load` that did not give what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its line, from 1.
    pub line: usize,
    /// The query; empty for a `load`.
    pub query: String,
    /// What was expected and what came.
    pub message: String,
}

/// The options that scripts are run with: everything on.
#[must_use]
pub fn options() -> EngineOptions {
    EngineOptions {
        features: Features {
            experimental_functions: true,
            extended_range_selectors: true,
            binop_fill_modifiers: true,
            delayed_name_removal: true,
            use_start_timestamps: true,
            type_and_unit_labels: false,
        },
        ..EngineOptions::default()
    }
}

/// Runs a script. It ends at a `load` that fails; after an `eval` that fails it goes on.
///
/// # Errors
/// Where `text` is no script.
pub fn run(text: &str) -> Result<Report, ScriptError> {
    let mut report = Report::default();
    let mut store = Store::default();
    for command in parse(text)? {
        match command {
            Command::Clear => store = Store::default(),
            Command::Load(load) => {
                if let Err(message) = store.load(&load) {
                    report.failures.push(Failure { line: load.line, query: String::new(), message });
                    break;
                }
            }
            Command::Eval(eval) => match run_eval(&eval, &store) {
                Ok(()) => report.passed += 1,
                Err(message) => {
                    report.failures.push(Failure { line: eval.line, query: eval.query.clone(), message });
                }
            },
        }
    }
    Ok(report)
}

fn run_eval(eval: &Eval, store: &Store) -> Result<(), String> {
    check(eval, store, &eval.query, eval.time)?;
    let QueryTime::Instant(at) = eval.time else { return Ok(()) };
    as_range(eval, store, &eval.query, at)?;
    let Some((query, times)) = fixed_at(&eval.query, at) else { return Ok(()) };
    for at in times {
        let told = |message| format!("{message} (for `{query}` at {at} ms)");
        check(eval, store, &query, QueryTime::Instant(at)).map_err(told)?;
        as_range(eval, store, &query, at).map_err(told)?;
    }
    Ok(())
}

fn check(eval: &Eval, store: &Store, query: &str, time: QueryTime) -> Result<(), String> {
    match (store.query(query, time, &options()), &eval.expect.fail) {
        (Err(error), Some(expected)) => compare::failure(expected, &error.to_string()),
        (Err(error), None) => Err(format!("expected a result, got error {:?}", error.to_string())),
        (Ok(_), Some(_)) => Err("expected an error, got a result".to_owned()),
        (Ok(result), None) => {
            compare::annotations(eval, &result)?;
            compare::result(eval, &result.value)
        }
    }
}

/// The same query over three instants, of which the middle one must give the same.
fn as_range(eval: &Eval, store: &Store, query: &str, at: i64) -> Result<(), String> {
    let contextual = ["start()", "end()", "range()", "step()"].iter().any(|call| query.contains(call));
    let excluded = eval.range_vector.is_some() || eval.expect.string.is_some() || eval.expect.fail.is_some();
    if contextual || excluded {
        return Ok(());
    }
    let time =
        QueryTime::Range { start: at.saturating_sub(60_000), end: at.saturating_add(60_000), step: 60_000 };
    let value: QueryValue = match store.query(query, time, &options()) {
        Ok(result) => result.value,
        Err(error) => return Err(format!("as a range query: got error {:?}", error.to_string())),
    };
    if eval.expect.ordered {
        return Ok(());
    }
    compare::at_instant(eval, &value, at).map_err(|message| format!("as a range query: {message}"))
}
