//! The samples of a script, given back as Prometheus's storage gives them: what is known of counter resets of native
//! histograms follows from the chunks they would be in.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, Labels, TimestampMs};
use promql::{EngineOptions, Never, Plan, QueryError, QueryResult, QueryTime};
use storage::{HistogramColumn, Select, Series, SeriesSet, StartTimestamps};

use crate::nhcb;
use crate::script::Load;
use crate::series::Value;

#[derive(Clone, Debug)]
enum Stored {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

/// The samples.
#[derive(Clone, Debug, Default)]
pub struct Store {
    series: BTreeMap<Labels, BTreeMap<TimestampMs, (Stored, i64)>>,
}

impl Store {
    /// Adds the samples of a `load`.
    ///
    /// # Errors
    /// Where a sample is older than one of the same series, or a histogram contradicts itself.
    pub fn load(&mut self, load: &Load) -> Result<(), String> {
        for series in &load.series {
            for (time, value, start) in &series.samples {
                self.append(&series.labels, *time, value, start.unwrap_or(0))?;
            }
        }
        if load.with_nhcb {
            for (labels, time, histogram) in nhcb::convert(&load.series)? {
                self.append(&labels, time, &Value::Histogram(Arc::new(histogram), false), 0)?;
            }
        }
        Ok(())
    }

    fn append(&mut self, labels: &Labels, time: i64, value: &Value, start: i64) -> Result<(), String> {
        let samples = self.series.entry(labels.clone()).or_default();
        let last = samples.last_key_value().map(|(time, (stored, _))| (*time, stored));
        if last.is_some_and(|(last, _)| time <= last) {
            return Err(format!("out of order sample of {labels} at {time}"));
        }
        let stored = match value {
            Value::Omitted => return Ok(()),
            Value::Float(value) => match last {
                // The stale marker of a series of histograms is one.
                Some((_, Stored::Histogram(_))) if model::value::is_stale_nan(*value) => {
                    Stored::Histogram(Arc::new(FloatHistogram::stale()))
                }
                _ => Stored::Float(*value),
            },
            Value::Histogram(histogram, _) => {
                histogram.validate().map_err(|error| error.to_string())?;
                let previous = match last {
                    Some((_, Stored::Histogram(previous))) => Some(&**previous),
                    _ => None,
                };
                let mut histogram = FloatHistogram::clone(histogram);
                histogram.counter_reset_hint = read_back_hint(&histogram, previous);
                Stored::Histogram(Arc::new(histogram))
            }
        };
        samples.insert(time, (stored, start));
        Ok(())
    }

    /// What one select gives.
    fn select(&self, select: &Select) -> SeriesSet {
        if select.min_time > select.max_time {
            return SeriesSet::new();
        }
        let matching =
            self.series.iter().filter(|(labels, _)| model::matcher::matches_all(&select.matchers, labels));
        let set = matching.map(|(labels, samples)| {
            let (mut times, mut values, mut starts) = (Vec::new(), Vec::new(), Vec::new());
            let (mut h_times, mut histograms, mut h_starts) = (Vec::new(), Vec::new(), Vec::new());
            for (time, (stored, start)) in samples.range(select.min_time..=select.max_time) {
                match stored {
                    Stored::Float(value) => {
                        times.push(*time);
                        values.push(*value);
                        starts.push(*start);
                    }
                    Stored::Histogram(histogram) => {
                        h_times.push(*time);
                        histograms.push(Arc::clone(histogram));
                        h_starts.push(*start);
                    }
                }
            }
            Series {
                labels: labels.clone(),
                timestamps: times.into(),
                values: values.into(),
                histograms: HistogramColumn { timestamps: h_times.into(), values: histograms.into() },
                start_timestamps: StartTimestamps { floats: starts.into(), histograms: h_starts.into() },
            }
        });
        set.filter(|series| series.sample_count() > 0).collect()
    }

    /// Evaluates a query over the samples.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn query(
        &self,
        query: &str,
        time: QueryTime,
        options: &EngineOptions,
    ) -> Result<QueryResult, QueryError> {
        let plan = Plan::new(query, time, options)?;
        let sets = plan.selects().iter().map(|select| self.select(select)).collect();
        plan.evaluate(sets, &Never)
    }
}

/// What is known of a counter reset once the histogram was stored after `previous`: the first of a chunk says nothing, all
/// others that there was none. Source: `tsdb/chunkenc/float_histogram.go:appendable`.
fn read_back_hint(new: &FloatHistogram, previous: Option<&FloatHistogram>) -> CounterResetHint {
    if new.counter_reset_hint == CounterResetHint::Gauge {
        return CounterResetHint::Gauge;
    }
    let continues = previous.is_some_and(|previous| {
        if previous.counter_reset_hint == CounterResetHint::Gauge
            || new.counter_reset_hint == CounterResetHint::CounterReset
            || previous.is_stale() && !new.is_stale()
        {
            return false;
        }
        if new.is_stale() {
            return true;
        }
        let mut known = previous.clone();
        known.counter_reset_hint = CounterResetHint::Unknown;
        let mut next = new.clone();
        next.counter_reset_hint = CounterResetHint::Unknown;
        new.schema == previous.schema
            && new.zero_threshold == previous.zero_threshold
            && new.custom_values == previous.custom_values
            && !next.detect_reset(&known)
    });
    if continues { CounterResetHint::NotCounterReset } else { CounterResetHint::Unknown }
}
