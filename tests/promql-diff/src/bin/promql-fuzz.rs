//! `promql-fuzz`: feeds the parser broken expressions and the evaluator hostile ones, for as long as it is told. Whatever is
//! asked, the answer is a result or an error, within the limits.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for the terminal"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use platform_sim::Random;
use prometheus_engine::{Options, Request};
use promql::{Features, Interrupt, QueryError};
use promql_diff::data::{self, Kinds};
use promql_diff::grammar::Grammar;
use promql_diff::ours::Store;

const USAGE: &str = "Usage: promql-fuzz parser|evaluator [--minutes 10] [--seed N]

Exits non-zero after a panic, with the expression and its seed.";

/// An evaluation that takes longer than this, although it asks now and then whether to go on, is told to stop.
const QUERY_MAX: Duration = Duration::from_millis(500);
/// One that does not stop then within this is a failure.
const STOP_MAX: Duration = Duration::from_secs(20);

/// Pieces that hostile expressions are made of.
const PIECES: [&str; 40] = [
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "[5m]",
    "[5m:1m]",
    "offset",
    "@",
    "\"",
    "'",
    "`",
    "\\",
    ",",
    "=~",
    "!~",
    "-",
    "--",
    "^",
    "%",
    "1e309",
    "0x",
    "9223372036854775808",
    "NaN",
    "Inf",
    "1y",
    "99999999999y",
    "by",
    "without",
    "on",
    "group_left",
    "bool",
    "sum(",
    "rate(",
    "\u{e4}",
    "\0",
    "\u{10ffff}",
    "#",
    "\n",
];

fn main() -> ExitCode {
    match run() {
        Ok(asked) => {
            println!("{asked} expressions, no panic");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("promql-fuzz: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<u64, String> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().ok_or(USAGE)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let (mut minutes, mut seed) = (10.0, now.map_or(0, |now| now.as_nanos() as u64 >> 10));
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        match argument.as_str() {
            "--minutes" => minutes = value.parse().map_err(|_| USAGE)?,
            "--seed" => seed = value.parse().map_err(|_| USAGE)?,
            _ => return Err(USAGE.to_owned()),
        }
    }
    let end = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    println!("the first seed is {seed}");
    let mut asked = 0;
    while Instant::now() < end {
        let mut random = Random::new(seed);
        asked += match what.as_str() {
            "parser" => parse_some(&mut random, seed)?,
            "evaluator" => evaluate_some(&mut random, seed)?,
            _ => return Err(USAGE.to_owned()),
        };
        seed = seed.wrapping_add(1);
    }
    Ok(asked)
}

fn parse_some(random: &mut Random, seed: u64) -> Result<u64, String> {
    let features = Features {
        experimental_functions: true,
        extended_range_selectors: true,
        binop_fill_modifiers: true,
        ..Features::default()
    };
    for _ in 0..1_000 {
        let query = broken(random);
        guarded(seed, &query, || {
            if let Ok(expr) = promql::parser::parse(&query, &features) {
                // What is printed reads back as the same.
                let printed = expr.to_string();
                let again = promql::parser::parse(&printed, &features).map(|expr| expr.to_string());
                assert_eq!(again.as_ref(), Ok(&printed), "{query} is printed as {printed}");
                drop(expr.prettify());
            }
        })?;
    }
    Ok(1_000)
}

/// An expression with pieces cut out, doubled and put in.
fn broken(random: &mut Random) -> String {
    let mut query: Vec<char> = Grammar::new(random).query(true).to_string().chars().collect();
    for _ in 0..random.below(8) {
        let at = random.below(query.len() as u64 + 1) as usize;
        let length = (random.below(12) as usize).min(query.len() - at);
        match random.below(4) {
            0 => drop(query.drain(at..at + length)),
            1 => {
                let part: Vec<char> = query.iter().skip(at).take(length).copied().collect();
                let times = if random.chance(0.02) { 5_000 } else { 1 };
                query.splice(at..at, std::iter::repeat_n(part, times).flatten());
            }
            _ => {
                let piece = PIECES[random.below(PIECES.len() as u64) as usize];
                let times = if random.chance(0.02) { 20_000 } else { 1 };
                query.splice(at..at, std::iter::repeat_n(piece, times).flat_map(str::chars));
            }
        }
    }
    query.into_iter().collect()
}

fn evaluate_some(random: &mut Random, seed: u64) -> Result<u64, String> {
    let series = data::series(random, Kinds { histograms: true, start_timestamps: true });
    let store = Store::new(&series);
    for _ in 0..200 {
        let mut query = Grammar::new(random).query(false).to_string();
        for (known, hostile) in
            [("5m", "1y"), ("10m", "9999y"), ("1m", "1ms"), ("90s", "100y"), ("2m", "0.001")]
        {
            if random.chance(0.1) {
                query = query.replace(known, hostile);
            }
        }
        let start = [0, 1_000_000, i64::MIN / 2, i64::MAX / 2, -1][random.below(5) as usize];
        let step = [1, 1_000, 60_000, i64::MAX / 4][random.below(4) as usize];
        let end =
            start.saturating_add(step.saturating_mul([0, 10, 10_000, 1_000_000][random.below(4) as usize]));
        let options = Options {
            delayed_name_removal: random.chance(0.5),
            start_timestamps: random.chance(0.5),
            max_samples: [10, 1_000, 1_000_000][random.below(3) as usize],
            per_step_stats: false,
        };
        let request = Request { load: None, query, start, end, step, options };
        let begun = Instant::now();
        guarded(seed, &format!("{start}..{end} {step} {}", request.query), || {
            drop(store.ask(&request, &Deadline(begun + QUERY_MAX)));
        })?;
        if begun.elapsed() > QUERY_MAX + STOP_MAX {
            return Err(format!("seed {seed}: {request:?} took {:?}", begun.elapsed()));
        }
    }
    Ok(200)
}

struct Deadline(Instant);

impl Interrupt for Deadline {
    fn check(&self) -> Result<(), QueryError> {
        if Instant::now() > self.0 { Err(QueryError::Timeout("expression evaluation")) } else { Ok(()) }
    }
}

fn guarded(seed: u64, what: &str, work: impl FnOnce()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| format!("seed {seed}: {what:.2000}"))
}
