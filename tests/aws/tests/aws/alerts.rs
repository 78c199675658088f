//! An alert at a real Alertmanager and on the topic.

use std::time::Duration;

use e2e::eventually;

use crate::scene::{Scene, UNTIL_PLANNED};

#[test]
fn an_alert_reaches_alertmanager_and_the_topic() {
    let scene = Scene::set();
    scene.samples("up{job=\"down\"}", 1);
    let alert = eventually("Alertmanager to have the alert", UNTIL_PLANNED, || {
        let alerts = scene.alertmanager.alerts();
        alerts.into_iter().find(|alert| alert["labels"]["job"] == "down").ok_or_else(|| "none".to_owned())
    });
    assert_eq!(alert["labels"]["alertname"], "TargetDown", "{alert}");
    assert_eq!(alert["labels"]["severity"], "page", "{alert}");
    assert_eq!(alert["labels"]["cluster"], "test", "{alert}");
    let link = alert["generatorURL"].as_str().unwrap();
    assert!(link.starts_with(&format!("https://{}.execute-api.", scene.stack.output("ApiId"))), "{link}");
    let notice = eventually("the topic's subscriber to have it", Duration::from_secs(60), || {
        let notices = scene.peek(&scene.notices_url);
        let about =
            |notice: &&serde_json::Value| notice["Body"].as_str().unwrap_or_default().contains("TargetDown");
        notices.iter().find(about).cloned().ok_or_else(|| format!("{notices:?}"))
    });
    assert!(notice["Body"].as_str().unwrap().contains("is down"), "{notice}");
}
