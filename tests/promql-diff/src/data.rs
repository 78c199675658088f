//! Random samples: counters with resets, gauges, classic histograms, info metrics; with gaps, stale markers, NaN, infinities,
//! and series that come and go.

use std::collections::BTreeMap;

use platform_sim::Random;
use prometheus_engine::Series;

use crate::histograms;

/// Metric names that queries use.
pub const NAMES: [&str; 9] = ["a_total", "a_total", "b", "b", "c_bucket", "h", "g", "mixed", "target_info"];
/// Label names that queries use.
pub const LABELS: [&str; 5] = ["job", "instance", "extra", "le", "__name__"];

/// What samples are drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kinds {
    /// Whether some are native histograms.
    pub histograms: bool,
    /// Whether some have start timestamps.
    pub start_timestamps: bool,
}

/// Draws series, sorted by labels, each label set once.
pub fn series(random: &mut Random, kinds: Kinds) -> Vec<Series> {
    let mut all = BTreeMap::new();
    let interval = [15_000, 15_000, 30_000, 60_000, 10_000, 47_000][random.below(6) as usize];
    let jobs = 1 + random.below(2);
    let instances = 1 + random.below(3);
    for job in ["x", "y"].into_iter().take(jobs as usize) {
        for instance in 1..=instances {
            let labels = |name: &str, more: &[(&str, &str)]| {
                let mut labels = BTreeMap::from([
                    ("__name__".to_owned(), name.to_owned()),
                    ("job".to_owned(), job.to_owned()),
                    ("instance".to_owned(), instance.to_string()),
                ]);
                labels.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
                labels
            };
            let times = times(random, interval);
            let mut add = |labels: BTreeMap<String, String>, mut series: Series| {
                series.labels.clone_from(&labels);
                if !series.t.is_empty() {
                    all.insert(labels, series);
                }
            };
            add(labels("a_total", &[]), counter(random, &times));
            if random.chance(0.4) {
                add(labels("a_total", &[("extra", "prod")]), counter(random, &times));
            }
            add(labels("b", &[]), gauge(random, &times));
            if random.chance(0.3) {
                add(labels("b", &[("extra", "prod")]), gauge(random, &times));
            }
            for (le, series) in classic(random, &times) {
                add(labels("c_bucket", &[("le", le)]), series);
            }
            let version = ["1", "2"][random.below(2) as usize];
            add(labels("target_info", &[("data", "d"), ("version", version)]), constant(random, &times));
            if random.chance(0.2) {
                add(labels("build_info", &[("build", "b")]), constant(random, &times));
            }
            if kinds.histograms {
                add(labels("h", &[]), histograms::counter(random, &times));
                add(labels("g", &[]), histograms::gauge(random, &times));
                add(labels("mixed", &[]), histograms::mixed(random, &times));
            }
        }
    }
    if kinds.start_timestamps {
        for series in all.values_mut() {
            if random.chance(0.3) {
                start_timestamps(random, series);
            }
        }
    }
    all.into_values().collect()
}

fn times(random: &mut Random, interval: i64) -> Vec<i64> {
    let start = if random.chance(0.3) { random.below(1_200_000) as i64 } else { random.below(10_000) as i64 };
    let end = if random.chance(0.3) { start + random.below(1_500_000) as i64 } else { 2_700_000 };
    let jitter = if random.chance(0.3) { interval as u64 / 3 } else { 1 };
    let gap = random.below(2_700_000) as i64;
    let with_gap = random.chance(0.4);
    let mut times = Vec::new();
    let mut time = start;
    while time < end {
        let at = time + random.below(jitter) as i64;
        let lost = with_gap && (gap..gap + 400_000).contains(&at) || random.chance(0.02);
        if !lost {
            times.push(at);
        }
        time += interval;
    }
    times
}

fn floats(times: &[i64], mut value: impl FnMut() -> f64) -> Series {
    Series { t: times.to_vec(), f: times.iter().map(|_| value()).collect(), ..Series::default() }
}

/// Something else than `value` now and then.
fn odd(random: &mut Random, odds: f64, value: f64) -> f64 {
    if !random.chance(odds) {
        return value;
    }
    match random.below(9) {
        0 | 1 => model::value::normal_nan(),
        2 => f64::INFINITY,
        3 => f64::NEG_INFINITY,
        4..=6 => model::value::stale_nan(),
        7 => -0.0,
        _ => 1e308,
    }
}

fn odds(random: &mut Random) -> f64 {
    if random.chance(0.4) { 0.04 } else { 0.0 }
}

fn counter(random: &mut Random, times: &[i64]) -> Series {
    let odds = odds(random);
    let resets = if random.chance(0.5) { 0.03 } else { 0.0 };
    let whole = random.chance(0.7);
    let mut value = random.unit() * 100.0;
    floats(times, || {
        let more = random.unit() * 10.0;
        value = if random.chance(resets) { more } else { value + more };
        let value = if whole { value.round() } else { value };
        odd(random, odds, value)
    })
}

fn gauge(random: &mut Random, times: &[i64]) -> Series {
    let odds = odds(random);
    let size = [1.0, 100.0, 1e-3, 1e12][random.below(4) as usize];
    let steady = random.chance(0.3);
    let mut value = (random.unit() - 0.5) * size;
    floats(times, || {
        if !steady || random.chance(0.1) {
            value = (random.unit() - 0.5) * size;
            if random.chance(0.5) {
                value = value.round();
            }
        }
        odd(random, odds, value)
    })
}

fn constant(random: &mut Random, times: &[i64]) -> Series {
    let odds = if random.chance(0.2) { 0.05 } else { 0.0 };
    floats(times, || if random.chance(odds) { model::value::stale_nan() } else { 1.0 })
}

fn classic(random: &mut Random, times: &[i64]) -> Vec<(&'static str, Series)> {
    let all = ["0.1", "0.5", "1", "2.5", "10", "+Inf"];
    let negative = ["-1", "0", "1", "+Inf"];
    let broken = ["0.1", "1.0", "1", "bad"];
    let bounds: &[&'static str] = match random.below(8) {
        0 => &negative,
        1 => &broken,
        2 => all.get(..4).unwrap_or(&all),
        _ => &all,
    };
    let monotonic = random.chance(0.7);
    let mut counts = vec![0.0; bounds.len()];
    let mut rows = Vec::new();
    for _ in times {
        let bucket = random.below(bounds.len() as u64) as usize;
        let events = random.below(10) as f64;
        let until = if monotonic { bounds.len() } else { bounds.len().min(bucket + 2) };
        if let Some(counts) = counts.get_mut(bucket..until) {
            counts.iter_mut().for_each(|count| *count += events);
        }
        rows.push(counts.clone());
    }
    let series = bounds.iter().enumerate().map(|(bucket, le)| {
        let mut rows = rows.iter();
        (*le, floats(times, || rows.next().and_then(|row| row.get(bucket)).copied().unwrap_or_default()))
    });
    series.collect()
}

fn start_timestamps(random: &mut Random, series: &mut Series) {
    let mut start = series.t.first().copied().unwrap_or_default() - random.below(100_000) as i64;
    let mut previous = start;
    series.st = series
        .t
        .iter()
        .map(|time| {
            if random.chance(0.05) {
                start = previous + random.below((time - previous).unsigned_abs() + 1) as i64;
            }
            let overlapping = random.chance(0.01);
            previous = *time;
            if random.chance(0.02) { 0 } else { start - i64::from(overlapping) * 1_000 }
        })
        .collect();
}
