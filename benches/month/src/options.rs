//! What is run.

use std::str::FromStr;

/// How to call it.
pub(crate) const USAGE: &str = "usage: month-bench [--series 10000] [--hours 6] [--groups 2] [--rules 20] [--queries 100000] \
[--spread-ms N] [--at-once true|false] [--window-ms N] [--inline-bytes N] [--blocks-minutes 5] [--requests true] [--collect-minute 30]\n\
       month-bench --aws MINUTES …  (built with --features aws)";

/// The options.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Active series, on machines of about 920 series each.
    pub(crate) series: usize,
    /// Hours of virtual time.
    pub(crate) hours: u32,
    /// Rule groups.
    pub(crate) groups: usize,
    /// Rules, over all groups.
    pub(crate) rules: usize,
    /// Queries a month.
    pub(crate) queries: f64,
    /// Length of a cell in which targets make a batch, ms.
    pub(crate) spread_ms: Option<u64>,
    /// Whether a batch's targets are scraped at once.
    pub(crate) at_once: Option<bool>,
    /// Compaction's window, ms.
    pub(crate) window_ms: Option<i64>,
    /// A larger payload goes to an object.
    pub(crate) inline_bytes: Option<usize>,
    /// Minutes between two looks for blocks to merge.
    pub(crate) blocks_minutes: u32,
    /// The minute of the hour in which the collector runs.
    pub(crate) collect_minute: u32,
    /// Minutes to run on AWS, or what says that it is.
    pub(crate) aws_minutes: u32,
    /// Whether every action of every function is listed.
    pub(crate) requests: bool,
}

/// Reads the command line.
pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        series: 10_000,
        hours: 6,
        groups: 2,
        rules: 20,
        queries: 100_000.0,
        spread_ms: None,
        at_once: None,
        window_ms: None,
        inline_bytes: None,
        blocks_minutes: 5,
        collect_minute: 30,
        aws_minutes: 0,
        requests: false,
    };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} has no value"))?;
        match name.as_str() {
            "--series" => options.series = number(&value)?,
            "--hours" => options.hours = number(&value)?,
            "--groups" => options.groups = number(&value)?,
            "--rules" => options.rules = number(&value)?,
            "--queries" => options.queries = number(&value)?,
            "--spread-ms" => options.spread_ms = Some(number(&value)?),
            "--at-once" => options.at_once = Some(number(&value)?),
            "--window-ms" => options.window_ms = Some(number(&value)?),
            "--inline-bytes" => options.inline_bytes = Some(number(&value)?),
            "--blocks-minutes" => options.blocks_minutes = number(&value)?,
            "--collect-minute" => options.collect_minute = number(&value)?,
            "--aws" => options.aws_minutes = number(&value)?,
            "--requests" => options.requests = number(&value)?,
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(options)
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is malformed"))
}
