//! `foxfire tsdb create-blocks-from openmetrics`: a file of any size into blocks, in bounded memory.
//!
//! ```text
//! file ─► input (1 MiB at a time, unpacked) ─► parser ─► importer (series cache, budget) ─► tsdb::Backfill ─► commit
//!                                                                                              └► merge, where due
//! ```

mod families;
mod importer;
mod input;
mod progress;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use platform::Deadline;
use tsdb::{Backfilled, Store};
use wire::BlockMeta;

use self::importer::Importer;
use self::input::Input;
use self::progress::Progress;
use super::open::Opened;
use super::{list, open, units};
use crate::complain;

/// What an import holds in memory before it writes blocks, bytes: with the writing, it stays below 256 MiB.
const MEMORY_BYTES: usize = 128 << 20;
/// Blocks of a day are made where the user allows blocks of this length.
const DAY: Duration = Duration::from_secs(86_400);
/// What `foxfire serve` keeps without being told otherwise, ms.
const RETENTION_DEFAULT_MS: i64 = 15 * 86_400_000;
/// One call of the merger gets this long, ms; then progress is shown.
const MERGE_STEP_MS: i64 = 600_000;

/// Flags of `create-blocks-from`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CreateBlocksFromFlags {
    /// Print human readable values.
    #[arg(short = 'r', long, global = true)]
    human_readable: bool,
    /// Do not print created blocks.
    #[arg(short = 'q', long, global = true)]
    quiet: bool,
    /// Maximum duration created blocks may span: blocks are of 2h, or from 1d on of a day.
    #[arg(long, global = true, hide = true, default_value = "2h", value_name = "DURATION", value_parser = parse_duration)]
    max_block_duration: Duration,
    #[command(subcommand)]
    source: Source,
}

/// Where samples come from.
#[derive(Clone, Debug, Subcommand)]
enum Source {
    /// Import samples from OpenMetrics input and produce TSDB blocks.
    Openmetrics(OpenmetricsFlags),
}

#[derive(Clone, Debug, Args)]
struct OpenmetricsFlags {
    /// Label to attach to metrics. Can be specified multiple times. Example --label=label_name=label_value
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// OpenMetrics file to read samples from; `-` for standard input. A file that ends in .gz or .zst is unpacked.
    #[arg(value_name = "input file")]
    input: PathBuf,
    /// Output directory for generated blocks.
    #[arg(value_name = "output directory", default_value = "data/")]
    output: PathBuf,
}

/// Imports; prints the blocks that are new.
pub(super) async fn run(flags: &CreateBlocksFromFlags) -> Result<(), String> {
    let Source::Openmetrics(source) = &flags.source;
    // Before anything is made.
    let input = Input::open(&source.input)?;
    let opened = open::or_create(&source.output)?;
    let outcome = import(flags, source, input, &opened).await;
    opened.close().await;
    outcome
}

async fn import(
    flags: &CreateBlocksFromFlags,
    source: &OpenmetricsFlags,
    mut input: Input,
    opened: &Opened,
) -> Result<(), String> {
    let clock = opened.local.platform.clock.as_ref();
    let mut progress = Progress::new(clock, flags.quiet, input.len());
    let before = blocks(&opened.store).await?;
    let backfill = opened.store.backfill().await.map_err(|error| error.to_string())?;
    let mut importer = Importer::new(backfill, &source.labels, MEMORY_BYTES);
    let read = importer.read(&mut input, &mut progress).await;
    progress.finish();
    if let Err(error) = read {
        return Err(format!("{}: {error}; nothing was imported", shown(&source.input)));
    }
    let done = importer.commit().await.map_err(|error| {
        format!("commit: {error}; whether the samples are there can be seen with `foxfire tsdb list`")
    })?;
    warn(&done, clock.now_ms());
    if flags.max_block_duration >= DAY || has_pieces(&done.blocks) {
        merge(&opened.store, clock, flags.quiet)
            .await
            .map_err(|error| format!("the samples are imported, but merging their blocks failed: {error}"))?;
    }
    if !flags.quiet {
        let mut made = blocks(&opened.store).await?;
        let old: BTreeSet<String> = before.into_iter().map(|block| block.id).collect();
        made.retain(|block| !old.contains(&block.id));
        if !made.is_empty() {
            list::print(made, flags.human_readable);
        }
    }
    Ok(())
}

/// Whether memory was too small for some window, so that it has more than one block.
fn has_pieces(blocks: &[BlockMeta]) -> bool {
    let mut windows = BTreeSet::new();
    let window = |block: &BlockMeta| block.min_time.div_euclid(7_200_000);
    !blocks.iter().all(|block| windows.insert(window(block)))
}

async fn merge(store: &Store, clock: &dyn platform::Clock, quiet: bool) -> Result<(), String> {
    loop {
        if !quiet {
            complain("merging blocks");
        }
        let deadline = Deadline(clock.now_ms().saturating_add(MERGE_STEP_MS));
        let done = store.compact(clock.now_ms(), deadline).await.map_err(|error| error.to_string())?;
        if done.complete {
            return Ok(());
        }
    }
}

fn warn(done: &Backfilled, now: i64) {
    if done.conflicting > 0 {
        complain(format_args!(
            "warning: {} samples had the series and timestamp of an earlier one with another value; the earlier one counts",
            done.conflicting
        ));
    }
    if let Some(oldest) = done.blocks.iter().map(|block| block.min_time).min()
        && oldest < now.saturating_sub(RETENTION_DEFAULT_MS)
    {
        complain(format_args!(
            "note: the oldest samples are of {}; foxfire serve drops what is older than its --storage.retention.time \
             (15d unless set)",
            units::instant(oldest, true)
        ));
    }
}

async fn blocks(store: &Store) -> Result<Vec<BlockMeta>, String> {
    store.blocks().await.map_err(|error| error.to_string())
}

fn shown(path: &Path) -> String {
    if input::is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    model::duration::parse(text).map_err(|error| error.to_string())
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() {
        return Err("the label has no name".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_name_and_a_value() {
        assert_eq!(parse_label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(parse_label("a").is_err() && parse_label("=b").is_err());
    }

    #[test]
    fn windows_with_more_than_one_block_are_seen() {
        let block = |min_time| BlockMeta { min_time, ..BlockMeta::default() };
        assert!(!has_pieces(&[block(0), block(7_200_000), block(-1)]));
        assert!(has_pieces(&[block(0), block(7_199_999)]));
    }
}
