//! Reads a block: matchers and a range of time in, series, labels, exemplars out.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::lock::Mutex;
use futures::{StreamExt, TryStreamExt, stream};
use model::labels::METRIC_NAME;
use model::{Matcher, Metadata, TimestampMs};
use platform::Objects;
use storage::Series;
use wire::{BlockFile, BlockMeta};

use super::context::BlockContext;
use super::footer::{Footer, Group};
use super::group::Values;
use super::histograms::HistogramRows;
use super::instants::TimelinesFile;
use super::metadata::read_metadata;
use super::pieces::{Piece, Shared, into_series, join, read_rows};
use super::places::Forms;
use super::rows::RowsFile;
use super::schema::{
    EXEMPLARS_FILE, HISTOGRAMS_PREFIX, METADATA_FILE, SAMPLES_PREFIX, TIMELINES_FILE, exemplars, histograms,
    metadata, samples, timelines,
};
use super::source::Source;
use super::types::{BlockError, object_key};

/// How much of a file's end is read to get its footer; a file that is not longer is read whole.
const TAIL_BYTES: u64 = 64 << 10;
/// Row groups that are read at a time.
const GROUPS_MAX: usize = 8;

/// One block, open for reading. What it fetches of index columns and timelines is kept in its context's cache: blocks
/// never change.
pub struct BlockReader {
    pub(super) files: Vec<RowsFile<Forms>>,
    pub(super) histograms: Vec<RowsFile<HistogramRows>>,
    /// `None` in a block without series.
    pub(super) timelines: Option<TimelinesFile>,
    pub(super) exemplars: Option<LazyFile>,
    metadata: Option<LazyFile>,
    /// What the block covers, ms, exclusive at the end.
    pub(super) covers: Range<TimestampMs>,
    context: Arc<BlockContext>,
}

impl std::fmt::Debug for BlockReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockReader").field("covers", &self.covers).finish_non_exhaustive()
    }
}

/// A file that few queries need, opened when one does.
pub(super) struct LazyFile {
    objects: Arc<dyn Objects>,
    key: String,
    file: BlockFile,
    tail_bytes: u64,
    columns: usize,
    open: Mutex<Option<Arc<(Source, Footer)>>>,
}

impl LazyFile {
    /// The file, open.
    pub(super) async fn open(&self) -> Result<Arc<(Source, Footer)>, BlockError> {
        let mut open = self.open.lock().await;
        if let Some(open) = &*open {
            return Ok(Arc::clone(open));
        }
        let objects = Arc::clone(&self.objects);
        let opened =
            Source::open(objects, self.key.clone(), &self.file, self.tail_bytes, self.columns).await?;
        Ok(Arc::clone(open.insert(Arc::new(opened))))
    }
}

impl BlockReader {
    /// Opens the block that `meta` describes, with a context of its own: reads the files' footers, one request a file,
    /// and one more where there are very many timelines.
    ///
    /// # Errors
    /// [`BlockError::Platform`], or [`BlockError::Corrupt`] where a file is not what was written.
    pub async fn open(objects: Arc<dyn Objects>, meta: &BlockMeta) -> Result<Self, BlockError> {
        Self::open_in(objects, meta, Arc::default()).await
    }

    /// As [`Self::open`], sharing a cache and a budget with other blocks.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_in(
        objects: Arc<dyn Objects>,
        meta: &BlockMeta,
        context: Arc<BlockContext>,
    ) -> Result<Self, BlockError> {
        Self::open_with(objects, meta, TAIL_BYTES, context).await
    }

    pub(super) async fn open_with(
        objects: Arc<dyn Objects>,
        meta: &BlockMeta,
        tail_bytes: u64,
        context: Arc<BlockContext>,
    ) -> Result<Self, BlockError> {
        let named = |prefix: &str| {
            let mut names: Vec<&BlockFile> =
                meta.files.iter().filter(|file| file.name.starts_with(prefix)).collect();
            names.sort_by(|a, b| a.name.cmp(&b.name));
            names
        };
        let (samples_files, histograms_files) = (named(SAMPLES_PREFIX), named(HISTOGRAMS_PREFIX));
        let open = |file: &BlockFile, columns: usize| {
            let (objects, key, file) = (Arc::clone(&objects), object_key(&meta.id, &file.name), file.clone());
            async move { Source::open(objects, key, &file, tail_bytes, columns).await }
        };
        let opens: Vec<_> = named(TIMELINES_FILE)
            .into_iter()
            .map(|file| open(file, timelines::COUNT))
            .chain(samples_files.into_iter().map(|file| open(file, samples::COUNT)))
            .chain(histograms_files.into_iter().map(|file| open(file, histograms::COUNT)))
            .collect();
        let lazy = |name: &str, columns: usize| {
            let file = meta.files.iter().find(|file| file.name == name)?.clone();
            let (objects, key) = (Arc::clone(&objects), object_key(&meta.id, name));
            Some(LazyFile { objects, key, file, tail_bytes, columns, open: Mutex::new(None) })
        };
        let mut reader = Self {
            files: Vec::new(),
            histograms: Vec::new(),
            timelines: None,
            exemplars: lazy(EXEMPLARS_FILE, exemplars::COUNT),
            metadata: lazy(METADATA_FILE, metadata::COUNT),
            covers: meta.min_time..meta.max_time,
            context,
        };
        let mut opened = stream::iter(opens).buffered(GROUPS_MAX);
        while let Some((source, footer)) = opened.try_next().await? {
            let context = Arc::clone(&reader.context);
            if source.name() == TIMELINES_FILE {
                reader.timelines = Some(TimelinesFile::new(source, footer, context));
            } else if source.name().starts_with(SAMPLES_PREFIX) {
                reader.files.push(RowsFile::new(source, footer, context));
            } else {
                reader.histograms.push(RowsFile::new(source, footer, context));
            }
        }
        // Where timelines are belongs to what is known of an open block: most often it is in the end that was read.
        if let Some(timelines) = &reader.timelines {
            timelines.pages().await?;
        }
        Ok(reader)
    }

    /// Bytes that the reader itself occupies, about: the ends of its files.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let rows = self.files.iter().map(|file| file.source.held_bytes());
        let histograms = self.histograms.iter().map(|file| file.source.held_bytes());
        // Parsed, a footer takes about as much as unparsed.
        2 * (rows.chain(histograms).sum::<usize>()
            + self.timelines.as_ref().map_or(0, TimelinesFile::held_bytes))
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
    /// decoded. A histogram counts as what it occupies, in samples of 16 bytes, as in Prometheus.
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
        let shared = Shared::new(samples_max);
        let (floats, histograms) = futures::try_join!(
            self.select_from(&self.files, matchers, (min, max), &shared),
            self.select_from(&self.histograms, matchers, (min, max), &shared),
        )?;
        let mut series = into_series(floats, histograms);
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(series)
    }

    async fn select_from<C: Values>(
        &self,
        files: &[RowsFile<C>],
        matchers: &[Matcher],
        times: (TimestampMs, TimestampMs),
        shared: &Shared,
    ) -> Result<Vec<Piece<C::Value>>, BlockError> {
        let groups = groups(files, &[matchers]);
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let reads: Vec<_> = groups
            .into_iter()
            .map(|(file, group)| async move {
                let index = file.index(group, true).await?;
                let rows = index.labels.matching(matchers);
                read_rows(self.timelines.as_ref(), file, &index, rows, times, shared).await
            })
            .collect();
        let found: Vec<Vec<Piece<C::Value>>> = stream::iter(reads).buffered(GROUPS_MAX).try_collect().await?;
        let mut joined = Vec::new();
        for piece in found.into_iter().flatten() {
            join(&mut joined, piece)?;
        }
        Ok(joined)
    }

    /// What sources have said of metric families, sorted, each answer once.
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn metadata(&self) -> Result<Vec<Metadata>, BlockError> {
        let Some(file) = &self.metadata else { return Ok(Vec::new()) };
        let opened = file.open().await?;
        let mut all = Vec::new();
        for group in &opened.1.groups {
            let columns = self.read_group(&opened.0, group).await?;
            all.extend(read_metadata(&columns, group.rows).map_err(|reason| opened.0.corrupt(reason))?);
        }
        Ok(all)
    }

    /// All columns of a row group of a file that is read so.
    pub(super) async fn read_group(&self, source: &Source, group: &Group) -> Result<Vec<Bytes>, BlockError> {
        let ranges: Vec<Range<u64>> = group.columns.iter().map(|chunk| chunk.bytes.clone()).collect();
        let bytes = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        let _permit = self.context.reserve(bytes).await;
        source.read_all(&ranges).await
    }
}

/// The row groups that may have series of any one matcher set, in file order.
pub(super) fn groups<'a, C: Values>(
    files: &'a [RowsFile<C>],
    sets: &[&[Matcher]],
) -> Vec<(&'a RowsFile<C>, usize)> {
    let all = files.iter().flat_map(|file| (0..file.group_count()).map(move |group| (file, group)));
    all.filter(|(file, group)| sets.iter().any(|set| may_match(set, file.metric_bounds(*group)))).collect()
}

/// Whether series of a row group with these bounds of the metric name can satisfy `matchers`.
pub(super) fn may_match(matchers: &[Matcher], bounds: Option<(&[u8], &[u8])>) -> bool {
    let Some((min, max)) = bounds else { return true };
    matchers.iter().filter(|matcher| matcher.name() == METRIC_NAME).all(|matcher| {
        let within = |name: &&str| min <= name.as_bytes() && name.as_bytes() <= max;
        matcher.set_matches().is_none_or(|names| names.iter().any(within))
    })
}
