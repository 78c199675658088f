//! What alarms look at, as numbers: for those who cannot scrape a process that lives for an invocation.

use prometheus::core::Collector;

use super::Metrics;

/// What a process has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Work not done because its time had passed, of all functions.
    pub missed: u64,
    /// Samples in WAL segments written.
    pub samples: u64,
    /// Invariants found violated.
    pub invariant_violations: u64,
    /// How far compaction was behind when last told, seconds; 0 where it was not.
    pub compaction_lag_seconds: f64,
}

impl Metrics {
    /// The totals as they are now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            missed: sum(&self.tasks.missed),
            samples: self.store.wal_samples.get(),
            invariant_violations: sum(&self.store.invariant_violations),
            compaction_lag_seconds: self.compaction.lag.get(),
        }
    }
}

fn sum(family: &impl Collector) -> u64 {
    let families = family.collect();
    let series = families.iter().flat_map(prometheus::proto::MetricFamily::get_metric);
    series.map(|metric| metric.get_counter().get_value() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_over_functions() {
        let metrics = Metrics::new("");
        assert_eq!(metrics.totals(), Totals::default());
        metrics.missed("scraper", 3);
        metrics.missed("ruler", 1);
        metrics.segment_written(10, 50);
        metrics.invariant_violated("S1");
        metrics.compaction_lag(2.5);
        let expected =
            Totals { missed: 4, samples: 50, invariant_violations: 1, compaction_lag_seconds: 2.5 };
        assert_eq!(metrics.totals(), expected);
    }
}
