//! Properties of blocks: what is written comes back, whatever it is, and damage is noticed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::executor::block_on;
use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::matcher::matches_all;
use model::value::{STALE_NAN_BITS, stale_nan};
use model::{
    CounterResetHint, Exemplar, FloatHistogram, Labels, MatchOp, Matcher, Metadata, MetricType, Span,
};
use platform::{ByteRange, ListedObject, Object, Objects, PlatformError, PlatformFuture, Put, Version};
use proptest::prelude::*;
use storage::{HistogramColumn, Series, SeriesExemplars};
use wire::{BlockFile, BlockMeta};
use xxhash_rust::xxh3::xxh3_64;

use super::*;

mod captures;
mod damage;
mod exemplars;
mod histograms;
mod requests;
mod roundtrip;

/// Objects in memory that count what is read.
#[derive(Default)]
struct Memory {
    objects: Mutex<BTreeMap<String, Bytes>>,
    reads: AtomicUsize,
    bytes: AtomicUsize,
}

impl Memory {
    fn counts(&self) -> (usize, usize) {
        (self.reads.swap(0, Ordering::Relaxed), self.bytes.swap(0, Ordering::Relaxed))
    }
}

impl Objects for Memory {
    fn create<'a>(&'a self, key: &'a str, body: Bytes) -> PlatformFuture<'a, Put> {
        self.objects.lock().unwrap().insert(key.to_owned(), body);
        Box::pin(async { Ok(Put::Created(Version("1".to_owned()))) })
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        _version: Option<&'a Version>,
        range: ByteRange,
    ) -> PlatformFuture<'a, Object> {
        let whole = self.objects.lock().unwrap().get(key).cloned();
        Box::pin(async move {
            let whole = whole.ok_or_else(|| PlatformError::NotFound { what: key.to_owned() })?;
            let range = match range {
                ByteRange::All => 0..whole.len(),
                ByteRange::At { start, len } => {
                    let start = (start as usize).min(whole.len());
                    start..(start + len as usize).min(whole.len())
                }
                ByteRange::Last(len) => whole.len().saturating_sub(len as usize)..whole.len(),
            };
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(range.len(), Ordering::Relaxed);
            let len = whole.len() as u64;
            Ok(Object { body: whole.slice(range), version: Version("1".to_owned()), len })
        })
    }

    fn list<'a>(&'a self, _: &'a str, _: Option<&'a str>, _: usize) -> PlatformFuture<'a, Vec<ListedObject>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn delete<'a>(&'a self, _: &'a str) -> PlatformFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

fn write(series: &[Series], options: BlockOptions) -> WrittenBlock {
    let mut sorted = series.to_vec();
    sorted.sort_by(|a, b| compare(&a.labels, &b.labels));
    let mut writer = BlockWriter::new(options);
    for series in &sorted {
        writer.push(series).expect("a series in order");
    }
    writer.finish().expect("a block that can be encoded")
}

fn store(block: &WrittenBlock) -> (Arc<Memory>, BlockMeta) {
    let memory = Arc::new(Memory::default());
    let mut files = Vec::new();
    for (name, body) in &block.files {
        let checksum = format!("{:016x}", xxh3_64(body));
        files.push(BlockFile { name: name.clone(), len: body.len() as u64, checksum });
        block_on(memory.create(&object_key("b", name), body.clone())).unwrap();
    }
    let stats = &block.stats;
    let meta = BlockMeta {
        id: "b".to_owned(),
        level: 1,
        min_time: stats.min_time,
        max_time: stats.max_time.saturating_add(1),
        samples: stats.samples,
        series: stats.series,
        set_hash: format!("{:032x}", stats.set_hash),
        files,
        parents: Vec::new(),
        ..BlockMeta::default()
    };
    (memory, meta)
}

/// A series with its values as bits, so that NaNs compare; and its histograms, which compare so.
type Comparable = (Labels, Vec<i64>, Vec<u64>, Vec<(i64, FloatHistogram)>);

fn comparable(series: &Series) -> Comparable {
    let bits = series.values.iter().map(|value| value.to_bits()).collect();
    let histograms = series.histograms.timestamps.iter().zip(series.histograms.values.iter());
    let histograms =
        histograms.map(|(timestamp, value)| (*timestamp, FloatHistogram::clone(value))).collect();
    (series.labels.clone(), series.timestamps.to_vec(), bits, histograms)
}

/// A histogram of one of several kinds, strange ones among them.
fn histogram(kind: u8, n: u32) -> FloatHistogram {
    let count = f64::from(n);
    let plain = FloatHistogram {
        schema: 3,
        zero_threshold: 1e-128,
        zero_count: f64::from(n / 7),
        count,
        sum: count * 0.37,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        positive_buckets: vec![f64::from(n / 2), f64::from(n / 3), f64::from(n % 5)],
        ..FloatHistogram::default()
    };
    match kind {
        0 | 1 => plain,
        2 => FloatHistogram {
            positive_buckets: vec![count * 0.1, -0.0, f64::from_bits(0x7ff8_0000_0000_0000 | u64::from(n))],
            counter_reset_hint: CounterResetHint::Gauge,
            ..plain
        },
        3 => FloatHistogram {
            negative_spans: vec![Span { offset: 1, length: 1 + n % 3 }],
            negative_buckets: (0..=n % 3).map(f64::from).collect(),
            counter_reset_hint: CounterResetHint::CounterReset,
            ..plain
        },
        4 => FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            zero_threshold: -0.0,
            custom_values: vec![0.1, 1.5, f64::from(n % 2 + 3)],
            counter_reset_hint: CounterResetHint::NotCounterReset,
            ..plain
        },
        5 => FloatHistogram { sum: stale_nan(), ..plain },
        6 => FloatHistogram::default(),
        _ => FloatHistogram::stale(),
    }
}

fn all_comparable<'a>(series: impl IntoIterator<Item = &'a Series>) -> Vec<Comparable> {
    series.into_iter().map(comparable).collect()
}

fn scan_all(reader: &BlockReader) -> Result<Vec<Series>, BlockError> {
    let mut scan = reader.scan();
    let mut all = Vec::new();
    while let Some(batch) = block_on(scan.next())? {
        assert!(!batch.is_empty());
        all.extend(batch);
    }
    Ok(all)
}

fn series(
    labels: &[(&str, &str)],
    timestamps: impl IntoIterator<Item = i64>,
    value: impl Fn(usize) -> f64,
) -> Series {
    let timestamps: Arc<[i64]> = timestamps.into_iter().collect();
    let values = (0..timestamps.len()).map(value).collect();
    Series::floats(Labels::from_pairs(labels.iter().copied()), timestamps, values)
}
