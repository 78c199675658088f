//! The labels of a row group's rows, columnar: rows are numbers of texts, and a matcher looks at each text once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use model::labels::METRIC_NAME;
use model::{Labels, MatchOp, Matcher};

use super::distinct::Distinct;
use super::page::Levels;
use super::texts::{Numbers, Texts, read_texts};

/// Who has which labels. Rows are sorted by metric name; the rows of one series are neighbours.
#[derive(Debug)]
pub(super) struct LabelIndex {
    rows: usize,
    metrics: Texts,
    /// First row and metric name of each run of rows with the same name, names ascending.
    runs: Vec<(u32, u32)>,
    names: Texts,
    values: Texts,
    /// The distinct lists of label names that rows have, without the metric name's.
    shapes: Shapes,
    /// Each row's shape.
    row_shapes: Numbers,
    /// Where each row's values begin in `row_values`, and the end.
    starts: Vec<u32>,
    /// Numbers of the values, in the order of the shape.
    row_values: Numbers,
}

/// Lists of numbers of names.
type Shapes = Vec<Box<[u32]>>;

const MALFORMED: &str = "the labels of a row are malformed";

impl LabelIndex {
    /// Decodes the column chunks of metric, label name and label value.
    pub(super) fn read(metric: &[u8], name: &[u8], value: &[u8], rows: usize) -> Result<Self, &'static str> {
        let metrics = read_texts(metric, Levels::REQUIRED, rows)?;
        let names = read_texts(name, Levels::LIST, rows)?;
        let values = read_texts(value, Levels::LIST, rows)?;
        if names.starts != values.starts {
            return Err(MALFORMED);
        }
        let runs = runs(&metrics.ids, &metrics.texts)?;
        let (shapes, row_shapes) = shapes(&names.ids, &names.starts, &names.texts)?;
        Ok(Self {
            rows,
            metrics: metrics.texts,
            runs,
            row_shapes: Numbers::new(row_shapes, shapes.len()),
            names: names.texts,
            shapes,
            row_values: Numbers::new(values.ids, values.texts.len()),
            values: values.texts,
            starts: names.starts,
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// What it occupies in memory.
    pub(super) fn size_bytes(&self) -> usize {
        let shapes: usize = self.shapes.iter().map(|shape| 16 + 4 * shape.len()).sum();
        [&self.metrics, &self.names, &self.values].into_iter().map(Texts::size_bytes).sum::<usize>()
            + self.row_shapes.size_bytes()
            + self.row_values.size_bytes()
            + 4 * self.starts.capacity()
            + 8 * self.runs.capacity()
            + shapes
    }

    /// The labels of `row`.
    pub(super) fn labels(&self, row: usize) -> Option<Labels> {
        let metric = (METRIC_NAME, self.metric(row)?);
        let shape = self.shape(row)?;
        let values = self.value_range(row)?;
        let mut pairs = Vec::with_capacity(shape.len() + 1);
        for (name, at) in shape.iter().zip(values) {
            pairs.push((self.names.get(*name)?, self.values.get(self.row_values.get(at)?)?));
        }
        let at = pairs.partition_point(|(name, _)| *name < METRIC_NAME);
        pairs.insert(at, metric);
        Some(Labels::from_sorted(pairs))
    }

    /// Whether two rows are of one series.
    pub(super) fn same_series(&self, a: usize, b: usize) -> bool {
        let values = |row: usize| {
            let range = self.value_range(row).unwrap_or_default();
            range.map(|at| self.row_values.get(at).and_then(|id| self.values.get(id)))
        };
        // What costs least and differs most often first.
        self.row_shapes.get(a) == self.row_shapes.get(b)
            && values(a).eq(values(b))
            && self.metric(a) == self.metric(b)
    }

    /// The metric names, in order.
    pub(super) fn metric_names(&self) -> Texts {
        self.runs.iter().filter_map(|run| self.metrics.get(run.1)).collect()
    }

    fn metric(&self, row: usize) -> Option<&str> {
        let at = self.runs.partition_point(|(first, _)| *first as usize <= row).checked_sub(1)?;
        self.metrics.get(self.runs.get(at)?.1)
    }

    fn shape(&self, row: usize) -> Option<&[u32]> {
        self.shapes.get(self.row_shapes.get(row)? as usize).map(|shape| &**shape)
    }

    fn value_range(&self, row: usize) -> Option<Range<usize>> {
        Some(*self.starts.get(row)? as usize..*self.starts.get(row + 1)? as usize)
    }

    /// The rows, ascending, that satisfy all matchers of any one of `sets`.
    pub(super) fn matching_any(&self, sets: &[&[Matcher]]) -> Vec<u32> {
        if let [set] = sets {
            return self.matching(set);
        }
        let mut rows: Vec<u32> = sets.iter().flat_map(|set| self.matching(set)).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// The rows, ascending, that satisfy all `matchers`.
    pub(super) fn matching(&self, matchers: &[Matcher]) -> Vec<u32> {
        let (of_metric, mut others): (Vec<&Matcher>, Vec<&Matcher>) =
            matchers.iter().partition(|matcher| matcher.name() == METRIC_NAME);
        // The cheap ones first: they may spare a regular expression many values.
        others.sort_by_key(|matcher| matches!(matcher.op(), MatchOp::Regex | MatchOp::NotRegex));
        let nobody_has = |matcher: &&Matcher| {
            matcher.op() == MatchOp::Equal
                && !matcher.value().is_empty()
                && !self.values.contains(matcher.value())
        };
        if others.iter().any(nobody_has) {
            return Vec::new();
        }
        let mut checks: Vec<Check<'_>> =
            others.into_iter().map(|matcher| Check::new(self, matcher)).collect();
        let mut found = Vec::new();
        for run in self.runs_matching(&of_metric) {
            for row in run {
                if checks.iter_mut().all(|check| check.accepts(self, row)) {
                    found.push(row as u32);
                }
            }
        }
        found
    }

    /// The runs of rows whose metric name satisfies `matchers`.
    fn runs_matching(&self, matchers: &[&Matcher]) -> Vec<Range<usize>> {
        let name_of = |run: &(u32, u32)| self.metrics.get(run.1).unwrap_or_default();
        let equal = matchers.iter().find(|matcher| matcher.op() == MatchOp::Equal);
        let candidates = match equal {
            None => 0..self.runs.len(),
            Some(matcher) => {
                let at = self.runs.partition_point(|run| name_of(run) < matcher.value());
                at..(at + 1).min(self.runs.len())
            }
        };
        let mut found = Vec::new();
        for at in candidates {
            let Some(run) = self.runs.get(at) else { continue };
            if matchers.iter().all(|matcher| matcher.matches(name_of(run))) {
                let end = self.runs.get(at + 1).map_or(self.rows, |next| next.0 as usize);
                found.push(run.0 as usize..end);
            }
        }
        found
    }

    /// Adds the label names of `rows` to `names`.
    pub(super) fn collect_names(&self, rows: impl IntoIterator<Item = u32>, names: &mut BTreeSet<String>) {
        let mut seen = vec![false; self.shapes.len()];
        let mut named = false;
        for row in rows {
            named = named || self.metric(row as usize).is_some_and(|metric| !metric.is_empty());
            let shape = self.row_shapes.get(row as usize).unwrap_or_default() as usize;
            if seen.get_mut(shape).is_none_or(|seen| std::mem::replace(seen, true)) {
                continue;
            }
            for name in self.shapes.get(shape).into_iter().flatten().filter_map(|name| self.names.get(*name))
            {
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
        }
        if named {
            names.insert(METRIC_NAME.to_owned());
        }
    }

    /// Adds the values that the label `name` has in `rows`, ascending, to `values`: each once or more often.
    pub(super) fn collect_values(
        &self,
        name: &str,
        rows: impl IntoIterator<Item = u32>,
        values: &mut Distinct<String>,
    ) {
        let mut add = |value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                values.push(value.to_owned());
            }
        };
        if name == METRIC_NAME {
            let mut runs = self.runs.iter().peekable();
            let mut last = None;
            for row in rows {
                while let Some(run) = runs.next_if(|run| run.0 <= row) {
                    last = Some(run.1);
                }
                add(last.take().and_then(|metric| self.metrics.get(metric)));
                // The next run has another name; until then there is nothing to add.
            }
            return;
        }
        let places = self.places_of(name);
        let mut seen = vec![false; self.values.len()];
        for row in rows {
            let Some(id) = self.value_at(&places, row as usize) else { continue };
            if seen.get_mut(id as usize).is_some_and(|seen| !std::mem::replace(seen, true)) {
                add(self.values.get(id));
            }
        }
    }

    /// For each shape, at which place it has the label `name`.
    fn places_of(&self, name: &str) -> Vec<Option<u32>> {
        let place = |shape: &[u32]| {
            let at = shape.iter().position(|id| self.names.get(*id) == Some(name))?;
            u32::try_from(at).ok()
        };
        self.shapes.iter().map(|shape| place(shape)).collect()
    }

    /// The number of the value that `row` has of the label that `places` are of.
    fn value_at(&self, places: &[Option<u32>], row: usize) -> Option<u32> {
        let place = (*places.get(self.row_shapes.get(row)? as usize)?)?;
        self.row_values.get(*self.starts.get(row)? as usize + place as usize)
    }
}

/// A matcher of one label, and what it said of each value so far.
struct Check<'a> {
    matcher: &'a Matcher,
    places: Vec<Option<u32>>,
    verdicts: Vec<Verdict>,
    of_none: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Unknown,
    Yes,
    No,
}

impl<'a> Check<'a> {
    fn new(index: &LabelIndex, matcher: &'a Matcher) -> Self {
        Self {
            matcher,
            places: index.places_of(matcher.name()),
            verdicts: vec![Verdict::Unknown; index.values.len()],
            of_none: matcher.matches_empty(),
        }
    }

    fn accepts(&mut self, index: &LabelIndex, row: usize) -> bool {
        let Some(id) = index.value_at(&self.places, row) else { return self.of_none };
        let Some(verdict) = self.verdicts.get_mut(id as usize) else { return false };
        if *verdict == Verdict::Unknown {
            let matches = self.matcher.matches(index.values.get(id).unwrap_or_default());
            *verdict = if matches { Verdict::Yes } else { Verdict::No };
        }
        *verdict == Verdict::Yes
    }
}

/// The runs of rows with the same metric name.
fn runs(ids: &[u32], metrics: &Texts) -> Result<Vec<(u32, u32)>, &'static str> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for (row, id) in ids.iter().enumerate() {
        let last = runs.last().map(|run| run.1);
        if last == Some(*id) {
            continue;
        }
        match last.and_then(|last| metrics.get(last)).cmp(&metrics.get(*id)) {
            std::cmp::Ordering::Less => runs.push((u32::try_from(row).map_err(|_| MALFORMED)?, *id)),
            // The same name twice in a dictionary, or after one.
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => return Err("the rows are not in order"),
        }
    }
    Ok(runs)
}

/// The distinct lists of names, and which of them each row has.
fn shapes(ids: &[u32], starts: &[u32], names: &Texts) -> Result<(Shapes, Vec<u32>), &'static str> {
    let mut known: BTreeMap<&[u32], u32> = BTreeMap::new();
    let mut shapes = Shapes::new();
    let mut of_rows = Vec::with_capacity(starts.len().saturating_sub(1));
    let mut last: Option<(&[u32], u32)> = None;
    for bounds in starts.windows(2) {
        let [start, end] = bounds else { continue };
        let list = ids.get(*start as usize..*end as usize).ok_or(MALFORMED)?;
        if let Some((_, shape)) = last.filter(|(last, _)| *last == list) {
            of_rows.push(shape);
            continue;
        }
        let shape = match known.get(list) {
            Some(shape) => *shape,
            None => {
                let texts: Option<Vec<&str>> = list.iter().map(|id| names.get(*id)).collect();
                let texts = texts.ok_or(MALFORMED)?;
                if !texts.is_sorted_by(|a, b| a < b) || texts.contains(&METRIC_NAME) {
                    return Err(MALFORMED);
                }
                let shape = u32::try_from(shapes.len()).map_err(|_| MALFORMED)?;
                shapes.push(list.into());
                known.insert(list, shape);
                shape
            }
        };
        last = Some((list, shape));
        of_rows.push(shape);
    }
    Ok((shapes, of_rows))
}
