//! `foxfire tsdb list`.

use clap::Args;
use wire::BlockMeta;

use super::{DbPath, open, table, units};
use crate::say;

/// Flags of `list`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ListFlags {
    /// Print human readable values.
    #[arg(short = 'r', long)]
    human_readable: bool,
    #[command(flatten)]
    db: DbPath,
}

/// Lists the blocks in order of time.
pub(super) async fn run(flags: &ListFlags) -> Result<(), String> {
    let opened = open::existing(&flags.db.path)?;
    let blocks = opened.store.blocks().await.map_err(|error| error.to_string());
    opened.close().await;
    print(blocks?, flags.human_readable);
    Ok(())
}

/// Prints blocks as a table.
pub(super) fn print(mut blocks: Vec<BlockMeta>, human_readable: bool) {
    blocks.sort_by(|a, b| (a.min_time, a.max_time, &a.id).cmp(&(b.min_time, b.max_time, &b.id)));
    let header =
        ["BLOCK ULID", "MIN TIME", "MAX TIME", "DURATION", "NUM SAMPLES", "NUM SERIES", "SIZE", "LEVEL"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(blocks.iter().map(|block| {
        vec![
            ulid(block).to_owned(),
            units::instant(block.min_time, human_readable),
            units::instant(block.max_time, human_readable),
            units::duration(block.max_time.saturating_sub(block.min_time)),
            block.samples.to_string(),
            block.series.to_string(),
            units::size(size(block), human_readable),
            block.level.to_string(),
        ]
    }));
    for line in table::lines(&rows) {
        say(line);
    }
}

/// A block's id without its scope.
pub(super) fn ulid(block: &BlockMeta) -> &str {
    block.id.rsplit('/').next().unwrap_or(&block.id)
}

/// The bytes of a block's files.
pub(super) fn size(block: &BlockMeta) -> u64 {
    block.files.iter().map(|file| file.len).sum()
}
