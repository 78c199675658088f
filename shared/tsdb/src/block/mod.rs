//! Blocks: immutable sets of series as open Parquet, layout "E".
//!
//! ```text
//! Series, Series, … (sorted by `compare`) ──► BlockWriter ──► samples-NNN.parquet, timelines.parquet
//!                                                                        │ ranged reads
//! select, series, scan  ◄── BlockReader ◄────────────────────────────────┘
//! ```
//!
//! The files are described byte by byte in `docs/format.md`.

mod column;
mod delta;
mod encoding;
mod file;
mod footer;
mod group;
mod group_writer;
mod instants;
mod list_column;
mod page;
mod reader;
mod schema;
mod source;
#[cfg(test)]
mod tests;
mod thrift;
mod timelines;
mod types;
mod values;
mod writer;

pub use reader::{BlockReader, BlockScan};
pub use types::{BlockError, BlockStats, WrittenBlock, compare, object_key, sample_hash};
pub use writer::{BlockOptions, BlockWriter};
