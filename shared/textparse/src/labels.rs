//! The labels of a series, read from its text only when somebody asks.

use std::borrow::Cow;

use model::labels::{BUCKET_LABEL, METRIC_NAME, QUANTILE_LABEL, is_legacy_label_name};

use crate::error::quote_bytes;
use crate::event::{MetricType, Series};
use crate::lexer::{Lexer, Token};

/// A name that is not UTF-8, in Prometheus's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid metric name or label names: {labels}")]
pub struct InvalidNames {
    labels: String,
}

/// One label as exposed, escapes replaced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExposedLabel<'a> {
    /// Its name; may be empty, may occur twice.
    pub name: Cow<'a, str>,
    /// Its value; may be empty.
    pub value: Cow<'a, str>,
}

impl<'a> Series<'a> {
    /// Puts the labels into `out`, the metric name as `__name__`, in the order of the text but the metric name first.
    /// What is exposed twice is twice in it: it is the caller who knows which of them relabelling leaves.
    ///
    /// # Errors
    /// Where a name is not UTF-8. Values were checked when the line was parsed.
    pub fn labels(&self, out: &mut Vec<ExposedLabel<'a>>) -> Result<(), InvalidNames> {
        out.clear();
        let raw = raw_labels(self.text);
        for (name, value) in &raw {
            let (Ok(name), Ok(value)) = (unescape(name), unescape(value)) else {
                return Err(describe(&raw));
            };
            let value = self.normalised(&name, value);
            out.push(ExposedLabel { name, value });
        }
        Ok(())
    }

    /// `le` of histograms and `quantile` of summaries as OpenMetrics writes floats: whichever way a client writes the
    /// bound, the series is the same.
    fn normalised(&self, name: &str, value: Cow<'a, str>) -> Cow<'a, str> {
        let is_number = match self.kind {
            MetricType::Histogram => name == BUCKET_LABEL,
            MetricType::Summary => name == QUANTILE_LABEL,
            _ => false,
        };
        if !is_number {
            return value;
        }
        match crate::number::parse_label_float(&value) {
            Some(number) => Cow::Owned(format_openmetrics(number)),
            None => value,
        }
    }
}

/// A name and a value as written, without quotes.
pub(crate) type RawLabel<'a> = (&'a [u8], &'a [u8]);

/// Splits the text of a series that has been parsed before.
fn raw_labels(text: &[u8]) -> Vec<RawLabel<'_>> {
    let mut lexer = Lexer::new(text, 0);
    let mut labels = vec![(METRIC_NAME.as_bytes(), &text[..0])];
    let mut quoted: Option<&[u8]> = None;
    let mut name: &[u8] = &[];
    let mut metric = text.get(..0);
    loop {
        match lexer.next_token() {
            // Blanks before an unquoted metric name belong to it, as in Prometheus.
            Token::MetricName => metric = text.get(..lexer.at()),
            Token::QuotedString => quoted = Some(unquoted(lexer.token())),
            Token::LabelName => name = lexer.token(),
            Token::Equal => name = quoted.take().unwrap_or(name),
            Token::LabelValue => labels.push((name, unquoted(lexer.token()))),
            Token::Comma => metric = quoted.take().or(metric),
            Token::BraceClose => {
                metric = quoted.take().or(metric);
                break;
            }
            Token::BraceOpen => {}
            _ => break,
        }
    }
    if let (Some(first), Some(metric)) = (labels.first_mut(), metric) {
        first.1 = metric;
    }
    labels
}

fn unquoted(token: &[u8]) -> &[u8] {
    token.get(1..token.len().saturating_sub(1)).unwrap_or_default()
}

fn unescape(bytes: &[u8]) -> Result<Cow<'_, str>, std::str::Utf8Error> {
    Ok(unescape_value(std::str::from_utf8(bytes)?))
}

/// A label value, or a help text of OpenMetrics, with `\\`, `\"` and `\n` replaced; any other backslash stays.
#[must_use]
pub fn unescape_value(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let replaced = match after.as_bytes().first() {
            Some(b'\\') => Some('\\'),
            Some(b'"') => Some('"'),
            Some(b'n') => Some('\n'),
            _ => None,
        };
        out.push(replaced.unwrap_or('\\'));
        rest = if replaced.is_some() { &after[1..] } else { after };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// As Prometheus prints labels, though these are not valid ones.
pub(crate) fn describe(labels: &[RawLabel<'_>]) -> InvalidNames {
    let mut labels = labels.to_vec();
    labels.sort_by_key(|(name, _)| *name);
    let texts: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            let name = match std::str::from_utf8(name) {
                Ok(name) if is_legacy_label_name(name) => name.to_owned(),
                _ => quote_bytes(name),
            };
            format!("{name}={}", quote_bytes(value))
        })
        .collect();
    InvalidNames { labels: format!("{{{}}}", texts.join(", ")) }
}

/// `FormatOpenMetricsFloat` of Prometheus: Go's `%g` with at least one decimal.
pub(crate) fn format_openmetrics(value: f64) -> String {
    // Both zeros.
    if value == 0.0 {
        return "0.0".to_owned();
    }
    let mut text = model::number::format_g(value);
    if value.is_finite() && !text.contains(['e', '.']) {
        text.push_str(".0");
    }
    text
}
