//! The suite's notation of series, as far as the engine tables use it: `load <step>`.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, Labels, MatchOp, Span};

use super::json::Point;
use super::store::Store;

/// Loads a script.
pub(crate) fn load(store: &mut Store, script: &str) {
    let mut step = 0;
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(text) = line.strip_prefix("load ") {
            let duration = model::duration::parse(text.trim()).expect("a duration");
            step = i64::try_from(duration.as_millis()).expect("a short duration");
        } else {
            load_series(store, line, step);
        }
    }
}

/// Loads one line: a metric and its values, `step` ms apart.
pub(crate) fn load_series(store: &mut Store, line: &str, step: i64) {
    let values_at = line.find("{{").unwrap_or(line.len());
    let head = &line[..values_at];
    let end =
        head.rfind('}').map_or_else(|| head.find(char::is_whitespace).unwrap_or(head.len()), |at| at + 1);
    let (metric, values) = line.split_at(end);
    let labels = labels(metric);
    let (mut time, mut before): (i64, Option<FloatHistogram>) = (0, None);
    for item in items(values) {
        for value in expand(&item) {
            match value {
                Some(Point::Histogram(value, _)) => {
                    let mut value = FloatHistogram::clone(&value);
                    value.counter_reset_hint = read_back(&value, before.as_ref());
                    store.add_point(&labels, time, Point::Histogram(Arc::new(value.clone()), true));
                    before = Some(value);
                }
                Some(float) => {
                    store.add_point(&labels, time, float);
                    before = None;
                }
                None => {}
            }
            time += step;
        }
    }
}

/// What Prometheus's storage says of counter resets: nothing of the first histogram of a chunk, and that there was none
/// of those after it.
fn read_back(histogram: &FloatHistogram, before: Option<&FloatHistogram>) -> CounterResetHint {
    if histogram.counter_reset_hint == CounterResetHint::Gauge {
        return CounterResetHint::Gauge;
    }
    let same_chunk = before.is_some_and(|before| {
        before.counter_reset_hint != CounterResetHint::Gauge
            && before.schema == histogram.schema
            && before.zero_threshold == histogram.zero_threshold
            && before.has_bounds_of(histogram)
            && !histogram.detect_reset(before)
    });
    if same_chunk { CounterResetHint::NotCounterReset } else { CounterResetHint::Unknown }
}

/// Splits at spaces that are not inside of histograms.
fn items(values: &str) -> Vec<String> {
    let (mut items, mut inside) = (vec![String::new()], 0);
    for character in values.chars() {
        inside += match character {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if character.is_whitespace() && inside == 0 {
            items.push(String::new());
        } else if let Some(item) = items.last_mut() {
            item.push(character);
        }
    }
    items.into_iter().filter(|item| !item.is_empty()).collect()
}

/// `{{schema:1 count:2 buckets:[1 1]}}`
fn histogram(text: &str) -> FloatHistogram {
    let text = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}")).expect("a histogram");
    let number = |text: &str| model::number::parse_float(text).expect("a number");
    let list =
        |text: &str| -> Vec<f64> { text.trim_matches(['[', ']']).split_whitespace().map(number).collect() };
    let mut histogram = FloatHistogram::default();
    let (mut offset, mut negative_offset) = (0, 0);
    let mut rest = text.trim();
    while let Some((key, after)) = rest.split_once(':') {
        let end = if after.starts_with('[') {
            after.find(']').expect("a list") + 1
        } else {
            after.find(' ').unwrap_or(after.len())
        };
        let (value, after) = after.split_at(end);
        rest = after.trim_start();
        match key {
            "schema" => histogram.schema = number(value) as i32,
            "sum" => histogram.sum = number(value),
            "count" => histogram.count = number(value),
            "z_bucket" => histogram.zero_count = number(value),
            "z_bucket_w" => histogram.zero_threshold = number(value),
            "buckets" => histogram.positive_buckets = list(value),
            "n_buckets" => histogram.negative_buckets = list(value),
            "offset" => offset = number(value) as i32,
            "n_offset" => negative_offset = number(value) as i32,
            "custom_values" => histogram.custom_values = list(value),
            key => panic!("key {key}"),
        }
    }
    let spans = |offset, buckets: &[f64]| match buckets.len() {
        0 => Vec::new(),
        length => vec![Span { offset, length: length as u32 }],
    };
    histogram.positive_spans = spans(offset, &histogram.positive_buckets);
    histogram.negative_spans = spans(negative_offset, &histogram.negative_buckets);
    histogram
}

/// `{{A}}`, `{{A}}x3`, `{{A}}+{{B}}x3`
fn expand_histograms(item: &str) -> Vec<Option<Point>> {
    let (series, count) = match item.rsplit_once("}}x") {
        Some((series, count)) => (format!("{series}}}}}"), count.parse().expect("a count")),
        None => (item.to_owned(), 0usize),
    };
    let (first, delta) = match series.split_once("}}+{{") {
        Some((first, delta)) => {
            (histogram(&format!("{first}}}}}")), Some(histogram(&format!("{{{{{delta}"))))
        }
        None => (histogram(&series), None),
    };
    let mut value = first;
    let mut values = Vec::new();
    for _ in 0..=count {
        values.push(Some(Point::Histogram(Arc::new(value.clone()), true)));
        if let Some(delta) = &delta {
            value.add(delta).expect("histograms of one kind");
        }
    }
    values
}

fn labels(metric: &str) -> Labels {
    let matchers = promql::parser::parse_metric_selector(metric).expect("a metric");
    Labels::from_pairs(matchers.iter().map(|matcher| {
        assert_eq!(matcher.op(), MatchOp::Equal);
        (matcher.name(), matcher.value())
    }))
}

fn expand(item: &str) -> Vec<Option<Point>> {
    if item.starts_with("{{") {
        return expand_histograms(item);
    }
    expand_floats(item).into_iter().map(|value| value.map(Point::Float)).collect()
}

fn expand_floats(item: &str) -> Vec<Option<f64>> {
    let number = |text: &str| match text {
        "stale" => model::value::stale_nan(),
        text => model::number::parse_float(text).expect("a number"),
    };
    if let Some(rest) = item.strip_prefix('_') {
        let count = rest.strip_prefix('x').map_or(1, |count| count.parse().expect("a count"));
        return vec![None; count];
    }
    let Some((series, count)) = item.rsplit_once('x') else { return vec![Some(number(item))] };
    let count: usize = count.parse().expect("a count");
    let sign = series.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map(|(at, _)| at);
    let (first, delta) = match sign {
        Some(at) => (number(&series[..at]), number(&series[at..])),
        None => (number(series), 0.0),
    };
    let mut value = first;
    let mut values = Vec::new();
    for _ in 0..=count {
        values.push(Some(value));
        value += delta;
    }
    values
}
