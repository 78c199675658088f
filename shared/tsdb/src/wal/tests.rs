//! Properties of the WAL codec.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::value::{NORMAL_NAN_BITS, STALE_NAN_BITS};
use model::{Exemplar, FloatHistogram, Labels};
use proptest::prelude::*;
use storage::{Coverage, Scrape, ScrapeExemplar, ScrapeHistogram, ScrapeOutcome, ScrapeSample, SourceId};

use super::*;
use crate::keys::{SegmentKey, Shard};

pub(crate) mod captures;
mod damage;
mod random;

pub(crate) fn key(tick: i64) -> SegmentKey {
    SegmentKey { tick, shard: Shard::scrape(0) }
}

/// One chunk, whatever its size.
pub(crate) fn one_chunk() -> EncodeOptions {
    EncodeOptions { chunk_samples: usize::MAX, ..EncodeOptions::default() }
}

/// Stored layouts and decoded segments: what a reader has at hand.
#[derive(Default)]
pub(crate) struct Shelf {
    layouts: BTreeMap<LayoutId, Arc<Layout>>,
    tips: BTreeMap<BaseRef, Arc<Tips>>,
}

impl Shelf {
    /// Encodes a segment and, if it is to be stored, tells the cache so; decodes it and compares.
    pub(crate) fn write(
        &mut self,
        key: &SegmentKey,
        scrapes: &[Scrape],
        cache: &mut LayoutCache,
        options: &EncodeOptions,
    ) -> EncodedSegment {
        let mut segment = encode(key, scrapes, cache, options);
        let decoded = self.read(key, &segment).expect("a segment that was just encoded");
        let found: Vec<_> = decoded.scrapes.iter().map(|scrape| comparable(&scrape.to_scrape())).collect();
        assert_eq!(found, scrapes.iter().map(comparable).collect::<Vec<_>>());
        for (decoded, given) in decoded.scrapes.iter().zip(scrapes) {
            let known = &decoded.layout.metadata;
            // Of what one pusher says of a family in one segment, the last counts.
            let said = |family: &model::Metadata| match given.coverage {
                Coverage::Complete => known.contains(family),
                Coverage::Partial => known.iter().any(|known| known.metric_family == family.metric_family),
            };
            assert!(given.metadata.iter().all(said));
            assert_eq!(decoded.samples, given.samples.len() + given.histograms.len());
        }
        self.tips.insert(decoded.tips.reference().clone(), Arc::new(decoded.tips));
        cache.stored(std::mem::take(&mut segment.pending));
        segment
    }

    fn read(&mut self, key: &SegmentKey, segment: &EncodedSegment) -> Result<Decoded, WalError> {
        for (id, bytes) in &segment.layouts {
            self.layouts
                .insert(*id, Arc::new(Layout::decode(bytes).expect("the layout is as it was encoded")));
        }
        let decoded = self.decode(key, &segment.payload)?;
        let front = Front::read(key, &segment.payload).expect("it was just decoded");
        assert!(front.layout_ids().iter().all(|id| segment.summary.layouts.contains(id)));
        assert_eq!((&front.index, front.len as u64), (&segment.index, segment.front_len));
        assert_eq!(front.checksum, segment.summary.checksum);
        Ok(decoded)
    }

    pub(crate) fn decode(&self, key: &SegmentKey, payload: &[u8]) -> Result<Decoded, WalError> {
        let front = Front::read(key, payload)?;
        let chunks = all_chunks(&front, payload)?;
        decode(key, &front, &chunks, &self.bases(&front)?, &|id| self.layouts.get(&id).cloned())
    }

    fn bases(&self, front: &Front) -> Result<Vec<Arc<Tips>>, WalError> {
        let find = |base: &BaseRef| {
            self.tips.get(base).cloned().ok_or_else(|| WalError::MissingBase(base.key.clone()))
        };
        front.index.bases.iter().map(find).collect()
    }
}

/// A scrape with its values as bits, so that NaNs compare, and its samples in order.
type Comparable = (
    (SourceId, i64, ScrapeOutcome, Coverage),
    Vec<(Labels, u64, Option<i64>)>,
    Vec<(Labels, String, Option<i64>)>,
    Vec<(Labels, i64, u64, Labels)>,
);

fn comparable(scrape: &Scrape) -> Comparable {
    let mut samples: Vec<_> =
        scrape.samples.iter().map(|s| (s.labels.clone(), s.value.to_bits(), s.timestamp)).collect();
    samples.sort();
    // Debug shows every field; what it shows alike but is not, the bits tell.
    let bits = |h: &FloatHistogram| format!("{h:?} {:?}", [h.sum, h.count, h.zero_count].map(f64::to_bits));
    let mut histograms: Vec<_> =
        scrape.histograms.iter().map(|h| (h.labels.clone(), bits(&h.value), h.timestamp)).collect();
    histograms.sort();
    let exemplar = |e: &ScrapeExemplar| {
        (e.series.clone(), e.exemplar.timestamp, e.exemplar.value.to_bits(), e.exemplar.labels.clone())
    };
    let mut exemplars: Vec<_> = scrape.exemplars.iter().map(exemplar).collect();
    exemplars.sort();
    (
        (scrape.source, scrape.timestamp, scrape.outcome.clone(), scrape.coverage),
        samples,
        histograms,
        exemplars,
    )
}

pub(crate) fn sample(name: &str, value: f64) -> ScrapeSample {
    ScrapeSample { labels: Labels::from_pairs([("__name__", name)]), value, timestamp: None }
}

pub(crate) fn scrape(source: u64, timestamp: i64, samples: Vec<ScrapeSample>) -> Scrape {
    Scrape {
        source: SourceId(source),
        timestamp,
        outcome: ScrapeOutcome::default(),
        samples,
        ..Scrape::default()
    }
}

fn with_pairs(name: &str) -> ScrapeSample {
    sample(name, name.len() as f64)
}

#[test]
fn a_missing_layout_and_a_missing_base_are_named() {
    let (mut shelf, mut cache) = (Shelf::default(), LayoutCache::default());
    let first = shelf.write(&key(1), &[scrape(1, 1, vec![sample("a", 1.0)])], &mut cache, &one_chunk());
    let second = shelf.write(&key(2), &[scrape(1, 2, vec![sample("a", 2.0)])], &mut cache, &one_chunk());
    assert_eq!((first.summary.keyframes, second.summary.deltas), (1, 1));
    let id = first.summary.layouts[0];
    let bare = Shelf { tips: std::mem::take(&mut shelf.tips), ..Shelf::default() };
    assert_eq!(bare.decode(&key(1), &first.payload).unwrap_err(), WalError::MissingLayout(id));
    assert_eq!(shelf.decode(&key(2), &second.payload).unwrap_err(), WalError::MissingBase(key(1)));
    assert_eq!(id.to_string().parse::<LayoutId>(), Ok(id));
    assert!("00".parse::<LayoutId>().is_err());
}

#[test]
fn another_base_than_the_one_that_is_meant_is_refused() {
    let write = |value: f64| {
        let (mut shelf, mut cache) = (Shelf::default(), LayoutCache::default());
        shelf.write(&key(1), &[scrape(1, 1, vec![sample("a", value)])], &mut cache, &one_chunk());
        let second = shelf.write(&key(2), &[scrape(1, 2, vec![sample("a", 9.0)])], &mut cache, &one_chunk());
        (shelf, second)
    };
    let ((shelf, second), (other, _)) = (write(1.0), write(2.0));
    let front = Front::read(&key(2), &second.payload).unwrap();
    let chunks = all_chunks(&front, &second.payload).unwrap();
    let layouts = |id| shelf.layouts.get(&id).cloned();
    let wrong: Vec<Arc<Tips>> = other.tips.values().take(1).cloned().collect();
    let refused = decode(&key(2), &front, &chunks, &wrong, &layouts);
    assert!(matches!(refused, Err(WalError::Corrupt(_))));
    assert!(shelf.decode(&key(2), &second.payload).is_ok());
}

#[test]
fn bases_that_a_segment_does_not_name_are_of_no_meaning() {
    let (mut shelf, mut cache) = (Shelf::default(), LayoutCache::default());
    let scrapes: Vec<ScrapeSample> =
        (0..50).map(|at| sample(&format!("m{at}"), f64::from(at) * 1.5)).collect();
    let first = shelf.write(&key(1), &[scrape(1, 1, scrapes)], &mut cache, &one_chunk());
    let front = Front::read(&key(1), &first.payload).unwrap();
    let chunks = all_chunks(&front, &first.payload).unwrap();
    let more: Vec<Arc<Tips>> = shelf.tips.values().cloned().collect();
    assert!(!more.is_empty());
    assert!(decode(&key(1), &front, &chunks, &more, &|id| shelf.layouts.get(&id).cloned()).is_ok());
}

#[test]
fn another_layout_than_the_one_named_is_refused() {
    let (mut shelf, mut cache) = (Shelf::default(), LayoutCache::default());
    let segment = shelf.write(
        &key(1),
        &[scrape(1, 1, vec![sample("a", 1.0), sample("b", 7.25), sample("c", 3.0)])],
        &mut cache,
        &one_chunk(),
    );
    shelf.layouts.values_mut().for_each(|layout| *layout = Arc::new(Layout::default()));
    assert!(matches!(shelf.decode(&key(1), &segment.payload), Err(WalError::Corrupt(_))));
}

#[test]
fn chains_end_after_so_many_segments_and_so_much_time() {
    let options = EncodeOptions { chain_segments_max: 4, chain_ms_max: 100, ..one_chunk() };
    let (mut shelf, mut cache) = (Shelf::default(), LayoutCache::default());
    let mut deltas = |tick: i64| {
        let scrapes = [scrape(1, tick, vec![sample("a", tick as f64)])];
        shelf.write(&key(tick), &scrapes, &mut cache, &options).summary.deltas
    };
    let found: Vec<u32> = [1, 2, 3, 4, 5, 6, 105, 106, 107].map(&mut deltas).to_vec();
    assert_eq!(found, [0, 1, 1, 1, 0, 1, 1, 0, 1], "the fifth is one too many, 106 is too far from 5");
    assert_eq!(deltas(50), 0, "nothing is coded against what comes later");
}

#[test]
fn a_segment_that_may_not_be_stored_is_not_coded_against() {
    let (mut shelf, mut cache) = (Shelf::default(), LayoutCache::default());
    let scrapes = |tick: i64| [scrape(1, tick, vec![sample("a", tick as f64)])];
    shelf.write(&key(1), &scrapes(1), &mut cache, &one_chunk());
    drop(encode(&key(2), &scrapes(2), &mut cache, &one_chunk()));
    let third = shelf.write(&key(3), &scrapes(3), &mut cache, &one_chunk());
    assert!(third.index.bases.is_empty());
}

#[test]
fn of_a_series_that_comes_twice_the_first_sample_counts() {
    let twice = scrape(1, 5, vec![sample("a", 1.0), sample("b", 2.0), sample("a", 3.0)]);
    let mut shelf = Shelf::default();
    let segment = encode(&key(5), &[twice], &mut LayoutCache::default(), &one_chunk());
    let decoded = shelf.read(&key(5), &segment).unwrap();
    assert_eq!(decoded.scrapes[0].values, [1.0, 2.0]);
    assert_eq!(segment.summary.samples, 2);
}

#[test]
fn a_chunk_can_be_read_by_itself_along_a_chain() {
    let names: Vec<String> = (0..40).map(|number| format!("metric_{number:02}")).collect();
    let options = EncodeOptions { chunk_samples: 8, ..EncodeOptions::default() };
    let (mut shelf, mut cache) = (Shelf::default(), LayoutCache::default());
    let mut alone: Vec<Arc<Tips>> = Vec::new();
    for tick in 1..6 {
        let mut samples: Vec<ScrapeSample> = names.iter().map(|name| with_pairs(name)).collect();
        samples.iter_mut().for_each(|sample| sample.value += tick as f64);
        if tick == 4 {
            samples.push(sample("a_new_one_that_is_not_last", 1.0));
        }
        let whole = [scrape(1, tick, samples.clone()), scrape(2, tick, samples[..20].to_vec())];
        let segment = shelf.write(&key(tick), &whole, &mut cache, &options);
        assert!(segment.index.chunks.len() > 4 && segment.summary.deltas == if tick == 1 { 0 } else { 2 });
        let front = Front::read(&key(tick), &segment.payload).unwrap();
        let range = front.chunk_range(2);
        let bytes = &segment.payload[range.start as usize..range.end as usize];
        let layouts = |id| shelf.layouts.get(&id).cloned();
        let decoded = decode(&key(tick), &front, &[(2, bytes)], &alone, &layouts).unwrap();
        let chunks = &front.index.chunks;
        for (found, given) in decoded.scrapes.iter().zip(&whole) {
            let mut given = given.clone();
            given.samples.retain(|sample| {
                let name = sample.labels.metric_name();
                name >= chunks[2].first.as_str() && name < chunks[3].first.as_str()
            });
            assert_eq!(comparable(&found.to_scrape()), comparable(&given));
        }
        alone = vec![Arc::new(decoded.tips)];
        let none = decode(&key(tick), &front, &[], &alone[..0], &layouts);
        assert_eq!(none.is_ok(), tick == 1, "a base is needed even for the heads");
    }
}

#[test]
fn a_layout_id_is_the_hash_of_its_stored_form() {
    let segment =
        encode(&key(1), &[scrape(1, 1, vec![sample("a", 1.0)])], &mut LayoutCache::default(), &one_chunk());
    for (id, bytes) in &segment.layouts {
        assert_eq!(LayoutId::of(bytes), *id);
        assert_eq!(Layout::decode(bytes).unwrap().id(), *id);
    }
}

#[test]
fn what_is_pushed_takes_no_layout_of_its_own_and_is_never_coded_against() {
    let push = |tick: i64, value: f64| Scrape {
        coverage: Coverage::Partial,
        ..scrape(1, tick, vec![sample("a", value), sample("b", value)])
    };
    let (mut shelf, mut cache) = (Shelf::default(), LayoutCache::default());
    for tick in 1..3 {
        let scrapes: Vec<Scrape> = (0..30).map(|at| push(tick * 100_000 - at * 1000, at as f64)).collect();
        let segment = shelf.write(&key(tick), &scrapes, &mut cache, &one_chunk());
        assert!(segment.layouts.is_empty() && segment.index.bases.is_empty());
        assert!(segment.payload.len() < 60 + 30 * 12, "{}", segment.payload.len());
    }
}
