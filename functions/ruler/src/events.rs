//! The sample events of the ruler, replayed.

use std::time::Duration;

use lambda::testing::{Asked, Replay, SCHEDULED_AT, run};
use platform_local::LocalOptions;
use serde_json::{Value, json};
use wire::RuleTask;

const PROMETHEUS: &str = "global: {evaluation_interval: 30s}\nrule_files: [rules.yml]\n";
const RULES: &str = "groups:\n- name: node\n  rules:\n  - {record: two, expr: 1 + 1}\n";

#[test]
fn a_group_is_planned_for_each_tick_of_the_minute_after_the_next() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let local = platform_local::open(&LocalOptions::new(directory.path())).unwrap();
        let replay = Replay::new("ruler", local.platform.clone(), &[], super::wire);
        replay.configure(PROMETHEUS, RULES).await;
        replay.clock.set(SCHEDULED_AT + 120_000);
        assert_eq!(replay.invoke("ruler-schedule").await, Ok(Value::Null));
        let queue = &local.platform.rule_queue;
        let received = queue.receive(10, Duration::from_secs(60), Duration::ZERO).await.unwrap();
        let tasks: Vec<RuleTask> =
            received.iter().map(|message| wire::decode("task", &message.body).unwrap()).collect();
        assert_eq!(tasks.len(), 2);
        let (from, until) = (SCHEDULED_AT + 60_000, SCHEDULED_AT + 120_000);
        assert!(
            tasks.iter().all(|task| task.group == "node" && (from..until).contains(&task.tick)),
            "{tasks:?}"
        );
    });
}

#[test]
fn a_group_is_evaluated_once_however_often_its_message_is_delivered() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let local = platform_local::open(&LocalOptions::new(directory.path())).unwrap();
        let replay = Replay::new("ruler", local.platform.clone(), &[], super::wire);
        replay.configure(PROMETHEUS, RULES).await;
        replay.clock.set(SCHEDULED_AT + 61_000);
        for _ in 0..2 {
            assert_eq!(replay.invoke("ruler-sqs").await, Ok(json!({"batchItemFailures": []})));
        }
        let state = control::group_state(&replay.parts.platform, "rules.yml", "node").await.unwrap();
        assert_eq!((state.version, state.state.last_tick), (1, SCHEDULED_AT + 60_000));
        assert_eq!(replay.parts.metrics.totals().samples, 1);
    });
}

#[test]
fn a_minute_without_rules_asks_which_configuration_is_in_force() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let local = platform_local::open(&LocalOptions::new(directory.path())).unwrap();
        let replay = Replay::new("ruler", local.platform.clone(), &[], super::wire);
        replay.configure("scrape_configs: []\n", "groups: []").await;
        replay.invoke("ruler-schedule").await.unwrap();
        replay.counts.take();
        replay.invoke("ruler-schedule").await.unwrap();
        assert_eq!(replay.counts.take(), Asked { row_reads: 1, ..Asked::default() });
    });
}
