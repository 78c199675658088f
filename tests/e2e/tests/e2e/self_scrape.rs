//! The bare command shows something.

use std::time::Duration;

use e2e::{Process, build, eventually, free_port, get};
use serde_json::Value;
use tempfile::TempDir;

/// `foxfire serve` with no configuration: `up` of itself is 1, from a scrape within one interval (15 s) of its start.
#[test]
fn without_a_configuration_it_scrapes_itself_within_one_interval() {
    let folder = TempDir::new().unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let flags = [
        "serve".to_owned(),
        format!("--web.listen-address={address}"),
        format!("--storage.path={}", folder.path().join("data").display()),
    ];
    let log = folder.path().join("log");
    let _process = Process::start(&build(), &flags, &log);
    let ask = |expr: &str| -> Result<Value, String> {
        let expr: String = url::form_urlencoded::byte_serialize(expr.as_bytes()).collect();
        let (_, body) = get(&address, &format!("/api/v1/query?query={expr}"))?;
        let answer: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
        answer["data"]["result"].get(0).cloned().ok_or(body)
    };
    let up = eventually("up == 1", Duration::from_secs(60), || ask("up == 1"));
    assert_eq!(up["metric"]["job"], "foxfire");
    assert_eq!(up["metric"]["instance"], address);

    let first = ask("up[5m]").unwrap()["values"][0][0].as_f64().unwrap();
    let started = ask("process_start_time_seconds").unwrap()["value"][1].as_str().unwrap().to_owned();
    let waited = first - started.parse::<f64>().unwrap();
    // A second for the start itself: the schedule begins when the process is ready.
    assert!(waited <= 16.0, "the first scrape was {waited} s after the start");
}
