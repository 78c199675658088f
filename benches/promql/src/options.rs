//! The command line.

use storage_bench::Outcome;

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// How many series the queries look at.
    pub(crate) series: Vec<usize>,
    /// How often each query is measured; the best counts.
    pub(crate) rounds: u32,
    /// Only queries whose text contains this.
    pub(crate) only: String,
    /// Whether Prometheus is measured, too.
    pub(crate) prometheus: bool,
}

const USAGE: &str = "\
Usage: promql-bench [--series 1000,10000,100000] [--rounds 3] [--only TEXT] [--prometheus yes|no]

  --series      how many series the queries look at
  --rounds      how often each query is measured; the best counts
  --only        only queries whose text contains TEXT
  --prometheus  whether Prometheus's engine is measured, too (needs Go)";

impl Options {
    /// Reads the command line's arguments, without the program's name.
    ///
    /// # Errors
    /// The usage, where an argument is not known or malformed.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Outcome<Self> {
        let mut options =
            Self { series: vec![1_000, 10_000, 100_000], rounds: 3, only: String::new(), prometheus: true };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            match argument.as_str() {
                "--series" => {
                    options.series =
                        value.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| USAGE)?;
                }
                "--rounds" => options.rounds = value.parse().map_err(|_| USAGE)?,
                "--only" => options.only = value,
                "--prometheus" => options.prometheus = value == "yes",
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}
