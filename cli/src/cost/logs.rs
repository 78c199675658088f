//! What a deployment used, by the records in its log lines.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use cost::{Deployment, FunctionUsage, MONTH_SECONDS, Record, Usage};

use super::Estimate;

/// A longer line is no line of ours.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// What is left of longer spans than this, seconds, is extrapolated by time alone: every schedule has fired often enough.
const DAY_SECONDS: f64 = 86_400.0;

/// Reads a file, or standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<Estimate, String> {
    if path.as_os_str() == "-" {
        return estimate(std::io::stdin().lock());
    }
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    estimate(BufReader::new(file))
}

/// The month that some log lines lead to.
pub(crate) fn estimate(mut lines: impl BufRead) -> Result<Estimate, String> {
    let mut found = Found::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = std::io::Read::take(&mut lines, LINE_BYTES_MAX);
        let read = limited.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
        if read == 0 {
            break;
        }
        found.add(&String::from_utf8_lossy(&line));
    }
    found.into_estimate()
}

#[derive(Default)]
struct Found {
    usage: Usage,
    span_ms: Option<(i64, i64)>,
    records: u64,
    malformed: u64,
    lines: u64,
    bytes: u64,
}

impl Found {
    fn add(&mut self, line: &str) {
        self.lines += 1;
        self.bytes += line.len() as u64 + cost::units::LOG_EVENT_BYTES;
        match Record::find(line) {
            Ok(Some(record)) => {
                self.records += 1;
                let (from, until) = self.span_ms.unwrap_or((record.from_ms, record.until_ms));
                self.span_ms = Some((from.min(record.from_ms), until.max(record.until_ms)));
                *self.usage.function(&record.function) += &record.usage;
            }
            Ok(None) => {}
            Err(_) => self.malformed += 1,
        }
    }

    fn into_estimate(self) -> Result<Estimate, String> {
        let (from, until) = self.span_ms.ok_or(
            "no records of usage in these lines: look for lines with \"foxfire_usage\" in the functions' log groups",
        )?;
        let seconds = until.saturating_sub(from).max(1) as f64 / 1e3;
        let mut notes = vec![format!(
            "{} records in {} lines, over {:.1} minutes, extrapolated to a month",
            self.records,
            self.lines,
            seconds / 60.0
        )];
        if self.malformed > 0 {
            notes.push(format!(
                "{} lines have a record that is cut off or malformed: not counted",
                self.malformed
            ));
        }
        let deployment = Deployment::default();
        let mut month = self.usage.extrapolated(seconds, MONTH_SECONDS);
        let told: f64 = self.usage.total().log_bytes;
        if self.bytes as f64 > told {
            let rest = (self.bytes as f64 - told) * MONTH_SECONDS / seconds;
            *month.function("(other log lines)") +=
                &FunctionUsage { log_bytes: rest, ..FunctionUsage::default() };
        }
        if seconds < DAY_SECONDS {
            by_schedule(&deployment, &self.usage, &mut month, &mut notes);
        }
        deployment.shared(&mut month);
        notes.push("without what is stored in S3".to_owned());
        Ok(Estimate { notes, workload: None, month })
    }
}

/// Functions that run by a schedule alone, so rarely that a short span has one run too many or none: a month of them is so
/// many runs as their schedule has, not a multiple of the span.
fn by_schedule(deployment: &Deployment, found: &Usage, month: &mut Usage, notes: &mut Vec<String>) {
    let rare: BTreeMap<&str, f64> = deployment.rare_schedules();
    for (name, runs) in rare {
        match found.functions.get(name) {
            Some(usage) if usage.invoked() > 0.0 => {
                month.functions.insert(name.to_owned(), usage.scaled(runs / usage.invoked()));
                notes.push(format!("{name}: {runs} runs a month, by its schedule"));
            }
            _ => notes.push(format!("{name} did not run in this time: not in it")),
        }
    }
}
