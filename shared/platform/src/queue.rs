//! Queues: SQS, or one in the process.

use std::time::Duration;

use bytes::Bytes;

use crate::PlatformFuture;

/// Names one delivery of one message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Receipt(pub String);

/// A delivered message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What was sent.
    pub body: Bytes,
    /// Names this delivery.
    pub receipt: Receipt,
    /// How often it has been delivered, this time included.
    pub receive_count: u32,
}

/// A queue that delivers at least once, in no particular order.
///
/// # Contract
/// - A message is delivered no earlier than `delay` after it was sent.
/// - A delivered message is hidden for `visibility`; unless it is deleted by then it is delivered again.
/// - A message that was received as often as the queue allows moves to the dead-letter queue.
/// - Deleting a message that is gone, or through a receipt that a later delivery has replaced, succeeds.
/// - Bodies are at most 256 KiB.
pub trait Queue: Send + Sync {
    /// Sends a message; `delay` is at most 15 minutes.
    ///
    /// # Errors
    /// [`crate::PlatformError`]; after `Ambiguous` the message may be delivered.
    fn send(&self, body: Bytes, delay: Duration) -> PlatformFuture<'_, ()>;

    /// Takes up to `max` messages that are due; none where none are. Waits at most `wait` for the first.
    ///
    /// # Errors
    /// [`crate::PlatformError`].
    fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> PlatformFuture<'_, Vec<Message>>;

    /// Acknowledges a delivery: its message is delivered no more, unless its visibility ended before.
    ///
    /// # Errors
    /// [`crate::PlatformError`].
    fn delete<'a>(&'a self, receipt: &'a Receipt) -> PlatformFuture<'a, ()>;
}
