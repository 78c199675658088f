//! The sample event of the collector, replayed.

use lambda::testing::{Replay, SCHEDULED_AT, run};
use platform_local::LocalOptions;
use serde_json::Value;

const CONFIG: &str = "scrape_configs: []\n";

#[test]
fn configurations_that_were_replaced_are_deleted_after_a_while() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let local = platform_local::open(&LocalOptions::new(directory.path())).unwrap();
        let replay = Replay::new("collector", local.platform.clone(), &[], super::wire);
        let platform = &replay.parts.platform;
        replay.clock.set(SCHEDULED_AT - 7_200_000);
        replay.configure(CONFIG, "groups: []").await;
        replay.clock.set(SCHEDULED_AT - 7_100_000);
        let newer = wire::ConfigBundle {
            v: 1,
            path: "prometheus.yml".to_owned(),
            prometheus_yml: "global: {}\n".to_owned(),
            rule_files: vec![],
        };
        let in_force = control::publish_config(platform, &newer).await.unwrap();
        replay.clock.set(SCHEDULED_AT);
        assert_eq!(replay.invoke("collector-schedule").await, Ok(Value::Null));
        let kept = platform.objects.list("config/01", None, 10).await.unwrap();
        assert!(kept.iter().any(|object| object.key == in_force), "{kept:?}");
        assert!(kept.len() < 3, "{kept:?}");
    });
}
