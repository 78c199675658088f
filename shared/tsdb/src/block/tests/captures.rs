//! A block of real scrapes.

use super::*;
use crate::wal::tests::captures::{bodies, samples};

/// Every capture's scrapes, 80 minutes, as series with stale markers, as a compactor would make them.
fn captured() -> Option<Vec<Series>> {
    let folder = fixtures::captures()?;
    let mut columns: BTreeMap<Labels, (Vec<i64>, Vec<f64>)> = BTreeMap::new();
    for archive in ["capture-node", "capture-prom", "capture-vm", "capture-push"] {
        let mut present: Vec<Labels> = Vec::new();
        for (timestamp, body) in bodies(folder.join(format!("{archive}.tar.zst")), usize::MAX) {
            let mut scraped: BTreeMap<Labels, f64> = BTreeMap::new();
            for sample in samples(&body) {
                let mut labels = sample.labels.to_builder();
                scraped.insert(labels.set("instance", archive).build(), sample.value);
            }
            for labels in present.iter().filter(|labels| !scraped.contains_key(labels)) {
                let (timestamps, values) = columns.entry(labels.clone()).or_default();
                timestamps.push(timestamp);
                values.push(stale_nan());
            }
            present = scraped.keys().cloned().collect();
            for (labels, value) in scraped {
                let (timestamps, values) = columns.entry(labels).or_default();
                timestamps.push(timestamp);
                values.push(value);
            }
        }
    }
    let series = columns
        .into_iter()
        .map(|(labels, (timestamps, values))| Series::floats(labels, timestamps.into(), values.into()));
    let mut series: Vec<Series> = series.collect();
    series.sort_by(|a, b| compare(&a.labels, &b.labels));
    Some(series)
}

#[test]
fn real_scrapes_take_a_third_of_a_byte_a_sample() {
    let Some(all) = captured() else { return };
    let block = write(&all, BlockOptions { zstd_level: 9, ..BlockOptions::default() });
    let bytes: usize = block.files.iter().map(|(_, bytes)| bytes.len()).sum();
    let per_sample = bytes as f64 / block.stats.samples as f64;
    println!(
        "{} series, {} samples, {bytes} bytes: {per_sample:.3} B/sample",
        block.stats.series, block.stats.samples
    );
    for (name, bytes) in &block.files {
        println!("{name}: {} bytes", bytes.len());
    }
    let (memory, meta) = store(&block);
    let reader = block_on(BlockReader::open(memory, &meta)).unwrap();
    let scanned = scan_all(&reader).unwrap();
    assert_eq!(scanned.len(), all.len());
    for (read, written) in scanned.iter().zip(&all) {
        assert!(comparable(read) == comparable(written), "{}", written.labels);
    }
    assert!(per_sample <= 0.33, "{per_sample} bytes a sample");
}
