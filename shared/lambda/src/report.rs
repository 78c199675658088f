//! What an invocation has to say of itself: one line of JSON on stdout.
//!
//! With a namespace the line is in CloudWatch's embedded metric format, so that metrics come of it without a request.
//! They have no dimensions and are few, for each costs up to $0.30 a month; those that count trouble are left out where
//! there is none, which costs nothing. What else is of interest are plain fields of the line, for Logs Insights.

use std::io::Write;

use serde_json::{Map, Value, json};
use telemetry::Totals;

/// The numbers of one invocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report<'a> {
    pub(crate) namespace: Option<&'a str>,
    pub(crate) function: &'a str,
    pub(crate) request_id: &'a str,
    /// When it ended, ms since the epoch.
    pub(crate) at: i64,
    pub(crate) duration_ms: f64,
    /// Whether it is the first of its process.
    pub(crate) cold: bool,
    /// Tasks and requests that failed.
    pub(crate) errors: u64,
    pub(crate) before: Totals,
    pub(crate) after: Totals,
}

impl Report<'_> {
    /// The line.
    pub(crate) fn line(&self) -> String {
        self.to_json().to_string()
    }

    fn to_json(&self) -> Value {
        let metrics = self.metrics();
        let mut line = Map::new();
        if let Some(namespace) = self.namespace
            && !metrics.is_empty()
        {
            let names: Vec<Value> =
                metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
            let directive = json!({ "Namespace": namespace, "Dimensions": [[]], "Metrics": names });
            let meta = json!({ "Timestamp": self.at, "CloudWatchMetrics": [directive] });
            line.insert("_aws".to_owned(), meta);
        }
        line.insert("level".to_owned(), json!("INFO"));
        line.insert("msg".to_owned(), json!("invocation"));
        line.insert("function".to_owned(), json!(self.function));
        line.insert("request_id".to_owned(), json!(self.request_id));
        line.insert("duration_ms".to_owned(), json!(self.duration_ms));
        line.insert("cold".to_owned(), json!(self.cold));
        for (name, _, value) in metrics {
            line.insert(name.to_owned(), value);
        }
        Value::Object(line)
    }

    /// Name, unit and value; only what there is something to say of.
    fn metrics(&self) -> Vec<(&'static str, &'static str, Value)> {
        let counts = [
            ("Errors", self.errors),
            ("MissedTicks", self.after.missed.saturating_sub(self.before.missed)),
            (
                "InvariantViolations",
                self.after.invariant_violations.saturating_sub(self.before.invariant_violations),
            ),
            ("Samples", self.after.samples.saturating_sub(self.before.samples)),
        ];
        let mut metrics: Vec<(&str, &str, Value)> = counts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| (name, "Count", json!(count)))
            .collect();
        if self.after.compaction_lag_seconds > 0.0 {
            metrics.push(("LagSeconds", "Seconds", json!(self.after.compaction_lag_seconds)));
        }
        metrics
    }
}

/// Writes a line to the log. That nobody reads it is no reason to fail.
pub(crate) fn write(line: &str) {
    let _ = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(missed: u64, samples: u64) -> Totals {
        Totals { missed, samples, ..Totals::default() }
    }

    #[test]
    fn metrics_are_what_the_invocation_added_and_only_if_it_did() {
        let report = Report {
            namespace: Some("foxfire"),
            function: "scraper",
            at: 1_800_000_000_000,
            before: totals(3, 100),
            after: totals(3, 150),
            ..Report::default()
        };
        let line = report.to_json();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(line["_aws"]["Timestamp"], 1_800_000_000_000i64);
        assert_eq!(directive["Namespace"], "foxfire");
        assert_eq!(directive["Dimensions"], json!([[]]));
        assert_eq!(directive["Metrics"], json!([{ "Name": "Samples", "Unit": "Count" }]));
        assert_eq!(line["Samples"], 50);
        assert_eq!(line.get("MissedTicks"), None);
        let quiet = Report { after: totals(3, 100), ..report };
        assert_eq!(quiet.to_json().get("_aws"), None);
    }

    #[test]
    fn without_a_namespace_there_are_numbers_but_no_metrics() {
        let report = Report { errors: 2, after: totals(1, 0), ..Report::default() };
        let line = report.to_json();
        assert_eq!(
            (line.get("_aws"), line["Errors"].as_u64(), line["MissedTicks"].as_u64()),
            (None, Some(2), Some(1))
        );
    }
}
