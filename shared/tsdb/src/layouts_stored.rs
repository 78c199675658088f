//! Storing the layouts that a segment refers to, each once a day.
//!
//! ```text
//! layouts of a segment ─► not known to be stored ─► many? list those of the day ─► still not known: create if absent
//! ```
//!
//! A layout is named by its content, so that all processes store the same one under the same name. Each of many short-lived
//! processes would store all of them again to no effect: on S3 a creation costs as much as a list of a thousand, so where a
//! segment has several unknown layouts, they are looked for first.

use std::sync::PoisonError;

use bytes::Bytes;

use crate::error::TsdbError;
use crate::keys::Day;
use crate::store::Store;
use crate::together::{Work, together};
use crate::wal::LayoutId;

/// More known layouts than this are forgotten; storing one again is a no-op.
const LAYOUTS_KNOWN_MAX: usize = 100_000;
/// So many unknown layouts are worth one page of a list: if it has none of them, a quarter was wasted.
const UNKNOWN_A_PAGE: usize = 4;

impl Store {
    /// Makes all of these layouts durable under `day`.
    pub(crate) async fn store_layouts(
        &self,
        day: Day,
        layouts: Vec<(LayoutId, Bytes)>,
    ) -> Result<(), TsdbError> {
        let mut unknown = self.unknown_layouts(day, layouts);
        let pages = unknown.len() / UNKNOWN_A_PAGE;
        if pages > 0 {
            self.find_layouts(day, pages).await;
            unknown = self.unknown_layouts(day, unknown);
        }
        let mut works: Vec<Work<'_, ()>> = Vec::with_capacity(unknown.len());
        for (id, encoded) in unknown {
            works.push(Box::pin(self.store_layout(day, id, encoded)));
        }
        together(works, self.settings.concurrency).await.map(|_| ())
    }

    fn unknown_layouts(&self, day: Day, mut layouts: Vec<(LayoutId, Bytes)>) -> Vec<(LayoutId, Bytes)> {
        let mut stored = self.layouts_stored.lock().unwrap_or_else(PoisonError::into_inner);
        if stored.len() > LAYOUTS_KNOWN_MAX {
            stored.clear();
        }
        layouts.retain(|(id, _)| !stored.contains(&(day, *id)));
        layouts
    }

    /// Learns which layouts are stored, of the first so many pages. An aid only: who may not list, stores.
    async fn find_layouts(&self, day: Day, pages: usize) {
        match self.ports.list_pages(&self.keys.layouts_of(day), pages).await {
            Ok(keys) => {
                let ids = keys.iter().filter_map(|key| key.rsplit_once('/')?.1.parse().ok());
                let mut stored = self.layouts_stored.lock().unwrap_or_else(PoisonError::into_inner);
                stored.extend(ids.map(|id| (day, id)));
            }
            Err(error) => tracing::debug!(%error, "the layouts of a day cannot be listed"),
        }
    }

    async fn store_layout(&self, day: Day, id: LayoutId, encoded: Bytes) -> Result<(), TsdbError> {
        self.ports.create_object(&self.keys.layout(day, id), &encoded).await?;
        self.layouts_stored.lock().unwrap_or_else(PoisonError::into_inner).insert((day, id));
        Ok(())
    }
}
