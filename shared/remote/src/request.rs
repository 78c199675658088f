//! What a request of either version says.

use std::ops::RangeInclusive;
use std::sync::Arc;

use model::histogram::FloatHistogram;
use model::{Exemplar, Labels, Metadata, TimestampMs};

use crate::histogram::{self, HistogramFault};
use crate::limits::{Budget, Exceeded, Limits};
use crate::message::Message;
use crate::proto::Malformed;
use crate::{v1, v2};

/// Reasons that are told at most; the others are counted.
const REASONS_MAX: usize = 50;
/// The most of a reason that is told, bytes: labels may be very long, and a series may be refused again and again.
const REASON_BYTES_MAX: usize = 4 << 10;

/// A float of a series at an instant.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Milliseconds since the epoch.
    pub timestamp: TimestampMs,
    /// The value; a stale marker is the NaN that says so.
    pub value: f64,
}

/// By bits, as samples are stored.
impl PartialEq for Sample {
    fn eq(&self, other: &Self) -> bool {
        self.timestamp == other.timestamp && self.value.to_bits() == other.value.to_bits()
    }
}

/// What was sent of one series. A request may have a series more than once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeSeries {
    /// Its labels: a metric name, valid names, no empty values.
    pub labels: Labels,
    /// Floats, in the order of the request.
    pub samples: Vec<Sample>,
    /// Native histograms, each sound.
    pub histograms: Vec<(TimestampMs, Arc<FloatHistogram>)>,
    /// Exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// What was not taken of a request whose rest was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Samples of series whose labels are invalid.
    pub invalid_labels: u64,
    /// Why things were refused, in Prometheus's words, where the sender is to be told.
    reasons: Vec<String>,
    untold: usize,
}

impl Refusals {
    /// Notes a refusal.
    pub(crate) fn add(&mut self, reason: impl FnOnce() -> String) {
        if self.reasons.len() < REASONS_MAX {
            let mut reason = reason();
            if reason.len() > REASON_BYTES_MAX {
                reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
                reason.push_str("...");
                reason.shrink_to_fit();
            }
            self.reasons.push(reason);
        } else {
            self.untold += 1;
        }
    }

    /// How many things were refused that the sender is told of.
    #[must_use]
    pub fn count(&self) -> usize {
        self.reasons.len() + self.untold
    }

    /// What to tell the sender, with status 400; `None` where everything was taken. Of invalid labels, senders of version
    /// 1.0 are not told, as in Prometheus.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        if self.reasons.is_empty() {
            return None;
        }
        let mut told = self.reasons.join("\n");
        if self.untold > 0 {
            told.push_str(&format!("\nand {} more", self.untold));
        }
        Some(told)
    }
}

/// A request, decoded and checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteRequest {
    /// The series that can be stored.
    pub series: Vec<TimeSeries>,
    /// Metadata of metric families, as sent.
    pub metadata: Vec<Metadata>,
    /// What cannot.
    pub refused: Refusals,
}

impl WriteRequest {
    /// Numbers of floats, histograms and exemplars.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        self.series.iter().fold((0, 0, 0), |(floats, histograms, exemplars), series| {
            (
                floats + series.samples.len(),
                histograms + series.histograms.len(),
                exemplars + series.exemplars.len(),
            )
        })
    }
}

/// Why nothing of a request is taken: in all cases the sender's fault, so that it should not try again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body is no snappy block.
    #[error("snappy: corrupt input")]
    Snappy,
    /// It is too large once it is decompressed.
    #[error("decoded size exceeds the {0} bytes limit")]
    DecodedSize(usize),
    /// It is not the message.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// There is too much of something.
    #[error("the request has more than {max} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much is allowed.
        max: usize,
    },
}

impl From<Exceeded> for DecodeError {
    fn from(Exceeded(what, max): Exceeded) -> Self {
        Self::TooMuch { what, max }
    }
}

impl TimeSeries {
    /// Adds a histogram, or notes why it is none in `unsound`.
    pub(crate) fn push_histogram(
        &mut self,
        message: &[u8],
        budget: &mut Budget,
        unsound: &mut Unsound,
    ) -> Result<(), DecodeError> {
        budget.histogram()?;
        match histogram::decode(message, budget) {
            Ok(histogram) => self.histograms.push(histogram),
            Err(HistogramFault::Malformed(error)) => return Err(error.into()),
            Err(HistogramFault::Exceeded(error)) => return Err(error.into()),
            Err(HistogramFault::Unsound(reason)) => {
                unsound.count += 1;
                unsound.first.get_or_insert(reason);
            }
        }
        Ok(())
    }

    /// Takes out what cannot be stored, now that the labels are known.
    pub(crate) fn refuse(
        &mut self,
        times: &RangeInclusive<TimestampMs>,
        unsound: &Unsound,
        refused: &mut Refusals,
    ) {
        for _ in 0..unsound.count {
            let reason = unsound.first.as_deref().unwrap_or_default();
            refused.add(|| format!("{reason} for series {}", self.labels));
        }
        let sent = self.samples.iter().map(|sample| sample.timestamp);
        let outside = sent.chain(self.histograms.iter().map(|(timestamp, _)| *timestamp));
        for timestamp in outside.filter(|timestamp| !times.contains(timestamp)) {
            let why =
                if timestamp > *times.end() { "too far in the future" } else { "older than the retention" };
            refused.add(|| format!("out of bounds: timestamp is {why} for series {}", self.labels));
        }
        self.samples.retain(|sample| times.contains(&sample.timestamp));
        self.histograms.retain(|(timestamp, _)| times.contains(timestamp));
        self.exemplars.retain(|exemplar| times.contains(&exemplar.timestamp));
    }
}

/// Histograms of a series that are none.
#[derive(Debug, Default)]
pub(crate) struct Unsound {
    pub(crate) count: usize,
    /// Why the first is none.
    first: Option<String>,
}

/// Reads a decompressed message. Samples that lie outside `times` are refused; all others are taken, whatever their age
/// and order.
///
/// # Errors
/// [`DecodeError`]: then nothing is taken.
pub fn decode(
    message: Message,
    body: &[u8],
    limits: Limits,
    times: &RangeInclusive<TimestampMs>,
) -> Result<WriteRequest, DecodeError> {
    if body.len() > limits.decoded_bytes_max {
        return Err(DecodeError::DecodedSize(limits.decoded_bytes_max));
    }
    let budget = Budget::new(limits);
    match message {
        Message::V1 => v1::decode(body, budget, times),
        Message::V2 => v2::decode(body, budget, times),
    }
}
