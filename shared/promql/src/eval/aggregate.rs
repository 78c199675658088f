//! Aggregations: series fold into groups, column by column. A group's state is one entry a step.

mod histograms;

use std::collections::BTreeMap;
use std::ops::Range;

use model::Labels;
use model::labels::METRIC_NAME;

use crate::eval::Evaluator;
use crate::eval::column::{ABSENT, Column, Scalar, Steps, Vector, VectorSeries};
use crate::eval::index::LabelIndex;
use crate::eval::math::{KahanSum, Mean, quantile};
use crate::parser::ast::{AggregateOp, Span};
use crate::plan::node::{AggregateParameter, Aggregation, Grouping};
use crate::query::QueryError;

/// The groups of a vector.
pub(super) struct Groups {
    /// The labels of each.
    pub(super) labels: Vec<Labels>,
    /// The group of each series.
    pub(super) of_series: Vec<usize>,
    /// For each group, the series in it.
    pub(super) members: Vec<Vec<usize>>,
}

impl Groups {
    /// Groups the series of `vector`, in order of appearance.
    pub(super) fn new(vector: &Vector, grouping: &Grouping) -> Self {
        let mut index = LabelIndex::default();
        let mut groups =
            Self { labels: Vec::new(), of_series: Vec::with_capacity(vector.len()), members: Vec::new() };
        for (at, series) in vector.iter().enumerate() {
            let labels = grouping.project(&series.labels);
            let group = index.number(&labels);
            groups.of_series.push(group);
            match groups.members.get_mut(group) {
                Some(members) => members.push(at),
                None => {
                    groups.labels.push(labels);
                    groups.members.push(vec![at]);
                }
            }
        }
        groups
    }
}

impl Grouping {
    /// The labels that a group is told by.
    fn project(&self, labels: &Labels) -> Labels {
        let listed = |name: &str| self.labels.iter().any(|label| label == name);
        if self.without {
            labels.filtered(|name| name != METRIC_NAME && !listed(name))
        } else {
            labels.filtered(listed)
        }
    }
}

/// What an aggregation keeps of the samples of one group at one step.
trait Fold {
    type State: Clone;

    /// The state after one sample.
    fn start(value: f64) -> Self::State;
    /// Takes another sample in.
    fn add(state: &mut Self::State, value: f64);
    /// The result.
    fn finish(state: &Self::State) -> f64;
}

impl Evaluator<'_> {
    /// The value of an aggregation.
    pub(super) fn aggregate(&mut self, node: &Aggregation, steps: Steps) -> Result<Vector, QueryError> {
        use AggregateOp as Op;
        let before = self.limits.held();
        if let AggregateParameter::Label(label) = &node.parameter {
            let label = label_name(label)?;
            return self.count_values(node, label, steps);
        }
        let (parameter, span) = match &node.parameter {
            AggregateParameter::Scalar(scalar, span) => (self.scalar(scalar, steps)?, *span),
            _ => (Scalar::Constant(0.0), Span::default()),
        };
        let vector = self.vector(&node.expr, steps)?;
        self.limits.work(vector.iter().map(|series| series.range().len()).sum())?;
        if matches!(node.op, Op::TopK | Op::BottomK | Op::LimitK | Op::LimitRatio) {
            let output = self.select_k(node, &parameter, span, &vector, steps)?;
            self.limits.release_to(before);
            self.limits.hold(output.iter().map(VectorSeries::samples).sum())?;
            return Ok(output);
        }
        let groups = Groups::new(&vector, &node.grouping);
        let columns = match node.op {
            Op::Sum => fold::<Sum>(&vector, &groups),
            Op::Avg => fold::<Average>(&vector, &groups),
            Op::Min => fold::<Minimum>(&vector, &groups),
            Op::Max => fold::<Maximum>(&vector, &groups),
            Op::Count => fold::<Count>(&vector, &groups),
            Op::Stddev => fold::<Deviation>(&vector, &groups),
            Op::Stdvar => fold::<Variance>(&vector, &groups),
            Op::Quantile => {
                self.note_invalid_parameters(&parameter, span);
                quantiles(&vector, &groups, &parameter)
            }
            _ => fold::<Group>(&vector, &groups),
        };
        let mut output = Vector::with_capacity(columns.len());
        for ((column, labels), members) in columns.into_iter().zip(groups.labels).zip(&groups.members) {
            let mut series = VectorSeries::floats(labels, false, column);
            if has_histograms(&vector, members) {
                self.aggregate_histograms(node, &vector, members, &mut series);
            }
            series.drop_name = drops_name(&vector, members, &series);
            output.push(series);
        }
        output.retain(|series| !series.is_empty());
        self.limits.release_to(before);
        self.limits.hold(output.iter().map(VectorSeries::samples).sum())?;
        Ok(output)
    }

    fn note_invalid_parameters(&mut self, parameter: &Scalar, span: Span) {
        let extremes = Extremes::of(parameter);
        if extremes.any_nan {
            self.annotations.invalid_quantile(model::value::normal_nan(), span);
        }
        if extremes.max > 1.0 {
            self.annotations.invalid_quantile(extremes.max, span);
        }
        if extremes.min < 0.0 {
            self.annotations.invalid_quantile(extremes.min, span);
        }
    }

    fn count_values(&mut self, node: &Aggregation, label: &str, steps: Steps) -> Result<Vector, QueryError> {
        let before = self.limits.held();
        let vector = self.vector(&node.expr, steps)?;
        // The value replaces a label of that name, so the groups do not depend on it.
        let mut grouping = node.grouping.clone();
        let dropped = label == METRIC_NAME || grouping.labels.iter().any(|name| name == label);
        let keeps_value = !(grouping.without && dropped);
        if grouping.without {
            grouping.labels.push(label.to_owned());
        } else {
            grouping.labels.retain(|name| name != label);
        }
        let groups = Groups::new(&vector, &grouping);
        let mut index = LabelIndex::default();
        let mut known: BTreeMap<(usize, u64), usize> = BTreeMap::new();
        let mut counts: Vec<(Labels, Range<usize>, Vec<f64>)> = Vec::new();
        let mut slots = 0;
        for (series, group) in vector.iter().zip(&groups.of_series) {
            let mut number = |text: String, step: usize| {
                let mut builder = groups.labels.get(*group).cloned().unwrap_or_default().to_builder();
                if keeps_value {
                    builder.set(label, text);
                }
                let labels = builder.build();
                let at = index.number(&labels);
                if at == counts.len() {
                    counts.push((labels, step..step, Vec::new()));
                }
                at
            };
            let mut found: Vec<(usize, usize)> = Vec::new();
            for (step, value) in series.column.iter() {
                // All NaNs are written alike.
                let bits = if value.is_nan() { model::value::NORMAL_NAN_BITS } else { value.to_bits() };
                let text = || number(model::number::format_f(value), step);
                found.push((step, *known.entry((*group, bits)).or_insert_with(text)));
            }
            for (step, histogram) in series.histograms.iter() {
                found.push((step, number(histogram.to_string(), step)));
            }
            for (step, at) in found {
                if let Some((_, range, counts)) = counts.get_mut(at) {
                    slots += count_at(range, counts, step);
                }
            }
            self.limits.check_slots(slots)?;
        }
        let output = counts.into_iter().map(|(labels, range, values)| {
            VectorSeries::floats(labels, false, Column::new(range.start, values))
        });
        self.finish(before, vector.len(), output.collect(), steps)
    }
}

/// The extremes of a parameter over all steps.
pub(super) struct Extremes {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) any_nan: bool,
}

impl Extremes {
    pub(super) fn of(parameter: &Scalar) -> Self {
        use crate::eval::math::{go_max, go_min};
        match parameter {
            Scalar::Constant(value) => Self { min: *value, max: *value, any_nan: value.is_nan() },
            Scalar::Steps(values) => Self {
                min: values.iter().copied().fold(f64::MAX, go_min),
                max: values.iter().copied().fold(f64::MIN, go_max),
                any_nan: values.iter().any(|value| value.is_nan()),
            },
        }
    }
}

fn label_name(name: &[u8]) -> Result<&str, QueryError> {
    match std::str::from_utf8(name) {
        Ok(text) if !text.is_empty() => Ok(text),
        _ => Err(QueryError::Execution(format!("invalid label name {}", quote_bytes(name)))),
    }
}

/// Go's `%q` of bytes that may be no text.
fn quote_bytes(mut bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    loop {
        let valid = match std::str::from_utf8(bytes) {
            Ok(_) => bytes.len(),
            Err(error) => error.valid_up_to(),
        };
        let (text, rest) = bytes.split_at(valid);
        let quoted = model::labels::quote(&String::from_utf8_lossy(text));
        out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
        let Some((byte, rest)) = rest.split_first() else { break };
        out.push_str(&format!("\\x{byte:02x}"));
        bytes = rest;
    }
    out.push('"');
    out
}

/// Counts one at `step`, growing `values`, which cover `range`, in either direction. By how much they grew.
fn count_at(range: &mut Range<usize>, values: &mut Vec<f64>, step: usize) -> usize {
    let before = values.len();
    if values.is_empty() {
        *range = step..step;
    }
    if step < range.start {
        values.splice(0..0, std::iter::repeat_n(ABSENT, range.start - step));
        range.start = step;
    }
    if step >= range.end {
        values.resize(step + 1 - range.start, ABSENT);
        range.end = step + 1;
    }
    if let Some(count) = values.get_mut(step - range.start) {
        *count = if super::column::is_absent(*count) { 1.0 } else { *count + 1.0 };
    }
    values.len() - before
}

/// Whether a group's result is to lose its name: if a member that it had at its last step is to.
fn drops_name(vector: &Vector, members: &[usize], result: &VectorSeries) -> bool {
    let dropping = |at: &&usize| vector.get(**at).is_some_and(|series| series.drop_name);
    let mut dropping = members.iter().filter(dropping).peekable();
    if dropping.peek().is_none() {
        return false;
    }
    let Some(last) = result.present().max() else { return false };
    dropping.any(|at| vector.get(*at).is_some_and(|series| series.has(last)))
}

fn has_histograms(vector: &Vector, members: &[usize]) -> bool {
    members.iter().filter_map(|at| vector.get(*at)).any(|series| !series.histograms.is_empty())
}

/// The steps that the members of a group have values at.
pub(super) fn range_of(vector: &Vector, members: &[usize]) -> Range<usize> {
    let ranges = members.iter().filter_map(|at| vector.get(*at)).map(VectorSeries::range);
    let ranges = ranges.filter(|range| !range.is_empty());
    ranges.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0)
}

fn fold<F: Fold>(vector: &Vector, groups: &Groups) -> Vec<Column> {
    groups.members.iter().map(|members| fold_group::<F>(vector, members)).collect()
}

fn fold_group<F: Fold>(vector: &Vector, members: &[usize]) -> Column {
    let range = range_of(vector, members);
    let mut states: Vec<Option<F::State>> = vec![None; range.len()];
    for series in members.iter().filter_map(|at| vector.get(*at)) {
        for (step, value) in series.column.iter() {
            match states.get_mut(step - range.start) {
                Some(Some(state)) => F::add(state, value),
                Some(state) => *state = Some(F::start(value)),
                None => {}
            }
        }
    }
    let values = states.iter().map(|state| state.as_ref().map_or(ABSENT, F::finish)).collect();
    Column::new(range.start, values)
}

fn quantiles(vector: &Vector, groups: &Groups, parameter: &Scalar) -> Vec<Column> {
    let mut buffer = Vec::new();
    let group = |members: &Vec<usize>| {
        let mut column = Column::default();
        for step in range_of(vector, members) {
            buffer.clear();
            buffer.extend(members.iter().filter_map(|at| vector.get(*at)?.column.get(step)));
            if !buffer.is_empty() {
                column.push(step, quantile(parameter.at(step), &mut buffer));
            }
        }
        column
    };
    groups.members.iter().map(group).collect()
}

struct Sum;

impl Fold for Sum {
    type State = KahanSum;

    fn start(value: f64) -> KahanSum {
        KahanSum::new(value)
    }

    fn add(state: &mut KahanSum, value: f64) {
        state.add(value);
    }

    fn finish(state: &KahanSum) -> f64 {
        state.total()
    }
}

struct Average;

impl Fold for Average {
    type State = Mean;

    fn start(value: f64) -> Mean {
        Mean::new(value)
    }

    fn add(state: &mut Mean, value: f64) {
        state.add(value);
    }

    fn finish(state: &Mean) -> f64 {
        state.value()
    }
}

struct Minimum;

impl Fold for Minimum {
    type State = f64;

    fn start(value: f64) -> f64 {
        value
    }

    fn add(state: &mut f64, value: f64) {
        if *state > value || state.is_nan() {
            *state = value;
        }
    }

    fn finish(state: &f64) -> f64 {
        *state
    }
}

struct Maximum;

impl Fold for Maximum {
    type State = f64;

    fn start(value: f64) -> f64 {
        value
    }

    fn add(state: &mut f64, value: f64) {
        if *state < value || state.is_nan() {
            *state = value;
        }
    }

    fn finish(state: &f64) -> f64 {
        *state
    }
}

struct Count;

impl Fold for Count {
    type State = f64;

    fn start(_: f64) -> f64 {
        1.0
    }

    fn add(state: &mut f64, _: f64) {
        *state += 1.0;
    }

    fn finish(state: &f64) -> f64 {
        *state
    }
}

struct Group;

impl Fold for Group {
    type State = ();

    fn start(_: f64) {}

    fn add((): &mut (), _: f64) {}

    fn finish((): &()) -> f64 {
        1.0
    }
}

/// Welford's method, without compensation, as Prometheus does here.
#[derive(Clone)]
struct Welford {
    count: f64,
    mean: f64,
    squares: f64,
}

struct Variance;

impl Fold for Variance {
    type State = Welford;

    fn start(value: f64) -> Welford {
        let squares = if value.is_finite() { 0.0 } else { model::value::normal_nan() };
        Welford { count: 1.0, mean: value, squares }
    }

    fn add(state: &mut Welford, value: f64) {
        state.count += 1.0;
        let delta = value - state.mean;
        state.mean += delta / state.count;
        state.squares += delta * (value - state.mean);
    }

    fn finish(state: &Welford) -> f64 {
        state.squares / state.count
    }
}

struct Deviation;

impl Fold for Deviation {
    type State = Welford;

    fn start(value: f64) -> Welford {
        Variance::start(value)
    }

    fn add(state: &mut Welford, value: f64) {
        Variance::add(state, value);
    }

    fn finish(state: &Welford) -> f64 {
        Variance::finish(state).sqrt()
    }
}
