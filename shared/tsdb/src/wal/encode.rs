//! Scrapes to bytes.
//!
//! ```text
//! scrapes ─► plans: layout, what each is coded against ─► parts by chunk ─► bits ─► payload
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use model::{Labels, Metadata, TimestampMs};
use storage::{Coverage, Scrape, SourceId};

use super::bits::BitWriter;
use super::cache::{LayoutCache, Resolved};
use super::chain::{Base, Chain, Pending};
use super::chunk::{Members, Models, Part, Shape, States, code_part};
use super::front::{self, BaseRef, From, Head, Heads, Index, LayoutRef};
use super::layout::{LayoutId, merged_metadata};
use crate::keys::SegmentKey;

/// A scrape with samples of less than one in this many series of its layout is coded without the absent ones.
const SPARSE: usize = 4;
/// Exemplars with more label text than this are dropped; ones that keep to their contract have 128 characters.
const EXEMPLAR_BYTES_MAX: usize = 1 << 14;

/// How segments are written; whoever reads them need not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// About how many samples a chunk holds.
    pub chunk_samples: usize,
    /// At most so many segments are coded one against the other, the first of them against nothing.
    pub chain_segments_max: u32,
    /// Nothing is coded against segments, directly or by way of others, whose tick is further back than this, ms.
    pub chain_ms_max: i64,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { chunk_samples: 16_384, chain_segments_max: 20, chain_ms_max: 300_000 }
    }
}

/// A segment in its stored form.
#[derive(Debug)]
pub struct EncodedSegment {
    /// The segment itself.
    pub payload: Bytes,
    /// What it is coded against, and where its chunks are; a part of the payload.
    pub index: Index,
    /// Length of the payload's front, which the chunks follow.
    pub front_len: u64,
    /// Every stored layout that it refers to, encoded, each once; they must be stored no later than the payload.
    pub layouts: Vec<(LayoutId, Bytes)>,
    /// What to note down beside it.
    pub summary: SegmentSummary,
    /// For [`LayoutCache::stored`], once the segment is stored.
    pub pending: Pending,
}

/// What is known of a segment without decoding it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Earliest instant of a scrape, a sample or an exemplar, ms, inclusive; 0 without scrapes.
    pub min_time: TimestampMs,
    /// Latest instant of a scrape, a sample or an exemplar, ms, inclusive; 0 without scrapes.
    pub max_time: TimestampMs,
    /// Number of samples, floats and histograms.
    pub samples: u64,
    /// Number of scrapes.
    pub scrapes: u32,
    /// Scrapes that are coded by themselves.
    pub keyframes: u32,
    /// Scrapes that are coded against one of an earlier segment.
    pub deltas: u32,
    /// Length of the payload.
    pub bytes: u64,
    /// The checksum in the payload, which stands for all of it.
    pub checksum: u64,
    /// The stored layouts that it refers to, in the order of the payload.
    pub layouts: Vec<LayoutId>,
}

/// Encodes scrapes into the segment `key`, against earlier ones where `cache` knows how their sources were stored.
/// Where a scrape has a label set twice, against its contract, the first counts; a histogram that is not sound is left
/// out.
#[must_use]
pub fn encode(
    key: &SegmentKey,
    scrapes: &[Scrape],
    cache: &mut LayoutCache,
    options: &EncodeOptions,
) -> EncodedSegment {
    let plans = plan(scrapes, cache);
    let mut encoder = Encoder::begin(key, plans, cache, options);
    for at in 0..encoder.plans.len() {
        encoder.place(at);
    }
    encoder.finish()
}

/// A scrape and the layout that it is written with.
struct Plan<'a> {
    scrape: &'a Scrape,
    resolved: Resolved,
}

/// Every series of a scrape: of samples, then of histograms, then of exemplars.
pub(crate) fn series_of(scrape: &Scrape) -> impl Iterator<Item = &Labels> {
    let samples = scrape.samples.iter().map(|sample| &sample.labels);
    let histograms = scrape.histograms.iter().map(|histogram| &histogram.labels);
    samples.chain(histograms).chain(scrape.exemplars.iter().map(|exemplar| &exemplar.series))
}

fn plan<'a>(scrapes: &'a [Scrape], cache: &mut LayoutCache) -> Vec<Plan<'a>> {
    // All that one pusher sends at once has one layout.
    let mut pushed: BTreeMap<SourceId, (Vec<&Scrape>, Option<Resolved>)> = BTreeMap::new();
    for scrape in scrapes.iter().filter(|scrape| scrape.coverage == Coverage::Partial) {
        pushed.entry(scrape.source).or_default().0.push(scrape);
    }
    for (source, (scrapes, resolved)) in &mut pushed {
        let series: Vec<&Labels> = scrapes.iter().flat_map(|scrape| series_of(scrape)).collect();
        let mut metadata: Arc<[Metadata]> = Arc::default();
        for scrape in scrapes.iter() {
            metadata = merged_metadata(&metadata, &scrape.metadata).unwrap_or(metadata);
        }
        *resolved = Some(cache.pushed.resolve(*source, &series, &metadata));
    }
    let mut taken: BTreeMap<SourceId, usize> = BTreeMap::new();
    let plan = |scrape: &'a Scrape| {
        let resolved = if let Some((_, Some(all))) =
            pushed.get(&scrape.source).filter(|_| scrape.coverage == Coverage::Partial)
        {
            let first = taken.entry(scrape.source).or_default();
            let end = *first + series_of(scrape).count();
            let positions = all.positions.get(*first..end).unwrap_or_default().to_vec();
            *first = end;
            Resolved { positions, layout: Arc::clone(&all.layout), ..shallow(all) }
        } else {
            let series: Vec<&Labels> = series_of(scrape).collect();
            cache.resolve(scrape.source, &series, &scrape.metadata)
        };
        Plan { scrape, resolved }
    };
    scrapes.iter().map(plan).collect()
}

/// All but the positions.
fn shallow(resolved: &Resolved) -> Resolved {
    Resolved {
        id: resolved.id,
        layout: Arc::clone(&resolved.layout),
        stored: resolved.stored.clone(),
        tail: resolved.tail.clone(),
        extends: resolved.extends,
        positions: Vec::new(),
    }
}

/// A layout's series by chunk.
struct Places {
    members: Arc<Members>,
    /// Per index into the layout, chunk and rank; empty where there is only one chunk, for then it is its rank.
    of: Vec<(u32, u32)>,
}

struct Encoder<'a> {
    key: &'a SegmentKey,
    plans: Vec<Plan<'a>>,
    boundaries: Arc<[String]>,
    bases: Vec<Arc<Base>>,
    /// Per source what its first scrape here is coded against.
    chains: BTreeMap<SourceId, Chain>,
    places: BTreeMap<LayoutId, Places>,
    layouts: Vec<LayoutId>,
    /// The last scrape of a source here, pushed ones apart.
    last: BTreeMap<(SourceId, bool), usize>,
    heads: Heads,
    /// Per chunk and scrape.
    parts: Vec<Vec<Part>>,
    times: Option<(TimestampMs, TimestampMs)>,
    summary: SegmentSummary,
}

impl<'a> Encoder<'a> {
    fn begin(
        key: &'a SegmentKey,
        plans: Vec<Plan<'a>>,
        cache: &mut LayoutCache,
        options: &EncodeOptions,
    ) -> Self {
        let mut chains: BTreeMap<SourceId, Chain> = BTreeMap::new();
        for plan in plans.iter().filter(|plan| plan.scrape.coverage == Coverage::Complete) {
            if let Some(chain) = cache.take_chain(plan.scrape.source)
                && is_eligible(&chain, key, options)
            {
                chains.insert(plan.scrape.source, chain);
            }
        }
        let samples: usize = plans.iter().map(|plan| plan.resolved.positions.len()).sum();
        let first = chains.values().next().map(|chain| Arc::clone(&chain.base.boundaries));
        let chunk = options.chunk_samples.max(1);
        let boundaries = match first
            .filter(|first| samples <= (first.len() + 1).saturating_mul(chunk).saturating_mul(2))
        {
            Some(boundaries) => boundaries,
            None => cut(&plans, samples, chunk),
        };
        chains.retain(|_, chain| chain.base.boundaries == boundaries);
        let parts = (0..=boundaries.len()).map(|_| Vec::with_capacity(plans.len())).collect();
        Self {
            key,
            plans,
            boundaries,
            bases: Vec::new(),
            chains,
            places: BTreeMap::new(),
            layouts: Vec::new(),
            last: BTreeMap::new(),
            heads: Heads::default(),
            parts,
            times: None,
            summary: SegmentSummary::default(),
        }
    }

    /// Decides how a scrape is coded, and puts its samples where they belong.
    fn place(&mut self, at: usize) {
        let Some(plan) = self.plans.get(at) else { return };
        let (scrape, id) = (plan.scrape, plan.resolved.id);
        let partial = scrape.coverage == Coverage::Partial;
        let from = self.from(at, partial);
        let same_layout = match from {
            From::Nothing => false,
            From::Base { .. } => self.chains.get(&scrape.source).is_some_and(|chain| chain.layout == id),
            From::Earlier(earlier) => self.plans.get(earlier).is_some_and(|plan| plan.resolved.id == id),
        };
        let layout = (!same_layout).then(|| self.layout_index(at));
        let mut parts: Vec<Part> = (0..self.parts.len()).map(|_| Part::default()).collect();
        let (samples, timed) = self.distribute(at, &mut parts);
        let Some(plan) = self.plans.get(at) else { return };
        let head = Head {
            from,
            source: (from == From::Nothing).then_some(scrape.source),
            layout,
            timestamp: scrape.timestamp,
            outcome: scrape.outcome.clone(),
            samples,
            partial,
            sparse: samples.saturating_mul(SPARSE) < plan.resolved.layout.series.len(),
            timed,
            exemplars: parts.iter().any(|part| !part.exemplars.is_empty()),
        };
        self.summary.scrapes += 1;
        self.summary.samples += samples as u64;
        self.summary.keyframes += u32::from(from == From::Nothing);
        self.summary.deltas += u32::from(matches!(from, From::Base { .. }));
        self.last.insert((scrape.source, partial), at);
        self.heads.scrapes.push(head);
        for (chunk, part) in self.parts.iter_mut().zip(parts) {
            chunk.push(part);
        }
    }

    fn from(&mut self, at: usize, partial: bool) -> From {
        let Some(plan) = self.plans.get(at) else { return From::Nothing };
        let follows = |layout: LayoutId| layout == plan.resolved.id || Some(layout) == plan.resolved.extends;
        let source = plan.scrape.source;
        if let Some(earlier) = self.last.get(&(source, partial)) {
            let follows = self.plans.get(*earlier).is_some_and(|plan| follows(plan.resolved.id));
            return if follows { From::Earlier(*earlier) } else { From::Nothing };
        }
        let chain = self.chains.get(&source).filter(|chain| !partial && follows(chain.layout));
        let Some(chain) = chain else { return From::Nothing };
        let base = self.bases.iter().position(|base| Arc::ptr_eq(base, &chain.base));
        let base = base.unwrap_or_else(|| {
            self.bases.push(Arc::clone(&chain.base));
            self.bases.len() - 1
        });
        From::Base { base, scrape: chain.scrape }
    }

    fn layout_index(&mut self, at: usize) -> usize {
        let Some(plan) = self.plans.get(at) else { return 0 };
        let id = plan.resolved.id;
        self.layouts.iter().position(|known| *known == id).unwrap_or_else(|| {
            self.layouts.push(id);
            self.heads.layouts.push(LayoutRef {
                stored: plan.resolved.stored.as_ref().map(|(id, _)| *id),
                tail: plan.resolved.tail.as_ref().map(|tail| tail.to_vec()),
            });
            self.layouts.len() - 1
        })
    }

    /// Puts a scrape's samples into the parts of its chunks; gives their number, and whether any has its own instant.
    fn distribute(&mut self, at: usize, parts: &mut [Part]) -> (usize, bool) {
        let Some(plan) = self.plans.get(at) else { return (0, false) };
        let (scrape, resolved) = (plan.scrape, &plan.resolved);
        let places = self.places.entry(resolved.id).or_insert_with(|| {
            let known = self.chains.get(&scrape.source).filter(|chain| chain.layout == resolved.id);
            let members = known.map_or_else(
                || Arc::new(Members::of(&resolved.layout, &self.boundaries)),
                |chain| Arc::clone(&chain.members),
            );
            let of = if self.boundaries.is_empty() { Vec::new() } else { members.places() };
            Places { members, of }
        });
        let place = |position: u32| places.of.get(position as usize).copied().unwrap_or((0, position));
        let mut see = |timestamp: TimestampMs| {
            let (min, max) = self.times.unwrap_or((timestamp, timestamp));
            self.times = Some((min.min(timestamp), max.max(timestamp)));
        };
        see(scrape.timestamp);
        let (mut count, mut timed) = (0, false);
        for (position, item) in in_order(scrape, resolved) {
            let (chunk, rank) = place(position);
            let Some(part) = parts.get_mut(chunk as usize) else { continue };
            let index = part.ranks.len() as u32;
            let own = match scrape.samples.get(item) {
                Some(sample) => {
                    part.values.push(sample.value);
                    sample.timestamp
                }
                None => {
                    let histogram = scrape.histograms.get(item - scrape.samples.len());
                    let Some(histogram) = histogram.filter(|it| it.value.validate().is_ok()) else {
                        continue;
                    };
                    part.values.push(0.0);
                    part.histograms.push((index, Arc::clone(&histogram.value)));
                    histogram.timestamp
                }
            };
            part.ranks.push(rank);
            count += 1;
            if let Some(own) = own {
                see(own);
                part.times.push((index, own));
                timed = true;
            }
        }
        let first = scrape.samples.len() + scrape.histograms.len();
        let positions = resolved.positions.get(first..).unwrap_or_default();
        for (exemplar, position) in scrape.exemplars.iter().zip(positions) {
            let (chunk, rank) = place(*position);
            let exemplar = &exemplar.exemplar;
            if let Some(part) = parts.get_mut(chunk as usize)
                && exemplar.labels.size_bytes() <= EXEMPLAR_BYTES_MAX
            {
                see(exemplar.timestamp);
                part.exemplars.push((rank, exemplar.clone()));
            }
        }
        parts.iter_mut().for_each(|part| part.exemplars.sort_by_key(|(rank, _)| *rank));
        (count, timed)
    }

    fn finish(mut self) -> EncodedSegment {
        let mut chunks = Vec::with_capacity(self.parts.len());
        let mut models = Vec::with_capacity(self.parts.len());
        // Per scrape that is its source's last here, per chunk.
        let mut states: BTreeMap<usize, Vec<States>> = BTreeMap::new();
        for at in 0..self.parts.len() {
            let (bytes, learned) = self.chunk(at, &mut states);
            chunks.push(bytes);
            models.push(learned);
        }
        let references: Vec<BaseRef> = self.bases.iter().map(|base| base.reference.clone()).collect();
        let (payload, index) = front::seal(self.key, references, &self.heads, &chunks, &self.boundaries);
        let chunk_bytes: u64 = index.chunks.iter().map(|chunk| chunk.len).sum();
        let checksum = front::checksum_in(&payload).unwrap_or_default();
        (self.summary.min_time, self.summary.max_time) = self.times.unwrap_or_default();
        self.summary.bytes = payload.len() as u64;
        self.summary.checksum = checksum;
        let mut layouts: Vec<(LayoutId, Bytes)> = Vec::new();
        for (id, encoded) in self.plans.iter().filter_map(|plan| plan.resolved.stored.as_ref()) {
            if !layouts.iter().any(|(known, _)| known == id) {
                layouts.push((*id, encoded.clone()));
            }
        }
        self.summary.layouts = layouts.iter().map(|(id, _)| *id).collect();
        let base = Arc::new(Base {
            reference: BaseRef { key: self.key.clone(), checksum },
            boundaries: Arc::clone(&self.boundaries),
            models,
            depth: self.bases.iter().map(|base| base.depth + 1).max().unwrap_or(0),
            oldest_tick: self.bases.iter().map(|base| base.oldest_tick).min().unwrap_or(self.key.tick),
        });
        let chain = |(scrape, states): (usize, Vec<States>)| {
            let plan = self.plans.get(scrape)?;
            let layout = plan.resolved.id;
            let members = Arc::clone(&self.places.get(&layout)?.members);
            Some((plan.scrape.source, Chain { base: Arc::clone(&base), scrape, layout, members, states }))
        };
        let pending = Pending { chains: states.into_iter().filter_map(chain).collect() };
        let front_len = payload.len() as u64 - chunk_bytes;
        EncodedSegment { payload: payload.into(), index, front_len, layouts, summary: self.summary, pending }
    }

    /// Codes one chunk of all scrapes.
    fn chunk(&mut self, chunk: usize, states: &mut BTreeMap<usize, Vec<States>>) -> (Vec<u8>, Models) {
        let known = self.bases.first().and_then(|base| base.models.get(chunk));
        let mut models = known.map_or_else(Models::default, Models::aged);
        let mut coder = BitWriter::new();
        let mut running: BTreeMap<(SourceId, bool), States> = BTreeMap::new();
        let parts = std::mem::take(&mut self.parts[chunk]);
        for ((head, plan), part) in self.heads.scrapes.iter().zip(&self.plans).zip(&parts) {
            let source = plan.scrape.source;
            let mut now = match head.from {
                From::Nothing => States::default(),
                From::Earlier(_) => running.remove(&(source, head.partial)).unwrap_or_default(),
                From::Base { .. } => {
                    let chain = self.chains.get_mut(&source);
                    chain
                        .and_then(|chain| chain.states.get_mut(chunk))
                        .map(std::mem::take)
                        .unwrap_or_default()
                }
            };
            let series = self.places.get(&plan.resolved.id).map_or(0, |places| places.members.len(chunk));
            let shape = Shape {
                series,
                sparse: head.sparse,
                timed: head.timed,
                exemplars: head.exemplars,
                timestamp: head.timestamp,
            };
            code_part(&mut coder, &mut models, &mut now, shape, part);
            running.insert((source, head.partial), now);
        }
        for ((source, partial), now) in running {
            if !partial && let Some(scrape) = self.last.get(&(source, false)) {
                states.entry(*scrape).or_default().push(now);
            }
        }
        (coder.finish(), models)
    }
}

/// Whether a segment `key` may be coded against this.
fn is_eligible(chain: &Chain, key: &SegmentKey, options: &EncodeOptions) -> bool {
    let base = &chain.base;
    base.reference.key < *key
        && base.depth + 1 < options.chain_segments_max
        && key.tick.saturating_sub(base.oldest_tick) <= options.chain_ms_max
}

/// Names that cut the samples into chunks of about one size.
fn cut(plans: &[Plan<'_>], samples: usize, chunk_samples: usize) -> Arc<[String]> {
    if samples <= chunk_samples.saturating_add(chunk_samples / 2) {
        return Arc::default();
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for labels in plans.iter().flat_map(|plan| series_of(plan.scrape)) {
        *counts.entry(labels.metric_name()).or_default() += 1;
    }
    let mut boundaries = Vec::new();
    let mut filled = 0;
    for (name, count) in counts {
        if filled > 0 && filled + count / 2 >= chunk_samples && boundaries.len() + 2 < front::CHUNKS_MAX {
            boundaries.push(name.to_owned());
            filled = 0;
        }
        filled += count;
    }
    boundaries.into()
}

/// A scrape's samples, then its histograms, in order of their positions, each position once: (position, which).
fn in_order(scrape: &Scrape, resolved: &Resolved) -> Vec<(u32, usize)> {
    let count = scrape.samples.len() + scrape.histograms.len();
    let positions = resolved.positions.get(..count).unwrap_or_default();
    let series = resolved.layout.series.len();
    let mut found = Vec::with_capacity(count);
    if count.saturating_mul(SPARSE) < series {
        found.extend(positions.iter().copied().zip(0..));
        found.sort_by_key(|(position, _)| *position);
        found.dedup_by_key(|(position, _)| *position);
        return found;
    }
    let mut slots = vec![usize::MAX; series];
    for (position, item) in positions.iter().zip(0..) {
        if let Some(slot) = slots.get_mut(*position as usize).filter(|slot| **slot == usize::MAX) {
            *slot = item;
        }
    }
    let used = (0u32..).zip(slots).filter(|(_, item)| *item != usize::MAX);
    found.extend(used);
    found
}
