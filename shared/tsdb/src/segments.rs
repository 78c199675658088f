//! Reading segments: rows of a range of ticks, and what their payloads hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use platform::{Row, RowRange};

use crate::error::TsdbError;
use crate::keys::{Day, SegmentKey};
use crate::segment_row::{Payload, SegmentRow};
use crate::store::Store;
use crate::together::{Work, together};
use crate::wal::{self, DecodedScrape, Layout, LayoutId};

/// A decoded segment.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Its name.
    pub key: SegmentKey,
    /// What it holds.
    pub scrapes: Vec<DecodedScrape>,
}

/// Whether decoded segments are worth keeping: a query's will be read again, a compaction's will not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Yes,
    No,
}

impl Store {
    /// The rows of all segments with `from <= tick < until`, ms, in order.
    pub(crate) async fn segment_rows(&self, from: i64, until: i64) -> Result<Vec<SegmentRow>, TsdbError> {
        self.rows_of(self.keys.segments(from, until)).await
    }

    /// The rows of all segments of some ranges, in the order of the ranges.
    pub(crate) async fn rows_of(&self, ranges: Vec<RowRange>) -> Result<Vec<SegmentRow>, TsdbError> {
        let mut works: Vec<Work<'_, Vec<Row>>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            works.push(Box::pin(async move { Ok(self.ports.query_rows(range).await?) }));
        }
        let pages = together(works, self.settings.concurrency).await?;
        pages.iter().flatten().map(|row| SegmentRow::decode(&row.key.sort, &row.value)).collect()
    }

    /// The segments of some rows, in their order.
    pub(crate) async fn load_segments(
        &self,
        rows: &[&SegmentRow],
        keep: Keep,
    ) -> Result<Vec<Arc<Segment>>, TsdbError> {
        let cached = |row: &SegmentRow| self.caches.segments.get(&(row.key.to_string(), row.checksum));
        let mut found: Vec<Option<Arc<Segment>>> = rows.iter().map(|row| cached(row)).collect();
        let missing: Vec<&SegmentRow> =
            rows.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(row, _)| *row).collect();
        let mut works: Vec<Work<'_, Bytes>> = Vec::with_capacity(missing.len());
        for row in missing.iter().copied() {
            works.push(Box::pin(self.payload(row)));
        }
        let payloads = together(works, self.settings.concurrency).await?;
        let layouts = self.load_layouts(&missing, &payloads).await?;
        let mut decoded = missing.into_iter().zip(payloads).map(|(row, payload)| {
            let segment = Arc::new(decode(row, &payload, &layouts)?);
            if keep == Keep::Yes {
                let key = (row.key.to_string(), row.checksum);
                self.caches.segments.insert(key, Arc::clone(&segment), segment.size_bytes());
            }
            Ok::<_, TsdbError>(segment)
        });
        for slot in found.iter_mut().filter(|slot| slot.is_none()) {
            *slot = decoded.next().transpose()?;
        }
        Ok(found.into_iter().flatten().collect())
    }

    async fn payload(&self, row: &SegmentRow) -> Result<Bytes, TsdbError> {
        match &row.payload {
            Payload::Inline(payload) => Ok(payload.clone()),
            Payload::Object { attempt, len, .. } => {
                let key = self.keys.payload(&row.key, attempt);
                let payload = self.ports.read_object(&key).await?;
                if payload.len() as u64 != *len {
                    let reason = format!("{} bytes instead of {len}", payload.len());
                    return Err(TsdbError::Corrupt { what: key, reason });
                }
                Ok(payload)
            }
        }
    }

    async fn load_layouts(
        &self,
        rows: &[&SegmentRow],
        payloads: &[Bytes],
    ) -> Result<BTreeMap<LayoutId, Arc<Layout>>, TsdbError> {
        let mut wanted: BTreeSet<(LayoutId, Day)> = BTreeSet::new();
        for (row, payload) in rows.iter().zip(payloads) {
            let ids = match &row.payload {
                Payload::Object { layouts, .. } => layouts.clone(),
                Payload::Inline(_) => {
                    wal::Front::read(&row.key, payload).map_err(|e| corrupt(row, &e))?.layout_ids()
                }
            };
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
        self.caches.layouts.insert(id, Arc::clone(&layout), 1);
        Ok((id, layout))
    }
}

impl Segment {
    /// About how much memory it takes.
    fn size_bytes(&self) -> usize {
        let scrape = |scrape: &DecodedScrape| {
            256 + scrape.present.len() * 4 + scrape.values.len() * 8 + scrape.explicit.len() * 16
        };
        64 + self.scrapes.iter().map(scrape).sum::<usize>()
    }
}

fn decode(
    row: &SegmentRow,
    payload: &Bytes,
    layouts: &BTreeMap<LayoutId, Arc<Layout>>,
) -> Result<Segment, TsdbError> {
    let front = wal::Front::read(&row.key, payload).map_err(|e| corrupt(row, &e))?;
    let chunks = wal::all_chunks(&front, payload).map_err(|e| corrupt(row, &e))?;
    let decoded = wal::decode(&row.key, &front, &chunks, &[], &|id| layouts.get(&id).cloned());
    let scrapes = decoded.map_err(|e| corrupt(row, &e))?.scrapes;
    let samples: usize = scrapes.iter().map(|scrape| scrape.samples).sum();
    if samples as u64 != row.samples {
        return Err(corrupt(row, &format!("{samples} samples instead of {}", row.samples)));
    }
    Ok(Segment { key: row.key.clone(), scrapes })
}

fn corrupt(row: &SegmentRow, reason: &dyn std::fmt::Display) -> TsdbError {
    TsdbError::Corrupt { what: format!("segment {}", row.key), reason: reason.to_string() }
}
