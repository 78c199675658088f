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
/// Series of one scrape, whatever `sample_limit` is: half of what a store reads back of one source.
pub(crate) const SERIES_MAX: u64 = 1 << 21;
/// Bytes of the labels of one scrape: half of what a store reads back of one source.
pub(crate) const LABEL_BYTES_MAX: usize = 256 << 20;

/// What a body is read under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyRules {
    /// The scrape's instant, ms.
    pub(crate) timestamp: TimestampMs,
    pub(crate) honor_timestamps: bool,
    /// `sample_limit`; 0 for none.
    pub(crate) samples_max: u64,
    /// More series than a store takes of one target.
    pub(crate) series_max: u64,
    /// More label text than a store takes of one target, bytes.
    pub(crate) label_bytes_max: usize,
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
    let counts = BodyCounts::default();
    let mut reader = BodyReader { rules, cache, samples, counts, appended: 0, label_bytes: 0 };
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
    /// Bytes of the samples' labels.
    label_bytes: usize,
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
                self.label_bytes = self.label_bytes.saturating_add(labels.size_bytes());
                self.samples.push(ScrapeSample { labels, value: exposed.value, timestamp });
            }
        }
        Ok(())
    }

    fn over_limit(&self) -> bool {
        (self.rules.samples_max > 0 && self.appended > self.rules.samples_max)
            || self.appended > self.rules.series_max
            || self.label_bytes > self.rules.label_bytes_max
    }

    fn is_out_of_bounds(&self, timestamp: TimestampMs) -> bool {
        let ahead = timestamp.saturating_sub(self.rules.timestamp);
        !(-BEHIND_MS_MAX..=AHEAD_MS_MAX).contains(&ahead)
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;
    use crate::labels::Recipe;

    #[test]
    fn what_a_store_could_not_read_back_is_over_the_limit_without_a_sample_limit() {
        let read = |series_max, label_bytes_max| {
            let rules = BodyRules {
                timestamp: 0,
                honor_timestamps: true,
                samples_max: 0,
                series_max,
                label_bytes_max,
            };
            let recipe = Recipe {
                target: Labels::default(),
                honor_labels: false,
                relabel_configs: vec![],
                labels_max: 0,
                label_name_bytes_max: 0,
                label_value_bytes_max: 0,
            };
            let mut cache = TargetCache::new(recipe);
            read_body(b"a{l=\"12345678\"} 1\nb 1\n", rules, &mut cache)
                .1
                .map(|contents| contents.samples.len())
        };
        assert!(matches!(read(2, 100), Ok(2)));
        assert!(matches!(read(1, 100), Err(ScrapeError::SampleLimit)));
        assert!(matches!(read(2, 20), Err(ScrapeError::SampleLimit)));
    }
}
