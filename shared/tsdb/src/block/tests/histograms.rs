//! Native histograms in blocks.

use super::*;

/// A series of histograms, every 15 s.
fn histograms(name: &str, values: impl IntoIterator<Item = FloatHistogram>) -> Series {
    let values: Arc<[Arc<FloatHistogram>]> = values.into_iter().map(Arc::new).collect();
    let timestamps = (0..values.len() as i64).map(|n| n * 15_000).collect();
    let labels = Labels::from_pairs([("__name__", name), ("instance", "i"), ("job", "j")]);
    Series {
        histograms: HistogramColumn { timestamps, values },
        ..Series::floats(labels, Arc::default(), Arc::default())
    }
}

#[test]
fn runs_of_equal_structure_are_small() {
    let latency = |instance: u32| {
        (0..480).map(move |n: u32| FloatHistogram {
            schema: 3,
            zero_threshold: 1e-128,
            zero_count: f64::from(n / 50),
            count: f64::from(n * 40),
            sum: f64::from(n * instance) * 0.25,
            positive_spans: vec![Span { offset: -20, length: 40 }],
            positive_buckets: (0..40).map(|bucket| f64::from(n * (bucket % 7) / 3)).collect(),
            ..FloatHistogram::default()
        })
    };
    let all: Vec<Series> = (0..20).map(|n| histograms(&format!("latency_{n:02}"), latency(n))).collect();
    let block = write(&all, BlockOptions { zstd_level: 9, ..BlockOptions::default() });
    let names: Vec<&str> = block.files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["histograms-000.parquet", "timelines.parquet"], "no empty file of floats");
    let bytes: usize = block.files.iter().map(|(_, bytes)| bytes.len()).sum();
    let numbers = block.stats.samples * 43;
    println!("{numbers} numbers of {} histograms: {bytes} bytes", block.stats.samples);
    assert!((bytes as f64) < numbers as f64 * 0.2, "{bytes} bytes");
    let (memory, meta) = store(&block);
    let reader = block_on(BlockReader::open(memory, &meta)).unwrap();
    assert_eq!(all_comparable(&scan_all(&reader).unwrap()), all_comparable(&all));
}

#[test]
fn a_series_may_change_between_floats_and_histograms() {
    let mut mixed = histograms("mixed", (0..9).map(|n| histogram(n as u8, n)));
    mixed.timestamps = [1, 2, 200_000].into();
    mixed.values = [1.5, 2.5, stale_nan()].into();
    let (memory, meta) = store(&write(&[mixed.clone()], BlockOptions::default()));
    let reader = block_on(BlockReader::open(memory, &meta)).unwrap();
    let read = block_on(reader.select(&[], i64::MIN, i64::MAX)).unwrap();
    assert_eq!(all_comparable(&read), all_comparable(&[mixed]));
    assert_eq!(read[0].sample_count(), 12);
}

#[test]
fn what_is_two_samples_at_once_or_has_other_buckets_than_spans_is_refused() {
    let mut writer = BlockWriter::new(BlockOptions::default());
    let mut both = histograms("a", [histogram(0, 1)]);
    (both.timestamps, both.values) = ([0].into(), [1.0].into());
    assert_eq!(writer.push(&both), Err(BlockError::Malformed(both.labels.clone())));
    let mut unlike = histogram(0, 1);
    unlike.positive_buckets.pop();
    let unlike = histograms("a", [unlike]);
    assert_eq!(writer.push(&unlike), Err(BlockError::Malformed(unlike.labels.clone())));
}

#[test]
fn histograms_count_as_what_they_occupy_in_a_limit_on_samples() {
    let all = [histograms("a", (0..10).map(|n| histogram(0, n)))];
    let (memory, meta) = store(&write(&all, BlockOptions::default()));
    let reader = block_on(BlockReader::open(memory, &meta)).unwrap();
    let needed: u64 = all[0].histograms.values.iter().map(|value| histogram_weight(value) as u64).sum();
    assert!(needed > 100);
    assert_eq!(block_on(reader.select_limited(&[], 0, i64::MAX, needed)).unwrap().len(), 1);
    let refused = block_on(reader.select_limited(&[], 0, i64::MAX, needed - 1)).unwrap_err();
    assert_eq!(refused, BlockError::TooManySamples);
}

#[test]
fn long_runs_are_cut_and_come_back() {
    let wide = |n: u32| FloatHistogram {
        positive_spans: vec![Span { offset: 0, length: 30_000 }],
        positive_buckets: (0..30_000).map(|bucket| f64::from(bucket * n)).collect(),
        ..FloatHistogram::default()
    };
    let all = [histograms("wide", (0..40).map(wide))];
    let (memory, meta) = store(&write(&all, BlockOptions { zstd_level: 1, ..BlockOptions::default() }));
    let reader = block_on(BlockReader::open(memory, &meta)).unwrap();
    let read = block_on(reader.select(&[], 15_000 * 30, 15_000 * 38)).unwrap();
    assert_eq!(read[0].histograms.values.len(), 9);
    assert!(read[0].histograms.values.iter().zip(30..).all(|(value, n)| value.bit_eq(&wide(n))));
}
