//! The targets: generated machines as node_exporter shows them, rendered as text at each scrape.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use platform::HttpRequest;
use platform_sim::Answer;
use storage_bench::generate::{INTERVAL_MS, Target, nodes};
use storage_bench::stopwatch::time_on_core;

/// How long a target takes to answer.
const TARGET_LATENCY: Duration = Duration::from_millis(20);

/// The machines.
pub(crate) struct Fleet {
    targets: Vec<Target>,
    /// Per target and series, all of its line but the value.
    lines: Vec<Vec<String>>,
    start_ms: i64,
    /// Time on a core that was spent here, and is nobody else's, ns.
    spent_ns: AtomicU64,
}

impl Fleet {
    /// Machines of so many series in total, for so many scrapes.
    pub(crate) fn new(series: usize, steps: usize, start_ms: i64) -> Arc<Self> {
        let each = nodes(1, 1, 1).first().map_or(1, |target| target.series.len());
        let targets = nodes(1, series.div_ceil(each), steps);
        let lines = targets.iter().map(|target| target.series.iter().map(line).collect()).collect();
        Arc::new(Self { targets, lines, start_ms, spent_ns: AtomicU64::new(0) })
    }

    /// How many series there are.
    pub(crate) fn series(&self) -> usize {
        self.targets.iter().map(|target| target.series.len()).sum()
    }

    /// How many targets there are.
    #[cfg(feature = "aws")]
    pub(crate) fn targets(&self) -> usize {
        self.targets.len()
    }

    /// The targets' addresses in virtual time.
    pub(crate) fn addresses(&self) -> Vec<String> {
        (0..self.targets.len()).map(|number| format!("node-{number}:9100")).collect()
    }

    /// Time on a core that rendering took, ns.
    pub(crate) fn spent_ns(&self) -> u64 {
        self.spent_ns.load(Ordering::Relaxed)
    }

    /// Answers a scrape.
    pub(crate) fn answer(&self, request: &HttpRequest, now_ms: i64) -> Answer {
        let before = time_on_core().unwrap_or_default();
        let number = request
            .url
            .strip_prefix("http://node-")
            .and_then(|rest| rest.split(':').next())
            .and_then(|number| number.parse::<usize>().ok());
        let text = number.map(|number| self.text(number, now_ms)).unwrap_or_default();
        let after = time_on_core().unwrap_or_default();
        let spent = u64::try_from(after.saturating_sub(before).as_nanos()).unwrap_or(0);
        self.spent_ns.fetch_add(spent, Ordering::Relaxed);
        Answer::text(text).after(TARGET_LATENCY)
    }

    /// What a target shows at an instant, ms since the epoch.
    pub(crate) fn text(&self, number: usize, now_ms: i64) -> String {
        let found = self.targets.get(number).zip(self.lines.get(number));
        let Some((target, lines)) = found else { return String::new() };
        let step = usize::try_from((now_ms - self.start_ms).max(0) / INTERVAL_MS).unwrap_or(0);
        let mut text = String::with_capacity(lines.len() * 64);
        for (series, line) in target.series.iter().zip(lines) {
            if let Some(value) = series.values.get(step) {
                text.push_str(line);
                let _ = writeln!(text, " {value}");
            }
        }
        text
    }
}

fn line(series: &storage_bench::generate::TargetSeries) -> String {
    let mut text = series.labels.metric_name().to_owned();
    let own = series.labels.iter().filter(|(name, _)| !matches!(*name, "__name__" | "instance" | "job"));
    let pairs: Vec<String> = own
        .map(|(name, value)| format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    if !pairs.is_empty() {
        let _ = write!(text, "{{{}}}", pairs.join(","));
    }
    text
}
