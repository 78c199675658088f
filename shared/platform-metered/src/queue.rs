//! Queues as SQS bills them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use platform::{Billed, Message, Meter, PlatformFuture, Queue, Receipt};

/// A queue whose sends are told to a meter. Receiving and deleting is not a function's own on Lambda: an event source mapping
/// does it, so that it follows from the invocations.
pub struct MeteredQueue {
    inner: Arc<dyn Queue>,
    meter: Arc<dyn Meter>,
}

impl fmt::Debug for MeteredQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeteredQueue").finish_non_exhaustive()
    }
}

impl MeteredQueue {
    /// Tells `meter` what is sent to `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Queue>, meter: Arc<dyn Meter>) -> Self {
        Self { inner, meter }
    }
}

impl Queue for MeteredQueue {
    fn send(&self, body: Bytes, delay: Duration) -> PlatformFuture<'_, ()> {
        let sent = body.len() as u64;
        let units = cost::units::message_units(sent) as f64;
        self.meter.count(Billed { service: "sqs", operation: "SendMessage", units, sent, received: 0 });
        self.inner.send(body, delay)
    }

    fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> PlatformFuture<'_, Vec<Message>> {
        self.inner.receive(max, visibility, wait)
    }

    fn delete<'a>(&'a self, receipt: &'a Receipt) -> PlatformFuture<'a, ()> {
        self.inner.delete(receipt)
    }
}
