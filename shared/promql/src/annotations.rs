//! What is to be said of a result besides the result: warnings and remarks, in Prometheus's words. Source:
//! `util/annotations/annotations.go`.
//!
//! Annotations with the same text count as one, wherever in the query they arose; the last position wins.

use std::collections::BTreeMap;

use model::labels::quote;
use model::number::format_g;

use crate::eval::date::rfc3339;
use crate::parser::ast::Span;

/// How grave an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Warning,
    Info,
}

/// What makes annotations of one text differ, and is merged.
#[derive(Clone, Debug, PartialEq)]
enum Detail {
    None,
    Monotonicity(Monotonicity),
    /// How often it arose.
    Occurrences(u64),
}

/// What was done to histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HistogramOperation {
    Addition,
    Subtraction,
    Aggregation,
}

impl HistogramOperation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

/// Where and how far a classic histogram's buckets had to be corrected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Monotonicity {
    /// Lowest corrected upper bound.
    pub(crate) min_bucket: f64,
    /// Highest corrected upper bound.
    pub(crate) max_bucket: f64,
    /// Largest correction.
    pub(crate) max_difference: f64,
    /// First instant, ms.
    pub(crate) min_time: i64,
    /// Last instant, ms.
    pub(crate) max_time: i64,
    /// How many samples were corrected, as Prometheus counts: see `eval/corrections.rs`.
    pub(crate) samples: i64,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    level: Level,
    span: Span,
    detail: Detail,
}

/// All annotations of a query so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Annotations {
    entries: BTreeMap<String, Entry>,
}

impl Annotations {
    /// A quantile outside 0..=1.
    pub(crate) fn invalid_quantile(&mut self, quantile: f64, span: Span) {
        self.warn(format!("quantile value should be between 0 and 1, got {}", format_g(quantile)), span);
    }

    /// A ratio outside -1..=1.
    pub(crate) fn invalid_ratio(&mut self, ratio: f64, to: f64, span: Span) {
        let (ratio, to) = (format_g(ratio), format_g(to));
        self.warn(format!("ratio value should be between -1 and 1, got {ratio}, capping to {to}"), span);
    }

    /// A bucket whose `le` is no number. An empty metric name is left out.
    pub(crate) fn bad_bucket_label(&mut self, metric_name: &str, value: &str, span: Span) {
        let text = format!("bucket label \"le\" is missing or has a malformed value of {}", quote(value));
        self.warn(text + &for_metric_name(metric_name), span);
    }

    /// `sort` in a range query.
    pub(crate) fn sort_in_range_query(&mut self, span: Span) {
        let text = "sort is ineffective for range queries since results are always ordered by labels";
        self.warn(text.to_owned(), span);
    }

    /// `rate` or `increase` of what does not look like a counter.
    pub(crate) fn possibly_not_a_counter(&mut self, metric_name: &str, span: Span) {
        let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
        self.inform(format!("{text} {}", quote(metric_name)), span, Detail::None);
    }

    /// `rate` or `increase` of what is not said to be a counter.
    pub(crate) fn not_typed_as_a_counter(&mut self, metric_type: &str, metric_name: &str, span: Span) {
        let text =
            "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got";
        let (metric_type, metric_name) = (quote(metric_type), quote(metric_name));
        self.inform(format!("{text} {metric_type}: {metric_name}"), span, Detail::None);
    }

    /// An operator that is not defined for the kinds of samples it got.
    pub(crate) fn incompatible_types(&mut self, left: &str, operator: &str, right: &str, span: Span) {
        let text = format!(
            "incompatible sample types encountered for binary operator {}: {left} {operator} {right}",
            quote(operator)
        );
        self.inform(text, span, Detail::None);
    }

    /// Floats and histograms in one range.
    pub(crate) fn mixed_floats_histograms(&mut self, metric_name: &str, span: Span) {
        let text = "encountered a mix of histograms and floats for metric name";
        self.warn(format!("{text} {}", quote(metric_name)), span);
    }

    /// Floats and histograms in one group.
    pub(crate) fn mixed_in_aggregation(&mut self, span: Span) {
        self.warn("encountered a mix of histograms and floats for aggregation".to_owned(), span);
    }

    /// A classic and a native histogram of the same labels. An empty metric name is left out.
    pub(crate) fn mixed_classic_native(&mut self, metric_name: &str, span: Span) {
        let text = "vector contains a mix of classic and native histograms";
        self.warn(format!("{text}{}", for_metric_name(metric_name)), span);
    }

    /// A gauge histogram where a counter is wanted.
    pub(crate) fn histogram_not_a_counter(&mut self, metric_name: &str, span: Span) {
        let text = "this native histogram metric is not a counter:";
        self.warn(format!("{text} {}", quote(metric_name)), span);
    }

    /// A counter histogram where a gauge is wanted.
    pub(crate) fn histogram_not_a_gauge(&mut self, metric_name: &str, span: Span) {
        let text = "this native histogram metric is not a gauge:";
        self.warn(format!("{text} {}", quote(metric_name)), span);
    }

    /// Exponential and custom buckets where they have to be put together.
    pub(crate) fn mixed_schemas(&mut self, metric_name: &str, span: Span) {
        let text =
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name";
        self.warn(format!("{text} {}", quote(metric_name)), span);
    }

    /// Exponential and custom buckets on the sides of an operator.
    pub(crate) fn incompatible_bucket_layout(&mut self, operator: &str, span: Span) {
        self.warn(format!("incompatible bucket layout encountered for binary operator {operator}"), span);
    }

    /// One side is known to be a counter reset, the other to be none.
    pub(crate) fn counter_reset_collision(&mut self, operation: HistogramOperation, span: Span) {
        self.warn(format!("conflicting counter resets during histogram {}", operation.as_str()), span);
    }

    /// A sample that counts from before the sample before it.
    pub(crate) fn start_time_overlap(&mut self, metric_name: &str, span: Span) {
        let text = "sample has start time that overlaps with previous sample timestamp for metric";
        let text = format!("{text} {}", quote(metric_name));
        let before = match self.entries.get(&text).map(|entry| &entry.detail) {
            Some(Detail::Occurrences(count)) => *count,
            _ => 0,
        };
        let detail = Detail::Occurrences(before + 1);
        self.entries.insert(text, Entry { level: Level::Warning, span, detail });
    }

    /// Custom bounds that differed.
    pub(crate) fn bounds_reconciled(&mut self, operation: HistogramOperation, span: Span) {
        let text = format!("mismatched custom buckets were reconciled during {}", operation.as_str());
        self.inform(text, span, Detail::None);
    }

    /// A histogram that an aggregation cannot use.
    pub(crate) fn ignored_in_aggregation(&mut self, aggregation: &str, span: Span) {
        self.inform(format!("ignored histogram in {aggregation} aggregation"), span, Detail::None);
    }

    /// Histograms beside floats that a function cannot use.
    pub(crate) fn ignored_in_mixed_range(&mut self, metric_name: &str, span: Span) {
        let text = "ignored histograms in a range containing both floats and histograms for metric name";
        self.inform(format!("{text} {}", quote(metric_name)), span, Detail::None);
    }

    /// Observations that are no numbers, for a quantile. An empty metric name is left out.
    pub(crate) fn quantile_of_nan(&mut self, skewed: bool, metric_name: &str, span: Span) {
        let result = if skewed { "skewed higher" } else { "NaN" };
        let text = "input to histogram_quantile has NaN observations, result is";
        self.inform(format!("{text} {result}{}", for_metric_name(metric_name)), span, Detail::None);
    }

    /// Observations that are no numbers, for a fraction. An empty metric name is left out.
    pub(crate) fn fraction_of_nan(&mut self, metric_name: &str, span: Span) {
        let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
        self.inform(format!("{text}{}", for_metric_name(metric_name)), span, Detail::None);
    }

    /// Buckets that decrease.
    pub(crate) fn forced_monotonicity(&mut self, metric_name: &str, span: Span, forced: Monotonicity) {
        let text = "input to histogram_quantile needed to be fixed for monotonicity \
                    (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        self.inform(format!("{text}{}", for_metric_name(metric_name)), span, Detail::Monotonicity(forced));
    }

    /// The texts of the warnings and of the infos, with positions in `query`, each sorted.
    pub(crate) fn into_texts(self, query: &str) -> (Vec<String>, Vec<String>) {
        let (mut warnings, mut infos) = (Vec::new(), Vec::new());
        for (text, entry) in self.entries {
            let detail = match entry.detail {
                Detail::None | Detail::Occurrences(0..=1) => String::new(),
                Detail::Occurrences(count) => format!(" ({count} occurrences)"),
                Detail::Monotonicity(forced) => describe(forced),
            };
            let position = position(query, entry.span.start);
            match entry.level {
                Level::Warning => warnings.push(format!("PromQL warning: {text}{detail} ({position})")),
                Level::Info => infos.push(format!("PromQL info: {text}{detail} ({position})")),
            }
        }
        (warnings, infos)
    }

    fn warn(&mut self, text: String, span: Span) {
        self.entries.insert(text, Entry { level: Level::Warning, span, detail: Detail::None });
    }

    fn inform(&mut self, text: String, span: Span, detail: Detail) {
        match (self.entries.get_mut(&text).map(|entry| &mut entry.detail), detail) {
            (Some(Detail::Monotonicity(old)), Detail::Monotonicity(new)) => merge(old, new),
            (_, detail) => {
                self.entries.insert(text, Entry { level: Level::Info, span, detail });
            }
        }
    }
}

/// `line:column` of a byte position, both from 1, the column in bytes.
pub(crate) fn position(query: &str, byte: usize) -> String {
    let before = query.as_bytes().get(..byte).unwrap_or(query.as_bytes());
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    format!("{line}:{}", before.len() - line_start + 1)
}

fn for_metric_name(metric_name: &str) -> String {
    if metric_name.is_empty() { String::new() } else { format!(" for metric name {}", quote(metric_name)) }
}

/// Makes one of two.
pub(crate) fn merge(old: &mut Monotonicity, new: Monotonicity) {
    old.min_bucket = old.min_bucket.min(new.min_bucket);
    old.max_bucket = old.max_bucket.max(new.max_bucket);
    old.max_difference = old.max_difference.max(new.max_difference);
    old.min_time = old.min_time.min(new.min_time);
    old.max_time = old.max_time.max(new.max_time);
    old.samples = old.samples.wrapping_add(new.samples);
}

fn describe(forced: Monotonicity) -> String {
    format!(
        ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
        format_g(forced.min_bucket),
        format_g(forced.max_bucket),
        format_two_digits(forced.max_difference),
        forced.samples,
        rfc3339(forced.min_time),
        rfc3339(forced.max_time),
    )
}

/// Go's `%.2g`.
fn format_two_digits(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return format_g(value);
    }
    let scientific = format!("{value:.1e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..2).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    // Rounded to two digits first, so that the shortest form of that is what is wanted.
    scientific.parse::<f64>().map_or(scientific, |rounded| format!("{rounded}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_are_written_as_go_writes_them() {
        for (value, text) in [
            (10.0, "10"),
            (1.0, "1"),
            (100.0, "1e+02"),
            (2.55, "2.5"),
            (0.00123, "0.0012"),
            (0.0000123, "1.2e-05"),
            (99.9, "1e+02"),
        ] {
            assert_eq!(format_two_digits(value), text);
        }
    }

    #[test]
    fn the_position_is_a_line_and_a_byte_column() {
        assert_eq!(position("a +\n  b", 6), "2:3");
        assert_eq!(position("é+a", 3), "1:4");
        assert_eq!(position("a", 99), "1:2");
    }

    #[test]
    fn equal_texts_count_once_and_the_last_position_wins() {
        let mut annotations = Annotations::default();
        annotations.invalid_quantile(2.0, Span { start: 1, end: 2 });
        annotations.invalid_quantile(2.0, Span { start: 3, end: 4 });
        let (warnings, infos) = annotations.into_texts("abcdef");
        assert_eq!(warnings, ["PromQL warning: quantile value should be between 0 and 1, got 2 (1:4)"]);
        assert!(infos.is_empty());
    }
}
