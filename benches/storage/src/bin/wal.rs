//! Size of WAL segments, and speed of writing and reading them.
//!
//! ```text
//! real capture, generated machines ──► wal::encode, segment after segment ──► bytes a sample, µs a scrape
//!                                          └──► wal::decode along the chain ──► M samples/s
//! ```
//!
//! One core, in memory, best of several runs: `cargo run --release -p storage-bench --bin wal`.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use storage::{Scrape, SourceId};
use storage_bench::Outcome;
use storage_bench::capture::{Instants, load};
use storage_bench::generate::{INTERVAL_MS, nodes};
use storage_bench::stopwatch::{millions_per_second, timed};
use tsdb::Shard;
use tsdb::keys::SegmentKey;
use tsdb::wal::{EncodeOptions, Front, Layout, LayoutCache, LayoutId, Tips, all_chunks, decode, encode};

/// Runs of which the best counts.
const RUNS: usize = 5;

/// The scrapes of one segment after the other.
type Segments = Vec<(SegmentKey, Vec<Scrape>)>;

#[derive(Default)]
struct Sums {
    bytes: u64,
    samples: u64,
    scrapes: u64,
    took: Duration,
}

fn main() -> Outcome<()> {
    println!("                        keyframes        deltas                   all");
    println!(
        "segments of             B/sample   B/sample  B/scrape   encode µs/scrape  M samples/s  decode M samples/s"
    );
    for capture in load()?.unwrap_or_default() {
        let scrapes = capture.scrapes(Instants::Recorded)?;
        let job = capture.job.clone();
        measure(&format!("1 recorded {job}"), &segments(&[scrapes], 120))?;
    }
    if let Some(node) = load()?.unwrap_or_default().into_iter().find(|capture| capture.job.contains("node")) {
        let scrapes = node.scrapes(Instants::Recorded)?;
        for count in [10, 100] {
            let targets: Vec<Vec<Scrape>> = (0..count).map(|number| shifted(&scrapes, number)).collect();
            measure(&format!("{count} recorded, shifted"), &segments(&targets, 20))?;
        }
    }
    for count in [1, 10, 100] {
        let targets = nodes(1, count, 40);
        let scrapes: Vec<Vec<Scrape>> =
            targets.iter().map(|target| (0..40).map(|step| target.scrape(step)).collect()).collect();
        measure(&format!("{count} generated machines"), &segments(&scrapes, 40))?;
    }
    Ok(())
}

/// The same record from another point on, as another target.
fn shifted(scrapes: &[Scrape], number: usize) -> Vec<Scrape> {
    let shift = |(step, scrape): (usize, &Scrape)| {
        let mut scrape = scrape.clone();
        scrape.source = SourceId(number as u64 + 1);
        scrape.timestamp = scrapes.first().map_or(0, |first| first.timestamp)
            + (step as i64) * INTERVAL_MS
            + (number as i64 * 149) % INTERVAL_MS;
        scrape
    };
    scrapes.iter().cycle().skip(number * 3).take(scrapes.len()).enumerate().map(shift).collect()
}

fn segments(targets: &[Vec<Scrape>], count: usize) -> Segments {
    let segment = |step: usize| {
        let scrapes: Vec<Scrape> = targets.iter().filter_map(|target| target.get(step).cloned()).collect();
        let tick =
            targets.first()?.first()?.timestamp / INTERVAL_MS * INTERVAL_MS + step as i64 * INTERVAL_MS;
        (!scrapes.is_empty()).then(|| (SegmentKey { tick, shard: Shard::scrape(1) }, scrapes))
    };
    (0..count).filter_map(segment).collect()
}

fn measure(name: &str, segments: &Segments) -> Outcome<()> {
    let (mut keyframes, mut deltas) = (Sums::default(), Sums::default());
    let (mut encoding, mut decoding) = (Duration::MAX, Duration::MAX);
    for _ in 0..RUNS {
        (keyframes, deltas) = (Sums::default(), Sums::default());
        let mut cache = LayoutCache::default();
        let mut reader = Reader::default();
        for (key, scrapes) in segments {
            let (mut segment, took) = timed(|| encode(key, scrapes, &mut cache, &EncodeOptions::default()));
            cache.stored(std::mem::take(&mut segment.pending));
            for (id, layout) in &segment.layouts {
                reader.layouts.entry(*id).or_insert(Arc::new(Layout::decode(layout)?));
            }
            reader.read(key, &segment.payload)?;
            let sums = if segment.summary.deltas > 0 { &mut deltas } else { &mut keyframes };
            sums.bytes += segment.summary.bytes;
            sums.samples += segment.summary.samples;
            sums.scrapes += u64::from(segment.summary.scrapes);
            sums.took += took;
        }
        encoding = encoding.min(keyframes.took + deltas.took);
        decoding = decoding.min(reader.took);
    }
    let share = |sums: &Sums| sums.bytes as f64 / sums.samples.max(1) as f64;
    let samples = keyframes.samples + deltas.samples;
    println!(
        "{name:<24}{:>8.3}{:>11.3}{:>10.0}{:>19.1}{:>13.1}{:>20.1}",
        share(&keyframes),
        share(&deltas),
        deltas.bytes as f64 / deltas.scrapes.max(1) as f64,
        encoding.as_secs_f64() * 1e6 / (keyframes.scrapes + deltas.scrapes).max(1) as f64,
        millions_per_second(samples, encoding),
        millions_per_second(samples, decoding),
    );
    Ok(())
}

/// Reads segments in order, as a reader that keeps up does.
#[derive(Default)]
struct Reader {
    layouts: BTreeMap<LayoutId, Arc<Layout>>,
    last: Option<Arc<Tips>>,
    took: Duration,
}

impl Reader {
    fn read(&mut self, key: &SegmentKey, payload: &[u8]) -> Outcome<()> {
        let bases: Vec<Arc<Tips>> = self.last.iter().cloned().collect();
        let layouts = |id: LayoutId| self.layouts.get(&id).cloned();
        let (decoded, took) = timed(|| {
            let front = Front::read(key, payload)?;
            let chunks = all_chunks(&front, payload)?;
            decode(key, &front, &chunks, &bases, &layouts)
        });
        self.took += took;
        self.last = Some(Arc::new(decoded?.tips));
        Ok(())
    }
}
