//! What is asked: queries as dashboards and rules have them.

use crate::data::{DAY_STEPS, Family, HOUR_STEPS, INTERVAL_MS};

/// The instants of a query, within the generated samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    /// A rule: the last instant.
    Rule,
    /// A dashboard of an hour: every 15 s.
    Hour,
    /// A dashboard of an hour, coarser: every minute.
    HourByMinute,
    /// Half a day with small steps: every 15 s.
    HalfDay,
    /// Half a day with large steps: every hour.
    HalfDayByHour,
    /// Six hours, every minute.
    SixHours,
}

/// One query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query {
    /// The expression.
    pub(crate) text: &'static str,
    /// When it is evaluated.
    pub(crate) times: Times,
    /// What has to be loaded.
    pub(crate) families: &'static [Family],
}

impl Times {
    /// First and last instant and step (0: only one), ms.
    pub(crate) fn bounds(self) -> (i64, i64, i64) {
        let hour_end = (HOUR_STEPS as i64 - 1) * INTERVAL_MS;
        let day_end = (DAY_STEPS as i64 - 1) * INTERVAL_MS;
        const HOUR: i64 = 3_600_000;
        match self {
            Self::Rule => (hour_end, hour_end, 0),
            Self::Hour => (hour_end - HOUR, hour_end, 15_000),
            Self::HourByMinute => (hour_end - HOUR, hour_end, 60_000),
            Self::HalfDay => (day_end - 11 * HOUR, day_end, 15_000),
            Self::HalfDayByHour => (day_end - 11 * HOUR, day_end, HOUR),
            Self::SixHours => (day_end - 6 * HOUR, day_end, 60_000),
        }
    }

    /// For the table.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Rule => "instant",
            Self::Hour => "1 h / 15 s",
            Self::HourByMinute => "1 h / 1 min",
            Self::HalfDay => "11 h / 15 s",
            Self::HalfDayByHour => "11 h / 1 h",
            Self::SixHours => "6 h / 1 min",
        }
    }
}

/// All queries.
pub(crate) const QUERIES: &[Query] = &[
    // Rates over many series.
    q("http_requests_total", Times::Hour, &[Family::Counter]),
    q("rate(http_requests_total[5m])", Times::Hour, &[Family::Counter]),
    q("irate(http_requests_total[5m])", Times::Hour, &[Family::Counter]),
    q("increase(http_requests_total[1h])", Times::Rule, &[Family::Counter]),
    q("sum(rate(http_requests_total[5m]))", Times::Hour, &[Family::Counter]),
    q("sum by (job) (rate(http_requests_total[5m]))", Times::Rule, &[Family::Counter]),
    q("sum by (job) (rate(http_requests_total[5m]))", Times::HourByMinute, &[Family::Counter]),
    q("sum by (job, instance, handler) (rate(http_requests_total[5m]))", Times::Hour, &[Family::Counter]),
    q("sum without (code, method) (rate(http_requests_total[5m]))", Times::HourByMinute, &[Family::Counter]),
    q(
        r#"sum by (job) (rate(http_requests_total{code=~"5.."}[5m])) / sum by (job) (rate(http_requests_total[5m]))"#,
        Times::Hour,
        &[Family::Counter],
    ),
    q(
        r#"sum by (code) (rate(http_requests_total{handler=~"/api/.*",method!="GET"}[5m]))"#,
        Times::Hour,
        &[Family::Counter],
    ),
    q("topk(10, sum by (instance) (rate(http_requests_total[5m])))", Times::Rule, &[Family::Counter]),
    q("topk(5, http_requests_total)", Times::HourByMinute, &[Family::Counter]),
    // Quantiles of classic histograms.
    q(
        "histogram_quantile(0.99, sum by (le, job) (rate(http_request_duration_seconds_bucket[5m])))",
        Times::Hour,
        &[Family::Classic],
    ),
    q(
        "histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m]))",
        Times::HourByMinute,
        &[Family::Classic],
    ),
    // Gauges.
    q("avg by (namespace) (container_memory_working_set_bytes)", Times::Hour, &[Family::Gauge]),
    q("max by (namespace, pod) (container_memory_working_set_bytes)", Times::Hour, &[Family::Gauge]),
    q(
        "quantile by (namespace) (0.95, container_memory_working_set_bytes)",
        Times::HourByMinute,
        &[Family::Gauge],
    ),
    q("stddev by (node) (container_memory_working_set_bytes)", Times::HourByMinute, &[Family::Gauge]),
    q("container_memory_working_set_bytes / 1024 / 1024 > 100", Times::Hour, &[Family::Gauge]),
    q("count(container_memory_working_set_bytes > 1e8) by (namespace)", Times::Rule, &[Family::Gauge]),
    q(
        "predict_linear(container_memory_working_set_bytes[1h], 4 * 3600) > 1e9",
        Times::Rule,
        &[Family::Gauge],
    ),
    q("max_over_time(container_memory_working_set_bytes[10m])", Times::Hour, &[Family::Gauge]),
    q("avg_over_time(container_memory_working_set_bytes[10m])", Times::Hour, &[Family::Gauge]),
    q(
        "quantile_over_time(0.9, container_memory_working_set_bytes[10m])",
        Times::HourByMinute,
        &[Family::Gauge],
    ),
    q("changes(container_memory_working_set_bytes[15m])", Times::HourByMinute, &[Family::Gauge]),
    q("deriv(container_memory_working_set_bytes[10m])", Times::HourByMinute, &[Family::Gauge]),
    q(
        r#"label_replace(container_memory_working_set_bytes, "workload", "$1", "pod", "(.*)-[0-9]+")"#,
        Times::HourByMinute,
        &[Family::Gauge],
    ),
    // Joins.
    q(
        "container_memory_working_set_bytes * on (namespace, pod) group_left (host_ip) kube_pod_info",
        Times::Hour,
        &[Family::Gauge, Family::Info],
    ),
    q(
        "sum by (host_ip) (container_memory_working_set_bytes * on (namespace, pod) group_left (host_ip) kube_pod_info)",
        Times::HourByMinute,
        &[Family::Gauge, Family::Info],
    ),
    q(
        "container_memory_working_set_bytes / on (namespace, pod, container) container_spec_memory_limit_bytes",
        Times::HourByMinute,
        &[Family::Gauge, Family::Limit],
    ),
    q(
        r#"container_memory_working_set_bytes unless on (namespace, pod) kube_pod_info{host_ip=~"10.0.0.[0-4].*"}"#,
        Times::HourByMinute,
        &[Family::Gauge, Family::Info],
    ),
    // Subqueries.
    q("max_over_time(rate(http_requests_total[5m])[30m:1m])", Times::Rule, &[Family::Counter]),
    q(
        "max_over_time(sum by (job) (rate(http_requests_total[5m]))[20m:1m])",
        Times::HourByMinute,
        &[Family::Counter],
    ),
    // Long ranges with small steps, and the reverse.
    q("node_load1", Times::HalfDay, &[Family::Long]),
    q("sum(node_load1)", Times::HalfDay, &[Family::Long]),
    q("avg_over_time(node_load1[1h])", Times::SixHours, &[Family::Long]),
    q("quantile_over_time(0.99, node_load1[1h])", Times::HalfDayByHour, &[Family::Long]),
    q("stddev_over_time(node_load1[1h])", Times::HalfDayByHour, &[Family::Long]),
    q(
        "avg_over_time(node_load1[1h]) > 2 * avg_over_time(node_load1[6h])",
        Times::HalfDayByHour,
        &[Family::Long],
    ),
];

const fn q(text: &'static str, times: Times, families: &'static [Family]) -> Query {
    Query { text, times, families }
}
