//! What was used, by function.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What makes a function run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// EventBridge Scheduler: an invocation of its own price.
    Schedule,
    /// An event source mapping of an SQS queue: a receive and a delete of the queue each.
    Queue,
    /// A request of the HTTP API.
    Http,
}

/// The processor of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Architecture {
    /// Graviton: a fifth cheaper.
    #[default]
    #[serde(rename = "arm64")]
    Arm64,
    /// Intel and AMD.
    #[serde(rename = "x86_64")]
    X86_64,
}

/// Requests of one action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    /// How many requests, each attempt counted.
    pub count: f64,
    /// Units of its price: requests of S3, SQS and SNS; read or write units of DynamoDB.
    pub units: f64,
    /// Bytes sent in bodies.
    pub sent: f64,
    /// Bytes received in bodies.
    pub received: f64,
}

impl AddAssign for Requests {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.units += other.units;
        self.sent += other.sent;
        self.received += other.received;
    }
}

/// What one function used. Counts are `f64` because a month's are extrapolated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionUsage {
    /// Invocations by what made it run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub invocations: BTreeMap<Trigger, f64>,
    /// Billed duration of all invocations, seconds.
    #[serde(default)]
    pub seconds: f64,
    /// Billed duration times memory, on arm64.
    #[serde(default)]
    pub gb_seconds_arm64: f64,
    /// The same on x86-64.
    #[serde(default)]
    pub gb_seconds_x86_64: f64,
    /// Bytes of log lines, with what CloudWatch adds to each.
    #[serde(default)]
    pub log_bytes: f64,
    /// Requests by action, as IAM names it: `dynamodb:PutItem`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Requests>,
}

impl FunctionUsage {
    /// All invocations.
    #[must_use]
    pub fn invoked(&self) -> f64 {
        self.invocations.values().sum()
    }

    /// Adds requests of an action of a service.
    pub fn count(&mut self, service: &str, operation: &str, requests: Requests) {
        *self.requests.entry(format!("{service}:{operation}")).or_default() += requests;
    }

    /// Adds an invocation.
    pub fn invoke(&mut self, trigger: Trigger, seconds: f64, memory_mb: u32, architecture: Architecture) {
        *self.invocations.entry(trigger).or_default() += 1.0;
        self.seconds += seconds;
        let gb_seconds = seconds * f64::from(memory_mb) / 1024.0;
        match architecture {
            Architecture::Arm64 => self.gb_seconds_arm64 += gb_seconds,
            Architecture::X86_64 => self.gb_seconds_x86_64 += gb_seconds,
        }
    }

    /// So many times as much.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let mut scaled = self.clone();
        scaled.invocations.values_mut().for_each(|count| *count *= factor);
        scaled.seconds *= factor;
        scaled.gb_seconds_arm64 *= factor;
        scaled.gb_seconds_x86_64 *= factor;
        scaled.log_bytes *= factor;
        for requests in scaled.requests.values_mut() {
            requests.count *= factor;
            requests.units *= factor;
            requests.sent *= factor;
            requests.received *= factor;
        }
        scaled
    }
}

impl AddAssign<&FunctionUsage> for FunctionUsage {
    fn add_assign(&mut self, other: &FunctionUsage) {
        for (trigger, count) in &other.invocations {
            *self.invocations.entry(*trigger).or_default() += count;
        }
        self.seconds += other.seconds;
        self.gb_seconds_arm64 += other.gb_seconds_arm64;
        self.gb_seconds_x86_64 += other.gb_seconds_x86_64;
        self.log_bytes += other.log_bytes;
        for (action, requests) in &other.requests {
            *self.requests.entry(action.clone()).or_default() += *requests;
        }
    }
}

/// What a deployment used in a span of time, or uses in a month.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// By function.
    pub functions: BTreeMap<String, FunctionUsage>,
    /// Queues that an event source mapping polls. Its pollers ask even where nothing comes.
    #[serde(default)]
    pub polled_queues: f64,
    /// GB of objects in S3, on average.
    #[serde(default)]
    pub object_gb: f64,
    /// GB of items in DynamoDB, on average.
    #[serde(default)]
    pub item_gb: f64,
    /// Whether the table has point in time recovery.
    #[serde(default)]
    pub point_in_time_recovery: bool,
    /// CloudWatch metrics of its own.
    #[serde(default)]
    pub custom_metrics: f64,
    /// CloudWatch alarms.
    #[serde(default)]
    pub alarms: f64,
    /// CloudWatch dashboards that are paid for.
    #[serde(default)]
    pub dashboards: f64,
}

impl Usage {
    /// The usage of a function, to add to.
    pub fn function(&mut self, name: &str) -> &mut FunctionUsage {
        self.functions.entry(name.to_owned()).or_default()
    }

    /// What is used in `to_seconds` if this was used in `from_seconds`. What does not run by the hour (storage, alarms,
    /// queues) stays.
    #[must_use]
    pub fn extrapolated(&self, from_seconds: f64, to_seconds: f64) -> Self {
        let factor = if from_seconds > 0.0 { to_seconds / from_seconds } else { 0.0 };
        let functions =
            self.functions.iter().map(|(name, usage)| (name.clone(), usage.scaled(factor))).collect();
        Self { functions, ..self.clone() }
    }

    /// All functions together.
    #[must_use]
    pub fn total(&self) -> FunctionUsage {
        let mut total = FunctionUsage::default();
        self.functions.values().for_each(|usage| total += usage);
        total
    }
}
