//! Exemplars and metadata in blocks.

use xxhash_rust::xxh3::xxh3_128;

use super::*;

fn exemplar(timestamp: i64, value: f64, trace: &str) -> Exemplar {
    Exemplar { labels: Labels::from_pairs([("trace_id", trace)]), value, timestamp }
}

/// Exemplars of `series` series of each of three metrics.
fn many(series: usize) -> Vec<SeriesExemplars> {
    let of = |metric: &str, n: usize| SeriesExemplars {
        labels: Labels::from_pairs([("__name__", metric.to_owned()), ("instance", format!("i{n:05}"))]),
        exemplars: (0..10)
            .map(|at| {
                exemplar(
                    at * 1_000,
                    at as f64,
                    &format!("{:032x}", xxh3_128(format!("{metric}{n}{at}").as_bytes())),
                )
            })
            .collect(),
    };
    ["a_total", "b_total", "c_total"].iter().flat_map(|metric| (0..series).map(|n| of(metric, n))).collect()
}

fn write_exemplars(all: &[SeriesExemplars]) -> WrittenBlock {
    let mut writer = BlockWriter::new(BlockOptions::default());
    for series in all {
        writer.push_exemplars(series).unwrap();
    }
    writer.finish().unwrap()
}

fn scan(reader: &BlockReader) -> Vec<SeriesExemplars> {
    let mut scan = reader.scan_exemplars();
    let mut all = Vec::new();
    while let Some(batch) = block_on(scan.next()).unwrap() {
        assert!(!batch.is_empty());
        all.extend(batch);
    }
    all
}

#[test]
fn exemplars_of_one_metric_are_found_without_reading_the_others() {
    let all = many(2_000);
    let block = write_exemplars(&all);
    assert_eq!((block.stats.exemplars, block.stats.samples), (60_000, 0));
    let (memory, meta) = store(&block);
    let objects: Arc<dyn Objects> = Arc::<Memory>::clone(&memory);
    let reader = block_on(BlockReader::open(objects, &meta)).unwrap();
    assert_eq!(memory.counts().0, 0, "not opened until somebody asks");
    let sets = [vec![Matcher::equal("__name__", "b_total"), Matcher::equal("instance", "i00007")]];
    let found = block_on(reader.exemplars(&sets, 2_000, 4_000)).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].exemplars, all[2_007].exemplars[2..=4]);
    let (_, bytes) = memory.counts();
    let len = meta.files[0].len as usize;
    println!("{bytes} of {len} bytes read for one of three metrics");
    assert!(bytes < len * 7 / 10, "{bytes} of {len} bytes");
    assert_eq!(scan(&reader), all);
}

#[test]
fn the_set_hash_covers_exemplars_in_whatever_order_they_come() {
    let all = many(5);
    let expected = all.iter().flat_map(|series| {
        let hash = series.labels.hash();
        series.exemplars.iter().map(move |exemplar| exemplar_hash(hash, exemplar))
    });
    let mut shuffled = all.clone();
    shuffled.reverse();
    let split: Vec<SeriesExemplars> = shuffled
        .iter()
        .flat_map(|series| {
            series
                .exemplars
                .chunks(3)
                .map(|some| SeriesExemplars { exemplars: some.to_vec(), ..series.clone() })
        })
        .collect();
    let block = write_exemplars(&split);
    assert_eq!(block.stats.set_hash, expected.fold(0, u128::wrapping_add));
    let (memory, meta) = store(&block);
    let reader = block_on(BlockReader::open(memory, &meta)).unwrap();
    assert_eq!(scan(&reader), all);
}

#[test]
fn metadata_is_a_set_of_answers() {
    let answer = |family: &str, kind, help: &str| Metadata {
        metric_family: family.to_owned(),
        kind,
        help: help.to_owned(),
        unit: "seconds".to_owned(),
    };
    let mut writer = BlockWriter::new(BlockOptions::default());
    let all = [
        answer("a", MetricType::Counter, "One."),
        answer("a", MetricType::Gauge, "Two.\n\u{e9}"),
        answer("b", MetricType::Histogram, ""),
    ];
    for answer in all.iter().rev().chain(&all) {
        writer.push_metadata(answer);
    }
    writer.push(&series(&[("__name__", "a")], 0..3, |n| n as f64)).unwrap();
    let (memory, meta) = store(&writer.finish().unwrap());
    let reader = block_on(BlockReader::open(memory, &meta)).unwrap();
    assert_eq!(block_on(reader.metadata()).unwrap(), all);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn exemplars_are_what_a_filter_gives(
        rows in prop::collection::vec((0u8..3, 0u8..3, -5i64..5, any::<u64>(), "[a-b\u{e9}]{0,3}"), 0..40),
        wanted in prop::option::of(0u8..4),
        (min, max) in (-6i64..6, -6i64..6),
    ) {
        let mut by_series: BTreeMap<Labels, Vec<Exemplar>> = BTreeMap::new();
        for (metric, instance, timestamp, bits, trace) in rows {
            let labels = Labels::from_pairs([("__name__", format!("m{metric}")), ("instance", instance.to_string())]);
            by_series.entry(labels).or_default().push(exemplar(timestamp, f64::from_bits(bits), &trace));
        }
        let all: Vec<SeriesExemplars> = by_series.into_iter().map(|(labels, mut exemplars)| {
            exemplars.sort_by_key(|exemplar| exemplar.timestamp);
            SeriesExemplars { labels, exemplars }
        }).collect();
        let (memory, meta) = store(&write_exemplars(&all));
        let reader = block_on(BlockReader::open(memory, &meta)).unwrap();
        let metric = wanted.map(|wanted| format!("m{wanted}"));
        let sets: Vec<Vec<Matcher>> = metric.iter().map(|metric| vec![Matcher::equal("__name__", metric)]).collect();
        let found = block_on(reader.exemplars(&sets, min, max)).unwrap();
        let naive: Vec<SeriesExemplars> = all.into_iter().filter_map(|mut series| {
            series.exemplars.retain(|exemplar| (min..=max).contains(&exemplar.timestamp));
            let is_wanted = metric.as_ref().is_none_or(|metric| series.labels.metric_name() == metric);
            (is_wanted && !series.exemplars.is_empty()).then_some(series)
        }).collect();
        // As text, in which NaN is NaN; the bits are the set hash's matter.
        prop_assert_eq!(format!("{found:?}"), format!("{naive:?}"));
    }
}
