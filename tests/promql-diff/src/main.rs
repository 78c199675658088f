//! `promql-diff`: hunts for queries that foxfire and Prometheus answer differently, for as long as it is told.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for the terminal")]

use std::process::ExitCode;

use prometheus_engine::Request;
use promql_diff::data::Kinds;
use promql_diff::hunt::{Hunted, Hunter, QUERIES_PER_SEED};

const USAGE: &str = "\
Usage: promql-diff [--queries 100000] [--seed N] [--most 20] [--histograms yes|no] [--start-timestamps yes|no]
                   [--print yes|no]

  --queries           how many queries to ask
  --seed              the first seed, of 100 queries each; random by default
  --most              how many differences to shrink and print; the rest is counted
  --histograms        whether some samples are native histograms
  --start-timestamps  whether some samples have start timestamps
  --print             whether to print each query before it is asked

Exits non-zero where something differs.";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("promql-diff: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, String> {
    let mut print = false;
    let (mut queries, mut seed, mut most, mut kinds) =
        (100_000_u64, random_seed(), 20, Kinds { histograms: true, start_timestamps: true });
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        let number = || value.parse::<u64>().map_err(|_| USAGE);
        match argument.as_str() {
            "--queries" => queries = number()?,
            "--seed" => seed = number()?,
            "--most" => most = number()?,
            "--histograms" => kinds.histograms = value == "yes",
            "--start-timestamps" => kinds.start_timestamps = value == "yes",
            "--print" => print = value == "yes",
            _ => return Err(USAGE.to_owned()),
        }
    }
    println!("the first seed is {seed}");
    let mut hunter = Hunter::new(&prometheus_engine::binary()?, kinds)?;
    let mut hunted = Hunted::default();
    let before = |seed: u64, request: &Request| {
        if print {
            eprintln!("{seed} {}..{} {} {}", request.start, request.end, request.step, request.query);
        }
    };
    while hunted.asked < queries {
        let printed = hunted.found.len();
        let asked = (queries - hunted.asked).min(QUERIES_PER_SEED);
        hunter.hunt(seed, asked, most as usize, &mut hunted, &before)?;
        for found in hunted.found.iter().skip(printed).take((most as usize).saturating_sub(printed)) {
            println!("{found}");
        }
        seed = seed.wrapping_add(1);
    }
    let Hunted { asked, with_series, failed, annotated, rounding, undefined, found } = &hunted;
    println!(
        "{asked} queries: {with_series} gave series, {failed} failed, {annotated} were annotated; {} differ, \
         {rounding} more because transcendental functions round, {undefined} to which Prometheus gives several answers",
        found.len()
    );
    Ok(found.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "a seed that nobody chose")]
fn random_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64 >> 10)
}
