//! `histogram_quantile`, `histogram_quantiles` and `histogram_fraction` of classic histograms. Source:
//! `promql/quantile.go`.
//!
//! Series are put into histograms, and their bounds in order, once; then each step only reads counts.

use std::collections::BTreeSet;

use model::Labels;
use model::histogram::NanObservations;
use model::labels::{BUCKET_LABEL, METRIC_NAME};

use crate::annotations::Monotonicity;
use crate::eval::Evaluator;
use crate::eval::column::{Column, Scalar, Steps, Vector, VectorSeries};
use crate::eval::corrections::Corrections;
use crate::eval::index::LabelIndex;
use crate::parser::ast::Span;
use crate::plan::node::{HistogramQuantile, ScalarNode, VectorNode};
use crate::query::QueryError;

/// Differences between neighbouring buckets that are relatively smaller are taken for rounding.
const SMALL_DIFFERENCE: f64 = 1e-12;

/// One bucket of a classic histogram at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    upper_bound: f64,
    /// Observations up to the bound.
    count: f64,
}

/// The series of one histogram.
struct Histogram {
    labels: Labels,
    /// Upper bound and series, by bound.
    buckets: Vec<(f64, usize)>,
}

/// See [`Evaluator::conflicts`]: steps for each classic histogram, and for each series.
struct Conflicts {
    of_classic: Vec<BTreeSet<usize>>,
    of_native: Vec<BTreeSet<usize>>,
}

/// Quantiles by number and, where that is a label, by their value, which may differ from step to step.
#[derive(Default)]
struct QuantileColumns {
    columns: Vec<((usize, u64), Column)>,
}

impl QuantileColumns {
    fn push(&mut self, call: &HistogramQuantile, number: usize, q: f64, step: usize, value: f64) {
        let key = (number, if call.label.is_some() { q.to_bits() } else { 0 });
        match self.columns.iter_mut().rev().find(|(known, _)| *known == key) {
            Some((_, column)) => column.push(step, value),
            None => self.columns.push((key, Column::from_iter([(step, value)]))),
        }
    }

    /// Pushes a series for each, labelled as `like`.
    fn finish(self, call: &HistogramQuantile, like: &VectorSeries, output: &mut Vector) {
        for ((_, bits), column) in self.columns {
            let mut labels = like.labels.clone();
            if let Some(label) = &call.label {
                let mut builder = labels.to_builder();
                builder.set(label, open_metrics_float(f64::from_bits(bits)));
                labels = builder.build();
            }
            output.push(VectorSeries::floats(labels, true, column));
        }
    }
}

/// How the buckets were corrected.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Correction {
    min_bucket: f64,
    max_bucket: f64,
    max_difference: f64,
}

impl Evaluator<'_> {
    /// `histogram_quantile(…)`, `histogram_quantiles(…)`
    pub(super) fn histogram_quantile(
        &mut self,
        call: &HistogramQuantile,
        steps: Steps,
    ) -> Result<Vector, QueryError> {
        let before = self.limits.held();
        let mut quantiles = Vec::with_capacity(call.quantiles.len());
        for (node, span) in &call.quantiles {
            quantiles.push((self.scalar(node, steps)?, *span));
        }
        let vector = self.vector(&call.vector, steps)?;
        // The last annotation of a text counts: what is within comes before what is around it.
        for (quantile, span) in &quantiles {
            self.note_invalid_quantiles(quantile, *span, steps);
        }
        let quantiles: Vec<Scalar> = quantiles.into_iter().map(|(quantile, _)| quantile).collect();
        let histograms = self.histograms(&vector, call.vector_span);
        let conflicts = self.conflicts(&histograms, &vector, call.vector_span);
        let mut output = Vector::new();
        for (series, conflicts) in vector.iter().zip(&conflicts.of_native) {
            if !series.histograms.is_empty() {
                self.native_quantiles(call, &quantiles, series, conflicts, &mut output)?;
            }
        }
        let mut corrections = Corrections::default();
        for (histogram, conflicts) in histograms.iter().zip(&conflicts.of_classic) {
            let results = (&mut output, &mut corrections);
            self.quantile_columns(call, &quantiles, (histogram, conflicts), &vector, steps, results)?;
        }
        corrections.annotate(&mut self.annotations, call.vector_span, steps.count);
        self.finish(before, vector.len(), output, steps)
    }

    /// `histogram_fraction(…)`
    pub(super) fn histogram_fraction(
        &mut self,
        (lower, upper): (&ScalarNode, &ScalarNode),
        vector: &VectorNode,
        vector_span: Span,
        steps: Steps,
    ) -> Result<Vector, QueryError> {
        let before = self.limits.held();
        let (lower, upper) = (self.scalar(lower, steps)?, self.scalar(upper, steps)?);
        let vector = self.vector(vector, steps)?;
        let mut output = Vector::new();
        let mut buckets = Vec::new();
        let histograms = self.histograms(&vector, vector_span);
        let conflicts = self.conflicts(&histograms, &vector, vector_span);
        for (series, conflicts) in vector.iter().zip(&conflicts.of_native) {
            let mut found = VectorSeries::floats(series.labels.clone(), true, Column::default());
            self.drop_name(&mut found);
            for (step, histogram) in series.histograms.iter().filter(|(step, _)| !conflicts.contains(step)) {
                let (value, any_nan) = histogram.fraction(lower.at(step), upper.at(step));
                found.column.push(step, value);
                if any_nan {
                    self.annotations.fraction_of_nan(found.labels.metric_name(), vector_span);
                }
            }
            self.limits.work(series.range().len())?;
            output.push(found);
        }
        for (histogram, conflicts) in histograms.into_iter().zip(&conflicts.of_classic) {
            let mut column = Column::default();
            for step in histogram.steps(&vector).filter(|step| !conflicts.contains(step)) {
                if histogram.read(&vector, step, &mut buckets) {
                    column.push(step, fraction(lower.at(step), upper.at(step), &buckets));
                }
            }
            self.limits.work(column.range().len() * histogram.buckets.len())?;
            let mut series = VectorSeries::floats(histogram.labels, true, column);
            self.drop_name(&mut series);
            output.push(series);
        }
        self.finish(before, vector.len(), output, steps)
    }

    /// The quantiles of native histograms.
    fn native_quantiles(
        &mut self,
        call: &HistogramQuantile,
        quantiles: &[Scalar],
        series: &VectorSeries,
        conflicts: &BTreeSet<usize>,
        output: &mut Vector,
    ) -> Result<(), QueryError> {
        let mut result = VectorSeries::floats(series.labels.clone(), true, Column::default());
        self.drop_name(&mut result);
        let mut columns = QuantileColumns::default();
        for (step, histogram) in series.histograms.iter().filter(|(step, _)| !conflicts.contains(step)) {
            for (number, quantile) in quantiles.iter().enumerate() {
                let q = quantile.at(step);
                let (value, nan) = histogram.quantile(q);
                if nan != NanObservations::None {
                    let skewed = nan == NanObservations::SkewedHigher;
                    self.annotations.quantile_of_nan(skewed, result.labels.metric_name(), call.vector_span);
                }
                columns.push(call, number, q, step, value);
            }
        }
        self.limits.work(series.range().len() * quantiles.len())?;
        columns.finish(call, &result, output);
        Ok(())
    }

    /// Steps at which a classic and a native histogram have the same labels; neither counts there.
    fn conflicts(&mut self, classic: &[Histogram], vector: &Vector, span: Span) -> Conflicts {
        let mut conflicts = Conflicts {
            of_classic: vec![BTreeSet::new(); classic.len()],
            of_native: vec![BTreeSet::new(); vector.len()],
        };
        if classic.is_empty() || vector.iter().all(|series| series.histograms.is_empty()) {
            return conflicts;
        }
        let mut index = LabelIndex::default();
        for histogram in classic {
            index.number(&histogram.labels);
        }
        for (series, of_native) in vector.iter().zip(&mut conflicts.of_native) {
            let Some(number) = index.find(&series.labels) else { continue };
            let (Some(histogram), Some(of_classic)) =
                (classic.get(number), conflicts.of_classic.get_mut(number))
            else {
                continue;
            };
            for (step, _) in series.histograms.iter().filter(|(step, _)| histogram.has(vector, *step)) {
                let name = if self.delayed_name_removal { series.labels.metric_name() } else { "" };
                self.annotations.mixed_classic_native(name, span);
                of_native.insert(step);
                of_classic.insert(step);
            }
        }
        conflicts
    }

    fn quantile_columns(
        &mut self,
        call: &HistogramQuantile,
        quantiles: &[Scalar],
        (histogram, conflicts): (&Histogram, &BTreeSet<usize>),
        vector: &Vector,
        steps: Steps,
        (output, corrections): (&mut Vector, &mut Corrections),
    ) -> Result<(), QueryError> {
        let name = if self.delayed_name_removal { histogram.labels.metric_name() } else { "" };
        let mut buckets = Vec::new();
        let mut columns = QuantileColumns::default();
        for step in histogram.steps(vector).filter(|step| !conflicts.contains(step)) {
            if !histogram.read(vector, step, &mut buckets) {
                continue;
            }
            for (number, quantile) in quantiles.iter().enumerate() {
                let q = quantile.at(step);
                let (value, correction) = bucket_quantile(q, &mut buckets);
                if let Some(Correction { min_bucket, max_bucket, max_difference }) = correction {
                    let (min_time, max_time) = (steps.time(step), steps.time(step));
                    let forced = Monotonicity {
                        min_bucket,
                        max_bucket,
                        max_difference,
                        min_time,
                        max_time,
                        samples: 1,
                    };
                    corrections.note(name, step, forced);
                }
                columns.push(call, number, q, step, value);
            }
        }
        self.limits.work(histogram.steps(vector).len() * histogram.buckets.len())?;
        let mut result = VectorSeries::floats(histogram.labels.clone(), true, Column::default());
        self.drop_name(&mut result);
        columns.finish(call, &result, output);
        Ok(())
    }

    fn note_invalid_quantiles(&mut self, quantile: &Scalar, span: Span, steps: Steps) {
        match quantile {
            Scalar::Constant(q) => self.note_invalid_quantile(*q, span, steps.count),
            Scalar::Steps(values) => {
                for q in values {
                    self.note_invalid_quantile(*q, span, 1);
                }
            }
        }
    }

    fn note_invalid_quantile(&mut self, q: f64, span: Span, times: usize) {
        if times > 0 && !(0.0..=1.0).contains(&q) {
            self.annotations.invalid_quantile(q, span);
        }
    }

    /// Puts the series that are buckets into histograms, in order of appearance.
    fn histograms(&mut self, vector: &Vector, span: Span) -> Vec<Histogram> {
        let mut index = LabelIndex::default();
        let mut histograms: Vec<Histogram> = Vec::new();
        // One that has native histograms alone is none of a bucket.
        let floats = |series: &VectorSeries| series.histograms.is_empty() || !series.column.is_empty();
        for (at, series) in vector.iter().enumerate().filter(|(_, series)| floats(series)) {
            let bound = series.labels.value(BUCKET_LABEL);
            let Some(upper_bound) = parse_bound(bound) else {
                let name = if self.delayed_name_removal { series.labels.value(METRIC_NAME) } else { "" };
                self.annotations.bad_bucket_label(name, bound, span);
                continue;
            };
            let labels = series.labels.without(&[BUCKET_LABEL]);
            let number = index.number(&labels);
            match histograms.get_mut(number) {
                Some(histogram) => histogram.buckets.push((upper_bound, at)),
                None => histograms.push(Histogram { labels, buckets: vec![(upper_bound, at)] }),
            }
        }
        for histogram in &mut histograms {
            histogram.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        histograms
    }
}

impl Histogram {
    /// The steps at which it may have buckets.
    fn steps(&self, vector: &Vector) -> std::ops::Range<usize> {
        let ranges =
            self.buckets.iter().filter_map(|(_, at)| vector.get(*at)).map(|series| series.column.range());
        ranges.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0)
    }

    /// Whether there are any buckets at a step.
    fn has(&self, vector: &Vector, step: usize) -> bool {
        let mut buckets = self.buckets.iter().filter_map(|(_, at)| vector.get(*at));
        buckets.any(|series| series.column.get(step).is_some())
    }

    /// Reads the buckets at a step, those of equal bounds as one; whether there are any.
    fn read(&self, vector: &Vector, step: usize, buckets: &mut Vec<Bucket>) -> bool {
        buckets.clear();
        for (upper_bound, at) in &self.buckets {
            let Some(count) = vector.get(*at).and_then(|series| series.column.get(step)) else { continue };
            match buckets.last_mut() {
                Some(last) if last.upper_bound == *upper_bound => last.count += count,
                _ => buckets.push(Bucket { upper_bound: *upper_bound, count }),
            }
        }
        !buckets.is_empty()
    }
}

/// The quantile `q`, linear inside a bucket, and how the buckets had to be corrected for it.
fn bucket_quantile(q: f64, buckets: &mut [Bucket]) -> (f64, Option<Correction>) {
    let nan = model::value::normal_nan();
    if q.is_nan() {
        return (nan, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if buckets.last().is_none_or(|bucket| bucket.upper_bound != f64::INFINITY) {
        return (nan, None);
    }
    let correction = make_monotonic(buckets);
    let [finite @ .., highest] = &*buckets else { return (nan, correction) };
    let (Some(last_finite), false) = (finite.last(), highest.count == 0.0) else { return (nan, correction) };
    let mut rank = q * highest.count;
    let below = |bucket: &Bucket| bucket.count < rank || bucket.count.is_nan() || rank.is_nan();
    let at = finite.partition_point(below);
    let value = match finite.get(at) {
        None => last_finite.upper_bound,
        Some(first) if at == 0 && first.upper_bound <= 0.0 => first.upper_bound,
        Some(bucket) => {
            let (mut start, mut count) = (0.0, bucket.count);
            if let Some(below) = at.checked_sub(1).and_then(|at| finite.get(at)) {
                start = below.upper_bound;
                count -= below.count;
                rank -= below.count;
            }
            start + (bucket.upper_bound - start) * (rank / count)
        }
    };
    (value, correction)
}

/// Makes counts never decrease. What looks like rounding is put right silently.
fn make_monotonic(buckets: &mut [Bucket]) -> Option<Correction> {
    let mut correction: Option<Correction> = None;
    let mut previous = buckets.first()?.count;
    for bucket in buckets.iter_mut().skip(1) {
        let count = bucket.count;
        if count == previous {
            continue;
        }
        let (rounding, decrease) = (almost_equal(previous, count), count < previous);
        if !rounding && !decrease {
            previous = count;
            continue;
        }
        bucket.count = previous;
        if !rounding {
            let (bound, difference) = (bucket.upper_bound, previous - count);
            let known = correction.get_or_insert(Correction {
                min_bucket: f64::INFINITY,
                max_bucket: f64::NEG_INFINITY,
                max_difference: 0.0,
            });
            known.min_bucket = known.min_bucket.min(bound);
            known.max_bucket = known.max_bucket.max(bound);
            known.max_difference = known.max_difference.max(difference);
        }
    }
    correction
}

/// Whether two counts differ relatively by less than [`SMALL_DIFFERENCE`]. Source: `util/almost`.
fn almost_equal(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DIFFERENCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DIFFERENCE
}

/// The share of observations between two bounds.
fn fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    let Some(highest) = buckets.last().filter(|bucket| bucket.upper_bound == f64::INFINITY) else {
        return model::value::normal_nan();
    };
    let count = highest.count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return model::value::normal_nan();
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets, count) - rank_of(lower, buckets, count)) / count
}

/// How many observations lie below `bound`.
fn rank_of(bound: f64, buckets: &[Bucket], count: f64) -> f64 {
    let mut rank: f64 = 0.0;
    // Where the lowest bucket ends above zero, observations are taken to be positive.
    let mut start =
        if buckets.first().is_some_and(|first| first.upper_bound > 0.0) { 0.0 } else { f64::NEG_INFINITY };
    for bucket in buckets {
        if start >= bound {
            return rank.min(count);
        }
        if bucket.upper_bound > bound {
            // Nothing can be said about where in an infinite bucket observations lie.
            let inside = if start == f64::NEG_INFINITY {
                bucket.count
            } else {
                rank + (bucket.count - rank) * (bound - start) / (bucket.upper_bound - start)
            };
            return if inside > count { count } else { inside };
        }
        rank = bucket.count;
        start = bucket.upper_bound;
    }
    count
}

fn parse_bound(text: &str) -> Option<f64> {
    let value = model::number::parse_float(text)?;
    // Digits that stand for more than a float can hold are not a number to Go.
    let overflown = value.is_infinite() && text.bytes().any(|b| b.is_ascii_digit());
    (!overflown).then_some(value)
}

/// A float as OpenMetrics writes it: always recognisable as one.
fn open_metrics_float(value: f64) -> String {
    let text = model::number::format_g(if value == 0.0 { 0.0 } else { value });
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if plain { format!("{text}.0") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(of: &[(f64, f64)]) -> Vec<Bucket> {
        of.iter().map(|(upper_bound, count)| Bucket { upper_bound: *upper_bound, count: *count }).collect()
    }

    #[test]
    fn a_quantile_is_linear_inside_its_bucket() {
        let of = [(10.0, 10.0), (15.0, 15.0), (20.0, 15.0), (30.0, 15.0), (f64::INFINITY, 15.0)];
        for (q, value) in [(1.0, 15.0), (0.99, 14.85), (0.9, 13.5), (0.5, 7.5)] {
            let (got, correction) = bucket_quantile(q, &mut buckets(&of));
            assert!((got - value).abs() < 1e-12, "{q}: {got}");
            assert_eq!(correction, None);
        }
    }

    #[test]
    fn decreasing_buckets_are_raised_and_reported() {
        let of = [(10.0, 10.0), (15.0, 15.0), (20.0, 14.0), (f64::INFINITY, 15.0)];
        let (_, correction) = bucket_quantile(0.5, &mut buckets(&of));
        assert_eq!(correction, Some(Correction { min_bucket: 20.0, max_bucket: 20.0, max_difference: 1.0 }));
        let of = [(10.0, 10.0), (15.0, 15.000_000_000_000_1), (20.0, 15.0), (f64::INFINITY, 15.0)];
        assert_eq!(bucket_quantile(0.5, &mut buckets(&of)).1, None);
    }

    #[test]
    fn histograms_without_an_infinite_bucket_or_observations_have_no_quantile() {
        assert!(bucket_quantile(0.5, &mut buckets(&[(1.0, 1.0)])).0.is_nan());
        assert!(bucket_quantile(0.5, &mut buckets(&[(f64::INFINITY, 1.0)])).0.is_nan());
        assert!(bucket_quantile(0.5, &mut buckets(&[(1.0, 0.0), (f64::INFINITY, 0.0)])).0.is_nan());
    }

    #[test]
    fn a_fraction_counts_what_lies_between() {
        let of = buckets(&[(1.0, 2.0), (2.0, 4.0), (f64::INFINITY, 8.0)]);
        assert_eq!(fraction(0.0, 1.5, &of), 3.0 / 8.0);
        assert_eq!(fraction(f64::NEG_INFINITY, f64::INFINITY, &of), 1.0);
        assert_eq!(fraction(2.0, 1.0, &of), 0.0);
        assert_eq!(fraction(5.0, 6.0, &of), 0.0);
    }
}
