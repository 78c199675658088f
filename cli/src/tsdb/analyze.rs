//! `foxfire tsdb analyze`.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use model::Matcher;
use model::labels::METRIC_NAME;
use model::matcher::matches_all;
use storage::Series;
use tsdb::ColumnBytes;
use tsdb::block::BlockReader;
use wire::BlockMeta;

use super::open::Opened;
use super::{DbPath, distribution, list, open, units};
use crate::say;

/// Samples that are decoded at a time.
const BATCH_SAMPLES: usize = 1 << 19;

/// Flags of `analyze`.
#[derive(Clone, Debug, Args)]
pub(crate) struct AnalyzeFlags {
    /// How many items to show in each list.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    /// Run extended analysis.
    #[arg(long)]
    extended: bool,
    /// Series selector to analyze. Only 1 set of matchers is supported now.
    #[arg(long = "match", value_name = "SELECTOR")]
    matches: Option<String>,
    #[command(flatten)]
    db: DbPath,
    /// Block to analyze (default is the last block).
    #[arg(value_name = "block id")]
    block: Option<String>,
}

/// Analyzes one block.
pub(super) async fn run(flags: &AnalyzeFlags) -> Result<(), String> {
    let matchers = match &flags.matches {
        Some(text) => promql::parser::parse_metric_selector(text).map_err(|error| error.to_string())?,
        None => vec![],
    };
    let opened = open::existing(&flags.db.path)?;
    let analyzed = analyze(&opened, flags, &matchers).await;
    opened.close().await;
    analyzed
}

async fn analyze(opened: &Opened, flags: &AnalyzeFlags, matchers: &[Matcher]) -> Result<(), String> {
    let blocks = opened.store.blocks().await.map_err(|error| error.to_string())?;
    let meta = choose(&blocks, flags.block.as_deref())?;
    let mut found = Found::default();
    let objects = std::sync::Arc::clone(&opened.local.platform.objects);
    let reader = BlockReader::open(objects, meta).await.map_err(|error| error.to_string())?;
    let mut scan = reader.scan().with_batch(BATCH_SAMPLES);
    while let Some(batch) = scan.next().await.map_err(|error| error.to_string())? {
        for series in batch.iter().filter(|series| matches_all(matchers, &series.labels)) {
            found.add(series, meta);
        }
    }
    found.print(meta, flags);
    let columns = opened.store.column_bytes(meta).await.map_err(|error| error.to_string())?;
    print_columns(&columns, meta);
    if flags.extended {
        say("\nSeries analysis:\n");
        distribution::print("float samples per series", &mut found.floats);
        distribution::print("histogram samples per series", &mut found.histograms);
        distribution::print("buckets per histogram", &mut found.buckets);
    }
    Ok(())
}

/// The block with an id, or the last one.
fn choose<'a>(blocks: &'a [BlockMeta], id: Option<&str>) -> Result<&'a BlockMeta, String> {
    match id {
        Some(id) => blocks
            .iter()
            .find(|block| block.id == id || list::ulid(block) == id)
            .ok_or_else(|| format!("block {id} not found")),
        None => blocks
            .iter()
            .max_by_key(|block| (block.min_time, block.max_time))
            .ok_or_else(|| "no blocks found".to_owned()),
    }
}

/// What is counted for a label pair.
#[derive(Default)]
struct Pair {
    series: u64,
    /// How much of the block's time its series do not cover, ms, in sum.
    uncovered: u64,
}

/// What a block's series are like.
#[derive(Default)]
struct Found {
    series: u64,
    pairs: BTreeMap<String, BTreeMap<String, Pair>>,
    floats: Vec<u64>,
    histograms: Vec<u64>,
    buckets: Vec<u64>,
}

impl Found {
    fn add(&mut self, series: &Series, meta: &BlockMeta) {
        self.series += 1;
        let (floats, histograms) = (&series.timestamps, &series.histograms.timestamps);
        let first = floats.first().into_iter().chain(histograms.first()).min();
        let last = floats.last().into_iter().chain(histograms.last()).max();
        let covered = last.zip(first).map_or(0, |(last, first)| last - first);
        let uncovered = u64::try_from(duration(meta) - covered).unwrap_or(0);
        for (name, value) in &series.labels {
            let values = match self.pairs.get_mut(name) {
                Some(values) => values,
                None => self.pairs.entry(name.to_owned()).or_default(),
            };
            let pair = match values.get_mut(value) {
                Some(pair) => pair,
                None => values.entry(value.to_owned()).or_default(),
            };
            pair.series += 1;
            pair.uncovered += uncovered;
        }
        if !floats.is_empty() {
            self.floats.push(floats.len() as u64);
        }
        if !histograms.is_empty() {
            self.histograms.push(histograms.len() as u64);
        }
        for histogram in series.histograms.values.iter() {
            let buckets = histogram.positive_buckets.len() + histogram.negative_buckets.len();
            self.buckets.push(buckets as u64);
        }
    }

    fn print(&self, meta: &BlockMeta, flags: &AnalyzeFlags) {
        say(format_args!("Block ID: {}", list::ulid(meta)));
        say(format_args!("Duration: {}", units::duration(duration(meta))));
        say(format_args!("Total Series: {}", meta.series));
        if let Some(matches) = &flags.matches {
            say(format_args!("Matcher: {matches}"));
        }
        say(format_args!("Label names: {}", self.pairs.len()));
        if flags.matches.is_some() {
            say(format_args!("Matched series: {}", self.series));
        }
        let pairs = || {
            self.pairs
                .iter()
                .flat_map(|(name, values)| values.iter().map(move |(value, pair)| (name, value, pair)))
        };
        say(format_args!("Postings (unique label pairs): {}", pairs().count()));
        let entries: u64 = pairs().map(|(.., pair)| pair.series).sum();
        say(format_args!("Postings entries (total label pairs): {entries}"));
        let blocks = |uncovered: u64| uncovered / u64::try_from(duration(meta)).unwrap_or(1).max(1);
        let of_names = |count: &dyn Fn(&BTreeMap<String, Pair>) -> u64| {
            self.pairs.iter().map(|(name, values)| (count(values), name.clone())).collect::<Vec<_>>()
        };
        let none = BTreeMap::new();
        let metrics = self.pairs.get(METRIC_NAME).unwrap_or(&none);
        for (title, items) in [
            (
                "Label pairs most involved in churning:",
                pairs()
                    .map(|(name, value, pair)| (blocks(pair.uncovered), format!("{name}={value}")))
                    .collect(),
            ),
            (
                "Label names most involved in churning:",
                of_names(&|values| blocks(values.values().map(|pair| pair.uncovered).sum())),
            ),
            (
                "Most common label pairs:",
                pairs().map(|(name, value, pair)| (pair.series, format!("{name}={value}"))).collect(),
            ),
            (
                "Label names with highest cumulative label value length:",
                of_names(&|values| values.keys().map(|value| value.len() as u64).sum()),
            ),
            ("Highest cardinality labels:", of_names(&|values| values.len() as u64)),
            (
                "Highest cardinality metric names:",
                metrics.iter().map(|(name, pair)| (pair.series, name.clone())).collect(),
            ),
        ] {
            say(format_args!("\n{title}"));
            print_top(items, flags.limit);
        }
    }
}

/// The items with the greatest numbers.
fn print_top(mut items: Vec<(u64, String)>, limit: usize) {
    // Stable, so that equal ones stay in order of their names.
    items.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    for (number, item) in items.iter().take(limit) {
        say(format_args!("{number} {item}"));
    }
}

fn print_columns(columns: &[ColumnBytes], meta: &BlockMeta) {
    say("\nBytes per sample by column:");
    let samples = meta.samples.max(1) as f64;
    let total: u64 = columns.iter().map(|column| column.bytes).sum();
    for column in columns.iter().filter(|column| column.bytes > 0) {
        let per_sample = column.bytes as f64 / samples;
        say(format_args!("{per_sample:.4} {} {} ({} bytes)", column.file, column.column, column.bytes));
    }
    let files: BTreeSet<&str> = meta.files.iter().map(|file| file.name.as_str()).collect();
    say(format_args!("{:.4} all {} files ({total} bytes)", total as f64 / samples, files.len()));
}

fn duration(meta: &BlockMeta) -> i64 {
    meta.max_time.saturating_sub(meta.min_time)
}
