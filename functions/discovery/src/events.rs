//! The sample events of discovery, replayed.

use std::time::Duration;

use lambda::testing::{Asked, Replay, SCHEDULED_AT, run};
use platform_local::{LocalOptions, LocalPlatform};
use serde_json::{Value, json};
use wire::ScrapeTask;

const CONFIG: &str = "global: {scrape_interval: 15s}\nscrape_configs:\n- job_name: node\n  static_configs:\n  - targets: ['10.0.1.7:9100', '10.0.1.8:9100']\n";

fn open(path: &std::path::Path) -> LocalPlatform {
    platform_local::open(&LocalOptions::new(path)).unwrap()
}

/// The tasks in the queue: what each is delayed by is in real time, and over.
async fn tasks(local: &LocalPlatform) -> Vec<ScrapeTask> {
    let mut tasks = Vec::new();
    loop {
        let queue = &local.platform.scrape_queue;
        let received = queue.receive(10, Duration::from_secs(60), Duration::ZERO).await.unwrap();
        if received.is_empty() {
            return tasks;
        }
        tasks.extend(
            received.iter().map(|message| wire::decode::<ScrapeTask>("task", &message.body).unwrap()),
        );
    }
}

#[test]
fn the_minute_after_the_next_is_planned_and_always_in_the_same_way() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let local = open(directory.path());
        let replay = Replay::new("discovery", local.platform.clone(), &[], super::wire);
        replay.configure(CONFIG, "groups: []").await;
        // As if a minute late, so that nothing is delayed.
        replay.clock.set(SCHEDULED_AT + 120_000);
        assert_eq!(replay.invoke("discovery-schedule").await, Ok(Value::Null));
        let first = tasks(&local).await;
        let targets: usize = first.iter().map(|task| task.targets.len()).sum();
        assert_eq!(targets, 2 * 4);
        let (from, until) = (SCHEDULED_AT + 60_000, SCHEDULED_AT + 120_000);
        assert!(first.iter().all(|task| (from..until).contains(&task.tick)), "{first:?}");
        assert_eq!(replay.invoke("discovery-schedule").await, Ok(Value::Null));
        assert_eq!(tasks(&local).await, first);
    });
}

#[test]
fn before_there_is_a_configuration_there_is_nothing_to_do() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let local = open(directory.path());
        let replay = Replay::new("discovery", local.platform.clone(), &[], super::wire);
        assert_eq!(replay.invoke("discovery-schedule").await, Ok(Value::Null));
        assert_eq!(tasks(&local).await, []);
    });
}

#[test]
fn another_function_s_events_are_refused() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let replay = Replay::new("discovery", open(directory.path()).platform, &[], super::wire);
        let refused = |event: Value| async { replay.invoke_with(event).await.unwrap_err().to_string() };
        assert_eq!(refused(json!({"task": "compact"})).await, "discovery has no task \"compact\"");
        assert_eq!(
            replay.invoke("scraper-sqs").await.unwrap_err().to_string(),
            "discovery takes no messages"
        );
        assert_eq!(
            replay.invoke("query-http-get").await.unwrap_err().to_string(),
            "discovery answers no requests"
        );
    });
}

#[test]
fn a_minute_without_targets_asks_for_little() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let replay = Replay::new("discovery", open(directory.path()).platform, &[], super::wire);
        replay.configure("scrape_configs: []\n", "groups: []").await;
        let minute = |minute: i64| {
            let at = model_time(SCHEDULED_AT + minute * 60_000);
            replay.invoke_with(json!({"task": "discover", "scheduled": at}))
        };
        minute(0).await.unwrap();
        replay.counts.take();
        minute(1).await.unwrap();
        // The targets in force and their snapshot, whether this window was planned, the configuration in force; the plan.
        let expected = Asked { row_reads: 3, row_writes: 1, object_reads: 1, object_writes: 0 };
        assert_eq!(replay.counts.take(), expected);
    });
}

fn model_time(at_ms: i64) -> String {
    format!("2026-11-22T22:{:02}:00Z", (at_ms - SCHEDULED_AT) / 60_000)
}
