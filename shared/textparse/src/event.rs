//! What a body consists of.

use std::borrow::Cow;

pub use model::metadata::MetricType;

use crate::openmetrics::ExposedExemplar;

/// The type that `word` names in the text format.
#[must_use]
pub(crate) fn metric_type(word: &[u8]) -> Option<MetricType> {
    match word {
        b"counter" => Some(MetricType::Counter),
        b"gauge" => Some(MetricType::Gauge),
        b"histogram" => Some(MetricType::Histogram),
        b"summary" => Some(MetricType::Summary),
        b"untyped" => Some(MetricType::Unknown),
        _ => None,
    }
}

/// One line of a body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// `# HELP metric text`
    Help {
        /// The metric family, without quotes but with escapes as written.
        metric: &'a [u8],
        /// The text with escapes as written; see [`Event::unescape_help`], for OpenMetrics [`crate::unescape_value`].
        text: &'a str,
    },
    /// `# TYPE metric kind`
    Type {
        /// The metric family, without quotes but with escapes as written.
        metric: &'a [u8],
        /// Its type.
        kind: MetricType,
    },
    /// Any other line that starts with `#`, from the `#` on.
    Comment(&'a [u8]),
    /// A sample.
    Series(Series<'a>),
    /// `# UNIT metric unit`; OpenMetrics alone has it, and what follows.
    Unit {
        /// The metric family, without quotes but with escapes as written.
        metric: &'a [u8],
        /// Its unit, a suffix of the metric family; may be empty.
        unit: &'a [u8],
    },
    /// A `_created` sample of a counter, summary or histogram: when others of its family began, in seconds.
    Created(Series<'a>),
    /// An exemplar of the sample before it.
    Exemplar(ExposedExemplar<'a>),
}

impl Event<'_> {
    /// A help text with `\\` and `\n` replaced.
    #[must_use]
    pub fn unescape_help(text: &str) -> Cow<'_, str> {
        if !text.contains('\\') {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\\') {
            out.push_str(before);
            rest = match after.as_bytes().first() {
                Some(b'\\') => {
                    out.push('\\');
                    &after[1..]
                }
                Some(b'n') => {
                    out.push('\n');
                    &after[1..]
                }
                _ => {
                    out.push('\\');
                    after
                }
            };
        }
        out.push_str(rest);
        Cow::Owned(out)
    }
}

/// A sample: a series as the body spells it, and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Series<'a> {
    /// The series as written: `name{label="value"}`, from the start of its line to the closing brace. Together with
    /// [`Series::label_kind`] it decides the labels, so the two are what a cache of labels is keyed by.
    pub text: &'a [u8],
    /// The value; NaN has Prometheus's bits.
    pub value: f64,
    /// The timestamp where one is written, ms since the epoch.
    pub timestamp: Option<i64>,
    /// The type of the last `# TYPE` line before the sample, whatever metric that names.
    pub kind: MetricType,
}

impl Series<'_> {
    /// That part of [`Series::kind`] which decides labels: Prometheus writes `le` of histograms and `quantile` of
    /// summaries anew (`1` becomes `1.0`); every other type counts as unknown.
    #[must_use]
    pub fn label_kind(&self) -> MetricType {
        match self.kind {
            MetricType::Histogram | MetricType::Summary => self.kind,
            _ => MetricType::Unknown,
        }
    }
}
