//! Goal: a replay of segments gives what the rules in the module say. Method: against the naive reference of the store's
//! tests, on scrapes whose series, layouts and timestamps are arbitrary.

use std::sync::Arc;

use model::Labels;
use proptest::prelude::*;
use storage::{Scrape, ScrapeOutcome, ScrapeSample, SourceId};

use super::*;
use crate::keys::Shard;
use crate::tests::model::{Contents, Given, between, contents, expected, labels};
use crate::wal::{self, LayoutCache};

fn scrapes() -> impl Strategy<Value = Scrape> {
    let samples =
        proptest::collection::btree_map(0u8..6, (0i64..40, proptest::option::weighted(0.2, 0i64..40)), 0..6);
    (0u64..3, 0i64..40, samples).prop_map(|(source, timestamp, samples)| Scrape {
        source: SourceId(source),
        timestamp,
        outcome: ScrapeOutcome::default(),
        samples: samples
            .into_iter()
            .map(|(series, (value, timestamp))| ScrapeSample {
                labels: labels(&format!("m{series}")),
                value: value as f64,
                timestamp,
            })
            .collect(),
        ..Scrape::default()
    })
}

fn given() -> impl Strategy<Value = Vec<Given>> {
    let segment = (0i64..12, 0u32..3, proptest::collection::vec(scrapes(), 0..4));
    proptest::collection::vec(segment, 0..14).prop_map(|segments| {
        let named = segments.into_iter().map(|(tick, shard, scrapes)| ((tick, shard), scrapes));
        let unique: BTreeMap<(i64, u32), Vec<Scrape>> = named.collect();
        unique.into_iter().map(|((tick, shard), scrapes)| Given { tick, shard, scrapes }).collect()
    })
}

/// As the store would have written and read it; each segment with its own layouts, or all with shared ones.
fn segments(given: &[Given], shared: bool) -> Vec<Segment> {
    let mut cache = LayoutCache::default();
    let decoded = given.iter().map(|given| {
        if !shared {
            cache = LayoutCache::default();
        }
        let key = SegmentKey { tick: given.tick, shard: Shard::scrape(given.shard) };
        let encoded = wal::encode(&key, &given.scrapes, &mut cache, &wal::EncodeOptions::default());
        let layouts: BTreeMap<LayoutId, Arc<Layout>> = encoded
            .layouts
            .iter()
            .map(|(id, bytes)| (*id, Arc::new(Layout::decode(bytes).unwrap())))
            .collect();
        let front = wal::Front::read(&key, &encoded.payload).unwrap();
        let chunks = wal::all_chunks(&front, &encoded.payload).unwrap();
        let decoded = wal::decode(&key, &front, &chunks, &[], &|id| layouts.get(&id).cloned()).unwrap();
        Segment { key, scrapes: decoded.scrapes }
    });
    decoded.collect()
}

fn replay(
    segments: &[Segment],
    rules: Rules,
    select: impl Fn(&Labels) -> bool,
) -> (Contents, Vec<SegmentKey>) {
    let mut replay = Replay::new(rules, select);
    for segment in segments {
        replay.push(segment).unwrap();
    }
    let context = replay.context();
    (contents(&replay.finish()), context)
}

fn rules(emit_from: i64, staleness_gap_ms: i64) -> Rules {
    Rules {
        emit_from,
        range: i64::MIN..=i64::MAX,
        staleness_gap_ms,
        samples_max: u64::MAX,
        deletions: Deletions::default(),
    }
}

proptest! {
    #[test]
    fn a_replay_equals_the_naive_reference(given in given(), gap in 0i64..12, shared: bool) {
        let (found, _) = replay(&segments(&given, shared), rules(0, gap), |_| true);
        prop_assert_eq!(found, expected(&given, gap));
    }

    #[test]
    fn a_replay_in_two_parts_equals_one(given in given(), gap in 0i64..12, cut in 0i64..12, shared: bool) {
        let all = segments(&given, shared);
        let first: Vec<Segment> = segments(&given, shared).into_iter().filter(|s| s.key.tick < cut).collect();
        let (mut found, context) = replay(&first, rules(0, gap), |_| true);
        // The later part sees of the earlier only its context.
        let later: Vec<Segment> =
            all.into_iter().filter(|s| s.key.tick >= cut || context.contains(&s.key)).collect();
        let (rest, _) = replay(&later, rules(cut, gap), |_| true);
        for (key, bits) in rest {
            found.entry(key).or_insert(bits);
        }
        prop_assert_eq!(found, expected(&given, gap));
    }

    #[test]
    fn a_narrow_replay_is_a_part_of_the_whole(given in given(), min in 0i64..40, max in 0i64..40, name in 0u8..6) {
        let wanted = labels(&format!("m{name}"));
        let narrow = Rules { range: min..=max, ..rules(0, 5) };
        let (found, _) = replay(&segments(&given, true), narrow, |labels| *labels == wanted);
        let mut whole = between(&expected(&given, 5), min, max);
        whole.retain(|(labels, _), _| *labels == wanted);
        prop_assert_eq!(found, whole);
    }
}

#[test]
fn series_with_the_same_instants_share_them() {
    let scrape = |timestamp| Scrape {
        source: SourceId(1),
        timestamp,
        outcome: ScrapeOutcome::default(),
        samples: ["a", "b"]
            .map(|name| ScrapeSample { labels: labels(name), value: 1.0, timestamp: None })
            .to_vec(),
        ..Scrape::default()
    };
    let given = [Given { tick: 1, shard: 0, scrapes: vec![scrape(1), scrape(2)] }];
    let mut replay = Replay::new(rules(0, 10), |_| true);
    replay.push(&segments(&given, true)[0]).unwrap();
    let found = replay.finish();
    assert!(Arc::ptr_eq(&found[0].timestamps, &found[1].timestamps));
}

#[test]
fn more_samples_than_allowed_are_too_many() {
    let scrape = Scrape {
        source: SourceId(1),
        timestamp: 1,
        outcome: ScrapeOutcome::default(),
        samples: ["a", "b"]
            .map(|name| ScrapeSample { labels: labels(name), value: 1.0, timestamp: None })
            .to_vec(),
        ..Scrape::default()
    };
    let segments = segments(&[Given { tick: 1, shard: 0, scrapes: vec![scrape] }], true);
    for (samples_max, fits) in [(2, true), (1, false)] {
        let mut replay = Replay::new(Rules { samples_max, ..rules(0, 10) }, |_| true);
        assert_eq!(replay.push(&segments[0]).is_ok(), fits);
    }
}
