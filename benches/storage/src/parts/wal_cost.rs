//! What the WAL of a million series costs a month, by counted requests at list prices.

use discovery::{PackSettings, Slot, schedule};
use platform_sim::Random;
use storage::Scrape;
use tsdb::{Appended, Settings, Shard, Store};
use wire::{ScrapePool, ScrapeTarget, TargetSnapshot, WireLabels};

use super::wal::{PROCESSES, REPORT_SERIES, with_report};
use crate::Outcome;
use crate::generate::{INTERVAL_MS, START_MS, Target, nodes};
use crate::lab::Lab;
use crate::table::{Table, at_most, count};

/// Active series.
const SERIES: usize = 1_000_000;
/// Ticks that are run; the first is a day's first, and every twentieth segment is whole.
const TICKS: usize = 24;
/// Ticks a month of 30 days.
const TICKS_A_MONTH: f64 = 30.0 * 5_760.0;
/// DynamoDB: dollars a million write units.
const WRITE_UNITS_DOLLARS: f64 = cost::US_EAST_1.dynamodb_write_unit * 1e6;
/// S3: dollars a million PUTs.
const PUTS_DOLLARS: f64 = cost::US_EAST_1.s3_put * 1e6;
/// Most dollars a month.
const DOLLARS_MAX: f64 = 15.0;

/// Who writes a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writers {
    /// The process that wrote it before.
    OfShards,
    /// Any of the processes.
    Any,
}

impl Writers {
    fn text(self) -> &'static str {
        match self {
            Self::OfShards => "the same process",
            Self::Any => "any of 8",
        }
    }
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    segments: u64,
    samples: u64,
    payload_bytes: u64,
    write_units: u64,
    payload_puts: u64,
    layout_puts: u64,
}

/// The month's cost, for discovery's packing of targets as it is by default and for others.
///
/// # Errors
/// Where a segment is not written.
pub fn run(seed: u64) -> Outcome<Table> {
    let each = nodes(seed, 1, 1).first().map_or(1, |target| target.series.len() + REPORT_SERIES);
    let machines = nodes(seed, SERIES.div_ceil(each), TICKS);
    let mut table = Table::new(
        format!("WAL cost: targets of {each} series, every 15 s, 30 days; {TICKS} ticks run"),
        &[
            "series",
            "packing",
            "written by",
            "segments a tick",
            "bytes a segment",
            "bytes a sample",
            "payload PUTs",
            "row write units",
            "layout PUTs",
            "dollars a month",
            "limit",
            "verdict",
        ],
    );
    let packing = |spread_many_ms_max, series_max| PackSettings {
        spread_many_ms_max,
        series_max,
        ..PackSettings::default()
    };
    let default = PackSettings::default();
    for (part, settings, writers) in [
        (1, default.clone(), Writers::OfShards),
        (1, default.clone(), Writers::Any),
        (1, packing(1_000, 40_000), Writers::OfShards),
        (1, packing(1_000, 100_000), Writers::OfShards),
        (1, packing(5_000, 400_000), Writers::OfShards),
        (10, default.clone(), Writers::OfShards),
        (10, default.clone(), Writers::Any),
        (100, default, Writers::OfShards),
    ] {
        let machines = machines.get(..machines.len() / part).unwrap_or(&machines);
        cost_row(&mut table, machines, settings, writers, seed)?;
    }
    table.note(format!(
        "The first packing of a million series is discovery's default. Counted where the store asks its objects and rows, \
         over {later} ticks after the first, times {TICKS_A_MONTH} / {later}; all layouts times 30 days. \
         ${WRITE_UNITS_DOLLARS} a million write units, ${PUTS_DOLLARS} a million PUTs. Reads, compaction and queues are not \
         in it.",
        later = TICKS - 1
    ));
    Ok(table)
}

fn cost_row(
    table: &mut Table,
    machines: &[Target],
    mut settings: PackSettings,
    writers: Writers,
    seed: u64,
) -> Outcome<()> {
    let each = machines.first().map_or(0, |target| target.series.len() + REPORT_SERIES);
    settings.series = machines.iter().map(|target| (source(target), each as u64)).collect();
    let many = each * machines.len() > usize::try_from(settings.series_max)?;
    let spread_ms = if many { settings.spread_many_ms_max } else { settings.spread_ms_max };
    let name = format!("{} s, {}k series", spread_ms as f64 / 1_000.0, settings.series_max / 1_000);
    let (day, rest) = append(machines, &settings, writers, seed)?;
    let later = (TICKS - 1) as f64;
    let monthly = |counted: u64| counted as f64 / later * TICKS_A_MONTH / 1e6;
    // These targets never have a new series, so each process stores each layout that it meets once a day.
    let layouts = (day.layout_puts + rest.layout_puts) as f64 * 30.0 / 1e6;
    let (puts, units) = (monthly(rest.payload_puts), monthly(rest.write_units));
    let dollars = (puts + layouts) * PUTS_DOLLARS + units * WRITE_UNITS_DOLLARS;
    let series = machines.len() * each;
    let is_gate = series >= SERIES;
    table.row([
        count(series as u64),
        name,
        writers.text().to_owned(),
        format!("{:.1}", rest.segments as f64 / later),
        count(rest.payload_bytes / rest.segments.max(1)),
        format!("{:.3}", rest.payload_bytes as f64 / rest.samples.max(1) as f64),
        format!("{puts:.2} M = ${:.2}", puts * PUTS_DOLLARS),
        format!("{units:.2} M = ${:.2}", units * WRITE_UNITS_DOLLARS),
        format!("{layouts:.3} M = ${:.2}", layouts * PUTS_DOLLARS),
        format!("**{dollars:.2}**"),
        if is_gate { DOLLARS_MAX.to_string() } else { String::new() },
        if is_gate { at_most(dollars, DOLLARS_MAX).to_owned() } else { String::new() },
    ]);
    Ok(())
}

/// Runs all ticks: what the first took, and what the others did.
fn append(
    machines: &[Target],
    settings: &PackSettings,
    writers: Writers,
    seed: u64,
) -> Outcome<(Counted, Counted)> {
    let snapshot = snapshot(machines);
    let lab = Lab::without_latency(START_MS);
    let stores: Vec<Store> = (0..PROCESSES).map(|_| Store::new(lab.ports(), Settings::default())).collect();
    let (mut day, mut rest) = (Counted::default(), Counted::default());
    let mut random = Random::new(seed).split("reports");
    for step in 0..TICKS {
        let from = START_MS + step as i64 * INTERVAL_MS;
        let slots = schedule(&snapshot, from, from + INTERVAL_MS, settings);
        for (number, Slot { due, task }) in slots.into_iter().enumerate() {
            let mut scrapes: Vec<Scrape> = Vec::with_capacity(task.targets.len());
            for target in &task.targets {
                let number = usize::from_str_radix(&target.source, 16)?.checked_sub(1);
                let target = number.and_then(|number| machines.get(number)).ok_or("a target of nowhere")?;
                scrapes.push(with_report(target.scrape(step), &mut random));
            }
            lab.wait_until(due + 2_000);
            let writer = match writers {
                Writers::OfShards => number % PROCESSES,
                Writers::Any => random.below(PROCESSES as u64) as usize,
            };
            let store = stores.get(writer).ok_or("no scraper")?;
            let appended = lab.measure(store.append(due, Shard::scrape(task.shard), &scrapes))?;
            let Appended::Written(summary) = appended.output? else {
                return Err("a segment was not written".into());
            };
            let counted = if step == 0 { &mut day } else { &mut rest };
            counted.segments += 1;
            counted.samples += summary.samples;
            counted.payload_bytes += summary.bytes;
            counted.write_units += appended.rows.write_units;
            let layouts =
                appended.objects.created.iter().filter(|(key, _)| key.starts_with("layout/")).count() as u64;
            counted.layout_puts += layouts;
            counted.payload_puts += appended.objects.puts - layouts;
        }
    }
    Ok((day, rest))
}

fn source(target: &Target) -> String {
    target.source.to_string()
}

fn snapshot(machines: &[Target]) -> TargetSnapshot {
    let active = |target: &Target| {
        let labels = target
            .series
            .first()
            .map(|series| series.labels.project(&["instance", "job"]))
            .unwrap_or_default();
        let first = target.instants.first().copied().unwrap_or(START_MS);
        ScrapeTarget {
            source: source(target),
            pool: "node".to_owned(),
            url: format!("http://{}/metrics", labels.value("instance")),
            labels: WireLabels::from(&labels),
            discovered: WireLabels::default(),
            interval_ms: INTERVAL_MS.unsigned_abs(),
            timeout_ms: 10_000,
            offset_ms: first.rem_euclid(INTERVAL_MS).unsigned_abs(),
            forced_error: None,
        }
    };
    let mut active: Vec<ScrapeTarget> = machines.iter().map(active).collect();
    active.sort_by(|a, b| a.source.cmp(&b.source));
    let pool = ScrapePool { name: "node".to_owned(), active, dropped: Vec::new(), errors: Vec::new() };
    TargetSnapshot { v: 1, config: "config/1".to_owned(), pools: vec![pool] }
}
