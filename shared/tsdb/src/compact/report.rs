//! What a compaction did, for metrics and logs.

use wire::BlockMeta;

use super::output::bytes_of;

/// What a call of [`crate::Store::compact`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Commits of segments to blocks of level 1.
    pub segment_jobs: u64,
    /// Segments that they consumed.
    pub segments: u64,
    /// Commits that merged blocks, all at once.
    pub merge_jobs: u64,
    /// Commits that recorded a merge to be done in parts.
    pub split_jobs: u64,
    /// Commits of parts of merges.
    pub part_jobs: u64,
    /// Commits that dropped blocks by retention.
    pub drop_jobs: u64,
    /// Samples written to blocks.
    pub samples: u64,
    /// Bytes written to blocks.
    pub bytes: u64,
    /// The blocks that were committed, parts of merges that are not complete yet included.
    pub written: Vec<BlockMeta>,
    /// What was done, in order; without what lost its commit.
    pub jobs: Vec<JobReport>,
    /// Commits that somebody else made first.
    pub lost: u64,
    /// Whether nothing was left to do.
    pub complete: bool,
    /// Segments whose tick is before this, ms, are in blocks.
    pub watermark: i64,
}

/// One job of a compaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobReport {
    /// What it was.
    pub kind: JobKind,
    /// The level of its blocks; 0 where it made none.
    pub level: u32,
    /// Segments that it consumed.
    pub segments: u64,
    /// What it read. Of the inputs of a part of a merge only its share.
    pub read: Volume,
    /// The blocks that it wrote.
    pub blocks: Vec<BlockMeta>,
    /// Samples left out because others with the same series and timestamp came before.
    pub duplicates: u64,
    /// Samples left out because they were deleted.
    pub deleted: u64,
    /// How long it took, nanoseconds, reading and writing included.
    pub duration_ns: u64,
}

/// Kinds of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Segments became blocks of level 1.
    Segments,
    /// Blocks became one.
    Merge,
    /// A merge was recorded, to be done in parts.
    Split,
    /// A part of a merge was done.
    Part,
    /// Blocks were dropped by retention.
    Drop,
}

/// An amount of data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Bytes of files or payloads.
    pub bytes: u64,
    /// Samples.
    pub samples: u64,
}

impl JobKind {
    /// Its name, for logs and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Segments => "segments",
            Self::Merge => "merge",
            Self::Split => "split",
            Self::Part => "part",
            Self::Drop => "drop",
        }
    }
}

impl JobReport {
    pub(super) fn new(kind: JobKind, level: u32) -> Self {
        Self {
            kind,
            level,
            segments: 0,
            read: Volume::default(),
            blocks: vec![],
            duplicates: 0,
            deleted: 0,
            duration_ns: 0,
        }
    }

    /// What it wrote.
    #[must_use]
    pub fn written(&self) -> Volume {
        of_blocks(&self.blocks)
    }
}

impl Compacted {
    /// Counts a job whose commit is done.
    pub(super) fn add(&mut self, job: JobReport) {
        match job.kind {
            JobKind::Segments => self.segment_jobs += 1,
            JobKind::Merge => self.merge_jobs += 1,
            JobKind::Split => self.split_jobs += 1,
            JobKind::Part => self.part_jobs += 1,
            JobKind::Drop => self.drop_jobs += 1,
        }
        let Volume { bytes, samples } = job.written();
        self.segments += job.segments;
        self.samples += samples;
        self.bytes += bytes;
        self.written.extend(job.blocks.iter().cloned());
        self.jobs.push(job);
    }
}

/// How much data some blocks hold.
pub(super) fn of_blocks<'a>(blocks: impl IntoIterator<Item = &'a BlockMeta>) -> Volume {
    blocks.into_iter().fold(Volume::default(), |sum, block| Volume {
        bytes: sum.bytes.saturating_add(bytes_of(block)),
        samples: sum.samples.saturating_add(block.samples),
    })
}
