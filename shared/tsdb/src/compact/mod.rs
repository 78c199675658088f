//! Compaction: segments to blocks of level 1, blocks to larger blocks, retention. Any number of compactors may run at
//! once: each attempt reads the head, writes objects that nobody else names, and commits by one compare-and-set.
//!
//! ```text
//! head v ─► rows of watermark <= tick < new watermark ─► replay ─► block/<ulid> … ─► commit v+1   (segments)
//! head v ─► plan ─► scan of the inputs in order of series ─► block/<ulid> ─► commit v+1           (blocks)
//! head v ─► plan ─► record ─► claim, scan and fill, part by part ─► the last fill replaces inputs  (parts)
//! ```
//!
//! Nothing is deleted here (P5): what lost its place is the collector's to find.

mod blocks;
mod inputs;
mod merge;
mod output;
mod parts;
mod report;
mod segments;

use platform::Deadline;
pub use report::{Compacted, JobKind, JobReport, Volume};
pub(crate) use segments::context_from;
use wire::CompactWork;

use crate::error::TsdbError;
use crate::head::{Commit, Committed};
use crate::planner::{Job, plan};
use crate::store::Store;

/// An attempt that loses so many commits leaves the work to who wins them.
const LOST_MAX: u64 = 3;

impl Store {
    /// Does everything that is due at `tick`, ms (or now, if that is earlier), or as much as the deadline allows.
    ///
    /// # Errors
    /// [`TsdbError`]. What was committed before stays. `Halt` means that a person must look.
    pub async fn compact(&self, tick: i64, deadline: Deadline) -> Result<Compacted, TsdbError> {
        self.compact_work(CompactWork::All, tick, deadline).await
    }

    /// As [`Self::compact`], of one kind of work.
    ///
    /// # Errors
    /// As [`Self::compact`].
    pub async fn compact_work(
        &self,
        work: CompactWork,
        tick: i64,
        deadline: Deadline,
    ) -> Result<Compacted, TsdbError> {
        let mut done = Compacted::default();
        while done.lost < LOST_MAX && self.ports.check(deadline, "compacting").is_ok() {
            let parent = self.load().await?;
            done.watermark = parent.head.watermark;
            let now = tick.min(self.ports.now());
            let due = self.segments_due(&parent, now).filter(|_| work != CompactWork::Blocks);
            let job = if due.is_none() && work != CompactWork::Segments {
                self.next_job(&parent, now, deadline)
            } else {
                None
            };
            let started = self.ports.clock.monotonic_ns();
            let (commit, mut report) = match (due, job) {
                (Some(until), _) => self.compact_segments(&parent, now, until, deadline, &mut done).await?,
                (None, Some(job)) => self.carry_out(&parent, job, deadline).await?,
                (None, None) => {
                    done.complete = true;
                    return Ok(done);
                }
            };
            report.duration_ns = self.ports.clock.monotonic_ns().saturating_sub(started);
            match commit {
                Commit::Done => done.add(report),
                Commit::Lost => done.lost += 1,
            }
        }
        Ok(done)
    }

    /// The most urgent job that there is time for.
    fn next_job(&self, parent: &Committed, now: i64, deadline: Deadline) -> Option<Job> {
        let left = deadline.remaining(self.ports.clock.as_ref()).as_millis();
        let is_short = left < u128::from(self.settings.part_time_min_ms.unsigned_abs());
        let jobs = plan(&parent.manifest, parent.head.watermark, now, &self.settings);
        jobs.into_iter().find(|job| !(is_short && matches!(job, Job::Part { .. })))
    }

    async fn carry_out(
        &self,
        parent: &Committed,
        job: Job,
        deadline: Deadline,
    ) -> Result<(Commit, JobReport), TsdbError> {
        match job {
            Job::Drop { blocks } => self.drop_blocks(parent, &blocks).await,
            Job::Merge { level, blocks } => self.merge_blocks(parent, level, &blocks, deadline).await,
            Job::Split { level, blocks, parts } => self.split_merge(parent, level, &blocks, parts).await,
            Job::Part { merge, part } => self.merge_part(parent, &merge, part, deadline).await,
        }
    }
}
