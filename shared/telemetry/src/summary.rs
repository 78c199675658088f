//! Summaries: quantiles over the latest observations, which the `prometheus` crate does not have.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary};

/// How many observations quantiles are over. Prometheus takes those of the last ten minutes, approximately.
const WINDOW: usize = 1000;

/// A summary for each value of one label. Clones share their observations.
#[derive(Clone, Debug)]
pub(crate) struct SummaryVec {
    desc: Desc,
    quantiles: &'static [f64],
    observed: std::sync::Arc<Mutex<BTreeMap<String, Observed>>>,
}

#[derive(Debug, Default)]
struct Observed {
    latest: VecDeque<f64>,
    count: u64,
    sum: f64,
}

impl SummaryVec {
    pub(crate) fn new(
        name: &str,
        help: &str,
        label: &str,
        quantiles: &'static [f64],
    ) -> Result<Self, prometheus::Error> {
        let desc = Desc::new(name.to_owned(), help.to_owned(), vec![label.to_owned()], Default::default())?;
        Ok(Self { desc, quantiles, observed: std::sync::Arc::default() })
    }

    pub(crate) fn observe(&self, label_value: &str, value: f64) {
        let mut observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        if !observed.contains_key(label_value) {
            observed.insert(label_value.to_owned(), Observed::default());
        }
        let Some(observed) = observed.get_mut(label_value) else { return };
        if observed.latest.len() == WINDOW {
            observed.latest.pop_front();
        }
        observed.latest.push_back(value);
        observed.count += 1;
        observed.sum += value;
    }

    fn metric(&self, label_value: &str, observed: &Observed) -> Metric {
        let mut sorted: Vec<f64> = observed.latest.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let quantile = |rank: &f64| {
            let at = (rank * sorted.len() as f64).ceil() as usize;
            let mut quantile = Quantile::default();
            quantile.set_quantile(*rank);
            quantile.set_value(sorted.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN));
            quantile
        };
        let mut summary = Summary::default();
        summary.set_quantile(self.quantiles.iter().map(quantile).collect());
        summary.set_sample_count(observed.count);
        summary.set_sample_sum(observed.sum);
        let mut label = LabelPair::default();
        label.set_name(self.desc.variable_labels.first().cloned().unwrap_or_default());
        label.set_value(label_value.to_owned());
        let mut metric = Metric::from_label(vec![label]);
        metric.set_summary(summary);
        metric
    }
}

impl Collector for SummaryVec {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::SUMMARY);
        family.set_metric(observed.iter().map(|(value, observed)| self.metric(value, observed)).collect());
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Registry, TextEncoder};

    use super::*;

    #[test]
    fn quantiles_are_over_the_latest_and_sums_over_all() {
        let summary = SummaryVec::new("s", "Help.", "slice", &[0.5, 0.99]).unwrap();
        let registry = Registry::new();
        registry.register(Box::new(summary.clone())).unwrap();
        for value in (0..500).chain(1..=1000) {
            summary.observe("a", f64::from(value));
        }
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let expected = "# HELP s Help.\n# TYPE s summary\ns{slice=\"a\",quantile=\"0.5\"} 500\n\
                        s{slice=\"a\",quantile=\"0.99\"} 990\ns_sum{slice=\"a\"} 625250\ns_count{slice=\"a\"} 1500\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_summary_without_observations_is_not_exposed() {
        let registry = Registry::new();
        registry.register(Box::new(SummaryVec::new("s", "Help.", "slice", &[0.5]).unwrap())).unwrap();
        assert!(registry.gather().is_empty());
    }
}
