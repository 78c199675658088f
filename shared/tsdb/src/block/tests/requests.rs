//! How many requests and bytes selective reads take: what an object store charges for.

use super::*;

/// Scrapes of `targets` targets with `metrics` metrics each, for two hours. Every target has its own timeline.
fn scraped(targets: i64, metrics: u64) -> Vec<Series> {
    let mut all = Vec::new();
    for target in 0..targets {
        let timestamps: Arc<[i64]> = (0..480).map(|n| n * 15_000 + target * 7).collect();
        for metric in 0..metrics {
            let labels = Labels::from_pairs([
                ("__name__", format!("metric_{metric:03}_total")),
                ("instance", format!("host-{target}:9100")),
                ("job", "node".to_owned()),
            ]);
            let step = |n: u64| (n * 31 + metric * 3 + target as u64) * (n % 7 + 1);
            let values: Vec<f64> = match metric % 3 {
                0 => vec![metric as f64; 480],
                _ => (0..480).map(|n| step(n) as f64).collect(),
            };
            all.push(Series::floats(labels, Arc::clone(&timestamps), values.into()));
        }
    }
    all
}

/// An open block of which footers are known, nothing else, and the counters reset.
fn opened(all: &[Series], options: BlockOptions) -> (Arc<Memory>, BlockReader) {
    let (memory, meta) = store(&write(all, options));
    let objects: Arc<dyn Objects> = Arc::<Memory>::clone(&memory);
    let reader = block_on(BlockReader::open(objects, &meta)).unwrap();
    let (reads, _) = memory.counts();
    assert_eq!(reads, meta.files.len(), "one request a file to open");
    (memory, reader)
}

#[test]
fn one_series_of_many_takes_three_small_reads_in_two_rounds() {
    let all = scraped(40, 250);
    let (memory, reader) = opened(&all, BlockOptions { row_group_series: 10_000, ..BlockOptions::default() });
    let matchers =
        [Matcher::equal("__name__", "metric_124_total"), Matcher::equal("instance", "host-3:9100")];
    let found = block_on(reader.select(&matchers, 0, i64::MAX)).unwrap();
    assert_eq!((found.len(), found[0].values.len()), (1, 480));
    let (reads, bytes) = memory.counts();
    println!("one series of {}: {reads} reads, {bytes} bytes", all.len());
    assert!(reads <= 3, "{reads} reads");
    assert!(bytes <= 80 << 10, "{bytes} bytes");
    block_on(reader.select(&matchers, 0, i64::MAX)).unwrap();
    let (reads, bytes) = memory.counts();
    assert!(reads <= 1 && bytes <= 40 << 10, "index and timelines are kept: {reads} reads, {bytes} bytes");
}

#[test]
fn one_metric_takes_three_reads_and_little_a_series() {
    let all = scraped(400, 12);
    let (memory, reader) = opened(&all, BlockOptions::default());
    let found =
        block_on(reader.select(&[Matcher::equal("__name__", "metric_004_total")], 0, i64::MAX)).unwrap();
    assert_eq!(found.len(), 400);
    let (reads, bytes) = memory.counts();
    println!("a metric of 400 series of {}: {reads} reads, {bytes} bytes", all.len());
    assert!(reads <= 3, "{reads} reads");
    assert!(bytes <= 400 * 2_100, "{bytes} bytes");
}

#[test]
fn a_metric_in_two_row_groups_takes_two_reads_of_each_and_one_of_timelines() {
    let all = scraped(100, 12);
    // 1,200 series: the cut is within the seventh metric.
    let (memory, reader) = opened(&all, BlockOptions { row_group_series: 650, ..BlockOptions::default() });
    let found =
        block_on(reader.select(&[Matcher::equal("__name__", "metric_006_total")], 0, i64::MAX)).unwrap();
    assert_eq!(found.len(), 100);
    assert!(memory.counts().0 <= 3, "a constant needs no values");
    let (memory, reader) = opened(&all, BlockOptions { row_group_series: 750, ..BlockOptions::default() });
    let found =
        block_on(reader.select(&[Matcher::equal("__name__", "metric_007_total")], 0, i64::MAX)).unwrap();
    assert_eq!(found.len(), 100);
    assert!(memory.counts().0 <= 5);
    let (memory, reader) = opened(&all, BlockOptions { row_group_series: 600, ..BlockOptions::default() });
    block_on(reader.select(&[Matcher::equal("__name__", "metric_007_total")], 0, i64::MAX)).unwrap();
    assert!(memory.counts().0 <= 3, "the other row group is not read");
}

#[test]
fn label_questions_read_labels_alone_and_once() {
    let all = scraped(100, 30);
    // A row group ends at the first change of metric from half of that on.
    let (memory, reader) = opened(&all, BlockOptions { row_group_series: 2_000, ..BlockOptions::default() });
    let (min, max) = (i64::MIN, i64::MAX);
    assert_eq!(block_on(reader.label_values("__name__", &[], min, max, 0)).unwrap().len(), 30);
    let (reads, metrics) = memory.counts();
    assert!(reads <= 3, "a read a row group");
    assert_eq!(block_on(reader.label_values("instance", &[], min, max, 0)).unwrap().len(), 100);
    let (reads, labels) = memory.counts();
    assert!(reads <= 3 && metrics < labels, "{metrics} bytes of metric names, {labels} of labels");
    let set = [vec![Matcher::equal("instance", "host-3:9100")]];
    assert_eq!(block_on(reader.series(&set, min, max)).unwrap().len(), 30);
    block_on(reader.label_names(&[], min, max)).unwrap();
    assert_eq!(memory.counts().0, 0, "the labels are kept");
}

#[test]
fn a_cache_that_holds_nothing_changes_no_answer() {
    let all = scraped(10, 30);
    let (memory, meta) =
        store(&write(&all, BlockOptions { row_group_series: 100, ..BlockOptions::default() }));
    let context = Arc::new(BlockContext::new(0, 1));
    let reader = block_on(BlockReader::open_in(memory, &meta, Arc::clone(&context))).unwrap();
    let mut found = block_on(reader.select(&[], i64::MIN, i64::MAX)).unwrap();
    found.sort_by(|a, b| compare(&a.labels, &b.labels));
    let mut expected = all;
    expected.sort_by(|a, b| compare(&a.labels, &b.labels));
    assert_eq!(all_comparable(&found), all_comparable(&expected));
    assert_eq!(context.cached_bytes(), 0);
}

#[test]
fn what_is_kept_weighs_what_it_occupies_and_is_bounded() {
    let all = scraped(100, 30);
    let (memory, meta) =
        store(&write(&all, BlockOptions { row_group_series: 500, ..BlockOptions::default() }));
    let context = Arc::new(BlockContext::new(64 << 10, 1 << 20));
    let reader = block_on(BlockReader::open_in(memory, &meta, Arc::clone(&context))).unwrap();
    for _ in 0..2 {
        assert_eq!(block_on(reader.series(&[], i64::MIN, i64::MAX)).unwrap().len(), 3_000);
        let kept = context.cached_bytes();
        assert!(kept > 20 << 10 && kept <= 64 << 10, "{kept} bytes");
    }
}
