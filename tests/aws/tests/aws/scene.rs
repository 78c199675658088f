//! What is observed: a target, one that is down, rules, a real Alertmanager, a queue that gets what the topic gets.

use std::sync::OnceLock;
use std::time::Duration;

use aws::{Stack, Target};
use e2e::{Alertmanager, eventually, free_port};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The interval of scrapes and rules.
pub(crate) const INTERVAL_MS: i64 = 10_000;
/// A schedule plans the minute after the next, and the configuration may have come just after it.
pub(crate) const UNTIL_PLANNED: Duration = Duration::from_secs(300);

/// The deployment with a configuration in force.
pub(crate) struct Scene {
    pub(crate) stack: &'static Stack,
    pub(crate) steady: Target,
    pub(crate) alertmanager: Alertmanager,
    /// Subscribed to the alert topic.
    pub(crate) notices_url: String,
}

const RULES: &str = "
groups:
- name: recorded
  rules:
  - {record: 'job:scrapes:sum', expr: sum by (job) (scrapes_total)}
- name: alerts
  rules:
  - alert: TargetDown
    expr: up == 0
    labels: {severity: page}
    annotations: {summary: '{{ $labels.instance }} is down'}
";

impl Scene {
    /// The one of this process.
    pub(crate) fn set() -> &'static Self {
        static SCENE: OnceLock<Scene> = OnceLock::new();
        SCENE.get_or_init(Self::make)
    }

    fn make() -> Self {
        let stack = Stack::deployed();
        let (steady, alertmanager) = (Target::start(Duration::ZERO), Alertmanager::start());
        let notices_url = subscribe(stack);
        let folder = TempDir::new().unwrap();
        let config = format!(
            "global: {{scrape_interval: 10s, scrape_timeout: 5s, evaluation_interval: 10s, \
             external_labels: {{cluster: test}}}}\n\
             rule_files: [rules.yml]\n\
             alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{}']}}]}}]}}\n\
             scrape_configs:\n\
             - {{job_name: steady, static_configs: [{{targets: ['{}']}}]}}\n\
             - {{job_name: down, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}\n",
            alertmanager.address,
            steady.address,
            free_port(),
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        std::fs::write(folder.path().join("rules.yml"), RULES).unwrap();
        stack.push(folder.path());
        Self { stack, steady, alertmanager, notices_url }
    }

    /// Waits until a series has at least so many samples in the last ten minutes; their times in ms and values.
    pub(crate) fn samples(&self, selector: &str, least: usize) -> Vec<(i64, String)> {
        eventually(&format!("{least} samples of {selector}"), UNTIL_PLANNED, || {
            let samples = self.samples_now(selector)?;
            if samples.len() >= least { Ok(samples) } else { Err(format!("{samples:?}")) }
        })
    }

    /// The samples of the one series that a selector selects, of the last ten minutes.
    pub(crate) fn samples_now(&self, selector: &str) -> Result<Vec<(i64, String)>, String> {
        let result = self.stack.query(&format!("{selector}[10m]"), None)?;
        assert!(result.len() <= 1, "{selector}: {result:?}");
        let values =
            result.first().and_then(|series| series["values"].as_array()).cloned().unwrap_or_default();
        Ok(values
            .iter()
            .map(|pair| {
                ((pair[0].as_f64().unwrap() * 1_000.0).round() as i64, pair[1].as_str().unwrap().to_owned())
            })
            .collect())
    }

    /// Everything in a queue, which stays there.
    pub(crate) fn peek(&self, url: &str) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            let input = json!({
                "QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 3,
                "MessageAttributeNames": ["All"], "WaitTimeSeconds": 0
            });
            let received = self.stack.cloud.sqs("ReceiveMessage", &input);
            match received["Messages"].as_array() {
                Some(messages) if !messages.is_empty() => seen.extend(messages.clone()),
                _ => return seen,
            }
        }
    }
}

fn subscribe(stack: &Stack) -> String {
    let created = stack.cloud.sqs("CreateQueue", &json!({"QueueName": "notices"}));
    let url = created["QueueUrl"].as_str().unwrap().to_owned();
    let attributes = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
    let attributes = stack.cloud.sqs("GetQueueAttributes", &attributes);
    let arn = attributes["Attributes"]["QueueArn"].as_str().unwrap();
    let topic = stack.output("AlertTopicArn");
    let raw = "RawMessageDelivery=true";
    let subscribe = ["sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs"];
    stack.aws(&[&subscribe[..], &["--notification-endpoint", arn, "--attributes", raw]].concat());
    url
}
