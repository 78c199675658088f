//! What was pushed.

use prometheus::{Error, IntCounter, IntCounterVec, Registry};

use super::Metrics;
use super::families::{counter, counters};

/// Requests of senders, and what was in them.
#[derive(Debug)]
pub(super) struct PushFamilies {
    requests: IntCounterVec,
    samples: IntCounterVec,
    bytes: IntCounter,
    refused: IntCounter,
    invalid_labels: IntCounter,
}

impl PushFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            requests: counters(
                registry,
                "foxfire_push_requests_total",
                "Requests of remote writers, by the status that they were answered with.",
                &["code"],
            )?,
            samples: counters(
                registry,
                "foxfire_push_samples_total",
                "What remote writers have sent and was acknowledged: float, histogram, exemplar.",
                &["type"],
            )?,
            bytes: counter(
                registry,
                "foxfire_push_bytes_total",
                "Bytes that remote writers have sent, compressed.",
            )?,
            refused: counter(
                registry,
                "foxfire_push_refused_total",
                "Series, samples and exemplars that were refused, and the sender told why.",
            )?,
            invalid_labels: counter(
                registry,
                "prometheus_api_remote_write_invalid_labels_samples_total",
                "The total number of received remote write samples and histogram samples which were rejected due to \
                 invalid labels.",
            )?,
        })
    }
}

/// What became of one request of a remote writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Bytes of its body as sent.
    pub bytes: u64,
    /// Floats that are durable.
    pub floats: u64,
    /// Native histograms that are.
    pub histograms: u64,
    /// Exemplars that are.
    pub exemplars: u64,
    /// What was refused with a reason.
    pub refused: u64,
    /// Samples whose series had invalid labels.
    pub invalid_labels: u64,
}

impl Metrics {
    /// A request of a remote writer was answered with status `code`.
    pub fn pushed(&self, code: u16, pushed: &Pushed) {
        self.pushes.requests.with_label_values(&[code.to_string().as_str()]).inc();
        for (kind, count) in
            [("float", pushed.floats), ("histogram", pushed.histograms), ("exemplar", pushed.exemplars)]
        {
            self.pushes.samples.with_label_values(&[kind]).inc_by(count);
        }
        self.pushes.bytes.inc_by(pushed.bytes);
        self.pushes.refused.inc_by(pushed.refused);
        self.pushes.invalid_labels.inc_by(pushed.invalid_labels);
    }
}
