//! From a body to samples. Source: `scrapeLoopAppender.append` of Prometheus.

use std::sync::Arc;

use model::{Metadata, TimestampMs};
use storage::ScrapeSample;
use textparse::{Event, Parser, Series};

use crate::cache::TargetCache;
use crate::error::ScrapeError;
use crate::metadata::MetadataLines;

/// How far in the future a sample's own timestamp may lie, ms: `maxAheadTime` of Prometheus.
const AHEAD_MS_MAX: i64 = 10 * 60 * 1000;
/// How far in the past, ms: what Prometheus's head accepts by default, half a block of two hours.
const BEHIND_MS_MAX: i64 = 60 * 60 * 1000;

/// What a body is read under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyRules {
    /// The scrape's instant, ms.
    pub(crate) timestamp: TimestampMs,
    pub(crate) honor_timestamps: bool,
    /// `sample_limit`; 0 for none.
    pub(crate) samples_max: u64,
}

/// What was counted on the way; it is reported for failed scrapes too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BodyCounts {
    /// Samples in the body.
    pub(crate) scraped: u64,
    /// Those that relabelling has left.
    pub(crate) post_relabelling: u64,
    /// Series that the scrape before did not have.
    pub(crate) series_added: u64,
    pub(crate) duplicate: u64,
    pub(crate) out_of_order: u64,
    pub(crate) out_of_bounds: u64,
}

/// What a body gives.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Of every series at most one.
    pub(crate) samples: Vec<ScrapeSample>,
    pub(crate) metadata: Arc<[Metadata]>,
}

/// What is in `body`, or why there is nothing.
pub(crate) fn read_body(
    body: &[u8],
    rules: BodyRules,
    cache: &mut TargetCache,
) -> (BodyCounts, Result<Contents, ScrapeError>) {
    let mut lines = MetadataLines::default();
    let samples = Vec::with_capacity(cache.size_hint());
    let mut reader = BodyReader { rules, cache, samples, counts: BodyCounts::default(), appended: 0 };
    let result = reader.read(body, &mut lines);
    let BodyReader { samples, counts, cache, .. } = reader;
    // A body without a byte says nothing about which series there are.
    cache.end_scrape(result.is_ok() && !body.is_empty());
    let contents = result.map(|()| Contents { samples, metadata: lines.finish(&mut cache.metadata) });
    (counts, contents)
}

struct BodyReader<'c> {
    rules: BodyRules,
    cache: &'c mut TargetCache,
    samples: Vec<ScrapeSample>,
    counts: BodyCounts,
    /// Samples that count towards `sample_limit`.
    appended: u64,
}

impl BodyReader<'_> {
    fn read<'b>(&mut self, body: &'b [u8], lines: &mut MetadataLines<'b>) -> Result<(), ScrapeError> {
        for event in Parser::new(body) {
            match event? {
                Event::Series(series) => self.add(&series)?,
                other => lines.add(&other),
            }
        }
        // Only now, so that the report says how many samples there were.
        if self.over_limit() { Err(ScrapeError::SampleLimit) } else { Ok(()) }
    }

    fn add(&mut self, exposed: &Series<'_>) -> Result<(), ScrapeError> {
        self.counts.scraped += 1;
        let Some(series) = self.cache.resolve(exposed)? else { return Ok(()) };
        self.counts.post_relabelling += 1;
        let timestamp = exposed.timestamp.filter(|_| self.rules.honor_timestamps);
        let earlier = self.cache.sample_of(series);
        if earlier.is_some() && timestamp.is_none() {
            self.counts.duplicate += 1;
            return Ok(());
        }
        self.appended += 1;
        if self.over_limit() {
            return Ok(());
        }
        if timestamp.is_some_and(|timestamp| self.is_out_of_bounds(timestamp)) {
            self.counts.out_of_bounds += 1;
            return Ok(());
        }
        match earlier.and_then(|at| self.samples.get_mut(at)) {
            Some(earlier) => {
                let default = self.rules.timestamp;
                let (old, new) = (earlier.timestamp.unwrap_or(default), timestamp.unwrap_or(default));
                match new.cmp(&old) {
                    std::cmp::Ordering::Less => self.counts.out_of_order += 1,
                    std::cmp::Ordering::Equal => self.counts.duplicate += 1,
                    // A scrape has one sample a series, and the newest says how things are.
                    std::cmp::Ordering::Greater => {
                        earlier.value = exposed.value;
                        earlier.timestamp = timestamp;
                    }
                }
            }
            None => {
                let Some(labels) = self.cache.series(series).map(|series| series.labels.clone()) else {
                    return Ok(());
                };
                self.counts.series_added += u64::from(self.cache.note_sample(series, self.samples.len()));
                self.samples.push(ScrapeSample { labels, value: exposed.value, timestamp });
            }
        }
        Ok(())
    }

    fn over_limit(&self) -> bool {
        self.rules.samples_max > 0 && self.appended > self.rules.samples_max
    }

    fn is_out_of_bounds(&self, timestamp: TimestampMs) -> bool {
        let ahead = timestamp.saturating_sub(self.rules.timestamp);
        !(-BEHIND_MS_MAX..=AHEAD_MS_MAX).contains(&ahead)
    }
}
