use std::collections::BTreeMap;

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
    let given: BTreeMap<&str, &str> = [("FOXFIRE_BUCKET", "b"), ("FOXFIRE_TABLE", "t")]
        .into_iter()
        .chain(variables.iter().copied())
        .collect();
    let lookup = |name: &str| given.get(name).map(|value| (*value).to_owned());
    Settings::from_lookup(&lookup).map_err(|error| error.to_string())
}

#[test]
fn only_the_bucket_and_the_table_must_be_set() {
    let settings = read(&[]).unwrap();
    assert_eq!((settings.bucket.as_str(), settings.table.as_str()), ("b", "t"));
    assert_eq!(settings.retention, Duration::from_secs(15 * 86_400));
    assert_eq!(settings.log_level, Level::Info);
    assert!(!settings.enable_admin_api && !settings.allow_loopback);
    assert_eq!((settings.scrape_queue_url, settings.metrics_namespace), (None, None));
    let error = Settings::from_lookup(&|_| None).unwrap_err();
    assert_eq!(error.to_string(), "FOXFIRE_BUCKET is not set; FOXFIRE_TABLE is not set");
}

#[test]
fn an_empty_variable_is_a_missing_one() {
    let settings = read(&[("FOXFIRE_ALERT_TOPIC_ARN", ""), ("FOXFIRE_RETENTION_SIZE", " ")]).unwrap();
    assert_eq!((settings.alert_topic_arn, settings.retention_size), (None, 0));
    assert_eq!(read(&[("FOXFIRE_BUCKET", "")]).unwrap_err(), "FOXFIRE_BUCKET is not set");
}

#[test]
fn every_wrong_variable_is_named_with_its_reason() {
    let error = read(&[
        ("FOXFIRE_RETENTION", "5 minutes"),
        ("FOXFIRE_RETENTION_SIZE", "10XB"),
        ("FOXFIRE_LOG_LEVEL", "loud"),
        ("FOXFIRE_ENABLE_ADMIN_API", "yes"),
        ("FOXFIRE_EXTERNAL_URL", "example.com"),
        ("FOXFIRE_ENABLE_FEATURE", "promql-magic"),
        ("FOXFIRE_QUERY_TIMEOUT", "0s"),
        ("FOXFIRE_QUERY_MAX_SAMPLES", "0"),
        ("FOXFIRE_WAL_INLINE_BYTES", "400000"),
        ("FOXFIRE_LATE_BOUND", "1s"),
        ("FOXFIRE_MIN_BLOCK_DURATION", "2h"),
        ("FOXFIRE_METRICS_NAMESPACE", "a b"),
    ])
    .unwrap_err();
    for name in [
        "RETENTION=\"5 minutes\": unknown unit",
        "RETENTION_SIZE=\"10XB\": units: unknown unit",
        "LOG_LEVEL=\"loud\": must be debug, info, warn or error",
        "ENABLE_ADMIN_API=\"yes\": must be true or false",
        "EXTERNAL_URL=\"example.com\": must be an http or https URL",
        "unknown feature \"promql-magic\"",
        "QUERY_TIMEOUT=\"0s\": must be at least 1ms",
        "QUERY_MAX_SAMPLES=\"0\": must be greater than 0",
        "WAL_INLINE_BYTES=\"400000\": must be at most 358400",
        "LATE_BOUND=\"1s\": must be at least 20s",
        "MIN_BLOCK_DURATION=\"2h\": must be at most 1h",
        "METRICS_NAMESPACE=\"a b\"",
    ] {
        assert!(error.contains(name), "{name}\n{error}");
    }
}

#[test]
fn values_are_read_as_the_flags_of_serve_are() {
    let settings = read(&[
        ("FOXFIRE_RETENTION", "1y"),
        ("FOXFIRE_RETENTION_SIZE", "512MB"),
        ("FOXFIRE_EXTERNAL_URL", "https://m.example/p/"),
        ("FOXFIRE_ENABLE_FEATURE", "promql-experimental-functions, promql-delayed-name-removal"),
        ("FOXFIRE_QUERY_TIMEOUT", "10s"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1000"),
    ])
    .unwrap();
    assert_eq!(settings.retention_size, 512 << 20);
    assert_eq!(settings.external_url, "https://m.example/p");
    let engine = settings.engine();
    assert!(engine.features.experimental_functions && engine.features.delayed_name_removal);
    assert!(!engine.features.binop_fill_modifiers);
    assert_eq!(engine.samples_max, 30_000_000);
    let flags = settings.as_flags();
    assert!(flags.contains(&("storage.retention.time".to_owned(), "1y".to_owned())));
}
