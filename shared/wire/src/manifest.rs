//! What the store consists of: the head register and the manifest that it names.

use serde::{Deserialize, Serialize};

/// The head register of a scope: the only thing whose change commits anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Format version, 1.
    pub v: u32,
    /// Key of the current [`Manifest`]; `None` before the first commit.
    pub manifest: Option<String>,
    /// Segments whose tick is before this, ms, are consumed, or are inert if they appear later.
    pub watermark: i64,
}

/// All that is committed. Immutable; the head names the current one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version, 1.
    pub v: u32,
    /// The live blocks in order of precedence: of two samples with the same series and timestamp, the one in the
    /// earlier block counts. That is the order of the ticks that they came from.
    pub blocks: Vec<BlockMeta>,
    /// Sort keys, in order, of the consumed segments that hold the last scrape of a source: what the stale markers of
    /// that source's next scrape are derived from.
    #[serde(default)]
    pub context: Vec<String>,
    /// Blocks that are live no more but may be being read.
    #[serde(default)]
    pub retired: Vec<RetiredBlock>,
}

/// A block that was merged into another or outlived the retention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredBlock {
    /// Its id.
    pub id: String,
    /// When it left, ms.
    pub at: i64,
}

/// What is known of a block without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockMeta {
    /// `<scope>/<ulid>`; its objects are `block/<id>/<file>`.
    pub id: String,
    /// 1: minutes; 2: two hours; 3: a day.
    pub level: u32,
    /// First instant that the block covers, ms, inclusive.
    pub min_time: i64,
    /// Instant after the last, ms, exclusive.
    pub max_time: i64,
    /// Number of samples, stale markers included.
    pub samples: u64,
    /// Number of series.
    pub series: u64,
    /// Sum over samples of a 128-bit hash of (series, timestamp, value bits), as 32 hexadecimal digits: what a
    /// compaction must conserve.
    pub set_hash: String,
    /// Its files.
    pub files: Vec<BlockFile>,
    /// The blocks that it was merged from.
    #[serde(default)]
    pub parents: Vec<String>,
}

/// One object of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockFile {
    /// Its name within the block.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
    /// xxh3-64 of its content, 16 hexadecimal digits.
    pub checksum: String,
}
