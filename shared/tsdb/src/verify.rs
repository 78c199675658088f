//! Whether the store is what it says it is: everything that the head leads to is read and compared.
//!
//! ```text
//! head ─► manifest ─► rules of the set of blocks (S7, S8)
//!            │   └──► every block: files' lengths and checksums, every page, counts and set hash, order
//!            └──────► every segment that counts: row, payload, layouts (S9, S11)
//! lists ────────────► what nothing leads to: orphans, which the collector deletes
//! ```
//!
//! Nothing is taken from caches, and nothing is changed.

use std::collections::BTreeSet;
use std::fmt;

use model::Labels;
use platform::{ByteRange, PlatformError};
use wire::{BlockFile, BlockMeta, MergePart};
use xxhash_rust::xxh3::Xxh3;

use crate::block::{BlockReader, compare, exemplar_hash, histogram_hash, object_key, sample_hash};
use crate::error::TsdbError;
use crate::head::Committed;
use crate::invariants::check_manifest;
use crate::segment_row::SegmentRow;
use crate::segments::Keep;
use crate::store::Store;

/// Bytes of a file that are read at a time.
const READ_BYTES: u64 = 4 << 20;
/// Samples of a block that are decoded at a time.
const BATCH_SAMPLES: usize = 1 << 19;

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What: the key of an object or row, or the id of a block.
    pub what: String,
    /// How it differs.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)
    }
}

/// An object that nothing refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Everything that is wrong; empty where all is well.
    pub problems: Vec<Problem>,
    /// What nothing refers to: left over by attempts that failed, or replaced and not collected yet.
    pub orphans: Vec<Orphan>,
    /// Blocks read.
    pub blocks: u64,
    /// Series in them, counted once for each block.
    pub series: u64,
    /// Samples in them.
    pub samples: u64,
    /// Exemplars in them.
    pub exemplars: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Segments read.
    pub segments: u64,
    /// Samples in them.
    pub segment_samples: u64,
}

/// How far a verification is.
#[derive(Clone, Copy, Debug)]
pub enum VerifyProgress<'a> {
    /// A block is about to be read.
    Block {
        /// The block.
        meta: &'a BlockMeta,
        /// How many came before it.
        at: usize,
        /// How many there are.
        of: usize,
    },
    /// So many segments are about to be read.
    Segments(usize),
    /// What there is is about to be listed.
    Orphans,
}

impl Store {
    /// Reads everything that the head leads to. `progress` is told of each step before it begins.
    ///
    /// # Errors
    /// [`TsdbError`] where the store cannot be listed; what is wrong with what it holds is no error but a
    /// [`Problem`].
    pub async fn verify(
        &self,
        progress: &mut (dyn FnMut(VerifyProgress<'_>) + Send),
    ) -> Result<Verification, TsdbError> {
        let mut found = Verification::default();
        let committed = match self.load().await {
            Ok(committed) => committed,
            Err(error) => {
                found.wrong("head", error);
                return Ok(found);
            }
        };
        if let Err(error) = check_manifest(&committed.manifest) {
            found.wrong("manifest", error);
        }
        let merged =
            committed.manifest.merges.iter().flat_map(|merge| &merge.parts).filter_map(|part| match part {
                MergePart::Done(part) => part.block.as_ref(),
                MergePart::Open | MergePart::Claimed { .. } => None,
            });
        let blocks: Vec<&BlockMeta> = committed.manifest.blocks.iter().chain(merged).collect();
        for (at, meta) in blocks.iter().copied().enumerate() {
            progress(VerifyProgress::Block { meta, at, of: blocks.len() });
            self.verify_block(meta, &mut found).await;
        }
        self.verify_segments(&committed, &mut found, progress).await?;
        progress(VerifyProgress::Orphans);
        self.find_orphans(&committed, &mut found).await?;
        Ok(found)
    }

    async fn verify_block(&self, meta: &BlockMeta, found: &mut Verification) {
        found.blocks += 1;
        let problems = found.problems.len();
        for file in &meta.files {
            found.bytes += file.len;
            let key = object_key(&meta.id, &file.name);
            if let Err(error) = self.verify_file(&key, file).await {
                found.wrong(&key, error);
            }
        }
        // What its files hold says nothing where they are not the files that were written.
        if found.problems.len() > problems {
            return;
        }
        let mut tally = Tally::new(meta);
        if let Err(error) = self.tally(meta, &mut tally).await {
            found.wrong(&meta.id, error);
            return;
        }
        found.series += tally.series;
        found.samples += tally.samples;
        found.exemplars += tally.exemplars;
        for reason in tally.differences(meta) {
            found.problems.push(Problem { what: format!("block/{}", meta.id), reason });
        }
    }

    async fn verify_file(&self, key: &str, file: &BlockFile) -> Result<(), TsdbError> {
        let corrupt = |reason: String| TsdbError::Corrupt { what: key.to_owned(), reason };
        let objects = self.ports.retrying_objects();
        let mut hasher = Xxh3::new();
        let mut at = 0;
        while at < file.len {
            let range = ByteRange::At { start: at, len: READ_BYTES.min(file.len - at) };
            let read = objects.read(key, None, range).await?;
            if read.len != file.len {
                return Err(corrupt(format!("{} bytes instead of {}", read.len, file.len)));
            }
            if read.body.is_empty() {
                return Err(corrupt("it ends too early".to_owned()));
            }
            hasher.update(&read.body);
            at += read.body.len() as u64;
        }
        if file.len == 0 {
            objects.read(key, None, ByteRange::All).await?;
        }
        if format!("{:016x}", hasher.digest()) != file.checksum {
            return Err(corrupt("its checksum is wrong".to_owned()));
        }
        Ok(())
    }

    async fn tally(&self, meta: &BlockMeta, tally: &mut Tally) -> Result<(), TsdbError> {
        let reader = BlockReader::open(self.ports.retrying_objects(), meta).await?;
        let mut scan = reader.scan().with_batch(BATCH_SAMPLES);
        while let Some(batch) = scan.next().await? {
            for series in &batch {
                tally.add(series);
            }
        }
        let mut scan = reader.scan_exemplars();
        while let Some(batch) = scan.next().await? {
            for series in &batch {
                tally.add_exemplars(series);
            }
        }
        reader.metadata().await?;
        Ok(())
    }

    async fn verify_segments(
        &self,
        committed: &Committed,
        found: &mut Verification,
        progress: &mut (dyn FnMut(VerifyProgress<'_>) + Send),
    ) -> Result<(), TsdbError> {
        let now = self.ports.now();
        let emit_from = self.unconsumed_from(committed, now);
        let context: BTreeSet<&str> = committed.manifest.context.iter().map(String::as_str).collect();
        let until = now.saturating_add(self.settings.late_bound_ms).saturating_add(SKEW_MS);
        let mut rows = Vec::new();
        let mut missing = context.clone();
        for range in self.keys.segments(self.needed_from(committed), until) {
            for row in self.ports.query_rows(range).await? {
                let sort = row.key.sort.as_str();
                missing.remove(sort);
                match SegmentRow::decode(sort, &row.value) {
                    Ok(row) if row.key.tick >= emit_from || context.contains(sort) => rows.push(row),
                    Ok(_) => {}
                    Err(error) => found.wrong(sort, error),
                }
            }
        }
        for sort in missing {
            let reason = "the manifest names it, and it is not there";
            found.problems.push(Problem { what: format!("segment {sort}"), reason: reason.to_owned() });
        }
        progress(VerifyProgress::Segments(rows.len()));
        for row in &rows {
            found.segments += 1;
            match self.load_segments(&[row], Keep::No).await {
                Ok(_) => found.segment_samples += row.samples,
                Err(error) => found.wrong(&format!("segment {}", row.key), error),
            }
        }
        Ok(())
    }

    /// Blocks' files and manifests that nothing refers to. Payloads and layouts expire by their day.
    async fn find_orphans(&self, committed: &Committed, found: &mut Verification) -> Result<(), TsdbError> {
        let live = self.referenced(committed, self.ports.now());
        let is_live_file = |key: &str| self.keys.block_of(key).is_some_and(|(id, _)| live.contains(id));
        for object in self.ports.list_objects(&self.keys.blocks()).await? {
            if !is_live_file(&object.key) {
                found.orphans.push(Orphan { key: object.key, bytes: object.len });
            }
        }
        for object in self.ports.list_objects(&self.keys.manifests()).await? {
            if committed.head.manifest.as_deref() != Some(object.key.as_str()) {
                found.orphans.push(Orphan { key: object.key, bytes: object.len });
            }
        }
        Ok(())
    }
}

/// How far ahead of this clock others' ticks may be, ms.
const SKEW_MS: i64 = 60_000;

impl Verification {
    fn wrong(&mut self, what: &str, error: TsdbError) {
        let (what, reason) = match error {
            TsdbError::Corrupt { what, reason }
            | TsdbError::Platform(PlatformError::Corrupt { what, reason }) => (what, reason),
            TsdbError::Platform(PlatformError::NotFound { what }) => (what, "it is missing".to_owned()),
            other => (what.to_owned(), other.to_string()),
        };
        self.problems.push(Problem { what, reason });
    }
}

/// What a block really holds.
struct Tally {
    times: std::ops::Range<i64>,
    last: Option<Labels>,
    series: u64,
    samples: u64,
    exemplars: u64,
    set_hash: u128,
    unordered: u64,
    outside: u64,
    unsound: u64,
}

impl Tally {
    fn new(meta: &BlockMeta) -> Self {
        Self {
            times: meta.min_time..meta.max_time,
            last: None,
            series: 0,
            samples: 0,
            exemplars: 0,
            set_hash: 0,
            unordered: 0,
            outside: 0,
            unsound: 0,
        }
    }

    fn add(&mut self, series: &storage::Series) {
        self.series += 1;
        self.samples += series.sample_count() as u64;
        let after_last = self.last.as_ref().is_none_or(|last| compare(last, &series.labels).is_lt());
        let increases = |timestamps: &[i64]| timestamps.is_sorted_by(|a, b| a < b);
        let (floats, histograms) = (&series.timestamps, &series.histograms.timestamps);
        let ordered = after_last && increases(floats) && increases(histograms);
        self.unordered += u64::from(!ordered);
        let outside =
            |timestamps: &[i64]| timestamps.iter().filter(|t| !self.times.contains(t)).count() as u64;
        self.outside += outside(floats) + outside(histograms);
        let hash = series.labels.hash();
        for (timestamp, value) in floats.iter().zip(series.values.iter()) {
            self.set_hash = self.set_hash.wrapping_add(sample_hash(hash, *timestamp, value.to_bits()));
        }
        for (timestamp, histogram) in histograms.iter().zip(series.histograms.values.iter()) {
            self.unsound += u64::from(!histogram.is_stale() && histogram.validate().is_err());
            self.set_hash = self.set_hash.wrapping_add(histogram_hash(hash, *timestamp, histogram));
        }
        self.last = Some(series.labels.clone());
    }

    fn add_exemplars(&mut self, series: &storage::SeriesExemplars) {
        let hash = series.labels.hash();
        self.exemplars += series.exemplars.len() as u64;
        for exemplar in &series.exemplars {
            self.outside += u64::from(!self.times.contains(&exemplar.timestamp));
            self.set_hash = self.set_hash.wrapping_add(exemplar_hash(hash, exemplar));
        }
    }

    /// How it differs from what the manifest says.
    fn differences(&self, meta: &BlockMeta) -> Vec<String> {
        let mut differences = Vec::new();
        let mut check = |right: bool, say: &dyn Fn() -> String| {
            if !right {
                differences.push(say());
            }
        };
        check(self.series == meta.series, &|| format!("{} series instead of {}", self.series, meta.series));
        check(self.samples == meta.samples, &|| {
            format!("{} samples instead of {}", self.samples, meta.samples)
        });
        check(format!("{:032x}", self.set_hash) == meta.set_hash, &|| "its set hash is wrong".to_owned());
        check(self.unordered == 0, &|| format!("{} series are out of order", self.unordered));
        check(self.outside == 0, &|| format!("{} samples are outside of its time", self.outside));
        check(self.unsound == 0, &|| format!("{} histograms are not sound", self.unsound));
        differences
    }
}
