//! Layouts of what is pushed: a pusher sends any part of its series at any time.
//!
//! What is new is embedded in the segment. Once much of what was embedded comes again and again, it is stored as a layout
//! of its own, for a write costs less than to embed it for ever; a job that pushes once never causes one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Labels, Metadata};
use storage::SourceId;

use super::cache::{Entry, Resolved};
use super::layout::{Layout, LayoutId, merged_metadata};

/// Segments whose embedded series were mostly embedded before, until they are stored.
const RECURRING_MIN: u32 = 8;
/// So many as one in this many of the stored ones are worth another layout; fewer wait for …
const GROWTH: usize = 8;
/// … so many segments.
const PATIENCE: u32 = 256;
/// A pusher's layout begins anew beyond so many series.
const SERIES_PER_PUSHER_MAX: usize = 1 << 18;

/// What pushers have pushed.
#[derive(Debug)]
pub(super) struct Pushed {
    entries: BTreeMap<SourceId, Pusher>,
    series_max: usize,
    series: usize,
    uses: u64,
}

#[derive(Debug)]
struct Pusher {
    /// What is stored; without series, nothing.
    entry: Entry,
    embedded: BTreeSet<Labels>,
    recurring: u32,
    last_use: u64,
}

impl Pusher {
    fn weight(&self) -> usize {
        self.entry.layout.series.len() + self.embedded.len()
    }
}

impl Pushed {
    pub(super) fn new(series_max: usize) -> Self {
        Self { entries: BTreeMap::new(), series_max, series: 0, uses: 0 }
    }

    /// The layout to write samples of these series with.
    pub(super) fn resolve(
        &mut self,
        source: SourceId,
        series: &[&Labels],
        metadata: &Arc<[Metadata]>,
    ) -> Resolved {
        self.uses += 1;
        let known = self.entries.remove(&source);
        self.series -= known.as_ref().map_or(0, Pusher::weight);
        let mut pusher = known.unwrap_or_else(|| Pusher {
            entry: Entry::of(Layout::default()),
            embedded: BTreeSet::new(),
            recurring: 0,
            last_use: 0,
        });
        pusher.last_use = self.uses;
        let resolved = pusher.resolve(series, metadata);
        self.series += pusher.weight();
        self.entries.insert(source, pusher);
        while self.series > self.series_max && self.entries.len() > 1 {
            let oldest =
                self.entries.iter().min_by_key(|(_, entry)| entry.last_use).map(|(source, _)| *source);
            let Some(gone) = oldest.and_then(|source| self.entries.remove(&source)) else { break };
            self.series -= gone.weight();
        }
        resolved
    }
}

impl Pusher {
    fn resolve(&mut self, series: &[&Labels], metadata: &Arc<[Metadata]>) -> Resolved {
        let (positions, missing) = self.entry.locate(series);
        let said = merged_metadata(&self.entry.layout.metadata, metadata);
        if missing.is_empty() && said.is_none() && !self.entry.layout.series.is_empty() {
            return self.stored(positions);
        }
        let again = missing.iter().filter(|labels| self.embedded.contains(*labels)).count();
        self.recurring += u32::from(again * 2 >= missing.len());
        self.embedded.extend(missing.iter().cloned());
        let grown = self.embedded.len() * GROWTH >= self.entry.layout.series.len();
        if self.recurring >= if grown { RECURRING_MIN } else { PATIENCE } {
            return self.store(series, said);
        }
        if self.embedded.len() > SERIES_PER_PUSHER_MAX {
            self.embedded.clear();
        }
        self.embed(series, missing, metadata)
    }

    /// All that was embedded becomes part of what is stored.
    fn store(&mut self, series: &[&Labels], said: Option<Arc<[Metadata]>>) -> Resolved {
        let more: Vec<Labels> = std::mem::take(&mut self.embedded).into_iter().collect();
        self.recurring = 0;
        let metadata = said.clone().unwrap_or_else(|| Arc::clone(&self.entry.layout.metadata));
        let too_many = self.entry.layout.series.len() + more.len() > SERIES_PER_PUSHER_MAX;
        self.entry = if too_many || !self.entry.has_room_for(more.iter()) {
            Entry::exact(series, &metadata).0
        } else {
            self.entry.extended(more, said)
        };
        let (positions, _) = self.entry.locate(series);
        self.stored(positions)
    }

    fn stored(&self, positions: Vec<u32>) -> Resolved {
        Resolved {
            id: self.entry.id,
            layout: Arc::clone(&self.entry.layout),
            stored: Some((self.entry.id, self.entry.encoded.clone())),
            tail: None,
            extends: None,
            positions,
        }
    }

    /// The stored layout with what is missing behind it, or just these series where it would be of little use.
    fn embed(&self, series: &[&Labels], missing: Vec<Labels>, metadata: &Arc<[Metadata]>) -> Resolved {
        let useful = series.iter().any(|labels| self.entry.search(labels).is_some());
        let base = useful.then_some(&self.entry);
        let tail = match base {
            Some(_) => Layout { series: missing, metadata: sorted(metadata) },
            None => Layout { series: sorted_series(series), metadata: sorted(metadata) },
        };
        let body: Arc<[u8]> = tail.body().into();
        let layout = match base {
            Some(entry) => entry.layout.with_tail(&tail),
            None => tail,
        };
        let stored = base.map(|entry| (entry.id, entry.encoded.clone()));
        let id = composed_id(stored.as_ref().map(|(id, _)| *id), Some(&body));
        let first = base.map_or(0, |entry| entry.layout.series.len());
        let behind = layout.series.get(first..).unwrap_or_default();
        let place = |labels: &&Labels| {
            let known = base.and_then(|entry| entry.search(labels));
            known.or_else(|| behind.binary_search(labels).ok().map(|at| (first + at) as u32)).unwrap_or(0)
        };
        let positions = series.iter().map(place).collect();
        Resolved { id, layout: Arc::new(layout), stored, tail: Some(body), extends: None, positions }
    }
}

/// Names what a stored layout and an embedded one make together.
pub(super) fn composed_id(stored: Option<LayoutId>, tail: Option<&[u8]>) -> LayoutId {
    match (stored, tail) {
        (Some(stored), None) => stored,
        (stored, tail) => {
            let mut text = stored.map_or_else(Vec::new, |id| id.0.to_le_bytes().to_vec());
            text.extend_from_slice(tail.unwrap_or_default());
            LayoutId::of(&text)
        }
    }
}

fn sorted(metadata: &Arc<[Metadata]>) -> Arc<[Metadata]> {
    let nothing: Arc<[Metadata]> = Arc::default();
    merged_metadata(&nothing, metadata).unwrap_or(nothing)
}

fn sorted_series(series: &[&Labels]) -> Vec<Labels> {
    let mut sorted: Vec<Labels> = series.iter().map(|labels| (*labels).clone()).collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(pushed: &mut Pushed, names: &[String]) -> Resolved {
        let series: Vec<Labels> =
            names.iter().map(|name| Labels::from_pairs([("__name__", name.as_str())])).collect();
        let resolved = pushed.resolve(SourceId(1), &series.iter().collect::<Vec<_>>(), &Arc::default());
        for (labels, position) in series.iter().zip(&resolved.positions) {
            assert_eq!(&resolved.layout.series[*position as usize], labels);
        }
        resolved
    }

    #[test]
    fn what_is_pushed_once_is_embedded_and_what_comes_again_and_again_is_stored() {
        let mut pushed = Pushed::new(1000);
        let names = ["b".to_owned(), "a".to_owned()];
        for _ in 0..RECURRING_MIN {
            let resolved = push(&mut pushed, &names);
            assert!(resolved.stored.is_none() && resolved.tail.is_some());
        }
        for _ in 0..3 {
            let resolved = push(&mut pushed, &names);
            assert!(resolved.stored.is_some() && resolved.tail.is_none());
        }
        let resolved = push(&mut pushed, &["a".to_owned(), "new".to_owned()]);
        assert!(resolved.stored.is_some() && resolved.tail.is_some());
    }

    #[test]
    fn series_that_are_always_new_do_not_cause_layouts() {
        let mut pushed = Pushed::new(1000);
        for round in 0..2000 {
            assert!(push(&mut pushed, &[format!("n{round}")]).stored.is_none());
            assert!(pushed.series <= 1000 || pushed.entries.len() == 1);
        }
    }
}
