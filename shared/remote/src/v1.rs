//! `prometheus.WriteRequest`. Source: `writeHandler.write` of Prometheus; which, unlike this, takes nothing of a request
//! that has one sample out of bounds or one unsound histogram.

use std::ops::RangeInclusive;

use model::metadata::MetricType;
use model::{Exemplar, Metadata, TimestampMs};

use crate::labels::SentLabels;
use crate::limits::{Budget, Exceeded};
use crate::proto::{Field, Fields, Malformed};
use crate::request::{DecodeError, Sample, TimeSeries, Unsound, WriteRequest};

/// Metadata of more families than this is not looked at.
const FAMILIES_MAX: usize = 100_000;

pub(crate) fn decode(
    body: &[u8],
    mut budget: Budget,
    times: &RangeInclusive<TimestampMs>,
) -> Result<WriteRequest, DecodeError> {
    let mut request = WriteRequest::default();
    let mut fields = Fields::of(body, "WriteRequest");
    while let Some(field) = fields.next()? {
        match field.number {
            1 => {
                budget.series()?;
                series(field.bytes()?, &mut budget, times, &mut request)?;
            }
            3 if request.metadata.len() < FAMILIES_MAX => {
                request.metadata.extend(metadata(field.bytes()?, &mut budget)?);
            }
            _ => {}
        }
    }
    Ok(request)
}

fn series(
    message: &[u8],
    budget: &mut Budget,
    times: &RangeInclusive<TimestampMs>,
    request: &mut WriteRequest,
) -> Result<(), DecodeError> {
    let mut sent = SentLabels::default();
    let (mut series, mut unsound, mut exemplars) = (TimeSeries::default(), Unsound::default(), Vec::new());
    let mut fields = Fields::of(message, "TimeSeries");
    while let Some(field) = fields.next()? {
        match field.number {
            1 => label(&field, &mut sent, budget)?,
            2 => {
                budget.sample()?;
                series.samples.push(sample(&field)?);
            }
            3 => {
                budget.sample()?;
                exemplars.push(field.bytes()?);
            }
            4 => series.push_histogram(field.bytes()?, budget, &mut unsound)?,
            _ => {}
        }
    }
    budget.text(sent.text_bytes())?;
    let sent_samples = series.samples.len() + series.histograms.len() + unsound.count;
    let Ok(labels) = sent.series() else {
        request.refused.invalid_labels += sent_samples as u64;
        return Ok(());
    };
    for message in exemplars {
        series.exemplars.extend(exemplar(message, budget)?);
    }
    series.labels = labels;
    series.refuse(times, &unsound, &mut request.refused);
    request.series.push(series);
    Ok(())
}

fn label<'a>(field: &Field<'a>, into: &mut SentLabels<'a>, budget: &Budget) -> Result<(), DecodeError> {
    if into.0.len() == budget.labels_max() {
        return Err(Exceeded("labels of one series", budget.labels_max()).into());
    }
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut fields = Fields::of(field.bytes()?, "Label");
    while let Some(field) = fields.next()? {
        match field.number {
            1 => name = field.bytes()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    into.0.push((name, value));
    Ok(())
}

/// A `Sample`, which is the same message in both versions.
pub(crate) fn sample(field: &Field<'_>) -> Result<Sample, Malformed> {
    let mut sample = Sample { timestamp: 0, value: 0.0 };
    let mut fields = Fields::of(field.bytes()?, "Sample");
    while let Some(field) = fields.next()? {
        match field.number {
            1 => sample.value = field.double()?,
            2 => sample.timestamp = field.int64()?,
            _ => {}
        }
    }
    Ok(sample)
}

/// An exemplar, unless its labels are too long: Prometheus drops those without a word.
fn exemplar(message: &[u8], budget: &mut Budget) -> Result<Option<Exemplar>, DecodeError> {
    let mut sent = SentLabels::default();
    let (mut value, mut timestamp) = (0.0, 0);
    let mut fields = Fields::of(message, "Exemplar");
    while let Some(field) = fields.next()? {
        match field.number {
            1 => label(&field, &mut sent, budget)?,
            2 => value = field.double()?,
            3 => timestamp = field.int64()?,
            _ => {}
        }
    }
    let Some(labels) = sent.exemplar() else { return Ok(None) };
    budget.text(labels.size_bytes())?;
    Ok(Some(Exemplar { labels, value, timestamp }))
}

/// Metadata of a family, unless it is nameless or no text.
fn metadata(message: &[u8], budget: &mut Budget) -> Result<Option<Metadata>, DecodeError> {
    let mut kind = MetricType::Unknown;
    let (mut family, mut help, mut unit): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
    let mut fields = Fields::of(message, "MetricMetadata");
    while let Some(field) = fields.next()? {
        match field.number {
            1 => kind = metric_type(field.varint()?),
            2 => family = field.bytes()?,
            4 => help = field.bytes()?,
            5 => unit = field.bytes()?,
            _ => {}
        }
    }
    budget.text(family.len() + help.len() + unit.len())?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let (Some(metric_family), Some(help), Some(unit)) = (text(family), text(help), text(unit)) else {
        return Ok(None);
    };
    let metadata = Metadata { metric_family, kind, help, unit };
    Ok((!metadata.metric_family.is_empty()).then_some(metadata))
}

/// The type by its number, which is the same in both versions.
pub(crate) fn metric_type(number: u64) -> MetricType {
    match number {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::StateSet,
        _ => MetricType::Unknown,
    }
}
