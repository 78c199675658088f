//! The store: ports, keys and caches together. What it does is in the modules named after it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use wire::{BlockMeta, Manifest};

use crate::block::{BlockContext, BlockReader};
use crate::cache::Lru;
use crate::error::TsdbError;
use crate::keys::{Day, Keys};
use crate::ports::Ports;
use crate::segments::{Segment, SegmentPart};
use crate::settings::Settings;
use crate::tombstones::Deletion;
use crate::wal::{Layout, LayoutCache, LayoutId, Tips};

/// How often a reader starts over because what it was reading has been collected (L1).
pub(crate) const RESTARTS_MAX: usize = 3;
/// The part of the cache of blocks that is for the ends of their files; the rest is for what is decoded.
const READERS_SHARE: usize = 4;
/// Manifests kept: the current one, and some that slow readers still use.
const MANIFESTS_KEPT: usize = 8;
/// Compiled deletions kept.
const TOMBSTONES_KEPT: usize = 1024;

/// One scope's samples: segments and blocks. Any number of stores, in any number of processes, may serve one scope.
#[derive(Debug)]
pub struct Store {
    pub(crate) ports: Ports,
    pub(crate) keys: Keys,
    pub(crate) settings: Settings,
    pub(crate) caches: Caches,
    /// How sources were last written, so that the next segment holds only what is new.
    pub(crate) layouts: Mutex<LayoutCache>,
    /// Layouts that this store knows to be stored.
    pub(crate) layouts_stored: Mutex<BTreeSet<(Day, LayoutId)>>,
    /// Where the next reader's list of segments may begin, ms: what the last head that was seen still needs.
    pub(crate) listed_from: Mutex<Option<i64>>,
    /// Ticks before this, ms, have been looked at by this process's collector.
    pub(crate) collected_until: Mutex<i64>,
}

/// Everything immutable that is worth keeping.
#[derive(Debug)]
pub(crate) struct Caches {
    pub manifests: Lru<String, Manifest>,
    /// By key, checksum and chunks.
    pub segments: Lru<SegmentPart, Segment>,
    pub tips: Lru<SegmentPart, Tips>,
    pub layouts: Lru<LayoutId, Layout>,
    pub blocks: Lru<String, BlockReader>,
    pub tombstones: Lru<String, Deletion>,
    /// What open blocks decoded, and how much they may fetch at once.
    pub block_context: Arc<BlockContext>,
}

impl Store {
    /// A store on a platform's ports.
    pub fn new(ports: impl Into<Ports>, settings: Settings) -> Self {
        let caches = Caches {
            manifests: Lru::new(MANIFESTS_KEPT),
            segments: Lru::new(settings.segment_cache_bytes),
            tips: Lru::new(settings.segment_cache_bytes),
            layouts: Lru::new(settings.layout_cache_entries),
            tombstones: Lru::new(TOMBSTONES_KEPT),
            blocks: Lru::new(settings.block_cache_bytes / READERS_SHARE),
            block_context: Arc::new(BlockContext::new(
                settings.block_cache_bytes - settings.block_cache_bytes / READERS_SHARE,
                settings.fetch_bytes_max,
            )),
        };
        Self {
            ports: ports.into(),
            keys: Keys::new(settings.scope.clone()),
            settings,
            caches,
            layouts: Mutex::default(),
            layouts_stored: Mutex::default(),
            listed_from: Mutex::default(),
            collected_until: Mutex::default(),
        }
    }

    /// The live blocks, as the current manifest has them.
    ///
    /// # Errors
    /// [`TsdbError`].
    pub async fn blocks(&self) -> Result<Vec<BlockMeta>, TsdbError> {
        Ok(self.load().await?.manifest.blocks.clone())
    }

    /// The settings that it was made with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
