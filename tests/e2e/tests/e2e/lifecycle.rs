//! Reload, stop, and a second start on the same data.

use std::time::Duration;

use e2e::{Foxfire, eventually, post, serve_once};

fn config(job: &str) -> String {
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs: [{{job_name: {job}, static_configs: [{{targets: ['{{address}}']}}]}}]\n"
    )
}

fn wait_for_up(foxfire: &Foxfire, job: &str) {
    let expr = format!("up{{job=\"{job}\"}} == 1");
    eventually(&expr, Duration::from_secs(20), || {
        if foxfire.query(&expr, None).len() == 1 { Ok(()) } else { Err("nothing".to_owned()) }
    });
}

#[test]
fn a_reload_takes_effect_and_a_bad_configuration_is_refused() {
    let mut foxfire = Foxfire::start(&config("first"), &[], &[]);
    wait_for_up(&foxfire, "first");

    foxfire.write("prometheus.yml", &config("second"));
    foxfire.process().signal("HUP");
    wait_for_up(&foxfire, "second");
    // The old target is gone: its series have ended, long before the lookback would end them.
    eventually("the first job's series to end", Duration::from_secs(20), || {
        let left = foxfire.query("up{job=\"first\"}", None);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });

    foxfire.write("prometheus.yml", "scrape_configs: [{job_name: ''}]\n");
    let (status, body) = post(&foxfire.address, "/-/reload", "").unwrap();
    assert_eq!(status, 500);
    assert!(body.contains("failed to reload config") && body.contains("job_name is empty"), "{body}");
    let yaml = foxfire.data("/api/v1/status/config")["yaml"].as_str().unwrap().to_owned();
    assert!(yaml.contains("second"), "the old configuration must stay in force: {yaml}");
    assert_eq!(foxfire.data("/api/v1/status/runtimeinfo")["reloadConfigSuccess"], false);
    wait_for_up(&foxfire, "second");

    foxfire.write("prometheus.yml", &config("third"));
    assert_eq!(post(&foxfire.address, "/-/reload", "").unwrap().0, 200);
    wait_for_up(&foxfire, "third");
}

#[test]
fn a_stop_is_clean_and_a_second_process_on_the_same_data_is_refused() {
    let mut foxfire = Foxfire::start(&config("self"), &[], &[]);
    wait_for_up(&foxfire, "self");
    let data = foxfire.folder.path().join("data").display().to_string();
    let second = serve_once(
        &["serve", &format!("--storage.path={data}"), "--web.listen-address=127.0.0.1:0"],
        foxfire.folder.path(),
    );
    assert!(!second.status.success());
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(error.contains("in use by another foxfire process"), "{error}");

    for signal in ["TERM", "INT"] {
        foxfire.process().signal(signal);
        let status = foxfire.process().wait(Duration::from_secs(25));
        assert_eq!(status.code(), Some(0), "{}", foxfire.process().log());
        foxfire.restart();
        wait_for_up(&foxfire, "self");
    }
}
