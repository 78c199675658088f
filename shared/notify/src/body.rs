//! Alerts as Alertmanager's API v2 takes them (`postableAlerts`).

use std::collections::BTreeMap;

use model::rfc3339;
use serde::Serialize;
use wire::Alert;

/// An alert as it goes out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PostableAlert<'a> {
    annotations: BTreeMap<&'a str, &'a str>,
    ends_at: String,
    starts_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
}

/// The body of a request.
pub(crate) fn postable_alerts(alerts: &[Alert]) -> Vec<u8> {
    let postable: Vec<PostableAlert<'_>> = alerts.iter().map(postable).collect();
    wire::encode(&postable)
}

/// One alert, borrowed.
pub(crate) fn postable(alert: &Alert) -> PostableAlert<'_> {
    PostableAlert {
        annotations: map(&alert.annotations.0),
        ends_at: rfc3339::format(alert.ends_at),
        starts_at: rfc3339::format(alert.starts_at),
        generator_url: &alert.generator_url,
        labels: map(&alert.labels.0),
    }
}

fn map(pairs: &[(String, String)]) -> BTreeMap<&str, &str> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
