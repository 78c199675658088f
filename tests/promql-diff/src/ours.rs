//! foxfire's engine over the same samples, answering in the same shape.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Labels;
use prometheus_engine::{Answer, Point, Request, ResultSeries, Series};
use promql::{EngineOptions, Features, Interrupt, Plan, QueryError, QueryTime, QueryValue};
use storage::{Select, SeriesSet};

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
            storage::Series::floats(
                series.labels.clone(),
                series.timestamps.get(first..next).unwrap_or_default().into(),
                series.values.get(first..next).unwrap_or_default().into(),
            )
        });
        trimmed.filter(|series| !series.timestamps.is_empty()).collect()
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
                    points: vec![float(sample.timestamp, sample.value)],
                });
                answer.series = series.collect();
            }
            QueryValue::Matrix(matrix) => {
                answer.kind = "matrix".to_owned();
                let series = matrix.into_iter().map(|series| ResultSeries {
                    labels: map(&series.labels),
                    points: series.points.into_iter().map(|(t, f)| float(t, f)).collect(),
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
            ..Features::default()
        },
        ..EngineOptions::default()
    }
}

fn stored(series: &Series) -> storage::Series {
    let labels = series.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let values = Arc::from(series.f.clone());
    storage::Series::floats(Labels::from_pairs(labels), Arc::from(series.t.clone()), values)
}

fn map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
