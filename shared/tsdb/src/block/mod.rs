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
mod context;
mod delta;
mod distinct;
mod encoding;
mod exemplars;
mod file;
mod footer;
mod group;
mod group_writer;
mod histograms;
mod instants;
mod label_queries;
mod labels;
mod list_column;
mod metadata;
mod page;
mod pieces;
mod places;
mod reader;
mod rows;
mod scan;
mod schema;
mod source;
#[cfg(test)]
mod tests;
mod texts;
mod thrift;
mod timelines;
mod types;
mod values;
mod writer;

pub use context::BlockContext;
pub use exemplars::ExemplarScan;
pub(crate) use histograms::histogram_weight;
pub use reader::BlockReader;
pub use scan::BlockScan;
pub use types::{
    BlockError, BlockStats, WrittenBlock, compare, exemplar_hash, histogram_hash, object_key, sample_hash,
};
pub use writer::{BlockOptions, BlockWriter};
