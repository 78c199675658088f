//! `info()`: labels of info metrics for series of the same `instance` and `job`. Source: `promql/info.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::labels::{INSTANCE_LABEL, JOB_LABEL, METRIC_NAME};
use model::{Labels, Matcher};

use crate::eval::Evaluator;
use crate::eval::column::{Steps, Vector, VectorSeries};
use crate::eval::index::LabelIndex;
use crate::plan::node::{Info, Source};
use crate::query::QueryError;

/// The labels that tell which info series belongs to a series.
const IDENTIFYING_LABELS: [&str; 2] = [INSTANCE_LABEL, JOB_LABEL];

/// The info series that can belong to one series: by identity, those of each info metric.
#[derive(Default)]
struct Candidates {
    /// For each info metric of that identity, the series, which take turns.
    by_metric: BTreeMap<String, Vec<usize>>,
}

impl Evaluator<'_> {
    /// The value of `info(…)`.
    pub(super) fn info(&mut self, call: &Info, steps: Steps) -> Result<Vector, QueryError> {
        let before = self.limits.held();
        let base = self.vector(&call.vector, steps)?;
        let is_info = |series: &VectorSeries| {
            let name = series.labels.metric_name();
            call.name_matchers.iter().all(|matcher| matcher.matches(name))
        };
        let wanted = wanted_identities(base.iter().filter(|series| !is_info(series)));
        let mut info = self.select_times(call.source, steps)?;
        info.retain(|series| is_wanted(&series.labels, &wanted));
        self.check_floats(call.source, &info, steps)?;
        let inputs = base.len() + info.len();
        check_duplicates(&base, &info)?;
        let mut identities = LabelIndex::default();
        let mut candidates: Vec<Candidates> = Vec::new();
        for (at, series) in info.iter().enumerate() {
            let number = identities.number(&series.labels.project(&IDENTIFYING_LABELS));
            if number == candidates.len() {
                candidates.push(Candidates::default());
            }
            if let Some(candidates) = candidates.get_mut(number) {
                candidates.by_metric.entry(series.labels.metric_name().to_owned()).or_default().push(at);
            }
        }
        let mut output = Vector::new();
        for series in base {
            self.limits.work(series.range().len())?;
            if is_info(&series) {
                output.push(series);
                continue;
            }
            let identity = identities.find(&series.labels.project(&IDENTIFYING_LABELS));
            let candidates = identity.and_then(|number| candidates.get(number));
            enrich(&series, candidates, &info, &call.data_matchers, &mut output)?;
        }
        self.finish(before, inputs, output, steps)
    }

    /// Info metrics are floats.
    fn check_floats(&self, source: Source, info: &Vector, steps: Steps) -> Result<(), QueryError> {
        let sets = self.sets;
        let with_histograms =
            sets.get(source.select).into_iter().flatten().filter(|s| !s.histograms.timestamps.is_empty());
        for series in with_histograms {
            let seen = super::selector::newest_samples(series, source, steps, self.lookback_ms)
                .any(|(_, sample)| matches!(sample, super::selector::Newest::Histogram(_)));
            if seen && info.iter().any(|known| known.labels == series.labels) {
                let labels = &series.labels;
                let message = format!("this should be an info metric, with float samples: {labels}");
                return Err(QueryError::Execution(message));
            }
        }
        Ok(())
    }
}

/// The values that the identifying labels have.
fn wanted_identities<'a>(
    series: impl Iterator<Item = &'a VectorSeries>,
) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut wanted: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for series in series {
        for name in IDENTIFYING_LABELS {
            if let Some(value) = series.labels.get(name) {
                wanted.entry(name).or_default().insert(value.to_owned());
            }
        }
    }
    wanted
}

fn is_wanted(labels: &Labels, wanted: &BTreeMap<&'static str, BTreeSet<String>>) -> bool {
    !wanted.is_empty() && wanted.iter().all(|(name, values)| values.contains(labels.value(name)))
}

/// At each step, the newest series of an info metric and identity counts; there must be only one.
fn check_duplicates(base: &Vector, info: &Vector) -> Result<(), QueryError> {
    let mut index = LabelIndex::default();
    let mut same: Vec<Vec<&VectorSeries>> = Vec::new();
    for series in info {
        let keys = [METRIC_NAME, INSTANCE_LABEL, JOB_LABEL];
        let number = index.number(&series.labels.project(&keys));
        match same.get_mut(number) {
            Some(series_of_key) => series_of_key.push(series),
            None => same.push(vec![series]),
        }
    }
    for series in same.iter().filter(|series| series.len() > 1) {
        let end = series.iter().map(|series| series.column.range().end).max().unwrap_or(0);
        for step in 0..end {
            let mut newest: Option<(&VectorSeries, f64)> = None;
            for (candidate, time) in
                series.iter().filter_map(|series| Some((*series, series.column.get(step)?)))
            {
                match newest {
                    Some((existing, known)) if known == time => {
                        if base.iter().any(|series| series.has(step)) {
                            let (existing, new) = (&existing.labels, &candidate.labels);
                            return Err(QueryError::Execution(format!(
                                "found duplicate series for info metric: existing {existing} @ {time}, new {new} @ {time}"
                            )));
                        }
                    }
                    Some((_, known)) if known > time => {}
                    _ => newest = Some((candidate, time)),
                }
            }
        }
    }
    Ok(())
}

/// Pushes the series with the labels of the info series that belong to it at each step.
fn enrich(
    series: &VectorSeries,
    candidates: Option<&Candidates>,
    info: &Vector,
    data_matchers: &[Matcher],
    output: &mut Vector,
) -> Result<(), QueryError> {
    // Where nothing is found and something was asked for, the series is left out.
    let needs_info = data_matchers.iter().any(|matcher| !matcher.matches_empty());
    let mut parts: Vec<(Vec<usize>, VectorSeries)> = Vec::new();
    let mut found = Vec::new();
    let mut push = |step: usize, put: &dyn Fn(&mut VectorSeries)| {
        found.clear();
        if let Some(candidates) = candidates {
            found.extend(candidates.by_metric.values().filter_map(|members| newest(members, info, step)));
        }
        if found.is_empty() && needs_info {
            return;
        }
        match parts.iter_mut().rev().find(|(known, _)| *known == found) {
            Some((_, part)) => put(part),
            None => {
                let mut part = VectorSeries { drop_name: series.drop_name, ..VectorSeries::default() };
                put(&mut part);
                parts.push((found.clone(), part));
            }
        }
    };
    for (step, value) in series.column.iter() {
        push(step, &|part| part.column.push(step, value));
    }
    for (step, histogram) in series.histograms.iter() {
        push(step, &|part| part.histograms.push(step, Arc::clone(histogram)));
    }
    for (found, part) in parts {
        let labels = enriched_labels(&series.labels, &found, info, data_matchers)?;
        output.push(VectorSeries { labels, ..part });
    }
    Ok(())
}

fn newest(members: &[usize], info: &Vector, step: usize) -> Option<usize> {
    let times = members.iter().filter_map(|at| Some((*at, info.get(*at)?.column.get(step)?)));
    times.reduce(|a, b| if b.1 > a.1 { b } else { a }).map(|(at, _)| at)
}

fn enriched_labels(
    base: &Labels,
    found: &[usize],
    info: &Vector,
    data_matchers: &[Matcher],
) -> Result<Labels, QueryError> {
    let wanted =
        |name: &str| data_matchers.is_empty() || data_matchers.iter().any(|matcher| matcher.name() == name);
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    for labels in found.iter().filter_map(|at| info.get(*at)).map(|series| &series.labels) {
        for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME && wanted(name)) {
            if added.get(name).is_some_and(|known| *known != value) {
                return Err(QueryError::Execution(format!("conflicting label: {name}")));
            }
            if base.get(name).is_none() {
                added.insert(name, value);
            }
        }
    }
    let mut builder = base.to_builder();
    for (name, value) in added {
        builder.set(name, value);
    }
    Ok(builder.build())
}
