//! Merging what several places hold of one series: the sorted union by timestamp (P13).

use std::cmp::Ordering;
use std::sync::Arc;

use model::{Exemplar, FloatHistogram, TimestampMs};
use storage::{HistogramColumn, Series, SeriesExemplars};

use crate::block::{histogram_hash, sample_hash};

/// One sample's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sample {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

impl Sample {
    /// What the sample adds to a set hash.
    pub(crate) fn hash(&self, labels_hash: u64, timestamp: TimestampMs) -> u128 {
        match self {
            Self::Float(value) => sample_hash(labels_hash, timestamp, value.to_bits()),
            Self::Histogram(histogram) => histogram_hash(labels_hash, timestamp, histogram),
        }
    }
}

/// The samples of all `parts`, which are of one series, in order of time. Of samples with the same timestamp, of whatever
/// kind, the one in the earliest part counts, and in one part the float; the others are reported to `on_duplicate`.
/// `None` without parts.
pub(crate) fn merge_series(
    mut parts: Vec<Series>,
    on_duplicate: &mut dyn FnMut(TimestampMs, Sample),
) -> Option<Series> {
    let histograms = parts.iter().any(|part| !part.histograms.timestamps.is_empty());
    if parts.len() <= 1 && !histograms {
        return parts.pop();
    }
    if histograms {
        return merge_samples(parts, on_duplicate);
    }
    let count = parts.iter().map(|part| part.timestamps.len()).sum();
    let mut samples: Vec<(TimestampMs, f64)> = Vec::with_capacity(count);
    for part in &parts {
        samples.extend(part.timestamps.iter().copied().zip(part.values.iter().copied()));
    }
    settle(&mut samples, &mut |timestamp, value| on_duplicate(timestamp, Sample::Float(*value)));
    let labels = parts.pop()?.labels;
    let timestamps = samples.iter().map(|(timestamp, _)| *timestamp).collect();
    Some(Series::floats(labels, timestamps, samples.iter().map(|(_, value)| *value).collect()))
}

/// As [`merge_series`], where there are histograms.
fn merge_samples(
    mut parts: Vec<Series>,
    on_duplicate: &mut dyn FnMut(TimestampMs, Sample),
) -> Option<Series> {
    let count = parts.iter().map(Series::sample_count).sum();
    let mut samples: Vec<(TimestampMs, Sample)> = Vec::with_capacity(count);
    for part in &parts {
        let floats = part.timestamps.iter().zip(part.values.iter());
        samples.extend(floats.map(|(timestamp, value)| (*timestamp, Sample::Float(*value))));
        let histograms = part.histograms.timestamps.iter().zip(part.histograms.values.iter());
        samples
            .extend(histograms.map(|(timestamp, value)| (*timestamp, Sample::Histogram(Arc::clone(value)))));
    }
    settle(&mut samples, &mut |timestamp, sample| on_duplicate(timestamp, sample.clone()));
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    let (mut histogram_timestamps, mut histograms) = (Vec::new(), Vec::new());
    for (timestamp, sample) in samples {
        match sample {
            Sample::Float(value) => {
                timestamps.push(timestamp);
                values.push(value);
            }
            Sample::Histogram(histogram) => {
                histogram_timestamps.push(timestamp);
                histograms.push(histogram);
            }
        }
    }
    Some(Series {
        labels: parts.pop()?.labels,
        timestamps: timestamps.into(),
        values: values.into(),
        histograms: HistogramColumn { timestamps: histogram_timestamps.into(), values: histograms.into() },
        start_timestamps: storage::StartTimestamps::default(),
    })
}

/// Sorts samples that are listed by precedence, and keeps the first of each instant.
fn settle<T>(samples: &mut Vec<(TimestampMs, T)>, on_duplicate: &mut dyn FnMut(TimestampMs, &T)) {
    if samples.is_sorted_by(|a, b| a.0 < b.0) {
        return;
    }
    // Stable, so that earlier parts stay first; and the parts are runs, which it is fast with.
    samples.sort_by_key(|(timestamp, _)| *timestamp);
    samples.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            on_duplicate(later.0, &later.1);
        }
        same
    });
}

/// The exemplars of all `parts`, which are of one series, in order of time; equal ones once, and the others reported to
/// `on_duplicate`. `None` without parts.
pub(crate) fn merge_exemplars(
    mut parts: Vec<SeriesExemplars>,
    on_duplicate: &mut dyn FnMut(&Exemplar),
) -> Option<SeriesExemplars> {
    let mut exemplars: Vec<Exemplar> =
        parts.iter_mut().flat_map(|part| std::mem::take(&mut part.exemplars)).collect();
    exemplars.sort_by(compare_exemplars);
    exemplars.dedup_by(|later, kept| {
        let same = compare_exemplars(later, kept).is_eq();
        if same {
            on_duplicate(later);
        }
        same
    });
    Some(SeriesExemplars { labels: parts.pop()?.labels, exemplars })
}

/// The order of one series' exemplars: by time, then by labels and value, so that equal ones are neighbours.
fn compare_exemplars(a: &Exemplar, b: &Exemplar) -> Ordering {
    let by_value = || a.value.to_bits().cmp(&b.value.to_bits());
    a.timestamp.cmp(&b.timestamp).then_with(|| a.labels.cmp(&b.labels)).then_with(by_value)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use model::Labels;
    use proptest::prelude::*;

    use super::*;

    /// A series of samples by instant; those with odd values are histograms.
    fn series(samples: &BTreeMap<i64, u8>) -> Series {
        let is_float = |(_, value): &(&i64, &u8)| **value % 2 == 0;
        let floats = || samples.iter().filter(is_float);
        let histograms = || samples.iter().filter(|sample| !is_float(sample));
        Series {
            histograms: HistogramColumn {
                timestamps: histograms().map(|(timestamp, _)| *timestamp).collect(),
                values: histograms().map(|(_, value)| Arc::new(histogram(*value))).collect(),
            },
            ..Series::floats(
                Labels::from_pairs([("__name__", "x")]),
                floats().map(|(timestamp, _)| *timestamp).collect(),
                floats().map(|(_, value)| f64::from(*value)).collect(),
            )
        }
    }

    fn histogram(value: u8) -> FloatHistogram {
        FloatHistogram { count: f64::from(value), ..FloatHistogram::default() }
    }

    fn number(sample: &Sample) -> u8 {
        match sample {
            Sample::Float(value) => *value as u8,
            Sample::Histogram(histogram) => histogram.count as u8,
        }
    }

    fn samples(series: &Series) -> Vec<(i64, u8)> {
        let floats = series.timestamps.iter().zip(series.values.iter()).map(|(t, v)| (*t, *v as u8));
        let histograms = series.histograms.timestamps.iter().zip(series.histograms.values.iter());
        let mut all: Vec<(i64, u8)> = floats.chain(histograms.map(|(t, h)| (*t, h.count as u8))).collect();
        all.sort_unstable();
        all
    }

    proptest! {
        #[test]
        fn merging_is_the_sorted_union_where_earlier_parts_win(
            parts in proptest::collection::vec(
                proptest::collection::btree_map(0i64..30, 0u8..20, 1..10), 1..6),
            floats_only in any::<bool>(),
        ) {
            let mut parts = parts;
            if floats_only {
                parts.iter_mut().flat_map(BTreeMap::values_mut).for_each(|value| *value &= 0xfe);
            }
            let mut duplicates = Vec::new();
            let merged = merge_series(parts.iter().map(series).collect(), &mut |time, value| {
                duplicates.push((time, number(&value)));
            }).unwrap();
            let mut expected = BTreeMap::new();
            let mut lost = Vec::new();
            for (time, value) in parts.iter().flatten() {
                if expected.contains_key(time) {
                    lost.push((*time, *value));
                } else {
                    expected.insert(*time, *value);
                }
            }
            prop_assert!(merged.timestamps.is_sorted_by(|a, b| a < b));
            prop_assert!(merged.histograms.timestamps.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(samples(&merged), expected.into_iter().collect::<Vec<_>>());
            duplicates.sort_unstable();
            lost.sort_unstable();
            prop_assert_eq!(duplicates, lost);
        }

        #[test]
        fn exemplars_are_kept_once_and_every_other_one_is_reported(
            parts in proptest::collection::vec(proptest::collection::vec((0i64..4, 0u8..3, 0u8..3), 0..6), 1..4)
        ) {
            let exemplar = |(timestamp, value, trace): &(i64, u8, u8)| Exemplar {
                labels: Labels::from_pairs([("trace_id", trace.to_string())]),
                value: f64::from(*value),
                timestamp: *timestamp,
            };
            let labels = Labels::from_pairs([("__name__", "x")]);
            let of_part = |part: &Vec<(i64, u8, u8)>| SeriesExemplars {
                labels: labels.clone(),
                exemplars: part.iter().map(exemplar).collect(),
            };
            let mut duplicates = 0;
            let merged = merge_exemplars(parts.iter().map(of_part).collect(), &mut |_| duplicates += 1).unwrap();
            let distinct: BTreeSet<(i64, u8, u8)> = parts.iter().flatten().copied().collect();
            let total: usize = parts.iter().map(Vec::len).sum();
            prop_assert_eq!(merged.exemplars.len() + duplicates, total);
            prop_assert_eq!(merged.exemplars.len(), distinct.len());
            prop_assert!(distinct.iter().map(exemplar).all(|one| merged.exemplars.contains(&one)));
            prop_assert!(merged.exemplars.is_sorted_by_key(|exemplar| exemplar.timestamp));
        }
    }
}
