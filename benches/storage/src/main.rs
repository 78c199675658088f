//! Everything in one run; prints tables in Markdown as they come.

use std::io::Write;

use storage_bench::capture::{self, Instants};
use storage_bench::data::DataSet;
use storage_bench::generate::Plan;
use storage_bench::options::Options;
use storage_bench::parts::{reads, sizes, speed, wal, wal_cost};
use storage_bench::table::Table;
use storage_bench::{Outcome, usage};

fn main() -> Outcome<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let captures = capture::load()?.unwrap_or_default();
    let seed = options.seeds.first().copied().unwrap_or(1);
    if options.has("sizes") || options.has("speed") {
        let peers = options.peer_days > 0;
        let mut sets: Vec<(DataSet, bool)> = Vec::new();
        if !captures.is_empty() {
            sets.push((capture::data_set(&captures, Instants::Scheduled)?, peers));
            sets.push((capture::data_set(&captures, Instants::Recorded)?, peers));
        }
        for (number, seed) in options.seeds.iter().enumerate() {
            let plan = Plan { seed: *seed, scale: 1, steps: options.steps };
            sets.push((plan.data_set(), number < options.peer_days));
        }
        print(&[sizes::data(&sets)])?;
        if options.has("sizes") {
            print(&sizes::run(&sets)?)?;
        }
        if options.has("speed") {
            print(&[speed::run(&sets, options.repeat)?])?;
        }
    }
    if options.has("reads") {
        let plan = Plan { seed, scale: options.scale, steps: options.steps };
        print(&reads::run(&plan.data_set())?)?;
    }
    if options.has("wal") {
        print(&wal::run(&captures, seed, options.repeat)?)?;
    }
    if options.has("cost") {
        print(&[wal_cost::run(seed)?])?;
    }
    writeln!(
        std::io::stdout(),
        "Used by this process: {:.1} s of CPU, at most {} MiB of memory.",
        usage::cpu_time().as_secs_f64(),
        usage::peak_rss_bytes() >> 20
    )?;
    Ok(())
}

fn print(tables: &[Table]) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    for table in tables {
        write!(out, "{table}")?;
    }
    Ok(out.flush()?)
}
