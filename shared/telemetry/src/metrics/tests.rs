use super::*;

fn line(text: &str, start: &str) -> String {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned()
}

#[test]
fn names_are_valid_and_unique_and_totals_start_at_zero() {
    let text = Metrics::new("1.2.3").encode();
    for start in [
        "foxfire_scrape_samples_total 0",
        "foxfire_wal_segments_written_total 0",
        "foxfire_wal_bytes_total 0",
        "foxfire_wal_samples_total 0",
        "prometheus_target_scrapes_exceeded_body_size_limit_total 0",
        "prometheus_config_last_reload_successful 0",
        "prometheus_ready 0",
        "prometheus_tsdb_blocks_loaded 0",
    ] {
        assert_eq!(line(&text, start), start);
    }
    let info = line(&text, "prometheus_build_info{");
    assert!(
        info.contains("version=\"1.2.3\"") && info.contains("goversion=\"rust\"") && info.ends_with("} 1")
    );
}

#[test]
fn two_sets_of_metrics_know_nothing_of_each_other() {
    let (one, other) = (Metrics::new(""), Metrics::new(""));
    one.segment_written(10, 5);
    assert_eq!(line(&other.encode(), "foxfire_wal_samples_total"), "foxfire_wal_samples_total 0");
}

#[test]
fn requests_are_counted_timed_and_sized() {
    let metrics = Metrics::new("");
    metrics.http_request("/api/v1/query", 200, 0.15, 1500);
    metrics.http_request("/api/v1/query", 400, 0.05, 50);
    let text = metrics.encode();
    for expected in [
        "prometheus_http_requests_total{code=\"200\",handler=\"/api/v1/query\"} 1",
        "prometheus_http_requests_total{code=\"400\",handler=\"/api/v1/query\"} 1",
        "prometheus_http_request_duration_seconds_bucket{handler=\"/api/v1/query\",le=\"0.1\"} 1",
        "prometheus_http_request_duration_seconds_bucket{handler=\"/api/v1/query\",le=\"120\"} 2",
        "prometheus_http_response_size_bytes_bucket{handler=\"/api/v1/query\",le=\"1000\"} 1",
        "prometheus_http_response_size_bytes_sum{handler=\"/api/v1/query\"} 1550",
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected}\n{text}");
    }
}

#[test]
fn everything_that_is_told_is_exposed() {
    let metrics = Metrics::new("");
    metrics.ready(true);
    metrics.config_reloaded(true, 1_700_000_000.5);
    metrics.config_reloaded(false, 1_800_000_000.0);
    metrics.query("inner_eval", 0.25);
    metrics.rules_evaluated("r.yml;g", 3, 1, 0.5);
    metrics.notified("http://am/api/v2/alerts", 2, false);
    metrics.notified("http://am/api/v2/alerts", 3, true);
    metrics.scrape_interval("15s", 15.25);
    metrics.block_written(2, 100, 50);
    metrics.store_state(&StoreState {
        blocks: 4,
        block_bytes: 5,
        lag_seconds: 1.5,
        min_time_seconds: 2.5,
        pending_parts: 6,
        tombstones: 7,
        head_segments: 8,
        head_samples: 9,
        debt: vec![(2, 10, 11)],
    });
    metrics.compaction(&Compaction {
        kind: "merge",
        level: 2,
        read_bytes: 12,
        read_samples: 13,
        duplicate_samples: 14,
        deleted_samples: 15,
        seconds: 3.0,
    });
    metrics.compaction_failed();
    metrics.commits_lost(16);
    metrics.head_series(17);
    metrics.collected("manifest", 18);
    metrics.collected_block_bytes(19);
    metrics.invariant_violated("S3");
    metrics.task("scraper", "ok", 0.02);
    metrics.missed("scraper", 7);
    metrics.queue_messages("scrape", 9);
    let text = metrics.encode();
    for expected in [
        "prometheus_ready 1",
        "prometheus_config_last_reload_successful 0",
        "prometheus_config_last_reload_success_timestamp_seconds 1700000000.5",
        "prometheus_engine_query_duration_seconds{slice=\"inner_eval\",quantile=\"0.9\"} 0.25",
        "prometheus_engine_query_duration_histogram_seconds_bucket{slice=\"inner_eval\",le=\"1\"} 1",
        "prometheus_rule_evaluations_total{rule_group=\"r.yml;g\"} 3",
        "prometheus_rule_evaluation_failures_total{rule_group=\"r.yml;g\"} 1",
        "prometheus_rule_group_last_duration_seconds{rule_group=\"r.yml;g\"} 0.5",
        "prometheus_notifications_sent_total{alertmanager=\"http://am/api/v2/alerts\"} 5",
        "prometheus_notifications_errors_total{alertmanager=\"http://am/api/v2/alerts\"} 3",
        "prometheus_target_interval_length_seconds{interval=\"15s\",quantile=\"0.99\"} 15.25",
        "foxfire_compactions_total{level=\"2\"} 1",
        "foxfire_block_bytes_total{level=\"2\"} 100",
        "prometheus_tsdb_blocks_loaded 4",
        "prometheus_tsdb_storage_blocks_bytes 5",
        "foxfire_compaction_lag_seconds 1.5",
        "prometheus_tsdb_lowest_timestamp_seconds 2.5",
        "foxfire_compaction_pending_parts 6",
        "foxfire_tombstones 7",
        "foxfire_head_segments 8",
        "foxfire_head_samples 9",
        "foxfire_compaction_debt_blocks{level=\"2\"} 10",
        "foxfire_compaction_debt_bytes{level=\"2\"} 11",
        "prometheus_tsdb_compactions_total 1",
        "prometheus_tsdb_compactions_failed_total 1",
        "prometheus_tsdb_compaction_duration_seconds_sum 3",
        "foxfire_compaction_jobs_total{kind=\"merge\",level=\"2\"} 1",
        "foxfire_compaction_seconds_total{kind=\"merge\",level=\"2\"} 3",
        "foxfire_compaction_read_bytes_total{level=\"2\"} 12",
        "foxfire_compaction_read_samples_total{level=\"2\"} 13",
        "foxfire_compaction_dropped_samples_total{reason=\"duplicate\"} 14",
        "foxfire_compaction_dropped_samples_total{reason=\"deleted\"} 15",
        "foxfire_commits_lost_total 16",
        "prometheus_tsdb_head_series 17",
        "foxfire_collected_total{kind=\"manifest\"} 18",
        "foxfire_collected_block_bytes_total 19",
        "foxfire_invariant_violations_total{id=\"S3\"} 1",
        "foxfire_tasks_total{function=\"scraper\",outcome=\"ok\"} 1",
        "foxfire_task_duration_seconds_bucket{function=\"scraper\",le=\"0.025\"} 1",
        "foxfire_tasks_missed_total{function=\"scraper\"} 7",
        "foxfire_queue_messages{queue=\"scrape\"} 9",
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected}\n{text}");
    }
}

#[test]
fn scrape_totals_count_up_and_never_down() {
    let metrics = Metrics::new("");
    for (samples, expected) in [(100, 100), (250, 250), (20, 250)] {
        metrics.scraped(&ScrapeTotals { samples, exceeded_body_size_limit: 1, ..ScrapeTotals::default() });
        let text = metrics.encode();
        assert_eq!(
            line(&text, "foxfire_scrape_samples_total"),
            format!("foxfire_scrape_samples_total {expected}")
        );
        assert!(text.contains("prometheus_target_scrapes_exceeded_body_size_limit_total 1\n"));
    }
}

#[test]
fn pools_that_are_gone_are_no_longer_exposed() {
    let metrics = Metrics::new("");
    metrics.discovered([("a", 2), ("b", 1)]);
    metrics.discovered([("b", 5)]);
    let text = metrics.encode();
    assert!(text.contains("prometheus_target_scrape_pool_targets{scrape_job=\"b\"} 5\n"));
    assert!(!text.contains("scrape_job=\"a\""));
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_described() {
    let text = Metrics::new("").encode();
    let value =
        |name: &str| -> f64 { line(&text, &format!("{name} ")).rsplit_once(' ').unwrap().1.parse().unwrap() };
    assert!(value("process_start_time_seconds") > 1.6e9);
    assert!(value("process_resident_memory_bytes") > 1e5);
    assert!(value("process_open_fds") >= 1.0 && value("process_max_fds") >= value("process_open_fds"));
    assert!(text.contains("# TYPE process_cpu_seconds_total counter\n"));
}

#[test]
fn what_is_billed_is_counted_by_function_service_and_operation() {
    let metrics = Metrics::new("");
    let billed =
        platform::Billed { service: "dynamodb", operation: "Query", units: 2.5, sent: 0, received: 9_000 };
    metrics.billed("query", &billed);
    metrics.billed("query", &billed);
    metrics.invoked("query", cost::Trigger::Http, 0.25);
    let text = metrics.encode();
    for expected in [
        "foxfire_aws_requests_total{function=\"query\",operation=\"Query\",service=\"dynamodb\"} 2",
        "foxfire_aws_billed_units_total{function=\"query\",operation=\"Query\",service=\"dynamodb\"} 5",
        "foxfire_aws_received_bytes_total{function=\"query\",operation=\"Query\",service=\"dynamodb\"} 18000",
        "foxfire_aws_invocations_total{function=\"query\",trigger=\"http\"} 1",
        "foxfire_aws_invocation_seconds_total{function=\"query\"} 0.25",
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected}\n{text}");
    }
}
