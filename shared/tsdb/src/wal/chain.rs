//! What a writer knows of the segments that it has written: so that the next ones hold only what is new.

use std::sync::Arc;

use storage::SourceId;

use super::chunk::{Members, Models, States};
use super::front::BaseRef;
use super::layout::LayoutId;

/// A segment that is stored as it was written.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) reference: BaseRef,
    pub(super) boundaries: Arc<[String]>,
    /// Per chunk.
    pub(super) models: Vec<Models>,
    /// How many segments have to be decoded before this one, one after the other.
    pub(super) depth: u32,
    /// The earliest tick of them and this one, ms.
    pub(super) oldest_tick: i64,
}

/// A source as a segment left it.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) base: Arc<Base>,
    /// The source's last scrape there.
    pub(super) scrape: usize,
    pub(super) layout: LayoutId,
    pub(super) members: Arc<Members>,
    /// Per chunk.
    pub(super) states: Vec<States>,
}

/// What becomes known once a segment is stored as it was encoded: give it to [`super::LayoutCache::stored`] then, and
/// drop it otherwise.
#[derive(Debug, Default)]
pub struct Pending {
    pub(super) chains: Vec<(SourceId, Chain)>,
}
