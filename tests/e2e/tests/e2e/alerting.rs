//! Rules: recorded series, and an alert from pending over firing at a real Alertmanager to resolved.

use std::time::Duration;

use e2e::{Alertmanager, Foxfire, eventually};

const RULES: &str = "
groups:
- name: recorded
  interval: 1s
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
    labels: {origin: foxfire}
  - record: job:up:double
    expr: job:up:sum * 2
- name: alerts
  interval: 1s
  rules:
  - alert: TargetDown
    expr: up{job=\"flapping\"} == 0
    for: 10s
    labels: {severity: page}
    annotations: {summary: 'Target {{ $labels.instance }} is down ({{ $value | humanize }})'}
";

#[test]
fn an_alert_goes_pending_fires_at_alertmanager_and_resolves() {
    let alertmanager = Alertmanager::start();
    let port = e2e::free_port();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s, \
         external_labels: {{cluster: test}}}}\n\
         rule_files: [rules.yml]\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{}']}}]}}]}}\n\
         scrape_configs:\n\
         - {{job_name: flapping, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n",
        alertmanager.address
    );
    let flags = ["--rules.alert.resend-delay=2s"];
    let foxfire = Foxfire::start(&config, &[("rules.yml", RULES)], &flags);
    let state = || {
        let alerts = foxfire.data("/api/v1/alerts");
        alerts["alerts"][0]["state"].as_str().unwrap_or("none").to_owned()
    };
    let becomes = |wanted: &str, timeout: u64| {
        eventually(&format!("the alert to be {wanted}"), Duration::from_secs(timeout), || {
            let state = state();
            if state == wanted { Ok(()) } else { Err(state) }
        });
    };

    becomes("pending", 15);
    assert!(alertmanager.alerts().is_empty(), "a pending alert must not be sent");
    becomes("firing", 20);
    let fired = eventually("Alertmanager to have the alert", Duration::from_secs(10), || {
        alertmanager.alerts().into_iter().next().ok_or_else(|| "no alert".to_owned())
    });
    assert_eq!(fired["labels"]["alertname"], "TargetDown");
    assert_eq!(fired["labels"]["severity"], "page");
    assert_eq!(fired["labels"]["cluster"], "test");
    assert_eq!(fired["annotations"]["summary"], format!("Target 127.0.0.1:{port} is down (0)"));
    let firing = foxfire.query("ALERTS{alertstate=\"firing\"}", None);
    assert_eq!(firing.len(), 1, "{firing:?}");
    let recorded = foxfire.query("job:up:double", None);
    assert_eq!(recorded[0]["metric"]["origin"], "foxfire", "{recorded:?}");

    // The target comes up: the alert resolves, here and there.
    let _target = serve_metrics(port);
    becomes("none", 15);
    eventually("Alertmanager to see it resolved", Duration::from_secs(15), || {
        let alerts = alertmanager.alerts();
        if alerts.is_empty() { Ok(()) } else { Err(format!("{alerts:?}")) }
    });
    let rules = foxfire.data("/api/v1/rules?type=alert");
    assert_eq!(rules["groups"][0]["rules"][0]["state"], "inactive", "{rules}");
    assert_eq!(rules["groups"][0]["rules"][0]["health"], "ok", "{rules}");
    assert!(foxfire.query("ALERTS", None).is_empty(), "a resolved alert's series must have ended");
}

/// A target with one metric, for as long as the test runs.
fn serve_metrics(port: u16) -> std::thread::JoinHandle<()> {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let body = "a_metric 1\n";
            let length = body.len();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
            let _ = write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}");
        }
    })
}
