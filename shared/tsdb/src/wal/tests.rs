//! Properties of the WAL codec.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::Labels;
use model::value::{NORMAL_NAN_BITS, STALE_NAN_BITS};
use proptest::prelude::*;
use storage::{Scrape, ScrapeOutcome, ScrapeSample, SourceId};

use super::*;

pub(crate) mod captures;

/// A scrape with its values as bits, so that NaNs compare, and its samples in order.
type Comparable = (SourceId, i64, ScrapeOutcome, Vec<(Labels, u64, Option<i64>)>);

fn comparable(scrape: &Scrape) -> Comparable {
    let mut samples: Vec<_> =
        scrape.samples.iter().map(|s| (s.labels.clone(), s.value.to_bits(), s.timestamp)).collect();
    samples.sort();
    (scrape.source, scrape.timestamp, scrape.outcome.clone(), samples)
}

fn decode_with(segment: &EncodedSegment, payload: &[u8]) -> Result<Vec<DecodedScrape>, WalError> {
    let layouts: BTreeMap<LayoutId, Arc<Layout>> = segment
        .layouts
        .iter()
        .map(|(id, bytes)| (*id, Arc::new(Layout::decode(bytes).expect("the layout is as it was encoded"))))
        .collect();
    decode(payload, &|id| layouts.get(&id).cloned())
}

fn assert_round_trip(scrapes: &[Scrape], cache: &mut LayoutCache) -> EncodedSegment {
    let segment = encode(scrapes, cache);
    let decoded = decode_with(&segment, &segment.payload).expect("a segment that was just encoded");
    let decoded: Vec<_> = decoded.iter().map(|scrape| comparable(&scrape.to_scrape())).collect();
    assert_eq!(decoded, scrapes.iter().map(comparable).collect::<Vec<_>>());
    assert_eq!(layout_ids(&segment.payload), Ok(segment.summary.layouts.clone()));
    segment
}

fn sample(name: &str, value: f64) -> ScrapeSample {
    ScrapeSample { labels: Labels::from_pairs([("__name__", name)]), value, timestamp: None }
}

fn scrape(source: u64, timestamp: i64, samples: Vec<ScrapeSample>) -> Scrape {
    Scrape {
        source: SourceId(source),
        timestamp,
        outcome: ScrapeOutcome::default(),
        samples,
        ..Scrape::default()
    }
}

fn small_segment() -> (Vec<Scrape>, EncodedSegment) {
    let mut first =
        scrape(1, 1_700_000_000_123, vec![sample("up", 1.0), sample("a", 0.25), sample("b", f64::INFINITY)]);
    first.samples[1].timestamp = Some(1_700_000_000_001);
    first.outcome.duration = Duration::from_micros(1_234);
    let mut second = scrape(1, 1_700_000_015_123, vec![sample("up", 0.0), sample("b", 1e300)]);
    second.outcome.error = Some("server returned HTTP status 500 Internal Server Error".to_owned());
    let scrapes = vec![first, scrape(2, 1_700_000_000_125, vec![sample("up", 1.0)]), second];
    let segment = assert_round_trip(&scrapes, &mut LayoutCache::default());
    (scrapes, segment)
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        2 => any::<u64>().prop_map(f64::from_bits),
        4 => (-1_000_000i64..1_000_000).prop_map(|n| n as f64),
        4 => (any::<i32>(), 0i32..10).prop_map(|(m, e)| f64::from(m) / 10f64.powi(e)),
        1 => any::<i64>().prop_map(|n| n as f64),
        1 => prop::sample::select(vec![
            0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MIN_POSITIVE, f64::MAX, f64::EPSILON,
            f64::from_bits(NORMAL_NAN_BITS), f64::from_bits(STALE_NAN_BITS), 5e-324, 9_007_199_254_740_993.0,
        ]),
    ]
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 1_700_000_000_000i64..1_700_000_100_000, 1 => any::<i64>()]
}

fn any_samples() -> impl Strategy<Value = Vec<ScrapeSample>> {
    let labels = (0u8..40, prop::option::of("[a-zA-Z\u{0}é]{1,3}"));
    let value = (any_value(), prop::option::weighted(0.3, any_time()));
    prop::collection::btree_map(labels, value, 0..30).prop_map(|samples| {
        samples
            .into_iter()
            .map(|((number, extra), (value, timestamp))| {
                let mut labels = Labels::from_pairs([("__name__", format!("metric_{number}"))]).to_builder();
                labels.set("extra", extra.unwrap_or_default());
                ScrapeSample { labels: labels.build(), value, timestamp }
            })
            .collect()
    })
}

prop_compose! {
    fn any_scrape()(
        source in 0u64..3,
        timestamp in any_time(),
        samples in any_samples().prop_shuffle(),
        nanos in any::<u64>(),
        error in prop::option::of(".{0,20}"),
    ) -> Scrape {
        let outcome = ScrapeOutcome { duration: Duration::from_nanos(nanos), error };
        Scrape { source: SourceId(source), timestamp, outcome, samples, ..Scrape::default() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_scrape_comes_back_bit_for_bit(segments in prop::collection::vec(prop::collection::vec(any_scrape(), 0..6), 1..4)) {
        let mut cache = LayoutCache::new(100);
        for scrapes in segments {
            let segment = assert_round_trip(&scrapes, &mut cache);
            let times = || scrapes.iter().flat_map(|s| {
                s.samples.iter().filter_map(|sample| sample.timestamp).chain([s.timestamp])
            });
            prop_assert_eq!(segment.summary.min_time, times().min().unwrap_or(0));
            prop_assert_eq!(segment.summary.max_time, times().max().unwrap_or(0));
            prop_assert_eq!(segment.summary.samples, scrapes.iter().map(|s| s.samples.len() as u64).sum::<u64>());
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Layout::decode(&bytes).is_err());
        prop_assert!(layout_ids(&bytes).is_err());
        prop_assert!(decode(&bytes, &|_| None).is_err());
    }

    /// Behind a right checksum too: a writer with a defect, or one that means harm, must not bring a reader down.
    #[test]
    fn a_forged_body_is_refused_or_read_without_panic(at in 0usize..400, byte in any::<u8>(), cut in 0usize..400) {
        let (_, segment) = small_segment();
        let mut cursor = envelope::open(encode::MAGIC, &segment.payload).unwrap();
        let clear_len = 1 + 16 * segment.layouts.len();
        let clear = cursor.take(clear_len).unwrap().to_vec();
        let mut body = envelope::body(cursor).unwrap();
        let at = at % body.len();
        body[at] = byte;
        body.truncate(body.len().saturating_sub(cut % 8));
        let _ = decode_with(&segment, &envelope::seal(encode::MAGIC, &clear, &body));
    }
}

#[test]
fn every_flipped_bit_and_every_truncation_of_a_segment_is_noticed() {
    let (_, segment) = small_segment();
    assert_damage_is_noticed(&segment.payload, |bytes| {
        matches!(decode_with(&segment, bytes), Err(WalError::Corrupt(_))) && layout_ids(bytes).is_err()
    });
}

#[test]
fn every_flipped_bit_and_every_truncation_of_a_layout_is_noticed() {
    let (_, segment) = small_segment();
    for (_, layout) in &segment.layouts {
        assert_damage_is_noticed(layout, |bytes| Layout::decode(bytes).is_err());
    }
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
fn a_missing_layout_is_named() {
    let (_, segment) = small_segment();
    let id = segment.summary.layouts[0];
    assert_eq!(decode(&segment.payload, &|_| None).unwrap_err(), WalError::MissingLayout(id));
    assert_eq!(id.to_string().parse::<LayoutId>(), Ok(id));
    assert!("00".parse::<LayoutId>().is_err());
}

#[test]
fn another_layout_than_the_one_named_is_refused() {
    let (_, segment) = small_segment();
    let other = Arc::new(Layout { series: vec![Labels::empty()] });
    let wrong = decode(&segment.payload, &|_| Some(Arc::clone(&other)));
    assert!(matches!(wrong, Err(WalError::Corrupt(_))));
}

#[test]
fn of_a_series_that_comes_twice_the_first_sample_counts() {
    let twice = scrape(1, 5, vec![sample("a", 1.0), sample("b", 2.0), sample("a", 3.0)]);
    let segment = encode(&[twice], &mut LayoutCache::default());
    let decoded = decode_with(&segment, &segment.payload).unwrap();
    assert_eq!(decoded[0].values, [1.0, 2.0]);
    assert_eq!(segment.summary.samples, 2);
}

#[test]
fn a_layout_id_is_the_hash_of_its_stored_form() {
    let (_, segment) = small_segment();
    for (id, bytes) in &segment.layouts {
        assert_eq!(LayoutId::of(bytes), *id);
        assert_eq!(Layout::decode(bytes).unwrap().id(), *id);
    }
}

#[test]
fn a_body_that_claims_to_be_huge_is_refused_before_memory_is_taken() {
    let mut content = vec![1u8];
    cursor::put_varint(&mut content, 500 << 20);
    content.extend_from_slice(&[0x28, 0xb5, 0x2f, 0xfd]);
    let cursor = cursor::Cursor::new(&content);
    assert_eq!(envelope::body(cursor).unwrap_err().reason, "the body's length is out of bounds");
}
