//! Series lines: `metric{label="x"} 1 2 _x3 4+5x6 {{schema:0 count:1}}x7`.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, Labels, MatchOp, Span};

use crate::numbers::{number, number_prefix, signed_duration_prefix};

/// A line has at most so many values.
const VALUES_MAX: usize = 10_000_000;

/// One position of a series line.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `_`
    Omitted,
    /// A number, or the stale marker.
    Float(f64),
    /// A native histogram, and whether its line says what is known of counter resets.
    Histogram(Arc<FloatHistogram>, bool),
}

/// Why a series line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SeriesError(pub String);

fn bad<T>(what: impl Into<String>) -> Result<T, SeriesError> {
    Err(SeriesError(what.into()))
}

/// Reads a series line.
///
/// # Errors
/// Where it is none.
pub fn parse_series(line: &str) -> Result<(Labels, Vec<Value>), SeriesError> {
    let (metric, values) = line.split_at(metric_end(line));
    Ok((parse_metric(metric)?, parse_values(values)?))
}

/// Where the metric ends that `line` begins with.
fn metric_end(line: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    let mut depth = 0;
    for (at, c) in line.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(q) => match c {
                '\\' if q != '`' => escaped = true,
                c if c == q => quote = None,
                _ => {}
            },
            None => match c {
                '"' | '\'' | '`' => quote = Some(c),
                '{' => depth += 1,
                '}' if depth <= 1 => return at + 1,
                '}' => depth -= 1,
                c if depth == 0 && c.is_whitespace() => return at,
                _ => {}
            },
        }
    }
    line.len()
}

fn parse_metric(text: &str) -> Result<Labels, SeriesError> {
    if text.replace(char::is_whitespace, "") == "{}" {
        return Ok(Labels::empty());
    }
    let matchers =
        promql::parser::parse_metric_selector(text).map_err(|error| SeriesError(error.to_string()))?;
    if let Some(matcher) = matchers.iter().find(|matcher| matcher.op() != MatchOp::Equal) {
        return bad(format!("unexpected matcher of {} in a metric", matcher.name()));
    }
    Ok(Labels::from_pairs(matchers.iter().map(|matcher| (matcher.name(), matcher.value()))))
}

fn parse_values(text: &str) -> Result<Vec<Value>, SeriesError> {
    let mut values = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let after = if rest.starts_with("{{") {
            histogram_item(rest, &mut values)?
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let (item, after) = rest.split_at(end);
            float_item(item, &mut values)?;
            after
        };
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return bad(format!("unexpected {after:?} in series values"));
        }
        rest = after.trim_start();
        if values.len() > VALUES_MAX {
            return bad("too many values");
        }
    }
    Ok(values)
}

fn count(text: &str) -> Result<usize, SeriesError> {
    match text.parse::<usize>() {
        Ok(count) if count <= VALUES_MAX => Ok(count),
        _ => bad(format!("invalid repetition in series values: {text:?}")),
    }
}

fn float_item(item: &str, values: &mut Vec<Value>) -> Result<(), SeriesError> {
    if let Some(rest) = item.strip_prefix('_') {
        let times = match rest.strip_prefix('x') {
            Some(text) => count(text)?,
            None if rest.is_empty() => 1,
            None => return bad(format!("unexpected {item:?} in series values")),
        };
        values.extend(std::iter::repeat_n(Value::Omitted, times));
        return Ok(());
    }
    if item == "stale" {
        values.push(Value::Float(model::value::stale_nan()));
        return Ok(());
    }
    let unexpected =
        || SeriesError(format!("unexpected {item:?} in series values, expected number or \"stale\""));
    let (first, rest) = number_prefix(item).ok_or_else(unexpected)?;
    if rest.is_empty() {
        values.push(Value::Float(first));
        return Ok(());
    }
    let (delta, times) = match rest.strip_prefix('x') {
        Some(times) if !first.is_finite() || times.is_empty() => return Err(unexpected()),
        Some(times) => (0.0, count(times)?),
        None if rest.get(1..).is_some_and(|rest| rest.starts_with(['+', '-'])) => return Err(unexpected()),
        None => {
            let (delta, rest) = number_prefix(rest).ok_or_else(unexpected)?;
            (delta, count(rest.strip_prefix('x').ok_or_else(unexpected)?)?)
        }
    };
    let mut value = first;
    for _ in 0..=times {
        values.push(Value::Float(value));
        value += delta;
    }
    Ok(())
}

/// Reads `{{…}}`, `{{…}}xN` or `{{…}}+{{…}}xN`; what follows.
fn histogram_item<'a>(text: &'a str, values: &mut Vec<Value>) -> Result<&'a str, SeriesError> {
    let (first, hint_set, rest) = histogram(text)?;
    let (delta, rest) = match rest.as_bytes().first() {
        Some(sign @ (b'+' | b'-')) => {
            let (delta, hint_set, rest) = histogram(rest.get(1..).unwrap_or_default())?;
            (Some((*sign == b'+', delta, hint_set)), rest)
        }
        _ => (None, rest),
    };
    let Some(times) = rest.strip_prefix('x') else {
        if delta.is_some() {
            return bad("expected a repetition after histograms that change");
        }
        values.push(Value::Histogram(Arc::new(first), hint_set));
        return Ok(rest);
    };
    let end = times.find(|c: char| !c.is_ascii_digit()).unwrap_or(times.len());
    let (times, rest) = times.split_at(end);
    let times = count(times)?;
    let Some((add, delta, hint_set)) = delta else {
        let first = Arc::new(first);
        values.extend((0..=times).map(|_| Value::Histogram(Arc::clone(&first), hint_set)));
        return Ok(rest);
    };
    if first.schema > delta.schema {
        return bad(format!(
            "error combining histograms: cannot merge from schema {} to {}",
            delta.schema, first.schema
        ));
    }
    let mut histogram = first;
    for at in 0..=times {
        if at > 0 {
            let combined = if add { histogram.add(&delta) } else { histogram.sub(&delta) };
            combined.map_err(|error| SeriesError(format!("error combining histograms: {error}")))?;
        }
        values.push(Value::Histogram(Arc::new(histogram.clone()), hint_set));
    }
    Ok(rest)
}

/// Reads `{{…}}`: the histogram, whether its hint is given, what follows.
fn histogram(text: &str) -> Result<(FloatHistogram, bool, &str), SeriesError> {
    let Some((inside, rest)) = text.strip_prefix("{{").and_then(|text| text.split_once("}}")) else {
        return bad(format!("expected a histogram, got {text:?}"));
    };
    let mut histogram = FloatHistogram::default();
    let (mut offset, mut n_offset, mut hint_set) = (0, 0, false);
    let mut seen = Vec::new();
    let mut left = inside.trim();
    while !left.is_empty() {
        let Some((key, after)) = left.split_once(':') else {
            return bad(format!("expected a key of a histogram, got {left:?}"));
        };
        let (value, after) = match after.strip_prefix('[') {
            Some(list) => {
                list.split_once(']').ok_or_else(|| SeriesError(format!("expected ']' after {list:?}")))?
            }
            None => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
        };
        let key = key.to_ascii_lowercase();
        if seen.contains(&key) {
            return bad(format!("duplicate key \"{key}\" in histogram"));
        }
        let float = || number(value).ok_or_else(|| SeriesError(format!("bad number {value:?} of {key}")));
        let whole = || float().map(|value| value as i32);
        match key.as_str() {
            "schema" => histogram.schema = whole()?,
            "sum" => histogram.sum = float()?,
            "count" => histogram.count = float()?,
            "z_bucket" => histogram.zero_count = float()?,
            "z_bucket_w" => histogram.zero_threshold = float()?,
            "buckets" => histogram.positive_buckets = list(value)?,
            "n_buckets" => histogram.negative_buckets = list(value)?,
            "custom_values" => histogram.custom_values = list(value)?,
            "offset" => offset = whole()?,
            "n_offset" => n_offset = whole()?,
            "counter_reset_hint" => {
                hint_set = true;
                histogram.counter_reset_hint = match value {
                    "unknown" => CounterResetHint::Unknown,
                    "reset" => CounterResetHint::CounterReset,
                    "not_reset" => CounterResetHint::NotCounterReset,
                    "gauge" => CounterResetHint::Gauge,
                    _ => return bad(format!("unexpected {value:?} of counter_reset_hint")),
                };
            }
            _ => return bad(format!("unexpected key {key:?} of a histogram")),
        }
        seen.push(key);
        left = after.trim_start();
    }
    histogram.positive_spans = spans(offset, &histogram.positive_buckets);
    histogram.negative_spans = spans(n_offset, &histogram.negative_buckets);
    Ok((histogram, hint_set, rest))
}

fn list(text: &str) -> Result<Vec<f64>, SeriesError> {
    let item = |text| number(text).ok_or_else(|| SeriesError(format!("bad number {text:?} in a list")));
    text.split_whitespace().map(item).collect()
}

fn spans(offset: i32, buckets: &[f64]) -> Vec<Span> {
    if buckets.is_empty() {
        return Vec::new();
    }
    vec![Span { offset, length: u32::try_from(buckets.len()).unwrap_or(u32::MAX) }]
}

/// Reads a sequence of start timestamps, in ms relative to the samples: `-1m`, `_`, `_x3`, `-1mx3`, `-1m+5sx3`.
pub(crate) fn parse_starts(text: &str) -> Result<Vec<Option<i64>>, SeriesError> {
    let mut starts = Vec::new();
    for item in text.split_whitespace() {
        let invalid = || SeriesError(format!("invalid ST item {item:?}"));
        if let Some(rest) = item.strip_prefix('_') {
            let times = if rest.is_empty() { 1 } else { count(rest.strip_prefix('x').ok_or_else(invalid)?)? };
            if times == 0 {
                return Err(invalid());
            }
            starts.extend(std::iter::repeat_n(None, times));
            continue;
        }
        let (first, rest) = signed_duration_prefix(item).ok_or_else(invalid)?;
        let (delta, rest) = match rest.as_bytes().first() {
            None => {
                starts.push(Some(first));
                continue;
            }
            Some(b'+' | b'-') => signed_duration_prefix(rest).ok_or_else(invalid)?,
            Some(_) => (0, rest),
        };
        let times = count(rest.strip_prefix('x').ok_or_else(invalid)?)?;
        let mut start = first;
        for _ in 0..=times {
            starts.push(Some(start));
            start = start.saturating_add(delta);
        }
    }
    Ok(starts)
}
