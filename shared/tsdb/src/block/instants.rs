//! Reads timelines.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use futures::lock::Mutex;
use model::TimestampMs;
use xxhash_rust::xxh3::xxh3_128;

use super::context::{BlockContext, CacheKey, Part};
use super::footer::Footer;
use super::page::{Levels, ListReader, read_chunk};
use super::schema::timelines;
use super::source::Source;
use super::types::BlockError;

/// Timelines by their name.
pub(super) type Instants = BTreeMap<i64, Arc<[TimestampMs]>>;

/// A timelines file, open.
pub(super) struct TimelinesFile {
    source: Source,
    footer: Footer,
    context: Arc<BlockContext>,
    file: u128,
    pages: Mutex<Option<Arc<Pages>>>,
}

/// A timeline in the cache.
struct Timeline(Arc<[TimestampMs]>);

/// Where each timeline's page is.
pub(super) type Pages = BTreeMap<i64, Range<u64>>;

impl TimelinesFile {
    pub(super) fn new(source: Source, footer: Footer, context: Arc<BlockContext>) -> Self {
        let file = xxh3_128(source.key().as_bytes());
        Self { source, footer, context, file, pages: Mutex::new(None) }
    }

    /// Bytes of the file that are held.
    pub(super) fn held_bytes(&self) -> usize {
        self.source.held_bytes()
    }

    /// Those of the timelines `wanted` that are in memory.
    pub(super) fn kept(&self, wanted: &BTreeSet<i64>) -> Instants {
        let kept = |tl: &i64| {
            let timeline = self.context.get::<Timeline>(&self.cache_key(*tl))?;
            Some((*tl, Arc::clone(&timeline.0)))
        };
        wanted.iter().filter_map(kept).collect()
    }

    /// The timelines `wanted`. They are not counted among the bytes in flight: whoever needs them holds values already.
    pub(super) async fn get(&self, wanted: &BTreeSet<i64>) -> Result<Instants, BlockError> {
        let mut found = self.kept(wanted);
        if found.len() == wanted.len() {
            return Ok(found);
        }
        let pages = self.pages().await?;
        let mut missing: Vec<(Range<u64>, i64)> = Vec::new();
        for tl in wanted.iter().filter(|tl| !found.contains_key(tl)) {
            let page = pages.get(tl).ok_or_else(|| self.source.corrupt("a timeline is missing"))?;
            missing.push((page.clone(), *tl));
        }
        missing.sort_by_key(|(page, _)| page.start);
        let ranges: Vec<Range<u64>> = missing.iter().map(|(page, _)| page.clone()).collect();
        let bytes = self.source.read_all(&ranges).await?;
        let mut reader = ListReader::new();
        for ((_, tl), bytes) in missing.iter().zip(bytes) {
            let instants: Arc<[TimestampMs]> = self.decode(&mut reader, &bytes)?;
            let timeline = Arc::new(Timeline(Arc::clone(&instants)));
            self.context.insert(self.cache_key(*tl), &timeline, 64 + 8 * instants.len());
            found.insert(*tl, instants);
        }
        Ok(found)
    }

    fn cache_key(&self, tl: i64) -> CacheKey {
        CacheKey { file: self.file, part: (Part::Timeline, tl) }
    }

    fn decode(&self, reader: &mut ListReader<i64>, page: &[u8]) -> Result<Arc<[TimestampMs]>, BlockError> {
        let rows = reader.read(page, Levels::LIST, 1).map_err(|reason| self.source.corrupt(reason))?;
        let instants = rows.get(0).unwrap_or_default();
        if instants.is_sorted_by(|a, b| a < b) {
            Ok(instants.into())
        } else {
            Err(self.source.corrupt("a timeline is not in order"))
        }
    }

    /// Where the timelines are; fetched once.
    pub(super) async fn pages(&self) -> Result<Arc<Pages>, BlockError> {
        let mut slot = self.pages.lock().await;
        if let Some(pages) = &*slot {
            return Ok(Arc::clone(pages));
        }
        let corrupt = |reason: &str| self.source.corrupt(reason);
        let mut pages = Pages::new();
        for group in &self.footer.groups {
            let values = timelines::TS..timelines::COUNT;
            let names = group.columns.get(timelines::TL).ok_or_else(|| corrupt("a column is missing"))?;
            let index = group.offset_indexes(values.clone()).ok_or_else(|| corrupt("a column is missing"))?;
            let bytes = self.source.read_all(&[names.bytes.clone(), index]).await?;
            let [names, index] = bytes.as_slice() else { return Err(corrupt("a range is missing")) };
            let names =
                read_chunk::<i64>(names, Levels::REQUIRED, group.rows).map_err(corrupt)?.into_values();
            let locations = group.page_locations(values, index).map_err(corrupt)?;
            let locations = locations.into_iter().next().unwrap_or_default();
            if locations.len() != names.len() {
                return Err(corrupt("a timeline has no page of its own"));
            }
            pages.extend(names.into_iter().zip(locations.into_iter().map(|page| page.bytes)));
        }
        let pages = Arc::new(pages);
        *slot = Some(Arc::clone(&pages));
        Ok(pages)
    }
}
