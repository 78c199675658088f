//! VictoriaMetrics: a server on loopback that is given the samples, flushes, merges, gives them back, and stops.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use model::Labels;
use serde::Deserialize;
use storage::Series;
use tempfile::TempDir;

use super::http::{call, free_port, lines};
use super::{Peer, PeerSize, bytes_below, installed, version};
use crate::Outcome;
use crate::data::DataSet;

const PROGRAM: &str = "victoria-metrics";
/// Bytes of one import request, about.
const IMPORT_BYTES: usize = 32 << 20;
/// How long to wait for a server that starts, merges or stops.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(200);

/// A running server, killed when it is dropped.
struct Server {
    child: Child,
    address: String,
}

#[derive(Debug, Deserialize)]
struct Exported {
    metric: BTreeMap<String, String>,
    values: Vec<f64>,
    timestamps: Vec<i64>,
}

/// What VictoriaMetrics' storage of a data set takes after flush and forced merge, and how many samples come back
/// changed.
///
/// # Errors
/// Where it is there and fails, or loses samples.
pub fn victoria_metrics(data: &DataSet) -> Outcome<Peer> {
    if let Err(missing) = installed(PROGRAM, "victoria-metrics") {
        return Ok(Err(missing));
    }
    let folder = TempDir::new()?;
    let mut server = Server::start(folder.path())?;
    import(&server.address, data)?;
    call(&server.address, "/internal/force_flush", &[])?;
    call(&server.address, "/internal/force_merge", &[])?;
    server.wait_for_merges()?;
    let (samples, inexact) = compare(&server.address, data)?;
    server.stop()?;
    let store = folder.path().join("store");
    let index_bytes = bytes_below(&store.join("indexdb"))?;
    let bytes = bytes_below(&store.join("data"))? + index_bytes;
    let remark = format!("{}; after flush and forced merge", version(PROGRAM));
    Ok(Ok(PeerSize { bytes, index_bytes, samples, inexact: Some(inexact), remark }))
}

impl Server {
    fn start(folder: &Path) -> Outcome<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let child = Command::new(PROGRAM)
            .arg(format!("-storageDataPath={}", folder.join("store").display()))
            .arg(format!("-httpListenAddr={address}"))
            .args(["-retentionPeriod=100y", "-loggerLevel=ERROR", "-memory.allowedBytes=1GB"])
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("log"))?)
            .spawn()?;
        let server = Self { child, address };
        server.wait(|server| Ok(call(&server.address, "/health", &[]).is_ok()))?;
        Ok(server)
    }

    fn wait(&self, mut is_done: impl FnMut(&Self) -> Outcome<bool>) -> Outcome<()> {
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            if is_done(self)? {
                return Ok(());
            }
            pause();
        }
        Err(format!("{PROGRAM} did not get ready in {PATIENCE:?}").into())
    }

    /// Waits until no merge has been under way three times in a row.
    fn wait_for_merges(&self) -> Outcome<()> {
        let mut quiet = 0;
        self.wait(|server| {
            let metrics = call(&server.address, "/metrics", &[])?;
            let busy = metrics.lines().any(|line| {
                let active =
                    line.starts_with("vm_active_merges") || line.starts_with("vm_active_force_merges");
                active && !line.ends_with(" 0")
            });
            quiet = if busy { 0 } else { quiet + 1 };
            Ok(quiet >= 3)
        })
    }

    /// Asks it to stop, so that all that it holds reaches the disk.
    fn stop(&mut self) -> Outcome<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            pause();
        }
        Err(format!("{PROGRAM} did not stop in {PATIENCE:?}").into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where it has stopped already, there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pause() {
    #[expect(clippy::disallowed_methods, reason = "another process is waited for")]
    std::thread::sleep(PAUSE);
}

fn import(address: &str, data: &DataSet) -> Outcome<()> {
    let mut body = String::with_capacity(IMPORT_BYTES * 2);
    for series in &data.series {
        let metric: BTreeMap<&str, &str> = series.labels.iter().collect();
        write!(body, "{{\"metric\":{},\"values\":[", serde_json::to_string(&metric)?)?;
        for (number, value) in series.values.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            if value.is_finite() {
                write!(body, "{comma}{value}")?;
            } else {
                write!(body, "{comma}\"{}Inf\"", if *value > 0.0 { "" } else { "-" })?;
            }
        }
        body.push_str("],\"timestamps\":[");
        for (number, at) in series.timestamps.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(body, "{comma}{at}")?;
        }
        body.push_str("]}\n");
        if body.len() > IMPORT_BYTES {
            call(address, "/api/v1/import", body.as_bytes())?;
            body.clear();
        }
    }
    if !body.is_empty() {
        call(address, "/api/v1/import", body.as_bytes())?;
    }
    Ok(())
}

/// How many samples come back, and how many of them with other bits. What is missing is an error: the sizes could not be
/// compared.
fn compare(address: &str, data: &DataSet) -> Outcome<(u64, u64)> {
    let known: BTreeMap<&Labels, &Series> =
        data.series.iter().map(|series| (&series.labels, series)).collect();
    let (mut samples, mut inexact) = (0u64, 0u64);
    // {__name__!=""}
    lines(address, "/api/v1/export?match[]=%7B__name__%21%3D%22%22%7D", &[], |line| {
        if line.is_empty() {
            return Ok(());
        }
        let exported: Exported = serde_json::from_str(line)?;
        let labels = Labels::from_pairs(exported.metric);
        let series =
            known.get(&labels).ok_or_else(|| format!("{PROGRAM} gave {labels}, which it was not given"))?;
        for (at, value) in exported.timestamps.iter().zip(&exported.values) {
            let number = series.timestamps.binary_search(at);
            let number =
                number.map_err(|_| format!("{PROGRAM} gave {labels} at {at}, which it was not given"))?;
            samples += 1;
            inexact += u64::from(series.values.get(number).map(|v| v.to_bits()) != Some(value.to_bits()));
        }
        Ok(())
    })?;
    if samples != data.samples() {
        return Err(format!("{PROGRAM} gave {samples} of {} samples", data.samples()).into());
    }
    Ok((samples, inexact))
}
