//! `foxfire tsdb dump` and `dump-openmetrics`: every sample as text, series by series.

use std::io::{BufWriter, ErrorKind, Write};
use std::ops::ControlFlow;

use clap::{Args, ValueEnum};
use model::Labels;
use model::number::format_g;
use storage::Series;
use tsdb::ScanQuery;

use super::{DbPath, open, openmetrics};

/// The selector of every series.
const EVERYTHING: &str = "{__name__=~'(?s:.*)'}";

/// Which samples.
#[derive(Clone, Debug, Args)]
pub(crate) struct Selection {
    /// Minimum timestamp to dump, in milliseconds since the Unix epoch.
    #[arg(long, default_value_t = i64::MIN, value_name = "MS", allow_negative_numbers = true)]
    min_time: i64,
    /// Maximum timestamp to dump, in milliseconds since the Unix epoch.
    #[arg(long, default_value_t = i64::MAX, value_name = "MS", allow_negative_numbers = true)]
    max_time: i64,
    /// Series selector. Can be specified multiple times.
    #[arg(long = "match", default_value = EVERYTHING, value_name = "SELECTOR")]
    matches: Vec<String>,
}

/// Flags of `dump`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DumpFlags {
    #[command(flatten)]
    selection: Selection,
    /// Output format of the dump (prom (default) or seriesjson).
    #[arg(long, value_enum, default_value_t = DumpFormat::Prom, hide_default_value = true, value_name = "FORMAT")]
    format: DumpFormat,
    #[command(flatten)]
    db: DbPath,
}

/// Flags of `dump-openmetrics`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DumpOpenmetricsFlags {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    db: DbPath,
}

/// How a dump looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DumpFormat {
    Prom,
    Seriesjson,
}

/// Writes one series.
type Write1<'a> = &'a (dyn Fn(&mut dyn Write, &Series) -> std::io::Result<()> + Sync);

/// Dumps samples, or series.
pub(super) async fn run(flags: &DumpFlags) -> Result<(), String> {
    let write: Write1<'_> = match flags.format {
        DumpFormat::Prom => &write_samples,
        DumpFormat::Seriesjson => &write_json,
    };
    dump(&flags.selection, &flags.db, write, "").await
}

/// Dumps samples as OpenMetrics.
pub(super) async fn run_openmetrics(flags: &DumpOpenmetricsFlags) -> Result<(), String> {
    dump(&flags.selection, &flags.db, &|out, series| openmetrics::write(out, series), "# EOF\n").await
}

async fn dump(selection: &Selection, db: &DbPath, write: Write1<'_>, end: &str) -> Result<(), String> {
    let parse = |text: &String| match text.as_str() {
        // The parser refuses what selects everything, as the API must.
        EVERYTHING => Ok(vec![]),
        text => promql::parser::parse_metric_selector(text).map_err(|error| error.to_string()),
    };
    let query = ScanQuery {
        matcher_sets: selection.matches.iter().map(parse).collect::<Result<_, String>>()?,
        min_time: selection.min_time,
        max_time: selection.max_time,
    };
    let opened = open::existing(&db.path)?;
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout());
    let mut failed = None;
    let scanned = opened
        .store
        .scan(&query, &mut |series| match write(&mut out, &series) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })
        .await;
    opened.close().await;
    scanned.map_err(|error| error.to_string())?;
    let written = match failed {
        Some(error) => Err(error),
        None => out.write_all(end.as_bytes()).and_then(|()| out.flush()),
    };
    match written {
        // That nobody reads on is no reason to complain.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(format!("write: {}", open::words(&error))),
        Ok(()) => Ok(()),
    }
}

/// `{labels} value timestamp` for each sample, in order of time.
fn write_samples(out: &mut dyn Write, series: &Series) -> std::io::Result<()> {
    let labels = series.labels.to_string();
    let mut histograms = series.histograms.timestamps.iter().zip(series.histograms.values.iter()).peekable();
    for (timestamp, value) in series.timestamps.iter().zip(series.values.iter()) {
        while let Some((at, histogram)) = histograms.next_if(|(at, _)| *at < timestamp) {
            writeln!(out, "{labels} {} {at}", super::histogram::text(histogram))?;
        }
        writeln!(out, "{labels} {} {timestamp}", format_g(*value))?;
    }
    for (at, histogram) in histograms {
        writeln!(out, "{labels} {} {at}", super::histogram::text(histogram))?;
    }
    Ok(())
}

/// The labels as Go's `encoding/json` writes a map.
fn write_json(out: &mut dyn Write, series: &Series) -> std::io::Result<()> {
    writeln!(out, "{}", labels_json(&series.labels))
}

fn labels_json(labels: &Labels) -> String {
    let quoted = |text: &str| {
        // Strings have no way to fail.
        let mut json = serde_json::to_string(text).unwrap_or_default();
        for (plain, escaped) in [
            ('&', "\\u0026"),
            ('<', "\\u003c"),
            ('>', "\\u003e"),
            ('\u{2028}', "\\u2028"),
            ('\u{2029}', "\\u2029"),
        ] {
            if json.contains(plain) {
                json = json.replace(plain, escaped);
            }
        }
        json
    };
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{}:{}", quoted(name), quoted(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_written_as_go_writes_json() {
        let labels = Labels::from_pairs([("__name__", "a"), ("b", "<\"é&\u{1}>")]);
        assert_eq!(labels_json(&labels), "{\"__name__\":\"a\",\"b\":\"\\u003c\\\"é\\u0026\\u0001\\u003e\"}");
    }

    #[test]
    fn samples_are_written_as_promtool_writes_them() {
        let labels = Labels::from_pairs([("__name__", "a"), ("b", "c")]);
        let series = Series::floats(labels, [-1, 5].into(), [f64::NAN, 1e21].into());
        let mut out = Vec::new();
        write_samples(&mut out, &series).unwrap();
        let text = "{__name__=\"a\", b=\"c\"} NaN -1\n{__name__=\"a\", b=\"c\"} 1e+21 5\n";
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}
