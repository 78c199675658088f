//! Damaged files never panic, and never give other samples.

use super::*;

fn small_block() -> Vec<Series> {
    let stale = |n: usize| if n == 7 { stale_nan() } else { n as f64 * 0.25 };
    let target = [("instance", "i"), ("job", "j")];
    let named = |name: &'static str| [("__name__", name), target[0], target[1]];
    let noise = |n: usize| (n as f64 + 2.0).sqrt();
    let sum = |n: usize| (0..n).fold(100.0, |sum, step| sum + step as f64 * 0.001);
    let strange = (0..10).map(|n| Arc::new(histogram(n as u8 % 8, n * 3))).collect();
    let histograms = HistogramColumn { timestamps: (20..30).collect(), values: strange };
    vec![
        series(&named("constant"), 0..12, |_| 3.0),
        series(&named("decimal"), 0..12, stale),
        Series { histograms, ..series(&named("duration"), 0..4, |n| n as f64) },
        series(&named("gap"), (0..5).chain(8..12), |n| n as f64 * 4096.0),
        series(&named("noise"), 0..12, noise),
        series(&named("own"), (0..12).map(|n| n * 3 + 1), |n| n as f64),
        series(&named("sum"), 0..100, sum),
    ]
}

/// The small block with exemplars and metadata.
fn small_written(options: BlockOptions) -> WrittenBlock {
    let mut writer = BlockWriter::new(options);
    for series in small_block() {
        writer.push(&series).unwrap();
        let trace = Labels::from_pairs([("trace_id", series.labels.metric_name().to_owned())]);
        let exemplar = Exemplar { labels: trace, value: 0.5, timestamp: 7 };
        let exemplars = vec![exemplar.clone(), Exemplar { timestamp: 9, ..exemplar }];
        writer.push_exemplars(&SeriesExemplars { labels: series.labels.clone(), exemplars }).unwrap();
        writer.push_metadata(&Metadata {
            metric_family: series.labels.metric_name().to_owned(),
            kind: MetricType::Gauge,
            help: "What it is.".to_owned(),
            unit: "bytes".to_owned(),
        });
    }
    writer.finish().unwrap()
}

/// All that a block holds.
type Everything = (Vec<Comparable>, Vec<SeriesExemplars>, Vec<Metadata>);

fn read_everything(reader: &BlockReader) -> Result<Everything, BlockError> {
    let scanned = scan_all(reader)?;
    let exemplars = block_on(reader.exemplars(&[], i64::MIN, i64::MAX))?;
    Ok((all_comparable(&scanned), exemplars, block_on(reader.metadata())?))
}

/// Reads everything from a block of which one file is replaced.
fn read_damaged(
    block: &WrittenBlock,
    file: usize,
    bytes: Vec<u8>,
    tail: u64,
) -> Result<Everything, BlockError> {
    let (memory, meta) = store(block);
    let key = object_key("b", &block.files[file].0);
    memory.objects.lock().unwrap().insert(key, Bytes::from(bytes));
    let reader = block_on(BlockReader::open_with(memory, &meta, tail, Arc::default()))?;
    let everything = read_everything(&reader)?;
    let mut selected = block_on(reader.select(&[], i64::MIN, i64::MAX))?;
    selected.sort_by(|a, b| compare(&a.labels, &b.labels));
    assert_eq!(everything.0, all_comparable(&selected));
    let labels = block_on(reader.series(&[], i64::MIN, i64::MAX))?;
    assert_eq!(labels.len(), everything.0.len());
    assert!(selected.iter().all(|series| labels.contains(&series.labels)));
    Ok(everything)
}

/// With a small tail nothing is checked as a whole: footers, offset indexes and pages must stand by themselves.
#[test]
fn every_flipped_bit_is_noticed_or_harmless() {
    let block = small_written(BlockOptions { row_group_series: 4, ..BlockOptions::default() });
    let names: Vec<&str> = block.files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    let (memory, meta) = store(&block);
    let good = read_everything(&block_on(BlockReader::open(memory, &meta)).unwrap()).unwrap();
    assert_eq!(good.0, all_comparable(&small_block()));
    assert_eq!((good.1.len(), good.2.len()), (7, 7));
    let (mut noticed, mut harmless) = (0u32, 0u32);
    for (file, (name, bytes)) in block.files.iter().enumerate() {
        for at in 0..bytes.len() {
            for bit in [0, 3, 7] {
                let mut damaged = bytes.to_vec();
                damaged[at] ^= 1 << bit;
                match read_damaged(&block, file, damaged, 8) {
                    Ok(read) => {
                        assert_eq!(read, good, "{name}: bit {bit} of byte {at}");
                        harmless += 1;
                    }
                    Err(BlockError::Corrupt { .. }) => noticed += 1,
                    Err(other) => panic!("{name}: bit {bit} of byte {at}: {other}"),
                }
            }
        }
    }
    println!("{noticed} flips noticed, {harmless} harmless");
    assert!(noticed > harmless);
}

/// A file that is read whole is checked whole.
#[test]
fn every_flipped_bit_of_a_small_file_is_noticed() {
    let block = small_written(BlockOptions::default());
    for (file, (name, bytes)) in block.files.iter().enumerate() {
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x10;
            let read = read_damaged(&block, file, damaged, 1 << 20);
            assert!(matches!(read, Err(BlockError::Corrupt { .. })), "{name}: byte {at}");
        }
    }
}

#[test]
fn every_truncation_is_noticed() {
    let block = small_written(BlockOptions::default());
    for (file, (name, bytes)) in block.files.iter().enumerate() {
        for len in (0..bytes.len()).step_by(13) {
            let read = read_damaged(&block, file, bytes[..len].to_vec(), 8);
            assert!(matches!(read, Err(BlockError::Corrupt { .. })), "{name}: cut to {len} bytes");
        }
    }
}

#[test]
fn a_missing_file_is_an_error_of_the_store() {
    let block = small_written(BlockOptions::default());
    let (memory, meta) = store(&block);
    memory.objects.lock().unwrap().clear();
    let opened = block_on(BlockReader::open(memory, &meta));
    assert!(matches!(opened, Err(BlockError::Platform(PlatformError::NotFound { .. }))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A writer with a defect, or one that means harm, gets its checksums right: the reader must still not panic.
    #[test]
    fn a_forged_footer_or_index_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let block = small_written(BlockOptions::default());
        for (file, (name, bytes)) in block.files.iter().enumerate() {
            let value_columns = match name.split(['-', '.']).next() {
                Some("samples") => schema::samples::M..schema::samples::COUNT,
                Some("histograms") => schema::histograms::SUM..schema::histograms::COUNT,
                Some("exemplars") => schema::exemplars::TS..schema::exemplars::COUNT,
                Some("metadata") => 0..schema::metadata::COUNT,
                _ => schema::timelines::TS..schema::timelines::COUNT,
            };
            let trailer = bytes.last_chunk().unwrap();
            let index_len = 1_500 + footer::footer_len(trailer).unwrap();
            let start = bytes.len().saturating_sub(index_len);
            let mut forged = bytes.to_vec();
            let place = start + at.index(bytes.len() - start);
            forged[place] = byte;
            if footer::seal(&mut forged, value_columns).is_ok() {
                let _ = read_damaged(&block, file, forged, 8);
            }
        }
    }
}
