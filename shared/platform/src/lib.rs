//! The seam: everything that foxfire asks of the world, as a few narrow traits that move bytes.
//!
//! ```text
//!  handlers, tsdb, scrape, rules, notify …      know only this crate
//!        │
//!        ▼
//!  Objects  Rows  Queue  Topic  Clock  Entropy  Fetcher  Files
//!        ▲          ▲           ▲
//!  platform-aws  platform-local  platform-sim   implement it, and pass one conformance suite
//! ```
//!
//! # What every adapter promises and every caller must expect
//!
//! - *Nothing is overwritten.* Objects and plain rows are created if absent; a name that was deleted is spent and is
//!   never used again. The one exception is a register: a row changed by compare-and-set on its version.
//! - *Three outcomes.* A call is done, or refused before it did anything ([`PlatformError::Throttled`] and the final
//!   errors), or *unknown* ([`PlatformError::Ambiguous`]): it may have happened, may still happen later, or never. An
//!   unknown outcome stays unknown until a read shows it.
//! - *Lists are strongly consistent* and ordered bytewise by key.
//! - *Any future may be dropped at any `.await`*: that is a crash. What was promised durable before stays so.
//! - Reads name the exact version that they want where one is known, for a key can be deleted and created again
//!   between a list and a read.
//!
//! Ports are objects (`Arc<dyn Objects>`), not type parameters: one virtual call per round trip costs nothing and
//! keeps signatures readable.

mod error;
mod fetcher;
mod files;
mod glob;
mod handler;
mod limits;
mod meter;
mod objects;
mod queue;
mod rows;
mod time;
mod topic;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use error::{PlatformError, Retry};
pub use fetcher::{FetchError, Fetcher, HttpMethod, HttpRequest, HttpResponse};
pub use files::{FileError, Files};
pub use glob::{Glob, GlobSegment, NamePattern};
pub use handler::{Deadline, Handler};
pub use limits::{
    MESSAGE_BYTES_MAX, MESSAGE_DELAY_MAX, OBJECT_KEY_BYTES_MAX, OBJECT_SEGMENT_BYTES_MAX, ROW_BYTES_MAX,
    ROW_KEY_BYTES_MAX, check_message, check_object_key, check_row, is_object_segment,
};
pub use meter::{Billed, Meter, NoMeter};
pub use objects::{ByteRange, ListedObject, Object, Objects, Put, Version};
pub use queue::{Message, Queue, Receipt};
pub use rows::{Cas, Row, RowKey, RowPut, RowRange, Rows};
pub use time::{Clock, Entropy, unique_id};
pub use topic::{Notice, Topic};

/// What a port's method returns.
pub type PlatformFuture<'a, T, E = PlatformError> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// One adapter's ports together, as a handler is given them.
#[derive(Clone)]
pub struct Platform {
    /// Immutable objects: blocks, bulky WAL payloads, configurations.
    pub objects: Arc<dyn Objects>,
    /// Rows: WAL segments and registers.
    pub rows: Arc<dyn Rows>,
    /// Tasks for the scrapers.
    pub scrape_queue: Arc<dyn Queue>,
    /// Tasks for the ruler.
    pub rule_queue: Arc<dyn Queue>,
    /// Where alerts are published besides Alertmanager, if anywhere.
    pub alert_topic: Option<Arc<dyn Topic>>,
    /// HTTP requests to targets and Alertmanagers.
    pub fetcher: Arc<dyn Fetcher>,
    /// Files that a configuration refers to.
    pub files: Arc<dyn Files>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform").finish_non_exhaustive()
    }
}
