//! Random sequences of scrapes come back bit for bit, whatever was lost or is in between.

use super::*;

pub(super) fn any_value() -> impl Strategy<Value = f64> {
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

fn any_labels() -> impl Strategy<Value = Labels> {
    (0u8..40, prop::option::of("[a-zA-Z\u{0}é]{1,3}")).prop_map(|(number, extra)| {
        let mut labels = Labels::from_pairs([("__name__", format!("metric_{number}"))]).to_builder();
        labels.set("extra", extra.unwrap_or_default());
        labels.build()
    })
}

fn any_spans() -> impl Strategy<Value = (Vec<model::histogram::Span>, usize)> {
    prop::collection::vec((0i32..5, 0u32..4), 0..3).prop_map(|spans| {
        let buckets = spans.iter().map(|(_, length)| *length as usize).sum();
        let span = |(offset, length)| model::histogram::Span { offset, length };
        (spans.into_iter().map(span).collect(), buckets)
    })
}

fn any_histogram() -> impl Strategy<Value = FloatHistogram> {
    let counts = prop_oneof![
        4 => prop::collection::vec((0u32..1000).prop_map(f64::from), 40),
        1 => prop::collection::vec(any_value().prop_map(|value| value.abs()), 40),
    ];
    let hint = prop::sample::select(vec![
        model::histogram::CounterResetHint::Unknown,
        model::histogram::CounterResetHint::CounterReset,
        model::histogram::CounterResetHint::NotCounterReset,
        model::histogram::CounterResetHint::Gauge,
    ]);
    let custom = prop::option::weighted(0.2, 0usize..5);
    (any_spans(), any_spans(), counts, hint, -4i32..=8, any_value(), custom).prop_map(
        |((positive_spans, positive), (negative_spans, negative), counts, hint, schema, sum, custom)| {
            let exponential = FloatHistogram {
                counter_reset_hint: hint,
                schema,
                zero_threshold: counts[0] / 1e6,
                zero_count: counts[1],
                count: counts[2],
                sum,
                positive_spans,
                negative_spans,
                positive_buckets: counts[3..3 + positive].to_vec(),
                negative_buckets: counts[20..20 + negative].to_vec(),
                custom_values: Vec::new(),
            };
            let Some(more) = custom else { return exponential };
            // Custom buckets are positive ones alone, and there is a bound for each.
            let reach = |span: &model::histogram::Span| span.length as usize + span.offset as usize;
            let bounds = exponential.positive_spans.iter().map(reach).sum::<usize>() + more;
            FloatHistogram {
                schema: model::histogram::CUSTOM_BUCKETS_SCHEMA,
                zero_threshold: 0.0,
                zero_count: 0.0,
                negative_spans: Vec::new(),
                negative_buckets: Vec::new(),
                custom_values: (0..bounds).map(|at| at as f64 / 3.0).collect(),
                ..exponential
            }
        },
    )
}

fn any_exemplar() -> impl Strategy<Value = (Labels, Exemplar)> {
    (any_labels(), "[a-f0-9]{0,16}", any_value(), any_time()).prop_map(|(series, trace, value, timestamp)| {
        (series, Exemplar { labels: Labels::from_pairs([("trace_id", trace)]), value, timestamp })
    })
}

prop_compose! {
    fn any_scrape()(
        source in 0u64..3,
        timestamp in any_time(),
        samples in prop::collection::btree_map(any_labels(), (any_value(), prop::option::weighted(0.2, any_time())), 0..30),
        histograms in prop::collection::btree_map(any_labels(), (any_histogram(), prop::option::weighted(0.2, any_time())), 0..4),
        exemplars in prop::collection::vec(any_exemplar(), 0..4),
        nanos in any::<u64>(),
        error in prop::option::of(".{0,20}"),
        partial in prop::bool::weighted(0.2),
        help in prop::option::of("[ab]"),
    ) -> Scrape {
        let outcome = ScrapeOutcome { duration: Duration::from_nanos(nanos), error };
        let histograms = histograms.into_iter().filter(|(labels, _)| !samples.contains_key(labels));
        let metadata = help.map(|help| model::Metadata {
            metric_family: "metric_1".to_owned(), help, ..model::Metadata::default()
        });
        Scrape {
            source: SourceId(source),
            timestamp,
            outcome,
            histograms: histograms
                .map(|(labels, (value, timestamp))| ScrapeHistogram { labels, value: Arc::new(value), timestamp })
                .collect(),
            samples: samples
                .into_iter()
                .map(|(labels, (value, timestamp))| ScrapeSample { labels, value, timestamp })
                .collect(),
            exemplars: exemplars
                .into_iter()
                .map(|(series, exemplar)| ScrapeExemplar { series, exemplar })
                .collect(),
            metadata: metadata.into_iter().collect(),
            coverage: if partial { Coverage::Partial } else { Coverage::Complete },
        }
    }
}

/// A later scrape of the same: counters go on or are reset, series and buckets come and go.
fn evolved(scrape: &Scrape, round: u64) -> Scrape {
    let mut next = scrape.clone();
    let roll = |at: usize| (at as u64).wrapping_mul(0x9e37_79b9).wrapping_add(round * 7) % 11;
    next.timestamp = next.timestamp.wrapping_add(15_000);
    let mut at = 0;
    next.samples.retain(|_| {
        at += 1;
        roll(at) != 3
    });
    for (at, sample) in next.samples.iter_mut().enumerate() {
        match roll(at) {
            0..=3 => {}
            4 => sample.value = 0.0,
            5 => sample.value = -sample.value,
            other => sample.value += (other * round) as f64 / 4.0,
        }
    }
    for (at, histogram) in next.histograms.iter_mut().enumerate() {
        if roll(at) > 3 {
            let value = Arc::make_mut(&mut histogram.value);
            value.count += round as f64;
            value.sum += 0.5;
            value.positive_buckets.iter_mut().for_each(|bucket| *bucket += round as f64);
        }
    }
    if round.is_multiple_of(3) {
        next.exemplars.pop();
    }
    next
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn every_scrape_comes_back_bit_for_bit(
        segments in prop::collection::vec((prop::collection::vec(any_scrape(), 0..5), 0u8..4), 1..4),
        chunk_samples in prop::sample::select(vec![3usize, 20, usize::MAX]),
    ) {
        let (mut shelf, mut cache) = (Shelf::default(), LayoutCache::new(300));
        let options = EncodeOptions { chunk_samples, chain_segments_max: 5, chain_ms_max: 8 };
        let mut tick = 1_700_000_000_000;
        for (mut scrapes, rounds) in segments {
            for round in 0..=rounds {
                tick += 1;
                let segment = shelf.write(&key(tick), &scrapes, &mut cache, &options);
                let times = || scrapes.iter().flat_map(|s| {
                    let samples = s.samples.iter().filter_map(|sample| sample.timestamp);
                    let histograms = s.histograms.iter().filter_map(|histogram| histogram.timestamp);
                    let exemplars = s.exemplars.iter().map(|exemplar| exemplar.exemplar.timestamp);
                    samples.chain(histograms).chain(exemplars).chain([s.timestamp])
                });
                prop_assert_eq!(segment.summary.min_time, times().min().unwrap_or(0));
                prop_assert_eq!(segment.summary.max_time, times().max().unwrap_or(0));
                let samples = |s: &Scrape| (s.samples.len() + s.histograms.len()) as u64;
                prop_assert_eq!(segment.summary.samples, scrapes.iter().map(samples).sum::<u64>());
                scrapes = scrapes.iter().map(|scrape| evolved(scrape, u64::from(round) + 1)).collect();
                if round == 1 {
                    // Written, but it is not known whether it was stored.
                    tick += 1;
                    drop(encode(&key(tick), &scrapes, &mut cache, &options));
                }
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Layout::decode(&bytes).is_err());
        prop_assert!(Front::read(&key(1), &bytes).is_err());
    }
}
