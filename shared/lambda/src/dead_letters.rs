//! Messages that can never be handled, kept with the reason.
//!
//! SQS itself moves a message to the dead-letter queue only after it was delivered several times, and without a word
//! of why. So a task whose error says that no retry helps is sent there at once, as it was, with the reason as an
//! attribute: a redrive brings back the very message.

use platform::PlatformFuture;
use platform_aws::AwsDeadLetters;

/// A message and why it can never be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message as it was received.
    pub body: String,
    /// Why it cannot be handled.
    pub reason: String,
    /// The function that could not.
    pub function: String,
    /// Its identifier in the queue that it was received from.
    pub message_id: String,
}

/// Where dead letters go.
pub trait DeadLetterQueue: Send + Sync {
    /// Keeps a letter.
    ///
    /// # Errors
    /// [`platform::PlatformError`]; after `Ambiguous` it may be kept.
    fn keep<'a>(&'a self, letter: &'a DeadLetter) -> PlatformFuture<'a, ()>;
}

impl DeadLetterQueue for AwsDeadLetters {
    fn keep<'a>(&'a self, letter: &'a DeadLetter) -> PlatformFuture<'a, ()> {
        Box::pin(async move {
            let attributes = [
                ("foxfire.reason", letter.reason.as_str()),
                ("foxfire.function", letter.function.as_str()),
                ("foxfire.message_id", letter.message_id.as_str()),
            ];
            self.send(&letter.body, &attributes).await
        })
    }
}
