//! What others ask for the same, by their public price lists.

use crate::MONTH_SECONDS;
use crate::model::Workload;

/// What one of them asks a month.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerPrice {
    /// Who.
    pub name: &'static str,
    /// Dollars a month.
    pub dollars: f64,
    /// What it covers.
    pub note: &'static str,
}

/// Amazon Managed Service for Prometheus: dollars for ten million samples taken in, by tiers of samples a month. Source:
/// aws.amazon.com/prometheus/pricing, us-east-1, read 2026-10-07.
const AMP_TIERS: [(f64, f64); 3] = [(2e9, 0.90), (252e9, 0.35), (f64::INFINITY, 0.16)];
/// AMP: dollars for a GB of samples for a month, of 1.5 bytes each.
const AMP_GB_MONTH: f64 = 0.03;
const AMP_SAMPLE_BYTES: f64 = 1.5;
/// AMP: dollars for a billion samples that a query processes.
const AMP_QUERY_BILLION: f64 = 0.10;
/// AMP: dollars an hour of a managed collector, and for ten million samples that it takes.
const AMP_COLLECTOR_HOUR: f64 = 0.04;
const AMP_COLLECTOR_TEN_MILLION: f64 = 0.03;
/// Samples that a query processes: a panel of a hundred series over an hour, one sample a minute.
const SAMPLES_A_QUERY: f64 = 6_000.0;

/// CloudWatch: dollars for a GB of OTLP metrics, and the bytes of a data point with its name, labels and resource.
const CLOUDWATCH_GB: f64 = 0.50;
const CLOUDWATCH_POINT_BYTES: f64 = 150.0;

/// Prices of peers for a workload.
#[must_use]
pub fn peers(workload: &Workload) -> Vec<PeerPrice> {
    let samples = workload.samples_a_month();
    let kept = samples * workload.retention_seconds / MONTH_SECONDS;
    let processed = samples_of_rules(workload) + workload.queries * SAMPLES_A_QUERY;
    let amp = tiered(samples, &AMP_TIERS, 1e7)
        + kept * AMP_SAMPLE_BYTES / crate::GB * AMP_GB_MONTH
        + processed / 1e9 * AMP_QUERY_BILLION;
    let collector = 730.0 * AMP_COLLECTOR_HOUR + samples / 1e7 * AMP_COLLECTOR_TEN_MILLION;
    vec![
        PeerPrice {
            name: "AMP, own agent",
            dollars: amp,
            note: "Amazon Managed Service for Prometheus: ingestion, storage, query samples; the agent's machine is extra",
        },
        PeerPrice {
            name: "AMP, managed collector",
            dollars: amp + collector,
            note: "the same with an AWS managed collector",
        },
        PeerPrice {
            name: "CloudWatch OTLP",
            dollars: samples * CLOUDWATCH_POINT_BYTES / 1e9 * CLOUDWATCH_GB,
            note: "$0.50 a GB at 150 bytes a data point; the low end",
        },
    ]
}

/// A rule reads a tenth of the series of one job once a minute.
fn samples_of_rules(workload: &Workload) -> f64 {
    workload.rules * (workload.series * 0.001) * MONTH_SECONDS / 60.0
}

fn tiered(quantity: f64, tiers: &[(f64, f64)], unit: f64) -> f64 {
    let mut below = 0.0;
    let mut sum = 0.0;
    for (until, price) in tiers {
        sum += (quantity.min(*until) - below).max(0.0) / unit * price;
        below = *until;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_paid_one_after_the_other() {
        let price = |samples| tiered(samples, &AMP_TIERS, 1e7);
        assert!((price(1e9) - 90.0).abs() < 1e-9);
        assert!((price(2e9) - 180.0).abs() < 1e-9);
        assert!((price(12e9) - 180.0 - 350.0).abs() < 1e-9);
        assert!((price(252e9) - 180.0 - 8_750.0).abs() < 1e-6);
    }

    #[test]
    fn amp_asks_about_6500_dollars_for_a_million_series_every_15_seconds() {
        let workload = Workload { series: 1e6, interval_seconds: 15.0, ..Workload::default() };
        let amp = peers(&workload)[0].dollars;
        assert!((6_100.0..6_700.0).contains(&amp), "{amp}");
        let small = Workload { series: 1e4, ..workload };
        let amp = peers(&small)[0].dollars;
        assert!((155.0..170.0).contains(&amp), "{amp}");
    }
}
