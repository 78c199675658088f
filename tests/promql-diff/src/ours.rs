//! foxfire's engine over the same samples, answering in the same shape.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, Labels, Span};
use prometheus_engine::{Answer, Histogram, Point, Request, ResultSeries, Series};
use promql::{EngineOptions, Features, Interrupt, Plan, QueryError, QueryTime, QueryValue};
use storage::{HistogramColumn, Select, SeriesSet, StartTimestamps};

/// Samples that queries are asked of.
#[derive(Debug, Default)]
pub struct Store {
    series: Vec<storage::Series>,
}

impl Store {
    /// Takes `series` over, sorted by labels as a store gives them.
    #[must_use]
    pub fn new(series: &[Series]) -> Self {
        let mut series: Vec<storage::Series> = series.iter().map(stored).collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Self { series }
    }

    /// Exactly what a select asks for: one that asks for too little shows.
    fn select(&self, select: &Select) -> SeriesSet {
        let matching =
            self.series.iter().filter(|series| model::matcher::matches_all(&select.matchers, &series.labels));
        let trimmed = matching.map(|series| {
            let first = series.timestamps.partition_point(|time| *time < select.min_time);
            let next = series.timestamps.partition_point(|time| *time <= select.max_time).max(first);
            let histograms = &series.histograms;
            let h_first = histograms.timestamps.partition_point(|time| *time < select.min_time);
            let h_next = histograms.timestamps.partition_point(|time| *time <= select.max_time).max(h_first);
            let starts = &series.start_timestamps;
            storage::Series {
                labels: series.labels.clone(),
                timestamps: part(&series.timestamps, first..next),
                values: part(&series.values, first..next),
                histograms: HistogramColumn {
                    timestamps: part(&histograms.timestamps, h_first..h_next),
                    values: part(&histograms.values, h_first..h_next),
                },
                start_timestamps: StartTimestamps {
                    floats: part(&starts.floats, first..next),
                    histograms: part(&starts.histograms, h_first..h_next),
                },
            }
        });
        trimmed.filter(|series| series.sample_count() > 0).collect()
    }

    /// Answers as Prometheus's engine does.
    #[must_use]
    pub fn ask(&self, request: &Request, interrupt: &dyn Interrupt) -> Answer {
        match self.evaluate(request, interrupt) {
            Ok(answer) => answer,
            Err(error) => Answer { error: error.to_string(), ..Answer::default() },
        }
    }

    fn evaluate(&self, request: &Request, interrupt: &dyn Interrupt) -> Result<Answer, QueryError> {
        let time = match request.step {
            0 => QueryTime::Instant(request.start),
            step => QueryTime::Range { start: request.start, end: request.end, step },
        };
        let plan = Plan::new(&request.query, time, &options(request))?;
        let sets = plan.selects().iter().map(|select| self.select(select)).collect();
        let result = plan.evaluate(sets, interrupt)?;
        let mut answer = Answer { warnings: result.warnings, infos: result.infos, ..Answer::default() };
        let float = |t: i64, f: f64| Point { t, f, h: None };
        let histogram = |t: i64, h: &FloatHistogram| Point { t, f: 0.0, h: Some(answered(h)) };
        match result.value {
            QueryValue::Scalar { timestamp, value } => {
                answer.kind = "scalar".to_owned();
                answer.series =
                    vec![ResultSeries { labels: BTreeMap::new(), points: vec![float(timestamp, value)] }];
            }
            QueryValue::String { value, .. } => {
                answer.kind = "string".to_owned();
                answer.text = model::labels::quote_bytes(&value);
            }
            QueryValue::Vector(samples) => {
                answer.kind = "vector".to_owned();
                let series = samples.into_iter().map(|sample| ResultSeries {
                    labels: map(&sample.labels),
                    points: vec![match &sample.histogram {
                        Some(h) => histogram(sample.timestamp, h),
                        None => float(sample.timestamp, sample.value),
                    }],
                });
                answer.series = series.collect();
            }
            QueryValue::Matrix(matrix) => {
                answer.kind = "matrix".to_owned();
                let series = matrix.into_iter().map(|series| ResultSeries {
                    labels: map(&series.labels),
                    points: (series.points.iter().map(|(t, f)| float(*t, *f)))
                        .chain(series.histograms.iter().map(|(t, h)| histogram(*t, h)))
                        .collect(),
                });
                answer.series = series.collect();
            }
        }
        Ok(answer)
    }
}

fn options(request: &Request) -> EngineOptions {
    EngineOptions {
        samples_max: request.options.max_samples,
        features: Features {
            experimental_functions: true,
            extended_range_selectors: true,
            binop_fill_modifiers: true,
            delayed_name_removal: request.options.delayed_name_removal,
            use_start_timestamps: request.options.start_timestamps,
            ..Features::default()
        },
        ..EngineOptions::default()
    }
}

fn part<T: Clone>(all: &Arc<[T]>, range: Range<usize>) -> Arc<[T]> {
    Arc::from(all.get(range).unwrap_or_default())
}

fn stored(series: &Series) -> storage::Series {
    let labels = series.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut floats = (Vec::new(), Vec::new(), Vec::new());
    let mut histograms = (Vec::new(), Vec::new(), Vec::new());
    for (at, time) in series.t.iter().enumerate() {
        let start = series.st.get(at).copied();
        if let Some(Some(histogram)) = series.h.get(at) {
            histograms.0.push(*time);
            histograms.1.push(Arc::new(given(histogram)));
            histograms.2.extend(start);
        } else {
            floats.0.push(*time);
            floats.1.push(series.f.get(at).copied().unwrap_or_default());
            floats.2.extend(start);
        }
    }
    storage::Series {
        labels: Labels::from_pairs(labels),
        timestamps: floats.0.into(),
        values: floats.1.into(),
        histograms: HistogramColumn { timestamps: histograms.0.into(), values: histograms.1.into() },
        start_timestamps: StartTimestamps { floats: floats.2.into(), histograms: histograms.2.into() },
    }
}

fn given(h: &Histogram) -> FloatHistogram {
    let spans = |spans: &[(i64, i64)]| {
        spans.iter().map(|(offset, length)| Span { offset: *offset as i32, length: *length as u32 }).collect()
    };
    FloatHistogram {
        counter_reset_hint: match h.hint {
            1 => CounterResetHint::CounterReset,
            2 => CounterResetHint::NotCounterReset,
            3 => CounterResetHint::Gauge,
            _ => CounterResetHint::Unknown,
        },
        schema: h.schema,
        zero_threshold: h.zt,
        zero_count: h.zc,
        count: h.count,
        sum: h.sum,
        positive_spans: spans(&h.ps),
        negative_spans: spans(&h.ns),
        positive_buckets: h.pb.clone(),
        negative_buckets: h.nb.clone(),
        custom_values: h.cv.clone(),
    }
}

fn answered(h: &FloatHistogram) -> Histogram {
    let spans = |spans: &[Span]| spans.iter().map(|s| (i64::from(s.offset), i64::from(s.length))).collect();
    Histogram {
        hint: match h.counter_reset_hint {
            CounterResetHint::Unknown => 0,
            CounterResetHint::CounterReset => 1,
            CounterResetHint::NotCounterReset => 2,
            CounterResetHint::Gauge => 3,
        },
        schema: h.schema,
        zt: h.zero_threshold,
        zc: h.zero_count,
        count: h.count,
        sum: h.sum,
        ps: spans(&h.positive_spans),
        ns: spans(&h.negative_spans),
        pb: h.positive_buckets.clone(),
        nb: h.negative_buckets.clone(),
        cv: h.custom_values.clone(),
    }
}

fn map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
