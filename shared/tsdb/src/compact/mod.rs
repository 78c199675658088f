//! Compaction: segments to blocks of level 1, blocks to larger blocks, retention. Any number of compactors may run at
//! once: each attempt reads the head, writes objects that nobody else names, and commits by one compare-and-set.
//!
//! ```text
//! head v ─► rows of watermark <= tick < new watermark ─► replay ─► block/<ulid> … ─► commit v+1   (segments)
//! head v ─► plan ─► scan of the inputs in order of series ─► block/<ulid> ─► commit v+1           (blocks)
//! ```
//!
//! Nothing is deleted here (P5): what lost its place is the collector's to find.

mod blocks;
mod output;
mod segments;

use platform::Deadline;
pub(crate) use segments::context_from;
use wire::{BlockMeta, Manifest};

use crate::error::TsdbError;
use crate::head::Commit;
use crate::planner::{Job, plan};
use crate::store::Store;

/// An attempt that loses so many commits leaves the work to who wins them.
const LOST_MAX: u64 = 3;

/// What a call of [`Store::compact`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Commits of segments to blocks of level 1.
    pub segment_jobs: u64,
    /// Segments that they consumed.
    pub segments: u64,
    /// Commits that merged blocks.
    pub merge_jobs: u64,
    /// Commits that dropped blocks by retention.
    pub drop_jobs: u64,
    /// Samples written to blocks.
    pub samples: u64,
    /// Bytes written to blocks.
    pub bytes: u64,
    /// The blocks that were committed.
    pub written: Vec<BlockMeta>,
    /// Commits that somebody else made first.
    pub lost: u64,
    /// Whether nothing was left to do.
    pub complete: bool,
    /// Segments whose tick is before this, ms, are in blocks.
    pub watermark: i64,
}

impl Store {
    /// Does everything that is due at `tick`, ms (or now, if that is earlier), or as much as the deadline allows.
    ///
    /// # Errors
    /// [`TsdbError`]. What was committed before stays. `Halt` means that a person must look.
    pub async fn compact(&self, tick: i64, deadline: Deadline) -> Result<Compacted, TsdbError> {
        let mut done = Compacted::default();
        while done.lost < LOST_MAX && self.ports.check(deadline, "compacting").is_ok() {
            let parent = self.load().await?;
            done.watermark = parent.head.watermark;
            let now = tick.min(self.ports.now());
            let due = self.segments_due(&parent, now);
            let job = plan(&parent.manifest, parent.head.watermark, now, &self.settings).into_iter().next();
            let commit = match (due, job) {
                (Some(until), _) => self.compact_segments(&parent, now, until, deadline, &mut done).await?,
                (None, Some(Job::Merge { level, blocks })) => {
                    self.merge_blocks(&parent, level, &blocks, deadline, &mut done).await?
                }
                (None, Some(Job::Drop { blocks })) => self.drop_blocks(&parent, &blocks, &mut done).await?,
                (None, None) => {
                    done.complete = true;
                    return Ok(done);
                }
            };
            if matches!(commit, Commit::Lost) {
                done.lost += 1;
            }
        }
        Ok(done)
    }
}

/// The blocks of `manifest` that its parent does not have.
fn added(parent: &Manifest, manifest: &Manifest) -> Vec<BlockMeta> {
    let is_new = |block: &&BlockMeta| !parent.blocks.iter().any(|old| old.id == block.id);
    manifest.blocks.iter().filter(is_new).cloned().collect()
}
