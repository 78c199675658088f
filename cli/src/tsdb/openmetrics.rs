//! Samples as OpenMetrics text.

use std::io::Write;

use model::Labels;
use model::labels::{METRIC_NAME, is_legacy_label_name, is_legacy_metric_name};
use model::number::format_g;
use model::value::is_stale_nan;
use storage::Series;

/// Writes the floats of a series but its stale markers, as `promtool tsdb dump-openmetrics` does. Names that are not
/// legacy-valid are quoted, so that what was written can be read back.
pub(super) fn write(out: &mut dyn Write, series: &Series) -> std::io::Result<()> {
    let text = series_text(&series.labels);
    for (timestamp, value) in series.timestamps.iter().zip(series.values.iter()) {
        if is_stale_nan(*value) {
            continue;
        }
        let sign = if *timestamp < 0 { "-" } else { "" };
        let ms = timestamp.unsigned_abs();
        writeln!(out, "{text} {} {sign}{}.{:03}", format_g(*value), ms / 1000, ms % 1000)?;
    }
    Ok(())
}

fn series_text(labels: &Labels) -> String {
    let name = labels.metric_name();
    let is_plain = is_legacy_metric_name(name);
    let quoted_name = (!is_plain).then(|| quoted(name));
    let pairs = labels.iter().filter(|(name, _)| *name != METRIC_NAME).map(|(name, value)| {
        let name = if is_legacy_label_name(name) { name.to_owned() } else { quoted(name) };
        format!("{name}={}", quoted(value))
    });
    let inner: Vec<String> = quoted_name.into_iter().chain(pairs).collect();
    format!("{}{{{}}}", if is_plain { name } else { "" }, inner.join(","))
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use model::value::stale_nan;

    use super::*;

    #[test]
    fn samples_are_written_as_promtool_writes_them() {
        let labels = Labels::from_pairs([("__name__", "up"), ("a", "b\"c\n"), ("job", "x")]);
        let series =
            Series::floats(labels, [1_700_226_034_330, -1, 5].into(), [1e10, stale_nan(), -0.5].into());
        let mut out = Vec::new();
        write(&mut out, &series).unwrap();
        let text =
            "up{a=\"b\\\"c\\n\",job=\"x\"} 1e+10 1700226034.330\nup{a=\"b\\\"c\\n\",job=\"x\"} -0.5 0.005\n";
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn names_that_are_not_plain_are_quoted() {
        let labels = Labels::from_pairs([("__name__", "http.status"), ("a.b", "c")]);
        assert_eq!(series_text(&labels), "{\"http.status\",\"a.b\"=\"c\"}");
        assert_eq!(series_text(&Labels::from_pairs([("__name__", "up")])), "up{}");
    }
}
