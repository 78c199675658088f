//! Exporters of our own: samples that behave as those of real ones do, the same for the same seed.
//!
//! What decides the size of stored samples is how a family behaves, so each is one of a few kinds ([`maker`]): constants,
//! gauges that hardly ever change, integer counters (Poisson events at a rate that follows the time of day and an AR(1)
//! process, with busy and idle instances), CPU seconds with two decimals, nanosecond counters, milliseconds times
//! 0.001, sums of floats with their rounding noise, cumulative histograms, quantiles that change with every garbage
//! collection, and plain noise with nine decimals. Pods come and go; the container exporter has timestamps of its own.

use std::sync::Arc;

use model::Labels;
use platform_sim::Random;
use storage::{Scrape, ScrapeSample, Series, SourceId};

use crate::data::DataSet;

mod apps;
mod cluster;
mod maker;
mod node;
mod postgres;
mod runtime;

use maker::Maker;

/// How often targets are scraped, ms.
pub const INTERVAL_MS: i64 = 15_000;
/// Scrapes of a day.
pub const DAY_STEPS: usize = 5_760;
/// The part of a generated day's scrapes that fail.
const FAILURES: f64 = 1e-4;
/// When generated days begin, ms: a midnight from which a day fits into one of promtool's blocks of 54 h.
pub const START_MS: i64 = 1_788_480_000_000;

/// One source, and all that it served.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its identity.
    pub source: SourceId,
    /// The instants of its scrapes (of its samples, where it has timestamps of its own), ms.
    pub instants: Arc<[i64]>,
    /// Its series.
    pub series: Vec<TargetSeries>,
}

/// One series of a target.
#[derive(Clone, Debug)]
pub struct TargetSeries {
    /// Its identity.
    pub labels: Labels,
    /// The number of the target's instant at which it begins.
    pub from: usize,
    /// Its values from there on.
    pub values: Vec<f64>,
}

impl Target {
    /// The scrape at the instant number `step`.
    #[must_use]
    pub fn scrape(&self, step: usize) -> Scrape {
        let sample = |series: &TargetSeries| {
            let value = *series.values.get(step.checked_sub(series.from)?)?;
            Some(ScrapeSample { labels: series.labels.clone(), value, timestamp: None })
        };
        let timestamp = self.instants.get(step).copied().unwrap_or_default();
        let samples = self.series.iter().filter_map(sample).collect();
        Scrape { source: self.source, timestamp, samples, ..Scrape::default() }
    }

    fn into_series(self) -> impl Iterator<Item = Series> {
        let instants = self.instants;
        self.series.into_iter().map(move |series| {
            let end = series.from + series.values.len();
            let timestamps = if (series.from, end) == (0, instants.len()) {
                Arc::clone(&instants)
            } else {
                instants.get(series.from..end).unwrap_or_default().into()
            };
            Series::floats(series.labels, timestamps, series.values.into())
        })
    }
}

/// What is generated: how much, and from which seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Decides every draw.
    pub seed: u64,
    /// How many times each kind of target there is; 1 gives about 5,800 series.
    pub scale: usize,
    /// Scrapes of each target.
    pub steps: usize,
}

impl Plan {
    /// Every sample of a plan, as one data set.
    #[must_use]
    pub fn data_set(self) -> DataSet {
        let mut series = Vec::new();
        for target in self.targets() {
            series.extend(target.into_series());
        }
        DataSet::new(format!("generated x{}, seed {}", self.scale, self.seed), series)
    }

    /// The targets of a plan.
    #[must_use]
    pub fn targets(self) -> Vec<Target> {
        let root = Random::new(self.seed);
        let mut targets = Vec::new();
        for copy in 0..self.scale {
            let random = root.split(&format!("copy {copy}"));
            let mut add = |name: String, wavers: bool, fill: &dyn Fn(&mut Maker)| {
                targets.push(self.target(&random, &name, FAILURES, wavers, fill));
            };
            for number in 0..2 {
                add(format!("node-{copy}-{number}:9100"), false, &node::fill);
                add(format!("api-{copy}-{number}:8080"), number == 1, &apps::fill_api);
            }
            add(format!("jvm-{copy}:9404"), true, &apps::fill_jvm);
            add(format!("postgres-{copy}:9187"), false, &postgres::fill);
            targets.extend(cluster::pods(self, &random.split("pods"), copy));
        }
        for (number, target) in targets.iter_mut().enumerate() {
            target.source = SourceId(number as u64 + 1);
        }
        targets
    }

    /// One target: its instants, and what `fill` gives.
    fn target(
        self,
        random: &Random,
        name: &str,
        failures: f64,
        wavers: bool,
        fill: &dyn Fn(&mut Maker),
    ) -> Target {
        let mut random = random.split(name);
        let mut instants = instants(&mut random.split("instants"), self.steps, wavers);
        let mut failing = random.split("failing");
        instants.retain(|_| !failing.chance(failures));
        let job = name.split('-').next().unwrap_or_default().to_owned();
        let labels = Labels::from_pairs([("job", job), ("instance", name.to_owned())]);
        let mut maker = Maker::new(labels, instants.len(), random.split("activity"), &mut random);
        fill(&mut maker);
        Target { source: SourceId::default(), instants: instants.into(), series: maker.series }
    }
}

/// `count` targets that are machines, each with `steps` scrapes, none of which fails: what the WAL is measured with.
#[must_use]
pub fn nodes(seed: u64, count: usize, steps: usize) -> Vec<Target> {
    let root = Random::new(seed);
    let plan = Plan { seed, scale: 1, steps };
    (0..count)
        .map(|number| {
            let mut target =
                plan.target(&root, &format!("node-{number}:9100"), 0.0, number % 3 == 2, &node::fill);
            target.source = SourceId(number as u64 + 1);
            target
        })
        .collect()
}

/// When a target is scraped: every 15 s after its own offset. Prometheus gives a scrape the scheduled instant where it
/// starts within 2 ms of it, so most are exact; where a target `wavers`, a third of the scrapes are 2 to 4 ms late.
fn instants(random: &mut Random, steps: usize, wavers: bool) -> Vec<i64> {
    let offset = random.below(INTERVAL_MS as u64) as i64;
    let late_chance = if wavers { 0.26 + 0.18 * random.unit() } else { 0.06 * random.unit() };
    let mut instants = Vec::with_capacity(steps);
    for step in 0..steps {
        let late = if random.chance(late_chance) { 2 + random.below(3) as i64 } else { 0 };
        instants.push(START_MS + offset + step as i64 * INTERVAL_MS + late);
    }
    instants
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const HOUR: Plan = Plan { seed: 5, scale: 1, steps: 240 };

    #[test]
    fn a_seed_repeats_its_samples_and_another_gives_others() {
        let bits = |plan: Plan| -> Vec<(Labels, Vec<i64>, Vec<u64>)> {
            let series = plan.data_set().series;
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect();
            series.iter().map(|s| (s.labels.clone(), s.timestamps.to_vec(), bits(&s.values))).collect()
        };
        assert_eq!(bits(HOUR), bits(HOUR));
        assert_ne!(bits(HOUR), bits(Plan { seed: 6, ..HOUR }));
    }

    #[test]
    fn a_day_s_mix_is_about_that_of_the_measurements_which_chose_the_format() {
        let data = HOUR.data_set();
        let stats = data.stats();
        assert!((5_200..6_400).contains(&stats.series), "{stats:?}");
        let changes = stats.changes as f64 / stats.samples as f64;
        assert!((0.2..0.36).contains(&changes), "{changes}");
        let unique: BTreeSet<&Labels> = data.series.iter().map(|series| &series.labels).collect();
        assert_eq!(unique.len(), data.series.len());
        for series in &data.series {
            assert_eq!(series.timestamps.len(), series.values.len());
            assert!(series.timestamps.is_sorted_by(|a, b| a < b));
            assert!(series.values.iter().all(|value| value.is_finite()), "{}", series.labels);
        }
    }

    #[test]
    fn a_machine_has_the_series_of_a_node_exporter() {
        let [node] = nodes(1, 1, 4).try_into().unwrap();
        assert!((850..1_150).contains(&node.series.len()), "{}", node.series.len());
        let scrape = node.scrape(3);
        assert_eq!(scrape.samples.len(), node.series.len());
        assert_eq!(scrape.timestamp, node.instants[3]);
    }
}
