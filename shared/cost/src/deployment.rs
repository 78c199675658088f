//! What is deployed: memory, schedules, alarms. As `template.yaml` has them by default.

use std::collections::BTreeMap;

use crate::MONTH_SECONDS;
use crate::usage::{Architecture, FunctionUsage, Usage};

/// Runs a month of a schedule of so many seconds.
const fn runs(every_seconds: f64) -> f64 {
    MONTH_SECONDS / every_seconds
}

/// A deployment, by default as the template makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// The processor of all functions.
    pub architecture: Architecture,
    /// Queues that an event source mapping polls.
    pub queues: f64,
    /// CloudWatch metrics of its own that always have values: samples and lag.
    pub custom_metrics: f64,
    /// CloudWatch alarms.
    pub alarms: f64,
    /// Whether the table has point in time recovery.
    pub point_in_time_recovery: bool,
    /// Seconds between two windows of compaction.
    pub window_seconds: f64,
    /// How long a segment's row is kept, seconds.
    pub row_seconds: f64,
    /// A larger payload of a segment is an object, bytes.
    pub inline_bytes: f64,
    /// A million series' worth: series of a batch at most.
    pub batch_series: f64,
}

impl Default for Deployment {
    fn default() -> Self {
        Self {
            architecture: Architecture::Arm64,
            queues: 2.0,
            custom_metrics: 2.0,
            alarms: 4.0,
            point_in_time_recovery: true,
            window_seconds: 300.0,
            row_seconds: 7.0 * 86_400.0,
            inline_bytes: 2_048.0,
            batch_series: 200_000.0,
        }
    }
}

impl Deployment {
    /// The memory of a function, MB.
    #[must_use]
    pub fn memory_mb(&self, function: &str) -> u32 {
        match function {
            "discovery" => 256,
            "collector" | "compactor" | "query" | "admin" => 1_769,
            "ruler" => 1_024,
            _ => 512,
        }
    }

    /// The function of a deployment that does the work of a part of `foxfire serve`; `None` for what none does.
    #[must_use]
    pub fn as_deployed(&self, part: &str) -> Option<&'static str> {
        match part {
            "discovery" => Some("discovery"),
            "scraper" => Some("scraper"),
            "compactor" => Some("compactor"),
            "collector" => Some("collector"),
            "ruler" | "rule_planner" => Some("ruler"),
            "query" => Some("query"),
            "ingest" => Some("ingest"),
            _ => None,
        }
    }

    /// How often a month the schedules run a part of `foxfire serve`; `None` for what runs by messages or requests.
    #[must_use]
    pub fn runs_a_month(&self, part: &str) -> Option<f64> {
        match part {
            "discovery" | "rule_planner" => Some(runs(60.0)),
            // Segments each minute, blocks each five.
            "compactor" => Some(runs(60.0) + runs(300.0)),
            "collector" => Some(runs(3_600.0)),
            _ => None,
        }
    }

    /// The functions that run by a schedule alone and so rarely that minutes of counting do not tell a month.
    #[must_use]
    pub fn rare_schedules(&self) -> BTreeMap<&'static str, f64> {
        BTreeMap::from([("collector", runs(3_600.0))])
    }

    /// Makes of a month of a part of `foxfire serve`, which looks for work more often than a deployment, one that looks so
    /// many times: registers are read and windows planned once a look; what is found to do stays.
    pub fn look_as_often(&self, part: &str, month: &mut FunctionUsage, looks: f64) {
        let looked = month.invoked();
        if looked <= 0.0 {
            return;
        }
        let factor = looks / looked;
        let is_of_a_look = |action: &str| match part {
            "compactor" => action == "dynamodb:GetItem",
            "discovery" | "rule_planner" => !action.starts_with("sqs:"),
            _ => true,
        };
        let scaled = month.scaled(factor);
        for (action, requests) in &mut month.requests {
            if is_of_a_look(action)
                && let Some(scaled) = scaled.requests.get(action)
            {
                *requests = *scaled;
            }
        }
        month.invocations = scaled.invocations;
        if part != "compactor" {
            month.seconds = scaled.seconds;
            month.gb_seconds_arm64 = scaled.gb_seconds_arm64;
            month.gb_seconds_x86_64 = scaled.gb_seconds_x86_64;
        }
    }

    /// Adds what is there whatever is done: polled queues, metrics and alarms.
    pub fn shared(&self, month: &mut Usage) {
        month.polled_queues = self.queues;
        month.custom_metrics = self.custom_metrics;
        month.alarms = self.alarms;
        month.point_in_time_recovery = self.point_in_time_recovery;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Requests, Trigger};

    #[test]
    fn looking_less_often_saves_looks_and_not_work() {
        let deployment = Deployment::default();
        let mut month = FunctionUsage::default();
        for _ in 0..12 {
            month.invoke(Trigger::Schedule, 1.0, 1_024, Architecture::Arm64);
        }
        let units = |units: f64| Requests { count: units, units, ..Requests::default() };
        month.count("dynamodb", "GetItem", units(24.0));
        month.count("sqs", "SendMessage", units(40.0));
        let mut discovery = month.clone();
        deployment.look_as_often("discovery", &mut discovery, 1.0);
        assert!((discovery.requests["dynamodb:GetItem"].units - 2.0).abs() < 1e-9);
        assert!((discovery.requests["sqs:SendMessage"].units - 40.0).abs() < 1e-9);
        assert!((discovery.invoked() - 1.0).abs() < 1e-9 && (discovery.gb_seconds_arm64 - 1.0).abs() < 1e-9);
        let mut compactor = month;
        compactor.count("s3", "PutObject", units(3.0));
        deployment.look_as_often("compactor", &mut compactor, 1.0);
        assert!((compactor.requests["s3:PutObject"].units - 3.0).abs() < 1e-9);
        assert!((compactor.requests["dynamodb:GetItem"].units - 2.0).abs() < 1e-9);
        assert!((compactor.gb_seconds_arm64 - 12.0).abs() < 1e-9, "the work takes its time");
    }
}
