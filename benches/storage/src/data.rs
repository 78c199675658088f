//! Samples to measure with: all series of one block, and what kind of samples they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Labels;
use storage::{Scrape, Series};
use tsdb::block::compare;

/// Series in the order of a block ([`compare`]).
#[derive(Clone, Debug, Default)]
pub struct DataSet {
    /// What it is called in tables.
    pub name: String,
    /// Its series, each with at least one sample.
    pub series: Vec<Series>,
    /// NaNs that the source had and that were left out: VictoriaMetrics's import cannot carry them.
    pub nans_left_out: u64,
}

/// What kind of samples a [`DataSet`] has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataStats {
    /// Series.
    pub series: u64,
    /// Samples.
    pub samples: u64,
    /// Series all of whose values have the same bits.
    pub constant_series: u64,
    /// Samples of the other series.
    pub varying_samples: u64,
    /// Samples that differ from the one before.
    pub changes: u64,
}

impl DataSet {
    /// A set of these series, in any order; series without samples are left out.
    #[must_use]
    pub fn new(name: impl Into<String>, mut series: Vec<Series>) -> Self {
        series.retain(|series| !series.timestamps.is_empty());
        series.sort_by(|a, b| compare(&a.labels, &b.labels));
        Self { name: name.into(), series, nans_left_out: 0 }
    }

    /// The content of a store that was given these scrapes, without NaNs and without stale markers. Series of one source that
    /// have the same instants share them.
    #[must_use]
    pub fn of_scrapes(name: impl Into<String>, scrapes: &[Scrape]) -> Self {
        let mut columns: BTreeMap<&Labels, (Vec<i64>, Vec<f64>)> = BTreeMap::new();
        let mut nans = 0;
        for scrape in scrapes {
            for sample in &scrape.samples {
                if sample.value.is_nan() {
                    nans += 1;
                    continue;
                }
                let (timestamps, values) = columns.entry(&sample.labels).or_default();
                let timestamp = sample.timestamp.unwrap_or(scrape.timestamp);
                if timestamps.last().is_none_or(|last| *last < timestamp) {
                    timestamps.push(timestamp);
                    values.push(sample.value);
                }
            }
        }
        let mut shared: BTreeMap<Vec<i64>, Arc<[i64]>> = BTreeMap::new();
        let series = columns.into_iter().map(|(labels, (timestamps, values))| {
            let instants = shared.entry(timestamps).or_insert_with_key(|key| key.as_slice().into());
            Series::floats(labels.clone(), Arc::clone(instants), values.into())
        });
        Self { nans_left_out: nans, ..Self::new(name, series.collect()) }
    }

    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.series.iter().map(|series| series.timestamps.len() as u64).sum()
    }

    /// Earliest and latest instant, ms, both inclusive; 0 without samples.
    #[must_use]
    pub fn times(&self) -> (i64, i64) {
        let first = self.series.iter().filter_map(|series| series.timestamps.first()).min();
        let last = self.series.iter().filter_map(|series| series.timestamps.last()).max();
        (first.copied().unwrap_or(0), last.copied().unwrap_or(0))
    }

    /// The part of `from <= t < until`, ms.
    #[must_use]
    pub fn between(&self, from: i64, until: i64) -> Self {
        let cut = |series: &Series| {
            let start = series.timestamps.partition_point(|at| *at < from);
            let end = series.timestamps.partition_point(|at| *at < until);
            let timestamps = series.timestamps.get(start..end).unwrap_or_default();
            let values = series.values.get(start..end).unwrap_or_default();
            Series::floats(series.labels.clone(), timestamps.into(), values.into())
        };
        let series = self.series.iter().map(cut).collect();
        Self::new(self.name.clone(), series)
    }

    /// What kind of samples there are.
    #[must_use]
    pub fn stats(&self) -> DataStats {
        let mut stats = DataStats { series: self.series.len() as u64, ..DataStats::default() };
        for series in &self.series {
            let pairs = series.values.iter().zip(series.values.iter().skip(1));
            let changes = pairs.filter(|(a, b)| a.to_bits() != b.to_bits()).count() as u64;
            let samples = series.values.len() as u64;
            stats.samples += samples;
            stats.changes += changes;
            if changes == 0 {
                stats.constant_series += 1;
            } else {
                stats.varying_samples += samples;
            }
        }
        stats
    }
}

#[cfg(test)]
mod tests {
    use storage::{ScrapeSample, SourceId};

    use super::*;

    fn scrape(timestamp: i64, values: &[(&str, f64)]) -> Scrape {
        let sample = |(name, value): &(&str, f64)| ScrapeSample {
            labels: Labels::from_pairs([("__name__", *name)]),
            value: *value,
            timestamp: None,
        };
        let samples = values.iter().map(sample).collect();
        Scrape { source: SourceId(1), timestamp, samples, ..Scrape::default() }
    }

    #[test]
    fn scrapes_become_series_without_nans_that_share_their_instants() {
        let scrapes =
            [scrape(1, &[("b", 1.0), ("a", f64::NAN), ("c", 5.0)]), scrape(2, &[("b", 2.0), ("c", 5.0)])];
        let data = DataSet::of_scrapes("few", &scrapes);
        assert_eq!(data.nans_left_out, 1);
        assert_eq!(data.times(), (1, 2));
        let [b, c] = data.series.as_slice() else { panic!("{data:?}") };
        assert_eq!((b.labels.metric_name(), &*b.values), ("b", [1.0, 2.0].as_slice()));
        assert!(Arc::ptr_eq(&b.timestamps, &c.timestamps));
        let expected =
            DataStats { series: 2, samples: 4, constant_series: 1, varying_samples: 2, changes: 1 };
        assert_eq!(data.stats(), expected);
        assert_eq!(data.between(2, 3).samples(), 2);
        assert_eq!(data.between(3, 9).series.len(), 0);
    }
}
