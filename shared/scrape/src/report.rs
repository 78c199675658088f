//! The series that say how a scrape went.

use std::collections::BTreeSet;
use std::time::Duration;

use model::Labels;
use model::labels::METRIC_NAME;
use storage::ScrapeSample;

use crate::body::BodyCounts;

/// Adds the report series to the samples of a scrape. A series that the target exposes itself stays as it is exposed,
/// as in Prometheus, where of two samples for an instant the first wins.
pub(crate) fn add_report(
    samples: &mut Vec<ScrapeSample>,
    target: &Labels,
    healthy: bool,
    duration: Duration,
    counts: BodyCounts,
) {
    let report = [
        ("up", f64::from(u8::from(healthy))),
        ("scrape_duration_seconds", duration.as_secs_f64()),
        ("scrape_samples_scraped", counts.scraped as f64),
        ("scrape_samples_post_metric_relabeling", counts.post_relabelling as f64),
        ("scrape_series_added", counts.series_added as f64),
    ];
    let report = report.map(|(name, value)| {
        let mut labels = target.to_builder();
        ScrapeSample { labels: labels.set(METRIC_NAME, name).build(), value, timestamp: None }
    });
    let exposed: BTreeSet<&Labels> = samples
        .iter()
        .map(|sample| &sample.labels)
        .filter(|labels| report.iter().any(|sample| sample.labels == **labels))
        .collect();
    let missing: Vec<ScrapeSample> =
        report.iter().filter(|sample| !exposed.contains(&sample.labels)).cloned().collect();
    samples.extend(missing);
}
