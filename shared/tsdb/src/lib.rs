//! The time series store: WAL segments and blocks on objects and rows, without a server.
//!
//! ```text
//! append ──► layouts, payloads (objects), segment rows ──► compact ──► blocks (objects) ──► compact ──► larger blocks
//!   append      wal, segment_row                            compact/segments, replay          compact/blocks, planner
//!                     │                                        │ commit: head                    │ commit: head
//!                     ▼                                        ▼                                 ▼
//! query  ◄── snapshot: rows, then the head ◄───────────── head register ──► manifest ──► blocks, context
//!   query, replay, merge, status                               ▲
//!                                              collect: fence, then delete what nothing refers to
//!
//! backfill: samples of any age ──► blocks ──► one commit       scan: everything in order of series
//! verify: everything that the head leads to is read and compared      columns: what takes how much room
//! ```
//!
//! # The protocol
//!
//! Rules are cited as P1-P15 and invariants as S1-S16 where they are kept:
//!
//! - Segments are named by cause and never overwritten; a caller acknowledges after [`Store::append`] returned (P1-P3,
//!   P12; `append`).
//! - One register per scope, changed by compare-and-set, is the only commit; unknown outcomes stay unknown (P4, P6;
//!   `head`). Blocks and manifests have attempt-unique keys, and compaction deletes nothing (P5, P8; `compact`).
//! - The head's watermark and the manifest's context say exactly which segments count (P9; `snapshot`, `replay`).
//! - Readers list segments, then read the head (P10, P11; `snapshot`). The collector fences (P7; `collect`).
//! - Compaction conserves samples or halts the scope (P13, P14, S7, S8; `compact`, `head`).
//!
//! What is derived (stale markers, precedence of duplicates) is settled once the watermark has passed a tick. Before
//! that, a segment that arrives within the late bound may still move a marker.
//!
//! Times are ms since the epoch. The crate knows neither PromQL nor the configuration.

mod append;
mod backfill;
pub mod block;
mod cache;
mod collect;
mod columns;
mod compact;
mod error;
mod head;
mod invariants;
pub mod keys;
mod layouts_stored;
mod live;
mod merge;
mod planner;
mod ports;
mod query;
mod replay;
mod scan;
mod segment_row;
mod segments;
mod settings;
mod snapshot;
mod status;
mod store;
mod together;
mod tombstones;
mod verify;
pub mod wal;

#[cfg(test)]
mod tests;

pub use append::Appended;
pub use backfill::{BACKFILL_TIME_MAX, Backfill, BackfillFamily, BackfillSeries, Backfilled};
pub use collect::Collected;
pub use columns::ColumnBytes;
pub use compact::{Compacted, JobKind, JobReport, Volume};
pub use error::TsdbError;
pub use keys::{Scope, Shard};
pub use planner::{Job, plan};
pub use ports::Ports;
pub use scan::ScanQuery;
pub use settings::Settings;
pub use status::{Debt, HeadStats, ScrapeStatus, Status};
pub use store::Store;
pub use tombstones::Deleted;
pub use verify::{Orphan, Problem, Verification, VerifyProgress};
