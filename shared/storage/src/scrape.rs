//! Writing: the complete result of one source at one instant.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{Exemplar, FloatHistogram, Labels, Metadata, TimestampMs};

/// Identifies what samples come from over time: one target of one scrape pool, one rule of one group, or one pusher.
/// A hash of the source's identity; printed as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u64);

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The *complete* result of one source at one instant: one scrape of a target, or one evaluation of a rule.
///
/// Complete means that a series which the source's previous `Scrape` had and this one lacks has ended: readers derive
/// the stale marker, at this instant, from the two. Nobody writes stale markers, so scrapers need no memory. A source
/// that is gone altogether is written as a `Scrape` without samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrape {
    /// What was scraped or evaluated.
    pub source: SourceId,
    /// The instant that all samples without one of their own have, ms.
    pub timestamp: TimestampMs,
    /// How it went; for a rule, how its evaluation went.
    pub outcome: ScrapeOutcome,
    /// Every sample with a float, report series included; label sets are unique over these and `histograms`.
    pub samples: Vec<ScrapeSample>,
    /// Every sample with a native histogram.
    pub histograms: Vec<ScrapeHistogram>,
    /// Exemplars, of series of this scrape.
    pub exemplars: Vec<ScrapeExemplar>,
    /// What the source says of its metric families; shared, since it hardly ever changes. Each family once.
    pub metadata: Arc<[Metadata]>,
    /// Whether series that are not here have ended.
    pub coverage: Coverage,
}

/// What the absence of a series from a [`Scrape`] means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coverage {
    /// It has ended: the scrape is all there is of its source at that instant.
    #[default]
    Complete,
    /// Nothing: these are samples that somebody pushed. No stale marker is derived from them, and one that was pushed is
    /// a sample among others.
    Partial,
}

/// One native histogram of a [`Scrape`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeHistogram {
    /// The series, after relabelling.
    pub labels: Labels,
    /// The histogram; sound by [`FloatHistogram::validate`].
    pub value: Arc<FloatHistogram>,
    /// As [`ScrapeSample::timestamp`].
    pub timestamp: Option<TimestampMs>,
}

/// One exemplar of a [`Scrape`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeExemplar {
    /// The series, after relabelling.
    pub series: Labels,
    /// The exemplar; where the exposition gave no instant it has that of the scrape.
    pub exemplar: Exemplar,
}

/// One sample of a [`Scrape`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeSample {
    /// The series, after relabelling.
    pub labels: Labels,
    /// The value.
    pub value: f64,
    /// The instant that the exposition gave, ms, where it gave one and it is honoured. Such a sample ends without a
    /// stale marker, as in Prometheus.
    pub timestamp: Option<TimestampMs>,
}

/// How a scrape or an evaluation went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrapeOutcome {
    /// How long it took.
    pub duration: Duration,
    /// Why it failed, in Prometheus's words; `None` where it succeeded.
    pub error: Option<String>,
}
