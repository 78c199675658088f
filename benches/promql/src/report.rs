//! Runs the queries in both engines and prints the table.

use std::path::Path;

use prometheus_engine::Engine;
use storage_bench::Outcome;
use storage_bench::table::{Table, count};

use crate::measure::{Measured, Measurement};
use crate::options::Options;
use crate::queries::{QUERIES, Query};

/// Measures everything.
///
/// # Errors
/// Where an engine cannot be run or a file cannot be written.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for the terminal")]
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let ours = std::env::current_exe()?;
    let theirs = if options.prometheus { Some(prometheus_engine::binary()?) } else { None };
    let folder = tempfile::tempdir()?;
    let mut all = Ratios::default();
    for series in &options.series {
        let mut table = Table::new(
            format!("PromQL over {} series", count(*series as u64)),
            &[
                "query",
                "times",
                "foxfire ms",
                "Prometheus ms",
                "faster",
                "foxfire MB",
                "Prometheus MB",
                "samples",
            ],
        );
        let mut here = Ratios::default();
        for query in QUERIES.iter().filter(|query| query.text.contains(&options.only)) {
            let file = folder.path().join(format!("{series}-{:?}", query.families));
            if !file.exists() {
                crate::data::write(&file, query.families, *series)?;
            }
            let measured = measure(&ours, &file, query, options.rounds)?;
            let peer = match &theirs {
                Some(theirs) => Some(measure(theirs, &file, query, options.rounds)?),
                None => None,
            };
            eprintln!("{series} {} {measured:?} {peer:?}", query.text);
            here.add(query, &measured, peer.as_ref());
            table.row(row(query, &measured, peer.as_ref()));
        }
        here.notes(&mut table);
        println!("{table}");
        all.join(here);
        // The samples of one size at a time.
        for file in std::fs::read_dir(folder.path())? {
            std::fs::remove_file(file?.path())?;
        }
    }
    let mut table = Table::new("All sizes", &[]);
    all.notes(&mut table);
    println!("{table}");
    Ok(())
}

fn measure(binary: &Path, file: &Path, query: &Query, rounds: u32) -> Outcome<Measured> {
    let (start, end, step) = query.times.bounds();
    let mut engine = Engine::start(binary, &["measure", &file.to_string_lossy()])?;
    let request = Measurement { query: query.text.to_owned(), start, end, step, rounds };
    Ok(engine.ask(&request)?)
}

fn row(query: &Query, ours: &Measured, theirs: Option<&Measured>) -> Vec<String> {
    let ms = |measured: &Measured| format!("{:.2}", measured.seconds * 1e3);
    let mb = |measured: &Measured| format!("{:.1}", measured.peak_bytes as f64 / 1e6);
    vec![
        format!("`{}`", query.text.replace('|', "\\|")),
        query.times.describe().to_owned(),
        ms(ours),
        theirs.map(ms).unwrap_or_default(),
        theirs.map(|theirs| format!("{:.1}", theirs.seconds / ours.seconds)).unwrap_or_default(),
        mb(ours),
        theirs.map(mb).unwrap_or_default(),
        count(ours.points),
    ]
}

/// How much faster and leaner foxfire is.
#[derive(Debug, Default)]
struct Ratios {
    faster: Vec<f64>,
    leaner: Vec<f64>,
    different: Vec<String>,
}

impl Ratios {
    fn add(&mut self, query: &Query, ours: &Measured, theirs: Option<&Measured>) {
        let Some(theirs) = theirs else { return };
        let near = (ours.sum - theirs.sum).abs() <= 1e-9 * ours.sum.abs().max(theirs.sum.abs());
        let same = ours.points == theirs.points && ours.series == theirs.series && near;
        if !same || !ours.error.is_empty() || !theirs.error.is_empty() {
            self.different.push(format!("`{}`: {ours:?} and {theirs:?}", query.text));
            return;
        }
        self.faster.push(theirs.seconds / ours.seconds);
        // What is below a page or two is as good as nothing.
        let least = 65_536.0;
        self.leaner.push((theirs.peak_bytes as f64).max(least) / (ours.peak_bytes as f64).max(least));
    }

    fn join(&mut self, mut other: Self) {
        self.faster.append(&mut other.faster);
        self.leaner.append(&mut other.leaner);
        self.different.append(&mut other.different);
    }

    fn notes(&self, table: &mut Table) {
        for (what, ratios) in [("faster", &self.faster), ("less memory", &self.leaner)] {
            if ratios.is_empty() {
                continue;
            }
            let mean = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
            let least = ratios.iter().copied().fold(f64::MAX, f64::min);
            let below = ratios.iter().filter(|ratio| **ratio < 1.0).count();
            table.note(format!(
                "{what}: geometric mean {mean:.1}x over {} queries, least {least:.2}x, {below} below 1.",
                ratios.len()
            ));
        }
        for different in &self.different {
            table.note(format!("The engines differ: {different}"));
        }
    }
}
