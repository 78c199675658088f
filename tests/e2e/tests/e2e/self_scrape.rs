//! The bare command shows something.

use std::time::{Duration, Instant};

use e2e::{Process, build, eventually, free_port, get};
use tempfile::TempDir;

/// `foxfire serve` with no configuration: within one scrape interval of the start, `up` of itself is 1.
#[test]
fn without_a_configuration_it_scrapes_itself() {
    let folder = TempDir::new().unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let flags = [
        "serve".to_owned(),
        format!("--web.listen-address={address}"),
        format!("--storage.path={}", folder.path().join("data").display()),
    ];
    let log = folder.path().join("log");
    let started = Instant::now();
    let _process = Process::start(&build(), &flags, &log);
    eventually("up == 1", Duration::from_secs(30), || {
        let (_, body) = get(&address, "/api/v1/query?query=up==1")?;
        if body.contains(&format!(r#""instance":"{address}","job":"foxfire"}}"#)) {
            Ok(())
        } else {
            Err(body)
        }
    });
    let within = started.elapsed();
    assert!(within < Duration::from_secs(18), "one interval of 15 s and the start, but it took {within:?}");
}
