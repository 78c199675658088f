//! The sample event of the scraper, replayed.

use lambda::testing::{Replay, SCHEDULED_AT, run, sample};
use platform_local::LocalOptions;
use serde_json::json;

const CONFIG: &str = "scrape_configs:\n- job_name: node\n  static_configs:\n  - targets: ['10.0.1.7:9100']\n";

async fn scraper(path: &std::path::Path) -> Replay {
    let local = platform_local::open(&LocalOptions::new(path)).unwrap();
    let replay = Replay::new("scraper", local.platform.clone(), &[], super::wire);
    replay.configure(CONFIG, "groups: []").await;
    replay.clock.set(SCHEDULED_AT + 60_500);
    replay
}

#[test]
fn a_batch_is_scraped_once_however_often_it_is_delivered() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let replay = scraper(directory.path()).await;
        let done = Ok(json!({"batchItemFailures": []}));
        assert_eq!(replay.invoke("scraper-sqs").await, done);
        // Two samples, and five reports of how the scrape went.
        assert_eq!(replay.parts.metrics.totals().samples, 7);
        assert_eq!(replay.invoke("scraper-sqs").await, done);
        assert_eq!(replay.parts.metrics.totals().samples, 7);
        assert_eq!(replay.parts.metrics.totals().missed, 0);
    });
}

#[test]
fn a_poison_message_does_not_keep_its_neighbour() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let replay = scraper(directory.path()).await;
        let mut event = sample("scraper-sqs");
        let mut poison = event["Records"][0].clone();
        poison["messageId"] = json!("poison");
        poison["body"] = json!("{\"no\": \"task\"}");
        event["Records"].as_array_mut().unwrap().insert(0, poison);
        let answer = replay.invoke_with(event).await.unwrap();
        assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "poison"}]}));
        assert_eq!(replay.parts.metrics.totals().samples, 7);
    });
}

#[test]
fn a_message_that_comes_too_late_is_a_missed_tick_and_no_failure() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let replay = scraper(directory.path()).await;
        replay.clock.set(SCHEDULED_AT + 600_000);
        assert_eq!(replay.invoke("scraper-sqs").await, Ok(json!({"batchItemFailures": []})));
        let totals = replay.parts.metrics.totals();
        assert_eq!((totals.samples, totals.missed), (0, 1));
    });
}
