//! Reads a block: matchers and a range of time in, series out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};
use model::labels::METRIC_NAME;
use model::matcher::matches_all;
use model::value::stale_nan;
use model::{Labels, MatchOp, Matcher, TimestampMs};
use platform::Objects;
use storage::Series;
use wire::{BlockFile, BlockMeta};

use super::group::{GroupIndex, RowIndex, SamplesFile};
use super::instants::{Instants, TimelinesFile};
use super::schema::{TIMELINES_FILE, samples, timelines};
use super::source::Source;
use super::types::{BlockError, object_key};

/// How much of a file's end is read to get its footer; a file that is not longer is read whole.
const TAIL_BYTES: u64 = 64 << 10;
/// Row groups that are read at a time.
const GROUPS_MAX: usize = 8;
/// Samples that a batch of a scan has at most, one series more or less.
const SCAN_SAMPLES: usize = 1 << 19;

/// One block, open for reading. It keeps what it has fetched of the files' footers, index columns and timelines:
/// blocks never change.
pub struct BlockReader {
    files: Vec<SamplesFile>,
    /// `None` in a block without series.
    timelines: Option<TimelinesFile>,
    /// What the block covers, ms, exclusive at the end.
    covers: Range<TimestampMs>,
}

impl std::fmt::Debug for BlockReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockReader").field("covers", &self.covers).finish_non_exhaustive()
    }
}

impl BlockReader {
    /// Opens the block that `meta` describes: reads the files' footers, one request a file.
    ///
    /// # Errors
    /// [`BlockError::Platform`], or [`BlockError::Corrupt`] where a file is not what was written.
    pub async fn open(objects: Arc<dyn Objects>, meta: &BlockMeta) -> Result<Self, BlockError> {
        Self::open_with(objects, meta, TAIL_BYTES).await
    }

    pub(super) async fn open_with(
        objects: Arc<dyn Objects>,
        meta: &BlockMeta,
        tail_bytes: u64,
    ) -> Result<Self, BlockError> {
        let mut names: Vec<&BlockFile> =
            meta.files.iter().filter(|file| file.name.starts_with("samples-")).collect();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        let open = |file: &BlockFile, columns: usize| {
            let (objects, key, file) = (Arc::clone(&objects), object_key(&meta.id, &file.name), file.clone());
            async move { Source::open(objects, key, &file, tail_bytes, columns).await }
        };
        let timelines = meta.files.iter().filter(|file| file.name == TIMELINES_FILE);
        let opens: Vec<_> = timelines
            .map(|file| open(file, timelines::COUNT))
            .chain(names.into_iter().map(|file| open(file, samples::COUNT)))
            .collect();
        let mut timelines = None;
        let mut files = Vec::new();
        let mut opened = stream::iter(opens).buffered(GROUPS_MAX);
        while let Some((source, footer)) = opened.try_next().await? {
            if source.name() == TIMELINES_FILE {
                timelines = Some(TimelinesFile::new(source, footer));
            } else {
                files.push(SamplesFile::new(source, footer));
            }
        }
        Ok(Self { files, timelines, covers: meta.min_time..meta.max_time })
    }

    /// The series that satisfy all `matchers`, with their samples of `min..=max` ms, sorted by labels; none without
    /// samples. Series that share instants share the timestamps' allocation.
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn select(
        &self,
        matchers: &[Matcher],
        min: TimestampMs,
        max: TimestampMs,
    ) -> Result<Vec<Series>, BlockError> {
        self.select_limited(matchers, min, max, u64::MAX).await
    }

    /// As [`Self::select`], but gives up as soon as there are more than `samples_max` samples, before their values are
    /// decoded.
    ///
    /// # Errors
    /// [`BlockError::TooManySamples`], [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn select_limited(
        &self,
        matchers: &[Matcher],
        min: TimestampMs,
        max: TimestampMs,
        samples_max: u64,
    ) -> Result<Vec<Series>, BlockError> {
        let shared = Shared { left: AtomicU64::new(samples_max), ..Shared::default() };
        let sets = [matchers];
        let reads: Vec<_> = self
            .groups(&sets)
            .into_iter()
            .map(|(file, group)| self.select_group(file, group, matchers, (min, max), &shared))
            .collect();
        let found: Vec<Vec<Piece>> = stream::iter(reads).buffered(GROUPS_MAX).try_collect().await?;
        let mut joined = Vec::new();
        for piece in found.into_iter().flatten() {
            join(&mut joined, piece)?;
        }
        let mut series: Vec<Series> = joined.into_iter().map(Piece::into_series).collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(series)
    }

    /// The labels of the series that satisfy all matchers of any one set (of no set: every series) and have a sample
    /// in `min..=max` ms, sorted.
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn series(
        &self,
        matcher_sets: &[Vec<Matcher>],
        min: TimestampMs,
        max: TimestampMs,
    ) -> Result<Vec<Labels>, BlockError> {
        let all: &[Matcher] = &[];
        let mut sets: Vec<&[Matcher]> = matcher_sets.iter().map(Vec::as_slice).collect();
        if sets.is_empty() {
            sets.push(all);
        }
        let reads: Vec<_> = self
            .groups(&sets)
            .into_iter()
            .map(|(file, group)| self.group_series(file, group, &sets, (min, max)))
            .collect();
        let found: Vec<Vec<Labels>> = stream::iter(reads).buffered(GROUPS_MAX).try_collect().await?;
        let mut labels: Vec<Labels> = found.into_iter().flatten().collect();
        labels.sort_unstable();
        labels.dedup();
        Ok(labels)
    }

    /// Every series whole, in the block's order ([`super::compare`]), a bounded batch at a time.
    #[must_use]
    pub fn scan(&self) -> BlockScan<'_> {
        BlockScan { reader: self, file: 0, group: 0, index: None, next_row: 0, held: Vec::new() }
    }

    /// The row groups that may have series of any one matcher set, in file order.
    fn groups(&self, sets: &[&[Matcher]]) -> Vec<(&SamplesFile, usize)> {
        let all = self.files.iter().flat_map(|file| (0..file.group_count()).map(move |group| (file, group)));
        all.filter(|(file, group)| sets.iter().any(|set| may_match(set, file.metric_bounds(*group))))
            .collect()
    }

    async fn select_group(
        &self,
        file: &SamplesFile,
        group: usize,
        matchers: &[Matcher],
        times: (TimestampMs, TimestampMs),
        shared: &Shared,
    ) -> Result<Vec<Piece>, BlockError> {
        let index = file.index(group, true).await?;
        let rows = matching_rows(&index.rows, matchers);
        self.read_rows(file, &index, rows, times, shared).await
    }

    async fn group_series(
        &self,
        file: &SamplesFile,
        group: usize,
        sets: &[&[Matcher]],
        (min, max): (TimestampMs, TimestampMs),
    ) -> Result<Vec<Labels>, BlockError> {
        let index = file.index(group, true).await?;
        let mut rows: Vec<usize> = sets.iter().flat_map(|set| matching_rows(&index.rows, set)).collect();
        rows.sort_unstable();
        rows.dedup();
        let covered = min <= self.covers.start && max >= self.covers.end.saturating_sub(1);
        if !covered {
            let instants = self.instants(&timelines_of(&index, &rows)).await?;
            let mut kept = Vec::with_capacity(rows.len());
            for row in rows {
                if !clip(file, &index, row, &instants, (min, max))?.is_empty() {
                    kept.push(row);
                }
            }
            rows = kept;
        }
        Ok(rows.into_iter().filter_map(|row| index.rows.get(row)).map(|row| row.labels.clone()).collect())
    }

    /// The samples of `rows`, ascending, within `times`.
    async fn read_rows(
        &self,
        file: &SamplesFile,
        index: &GroupIndex,
        mut rows: Vec<usize>,
        times: (TimestampMs, TimestampMs),
        shared: &Shared,
    ) -> Result<Vec<Piece>, BlockError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = timelines_of(index, &rows);
        let kept = match &self.timelines {
            Some(timelines) => timelines.kept(&wanted).await,
            None => None,
        };
        let (instants, mut values) = match kept {
            // Timelines at hand tell which rows have nothing in the range: their values need not be fetched.
            Some(instants) => {
                let mut in_range = Vec::with_capacity(rows.len());
                for row in rows {
                    if !clip(file, index, row, &instants, times)?.is_empty() {
                        in_range.push(row);
                    }
                }
                rows = in_range;
                let values = file.values(index, &rows).await?;
                (instants, values)
            }
            None => futures::try_join!(self.instants(&wanted), file.values(index, &rows))?,
        };
        let mut samples = 0u64;
        for row in &rows {
            samples += clip(file, index, *row, &instants, times)?.len() as u64;
        }
        shared.take(samples)?;
        let mut pieces = Vec::with_capacity(rows.len());
        for row in rows {
            let samples = clip(file, index, row, &instants, times)?;
            let (Some(meta), false) = (index.rows.get(row), samples.is_empty()) else { continue };
            let with_values = samples.start..samples.end.min(meta.n);
            let read = values.get(row, with_values).map_err(|reason| file.corrupt(reason))?;
            let read = if samples.end > meta.n {
                Values::Owned(read.iter().copied().chain([stale_nan()]).collect())
            } else {
                Values::Common(read)
            };
            let timestamps = instants.get(&meta.tl).and_then(|all| shared.get(meta, all, samples));
            let timestamps = timestamps.ok_or_else(|| file.corrupt("a timeline is missing"))?;
            pieces.push(Piece {
                labels: meta.labels.clone(),
                timestamps: Times::Common(timestamps),
                values: read,
            });
        }
        Ok(pieces)
    }

    async fn instants(&self, wanted: &BTreeSet<i64>) -> Result<Instants, BlockError> {
        match &self.timelines {
            Some(timelines) => timelines.get(wanted).await,
            None if wanted.is_empty() => Ok(Instants::new()),
            None => Err(BlockError::Corrupt {
                file: TIMELINES_FILE.to_owned(),
                reason: "it is missing".to_owned(),
            }),
        }
    }
}

/// What [`BlockReader::scan`] gives.
#[derive(Debug)]
pub struct BlockScan<'a> {
    reader: &'a BlockReader,
    file: usize,
    group: usize,
    index: Option<Arc<GroupIndex>>,
    next_row: usize,
    /// The last series so far, which the next rows may belong to as well.
    held: Vec<Piece>,
}

impl BlockScan<'_> {
    /// The next series, at least one; `None` after the last. A series is never split over batches.
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn next(&mut self) -> Result<Option<Vec<Series>>, BlockError> {
        while let Some(pieces) = self.next_pieces().await? {
            for piece in pieces {
                join(&mut self.held, piece)?;
            }
            if self.held.len() > 1 {
                let last = self.held.split_off(self.held.len() - 1);
                let whole = std::mem::replace(&mut self.held, last);
                return Ok(Some(whole.into_iter().map(Piece::into_series).collect()));
            }
        }
        let rest: Vec<Series> = std::mem::take(&mut self.held).into_iter().map(Piece::into_series).collect();
        Ok((!rest.is_empty()).then_some(rest))
    }

    async fn next_pieces(&mut self) -> Result<Option<Vec<Piece>>, BlockError> {
        let reader = self.reader;
        while let Some(file) = reader.files.get(self.file) {
            if self.group >= file.group_count() {
                (self.file, self.group) = (self.file + 1, 0);
                continue;
            }
            let index = match &self.index {
                Some(index) => Arc::clone(index),
                // Not kept in the reader: a scan reads everything once.
                None => file.index(self.group, false).await?,
            };
            let rows = batch(&index.rows, self.next_row);
            if rows.is_empty() {
                (self.index, self.next_row) = (None, 0);
                self.group += 1;
                continue;
            }
            self.next_row = rows.end;
            let pieces = reader
                .read_rows(
                    file,
                    &index,
                    rows.collect(),
                    (TimestampMs::MIN, TimestampMs::MAX),
                    &Shared::default(),
                )
                .await?;
            self.index = Some(index);
            return Ok(Some(pieces));
        }
        Ok(None)
    }
}

/// The rows from `start` on that have about [`SCAN_SAMPLES`] samples.
fn batch(rows: &[RowIndex], start: usize) -> Range<usize> {
    let mut samples = 0usize;
    let rest = rows.get(start..).unwrap_or_default();
    let len = rest.iter().take_while(|row| {
        let fits = samples < SCAN_SAMPLES;
        samples = samples.saturating_add(row.n + 1);
        fits
    });
    start..start + len.count()
}

/// Whether series of a row group with these bounds of the metric name can satisfy `matchers`.
fn may_match(matchers: &[Matcher], bounds: Option<(&[u8], &[u8])>) -> bool {
    let Some((min, max)) = bounds else { return true };
    matchers.iter().filter(|matcher| matcher.name() == METRIC_NAME).all(|matcher| {
        let within = |name: &&str| min <= name.as_bytes() && name.as_bytes() <= max;
        matcher.set_matches().is_none_or(|names| names.iter().any(within))
    })
}

/// The rows, sorted by metric name, that satisfy all matchers.
fn matching_rows(rows: &[RowIndex], matchers: &[Matcher]) -> Vec<usize> {
    let name =
        matchers.iter().find(|matcher| matcher.name() == METRIC_NAME && matcher.op() == MatchOp::Equal);
    let range = match name {
        None => 0..rows.len(),
        Some(matcher) => {
            let start = rows.partition_point(|row| row.labels.metric_name() < matcher.value());
            let len = rows.get(start..).unwrap_or_default();
            start..start + len.partition_point(|row| row.labels.metric_name() == matcher.value())
        }
    };
    range.filter(|row| rows.get(*row).is_some_and(|row| matches_all(matchers, &row.labels))).collect()
}

fn timelines_of(index: &GroupIndex, rows: &[usize]) -> BTreeSet<i64> {
    rows.iter().filter_map(|row| index.rows.get(*row)).map(|row| row.tl).collect()
}

/// Which samples of a row, its stale marker included, are within `times`.
fn clip(
    file: &SamplesFile,
    index: &GroupIndex,
    row: usize,
    instants: &Instants,
    (min, max): (TimestampMs, TimestampMs),
) -> Result<Range<usize>, BlockError> {
    let timestamps = index.rows.get(row).and_then(|meta| {
        let end = meta.start.checked_add(meta.n)?.checked_add(usize::from(meta.stale))?;
        instants.get(&meta.tl)?.get(meta.start..end)
    });
    let timestamps = timestamps.ok_or_else(|| file.corrupt("a row is longer than its timeline"))?;
    let start = timestamps.partition_point(|timestamp| *timestamp < min);
    let end = timestamps.partition_point(|timestamp| *timestamp <= max);
    Ok(start..end.max(start))
}

/// What the row groups of one call share: parts of timelines, so that rows with the same instants share memory, and the
/// number of samples that they may still give.
#[derive(Debug)]
struct Shared {
    left: AtomicU64,
    known: Mutex<BTreeMap<SliceKey, Arc<[TimestampMs]>>>,
}

/// Timeline, first instant, and the one after the last.
type SliceKey = (i64, usize, usize);

impl Default for Shared {
    fn default() -> Self {
        Self { left: AtomicU64::new(u64::MAX), known: Mutex::default() }
    }
}

impl Shared {
    fn take(&self, samples: u64) -> Result<(), BlockError> {
        let less = |left: u64| left.checked_sub(samples);
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.map(|_| ()).map_err(|_| BlockError::TooManySamples)
    }

    /// The instants of `samples` of a row.
    fn get(
        &self,
        row: &RowIndex,
        all: &Arc<[TimestampMs]>,
        samples: Range<usize>,
    ) -> Option<Arc<[TimestampMs]>> {
        let (start, end) = (row.start + samples.start, row.start + samples.end);
        if (start, end) == (0, all.len()) {
            return Some(Arc::clone(all));
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slice) = known.get(&(row.tl, start, end)) {
            return Some(Arc::clone(slice));
        }
        let slice: Arc<[TimestampMs]> = all.get(start..end)?.into();
        known.insert((row.tl, start, end), Arc::clone(&slice));
        Some(slice)
    }
}

/// A series, or the part of one that a row has.
#[derive(Debug)]
struct Piece {
    labels: Labels,
    timestamps: Times,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Common(Arc<[f64]>),
    Owned(Vec<f64>),
}

impl Values {
    fn as_slice(&self) -> &[f64] {
        match self {
            Self::Common(values) => values,
            Self::Owned(values) => values,
        }
    }
}

#[derive(Debug)]
enum Times {
    Common(Arc<[TimestampMs]>),
    Owned(Vec<TimestampMs>),
}

impl Times {
    fn as_slice(&self) -> &[TimestampMs] {
        match self {
            Self::Common(timestamps) => timestamps,
            Self::Owned(timestamps) => timestamps,
        }
    }
}

impl Piece {
    fn into_series(self) -> Series {
        let timestamps = match self.timestamps {
            Times::Common(timestamps) => timestamps,
            Times::Owned(timestamps) => timestamps.into(),
        };
        let values = match self.values {
            Values::Common(values) => values,
            Values::Owned(values) => values.into(),
        };
        Series::floats(self.labels, timestamps, values)
    }
}

/// Appends a piece, to the last series if it is part of it.
fn join(series: &mut Vec<Piece>, piece: Piece) -> Result<(), BlockError> {
    let Some(last) = series.last_mut().filter(|last| last.labels == piece.labels) else {
        series.push(piece);
        return Ok(());
    };
    let added = piece.timestamps.as_slice();
    if last.timestamps.as_slice().last() >= added.first() {
        let reason = "the rows of a series are not in order".to_owned();
        return Err(BlockError::Corrupt { file: piece.labels.to_string(), reason });
    }
    match &mut last.timestamps {
        Times::Owned(timestamps) => timestamps.extend_from_slice(added),
        Times::Common(timestamps) => last.timestamps = Times::Owned([&**timestamps, added].concat()),
    }
    let added = piece.values.as_slice();
    match &mut last.values {
        Values::Owned(values) => values.extend_from_slice(added),
        Values::Common(values) => last.values = Values::Owned([&**values, added].concat()),
    }
    Ok(())
}
