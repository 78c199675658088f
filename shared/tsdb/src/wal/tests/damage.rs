//! Every changed or missing byte is noticed, and none brings a reader down.

use super::random::any_value;
use super::*;
use crate::wal::bits::BitReader;
use crate::wal::chunk::{Models, Part, Shape, States, code_part};

/// A keyframe and a segment that is coded against it, with something of everything.
fn chain(chunk_samples: usize) -> (Shelf, Vec<(SegmentKey, EncodedSegment)>) {
    let options = EncodeOptions { chunk_samples, ..EncodeOptions::default() };
    let (mut shelf, mut cache) = (Shelf::default(), LayoutCache::default());
    let mut segments = Vec::new();
    for tick in [1_700_000_000_000, 1_700_000_015_000] {
        let step = (tick - 1_700_000_000_000) as f64 / 1e4;
        let mut first = scrape(
            1,
            tick + 123,
            vec![sample("up", 1.0), sample("a", 0.25 + step), sample("b", f64::INFINITY), sample("c", step)],
        );
        first.samples[1].timestamp = Some(tick + 1);
        first.outcome.duration = Duration::from_micros(1_234);
        let histogram = FloatHistogram {
            schema: 3,
            count: 5.0 + step * 10.0,
            sum: 2.5,
            positive_spans: vec![model::histogram::Span { offset: 1, length: 2 }],
            positive_buckets: vec![2.0, 3.0 + step * 10.0],
            ..FloatHistogram::default()
        };
        let labels = Labels::from_pairs([("__name__", "h")]);
        first.histograms.push(ScrapeHistogram { labels, value: Arc::new(histogram), timestamp: None });
        first.exemplars.push(ScrapeExemplar {
            series: Labels::from_pairs([("__name__", "c")]),
            exemplar: Exemplar { labels: Labels::from_pairs([("t", "0af7")]), value: 0.5, timestamp: tick },
        });
        let mut second = scrape(1, tick + 5_123, vec![sample("up", 0.0), sample("b", 1e300)]);
        second.outcome.error = Some("server returned HTTP status 500 Internal Server Error".to_owned());
        let pushed = Scrape { coverage: Coverage::Partial, ..scrape(9, tick, vec![sample("p", 1.5)]) };
        let scrapes = vec![first, scrape(2, tick + 125, vec![sample("up", 1.0)]), second, pushed];
        let segment = shelf.write(&key(tick), &scrapes, &mut cache, &options);
        segments.push((key(tick), segment));
    }
    assert_eq!(segments[1].1.summary.deltas, 2);
    (shelf, segments)
}

fn assert_damage_is_noticed(good: &[u8], is_noticed: impl Fn(&[u8]) -> bool) {
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1 << bit;
            assert!(is_noticed(&bytes), "bit {bit} of byte {at}");
        }
        assert!(is_noticed(&good[..at]), "cut to {at} bytes");
    }
    assert!(is_noticed(&[good, &[0]].concat()), "a byte too many");
}

#[test]
fn every_flipped_bit_and_every_truncation_of_a_segment_is_noticed() {
    for chunk_samples in [usize::MAX, 2] {
        let (shelf, segments) = chain(chunk_samples);
        for (key, segment) in &segments {
            assert_eq!(segment.index.chunks.len() > 1, chunk_samples == 2);
            assert_damage_is_noticed(&segment.payload, |bytes| {
                matches!(shelf.decode(key, bytes), Err(WalError::Corrupt(_)))
            });
        }
    }
}

#[test]
fn every_flipped_bit_and_every_truncation_of_a_layout_is_noticed() {
    let (_, segments) = chain(usize::MAX);
    for (_, layout) in segments.iter().flat_map(|(_, segment)| &segment.layouts) {
        assert_damage_is_noticed(layout, |bytes| Layout::decode(bytes).is_err());
    }
}

#[test]
fn a_chunk_that_was_changed_is_noticed_by_itself() {
    let (shelf, segments) = chain(2);
    let (key, segment) = &segments[0];
    let front = Front::read(key, &segment.payload).unwrap();
    let range = front.chunk_range(1);
    let chunk = &segment.payload[range.start as usize..range.end as usize];
    let layouts = |id| shelf.layouts.get(&id).cloned();
    let read = |bytes: &[u8]| decode(key, &front, &[(1, bytes)], &[], &layouts);
    assert!(read(chunk).is_ok());
    assert_damage_is_noticed(chunk, |bytes| matches!(read(bytes), Err(WalError::Corrupt(_))));
}

#[test]
fn a_body_that_claims_to_be_huge_is_refused_before_memory_is_taken() {
    let mut content = vec![1u8];
    cursor::put_varint(&mut content, 500 << 20);
    content.extend_from_slice(&[0x28, 0xb5, 0x2f, 0xfd]);
    let cursor = cursor::Cursor::new(&content);
    assert_eq!(envelope::body(cursor).unwrap_err().reason, "the body's length is out of bounds");
}

proptest! {
    /// Behind right checksums too: a writer with a defect, or one that means harm, must not bring a reader down.
    #[test]
    fn a_forged_segment_is_refused_or_read_without_panic(
        at in 0usize..400, byte in any::<u8>(), cut in 0usize..400, second: bool, many: bool,
    ) {
        let (shelf, segments) = chain(if many { 2 } else { usize::MAX });
        let (key, segment) = &segments[usize::from(second)];
        let front = Front::read(key, &segment.payload).unwrap();
        let mut forged = segment.payload.to_vec();
        let at = 13 + at % (forged.len() - 13);
        forged[at] = byte;
        forged.truncate(forged.len().saturating_sub(cut % 8));
        let covered = if many { front.len.min(forged.len()) } else { forged.len() };
        let checksum = xxhash_rust::xxh3::xxh3_64(&forged[13..covered]);
        forged[5..13].copy_from_slice(&checksum.to_le_bytes());
        let _ = shelf.decode(key, &forged);
    }

    #[test]
    fn arbitrary_bits_are_read_without_panic_and_without_end(
        bytes in prop::collection::vec(any::<u8>(), 0..300), series in 0usize..5000, sparse: bool,
        value in any_value(),
    ) {
        let shape = Shape { series, sparse, timed: true, exemplars: true, timestamp: 5 };
        let mut coder = BitReader::new(&bytes);
        let (mut models, mut states) = (Models::default(), States::default());
        for _ in 0..3 {
            let part = code_part(&mut coder, &mut models, &mut states, shape, &Part::default());
            prop_assert!(part.ranks.len() <= series && part.ranks.len() == part.values.len());
        }
        prop_assert!(decimal::split(value).is_none_or(|(code, _)| code <= decimal::EXPONENT_MAX));
    }
}
