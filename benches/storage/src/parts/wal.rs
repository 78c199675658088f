//! The WAL through the store's own `append`: bytes a scrape, write units a segment, microseconds a scrape.

use platform_sim::Random;
use storage::{Limits, Queryable, Scrape, ScrapeSample, Select, SelectHints};
use tsdb::block::sample_hash;
use tsdb::{Appended, Settings, Shard, Store};

use crate::Outcome;
use crate::capture::{Capture, Instants};
use crate::generate::nodes;
use crate::lab::Lab;
use crate::stopwatch::timed;
use crate::table::{Table, at_most, count};

/// Scrapes of each generated target: so many that three segments of each are whole ones, where every twentieth is.
const GENERATED_STEPS: usize = 60;
/// Most bytes a sample of a recorded node_exporter scrape that is a segment by itself.
pub const NODE_BYTES_MAX: f64 = 0.7;
/// Most bytes a sample where a segment has a hundred targets.
const HUNDRED_BYTES_MAX: f64 = 1.0;

/// Processes that share the work, as a function's instances do: each remembers only what it wrote itself.
pub const PROCESSES: usize = 8;

/// Series that say how a scrape went: those of [`with_report`].
pub const REPORT_SERIES: usize = 5;

/// What some segments took.
#[derive(Clone, Debug, Default)]
pub struct SegmentSizes {
    /// Of each segment: length of its payload.
    pub payloads: Vec<u64>,
    /// Scrapes over all segments.
    pub scrapes: u64,
    /// Samples over all segments.
    pub samples: u64,
    /// Of each segment: write units of its row.
    pub write_units: Vec<u64>,
    /// Payloads that became objects.
    pub objects: u64,
    /// Layouts, and their bytes.
    pub layouts: (u64, u64),
    /// Seconds that the appends took.
    pub append_seconds: f64,
    /// Seconds that reading everything back took.
    pub read_seconds: f64,
}

impl SegmentSizes {
    /// Bytes of payloads a sample.
    #[must_use]
    pub fn bytes_a_sample(&self) -> f64 {
        self.payloads.iter().sum::<u64>() as f64 / self.samples.max(1) as f64
    }
}

/// Bytes of segments of recorded and generated scrapes.
///
/// # Errors
/// Where a scrape is not stored, or a sample does not come back as it was.
pub fn run(captures: &[Capture], seed: u64, repeat: usize) -> Outcome<Vec<Table>> {
    let mut tables = Tables::new(repeat);
    for capture in captures {
        let mut random = Random::new(seed).split(&capture.job);
        let scrapes = capture.scrapes(Instants::Scheduled)?;
        let ticks: Vec<Vec<Scrape>> =
            scrapes.into_iter().map(|scrape| vec![with_report(scrape, &mut random)]).collect();
        let name = format!("real {}", capture.job);
        let single = tables.measure(&name, &ticks, 1, 1)?;
        tables.measure(&name, &ticks, 4, 1)?;
        tables.measure(&format!("{name}, any of {PROCESSES} processes"), &ticks, 1, PROCESSES)?;
        if capture.job == "node" {
            let (units, median) = (mean(&single.write_units), median(&single.write_units));
            tables.gate("real node_exporter, T1 K1: bytes a sample", single.bytes_a_sample(), NODE_BYTES_MAX);
            tables.gate("the same: write units a scrape, mean", units, 1.0);
            tables.gate("the same: write units a scrape, median", median as f64, 1.0);
        }
    }
    for targets in [1, 10, 100] {
        let mut random = Random::new(seed).split("reports");
        let machines = nodes(seed, targets, GENERATED_STEPS);
        let ticks: Vec<Vec<Scrape>> = (0..GENERATED_STEPS)
            .map(|step| machines.iter().map(|target| with_report(target.scrape(step), &mut random)).collect())
            .collect();
        for together in [1, 4] {
            let found = tables.measure("generated nodes", &ticks, together, 1)?;
            if (targets, together) == (100, 1) {
                let figure = found.bytes_a_sample();
                tables.gate("generated nodes, T100 K1: bytes a sample", figure, HUNDRED_BYTES_MAX);
            }
        }
    }
    let Tables { mut sizes, speed, gates, .. } = tables;
    sizes.note(
        "Every scrape has its duration in nanoseconds and its five report series. A segment's row adds its key and about \
         30 bytes; write units count all of it. Every sample was read back and has the same bits.",
    );
    Ok(vec![sizes, speed, gates])
}

/// What [`run`] gives, as it grows.
struct Tables {
    sizes: Table,
    speed: Table,
    gates: Table,
    repeat: usize,
}

impl Tables {
    fn new(repeat: usize) -> Self {
        let header = [
            "scrapes of",
            "targets (T)",
            "scrapes each (K)",
            "samples a scrape",
            "bytes a scrape, mean",
            "median",
            "bytes a sample",
            "write units a segment, mean",
            "most",
            "payloads as objects",
            "layouts: number, bytes",
        ];
        let sizes = Table::new("WAL segments (keyframes included, first segments too)", &header);
        let title = format!(
            "WAL speed, microseconds a scrape, best of {repeat}: all of `Store::append`, and reading everything back with \
             `Store::select`"
        );
        let speed = Table::new(title, &["scrapes of", "T", "K", "append", "read back"]);
        let gates = Table::new("WAL against the gates", &["what", "figure", "limit", "verdict"]);
        Self { sizes, speed, gates, repeat }
    }

    /// Measures scrapes, `together` ticks a segment, written by any of so many processes.
    fn measure(
        &mut self,
        name: &str,
        ticks: &[Vec<Scrape>],
        together: usize,
        processes: usize,
    ) -> Outcome<SegmentSizes> {
        let targets = ticks.first().map_or(0, Vec::len);
        let mut best = append_all(ticks, together, processes)?;
        for _ in 1..self.repeat {
            let again = append_all(ticks, together, processes)?;
            best.append_seconds = best.append_seconds.min(again.append_seconds);
            best.read_seconds = best.read_seconds.min(again.read_seconds);
        }
        self.sizes.row(size_cells(name, targets, together, &best));
        let micros = |seconds: f64| format!("{:.0}", seconds * 1e6 / best.scrapes as f64);
        self.speed.row([
            name.to_owned(),
            targets.to_string(),
            together.to_string(),
            micros(best.append_seconds),
            micros(best.read_seconds),
        ]);
        Ok(best)
    }

    fn gate(&mut self, what: &str, figure: f64, limit: f64) {
        let verdict = at_most(figure, limit);
        self.gates.row([what.to_owned(), format!("{figure:.3}"), limit.to_string(), verdict.to_owned()]);
    }
}

fn size_cells(name: &str, targets: usize, together: usize, sizes: &SegmentSizes) -> Vec<String> {
    let scrapes = (targets * together) as u64;
    let payload: u64 = sizes.payloads.iter().sum();
    vec![
        name.to_owned(),
        targets.to_string(),
        together.to_string(),
        count(sizes.samples / sizes.scrapes.max(1)),
        count(payload / sizes.scrapes.max(1)),
        count(median(&sizes.payloads) / scrapes.max(1)),
        format!("{:.3}", sizes.bytes_a_sample()),
        format!("{:.2}", mean(&sizes.write_units)),
        sizes.write_units.iter().max().map_or(String::new(), u64::to_string),
        format!("{} of {}", sizes.objects, sizes.payloads.len()),
        format!("{}, {}", count(sizes.layouts.0), count(sizes.layouts.1)),
    ]
}

fn median(numbers: &[u64]) -> u64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

fn mean(numbers: &[u64]) -> f64 {
    numbers.iter().sum::<u64>() as f64 / numbers.len().max(1) as f64
}

/// A scrape as the scraper gives it: with how long it took, and the series that say how it went.
#[must_use]
pub fn with_report(mut scrape: Scrape, random: &mut Random) -> Scrape {
    let nanos = 20_000_000 + random.below(15_000_000);
    scrape.outcome.duration = std::time::Duration::from_nanos(nanos);
    let target =
        scrape.samples.first().map(|sample| sample.labels.project(&["instance", "job"])).unwrap_or_default();
    let samples = scrape.samples.len() as f64;
    for (name, value) in [
        ("up", 1.0),
        ("scrape_duration_seconds", scrape.outcome.duration.as_secs_f64()),
        ("scrape_samples_scraped", samples),
        ("scrape_samples_post_metric_relabeling", samples),
        ("scrape_series_added", 0.0),
    ] {
        let labels = target.to_builder().set("__name__", name).build();
        scrape.samples.push(ScrapeSample { labels, value, timestamp: None });
    }
    scrape
}

/// Appends the scrapes of every tick, `together` ticks a segment, each by any of so many processes, and reads everything
/// back.
///
/// # Errors
/// Where a scrape is not stored, or a sample does not come back as it was.
pub fn append_all(ticks: &[Vec<Scrape>], together: usize, processes: usize) -> Outcome<SegmentSizes> {
    let instant = |scrapes: &[Scrape]| scrapes.iter().map(|scrape| scrape.timestamp).max().unwrap_or(0);
    let first = ticks.first().map_or(0, |scrapes| instant(scrapes));
    let lab = Lab::without_latency(first);
    let stores: Vec<Store> =
        (0..processes.max(1)).map(|_| Store::new(lab.ports(), Settings::default())).collect();
    let mut random = Random::new(1).split("processes");
    let mut sizes = SegmentSizes::default();
    let (mut expected, mut times) = (0u128, (i64::MAX, i64::MIN));
    for ticks in ticks.chunks(together.max(1)) {
        let scrapes: Vec<Scrape> = ticks.concat();
        let tick = instant(&scrapes);
        lab.wait_until(tick + 1_000);
        let store = stores.get(random.below(stores.len() as u64) as usize).ok_or("no process")?;
        let (appended, took) = timed(|| lab.measure(store.append(tick, Shard::scrape(0), &scrapes)));
        let appended = appended?;
        let Appended::Written(summary) = appended.output? else {
            return Err("a segment was not written".into());
        };
        sizes.append_seconds += took.as_secs_f64();
        sizes.payloads.push(summary.bytes);
        sizes.scrapes += u64::from(summary.scrapes);
        sizes.samples += summary.samples;
        sizes.write_units.push(appended.rows.write_units);
        for (key, bytes) in &appended.objects.created {
            if key.starts_with("layout/") {
                sizes.layouts = (sizes.layouts.0 + 1, sizes.layouts.1 + bytes);
            } else {
                sizes.objects += 1;
            }
        }
        for scrape in &scrapes {
            times = (times.0.min(scrape.timestamp), times.1.max(scrape.timestamp));
            for sample in &scrape.samples {
                let hash = sample_hash(sample.labels.hash(), scrape.timestamp, sample.value.to_bits());
                expected = expected.wrapping_add(hash);
            }
        }
    }
    let (found, took) = timed(|| read_back(&lab, times));
    sizes.read_seconds = took.as_secs_f64();
    let (samples, hash) = found?;
    if (samples, hash) != (sizes.samples, expected) {
        return Err(format!("{samples} samples came back of {}, or they are changed", sizes.samples).into());
    }
    Ok(sizes)
}

/// Number and set hash of all samples but stale markers, as another process reads them.
fn read_back(lab: &Lab, (min_time, max_time): (i64, i64)) -> Outcome<(u64, u128)> {
    let store = Store::new(lab.ports(), Settings::default());
    let selects = [Select { matchers: Vec::new(), min_time, max_time, hints: SelectHints::default() }];
    let limits = Limits { samples_max: u64::MAX, deadline: i64::MAX };
    let sets = lab.measure(store.select(&selects, limits))?.output?;
    let (mut samples, mut sum) = (0u64, 0u128);
    for series in sets.iter().flatten() {
        let hash = series.labels.hash();
        for (at, value) in series.timestamps.iter().zip(series.values.iter()) {
            if !model::value::is_stale_nan(*value) {
                samples += 1;
                sum = sum.wrapping_add(sample_hash(hash, *at, value.to_bits()));
            }
        }
    }
    Ok((samples, sum))
}
