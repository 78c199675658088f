//! The suite's notation of series, as far as the engine tables use it: `load <step>` and floats.

use model::{Labels, MatchOp};

use super::store::Store;

/// Loads a script. Native histograms are left out.
pub(crate) fn load(store: &mut Store, script: &str) {
    let mut step = 0;
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(text) = line.strip_prefix("load ") {
            let duration = model::duration::parse(text.trim()).expect("a duration");
            step = i64::try_from(duration.as_millis()).expect("a short duration");
        } else if !line.contains("{{") {
            load_series(store, line, step);
        }
    }
}

/// Loads one line: a metric and its values, `step` ms apart.
pub(crate) fn load_series(store: &mut Store, line: &str, step: i64) {
    let end =
        line.rfind('}').map_or_else(|| line.find(char::is_whitespace).unwrap_or(line.len()), |at| at + 1);
    let (metric, values) = line.split_at(end);
    let labels = labels(metric);
    let mut time = 0;
    for item in values.split_whitespace() {
        for value in expand(item) {
            if let Some(value) = value {
                store.add(&labels, time, value);
            }
            time += step;
        }
    }
}

fn labels(metric: &str) -> Labels {
    let matchers = promql::parser::parse_metric_selector(metric).expect("a metric");
    Labels::from_pairs(matchers.iter().map(|matcher| {
        assert_eq!(matcher.op(), MatchOp::Equal);
        (matcher.name(), matcher.value())
    }))
}

fn expand(item: &str) -> Vec<Option<f64>> {
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
