//! Fetching payloads and layouts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use platform::ByteRange;

use super::corrupt;
use crate::error::TsdbError;
use crate::keys::{Day, SegmentKey};
use crate::segment_row::{Payload, SegmentRow};
use crate::store::Store;
use crate::together::{Work, together};
use crate::wal::{Corrupt, Front, Index, Layout, LayoutId, all_chunks};

/// Ranges less than this apart are fetched as one: a request costs more than the bytes between.
const GAP_MAX: u64 = 64 << 10;

/// The part of a payload that was asked for.
pub(super) struct Fetched {
    pub(super) front: Front,
    chunks: Vec<(usize, Bytes)>,
}

impl Fetched {
    pub(super) fn chunks(&self) -> Vec<(usize, &[u8])> {
        self.chunks.iter().map(|(number, bytes)| (*number, bytes.as_ref())).collect()
    }
}

impl Store {
    /// Fetches some chunks of a segment.
    pub(super) async fn fetch(&self, row: &SegmentRow, chunks: Vec<usize>) -> Result<Fetched, TsdbError> {
        match &row.payload {
            Payload::Inline(payload) => whole(&row.key, payload, &chunks),
            Payload::Object { attempt, len, front_len, index } => {
                let object = self.keys.payload(&row.key, attempt);
                let ranges = ranges_of(*front_len, index, &chunks);
                if let [range] = ranges.as_slice()
                    && *range == (0..*len)
                {
                    let payload = self.ports.read_object(&object).await?;
                    if payload.len() as u64 != *len {
                        let reason = format!("{} bytes instead of {len}", payload.len());
                        return Err(TsdbError::Corrupt { what: object, reason });
                    }
                    let fetched = whole(&row.key, &payload, &chunks)?;
                    return check(row, index, fetched);
                }
                let fetched = self.fetch_ranges(row, &object, *front_len, index, ranges, &chunks).await?;
                check(row, index, fetched)
            }
        }
    }

    async fn fetch_ranges(
        &self,
        row: &SegmentRow,
        object: &str,
        front_len: u64,
        index: &Index,
        ranges: Vec<Range<u64>>,
        chunks: &[usize],
    ) -> Result<Fetched, TsdbError> {
        let mut works: Vec<Work<'_, (u64, Bytes)>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            works.push(Box::pin(async move {
                let at = ByteRange::At { start: range.start, len: range.end - range.start };
                let read = self.ports.retrying(|| self.ports.objects.read(object, None, at)).await?;
                Ok((range.start, read.body))
            }));
        }
        let read = together(works, self.settings.concurrency).await?;
        let cut = |range: Range<u64>| {
            let (start, bytes) = read.iter().rfind(|(start, _)| *start <= range.start)?;
            let from = usize::try_from(range.start - start).ok()?;
            let until = usize::try_from(range.end - start).ok()?;
            (until <= bytes.len()).then(|| bytes.slice(from..until))
        };
        let short = || corrupt(&row.key, &"its payload ends too early");
        let front = cut(0..front_len).ok_or_else(short)?;
        let front = Front::read(&row.key, &front).map_err(|error| corrupt(&row.key, &error))?;
        let mut parts = Vec::with_capacity(chunks.len());
        for number in chunks {
            parts.push((*number, cut(range_of(front_len, index, *number)).ok_or_else(short)?));
        }
        Ok(Fetched { front, chunks: parts })
    }

    /// The layouts that some payloads refer to.
    pub(super) async fn load_layouts(
        &self,
        rows: &[&SegmentRow],
        fetched: &[Fetched],
    ) -> Result<BTreeMap<LayoutId, Arc<Layout>>, TsdbError> {
        let mut wanted: BTreeSet<(LayoutId, Day)> = BTreeSet::new();
        for (row, fetched) in rows.iter().zip(fetched) {
            let ids = fetched.front.layout_ids();
            wanted.extend(ids.into_iter().map(|id| (id, Day::of(row.key.tick))));
        }
        // Either day's copy of a layout does.
        let wanted: BTreeMap<LayoutId, Day> = wanted.into_iter().collect();
        let mut works: Vec<Work<'_, (LayoutId, Arc<Layout>)>> = Vec::with_capacity(wanted.len());
        for (id, day) in wanted {
            works.push(Box::pin(self.layout(day, id)));
        }
        Ok(together(works, self.settings.concurrency).await?.into_iter().collect())
    }

    async fn layout(&self, day: Day, id: LayoutId) -> Result<(LayoutId, Arc<Layout>), TsdbError> {
        if let Some(layout) = self.caches.layouts.get(&id) {
            return Ok((id, layout));
        }
        let key = self.keys.layout(day, id);
        let encoded = self.ports.read_object(&key).await?;
        if LayoutId::of(&encoded) != id {
            return Err(TsdbError::Corrupt {
                what: key,
                reason: "it is not the layout of that name".to_owned(),
            });
        }
        let layout = Layout::decode(&encoded)
            .map_err(|e| TsdbError::Corrupt { what: key.clone(), reason: e.to_string() })?;
        let layout = Arc::new(layout);
        self.caches.layouts.insert(id, Arc::clone(&layout), weight(&layout));
        Ok((id, layout))
    }
}

/// As how many layouts a large one counts in the cache, which would else have no bound in bytes.
fn weight(layout: &Layout) -> usize {
    const SERIES: usize = 1024;
    1 + (layout.series.len() + layout.metadata.len()) / SERIES
}

/// The chunks of a payload that is all there.
fn whole(key: &SegmentKey, payload: &Bytes, chunks: &[usize]) -> Result<Fetched, TsdbError> {
    let read = || -> Result<Fetched, Corrupt> {
        let front = Front::read(key, payload)?;
        let all = all_chunks(&front, payload)?;
        let wanted = all.into_iter().filter(|(number, _)| chunks.contains(number));
        let chunks = wanted.map(|(number, bytes)| (number, payload.slice_ref(bytes))).collect();
        Ok(Fetched { front, chunks })
    };
    read().map_err(|error| corrupt(key, &error))
}

/// A payload must be the one that its row means.
fn check(row: &SegmentRow, index: &Index, fetched: Fetched) -> Result<Fetched, TsdbError> {
    if fetched.front.checksum != row.checksum || fetched.front.index != *index {
        return Err(corrupt(&row.key, &"its payload is not the one that its row names"));
    }
    Ok(fetched)
}

fn range_of(front_len: u64, index: &Index, chunk: usize) -> Range<u64> {
    let before = index.chunks.get(..chunk).unwrap_or_default();
    let start = before.iter().fold(front_len, |sum, chunk| sum.saturating_add(chunk.len));
    start..start.saturating_add(index.chunks.get(chunk).map_or(0, |chunk| chunk.len))
}

/// The ranges of a payload that hold its front and some chunks; the front is in the first.
fn ranges_of(front_len: u64, index: &Index, chunks: &[usize]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = std::iter::once(0..front_len).collect();
    for chunk in chunks {
        let range = range_of(front_len, index, *chunk);
        match ranges.last_mut() {
            Some(last) if range.start.saturating_sub(last.end) < GAP_MAX => {
                last.end = range.end.max(last.end)
            }
            _ => ranges.push(range),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::ChunkRef;

    #[test]
    fn a_layout_of_very_many_series_counts_as_many() {
        let of =
            |series| weight(&Layout { series: vec![model::Labels::default(); series], ..Layout::default() });
        assert_eq!((of(0), of(1_000), of(1_024), of(1_000_000)), (1, 1, 2, 977));
    }

    #[test]
    fn only_what_is_far_away_is_fetched_by_itself() {
        let chunk = |len| ChunkRef { first: String::new(), len, checksum: 0 };
        let index = Index { bases: vec![], chunks: vec![chunk(1_000), chunk(100_000), chunk(50), chunk(70)] };
        let ranges = |chunks: &[usize]| -> Vec<(u64, u64)> {
            ranges_of(200, &index, chunks).into_iter().map(|range| (range.start, range.end)).collect()
        };
        assert_eq!(ranges(&[0, 1, 2, 3]), [(0, 101_320)]);
        assert_eq!(ranges(&[0]), [(0, 1_200)]);
        assert_eq!(ranges(&[3]), [(0, 200), (101_250, 101_320)]);
        assert_eq!(ranges(&[2, 3]), [(0, 200), (101_200, 101_320)]);
    }
}
