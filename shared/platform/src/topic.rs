//! Topics that people and machines subscribe to: SNS.

use crate::PlatformFuture;

/// A message to everybody who subscribed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// One line, for mail; at most 100 ASCII characters.
    pub subject: String,
    /// The text; at most 256 KiB.
    pub message: String,
    /// What subscriptions filter by: at most 10 names with values.
    pub attributes: Vec<(String, String)>,
}

/// A topic.
pub trait Topic: Send + Sync {
    /// Publishes a message. Subscribers may get it more than once.
    ///
    /// # Errors
    /// [`crate::PlatformError`]; after `Ambiguous` it may have been published.
    fn publish<'a>(&'a self, notice: &'a Notice) -> PlatformFuture<'a, ()>;
}
