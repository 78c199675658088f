//! Everything in one run; prints tables in Markdown.

use std::io::Write;

use storage_bench::table::{Table, count, percent};
use storage_bench::{Outcome, capture, data::DataSet, generate};

fn main() -> Outcome<()> {
    let mut sets: Vec<DataSet> = Vec::new();
    if let Some(captures) = capture::load()? {
        sets.push(capture::data_set(&captures, capture::Instants::Scheduled)?);
    }
    sets.push(generate::Plan { seed: 1, scale: 1, steps: generate::DAY_STEPS }.data_set());
    let mut table =
        Table::new("Data", &["set", "series", "samples", "constant series", "changes", "NaNs left out"]);
    for data in &sets {
        let stats = data.stats();
        table.row([
            data.name.clone(),
            count(stats.series),
            count(stats.samples),
            percent(stats.constant_series as f64, stats.series as f64),
            percent(stats.changes as f64, stats.samples as f64),
            count(data.nans_left_out),
        ]);
    }
    write!(std::io::stdout(), "{table}")?;
    Ok(())
}
