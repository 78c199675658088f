//! What a body says of its metric families. It hardly ever changes, so it is built when it does, and shared otherwise.

use std::sync::Arc;

use model::Metadata;
use textparse::{Event, MetricType};
use xxhash_rust::xxh3::Xxh3;

/// Metadata lines of a body as they are met, borrowed from it.
#[derive(Debug, Default)]
pub(crate) struct MetadataLines<'a> {
    families: Vec<Family<'a>>,
}

/// What one family's lines say. A family may come in pieces: each `#` line, or run of them, is one.
#[derive(Clone, Copy, Debug, Default)]
struct Family<'a> {
    name: &'a [u8],
    kind: Option<MetricType>,
    help: Option<&'a str>,
    unit: Option<&'a [u8]>,
}

/// The metadata that was built last, and of which lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastMetadata {
    hash: u128,
    metadata: Arc<[Metadata]>,
}

impl<'a> MetadataLines<'a> {
    /// Takes note of an event.
    pub(crate) fn add(&mut self, event: &Event<'a>) {
        match event {
            Event::Help { metric, text } => self.family(metric).help = Some(text),
            Event::Unit { metric, unit } => self.family(metric).unit = Some(unit),
            Event::Type { metric, kind } => self.family(metric).kind = Some(*kind),
            _ => {}
        }
    }

    /// The piece that a line belongs to.
    fn family(&mut self, name: &'a [u8]) -> &mut Family<'a> {
        let known = self.families.last().is_some_and(|last| last.name == name);
        let family = if known { self.families.pop() } else { None };
        self.families.push_mut(family.unwrap_or(Family { name, ..Family::default() }))
    }

    /// The metadata of these lines, each family once, sorted; of lines that contradict each other the last count, as in
    /// Prometheus. Without any line it is what it was: failed scrapes and empty bodies say nothing.
    pub(crate) fn finish(self, last: &mut LastMetadata) -> Arc<[Metadata]> {
        if self.families.is_empty() {
            return Arc::clone(&last.metadata);
        }
        let hash = self.hash();
        if hash != last.hash {
            let metadata = self.build();
            // Other lines may say the same.
            if metadata != *last.metadata {
                last.metadata = metadata.into();
            }
            last.hash = hash;
        }
        Arc::clone(&last.metadata)
    }

    fn hash(&self) -> u128 {
        let mut hasher = Xxh3::new();
        for family in &self.families {
            let help = family.help.unwrap_or_default();
            hasher.update(&(family.name.len() as u64).to_le_bytes());
            hasher.update(family.name);
            hasher.update(&[family.kind.map_or(u8::MAX, |kind| kind as u8), u8::from(family.help.is_some())]);
            hasher.update(&(help.len() as u64).to_le_bytes());
            hasher.update(help.as_bytes());
            hasher.update(&[u8::from(family.unit.is_some())]);
            let unit = family.unit.unwrap_or_default();
            hasher.update(&(unit.len() as u64).to_le_bytes());
            hasher.update(unit);
        }
        hasher.digest128()
    }

    fn build(&self) -> Vec<Metadata> {
        let mut sorted = self.families.clone();
        // Stable: pieces of one family stay in order.
        sorted.sort_by(|a, b| a.name.cmp(b.name));
        let mut all: Vec<Metadata> = Vec::with_capacity(sorted.len());
        for pieces in sorted.chunk_by(|a, b| a.name == b.name) {
            let Some(name) = pieces.first().and_then(|piece| std::str::from_utf8(piece.name).ok()) else {
                continue;
            };
            let kind = pieces.iter().rev().find_map(|piece| piece.kind).unwrap_or_default();
            let help = pieces.iter().rev().find_map(|piece| piece.help).unwrap_or_default();
            let unit = pieces.iter().rev().find_map(|piece| piece.unit).unwrap_or_default();
            all.push(Metadata {
                metric_family: name.to_owned(),
                kind,
                help: Event::unescape_help(help).into_owned(),
                unit: String::from_utf8_lossy(unit).into_owned(),
            });
        }
        all
    }
}
