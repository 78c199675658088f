//! What a deployment will use, by what it is to do.
//!
//! Follows the pipeline: targets are packed into batches, a batch at one tick is a message, an invocation and a segment;
//! windows of segments become blocks; rules and queries read what is not in blocks yet and the blocks. Figures of one
//! invocation are measured by `benches/month`, which runs the real handlers and counts; see [`Measured`].

use crate::MONTH_SECONDS;
use crate::deployment::Deployment;
use crate::units::{message_units, read_units, write_units};
use crate::usage::{Architecture, FunctionUsage, Requests, Trigger, Usage};

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Active series.
    pub series: f64,
    /// Targets that have them.
    pub targets: f64,
    /// Seconds between two scrapes of a target.
    pub interval_seconds: f64,
    /// Rules, in groups of ten that are evaluated each minute.
    pub rules: f64,
    /// Queries a month.
    pub queries: f64,
    /// Samples are kept so long.
    pub retention_seconds: f64,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            series: 10_000.0,
            targets: 10.0,
            interval_seconds: 15.0,
            rules: 20.0,
            queries: 100_000.0,
            retention_seconds: 15.0 * 86_400.0,
        }
    }
}

impl Workload {
    /// Samples that are taken in a month.
    #[must_use]
    pub fn samples_a_month(&self) -> f64 {
        self.series / self.interval_seconds.max(0.001) * MONTH_SECONDS
    }
}

/// Figures of single invocations, as measured with `benches/month` and `benches/storage`.
struct Measured;

impl Measured {
    /// Bytes of a sample in a segment: `benches/storage --parts wal`.
    const WAL_BYTES: f64 = 0.55;
    /// Bytes of a segment's row but its payload.
    const ROW_BYTES: f64 = 150.0;
    /// Bytes of a sample in a block of a day, everything included: `benches/storage --parts sizes`.
    const BLOCK_BYTES: f64 = 0.43;
    /// Bytes of a target in a task and in a snapshot, JSON.
    const TARGET_BYTES: f64 = 260.0;
    /// Rules of a group.
    const GROUP: f64 = 10.0;
    /// Seconds of a scraper's invocation that do not depend on its batch: the slowest target's answer and two requests.
    const SCRAPE_SECONDS: f64 = 0.06;
    /// Core seconds a series of one scrape on one vCPU of Lambda: parsing, encoding.
    const SCRAPE_CORE: f64 = 0.3e-6;
    /// Core seconds a sample of level 1 and the merges above it.
    const COMPACT_CORE: f64 = 0.8e-6;
    /// Seconds of an invocation that finds nothing to do.
    const IDLE_SECONDS: f64 = 0.02;
    /// Seconds of a group's evaluation: most of it waits for the lists that each rule makes.
    const RULE_SECONDS: f64 = 0.6;
    /// Seconds of a query.
    const QUERY_SECONDS: f64 = 0.06;
    /// GETs of blocks by a query in a sandbox that has not cached them, on average.
    const QUERY_GETS: f64 = 6.0;
    /// Sandboxes that are started a day, of each function.
    const SANDBOXES_A_DAY: f64 = 24.0;
    /// Bytes of log an invocation: its report; and a minute in which a function runs: a record of usage.
    const REPORT_BYTES: f64 = 420.0;
    const RECORD_BYTES: f64 = 900.0;
}

/// One vCPU, MB of memory.
const VCPU_MB: f64 = 1_769.0;

impl Deployment {
    /// What a workload uses in a month.
    #[must_use]
    pub fn month(&self, workload: &Workload) -> Usage {
        let mut month = Usage::default();
        let ticks = MONTH_SECONDS / workload.interval_seconds.max(0.001);
        let batches = self.batches(workload) * ticks;
        let samples = workload.series / self.batches(workload).max(1.0);
        self.discovery(workload, batches, month.function("discovery"));
        self.scraper(workload, batches, samples, month.function("scraper"));
        self.compactor(workload, samples, month.function("compactor"));
        self.collector(month.function("collector"));
        self.ruler(workload, month.function("ruler"));
        self.query(workload, month.function("query"));
        for usage in month.functions.values_mut() {
            usage.log_bytes = usage.invoked() * Measured::REPORT_BYTES
                + usage.invoked().min(MONTH_SECONDS / 60.0) * Measured::RECORD_BYTES;
        }
        month.object_gb =
            workload.samples_a_month() / MONTH_SECONDS * workload.retention_seconds * Measured::BLOCK_BYTES
                / crate::GB;
        let row_bytes = Measured::ROW_BYTES + self.inline(samples).unwrap_or_default();
        month.item_gb = batches / MONTH_SECONDS * self.row_seconds * (row_bytes + 100.0) / crate::GB;
        self.shared(&mut month);
        month
    }

    /// Batches of one interval.
    fn batches(&self, workload: &Workload) -> f64 {
        if workload.targets < 1.0 || workload.series < 1.0 {
            return 0.0;
        }
        (workload.series / self.batch_series).ceil().max(1.0)
    }

    /// Bytes of a segment's payload in its row; `None` where it is an object.
    fn inline(&self, samples: f64) -> Option<f64> {
        let bytes = samples * Measured::WAL_BYTES;
        (bytes <= self.inline_bytes).then_some(bytes)
    }

    fn discovery(&self, workload: &Workload, batches: f64, usage: &mut FunctionUsage) {
        let looks = MONTH_SECONDS / 60.0;
        let snapshot = workload.targets * Measured::TARGET_BYTES;
        self.run(usage, "discovery", Trigger::Schedule, looks, 0.1, snapshot * 4e-9);
        // Registers: targets, the window's plan, configuration.
        count(usage, "dynamodb", "GetItem", 3.0 * looks, 1.0);
        count(usage, "dynamodb", "PutItem", looks, 1.0);
        count(usage, "s3", "GetObject", looks, 1.0);
        let message = snapshot / self.batches(workload).max(1.0);
        count(usage, "sqs", "SendMessage", batches, message_units(message as u64) as f64);
    }

    fn scraper(&self, workload: &Workload, batches: f64, samples: f64, usage: &mut FunctionUsage) {
        let core = samples * Measured::SCRAPE_CORE;
        self.run(usage, "scraper", Trigger::Queue, batches, Measured::SCRAPE_SECONDS, core);
        let inline = self.inline(samples);
        if inline.is_none() {
            count(usage, "s3", "PutObject", batches, 1.0);
        }
        let row = (Measured::ROW_BYTES + inline.unwrap_or_default()) as u64;
        count(usage, "dynamodb", "PutItem", batches, write_units(row) as f64);
        // A layout a target and day, and lists of them by sandboxes that begin.
        let days = MONTH_SECONDS / 86_400.0;
        let lists = Measured::SANDBOXES_A_DAY * (workload.targets / 1_000.0).ceil();
        count(usage, "s3", "PutObject", workload.targets * days, 1.0);
        count(usage, "s3", "ListObjectsV2", lists * days, 1.0);
    }

    fn compactor(&self, workload: &Workload, samples: f64, usage: &mut FunctionUsage) {
        let looks = MONTH_SECONDS / 60.0 + MONTH_SECONDS / 300.0;
        let windows = MONTH_SECONDS / self.window_seconds;
        let core = workload.samples_a_month() * Measured::COMPACT_CORE / looks;
        self.run(usage, "compactor", Trigger::Schedule, looks, Measured::IDLE_SECONDS, core);
        count(usage, "dynamodb", "GetItem", looks + windows, 1.0);
        let segments = self.batches(workload) * self.window_seconds / workload.interval_seconds.max(0.001);
        // The window's rows, and the context's before it.
        let rows = self.rows_bytes(segments, samples) * 1.3;
        count(usage, "dynamodb", "Query", windows * 2.0, read_units((rows / 2.0) as u64) as f64);
        if self.inline(samples).is_none() {
            count(usage, "s3", "GetObject", windows * segments * 1.1, 1.0);
        }
        // Layouts, manifests, and the inputs of merges: each block is read twice more.
        count(usage, "s3", "GetObject", windows * 8.0, 1.0);
        // Two files a block and a manifest a commit; merges of 2 h and of a day.
        let merges = MONTH_SECONDS / 7_200.0 + MONTH_SECONDS / 86_400.0;
        count(usage, "s3", "PutObject", windows * 3.0 + merges * 3.0, 1.0);
        count(usage, "dynamodb", "UpdateItem", windows + merges, 1.0);
    }

    fn collector(&self, usage: &mut FunctionUsage) {
        let looks = MONTH_SECONDS / 3_600.0;
        self.run(usage, "collector", Trigger::Schedule, looks, 0.5, 0.0);
        count(usage, "s3", "ListObjectsV2", looks * 8.0, 1.0);
        count(usage, "dynamodb", "GetItem", looks * 4.0, 1.0);
        count(usage, "dynamodb", "UpdateItem", looks, 1.0);
    }

    fn ruler(&self, workload: &Workload, usage: &mut FunctionUsage) {
        let looks = MONTH_SECONDS / 60.0;
        self.run(usage, "ruler", Trigger::Schedule, looks, Measured::IDLE_SECONDS, 0.0);
        count(usage, "dynamodb", "GetItem", looks, 1.0);
        let evaluations = (workload.rules / Measured::GROUP).ceil() * looks;
        count(usage, "sqs", "SendMessage", evaluations, 1.0);
        let core = Measured::GROUP * workload.series * 0.02 * 1e-6;
        self.run(usage, "ruler", Trigger::Queue, evaluations, Measured::RULE_SECONDS, core);
        // Each rule lists anew.
        self.tail(workload, evaluations * (Measured::GROUP + 1.5), evaluations, usage);
        // State, read and set; results.
        count(usage, "dynamodb", "GetItem", evaluations, 1.0);
        count(usage, "dynamodb", "UpdateItem", evaluations, 2.0);
        count(usage, "dynamodb", "PutItem", evaluations, 1.0);
    }

    fn query(&self, workload: &Workload, usage: &mut FunctionUsage) {
        let core = workload.series * 0.01 * 240.0 * 2e-8;
        self.run(usage, "query", Trigger::Http, workload.queries, Measured::QUERY_SECONDS, core);
        self.tail(workload, workload.queries * 1.15, workload.queries, usage);
        count(usage, "s3", "GetObject", workload.queries * Measured::QUERY_GETS, 1.0);
    }

    /// What readers ask of what is not in blocks yet: lists of rows since the watermark, the head; and, by invocation, what is
    /// new since the one before.
    fn tail(&self, workload: &Workload, readings: f64, invocations: f64, usage: &mut FunctionUsage) {
        const GRACE_SECONDS: f64 = 120.0;
        const CONTEXT_SECONDS: f64 = 15.0;
        let seconds = self.window_seconds / 2.0 + GRACE_SECONDS + CONTEXT_SECONDS;
        let segments = self.batches(workload) * seconds / workload.interval_seconds.max(0.001);
        let samples = workload.series / self.batches(workload).max(1.0);
        let units = read_units(self.rows_bytes(segments, samples) as u64) as f64;
        count(usage, "dynamodb", "Query", readings, units);
        count(usage, "dynamodb", "GetItem", readings, 1.0);
        if self.inline(samples).is_none() {
            // What a sandbox has read before it keeps; what came since the last reading is new.
            let new = self.batches(workload) * 60.0 / workload.interval_seconds.max(0.001);
            count(usage, "s3", "GetObject", invocations * new.min(segments), 1.0);
        }
    }

    fn rows_bytes(&self, segments: f64, samples: f64) -> f64 {
        segments * (Measured::ROW_BYTES + self.inline(samples).unwrap_or_default())
    }

    /// Adds runs of so many seconds each, and so many on one vCPU.
    fn run(
        &self,
        usage: &mut FunctionUsage,
        function: &str,
        trigger: Trigger,
        runs: f64,
        seconds: f64,
        core: f64,
    ) {
        let memory_mb = f64::from(self.memory_mb(function));
        let each = seconds + core / (memory_mb / VCPU_MB).min(1.0);
        *usage.invocations.entry(trigger).or_default() += runs;
        usage.seconds += runs * each;
        let gb_seconds = runs * each * memory_mb / 1_024.0;
        match self.architecture {
            Architecture::Arm64 => usage.gb_seconds_arm64 += gb_seconds,
            Architecture::X86_64 => usage.gb_seconds_x86_64 += gb_seconds,
        }
    }
}

fn count(usage: &mut FunctionUsage, service: &str, operation: &str, requests: f64, units_each: f64) {
    let requests = Requests { count: requests, units: requests * units_each, ..Requests::default() };
    usage.count(service, operation, requests);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Bill, US_EAST_1};

    fn dollars(workload: &Workload) -> f64 {
        Bill::of(&Deployment::default().month(workload), &US_EAST_1).total
    }

    #[test]
    fn nothing_costs_next_to_nothing() {
        let idle = Workload { series: 0.0, targets: 0.0, rules: 0.0, queries: 0.0, ..Workload::default() };
        let idle = dollars(&idle);
        assert!((0.5..2.5).contains(&idle), "{idle}");
    }

    proptest! {
        #[test]
        fn more_work_never_costs_less(
            series in 1_000.0..1e6f64, factor in 1.0..10.0f64, interval in 5.0..120.0f64, queries in 0.0..1e6f64,
        ) {
            let workload = Workload {
                series,
                targets: series / 1_000.0,
                interval_seconds: interval,
                queries,
                ..Workload::default()
            };
            let often = Workload { interval_seconds: interval / factor, ..workload.clone() };
            prop_assert!(dollars(&often) >= dollars(&workload));
            let asked = Workload { queries: queries * factor, ..workload.clone() };
            prop_assert!(dollars(&asked) >= dollars(&workload));
            let kept = Workload { retention_seconds: workload.retention_seconds * factor, ..workload.clone() };
            prop_assert!(dollars(&kept) >= dollars(&workload));
        }
    }
}
