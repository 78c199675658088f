//! The kinds of behaviour that a family's values can have.

use model::Labels;
use model::labels::METRIC_NAME;
use platform_sim::Random;

use super::{INTERVAL_MS, TargetSeries};
use crate::draw::{log_normal, normal, poisson};

/// Seconds between scrapes.
pub(super) const STEP_S: f64 = INTERVAL_MS as f64 / 1000.0;
/// Of a histogram's observations so many a scrape are drawn one by one; more are drawn as if they were these.
const OBSERVATIONS_MAX: f64 = 64.0;

/// Makes one target's series.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) random: Random,
    pub(super) steps: usize,
    pub(super) series: Vec<TargetSeries>,
    /// How busy the target is at each scrape, about 1.
    pub(super) activity: Vec<f64>,
    labels: Labels,
}

/// Labels besides the target's.
pub(super) type Extra<'a> = [(&'a str, &'a str)];

impl Maker {
    /// A maker for a target with `labels` and so many scrapes.
    pub(super) fn new(labels: Labels, steps: usize, mut activity: Random, random: &mut Random) -> Self {
        let (phase, depth) = (activity.unit(), 0.3 + 0.4 * activity.unit());
        let weight = log_normal(&mut activity, 1.0, 0.6);
        let mut wave = 0.0;
        let at = |step: usize| step as f64 * STEP_S / 86_400.0;
        let busy = (0..steps)
            .map(|step| {
                wave = 0.97 * wave + 0.08 * normal(&mut activity);
                let diurnal = 1.0 + depth * (std::f64::consts::TAU * (at(step) + phase)).sin();
                weight * diurnal * f64::exp(wave)
            })
            .collect();
        Self { random: random.split("values"), steps, series: Vec::new(), activity: busy, labels }
    }

    /// Adds a series with these values.
    pub(super) fn push(&mut self, name: &str, extra: &Extra<'_>, values: Vec<f64>) {
        let mut labels = self.labels.to_builder();
        labels.set(METRIC_NAME, name);
        for (name, value) in extra {
            labels.set(*name, *value);
        }
        self.series.push(TargetSeries { labels: labels.build(), from: 0, values });
    }

    /// One value for ever.
    pub(super) fn constant(&mut self, name: &str, extra: &Extra<'_>, value: f64) {
        self.push(name, extra, vec![value; self.steps]);
    }

    /// A gauge that changes by `change` with probability `chance` a scrape, and is never negative.
    pub(super) fn seldom(
        &mut self,
        name: &str,
        extra: &Extra<'_>,
        start: f64,
        chance: f64,
        change: impl Fn(&mut Random) -> f64,
    ) {
        let mut at = start;
        let mut values = Vec::with_capacity(self.steps);
        for _ in 0..self.steps {
            if self.random.chance(chance) {
                at = (at + change(&mut self.random)).max(0.0);
            }
            values.push(at);
        }
        self.push(name, extra, values);
    }

    /// A gauge that moves around `mean` in steps of about `spread`, in multiples of `unit`.
    pub(super) fn walk(&mut self, name: &str, extra: &Extra<'_>, mean: f64, spread: f64, unit: f64) {
        let mut at = mean;
        let mut values = Vec::with_capacity(self.steps);
        for _ in 0..self.steps {
            at += 0.01 * (mean - at) + spread * normal(&mut self.random);
            values.push((at.max(0.0) / unit).round() * unit);
        }
        self.push(name, extra, values);
    }

    /// A counter of events, `rate` a second where activity is 1, each of which counts `unit`; `shown` is how the
    /// exporter makes a value of the count.
    pub(super) fn counter(
        &mut self,
        name: &str,
        extra: &Extra<'_>,
        rate: f64,
        unit: f64,
        shown: impl Fn(f64) -> f64,
    ) {
        let uptime_s = 86_400.0 * (1.0 + 20.0 * self.random.unit());
        let mut events = (rate * uptime_s * self.random.unit()).round();
        let mut values = Vec::with_capacity(self.steps);
        for step in 0..self.steps {
            if rate > 0.0 {
                events += poisson(&mut self.random, rate * STEP_S * self.activity[step]);
            }
            values.push(shown(events * unit));
        }
        self.push(name, extra, values);
    }

    /// A counter of bytes: packets at `rate` a second, of sizes around `bytes`.
    pub(super) fn bytes(&mut self, name: &str, extra: &Extra<'_>, rate: f64, bytes: f64, unit: f64) {
        let mut total = (rate * bytes * 864_000.0 * self.random.unit() / unit).round() * unit;
        let mut values = Vec::with_capacity(self.steps);
        for step in 0..self.steps {
            let packets = poisson(&mut self.random, rate * STEP_S * self.activity[step]);
            let size = log_normal(&mut self.random, bytes, 0.3);
            total += (packets * size / unit).round() * unit;
            values.push(total);
        }
        self.push(name, extra, values);
    }

    /// Time spent at something, `share` of the time where activity is 1, counted in ticks of which there are `ticks` a
    /// second.
    pub(super) fn spent(
        &mut self,
        name: &str,
        extra: &Extra<'_>,
        share: f64,
        ticks: f64,
        shown: impl Fn(f64) -> f64,
    ) {
        let mut total = (share * ticks * 864_000.0 * self.random.unit()).round();
        let mut values = Vec::with_capacity(self.steps);
        for step in 0..self.steps {
            let mean = share * self.activity[step] * STEP_S * ticks;
            let noise = (mean.sqrt() + 0.15 * mean) * normal(&mut self.random);
            total += (mean + noise).clamp(0.0, STEP_S * ticks).round();
            values.push(shown(total));
        }
        self.push(name, extra, values);
    }

    /// Noise around `median`, with so many decimals.
    pub(super) fn noise(&mut self, name: &str, extra: &Extra<'_>, median: f64, spread: f64, decimals: i32) {
        let unit = 10f64.powi(decimals);
        let values = (0..self.steps).map(|_| {
            let value = log_normal(&mut self.random, median, spread);
            (value * unit).round() / unit
        });
        let values = values.collect();
        self.push(name, extra, values);
    }

    /// A classic histogram with upper bounds `bounds`, in seconds: buckets, sum, and count.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        extra: &Extra<'_>,
        bounds: &[&str],
        rate: f64,
        median: f64,
        spread: f64,
    ) {
        let limits: Vec<f64> = bounds.iter().map(|bound| bound.parse().unwrap_or(f64::INFINITY)).collect();
        let mut counts = vec![0.0; limits.len() + 1];
        let mut columns = vec![Vec::with_capacity(self.steps); limits.len() + 1];
        let (mut sum, mut sums) = (0.0, Vec::with_capacity(self.steps));
        for step in 0..self.steps {
            let observed = poisson(&mut self.random, rate * STEP_S * self.activity[step]);
            let drawn = observed.min(OBSERVATIONS_MAX);
            let slow = self.activity[step].max(0.2).sqrt();
            let mut left = observed;
            for number in 0..drawn as u64 {
                let times = (left / (drawn - number as f64)).floor();
                left -= times;
                let nanos = (log_normal(&mut self.random, median * slow, spread) * 1e9).floor();
                let seconds = nanos / 1e9;
                // As a client library adds them up: every addition rounds.
                sum += seconds * times;
                let bucket = limits.partition_point(|limit| *limit < seconds);
                counts[bucket] += times;
            }
            let mut total = 0.0;
            for (count, column) in counts.iter().zip(&mut columns) {
                total += count;
                column.push(total);
            }
            sums.push(sum);
        }
        let total = columns.last().cloned().unwrap_or_default();
        let les = bounds.iter().copied().chain(["+Inf"]);
        for (le, column) in les.zip(columns) {
            let extra: Vec<(&str, &str)> = extra.iter().copied().chain([("le", le)]).collect();
            self.push(&format!("{name}_bucket"), &extra, column);
        }
        self.push(&format!("{name}_sum"), extra, sums);
        self.push(&format!("{name}_count"), extra, total);
    }

    /// A rate of events a second: none for a part `idle` of the families, else around `median`.
    pub(super) fn rate(&mut self, idle: f64, median: f64) -> f64 {
        if self.random.chance(idle) { 0.0 } else { log_normal(&mut self.random, median, 1.5) }
    }
}

/// Events as they are.
pub(super) fn whole(count: f64) -> f64 {
    count
}

/// Hundredths of a second as seconds: two decimals.
pub(super) fn centiseconds(count: f64) -> f64 {
    count / 100.0
}

/// Nanoseconds as seconds: nine decimals.
pub(super) fn nanoseconds(count: f64) -> f64 {
    count / 1e9
}

/// Microseconds as seconds: six decimals.
pub(super) fn microseconds(count: f64) -> f64 {
    count / 1e6
}

/// Milliseconds times 0.001, which is not quite a number of three decimals.
pub(super) fn milliseconds_product(count: f64) -> f64 {
    count * 0.001
}
