//! Prometheus: promtool makes one block of the samples.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use tempfile::TempDir;

use super::{Peer, PeerSize, bytes_below, installed, version};
use crate::Outcome;
use crate::data::DataSet;

/// The longest blocks that promtool makes here: a day fits into one, as its lengths are 2 h times a power of three.
const BLOCK: &str = "54h";

#[derive(Debug, Deserialize)]
struct Meta {
    stats: MetaStats,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetaStats {
    num_samples: u64,
}

/// What promtool's block of a data set takes.
///
/// # Errors
/// Where promtool is there and fails, or loses samples.
pub fn prometheus(data: &DataSet) -> Outcome<Peer> {
    if let Err(missing) = installed("promtool", "prometheus") {
        return Ok(Err(missing));
    }
    let folder = TempDir::new()?;
    let input = folder.path().join("samples.txt");
    write_open_metrics(data, &input)?;
    let output = folder.path().join("blocks");
    let run = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "--max-block-duration", BLOCK, "openmetrics", "--quiet"])
        .args([&input, &output])
        .output()?;
    if !run.status.success() {
        return Err(format!("promtool: {}", String::from_utf8_lossy(&run.stderr)).into());
    }
    let mut size = PeerSize::default();
    let mut blocks = 0;
    for entry in std::fs::read_dir(&output)? {
        let block = entry?.path();
        let Ok(meta) = std::fs::read(block.join("meta.json")) else { continue };
        size.samples += serde_json::from_slice::<Meta>(&meta)?.stats.num_samples;
        size.bytes += bytes_below(&block)?;
        size.index_bytes += std::fs::metadata(block.join("index"))?.len();
        blocks += 1;
    }
    size.remark = format!("{}; {blocks} block(s)", version("prometheus"));
    if size.samples != data.samples() {
        return Err(format!("promtool stored {} of {} samples", size.samples, data.samples()).into());
    }
    Ok(Ok(size))
}

fn write_open_metrics(data: &DataSet, path: &Path) -> Outcome<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for series in &data.series {
        let mut name = series.labels.metric_name().to_owned();
        let others = series.labels.iter().filter(|(name, _)| *name != "__name__");
        for (number, (label, value)) in others.enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            name.push_str(if number == 0 { "{" } else { "," });
            name.push_str(&format!("{label}=\"{value}\""));
        }
        if series.labels.len() > 1 {
            name.push('}');
        }
        for (at, value) in series.timestamps.iter().zip(series.values.iter()) {
            out.write_all(name.as_bytes())?;
            // Infinities print as OpenMetrics has them, but for the sign. Timestamps are read as `int64(seconds * 1000)`,
            // which cuts: four tenths of a millisecond more give the right one whatever the product is rounded to.
            let sign = if *value == f64::INFINITY { "+" } else { "" };
            writeln!(out, " {sign}{value} {}.{:03}4", at.div_euclid(1000), at.rem_euclid(1000))?;
        }
    }
    out.write_all(b"# EOF\n")?;
    out.flush()?;
    Ok(())
}
