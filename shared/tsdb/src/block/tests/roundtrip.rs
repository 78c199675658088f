//! What is written comes back.

use super::*;

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, stale_nan(), 1.5]),
    ]
}

/// Columns of values of the kinds that exporters have, and of none.
fn any_values(len: usize) -> impl Strategy<Value = Vec<f64>> {
    prop_oneof![
        any_value().prop_map(move |value| vec![value; len]),
        prop::collection::vec(any_value(), len),
        prop::collection::vec((-1_000_000i64..1_000_000).prop_map(|n| n as f64 * 4096.0), len),
        (prop::collection::vec(any::<i32>(), len), 0i32..10)
            .prop_map(|(ns, places)| ns.into_iter().map(|n| f64::from(n) / 10f64.powi(places)).collect()),
        prop::collection::vec(0u16..1_000, len).prop_map(|steps| {
            let sum = |sum: &mut f64, step: u16| {
                *sum += f64::from(step) * 0.001;
                Some(*sum)
            };
            steps.into_iter().scan(1_000.0, sum).collect()
        }),
    ]
}

prop_compose! {
    /// A series of one of three targets: some run of its instants, with gaps and stale markers.
    fn any_series(instants: Vec<Vec<i64>>)(
        (target, from, to) in (0..instants.len()).prop_flat_map({
            let lens: Vec<usize> = instants.iter().map(Vec::len).collect();
            move |target| (Just(target), 0..=lens[target] / 2, lens[target] / 2..=lens[target])
        }),
        metric in prop::sample::select(vec!["", "a", "b", "metric_one", "z\u{e9}\u{0}"]),
        extra in prop::collection::btree_map("[A-Za-z_]{1,3}", "[a-c\u{0}\u{e9}]{0,3}", 0..3),
        gaps in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        stale in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        values in any_values(200),
        histograms in prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec((any::<bool>(), 0u8..9, 0u32..100), 200)],
    ) -> Series {
        let mut timestamps: Vec<i64> = instants.get(target).and_then(|all| all.get(from..to)).unwrap_or_default().to_vec();
        for gap in gaps {
            if !timestamps.is_empty() {
                timestamps.remove(gap.index(timestamps.len()));
            }
        }
        let mut values = values[..timestamps.len()].to_vec();
        for at in stale {
            if !values.is_empty() {
                let at = at.index(values.len());
                values[at] = stale_nan();
            }
        }
        let mut labels = Labels::from_pairs([("job", "j".to_owned()), ("instance", format!("i{target}"))]).to_builder();
        for (name, value) in extra {
            labels.set(name, value);
        }
        labels.set("__name__", metric);
        let series = Series::floats(labels.build(), timestamps.into(), values.into());
        with_histograms(&series, &histograms)
    }
}

/// A series in which some samples are histograms: those that `kinds` says.
fn with_histograms(series: &Series, kinds: &[(bool, u8, u32)]) -> Series {
    let mut kind = 1;
    let mut column: Vec<(i64, Arc<FloatHistogram>)> = Vec::new();
    let mut floats: Vec<(i64, f64)> = Vec::new();
    for (at, (timestamp, value)) in series.timestamps.iter().zip(series.values.iter()).enumerate() {
        match kinds.get(at) {
            Some((true, next, n)) => {
                // Most have the structure of the one before.
                kind = if n % 4 == 0 { *next } else { kind };
                column.push((*timestamp, Arc::new(histogram(kind, *n))));
            }
            _ => floats.push((*timestamp, *value)),
        }
    }
    let (timestamps, values): (Vec<_>, Vec<_>) = column.into_iter().unzip();
    Series {
        histograms: HistogramColumn { timestamps: timestamps.into(), values: values.into() },
        ..Series::floats(
            series.labels.clone(),
            floats.iter().map(|float| float.0).collect(),
            floats.iter().map(|float| float.1).collect(),
        )
    }
}

fn any_block() -> impl Strategy<Value = Vec<Series>> {
    let instants = (any::<i32>(), prop::collection::vec(1i64..100_000, 0..150)).prop_map(|(start, steps)| {
        let next = |at: &mut i64, step: i64| {
            *at += step;
            Some(*at)
        };
        steps.into_iter().scan(i64::from(start) * 1_000, next).collect::<Vec<i64>>()
    });
    prop::collection::vec(instants, 1..4)
        .prop_flat_map(|instants| prop::collection::vec(any_series(instants), 0..40))
        .prop_map(|all| {
            let mut distinct: Vec<Series> = all;
            distinct.sort_by(|a, b| a.labels.cmp(&b.labels));
            distinct.dedup_by(|a, b| a.labels == b.labels);
            distinct
        })
}

fn any_options() -> impl Strategy<Value = BlockOptions> {
    (1usize..50, 1usize..5_000, 1usize..60, 100usize..100_000).prop_map(
        |(row_group_series, row_group_samples, file_series, file_bytes)| BlockOptions {
            zstd_level: 1,
            row_group_series,
            row_group_samples,
            file_series,
            file_bytes,
        },
    )
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let op = prop::sample::select(vec![MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex]);
    let name = prop::sample::select(vec!["__name__", "instance", "a", "Z", "job"]);
    let value = prop::sample::select(vec!["", "a", "metric_one", "i1", "i0|i2", "b|zzz", ".+", "[a-b]"]);
    (op, name, value).prop_map(|(op, name, value)| Matcher::new(op, name, value).unwrap())
}

/// The samples of a series within a range, one by one.
fn naive(series: &Series, min: i64, max: i64) -> Option<Series> {
    let samples = series.timestamps.iter().zip(series.values.iter());
    let (timestamps, values): (Vec<i64>, Vec<f64>) =
        samples.filter(|(t, _)| (min..=max).contains(*t)).map(|(t, v)| (*t, *v)).unzip();
    let histograms = series.histograms.timestamps.iter().zip(series.histograms.values.iter());
    let (histogram_timestamps, histograms): (Vec<i64>, Vec<Arc<FloatHistogram>>) =
        histograms.filter(|(t, _)| (min..=max).contains(*t)).map(|(t, v)| (*t, Arc::clone(v))).unzip();
    let found = Series {
        histograms: HistogramColumn { timestamps: histogram_timestamps.into(), values: histograms.into() },
        ..Series::floats(series.labels.clone(), timestamps.into(), values.into())
    };
    (found.sample_count() > 0).then_some(found)
}

fn set_hash(series: &[Series]) -> u128 {
    let sample = |series: &Series| {
        let hash = series.labels.hash();
        let samples = series.timestamps.iter().zip(series.values.iter());
        let floats = samples.map(|(t, v)| sample_hash(hash, *t, v.to_bits()));
        let histograms = series.histograms.timestamps.iter().zip(series.histograms.values.iter());
        floats.chain(histograms.map(|(t, h)| histogram_hash(hash, *t, h))).fold(0, u128::wrapping_add)
    };
    series.iter().map(sample).fold(0, u128::wrapping_add)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_sample_comes_back_and_selections_are_what_a_filter_gives(
        all in any_block(),
        options in any_options(),
        tail in prop::sample::select(vec![8u64, 500, 64 << 10]),
        matchers in prop::collection::vec(any_matcher(), 0..3),
        other in prop::collection::vec(any_matcher(), 0..2),
        (a, b) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        (parts, batch) in (1usize..6, 0usize..500),
    ) {
        let block = write(&all, options);
        let stats = &block.stats;
        let expected: Vec<Series> = all.iter().filter_map(|s| naive(s, i64::MIN, i64::MAX)).collect();
        let times = |s: &Series| [s.timestamps.to_vec(), s.histograms.timestamps.to_vec()].concat();
        let times: Vec<i64> = expected.iter().flat_map(times).collect();
        prop_assert_eq!(stats.series, expected.len() as u64);
        prop_assert_eq!(stats.samples, times.len() as u64);
        prop_assert_eq!((stats.min_time, stats.max_time), (times.iter().copied().min().unwrap_or(0), times.iter().copied().max().unwrap_or(0)));
        prop_assert_eq!(stats.set_hash, set_hash(&all));

        let (memory, meta) = store(&block);
        let reader = block_on(BlockReader::open_with(memory, &meta, tail, Arc::default())).unwrap();
        let scanned = scan_all(&reader).unwrap();
        prop_assert!(scanned.is_sorted_by(|a, b| compare(&a.labels, &b.labels).is_lt()));
        prop_assert_eq!(set_hash(&scanned), stats.set_hash);
        // Whatever it is cut into, the ranges are the whole.
        let mut bounds: Vec<Option<Labels>> = vec![None];
        bounds.extend(block_on(reader.split_points(parts)).unwrap().into_iter().map(Some));
        prop_assert!(bounds.len() <= parts);
        bounds.push(None);
        let mut ranges = Vec::new();
        for bound in bounds.windows(2) {
            let mut scan = reader.scan_range(bound[0].clone(), bound[1].clone()).with_batch(batch);
            while let Some(series) = block_on(scan.next()).unwrap() {
                ranges.extend(series);
            }
        }
        prop_assert_eq!(all_comparable(&ranges), all_comparable(&scanned));
        let mut by_labels = scanned;
        by_labels.sort_by(|a, b| a.labels.cmp(&b.labels));
        prop_assert_eq!(all_comparable(&by_labels), all_comparable(&expected));

        let instant = |index: &prop::sample::Index| if times.is_empty() { 0 } else { times[index.index(times.len())] };
        let (min, max) = (instant(&a).min(instant(&b)), instant(&a).max(instant(&b)) - 1);
        // Twice: what is kept from the first time must not change the second.
        for (min, max) in [(min, max), (i64::MIN, i64::MAX), (min, max)] {
            let matching = |sets: &[&Vec<Matcher>]| -> Vec<Series> {
                let of_any = expected.iter().filter(|s| sets.iter().any(|set| matches_all(set, &s.labels)));
                of_any.filter_map(|s| naive(s, min, max)).collect()
            };
            let selected = block_on(reader.select(&matchers, min, max)).unwrap();
            prop_assert_eq!(all_comparable(&selected), all_comparable(&matching(&[&matchers])));
            let labels = block_on(reader.series(&[matchers.clone(), other.clone()], min, max)).unwrap();
            let naive: Vec<Labels> = matching(&[&matchers, &other]).into_iter().map(|s| s.labels).collect();
            prop_assert_eq!(&labels, &naive);
            let sets = [matchers.clone(), other.clone()];
            let names: BTreeSet<String> = naive.iter().flatten().map(|(name, _)| name.to_owned()).collect();
            prop_assert_eq!(block_on(reader.label_names(&sets, min, max)).unwrap(), names);
            for name in ["__name__", "instance", "a", "Z", "nobody"] {
                let values: BTreeSet<String> = naive.iter().filter_map(|l| l.get(name)).map(str::to_owned).collect();
                prop_assert_eq!(&block_on(reader.label_values(name, &sets, min, max, 0)).unwrap(), &values);
                let first: BTreeSet<String> = values.into_iter().take(2).collect();
                prop_assert_eq!(block_on(reader.label_values(name, &sets, min, max, 2)).unwrap(), first);
            }
            let all_metrics: BTreeSet<String> = matching(&[&vec![]]).iter().filter_map(|s| s.labels.get("__name__").map(str::to_owned)).collect();
            prop_assert_eq!(block_on(reader.label_values("__name__", &[], min, max, 0)).unwrap(), all_metrics);
            let some = block_on(reader.series_limited(&sets, min, max, 3)).unwrap();
            prop_assert!(some.len() == naive.len().min(3) && some.iter().all(|labels| naive.contains(labels)));
        }
    }
}

#[test]
fn an_empty_block_has_no_files_and_can_be_read() {
    let block = write(&[], BlockOptions::default());
    assert_eq!((block.files.len(), block.stats.clone()), (0, BlockStats::default()));
    let (memory, meta) = store(&block);
    let reader = block_on(BlockReader::open(memory, &meta)).unwrap();
    assert!(block_on(reader.select(&[], i64::MIN, i64::MAX)).unwrap().is_empty());
    assert!(scan_all(&reader).unwrap().is_empty());
}

#[test]
fn series_out_of_order_and_malformed_ones_are_refused() {
    let good = series(&[("__name__", "b")], 0..3, |n| n as f64);
    let mut writer = BlockWriter::new(BlockOptions::default());
    writer.push(&good).unwrap();
    assert_eq!(writer.push(&good), Err(BlockError::Unsorted(good.labels.clone())));
    let before = series(&[("__name__", "a")], 0..3, |n| n as f64);
    assert_eq!(writer.push(&before), Err(BlockError::Unsorted(before.labels.clone())));
    let twice = series(&[("__name__", "c")], [1, 1], |n| n as f64);
    assert_eq!(writer.push(&twice), Err(BlockError::Malformed(twice.labels.clone())));
    let short = Series { values: [1.0].into(), ..series(&[("__name__", "c")], [1, 2], |n| n as f64) };
    assert_eq!(writer.push(&short), Err(BlockError::Malformed(short.labels.clone())));
}

#[test]
fn the_order_is_by_metric_even_where_a_label_sorts_before_the_name() {
    let a = Labels::from_pairs([("__name__", "a"), ("Z", "2")]);
    let b = Labels::from_pairs([("__name__", "b"), ("Z", "1")]);
    assert!(b < a);
    assert!(compare(&a, &b).is_lt());
}

#[test]
fn stale_markers_are_a_flag_and_come_back_as_samples() {
    let stale = |n: usize| if n == 0 || n == 4 || n == 5 || n == 9 { stale_nan() } else { n as f64 };
    let one = series(&[("__name__", "a")], (0..10).map(|n| n * 1000), stale);
    let block = write(std::slice::from_ref(&one), BlockOptions::default());
    assert_eq!(block.stats.samples, 10);
    let (memory, meta) = store(&block);
    let reader = block_on(BlockReader::open(memory, &meta)).unwrap();
    let read = block_on(reader.select(&[], 0, 9_000)).unwrap();
    assert_eq!(all_comparable(&read), all_comparable([&one]));
    let marker = block_on(reader.select(&[], 4_000, 4_999)).unwrap();
    assert_eq!(comparable(&marker[0]).2, [STALE_NAN_BITS]);
}

#[test]
fn more_samples_than_allowed_are_not_given() {
    let all = [
        series(&[("__name__", "a")], 0..10, |n| n as f64),
        series(&[("__name__", "b")], 0..10, |n| n as f64),
    ];
    let (memory, meta) = store(&write(&all, BlockOptions { row_group_series: 1, ..BlockOptions::default() }));
    let reader = block_on(BlockReader::open(memory, &meta)).unwrap();
    assert_eq!(block_on(reader.select_limited(&[], 0, 9, 20)).unwrap().len(), 2);
    assert_eq!(block_on(reader.select_limited(&[], 0, 9, 19)).unwrap_err(), BlockError::TooManySamples);
    assert_eq!(block_on(reader.select_limited(&[], 5, 9, 10)).unwrap().len(), 2);
}

#[test]
fn series_of_one_target_share_their_timestamps() {
    let timestamps: Arc<[i64]> = (0..100).collect();
    let all: Vec<Series> = ["a", "b"]
        .map(|name| Series {
            timestamps: Arc::clone(&timestamps),
            ..series(&[("__name__", name)], 0..100, |n| n as f64)
        })
        .to_vec();
    let (memory, meta) = store(&write(&all, BlockOptions::default()));
    let reader = block_on(BlockReader::open(memory, &meta)).unwrap();
    for max in [1_000, 50] {
        let read = block_on(reader.select(&[], 0, max)).unwrap();
        assert!(Arc::ptr_eq(&read[0].timestamps, &read[1].timestamps));
    }
}

/// 40 metrics of 25 series of noise: about 1 KB a series.
fn noisy() -> Vec<Series> {
    let noise = |n: usize| (n as f64 + 2.0).sqrt();
    let mut all = Vec::new();
    for metric in 0..40 {
        for instance in 0..25 {
            let labels =
                [("__name__", format!("metric_{metric:02}")), ("instance", format!("i{instance:02}"))];
            let timestamps: Arc<[i64]> = (0..140).collect();
            let values = (0..140).map(|n| noise(n * 7 + instance + metric)).collect();
            all.push(Series::floats(Labels::from_pairs(labels), timestamps, values));
        }
    }
    all
}

#[test]
fn files_are_given_as_they_finish_and_are_bounded() {
    let all = noisy();
    let options = BlockOptions { row_group_series: 50, file_bytes: 100_000, ..BlockOptions::default() };
    let mut writer = BlockWriter::new(options.clone());
    let (mut taken, mut given_early) = (Vec::new(), 0);
    // What is gathered before it is encoded is given only at the end of so short a block.
    for series in &all {
        writer.push(series).unwrap();
        given_early += writer.take_files().len();
    }
    assert_eq!(given_early, 0);
    let mut block = writer.finish().unwrap();
    taken.append(&mut block.files);
    let names: Vec<&str> = taken.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        names.len() > 8 && names.starts_with(&["samples-000.parquet", "samples-001.parquet"]),
        "{names:?}"
    );
    assert!(taken.iter().all(|(_, bytes)| bytes.len() < 160_000), "a file has a row group more at most");
    let (memory, meta) = store(&WrittenBlock { files: taken, stats: block.stats });
    let reader = block_on(BlockReader::open(memory, &meta)).unwrap();
    assert_eq!(all_comparable(&scan_all(&reader).unwrap()), all_comparable(&all));
}

#[test]
fn long_series_are_given_before_the_end() {
    let values = |n: usize| (n as f64).sqrt();
    let all: Vec<Series> = (0..4)
        .map(|metric| series(&[("__name__", &format!("m{metric}"))], 0..600_000, |n| values(n + metric)))
        .collect();
    let mut writer =
        BlockWriter::new(BlockOptions { row_group_series: 1, file_bytes: 1, ..BlockOptions::default() });
    let mut files = Vec::new();
    let mut early = Vec::new();
    for series in &all {
        writer.push(series).unwrap();
        files.extend(writer.take_files());
        early.push(files.len());
    }
    assert_eq!(early, [0, 1, 1, 3], "all but the open row group");
    let block = writer.finish().unwrap();
    files.extend(block.files);
    let (memory, meta) = store(&WrittenBlock { files, stats: block.stats });
    let reader = block_on(BlockReader::open(memory, &meta)).unwrap();
    assert_eq!(all_comparable(&scan_all(&reader).unwrap()), all_comparable(&all));
}

#[test]
fn a_metric_of_half_a_row_group_is_never_split() {
    let all = noisy();
    let options = BlockOptions { row_group_series: 60, ..BlockOptions::default() };
    let block = write(&all, options);
    let (_, bytes) = &block.files[0];
    let trailer = bytes.last_chunk().unwrap();
    let len = footer::footer_len(trailer).unwrap();
    let footer = &bytes[bytes.len() - 8 - len..bytes.len() - 8];
    let groups = footer::parse(footer, bytes.len() as u64, schema::samples::COUNT).unwrap().groups;
    assert_eq!(groups.len(), 20);
    assert!(groups.iter().all(|group| group.rows == 50));
}
