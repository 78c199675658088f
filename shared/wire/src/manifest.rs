//! What the store consists of: the head register and the manifest that it names.

use serde::{Deserialize, Serialize};

use crate::WireLabels;

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
    /// Merges that are done in parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merges: Vec<PendingMerge>,
    /// Deletions that are not, or not everywhere, carried out yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tombstones: Vec<Tombstone>,
}

/// A block that was merged into another or outlived the retention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredBlock {
    /// Its id.
    pub id: String,
    /// When it left, ms.
    pub at: i64,
}

/// A merge of blocks that is done in parts, each of a range of series, by any number of compactors. Its inputs stay live
/// until its last part is done; then its outputs take their place at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingMerge {
    /// A name that no other merge has.
    pub id: String,
    /// The level of its outputs.
    pub level: u32,
    /// The blocks that it replaces, in the manifest's order.
    pub inputs: Vec<String>,
    /// The ids of the tombstones that it carries out. Later ones pass to its outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tombstones: Vec<String>,
    /// The first series of every part but the first, in the blocks' order of series.
    pub bounds: Vec<WireLabels>,
    /// Its parts, one more than bounds.
    pub parts: Vec<MergePart>,
}

/// How far a part of a merge is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergePart {
    /// Nobody is at it.
    Open,
    /// Somebody has begun.
    Claimed {
        /// The id of the block that they write: reserved, so that the collector leaves its files alone.
        block: String,
        /// When they began, ms.
        at: i64,
    },
    /// It is done.
    Done(Box<MergedPart>),
}

/// What became of a part of a merge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedPart {
    /// Its block; `None` where nothing was left.
    pub block: Option<BlockMeta>,
    /// Samples of the inputs that others with the same series and timestamp came before.
    pub duplicates: SampleSet,
    /// Samples of the inputs that tombstones deleted.
    pub deleted: SampleSet,
}

/// A set of samples, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleSet {
    /// How many.
    pub samples: u64,
    /// As [`BlockMeta::set_hash`].
    pub set_hash: String,
}

impl Default for SampleSet {
    fn default() -> Self {
        Self { samples: 0, set_hash: "0".repeat(32) }
    }
}

/// A deletion: hides samples from readers at once, and is carried out when blocks are written anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// A name that no other deletion has.
    pub id: String,
    /// Alternatives: the series that satisfy all matchers of any one set.
    pub matchers: Vec<Vec<WireMatcher>>,
    /// First instant deleted, ms, inclusive.
    pub min_time: i64,
    /// Last instant deleted, ms, inclusive.
    pub max_time: i64,
    /// When it was asked for, ms.
    pub created_at: i64,
    /// Segments whose tick is before this, ms, are covered.
    pub until_tick: i64,
    /// The blocks that are covered.
    pub blocks: Vec<TombstoneBlock>,
    /// Whether these are to be written anew at once, without waiting for a merge.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clean: bool,
}

/// A block that a deletion covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TombstoneBlock {
    /// Its id.
    pub id: String,
    /// How many of its series the deletion meets.
    pub series: u64,
}

/// One label matcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireMatcher {
    /// The label's name.
    pub name: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub op: String,
    /// The value, or the regular expression.
    pub value: String,
}

/// What is known of a block without opening it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Its first and its last series; `None` where that was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series_range: Option<SeriesRange>,
}

/// A range of series in the blocks' order, inclusive at both ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesRange {
    /// The first.
    pub first: WireLabels,
    /// The last.
    pub last: WireLabels,
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
