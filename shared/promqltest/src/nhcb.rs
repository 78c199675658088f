//! Classic histograms to native ones with custom buckets. Source: `util/convertnhcb`.

use std::collections::BTreeMap;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::labels::{BUCKET_LABEL, METRIC_NAME};
use model::{FloatHistogram, Labels, Span};

use crate::script::Loaded;
use crate::series::Value;

/// A classic histogram at one instant.
#[derive(Clone, Debug, Default)]
struct Classic {
    /// Cumulative counts by the order of their bounds.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// The native histograms of the classic ones among `series`, by series and time.
///
/// # Errors
/// Where buckets are not cumulative or the count is not that of the last.
pub(crate) fn convert(series: &[Loaded]) -> Result<Vec<(Labels, i64, FloatHistogram)>, String> {
    let mut found: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for series in series {
        let name = series.labels.metric_name();
        let (base, bound) = if let Some(base) = name.strip_suffix("_bucket") {
            let Some(bound) = model::number::parse_float(series.labels.value(BUCKET_LABEL)) else { continue };
            if bound.is_nan() {
                continue;
            }
            (base, Some(bound))
        } else if let Some(base) = name.strip_suffix("_count").or_else(|| name.strip_suffix("_sum")) {
            (base, None)
        } else {
            continue;
        };
        let mut labels = series.labels.to_builder();
        labels.set(METRIC_NAME, base);
        labels.remove(BUCKET_LABEL);
        let by_time = found.entry(labels.build()).or_default();
        for (time, value, _) in &series.samples {
            let Value::Float(value) = value else { continue };
            let classic = by_time.entry(*time).or_default();
            match bound {
                Some(bound) => classic.set(bound, *value),
                None if name.ends_with("_count") => classic.count = Some(*value),
                None => classic.sum = *value,
            }
        }
    }
    let mut converted = Vec::new();
    for (labels, by_time) in found {
        for (time, classic) in by_time {
            converted.push((labels.clone(), time, classic.convert()?));
        }
    }
    Ok(converted)
}

impl Classic {
    fn set(&mut self, bound: f64, count: f64) {
        let at = self.buckets.partition_point(|(known, _)| *known < bound);
        match self.buckets.get_mut(at) {
            Some((known, old)) if *known == bound => *old = count,
            _ => self.buckets.insert(at, (bound, count)),
        }
    }

    fn convert(mut self) -> Result<FloatHistogram, String> {
        let highest = self.buckets.last().map_or(0.0, |(_, count)| *count);
        let count = self.count.unwrap_or(highest);
        if self.buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let (mut before, mut buckets) = (0.0, Vec::new());
        for (_, cumulative) in &self.buckets {
            if *cumulative < before {
                return Err("histogram bucket counts are not cumulative".to_owned());
            }
            buckets.push(cumulative - before);
            before = *cumulative;
        }
        if before != count {
            return Err("histogram count does not match the count of its buckets".to_owned());
        }
        let whole = count.fract() == 0.0 && self.buckets.iter().all(|(_, count)| count.fract() == 0.0);
        let length = u32::try_from(buckets.len()).map_err(|_| "too many buckets".to_owned())?;
        let mut histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span { offset: 0, length }],
            positive_buckets: buckets,
            custom_values: self.buckets.iter().map(|(bound, _)| *bound).filter(|b| b.is_finite()).collect(),
            ..FloatHistogram::default()
        };
        histogram.compact(if whole { 2 } else { 0 });
        Ok(histogram)
    }
}
