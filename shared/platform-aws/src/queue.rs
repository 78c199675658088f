//! Queues in SQS.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    Message as SqsMessage, MessageAttributeValue, MessageSystemAttributeName as SystemAttribute,
};
use bytes::Bytes;
use platform::{Message, PlatformError, PlatformFuture, Queue, Receipt, check_message};

use crate::caller::{Call, Caller};
use crate::failure::{Failure, code, judge};
use crate::message::{ENCODING_ATTRIBUTE, decode_message, encode_message};

/// Messages that one request gives at most.
const RECEIVED_MAX: usize = 10;

/// How long one request can wait for a message.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// How long a message can be hidden.
const VISIBILITY_MAX: Duration = Duration::from_secs(12 * 60 * 60);

/// A queue. Its times are whole seconds: delays and visibilities are rounded up, waits down. How often a message is
/// delivered before it moves to the dead-letter queue is the queue's own redrive policy.
#[derive(Clone)]
pub struct AwsQueue {
    client: Client,
    url: String,
    caller: Arc<Caller>,
}

impl std::fmt::Debug for AwsQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsQueue").field("url", &self.url).finish_non_exhaustive()
    }
}

impl AwsQueue {
    pub(crate) fn new(client: Client, url: String, caller: Arc<Caller>) -> Self {
        Self { client, url, caller }
    }

    async fn receive_once(
        &self,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> Result<Vec<Message>, PlatformError> {
        let what = "receive".to_owned();
        let call = Call::change("sqs", "ReceiveMessage", what.clone()).with_wait(wait);
        let attempt = |_| {
            let request = self
                .client
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(i32::try_from(max.min(RECEIVED_MAX)).unwrap_or(1))
                .visibility_timeout(seconds_up(visibility.min(VISIBILITY_MAX)))
                .wait_time_seconds(i32::try_from(wait.as_secs()).unwrap_or(0))
                .message_attribute_names(ENCODING_ATTRIBUTE)
                .message_system_attribute_names(SystemAttribute::ApproximateReceiveCount);
            async {
                let output = request.send().await.map_err(|error| judge(&error, &what))?;
                output.messages.unwrap_or_default().iter().map(message).collect()
            }
        };
        match self.caller.call(call, attempt).await {
            // What an unanswered request took is hidden for a while and then comes again: to the caller, nothing came.
            Err(PlatformError::Ambiguous { operation, .. }) => Err(PlatformError::Throttled { operation }),
            other => other,
        }
    }
}

impl Queue for AwsQueue {
    fn send(&self, body: Bytes, delay: Duration) -> PlatformFuture<'_, ()> {
        Box::pin(async move {
            check_message("send", body.len(), delay)?;
            let encoded = encode_message(&body);
            let call = Call::change("sqs", "SendMessage", "send".to_owned());
            let attempt = |_| {
                let mut request = self
                    .client
                    .send_message()
                    .queue_url(&self.url)
                    .message_body(&encoded.body)
                    .delay_seconds(seconds_up(delay));
                let value = encoded.encoding.map(|encoding| {
                    MessageAttributeValue::builder().data_type("String").string_value(encoding).build()
                });
                // Neither part is missing, so it is always built.
                if let Some(Ok(value)) = value {
                    request = request.message_attributes(ENCODING_ATTRIBUTE, value);
                }
                async { request.send().await.map(|_| ()).map_err(|error| judge(&error, "send")) }
            };
            self.caller.call(call, attempt).await
        })
    }

    fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> PlatformFuture<'_, Vec<Message>> {
        Box::pin(async move {
            if max == 0 {
                return Ok(Vec::new());
            }
            let mut left = wait;
            loop {
                let now = left.min(WAIT_MAX);
                let messages = self.receive_once(max, visibility, now).await?;
                left -= now;
                if !messages.is_empty() || left.as_secs() == 0 {
                    return Ok(messages);
                }
            }
        })
    }

    fn delete<'a>(&'a self, receipt: &'a Receipt) -> PlatformFuture<'a, ()> {
        Box::pin(async move {
            let call = Call::change("sqs", "DeleteMessage", "delete".to_owned());
            let attempt = |_| {
                let request = self.client.delete_message().queue_url(&self.url).receipt_handle(&receipt.0);
                async {
                    match request.send().await {
                        Ok(_) => Ok(()),
                        // A message that is gone, or whose delivery is long over.
                        Err(error) if is_outdated(code(&error)) => Ok(()),
                        Err(error) => Err(judge(&error, "delete")),
                    }
                }
            };
            self.caller.call(call, attempt).await
        })
    }
}

/// What stands in for a queue that is not configured.
#[derive(Clone, Debug)]
pub(crate) struct NoQueue {
    name: &'static str,
}

impl NoQueue {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name }
    }

    fn denied(&self, operation: &str) -> PlatformError {
        let operation = format!("{operation} ({} queue)", self.name);
        PlatformError::Denied { operation, reason: "no queue is configured".to_owned() }
    }
}

impl Queue for NoQueue {
    fn send(&self, _body: Bytes, _delay: Duration) -> PlatformFuture<'_, ()> {
        Box::pin(async { Err(self.denied("send")) })
    }

    fn receive(
        &self,
        _max: usize,
        _visibility: Duration,
        _wait: Duration,
    ) -> PlatformFuture<'_, Vec<Message>> {
        Box::pin(async { Err(self.denied("receive")) })
    }

    fn delete<'a>(&'a self, _receipt: &'a Receipt) -> PlatformFuture<'a, ()> {
        Box::pin(async { Err(self.denied("delete")) })
    }
}

/// Whole seconds, no fewer than asked for.
fn seconds_up(duration: Duration) -> i32 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(whole).unwrap_or(i32::MAX)
}

fn is_outdated(code: &str) -> bool {
    matches!(code, "ReceiptHandleIsInvalid" | "InvalidParameterValue")
}

fn message(message: &SqsMessage) -> Result<Message, Failure> {
    let corrupt = |reason: &str| {
        let what = message.message_id().map_or_else(|| "message".to_owned(), |id| format!("message {id}"));
        Failure::Final(PlatformError::Corrupt { what, reason: reason.to_owned() })
    };
    let attributes = message.message_attributes();
    let encoding = attributes.and_then(|attributes| attributes.get(ENCODING_ATTRIBUTE)?.string_value());
    let body = decode_message(message.body().unwrap_or_default(), encoding)
        .ok_or_else(|| corrupt("its body is not in its encoding"))?;
    let receipt = message.receipt_handle().ok_or_else(|| corrupt("it has no receipt"))?;
    let system = message.attributes();
    let count = system.and_then(|system| system.get(&SystemAttribute::ApproximateReceiveCount));
    let receive_count = count.and_then(|count| count.parse().ok()).unwrap_or(1);
    Ok(Message { body, receipt: Receipt(receipt.to_owned()), receive_count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_no_shorter_than_asked_for() {
        for (ms, seconds) in [(0, 0), (1, 1), (1_000, 1), (1_001, 2), (900_000, 900)] {
            assert_eq!(seconds_up(Duration::from_millis(ms)), seconds);
        }
    }

    #[tokio::test]
    async fn a_queue_that_is_not_configured_says_so() {
        let error = NoQueue::new("rule").send(Bytes::new(), Duration::ZERO).await.unwrap_err();
        assert_eq!(error.to_string(), "send (rule queue) was denied: no queue is configured");
    }
}
