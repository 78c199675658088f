//! Speed and memory of merging the windows of a day, part by part, as a compactor does it.
//!
//! ```text
//! generated series ──► 12 blocks of 2 h in a directory ──► Store::compact, a job at a time ──► M samples/s, MB, requests
//! ```
//!
//! One core: `cargo run --release -p storage-bench --bin compaction -- --series=32768 --windows=12 --step=15`.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a program that prints a table")]
#![allow(clippy::disallowed_methods, reason = "it measures time and reads its arguments")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::executor::block_on;
use model::Labels;
use platform::{
    ByteRange, Cas, Clock, Deadline, Entropy, ListedObject, Object, Objects, PlatformError, PlatformFuture,
    Put, Row, RowKey, RowPut, RowRange, Rows, Version,
};
use storage::Series;
use storage_bench::usage;
use tsdb::block::{BlockOptions, BlockWriter, object_key};
use tsdb::keys::{DAY_MS, HOUR_MS, Keys};
use tsdb::{Ports, Scope, Settings, Store};
use wire::{BlockFile, BlockMeta, CompactWork, Head, Manifest, SeriesRange, WireLabels};

const START: i64 = 20_000 * DAY_MS;

fn main() {
    let (series, windows, step) = (option("series", 32_768), option("windows", 12), option("step", 15));
    let samples_per_window = 7_200 / step;
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk { root: folder.path().to_owned(), ..Disk::default() });
    let registers = Arc::new(Registers::default());
    let began = Instant::now();
    let blocks: Vec<BlockMeta> =
        (0..windows).map(|window| input(&disk, window, series, samples_per_window, step)).collect();
    let bytes: u64 = blocks.iter().flat_map(|block| &block.files).map(|file| file.len).sum();
    let samples: u64 = blocks.iter().map(|block| block.samples).sum();
    println!(
        "{windows} blocks of {series} series, {:.1} M samples, {:.1} MB, written in {:.1} s",
        samples as f64 / 1e6,
        bytes as f64 / 1e6,
        began.elapsed().as_secs_f64()
    );
    publish(&disk, &registers, blocks);
    disk.requests.store(0, Ordering::Relaxed);
    usage::reset_peak();
    println!("before merging: {:.0} MB resident", usage::rss_bytes() as f64 / 1e6);

    let ports = Ports {
        objects: Arc::clone(&disk) as Arc<dyn Objects>,
        rows: registers,
        clock: Arc::new(Time { began }),
        entropy: Arc::new(Numbers(AtomicU64::new(1))),
    };
    let settings = Settings {
        retention_ms: None,
        part_samples_max: option("part-samples", 600_000_000) as u64,
        part_series_max: option("part-series", 262_144) as u64,
        scan_samples_max: option("scan-samples", 8_000_000),
        ..Settings::default()
    };
    let store = Store::new(ports, settings);
    let done = block_on(store.compact_work(CompactWork::Blocks, i64::MAX, Deadline(i64::MAX))).unwrap();
    for job in &done.jobs {
        let seconds = job.duration_ns as f64 / 1e9;
        let written = job.written();
        println!(
            "{:<6} level {}: {:>6.1} M samples written in {:>6.1} s: {:>5.1} M samples/s; {:.3} bytes a sample",
            job.kind.as_str(),
            job.level,
            written.samples as f64 / 1e6,
            seconds,
            written.samples as f64 / 1e6 / seconds,
            written.bytes as f64 / written.samples.max(1) as f64,
        );
    }
    println!(
        "peak {:.0} MB resident, {} requests, {} parts",
        usage::peak_rss_bytes() as f64 / 1e6,
        disk.requests.load(Ordering::Relaxed),
        done.part_jobs.max(done.merge_jobs),
    );
}

/// An option `--name=number`.
fn option(name: &str, default: usize) -> usize {
    let prefix = format!("--{name}=");
    std::env::args().find_map(|text| text.strip_prefix(&prefix)?.parse().ok()).unwrap_or(default)
}

/// One block of 2 h, stored. Its counters grow by steps that differ, a tenth of its series never change.
fn input(disk: &Arc<Disk>, window: usize, series: usize, samples: usize, step: usize) -> BlockMeta {
    let id = format!("default/{:026}", window + 1);
    let start = START + window as i64 * 2 * HOUR_MS;
    let mut writer = BlockWriter::new(BlockOptions::default());
    let mut files = Vec::new();
    let mut store = |found: Vec<(String, Bytes)>| {
        for (name, body) in found {
            let checksum = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&body));
            files.push(BlockFile { name: name.clone(), len: body.len() as u64, checksum });
            disk.write(&object_key(&id, &name), &body);
        }
    };
    let mut instants: Arc<[i64]> = Arc::from([]);
    for number in 0..series {
        if number.is_multiple_of(1_000) {
            let offset = (number / 1_000 * 37 % (step * 1_000)) as i64;
            instants = (0..samples).map(|at| start + offset + (at * step * 1_000) as i64).collect();
        }
        let mut state = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ window as u64;
        let mut value = (number * 1_000 + window * samples) as f64;
        let values = (0..samples).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            value += if number.is_multiple_of(10) { 0.0 } else { (state % 64) as f64 / 4.0 };
            value
        });
        writer.push(&Series::floats(labels(number), Arc::clone(&instants), values.collect())).unwrap();
        store(writer.take_files());
    }
    let written = writer.finish().unwrap();
    store(written.files);
    let range = SeriesRange {
        first: WireLabels::from(&labels(0)),
        last: WireLabels::from(&labels(series.saturating_sub(1))),
    };
    BlockMeta {
        id: id.clone(),
        level: 2,
        min_time: written.stats.min_time,
        max_time: written.stats.max_time + 1,
        samples: written.stats.samples,
        series: written.stats.series,
        set_hash: format!("{:032x}", written.stats.set_hash),
        files,
        parents: vec![],
        series_range: Some(range),
    }
}

/// 1,000 series a target, as those of a node exporter; in the blocks' order.
fn labels(number: usize) -> Labels {
    Labels::from_pairs([
        ("__name__", format!("node_metric_{:04}_total", number / 256)),
        ("instance", format!("10.0.{:03}.1:9100", number % 256)),
        ("job", "node".to_owned()),
    ])
}

fn publish(disk: &Disk, registers: &Registers, blocks: Vec<BlockMeta>) {
    let body = wire::encode(&Manifest { v: 1, blocks, ..Manifest::default() });
    let keys = Keys::new(Scope::default());
    let key = keys.manifest("01ARZ3NDEKTSV4RRFFQ69G5FAV", &body);
    disk.write(&key, &body);
    let head = Head { v: 1, manifest: Some(key), watermark: START + 2 * DAY_MS };
    block_on(registers.compare_and_set(&keys.head(), 0, wire::encode(&head).into())).unwrap();
}

/// A clock that stands two days on, and measures.
struct Time {
    began: Instant,
}

impl Clock for Time {
    fn now_ms(&self) -> i64 {
        START + 2 * DAY_MS
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move { std::thread::sleep(duration) })
    }
}

struct Numbers(AtomicU64);

impl Entropy for Numbers {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Objects as files, requests counted.
#[derive(Default)]
struct Disk {
    root: PathBuf,
    requests: AtomicU64,
}

impl Disk {
    fn write(&self, key: &str, body: &[u8]) {
        let path = self.root.join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, body).unwrap();
    }

    fn read(&self, key: &str, range: ByteRange) -> Result<Object, PlatformError> {
        let missing = |_| PlatformError::NotFound { what: key.to_owned() };
        let mut file = fs::File::open(self.root.join(key)).map_err(missing)?;
        let len = file.metadata().unwrap().len();
        let (start, count) = match range {
            ByteRange::All => (0, len),
            ByteRange::At { start, len } => (start, len),
            ByteRange::Last(count) => (len.saturating_sub(count), count.min(len)),
        };
        file.seek(SeekFrom::Start(start)).unwrap();
        let mut body = Vec::with_capacity(usize::try_from(count).unwrap());
        file.take(count).read_to_end(&mut body).unwrap();
        Ok(Object { body: body.into(), version: Version(key.to_owned()), len })
    }
}

impl Objects for Disk {
    fn create<'a>(&'a self, key: &'a str, body: Bytes) -> PlatformFuture<'a, Put> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.write(key, &body);
        Box::pin(async move { Ok(Put::Created(Version(key.to_owned()))) })
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        _version: Option<&'a Version>,
        range: ByteRange,
    ) -> PlatformFuture<'a, Object> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { self.read(key, range) })
    }

    fn list<'a>(
        &'a self,
        _prefix: &'a str,
        _after: Option<&'a str>,
        _limit: usize,
    ) -> PlatformFuture<'a, Vec<ListedObject>> {
        Box::pin(async { Ok(vec![]) })
    }

    fn delete<'a>(&'a self, _key: &'a str) -> PlatformFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Rows in memory: the head register is all that a merge of blocks needs.
#[derive(Default)]
struct Registers(Mutex<BTreeMap<RowKey, Row>>);

impl Rows for Registers {
    fn create<'a>(
        &'a self,
        key: &'a RowKey,
        value: Bytes,
        expires_at_s: Option<i64>,
    ) -> PlatformFuture<'a, RowPut> {
        let row = Row { key: key.clone(), version: 1, value, expires_at_s };
        self.0.lock().unwrap().insert(key.clone(), row);
        Box::pin(async { Ok(RowPut::Created) })
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a RowKey,
        expected: u64,
        value: Bytes,
    ) -> PlatformFuture<'a, Cas> {
        let mut rows = self.0.lock().unwrap();
        let now = rows.get(key).cloned();
        let outcome = if now.as_ref().map_or(0, |row| row.version) == expected {
            let row = Row { key: key.clone(), version: expected + 1, value, expires_at_s: None };
            rows.insert(key.clone(), row);
            Cas::Done(expected + 1)
        } else {
            Cas::Lost(now)
        };
        Box::pin(async { Ok(outcome) })
    }

    fn get<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, Option<Row>> {
        let row = self.0.lock().unwrap().get(key).cloned();
        Box::pin(async { Ok(row) })
    }

    fn query<'a>(&'a self, _range: &'a RowRange, _limit: usize) -> PlatformFuture<'a, Vec<Row>> {
        Box::pin(async { Ok(vec![]) })
    }

    fn delete<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, ()> {
        self.0.lock().unwrap().remove(key);
        Box::pin(async { Ok(()) })
    }
}
