//! Messages that can never be handled, with the reason as attributes.

use std::sync::Arc;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageAttributeValue;
use platform::{MESSAGE_BYTES_MAX, PlatformError};
use tokio::sync::OnceCell;

use crate::AwsOptions;
use crate::caller::{Call, Caller};
use crate::clients::Clients;
use crate::failure::judge;

/// The longest value of an attribute, bytes. Together with the body they count towards the message's length.
const ATTRIBUTE_BYTES_MAX: usize = 2 << 10;

/// A dead-letter queue that messages are sent to as they were received. Its client is made when the first one is: that
/// is seldom, and a start is often.
pub struct AwsDeadLetters {
    options: AwsOptions,
    url: String,
    client: OnceCell<(Client, Arc<Caller>)>,
}

impl std::fmt::Debug for AwsDeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsDeadLetters").field("url", &self.url).finish_non_exhaustive()
    }
}

impl AwsDeadLetters {
    /// The queue at a URL.
    #[must_use]
    pub fn new(options: AwsOptions, url: String) -> Self {
        Self { options, url, client: OnceCell::new() }
    }

    /// Sends a body as it is, with attributes; long values and bodies are cut.
    ///
    /// # Errors
    /// [`PlatformError`]; after `Ambiguous` it may have been sent.
    pub async fn send(&self, body: &str, attributes: &[(&str, &str)]) -> Result<(), PlatformError> {
        let (client, caller) = self.client.get_or_try_init(|| self.connect()).await?;
        let call = Call::change("sqs", "SendMessage", "send a dead letter".to_owned());
        let body = beginning(body, MESSAGE_BYTES_MAX - ATTRIBUTE_BYTES_MAX * attributes.len());
        let attempt = |_| {
            let mut request = client.send_message().queue_url(&self.url).message_body(body);
            for (name, value) in attributes.iter().filter(|(_, value)| !value.is_empty()) {
                let value: String =
                    beginning(value, ATTRIBUTE_BYTES_MAX).chars().filter(|c| is_allowed(*c)).collect();
                let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
                // It has its type, so it is always built.
                if let Ok(value) = value {
                    request = request.message_attributes(*name, value);
                }
            }
            async { request.send().await.map(|_| ()).map_err(|error| judge(&error, "send a dead letter")) }
        };
        caller.call(call, attempt).await
    }

    async fn connect(&self) -> Result<(Client, Arc<Caller>), PlatformError> {
        let clients = Clients::load(&self.options.meter).await.map_err(|error| PlatformError::Denied {
            operation: "send a dead letter".to_owned(),
            reason: error.to_string(),
        })?;
        Ok((clients.sqs, Arc::new(Caller::of_the_system(&self.options.meter))))
    }
}

/// The characters that SQS takes.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn beginning(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}
