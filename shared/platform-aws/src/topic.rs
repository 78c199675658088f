//! Topics in SNS.

use std::sync::Arc;

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use platform::{Notice, PlatformFuture, Topic};

use crate::caller::{Call, Caller};
use crate::failure::judge;

/// The longest subject, characters.
const SUBJECT_MAX: usize = 100;

/// The longest message, bytes.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Bytes kept for subject and attributes, which count towards a message's length.
const RESERVED_BYTES: usize = 8 * 1024;

/// How many attributes reach a subscription with raw delivery.
const ATTRIBUTES_MAX: usize = 10;

/// The longest value of an attribute, bytes.
const ATTRIBUTE_BYTES_MAX: usize = 256;

/// A topic.
#[derive(Clone)]
pub struct AwsTopic {
    client: Client,
    arn: String,
    caller: Arc<Caller>,
}

impl std::fmt::Debug for AwsTopic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsTopic").field("arn", &self.arn).finish_non_exhaustive()
    }
}

impl AwsTopic {
    pub(crate) fn new(client: Client, arn: String, caller: Arc<Caller>) -> Self {
        Self { client, arn, caller }
    }
}

impl Topic for AwsTopic {
    fn publish<'a>(&'a self, notice: &'a Notice) -> PlatformFuture<'a, ()> {
        Box::pin(async move {
            let subject = subject(&notice.subject);
            let message = shortened(&notice.message, MESSAGE_BYTES_MAX - RESERVED_BYTES);
            // SNS refuses an empty message.
            let message = if message.is_empty() { "-" } else { message };
            let call = Call::change("sns", "Publish", "publish".to_owned());
            let attempt = |_| {
                let mut request =
                    self.client.publish().topic_arn(&self.arn).message(message).set_subject(subject.clone());
                for (name, value) in
                    notice.attributes.iter().filter(|(_, value)| !value.is_empty()).take(ATTRIBUTES_MAX)
                {
                    let value = shortened(value, ATTRIBUTE_BYTES_MAX);
                    let value =
                        MessageAttributeValue::builder().data_type("String").string_value(value).build();
                    // It has its type, so it is always built.
                    if let Ok(value) = value {
                        request = request.message_attributes(name, value);
                    }
                }
                async { request.send().await.map(|_| ()).map_err(|error| judge(&error, "publish")) }
            };
            self.caller.call(call, attempt).await
        })
    }
}

/// A subject as SNS takes it: one line of printable ASCII that does not begin with a blank.
fn subject(text: &str) -> Option<String> {
    let printable = |character: char| if matches!(character, ' '..='~') { character } else { '?' };
    let line: String = text.trim().chars().map(printable).take(SUBJECT_MAX).collect();
    Some(line).filter(|line| !line.is_empty())
}

/// The beginning of `text` that has at most so many bytes.
fn shortened(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_one_line_of_ascii() {
        assert_eq!(subject("[FIRING:2] disk\nfüll").as_deref(), Some("[FIRING:2] disk?f?ll"));
        assert_eq!(subject(&"x".repeat(200)).map(|subject| subject.len()), Some(100));
        assert_eq!(subject("  \n"), None);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!((shortened("aé", 2), shortened("aé", 3), shortened("", 0)), ("a", "aé", ""));
    }
}
