//! `foxfire tsdb verify`.

use std::collections::BTreeMap;

use clap::Args;
use tsdb::{Orphan, Verification, VerifyProgress};

use super::{DbPath, list, open, units};
use crate::{complain, say};

/// Flags of `verify`.
#[derive(Clone, Debug, Args)]
pub(crate) struct VerifyFlags {
    /// Print problems only.
    #[arg(short = 'q', long)]
    quiet: bool,
    #[command(flatten)]
    db: DbPath,
}

/// Verifies; an error where there is a problem.
pub(super) async fn run(flags: &VerifyFlags) -> Result<(), String> {
    let opened = open::existing(&flags.db.path)?;
    let mut progress = |step: VerifyProgress<'_>| {
        if flags.quiet {
            return;
        }
        match step {
            VerifyProgress::Block { meta, at, of } => say(format_args!(
                "block {} of {of}: {} ({} samples, {})",
                at + 1,
                list::ulid(meta),
                meta.samples,
                units::rough_size(list::size(meta)),
            )),
            VerifyProgress::Segments(count) => say(format_args!("{count} segments")),
            VerifyProgress::Orphans => {}
        }
    };
    let verified = opened.store.verify(&mut progress).await.map_err(|error| error.to_string());
    opened.close().await;
    let found = verified?;
    for problem in &found.problems {
        complain(format_args!("PROBLEM: {problem}"));
    }
    if !flags.quiet {
        say_orphans(&found.orphans);
        say_summary(&found);
    }
    match found.problems.len() {
        0 => Ok(()),
        1 => Err("1 problem found".to_owned()),
        count => Err(format!("{count} problems found")),
    }
}

/// What nothing refers to, a line for each block and one for all manifests.
fn say_orphans(orphans: &[Orphan]) {
    let mut groups: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for orphan in orphans {
        let group = match orphan.key.rsplit_once('/') {
            Some((folder, _)) => folder,
            None => &orphan.key,
        };
        let (count, bytes) = groups.entry(group).or_default();
        *count += 1;
        *bytes += orphan.bytes;
    }
    for (group, (count, bytes)) in groups {
        let size = units::rough_size(bytes);
        say(format_args!(
            "info: {group}: {count} objects ({size}) that nothing refers to; the collector deletes them"
        ));
    }
}

fn say_summary(found: &Verification) {
    let Verification { blocks, series, samples, exemplars, bytes, segments, segment_samples, .. } = found;
    let size = units::rough_size(*bytes);
    say(format_args!(
        "verified {blocks} blocks ({samples} samples of {series} series, {exemplars} exemplars, {size}) and {segments} segments \
         ({segment_samples} samples)"
    ));
}
