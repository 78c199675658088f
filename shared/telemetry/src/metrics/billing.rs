//! What requests to the cloud are billed as.

use cost::Trigger;
use platform::Billed;
use prometheus::{CounterVec, Error, IntCounterVec, Opts, Registry};

use super::Metrics;
use super::families::{counters, register};

/// Requests, units of their prices, bytes, and invocations.
#[derive(Debug)]
pub(super) struct BillingFamilies {
    requests: IntCounterVec,
    units: CounterVec,
    sent: IntCounterVec,
    received: IntCounterVec,
    invocations: IntCounterVec,
    seconds: CounterVec,
}

impl BillingFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let labels = &["function", "service", "operation"];
        let floats = |name, help, labels| register(registry, CounterVec::new(Opts::new(name, help), labels));
        Ok(Self {
            requests: counters(
                registry,
                "foxfire_aws_requests_total",
                "Requests to AWS, or what would be ones there, each attempt counted.",
                labels,
            )?,
            units: floats(
                "foxfire_aws_billed_units_total",
                "Units that those requests are billed as: DynamoDB's read or write units, requests of the others.",
                labels,
            )?,
            sent: counters(registry, "foxfire_aws_sent_bytes_total", "Bytes sent to AWS in bodies.", labels)?,
            received: counters(
                registry,
                "foxfire_aws_received_bytes_total",
                "Bytes received from AWS in bodies.",
                labels,
            )?,
            invocations: counters(
                registry,
                "foxfire_aws_invocations_total",
                "Invocations of functions, or what would be ones on AWS, by what made them run.",
                &["function", "trigger"],
            )?,
            seconds: floats(
                "foxfire_aws_invocation_seconds_total",
                "How long those invocations took.",
                &["function"],
            )?,
        })
    }
}

impl Metrics {
    /// A function made a request that is billed.
    pub fn billed(&self, function: &str, billed: &Billed) {
        let labels = &[function, billed.service, billed.operation];
        self.billing.requests.with_label_values(labels).inc();
        // A counter must not be asked to go down, and there is no negative unit.
        self.billing.units.with_label_values(labels).inc_by(billed.units.max(0.0));
        self.billing.sent.with_label_values(labels).inc_by(billed.sent);
        self.billing.received.with_label_values(labels).inc_by(billed.received);
    }

    /// A function was invoked, and ran for so long.
    pub fn invoked(&self, function: &str, trigger: Trigger, seconds: f64) {
        let trigger = match trigger {
            Trigger::Schedule => "schedule",
            Trigger::Queue => "queue",
            Trigger::Http => "http",
        };
        self.billing.invocations.with_label_values(&[function, trigger]).inc();
        self.billing.seconds.with_label_values(&[function]).inc_by(seconds.max(0.0));
    }
}
