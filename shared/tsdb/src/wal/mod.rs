//! WAL segments: what a scraper, a ruler or a pusher writes in one go, and the layouts that segments refer to.
//!
//! ```text
//! &[Scrape] ──► encode ──► EncodedSegment { payload, layouts, summary }        LayoutCache: what each source's
//!                              │                                               series were, to reuse their layout
//! DecodedScrape, … ◄── decode ◄┘ ◄── Layout::decode, by LayoutId
//! ```
//!
//! - A [`Layout`] is the list of a source's series: an append-only *superset*, so that series which come and go do not
//!   make a new one each time. It is named by its content and written once.
//! - A segment holds, per scrape and series of the layout, a code (decimals, absent, unchanged, raw) and an integer
//!   mantissa. Every segment can be read by itself, given its layouts.
//! - Every `f64` comes back bit for bit. Every changed or missing byte gives [`Corrupt`], never other samples.
//!
//! The bytes are described in `docs/format.md`.

mod cache;
mod cursor;
mod decimal;
mod decode;
mod encode;
mod envelope;
mod layout;
#[cfg(test)]
pub(crate) mod tests;

pub use cache::LayoutCache;
pub use decode::{DecodedSample, DecodedScrape, WalError, decode, layout_ids};
pub use encode::{EncodedSegment, SegmentSummary, encode};
pub use layout::{Layout, LayoutId};

/// Most series of one layout, and so of one scrape, that a reader accepts. What scrapers accept of a target must stay
/// below it.
pub const SERIES_PER_LAYOUT_MAX: usize = 1 << 22;

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
