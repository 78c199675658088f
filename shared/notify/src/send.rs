//! Sending alerts to all Alertmanagers.

use bytes::Bytes;
use config::{AlertingConfig, AlertmanagerConfig};
use futures::future::join_all;
use model::Labels;
use model::relabel::{self, RelabelConfig};
use platform::{FetchError, Fetcher, Files, HttpMethod, HttpRequest, Platform};
use wire::{Alert, Alertmanager, WireLabels};

use crate::body::postable_alerts;
use http_client::authorization;

/// At most so many alerts go in one request, as in Prometheus.
pub const BATCH_SIZE: usize = 256;
/// Bound on the body of an answer, which nobody reads, bytes.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
const USER_AGENT: &str = concat!("foxfire/", env!("CARGO_PKG_VERSION"));

/// What became of one request to one Alertmanager.
#[derive(Debug)]
pub struct SendResult {
    /// The Alertmanager's URL.
    pub url: String,
    /// How many alerts the request had.
    pub alerts: usize,
    /// Why they were not accepted, if so.
    pub error: Option<SendError>,
}

/// Why an Alertmanager did not accept alerts. Texts follow Prometheus's log.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It answered with something other than 2xx.
    #[error("bad response status {0}")]
    Status(String),
    /// It did not answer.
    #[error("Post \"{url}\": {source}")]
    Fetch {
        /// The Alertmanager's URL.
        url: String,
        /// What went wrong.
        source: FetchError,
    },
    /// A secret could not be read.
    #[error("{0}")]
    Secret(String),
    /// The configuration has no such entry: it changed since discovery ran.
    #[error("there is no entry {0} in alerting.alertmanagers")]
    UnknownEntry(usize),
}

/// Sends `alerts` to all `alertmanagers`, which were found by the entries of `config`. Alerts without a label that
/// `external_labels` have get it; relabelling may change or drop them. One result a request; none where relabelling
/// leaves nothing to send.
pub async fn send(
    alerts: &[Alert],
    alertmanagers: &[Alertmanager],
    config: &AlertingConfig,
    external_labels: &Labels,
    platform: &Platform,
) -> Vec<SendResult> {
    send_through(alerts, alertmanagers, config, external_labels, &*platform.fetcher, &*platform.files).await
}

/// As [`send`], through these ports.
pub(crate) async fn send_through(
    alerts: &[Alert],
    alertmanagers: &[Alertmanager],
    config: &AlertingConfig,
    external_labels: &Labels,
    fetcher: &dyn Fetcher,
    files: &dyn Files,
) -> Vec<SendResult> {
    let alerts = relabelled(alerts, &config.alert_relabel_configs, external_labels);
    let sends = alertmanagers.iter().map(|alertmanager| {
        let entry = config.alertmanagers.get(alertmanager.entry);
        send_to(&alerts, alertmanager, entry, fetcher, files)
    });
    join_all(sends).await.into_iter().flatten().collect()
}

/// Sends to one Alertmanager, batch after batch.
async fn send_to(
    alerts: &[Alert],
    alertmanager: &Alertmanager,
    entry: Option<&AlertmanagerConfig>,
    fetcher: &dyn Fetcher,
    files: &dyn Files,
) -> Vec<SendResult> {
    let url = &alertmanager.url;
    let result = |alerts: usize, error| SendResult { url: url.clone(), alerts, error };
    let Some(entry) = entry else {
        return vec![result(alerts.len(), Some(SendError::UnknownEntry(alertmanager.entry)))];
    };
    let of_entry;
    let alerts = if entry.alert_relabel_configs.is_empty() {
        alerts
    } else {
        of_entry = relabelled(alerts, &entry.alert_relabel_configs, &Labels::empty());
        &of_entry
    };
    let mut results = Vec::new();
    for batch in alerts.chunks(BATCH_SIZE) {
        let sent = send_batch(batch, url, entry, fetcher, files).await;
        results.push(result(batch.len(), sent.err()));
    }
    results
}

async fn send_batch(
    batch: &[Alert],
    url: &str,
    entry: &AlertmanagerConfig,
    fetcher: &dyn Fetcher,
    files: &dyn Files,
) -> Result<(), SendError> {
    let mut headers = vec![
        ("User-Agent".to_owned(), USER_AGENT.to_owned()),
        ("Content-Type".to_owned(), "application/json".to_owned()),
    ];
    if let Some(value) = authorization(&entry.http, files).await.map_err(SendError::Secret)? {
        headers.push(("Authorization".to_owned(), value));
    }
    let request = HttpRequest {
        method: HttpMethod::Post,
        url: url.to_owned(),
        headers,
        body: Bytes::from(postable_alerts(batch)),
        timeout: entry.timeout,
        body_bytes_max: ANSWER_BYTES_MAX,
        follow_redirects: entry.http.follow_redirects,
        insecure_skip_verify: entry.http.insecure_skip_verify,
    };
    let fetched = fetcher.fetch(request).await;
    let answer = fetched.map_err(|source| SendError::Fetch { url: url.to_owned(), source })?;
    if answer.status / 100 == 2 { Ok(()) } else { Err(SendError::Status(answer.status_line)) }
}

/// The alerts with `external_labels` where they lack them, relabelled; those that relabelling keeps.
pub(crate) fn relabelled(
    alerts: &[Alert],
    configs: &[RelabelConfig],
    external_labels: &Labels,
) -> Vec<Alert> {
    let relabel_one = |alert: &Alert| {
        let mut labels = external_labels.to_builder();
        for (name, value) in &alert.labels.0 {
            labels.set(name, value);
        }
        let labels = relabel::process(&labels.build(), configs)?;
        Some(Alert { labels: WireLabels::from(&labels), ..alert.clone() })
    };
    alerts.iter().filter_map(relabel_one).collect()
}

#[cfg(test)]
mod tests;
