//! Alerts as notices on a topic.
//!
//! A topic has no memory of what was resolved or said before, unlike Alertmanager, so a notice is what a person can read
//! at once: the alerts of one name and severity that were to be sent together, firing ones first. The JSON after the
//! text is for machines. What still fires is published again with each resend, as it is sent to Alertmanagers.

use std::collections::BTreeMap;
use std::fmt::Write;

use config::AlertingConfig;
use futures::future::join_all;
use model::{Labels, rfc3339};
use platform::{Notice, PlatformError, Topic};
use serde::Serialize;
use wire::Alert;

use crate::body::{PostableAlert, postable};
use crate::send::relabelled;

/// Alerts of one notice at most, so that it stays below a topic's 256 KiB and readable.
const ALERTS_MAX: usize = 50;

/// The longest text that one alert adds, bytes.
const ALERT_TEXT_MAX: usize = 2_000;

/// The longest JSON of a notice, bytes; a longer one is left out.
const JSON_BYTES_MAX: usize = 100_000;

/// What became of one notice.
#[derive(Debug)]
pub struct PublishResult {
    /// How many alerts it had.
    pub alerts: usize,
    /// Why it was not published, if so.
    pub error: Option<PlatformError>,
}

/// Publishes `alerts` on `topic`, with the same external labels and relabelling as for Alertmanagers. `now` tells what
/// fires from what is resolved, ms. One result a notice.
pub async fn publish(
    alerts: &[Alert],
    config: &AlertingConfig,
    external_labels: &Labels,
    topic: &dyn Topic,
    now: i64,
) -> Vec<PublishResult> {
    let alerts = relabelled(alerts, &config.alert_relabel_configs, external_labels);
    let notices = notices(&alerts, now);
    let publish_one = |(alerts, notice): (usize, Notice)| async move {
        PublishResult { alerts, error: topic.publish(&notice).await.err() }
    };
    join_all(notices.into_iter().map(publish_one)).await
}

/// What one notice is about: alerts of a name and a severity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Subject<'a> {
    name: &'a str,
    severity: &'a str,
}

/// The machine's part of a notice.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NoticeJson<'a> {
    version: &'static str,
    status: &'static str,
    alerts: Vec<AlertJson<'a>>,
}

#[derive(Serialize)]
struct AlertJson<'a> {
    status: &'static str,
    #[serde(flatten)]
    alert: PostableAlert<'a>,
}

fn notices(alerts: &[Alert], now: i64) -> Vec<(usize, Notice)> {
    let mut groups: BTreeMap<Subject<'_>, Vec<&Alert>> = BTreeMap::new();
    for alert in alerts {
        let subject = Subject { name: label(alert, "alertname"), severity: label(alert, "severity") };
        groups.entry(subject).or_default().push(alert);
    }
    let mut notices = Vec::new();
    for (subject, mut alerts) in groups {
        // Firing ones first; the sort keeps the order otherwise.
        alerts.sort_by_key(|alert| alert.ends_at <= now);
        for part in alerts.chunks(ALERTS_MAX) {
            notices.push((part.len(), notice(subject, part, now)));
        }
    }
    notices
}

fn notice(subject: Subject<'_>, alerts: &[&Alert], now: i64) -> Notice {
    let firing = alerts.iter().filter(|alert| alert.ends_at > now).count();
    let resolved = alerts.len() - firing;
    let (status, count) = if firing > 0 { ("firing", firing) } else { ("resolved", resolved) };
    let mut message = String::new();
    for alert in alerts {
        let state = status_of(alert, now);
        message.push_str(beginning(&text(alert, state), ALERT_TEXT_MAX));
        message.push_str("\n\n");
    }
    let json = NoticeJson {
        version: "1",
        status,
        alerts: alerts
            .iter()
            .map(|alert| AlertJson { status: status_of(alert, now), alert: postable(alert) })
            .collect(),
    };
    let json = wire::encode(&json);
    if json.len() <= JSON_BYTES_MAX {
        message.push_str(&String::from_utf8_lossy(&json));
    }
    let attributes = [("alertname", subject.name), ("severity", subject.severity), ("status", status)];
    Notice {
        subject: format!("[{}:{count}] {}", status.to_uppercase(), subject.name),
        message,
        attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    }
}

/// One alert for people.
fn text(alert: &Alert, status: &str) -> String {
    let mut text = String::new();
    let annotation =
        |name: &str| alert.annotations.0.iter().find(|(own, _)| own == name).map(|(_, value)| value);
    let title = annotation("summary").map_or_else(|| label(alert, "alertname"), String::as_str);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}: {title}", status.to_uppercase());
    if let Some(description) = annotation("description") {
        let _ = writeln!(text, "{description}");
    }
    let labels: Vec<String> =
        alert.labels.0.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let _ = writeln!(text, "Labels: {}", labels.join(", "));
    let _ = writeln!(text, "Since: {}", rfc3339::format(alert.starts_at));
    for (name, value) in &alert.annotations.0 {
        if name != "summary" && name != "description" {
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    let _ = write!(text, "Source: {}", alert.generator_url);
    text
}

fn status_of(alert: &Alert, now: i64) -> &'static str {
    if alert.ends_at > now { "firing" } else { "resolved" }
}

fn label<'a>(alert: &'a Alert, name: &str) -> &'a str {
    alert.labels.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
}

fn beginning(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}

#[cfg(test)]
mod tests;
