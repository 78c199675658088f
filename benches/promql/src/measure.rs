//! foxfire's engine in a process of its own: it loads a file of samples, reads requests and answers what they took, a
//! line of JSON each, as `prometheus-engine measure` does.

use std::io::{BufRead, Write};
use std::path::Path;

use promql::{EngineOptions, Never, Plan, QueryTime, QueryValue};
use serde::{Deserialize, Serialize};
use storage::{Select, Series, SeriesSet};
use storage_bench::{Outcome, stopwatch, usage};

/// What to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// The query.
    pub(crate) query: String,
    /// First instant, ms.
    pub(crate) start: i64,
    /// Last instant, ms.
    pub(crate) end: i64,
    /// Step, ms; 0 for one instant.
    pub(crate) step: i64,
    /// How often.
    pub(crate) rounds: u32,
}

/// What it took.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Measured {
    /// Why there is no result.
    pub(crate) error: String,
    /// CPU time of the fastest run.
    pub(crate) seconds: f64,
    /// How much more memory was resident at most during the first run than before it.
    pub(crate) peak_bytes: i64,
    /// Series of the result.
    pub(crate) series: u64,
    /// Samples of the result.
    pub(crate) points: u64,
    /// Sum of all finite values, to see that both engines did the same.
    pub(crate) sum: f64,
}

/// Answers requests until there are no more.
///
/// # Errors
/// Where the file or a request cannot be read.
pub(crate) fn answer_all(file: &Path) -> Outcome<()> {
    let all = crate::data::read(file)?;
    for line in std::io::stdin().lock().lines() {
        let measured = measure(&all, &serde_json::from_str(&line?)?)
            .unwrap_or_else(|error| Measured { error: error.to_string(), ..Measured::default() });
        writeln!(std::io::stdout().lock(), "{}", serde_json::to_string(&measured)?)?;
    }
    Ok(())
}

fn measure(all: &[Series], request: &Measurement) -> Outcome<Measured> {
    let time = match request.step {
        0 => QueryTime::Instant(request.start),
        step => QueryTime::Range { start: request.start, end: request.end, step },
    };
    let options = EngineOptions { samples_max: 1 << 40, ..EngineOptions::default() };
    // Finding series is the store's; here it is done once.
    let plan = Plan::new(&request.query, time, &options)?;
    let found: Vec<Vec<&Series>> = plan.selects().iter().map(|select| matching(all, select)).collect();
    let run = || {
        let plan = Plan::new(&request.query, time, &options)?;
        let sets: Vec<SeriesSet> =
            found.iter().map(|set| set.iter().map(|series| (*series).clone()).collect()).collect();
        plan.evaluate(sets, &Never)
    };
    usage::reset_peak();
    let before = usage::rss_bytes();
    let (result, first) = stopwatch::timed(run);
    let mut measured = see(&result?.value);
    measured.peak_bytes = usage::peak_rss_bytes() as i64 - before as i64;
    measured.seconds = first.as_secs_f64();
    for _ in 0..request.rounds {
        let runs = (0.05 / measured.seconds).ceil().clamp(1.0, 10_000.0);
        let ((), took) = stopwatch::timed(|| {
            for _ in 0..runs as u32 {
                drop(std::hint::black_box(run()));
            }
        });
        measured.seconds = measured.seconds.min(took.as_secs_f64() / runs);
    }
    Ok(measured)
}

fn matching<'a>(all: &'a [Series], select: &Select) -> Vec<&'a Series> {
    all.iter().filter(|series| model::matcher::matches_all(&select.matchers, &series.labels)).collect()
}

fn see(value: &QueryValue) -> Measured {
    let mut measured = Measured::default();
    let mut see = |value: f64| {
        measured.points += 1;
        if value.is_finite() {
            measured.sum += value;
        }
    };
    match value {
        QueryValue::Scalar { value, .. } => see(*value),
        QueryValue::String { .. } => {}
        QueryValue::Vector(samples) => {
            samples.iter().for_each(|sample| see(sample.value));
            measured.series = samples.len() as u64;
        }
        QueryValue::Matrix(series) => {
            series.iter().flat_map(|series| &series.points).for_each(|(_, value)| see(*value));
            measured.series = series.len() as u64;
        }
    }
    measured
}
