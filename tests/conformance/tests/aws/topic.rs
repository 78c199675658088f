//! Notices reach who subscribed to them.

use std::time::Duration;

use platform::Notice;

use crate::servers::{Resources, all};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_reaches_the_subscriptions_whose_filter_it_fits() {
    let endpoints = all().await;
    let filter = r#"{"severity":["critical"]}"#;
    let resources =
        Resources::new("topic").with_queues(&endpoints).await.with_topic(&endpoints, filter).await;
    let platform = resources.open(&endpoints).await.platform;
    let topic = platform.alert_topic.unwrap();
    for severity in ["warning", "critical", ""] {
        let notice = Notice {
            subject: format!("[FIRING:1] disk is full\n({severity})"),
            message: "the text, with é".to_owned(),
            attributes: vec![("severity".to_owned(), severity.to_owned())],
        };
        topic.publish(&notice).await.unwrap();
    }
    let second = Duration::from_secs(1);
    let received = platform.rule_queue.receive(10, second * 60, second * 10).await.unwrap();
    assert_eq!(received.len(), 1, "{received:?}");
    let envelope: serde_json::Value = serde_json::from_slice(&received[0].body).unwrap();
    assert_eq!(envelope["Subject"], "[FIRING:1] disk is full?(critical)");
    assert_eq!(envelope["Message"], "the text, with é");
    assert_eq!(envelope["MessageAttributes"]["severity"]["Value"], "critical");
    assert_eq!(platform.rule_queue.receive(10, second, second).await.unwrap(), []);
}
