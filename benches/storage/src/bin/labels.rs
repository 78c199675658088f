//! Questions about the labels of a block of a million series: time, requests, bytes, memory.
//!
//! ```text
//! generated series ──► BlockWriter ──► counting objects ──► BlockReader: label_values, series, select
//! ```
//!
//! One core, in memory, time on the processor: `cargo run --release -p storage-bench --bin labels [metrics]`; 250 metrics are a million series.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints a table")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::executor::block_on;
use model::{Labels, MatchOp, Matcher};
use platform::{ByteRange, ListedObject, Object, Objects, PlatformError, PlatformFuture, Put, Version};
use storage::Series;
use tsdb::block::{BlockContext, BlockOptions, BlockReader, BlockWriter, compare, object_key};
use wire::{BlockFile, BlockMeta};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

const PODS: u64 = 4_000;
const SAMPLES: i64 = 8;
const CACHE_BYTES: usize = 1 << 30;
const WARM_RUNS: usize = 5;

/// What is asked, and how; gives the number of answers.
type Question = (&'static str, Box<dyn Fn(&BlockReader) -> usize>);

fn main() {
    let metrics: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(250);
    let before = Instant::now();
    let (memory, meta) = generate(metrics);
    let bytes: u64 = meta.files.iter().map(|file| file.len).sum();
    println!(
        "{} series of {metrics} metrics in {} files of {:.1} MB, written in {:.1} s",
        meta.series,
        meta.files.len(),
        bytes as f64 / 1e6,
        before.elapsed().as_secs_f64()
    );
    println!("| question | answers | cold CPU ms | requests | KB | warm CPU ms | cache MB |");
    println!("|---|---|---|---|---|---|---|");
    let all = (i64::MIN, i64::MAX);
    let part = (meta.min_time + 15_000, i64::MAX);
    let values = |name: &'static str, sets: Vec<Vec<Matcher>>, times: (i64, i64)| {
        move |reader: &BlockReader| {
            block_on(reader.label_values(name, &sets, times.0, times.1, 0)).unwrap().len()
        }
    };
    let series = |sets: Vec<Vec<Matcher>>, limit: usize| {
        move |reader: &BlockReader| block_on(reader.series_limited(&sets, all.0, all.1, limit)).unwrap().len()
    };
    let select = |matchers: Vec<Matcher>| {
        move |reader: &BlockReader| block_on(reader.select(&matchers, all.0, all.1)).unwrap().len()
    };
    let regex = |name: &str, pattern: &str| Matcher::new(MatchOp::Regex, name, pattern).unwrap();
    let namespace = || vec![vec![Matcher::equal("namespace", "namespace-07")]];
    let metric = || Matcher::equal("__name__", "metric_001_total");
    let uid = format!("{:032x}", xxh3_128(b"1/17"));
    let questions: Vec<Question> = vec![
        ("label_values(__name__)", Box::new(values("__name__", vec![], all))),
        ("label_values(instance)", Box::new(values("instance", vec![], all))),
        ("label_values(pod) of a namespace", Box::new(values("pod", namespace(), all))),
        ("label_values(pod) in part of the time", Box::new(values("pod", vec![], part))),
        ("label_values(uid): a million", Box::new(values("uid", vec![], all))),
        ("series({job=\"job-03\"})", Box::new(series(vec![vec![Matcher::equal("job", "job-03")]], 0))),
        (
            "series({job=\"job-03\"}), limit 100",
            Box::new(series(vec![vec![Matcher::equal("job", "job-03")]], 100)),
        ),
        (
            "series({uid=~\".*abc.*\"}): a million values",
            Box::new(series(vec![vec![regex("uid", ".*abc.*")]], 0)),
        ),
        ("series({uid=\"...\"}): one", Box::new(series(vec![vec![Matcher::equal("uid", &uid)]], 0))),
        ("select of one series", Box::new(select(vec![metric(), Matcher::equal("uid", &uid)]))),
        ("select of a metric", Box::new(select(vec![metric()]))),
        ("select of a metric and pods by regex", Box::new(select(vec![metric(), regex("pod", "pod-0.*7")]))),
    ];
    for (name, ask) in &questions {
        let context = Arc::new(BlockContext::new(CACHE_BYTES, 256 << 20));
        let objects: Arc<dyn Objects> = Arc::<Memory>::clone(&memory);
        let reader = block_on(BlockReader::open_in(objects, &meta, Arc::clone(&context))).unwrap();
        memory.take();
        let begin = cpu_time();
        let answers = ask(&reader);
        let cold = cpu_time() - begin;
        let (requests, bytes) = memory.take();
        let warm = (0..WARM_RUNS).map(|_| {
            let begin = cpu_time();
            ask(&reader);
            cpu_time() - begin
        });
        let warm = warm.min().unwrap_or_default();
        println!(
            "| {name} | {answers} | {:.1} | {requests} | {} | {:.2} | {:.1} |",
            cold.as_secs_f64() * 1e3,
            bytes / 1000,
            warm.as_secs_f64() * 1e3,
            context.cached_bytes() as f64 / 1e6
        );
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("\n{peak} (the block itself included)");
}

/// How long this thread has run: what others do on the machine does not count.
fn cpu_time() -> Duration {
    let status = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(status.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default())
}

/// A block of `metrics` metrics of 4,000 pods each.
fn generate(metrics: u64) -> (Arc<Memory>, BlockMeta) {
    let timestamps: Arc<[i64]> = (0..SAMPLES).map(|n| 1_700_000_000_000 + n * 15_000).collect();
    let mut writer = BlockWriter::new(BlockOptions::default());
    let memory = Arc::new(Memory::default());
    for metric in 0..metrics {
        let mut all: Vec<Labels> = (0..PODS).map(|pod| labels(metric, pod)).collect();
        all.sort_by(compare);
        for labels in all {
            let values: Arc<[f64]> = std::iter::repeat_n(metric as f64, SAMPLES as usize).collect();
            writer.push(&Series::floats(labels, Arc::clone(&timestamps), values)).unwrap();
        }
    }
    let block = writer.finish().unwrap();
    let mut files = Vec::new();
    for (name, body) in block.files {
        let checksum = format!("{:016x}", xxh3_64(&body));
        files.push(BlockFile { name: name.clone(), len: body.len() as u64, checksum });
        memory.objects.lock().unwrap().insert(object_key("b", &name), body);
    }
    let stats = &block.stats;
    let meta = BlockMeta {
        id: "b".to_owned(),
        level: 1,
        min_time: stats.min_time,
        max_time: stats.max_time + 1,
        samples: stats.samples,
        series: stats.series,
        set_hash: String::new(),
        files,
        parents: Vec::new(),
        series_range: None,
    };
    (memory, meta)
}

fn labels(metric: u64, pod: u64) -> Labels {
    Labels::from_pairs([
        ("__name__", format!("metric_{metric:03}_total")),
        ("cluster", "production-1".to_owned()),
        ("container", format!("container-{}", pod % 4)),
        ("instance", format!("10.0.{}.{}:9100", pod % 400 / 200, pod % 200)),
        ("job", format!("job-{:02}", pod % 20)),
        ("namespace", format!("namespace-{:02}", pod % 40)),
        ("pod", format!("pod-{pod:05}-{:08x}", xxh3_64(&pod.to_le_bytes()) as u32)),
        ("uid", format!("{:032x}", xxh3_128(format!("{metric}/{pod}").as_bytes()))),
    ])
}

/// Objects in memory that count what is read.
#[derive(Default)]
struct Memory {
    objects: Mutex<BTreeMap<String, Bytes>>,
    reads: AtomicU64,
    bytes: AtomicU64,
}

impl Memory {
    fn take(&self) -> (u64, u64) {
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
            let len = whole.len();
            let range = match range {
                ByteRange::All => 0..len,
                ByteRange::At { start, len: wanted } => {
                    (start as usize).min(len)..(start as usize).saturating_add(wanted as usize).min(len)
                }
                ByteRange::Last(wanted) => len.saturating_sub(wanted as usize)..len,
            };
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(range.len() as u64, Ordering::Relaxed);
            Ok(Object { body: whole.slice(range), version: Version("1".to_owned()), len: len as u64 })
        })
    }

    fn list<'a>(&'a self, _: &'a str, _: Option<&'a str>, _: usize) -> PlatformFuture<'a, Vec<ListedObject>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn delete<'a>(&'a self, _: &'a str) -> PlatformFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
