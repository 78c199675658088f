//! A pushed request as [`Scrape`]s: what a target's series were at one instant compresses far better than one sample after
//! the other.
//!
//! Senders cut their queues into requests without regard to targets, so a request has some of the series of some targets.
//! Series are put together by target (labels `job` and `instance`), then by instant. The source, which decides what is
//! written as a difference to what, is named by the target and by the least hash among the series: a sender's queue
//! that has the same part of a target each time gets the same source each time, without anybody remembering it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Exemplar, FloatHistogram, Labels, TimestampMs};
use remote::{TimeSeries, WriteRequest};
use storage::{Coverage, Scrape, ScrapeExemplar, ScrapeHistogram, ScrapeSample, SourceId};
use xxhash_rust::xxh3::xxh3_64;

/// A segment notes for each scrape which series of its source it lacks. So many notes a sample are accepted before
/// instants are put together that differ.
const NOTES_PER_SAMPLE_MAX: usize = 4;

/// One value of either kind.
#[derive(Clone, Debug)]
enum Value {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

/// What a request has of one series: values by instant; of several at one instant the first counts, as in a store.
#[derive(Debug, Default)]
struct Points {
    values: BTreeMap<TimestampMs, Value>,
    exemplars: Vec<Exemplar>,
}

/// The series of a request that belong to one target.
type Target = BTreeMap<Labels, Points>;

/// The scrapes that a request amounts to; `now`, ms, is the instant of what has none: metadata. No sample and no exemplar is
/// in two of them, and none has a series twice.
#[must_use]
pub fn scrapes(request: WriteRequest, now: TimestampMs) -> Vec<Scrape> {
    let mut targets: BTreeMap<Labels, Target> = BTreeMap::new();
    for series in request.series {
        let target = series.labels.project(&["instance", "job"]);
        add(targets.entry(target).or_default(), series);
    }
    let mut scrapes = Vec::new();
    for (name, target) in targets {
        let identity = identity(&name, &target);
        if affordable(&target) {
            by_instant(&identity, target, &mut scrapes);
        } else {
            by_occurrence(&identity, target, &mut scrapes);
        }
    }
    if !request.metadata.is_empty() {
        let mut families = BTreeMap::new();
        for metadata in request.metadata {
            families.entry(metadata.metric_family.clone()).or_insert(metadata);
        }
        let metadata = families.into_values().collect();
        scrapes.push(Scrape {
            source: SourceId(xxh3_64(b"metadata")),
            timestamp: now,
            metadata,
            coverage: Coverage::Partial,
            ..Scrape::default()
        });
    }
    scrapes
}

fn add(target: &mut Target, series: TimeSeries) {
    if series.samples.is_empty() && series.histograms.is_empty() && series.exemplars.is_empty() {
        return;
    }
    let points = target.entry(series.labels).or_default();
    for sample in series.samples {
        points.values.entry(sample.timestamp).or_insert(Value::Float(sample.value));
    }
    for (timestamp, histogram) in series.histograms {
        points.values.entry(timestamp).or_insert(Value::Histogram(histogram));
    }
    points.exemplars.extend(series.exemplars);
}

/// The same for the same set of series of the same target, and most likely the same where some are missing.
fn identity(name: &Labels, target: &Target) -> Vec<u8> {
    let least = target.keys().map(Labels::hash).min().unwrap_or(0);
    let mut identity = least.to_le_bytes().to_vec();
    for (name, value) in name {
        for text in [name, value] {
            identity.extend_from_slice(&(text.len() as u64).to_le_bytes());
            identity.extend_from_slice(text.as_bytes());
        }
    }
    identity
}

/// A source of a target: `part` tells scrapes apart that have very different series.
fn source(identity: &[u8], part: u32) -> SourceId {
    SourceId(xxh3_64(&[identity, &part.to_le_bytes()].concat()))
}

/// Whether a scrape for each instant takes about as much as the samples do.
fn affordable(target: &Target) -> bool {
    let samples: usize = target.values().map(|points| points.values.len()).sum();
    let instants: BTreeSet<TimestampMs> =
        target.values().flat_map(|points| points.values.keys().copied()).collect();
    instants.len().saturating_mul(target.len()) <= samples.saturating_mul(NOTES_PER_SAMPLE_MAX)
}

/// One scrape for each instant.
fn by_instant(identity: &[u8], target: Target, scrapes: &mut Vec<Scrape>) {
    let mut instants: BTreeMap<TimestampMs, Scrape> = BTreeMap::new();
    let source = source(identity, 0);
    let at = |timestamp| Scrape { source, timestamp, coverage: Coverage::Partial, ..Scrape::default() };
    for (labels, points) in target {
        // Exemplars go with their series' first sample, or stand alone.
        let home = points.values.keys().next().copied();
        let home = home.or(points.exemplars.first().map(|exemplar| exemplar.timestamp));
        for (timestamp, value) in points.values {
            let scrape = instants.entry(timestamp).or_insert_with(|| at(timestamp));
            push(scrape, &labels, timestamp, value);
        }
        if let Some(home) = home.filter(|_| !points.exemplars.is_empty()) {
            let scrape = instants.entry(home).or_insert_with(|| at(home));
            push_exemplars(scrape, &labels, points.exemplars);
        }
    }
    scrapes.extend(instants.into_values());
}

/// The first sample of every series, the second of those that have one, and so on: fewer series each time. A source of its
/// own for each halving, so that what is noted as missing is at most as much as what is there.
fn by_occurrence(identity: &[u8], target: Target, scrapes: &mut Vec<Scrape>) {
    let mut rows: Vec<Scrape> = Vec::new();
    for (labels, points) in target {
        for (row, (timestamp, value)) in points.values.into_iter().enumerate() {
            if rows.len() <= row {
                rows.push(Scrape { timestamp, coverage: Coverage::Partial, ..Scrape::default() });
            }
            if let Some(scrape) = rows.get_mut(row) {
                push(scrape, &labels, timestamp, value);
            }
        }
        if rows.is_empty() {
            rows.push(Scrape { coverage: Coverage::Partial, ..Scrape::default() });
        }
        if let Some(scrape) = rows.first_mut() {
            push_exemplars(scrape, &labels, points.exemplars);
        }
    }
    for row in &mut rows {
        row.source = source(identity, 1 + (row.samples.len() + row.histograms.len()).max(1).ilog2());
    }
    scrapes.extend(rows);
}

fn push(scrape: &mut Scrape, labels: &Labels, timestamp: TimestampMs, value: Value) {
    let own = (timestamp != scrape.timestamp).then_some(timestamp);
    let labels = labels.clone();
    match value {
        Value::Float(value) => scrape.samples.push(ScrapeSample { labels, value, timestamp: own }),
        Value::Histogram(value) => scrape.histograms.push(ScrapeHistogram { labels, value, timestamp: own }),
    }
}

fn push_exemplars(scrape: &mut Scrape, labels: &Labels, exemplars: Vec<Exemplar>) {
    scrape
        .exemplars
        .extend(exemplars.into_iter().map(|exemplar| ScrapeExemplar { series: labels.clone(), exemplar }));
}

#[cfg(test)]
mod tests;
