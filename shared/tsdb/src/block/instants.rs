//! Reads timelines.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use futures::lock::Mutex;
use model::TimestampMs;

use super::footer::Footer;
use super::page::{Levels, ListReader, read_chunk};
use super::schema::timelines;
use super::source::Source;
use super::types::BlockError;

/// Timestamps of decoded timelines that are kept: 32 MiB.
const KEPT_TIMESTAMPS_MAX: usize = 4 << 20;

/// Timelines by their name.
pub(super) type Instants = BTreeMap<i64, Arc<[TimestampMs]>>;

/// A timelines file, open.
pub(super) struct TimelinesFile {
    source: Source,
    footer: Footer,
    pages: Mutex<Option<Arc<Pages>>>,
    kept: Mutex<Kept>,
}

/// Where each timeline's page is.
type Pages = BTreeMap<i64, Range<u64>>;

#[derive(Default)]
struct Kept {
    instants: Instants,
    timestamps: usize,
}

impl TimelinesFile {
    pub(super) fn new(source: Source, footer: Footer) -> Self {
        Self { source, footer, pages: Mutex::new(None), kept: Mutex::new(Kept::default()) }
    }

    /// The timelines `wanted`, if all are in memory.
    pub(super) async fn kept(&self, wanted: &BTreeSet<i64>) -> Option<Instants> {
        let kept = self.kept.lock().await;
        wanted.iter().map(|tl| Some((*tl, Arc::clone(kept.instants.get(tl)?)))).collect()
    }

    /// The timelines `wanted`.
    pub(super) async fn get(&self, wanted: &BTreeSet<i64>) -> Result<Instants, BlockError> {
        let mut found = Instants::new();
        {
            let kept = self.kept.lock().await;
            found.extend(wanted.iter().filter_map(|tl| Some((*tl, Arc::clone(kept.instants.get(tl)?)))));
        }
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
        let mut reader = ListReader::new().map_err(|reason| self.source.corrupt(reason))?;
        let mut kept = self.kept.lock().await;
        for ((_, tl), bytes) in missing.iter().zip(bytes) {
            let instants: Arc<[TimestampMs]> = self.decode(&mut reader, &bytes)?;
            if kept.timestamps + instants.len() <= KEPT_TIMESTAMPS_MAX
                && kept.instants.insert(*tl, Arc::clone(&instants)).is_none()
            {
                kept.timestamps += instants.len();
            }
            found.insert(*tl, instants);
        }
        Ok(found)
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

    async fn pages(&self) -> Result<Arc<Pages>, BlockError> {
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
