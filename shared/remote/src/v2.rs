//! `io.prometheus.write.v2.Request`: strings are sent once and referred to. Source: `writeHandler.appendV2` of Prometheus.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use model::metadata::MetricType;
use model::{Exemplar, Labels, Metadata, TimestampMs};

use crate::labels::{InvalidLabels, SentLabels};
use crate::limits::{Budget, Exceeded};
use crate::proto::{Field, Fields, Malformed};
use crate::request::{DecodeError, TimeSeries, Unsound, WriteRequest};
use crate::v1::{metric_type, sample};

/// More symbols than this are not looked at.
const SYMBOLS_MAX: usize = 2_000_000;
/// Metadata of more families than this is not kept.
const FAMILIES_MAX: usize = 100_000;

pub(crate) fn decode(
    body: &[u8],
    budget: Budget,
    times: &RangeInclusive<TimestampMs>,
) -> Result<WriteRequest, DecodeError> {
    // Symbols come first in every sender's messages; protobuf does not promise it.
    let mut symbols: Vec<&[u8]> = Vec::new();
    let mut fields = Fields::of(body, "Request");
    while let Some(field) = fields.next()? {
        if field.number == 4 {
            if symbols.len() == SYMBOLS_MAX {
                return Err(Exceeded("symbols", SYMBOLS_MAX).into());
            }
            symbols.push(field.bytes()?);
        }
    }
    let mut decoder = Decoder {
        symbols,
        budget,
        times: times.clone(),
        request: WriteRequest::default(),
        families: BTreeSet::new(),
    };
    let mut fields = Fields::of(body, "Request");
    while let Some(field) = fields.next()? {
        if field.number == 5 {
            decoder.budget.series()?;
            decoder.series(field.bytes()?)?;
        }
    }
    Ok(decoder.request)
}

struct Decoder<'a> {
    symbols: Vec<&'a [u8]>,
    budget: Budget,
    times: RangeInclusive<TimestampMs>,
    request: WriteRequest,
    families: BTreeSet<String>,
}

/// A `TimeSeries` as it was sent.
#[derive(Default)]
struct Sent<'a> {
    refs: Vec<u32>,
    series: TimeSeries,
    unsound: Unsound,
    exemplars: Vec<&'a [u8]>,
    metadata: SentMetadata,
}

#[derive(Default)]
struct SentMetadata {
    kind: MetricType,
    help_ref: u32,
    unit_ref: u32,
}

impl<'a> Decoder<'a> {
    fn series(&mut self, message: &'a [u8]) -> Result<(), DecodeError> {
        let Sent { refs, mut series, unsound, exemplars, metadata } = self.read(message)?;
        let sent = series.samples.len() + series.histograms.len() + unsound.count;
        let labels = match self.desymbolize(&refs) {
            Ok(labels) => labels,
            Err(error) => {
                self.request.refused.invalid_labels += sent as u64;
                self.request.refused.add(|| format!("parsing labels for series {refs:?}: {error}"));
                return Ok(());
            }
        };
        let (help, unit) = match self.texts(&metadata) {
            Ok(texts) => texts,
            Err(error) => {
                self.request.refused.add(|| format!("parsing metadata for series {refs:?}: {error}"));
                return Ok(());
            }
        };
        self.budget.text(labels.text_bytes())?;
        let refused = &mut self.request.refused;
        series.labels = match labels.clone().series() {
            Ok(labels) => labels,
            Err(error) => {
                refused.invalid_labels += sent as u64;
                refused.add(|| match error {
                    InvalidLabels::Invalid => {
                        format!("invalid metric name or labels, got {}", labels.shown())
                    }
                    InvalidLabels::Duplicate(name) => format!(
                        "invalid labels for series, labels {}, duplicated label {name}",
                        labels.shown()
                    ),
                });
                return Ok(());
            }
        };
        // Prometheus's own sender puts exemplars into series of their own, though its receiver refuses such series.
        if sent == 0 && exemplars.is_empty() {
            let labels = &series.labels;
            refused.add(|| {
                format!("TimeSeries must contain at least one sample or histogram for series {labels}")
            });
            return Ok(());
        }
        for message in exemplars {
            let exemplar = self.exemplar(message, &series.labels)?;
            series.exemplars.extend(exemplar);
        }
        series.refuse(&self.times, &unsound, &mut self.request.refused);
        self.keep_metadata(metadata.kind, help, unit, &series.labels)?;
        self.request.series.push(series);
        Ok(())
    }

    fn read(&mut self, message: &'a [u8]) -> Result<Sent<'a>, DecodeError> {
        let mut sent = Sent::default();
        let mut fields = Fields::of(message, "TimeSeries");
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.refs(&field, &mut sent.refs)?,
                2 => {
                    self.budget.sample()?;
                    sent.series.samples.push(sample(&field)?);
                }
                3 => sent.series.push_histogram(field.bytes()?, &mut self.budget, &mut sent.unsound)?,
                4 => {
                    self.budget.sample()?;
                    sent.exemplars.push(field.bytes()?);
                }
                5 => sent.metadata = metadata(&field)?,
                _ => {}
            }
        }
        Ok(sent)
    }

    fn refs(&self, field: &Field<'_>, into: &mut Vec<u32>) -> Result<(), DecodeError> {
        for value in field.varints()? {
            if into.len() >= self.budget.labels_max().saturating_mul(2) {
                return Err(Exceeded("labels of one series", self.budget.labels_max()).into());
            }
            into.push(value? as u32);
        }
        Ok(())
    }

    fn symbol(&self, at: u32) -> Option<&'a [u8]> {
        self.symbols.get(at as usize).copied()
    }

    fn desymbolize(&self, refs: &[u32]) -> Result<SentLabels<'a>, String> {
        if !refs.len().is_multiple_of(2) {
            return Err(format!("invalid labelRefs length {}", refs.len()));
        }
        let mut labels = Vec::with_capacity(refs.len() / 2);
        for pair in refs.chunks_exact(2) {
            let &[name, value] = pair else { continue };
            let symbol = |at: u32, what: &str| {
                self.symbol(at).ok_or_else(|| {
                    let size = self.symbols.len();
                    format!("labelRefs {name} ({what}) = {at} outside of symbols table (size {size})")
                })
            };
            labels.push((symbol(name, "name")?, symbol(value, "value")?));
        }
        Ok(SentLabels(labels))
    }

    fn texts(&self, metadata: &SentMetadata) -> Result<(&'a [u8], &'a [u8]), String> {
        let outside = |what: &str, at: u32| {
            format!("metadata {what} {at} outside of symbols table (size {})", self.symbols.len())
        };
        let unit = self.symbol(metadata.unit_ref).ok_or_else(|| outside("unit_ref", metadata.unit_ref))?;
        let help = self.symbol(metadata.help_ref).ok_or_else(|| outside("help_ref", metadata.help_ref))?;
        Ok((help, unit))
    }

    fn exemplar(&mut self, message: &[u8], series: &Labels) -> Result<Option<Exemplar>, DecodeError> {
        let mut refs = Vec::new();
        let (mut value, mut timestamp) = (0.0, 0);
        let mut fields = Fields::of(message, "Exemplar");
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.refs(&field, &mut refs)?,
                2 => value = field.double()?,
                3 => timestamp = field.int64()?,
                _ => {}
            }
        }
        let sent = match self.desymbolize(&refs) {
            Ok(sent) => sent,
            Err(error) => {
                self.request.refused.add(|| format!("parsing exemplar for series {series}: {error}"));
                return Ok(None);
            }
        };
        let Some(labels) = sent.exemplar() else { return Ok(None) };
        self.budget.text(labels.size_bytes())?;
        Ok(Some(Exemplar { labels, value, timestamp }))
    }

    /// What is said of a series is kept of its family, the first time.
    fn keep_metadata(
        &mut self,
        kind: MetricType,
        help: &[u8],
        unit: &[u8],
        series: &Labels,
    ) -> Result<(), DecodeError> {
        if (kind == MetricType::Unknown && help.is_empty() && unit.is_empty())
            || self.families.len() == FAMILIES_MAX
        {
            return Ok(());
        }
        let family = family_of(series.metric_name(), kind);
        let (Ok(help), Ok(unit)) = (std::str::from_utf8(help), std::str::from_utf8(unit)) else {
            return Ok(());
        };
        if self.families.contains(family) {
            return Ok(());
        }
        self.budget.text(2 * family.len() + help.len() + unit.len())?;
        self.families.insert(family.to_owned());
        self.request.metadata.push(Metadata {
            metric_family: family.to_owned(),
            kind,
            help: help.to_owned(),
            unit: unit.to_owned(),
        });
        Ok(())
    }
}

fn metadata(field: &Field<'_>) -> Result<SentMetadata, Malformed> {
    let mut metadata = SentMetadata::default();
    let mut fields = Fields::of(field.bytes()?, "Metadata");
    while let Some(field) = fields.next()? {
        match field.number {
            1 => metadata.kind = metric_type(field.varint()?),
            3 => metadata.help_ref = field.uint32()?,
            4 => metadata.unit_ref = field.uint32()?,
            _ => {}
        }
    }
    Ok(metadata)
}

/// The family that a series of a classic histogram or summary belongs to.
fn family_of(metric: &str, kind: MetricType) -> &str {
    let suffixes: &[&str] = match kind {
        MetricType::Histogram | MetricType::GaugeHistogram => &["_bucket", "_count", "_sum"],
        MetricType::Summary => &["_count", "_sum"],
        _ => &[],
    };
    let family = suffixes.iter().find_map(|suffix| metric.strip_suffix(suffix));
    family.filter(|family| !family.is_empty()).unwrap_or(metric)
}
