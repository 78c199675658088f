//! Notices on a topic that remembers.

use std::sync::Mutex;

use futures::FutureExt;
use platform::PlatformFuture;
use wire::WireLabels;

use super::*;

const NOW: i64 = 1_700_000_000_000;

#[derive(Default)]
struct Remembering {
    notices: Mutex<Vec<Notice>>,
    fails: bool,
}

impl Topic for Remembering {
    fn publish<'a>(&'a self, notice: &'a Notice) -> PlatformFuture<'a, ()> {
        self.notices.lock().unwrap().push(notice.clone());
        let operation = "publish".to_owned();
        let outcome = if self.fails { Err(PlatformError::Throttled { operation }) } else { Ok(()) };
        Box::pin(async move { outcome })
    }
}

fn pairs(pairs: &[(&str, &str)]) -> WireLabels {
    WireLabels(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn alert(name: &str, severity: &str, instance: &str, fires: bool) -> Alert {
    Alert {
        labels: pairs(&[("alertname", name), ("instance", instance), ("severity", severity)]),
        annotations: pairs(&[
            ("description", "It is full."),
            ("runbook_url", "http://runbook"),
            ("summary", "Disk of é"),
        ]),
        starts_at: NOW - 60_000,
        ends_at: if fires { NOW + 60_000 } else { NOW - 1 },
        generator_url: "http://foxfire/graph?g0.expr=up".to_owned(),
    }
}

fn published(alerts: &[Alert], topic: &Remembering) -> Vec<PublishResult> {
    let external = Labels::from_pairs([("region", "eu")]);
    publish(alerts, &AlertingConfig::default(), &external, topic, NOW).now_or_never().unwrap()
}

#[test]
fn alerts_of_a_name_and_severity_are_one_notice_firing_ones_first() {
    let topic = Remembering::default();
    let alerts = [
        alert("Full", "critical", "a", false),
        alert("Full", "critical", "b", true),
        alert("Full", "critical", "c", true),
        alert("Full", "warning", "d", true),
        alert("Down", "critical", "e", false),
    ];
    let results = published(&alerts, &topic);
    assert_eq!(results.iter().map(|result| result.alerts).sum::<usize>(), 5);
    let notices = topic.notices.into_inner().unwrap();
    let subjects: Vec<&str> = notices.iter().map(|notice| notice.subject.as_str()).collect();
    assert_eq!(subjects, ["[RESOLVED:1] Down", "[FIRING:2] Full", "[FIRING:1] Full"]);
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        notices[1].attributes,
        [own("alertname", "Full"), own("severity", "critical"), own("status", "firing")]
    );
    let (text, json) = notices[1].message.rsplit_once("\n\n").unwrap();
    assert!(
        text.starts_with(
            "FIRING: Disk of é\nIt is full.\n\
             Labels: alertname=\"Full\", instance=\"b\", region=\"eu\", severity=\"critical\"\n\
             Since: 2023-11-14T22:12:20"
        ),
        "{text}"
    );
    assert!(
        text.contains("\nrunbook_url: http://runbook\nSource: http://foxfire/graph?g0.expr=up\n\n"),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["status"], "firing");
    let instances: Vec<(&str, &str)> = json["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| (alert["labels"]["instance"].as_str().unwrap(), alert["status"].as_str().unwrap()))
        .collect();
    assert_eq!(instances, [("b", "firing"), ("c", "firing"), ("a", "resolved")]);
    assert_eq!(json["alerts"][0]["annotations"]["summary"], "Disk of é");
}

#[test]
fn notices_stay_below_a_topics_limit_whatever_the_alerts() {
    let topic = Remembering::default();
    let long = "x".repeat(10_000);
    let alerts: Vec<Alert> = (0..120).map(|number| alert("Long", &long, &number.to_string(), true)).collect();
    let results = published(&alerts, &topic);
    assert_eq!(results.iter().map(|result| result.alerts).collect::<Vec<_>>(), [50, 50, 20]);
    for notice in topic.notices.into_inner().unwrap() {
        assert!(notice.message.len() < 240 * 1024, "{}", notice.message.len());
    }
}

#[test]
fn nothing_is_published_of_nothing_and_failures_are_told() {
    let topic = Remembering { fails: true, ..Remembering::default() };
    assert!(published(&[], &topic).is_empty());
    let results = published(&[alert("Full", "", "a", true)], &topic);
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].error, Some(PlatformError::Throttled { operation: "publish".to_owned() }));
}
