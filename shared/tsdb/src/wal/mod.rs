//! WAL segments: what a scraper, a ruler or a pusher writes in one go, and the layouts that segments refer to.
//!
//! ```text
//! &[Scrape] ──► encode ──► EncodedSegment { payload, layouts, summary, pending }    LayoutCache: how each source was
//!                              │                                                     last written, to write less
//! DecodedScrape, … ◄── decode ◄┤ ◄── Front::read: what else is needed
//!      Tips ◄──────────────────┘ ◄── Layout::decode, by LayoutId; Tips of the segments that it is coded against
//! ```
//!
//! - A [`Layout`] is the list of a source's series, and what the source says of them: an append-only *superset*, so that
//!   series which come and go do not make a new one each time. It is named by its content and written once.
//! - A scrape is coded against the scrape of its source before, in an earlier segment that this writer knows to be stored
//!   as it was written; else it is a keyframe. Chains of segments are bounded in length and time.
//! - Values are coded by what the series did before: see `values`.
//! - A large segment has several chunks, by ranges of metric names, each of which can be fetched and decoded by itself.
//! - Every `f64` comes back bit for bit. Every changed or missing byte gives [`Corrupt`], never other samples.
//!
//! The bytes are described in `docs/format.md`.

mod bits;
mod cache;
mod chain;
mod chunk;
mod cursor;
mod decimal;
mod decode;
mod encode;
mod envelope;
mod exemplars;
mod front;
mod histograms;
mod layout;
mod numbers;
mod pushed;
#[cfg(test)]
pub(crate) mod tests;
mod values;

pub use cache::LayoutCache;
pub use chain::Pending;
pub use decode::{
    Decoded, DecodedHistogram, DecodedSample, DecodedScrape, Tips, WalError, all_chunks, decode,
};
pub(crate) use encode::series_of;
pub use encode::{EncodeOptions, EncodedSegment, SegmentSummary, encode};
pub use front::{BaseRef, ChunkRef, Front, Index};
pub(crate) use front::{checksum_in, index_in};
pub use layout::{Layout, LayoutId};

/// Most series of one layout, and so of one scrape, that a reader accepts. What scrapers accept of a target must stay
/// below it; [`crate::Store::append`] refuses the rest.
pub const SERIES_PER_LAYOUT_MAX: usize = 1 << 22;
/// Most bytes of label text of one layout that a reader accepts, prefixes that its encoding shares written out.
pub(crate) const LAYOUT_TEXT_BYTES_MAX: usize = 512 << 20;

/// Stored bytes are not what was written: truncated, changed, or of a version that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("corrupt: {reason}")]
pub struct Corrupt {
    /// How they are damaged.
    pub reason: &'static str,
}

impl Corrupt {
    const fn new(reason: &'static str) -> Self {
        Self { reason }
    }
}
