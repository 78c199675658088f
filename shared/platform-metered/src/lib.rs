//! The seam, metered: each call of any adapter's ports is told to a [`Meter`] as AWS would bill it.
//!
//! ```text
//! handlers ──► metered ports ──► platform-local, platform-sim
//!                   └─► Billed {service, operation, units by the sizes} ──► Meter
//! ```
//!
//! For `foxfire serve`, which so knows what the same work would cost on AWS, and for benches. `platform-aws` does not need it:
//! it tells its meter of its real requests.
//!
//! What is counted: objects as S3, rows as DynamoDB (consistent reads, items with their overhead), queues' sends as SQS
//! (receives and deletes are those of event source mappings, which a [`cost::Usage`] has by invocation), files as objects of
//! S3, topics as SNS. Requests to targets and Alertmanagers cost nothing by themselves.

mod objects;
mod queue;
mod rows;

use std::sync::Arc;

use platform::{Billed, FileError, Files, Meter, Notice, Platform, PlatformFuture, Topic};

pub use objects::MeteredObjects;
pub use queue::MeteredQueue;
pub use rows::MeteredRows;

/// The ports of a platform, each call of which is told to `meter`.
#[must_use]
pub fn metered(platform: &Platform, meter: &Arc<dyn Meter>) -> Platform {
    let meter = || Arc::clone(meter);
    Platform {
        objects: Arc::new(MeteredObjects::new(Arc::clone(&platform.objects), meter())),
        rows: Arc::new(MeteredRows::new(Arc::clone(&platform.rows), meter())),
        scrape_queue: Arc::new(MeteredQueue::new(Arc::clone(&platform.scrape_queue), meter())),
        rule_queue: Arc::new(MeteredQueue::new(Arc::clone(&platform.rule_queue), meter())),
        alert_topic: platform.alert_topic.as_ref().map(|topic| -> Arc<dyn Topic> {
            Arc::new(MeteredTopic { inner: Arc::clone(topic), meter: meter() })
        }),
        files: Arc::new(MeteredFiles { inner: Arc::clone(&platform.files), meter: meter() }),
        ..platform.clone()
    }
}

fn s3(operation: &'static str, sent: u64, received: u64) -> Billed {
    Billed { service: "s3", operation, units: 1.0, sent, received }
}

struct MeteredTopic {
    inner: Arc<dyn Topic>,
    meter: Arc<dyn Meter>,
}

impl Topic for MeteredTopic {
    fn publish<'a>(&'a self, notice: &'a Notice) -> PlatformFuture<'a, ()> {
        let sent = (notice.subject.len() + notice.message.len()) as u64;
        let units = cost::units::message_units(sent) as f64;
        self.meter.count(Billed { service: "sns", operation: "Publish", units, sent, received: 0 });
        self.inner.publish(notice)
    }
}

struct MeteredFiles {
    inner: Arc<dyn Files>,
    meter: Arc<dyn Meter>,
}

impl Files for MeteredFiles {
    fn read<'a>(&'a self, path: &'a str, bytes_max: u64) -> PlatformFuture<'a, Vec<u8>, FileError> {
        Box::pin(async move {
            let result = self.inner.read(path, bytes_max).await;
            let received = result.as_ref().map_or(0, Vec::len) as u64;
            self.meter.count(s3("GetObject", 0, received));
            result
        })
    }

    fn glob<'a>(&'a self, pattern: &'a str) -> PlatformFuture<'a, Vec<String>, FileError> {
        self.meter.count(s3("ListObjectsV2", 0, 0));
        self.inner.glob(pattern)
    }
}

#[cfg(test)]
mod tests;
