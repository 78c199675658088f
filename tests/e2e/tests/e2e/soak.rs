//! `kill -9` under scrape, push and query load: nothing is lost, doubled, invented or changed.

use std::time::Duration;

use e2e::soak::{Findings, Soak};

fn show(findings: &Findings) {
    println!("0 lost, 0 doubled, 0 invented, 0 changed: {findings:#?}");
}

#[test]
fn kills_under_load_lose_and_double_nothing() {
    let soak = Soak {
        duration: Duration::from_secs(45),
        kill_every: Duration::from_secs(9),
        targets: 2,
        writers: 2,
        push_pause: Duration::from_millis(20),
    };
    let findings = soak.run();
    show(&findings);
    assert!(
        findings.kills >= 4 && findings.scrapes.1 >= 20 && findings.pushes >= 100,
        "too little was tested"
    );
    assert!(findings.seen > 1_000, "too little was tested");
}

/// The long version: `cargo test --release -p e2e --test e2e soak -- --ignored --nocapture`, with
/// `FOXFIRE_SOAK_MINUTES` other than 30 if need be.
#[test]
#[ignore = "takes half an hour"]
fn half_an_hour_of_kills_under_load_loses_and_doubles_nothing() {
    let minutes =
        std::env::var("FOXFIRE_SOAK_MINUTES").ok().and_then(|minutes| minutes.parse().ok()).unwrap_or(30);
    let soak = Soak {
        duration: Duration::from_secs(60 * minutes),
        kill_every: Duration::from_secs(10),
        targets: 4,
        writers: 4,
        push_pause: Duration::from_millis(100),
    };
    show(&soak.run());
}
