use cost::{Architecture, Bill, FunctionUsage, Record, Requests, Trigger, US_EAST_1};

use super::*;

fn record(function: &str, from_ms: i64, until_ms: i64, trigger: Trigger, runs: u32) -> String {
    let mut usage = FunctionUsage::default();
    for _ in 0..runs {
        usage.invoke(trigger, 0.1, 512, Architecture::Arm64);
    }
    usage.count("dynamodb", "PutItem", Requests { count: 4.0, units: 4.0, sent: 4_000.0, received: 0.0 });
    Record { v: 1, function: function.to_owned(), from_ms, until_ms, usage }.line()
}

#[test]
fn log_lines_of_ten_minutes_lead_to_a_month_by_function_and_service() {
    let mut log = String::new();
    for minute in 0..10 {
        let (from, until) = (minute * 60_000, (minute + 1) * 60_000);
        let line = record("scraper", from, until, Trigger::Queue, 4);
        log.push_str(&format!("2026-11-22T22:{minute:02}:59 2026/11/22/[$LATEST]0a {line}\n"));
        log.push_str("{\"time\":\"2026\",\"type\":\"platform.report\",\"record\":{}}\n");
    }
    log.push_str(&record("collector", 0, 60_000, Trigger::Schedule, 1));
    log.push_str("\n{\"foxfire_usage\":1,\"function\":\"cut");
    let estimate = logs::estimate(log.as_bytes()).unwrap();
    let scraper = &estimate.month.functions["scraper"];
    assert!((scraper.invoked() - 4.0 * 43_800.0).abs() < 1e-6);
    assert!((scraper.requests["dynamodb:PutItem"].units - 4.0 * 43_800.0).abs() < 1e-6);
    assert!((scraper.gb_seconds_arm64 - 4.0 * 43_800.0 * 0.05).abs() < 1e-6);
    assert!((estimate.month.functions["collector"].invoked() - 730.0).abs() < 1e-6, "by its schedule");
    let notes = estimate.notes.join("\n");
    assert!(notes.contains("11 records in 22 lines, over 10.0 minutes"), "{notes}");
    assert!(notes.contains("1 lines have a record that is cut off"), "{notes}");
    let bill = Bill::of(&estimate.month, &US_EAST_1);
    let writes = bill.lines.iter().find(|line| line.function == "scraper" && line.item == "write units");
    assert!((writes.unwrap().amount - 0.109_5).abs() < 1e-9);
    assert!(output::table(&estimate, &bill).contains("by service:"));
}

#[test]
fn lines_without_records_are_an_error_that_says_what_to_look_for() {
    let error = logs::estimate(b"level=info\n".as_slice()).err().unwrap();
    assert!(error.contains("foxfire_usage"), "{error}");
}

#[test]
fn metrics_of_a_process_lead_to_what_a_deployment_would_use() {
    let text = "\
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1000
foxfire_aws_requests_total{function=\"rule_planner\",operation=\"GetItem\",service=\"dynamodb\"} 720
foxfire_aws_billed_units_total{function=\"rule_planner\",operation=\"GetItem\",service=\"dynamodb\"} 720
foxfire_aws_invocations_total{function=\"rule_planner\",trigger=\"schedule\"} 720
foxfire_aws_invocation_seconds_total{function=\"rule_planner\"} 7.2
foxfire_aws_billed_units_total{function=\"scraper\",operation=\"PutItem\",service=\"dynamodb\"} 240
foxfire_aws_requests_total{function=\"scraper\",operation=\"PutItem\",service=\"dynamodb\"} 240
foxfire_aws_invocations_total{function=\"scraper\",trigger=\"queue\"} 240
foxfire_aws_invocation_seconds_total{function=\"scraper\"} 24
foxfire_aws_billed_units_total{function=\"process\",operation=\"GetItem\",service=\"dynamodb\"} 720
prometheus_tsdb_storage_blocks_bytes 1073741824
";
    let estimate = metrics::estimate(text.as_bytes(), 4_600.0).unwrap();
    let month = &estimate.month;
    assert_eq!(
        month.functions.keys().collect::<Vec<_>>(),
        ["ruler", "scraper"],
        "nobody does the process's own"
    );
    assert!((month.functions["scraper"].requests["dynamodb:PutItem"].units - 240.0 * 730.0).abs() < 1e-3);
    assert!((month.functions["scraper"].gb_seconds_arm64 - 24.0 * 730.0 * 0.5).abs() < 1e-3);
    let ruler = &month.functions["ruler"];
    assert!((ruler.invoked() - 43_800.0).abs() < 1e-3, "once a minute, not every five seconds");
    assert!((ruler.requests["dynamodb:GetItem"].units - 43_800.0).abs() < 1e-3);
    assert!((month.object_gb - 1.0).abs() < 1e-9);
    assert!(metrics::estimate(text.as_bytes(), 1_030.0).err().unwrap().contains("wait"));
    assert!(metrics::estimate(b"up 1\n", 5.0).err().unwrap().contains("is it foxfire"));
}

#[test]
fn a_model_s_json_has_the_bill_the_usage_and_the_peers() {
    let flags = CostFlags {
        series: 1_000_000,
        interval: Duration::from_secs(15),
        targets: None,
        rules: 20,
        queries: 100_000,
        retention: Duration::from_secs(15 * 86_400),
        from_logs: None,
        url: None,
        json: true,
    };
    let estimate = model(&flags);
    let bill = Bill::of(&estimate.month, &US_EAST_1);
    let json: serde_json::Value = serde_json::from_str(&output::json(&estimate, &bill)).unwrap();
    assert!((json["total"].as_f64().unwrap() - bill.total).abs() < 1e-9);
    assert!(json["lines"].as_array().unwrap().len() > 10);
    let puts = estimate.month.functions["scraper"].requests["s3:PutObject"].units;
    assert_eq!(json["usage"]["functions"]["scraper"]["requests"]["s3:PutObject"]["units"], puts);
    assert!(puts > 1e5, "{puts}");
    assert_eq!(json["peers"][0]["name"], "AMP, own agent");
}
