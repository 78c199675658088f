//! Files of rows that are sorted by metric and labels: their row groups' indexes, fetched once and kept in the cache.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::lock::Mutex;
use xxhash_rust::xxh3::xxh3_128;

use super::context::{BlockContext, CacheKey, Part, Permit};
use super::footer::{Footer, Group, PageLocation};
use super::histograms::HistogramRows;
use super::labels::LabelIndex;
use super::page::Levels;
use super::places::{Forms, Places};
use super::schema::{histograms, samples};
use super::source::Source;
use super::texts::{Texts, read_texts};
use super::types::BlockError;

/// The index columns of one kind of file that come after `stale`.
pub(super) trait Columns: Send + Sync + Sized + 'static {
    /// How many index columns there are, those of labels and places included.
    const INDEX: usize;
    /// How many columns there are.
    const COUNT: usize;

    /// Decodes them, from all index columns.
    fn read(columns: &[Bytes], rows: usize, places: &Places) -> Result<Self, &'static str>;

    /// What they occupy in memory.
    fn size_bytes(&self) -> usize;
}

impl Columns for Forms {
    const INDEX: usize = samples::M;
    const COUNT: usize = samples::COUNT;

    fn read(columns: &[Bytes], rows: usize, places: &Places) -> Result<Self, &'static str> {
        Self::read(columns, rows, places)
    }

    fn size_bytes(&self) -> usize {
        self.size_bytes()
    }
}

impl Columns for HistogramRows {
    const INDEX: usize = histograms::SUM;
    const COUNT: usize = histograms::COUNT;

    fn read(columns: &[Bytes], rows: usize, _: &Places) -> Result<Self, &'static str> {
        Self::read(columns, rows)
    }

    fn size_bytes(&self) -> usize {
        self.size_bytes()
    }
}

/// A samples or histograms file, open.
pub(super) struct RowsFile<C> {
    pub(super) source: Source,
    footer: Footer,
    context: Arc<BlockContext>,
    file: u128,
    /// One for each row group: whoever needs its index waits for whom is fetching it.
    fetching: Vec<Mutex<()>>,
    columns: std::marker::PhantomData<C>,
}

/// The index of a row group: what is known of its rows without their values.
#[derive(Debug)]
pub(super) struct GroupIndex<C> {
    pub(super) labels: Arc<LabelIndex>,
    pub(super) rows: Arc<RowIndex<C>>,
}

impl<C> Clone for GroupIndex<C> {
    fn clone(&self) -> Self {
        Self { labels: Arc::clone(&self.labels), rows: Arc::clone(&self.rows) }
    }
}

/// The index columns but the labels', and where the pages of the value columns are.
#[derive(Debug)]
pub(super) struct RowIndex<C> {
    pub(super) places: Places,
    pub(super) columns: C,
    /// By value column.
    pub(super) pages: Vec<Vec<PageLocation>>,
}

impl<C> RowIndex<C> {
    /// The timelines that `rows` are on.
    pub(super) fn timelines(&self, rows: &[u32]) -> BTreeSet<i64> {
        let mut last = None;
        let tls = rows.iter().filter_map(|row| self.places.get(*row as usize)).map(|place| place.tl);
        // Neighbours often share a timeline: a comparison is cheaper than a search.
        tls.filter(|tl| last.replace(*tl) != Some(*tl)).collect()
    }
}

impl<C: Columns> RowsFile<C> {
    pub(super) fn new(source: Source, footer: Footer, context: Arc<BlockContext>) -> Self {
        let fetching = footer.groups.iter().map(|_| Mutex::new(())).collect();
        let file = xxh3_128(source.key().as_bytes());
        Self { source, footer, context, file, fetching, columns: std::marker::PhantomData }
    }

    pub(super) fn corrupt(&self, reason: &str) -> BlockError {
        self.source.corrupt(reason)
    }

    pub(super) fn group_count(&self) -> usize {
        self.footer.groups.len()
    }

    /// Number of rows of a row group.
    pub(super) fn row_count(&self, group: usize) -> usize {
        self.footer.groups.get(group).map_or(0, |group| group.rows)
    }

    /// Least and greatest metric name of a row group, or bounds of them.
    pub(super) fn metric_bounds(&self, group: usize) -> Option<(&[u8], &[u8])> {
        let (min, max) = self.footer.groups.get(group)?.columns.get(samples::METRIC)?.bounds.as_ref()?;
        Some((min, max))
    }

    /// Waits until the bytes of some ranges may be fetched.
    pub(super) async fn reserve(&self, ranges: &[Range<u64>]) -> Permit {
        let bytes = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        self.context.reserve(bytes).await
    }

    /// The labels of a row group, put into the cache if `keep`.
    pub(super) async fn labels(&self, group: usize, keep: bool) -> Result<Arc<LabelIndex>, BlockError> {
        let (fetching, meta) = self.group(group)?;
        let _fetching = fetching.lock().await;
        let key = self.key(Part::Labels, group);
        if let Some(labels) = self.context.get(&key) {
            return Ok(labels);
        }
        let ranges = self.chunks(meta, samples::METRIC..samples::TL)?;
        let _permit = self.reserve(&ranges).await;
        let columns = self.source.read_all(&ranges).await?;
        self.decode_labels(group, &columns, meta.rows, keep)
    }

    /// The metric names of a row group; they are all that is read for it.
    pub(super) async fn metric_names(&self, group: usize) -> Result<Arc<Texts>, BlockError> {
        let (fetching, meta) = self.group(group)?;
        let _fetching = fetching.lock().await;
        let key = self.key(Part::Metrics, group);
        if let Some(names) = self.context.get(&key) {
            return Ok(names);
        }
        let labels: Option<Arc<LabelIndex>> = self.context.get(&self.key(Part::Labels, group));
        let names = match labels {
            Some(labels) => labels.metric_names(),
            None => {
                let ranges = self.chunks(meta, samples::METRIC..samples::LABEL_NAME)?;
                let _permit = self.reserve(&ranges).await;
                let columns = self.source.read_all(&ranges).await?;
                let column = columns.first().ok_or_else(|| self.corrupt("a range is missing"))?;
                let column = read_texts(column, Levels::REQUIRED, meta.rows);
                let column = column.map_err(|reason| self.corrupt(reason))?;
                let mut ids = column.ids;
                ids.dedup();
                ids.iter().filter_map(|id| column.texts.get(*id)).collect()
            }
        };
        let names = Arc::new(names);
        self.context.insert(key, &names, names.size_bytes());
        Ok(names)
    }

    /// The index of a row group, put into the cache if `keep`.
    pub(super) async fn index(&self, group: usize, keep: bool) -> Result<GroupIndex<C>, BlockError> {
        let (fetching, meta) = self.group(group)?;
        let _fetching = fetching.lock().await;
        let labels: Option<Arc<LabelIndex>> = self.context.get(&self.key(Part::Labels, group));
        let rows: Option<Arc<RowIndex<C>>> = self.context.get(&self.key(Part::Rows, group));
        let first = match (&labels, &rows) {
            (Some(labels), Some(rows)) => {
                return Ok(GroupIndex { labels: Arc::clone(labels), rows: Arc::clone(rows) });
            }
            (Some(_), None) => samples::TL,
            (None, _) => samples::METRIC,
        };
        let corrupt = |reason: &str| self.corrupt(reason);
        let values = C::INDEX..C::COUNT;
        let mut ranges = self.chunks(meta, first..C::INDEX)?;
        ranges.push(meta.offset_indexes(values.clone()).ok_or_else(|| corrupt("a column is missing"))?);
        let _permit = self.reserve(&ranges).await;
        let fetched = self.source.read_all(&ranges).await?;
        let (pages, fetched) = fetched.split_last().ok_or_else(|| corrupt("a range is missing"))?;
        // By their numbers, whatever is not fetched being empty.
        let mut columns = vec![Bytes::new(); first];
        columns.extend_from_slice(fetched);
        let labels = match labels {
            Some(labels) => labels,
            None => self.decode_labels(group, &columns, meta.rows, keep)?,
        };
        let pages = meta.page_locations(values, pages).map_err(corrupt)?;
        let places = Places::read(&columns, meta.rows).map_err(corrupt)?;
        let of_kind = C::read(&columns, meta.rows, &places).map_err(corrupt)?;
        let rows = Arc::new(RowIndex { places, columns: of_kind, pages });
        if keep {
            let locations: usize = rows.pages.iter().map(Vec::capacity).sum();
            let bytes =
                rows.places.size_bytes() + rows.columns.size_bytes() + locations * size_of::<PageLocation>();
            self.context.insert(self.key(Part::Rows, group), &rows, bytes);
        }
        Ok(GroupIndex { labels, rows })
    }

    fn decode_labels(
        &self,
        group: usize,
        columns: &[Bytes],
        rows: usize,
        keep: bool,
    ) -> Result<Arc<LabelIndex>, BlockError> {
        let [metric, name, value, ..] = columns else { return Err(self.corrupt("a range is missing")) };
        let labels = LabelIndex::read(metric, name, value, rows).map_err(|reason| self.corrupt(reason))?;
        let labels = Arc::new(labels);
        if keep {
            self.context.insert(self.key(Part::Labels, group), &labels, labels.size_bytes());
        }
        Ok(labels)
    }

    fn group(&self, group: usize) -> Result<(&Mutex<()>, &Group), BlockError> {
        let group = self.fetching.get(group).zip(self.footer.groups.get(group));
        group.ok_or_else(|| self.corrupt("a row group is missing"))
    }

    fn key(&self, part: Part, group: usize) -> CacheKey {
        CacheKey { file: self.file, part: (part, group as i64) }
    }

    /// The ranges of some columns of a row group, in order.
    fn chunks(&self, group: &Group, columns: Range<usize>) -> Result<Vec<Range<u64>>, BlockError> {
        let columns = group.columns.get(columns).ok_or_else(|| self.corrupt("a column is missing"))?;
        let ranges: Vec<Range<u64>> = columns.iter().map(|chunk| chunk.bytes.clone()).collect();
        // The writer puts the columns in this order; a file that does not is not ours.
        if ranges.is_sorted_by_key(|range| range.start) {
            Ok(ranges)
        } else {
            Err(self.corrupt("the columns are not in order"))
        }
    }
}
