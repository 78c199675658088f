//! What writer and reader share: the order of series, the set hash, errors.

use std::cmp::Ordering;

use bytes::Bytes;
use model::histogram::Span;
use model::labels::METRIC_NAME;
use model::{Exemplar, FloatHistogram, Labels, TimestampMs};
use platform::PlatformError;
use storage::StorageError;
use xxhash_rust::xxh3::xxh3_128;

/// Why a block cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// A series did not come after the one before it, or came twice.
    #[error("series {0} is out of order")]
    Unsorted(Labels),
    /// A series has not as many values as timestamps, or timestamps that do not strictly increase.
    #[error("series {0} is malformed")]
    Malformed(Labels),
    /// The Parquet encoder refused; a defect, not a property of the data.
    #[error("encoding {file}: {reason}")]
    Encode {
        /// The file within the block.
        file: String,
        /// The encoder's words.
        reason: String,
    },
    /// The stored bytes are not what was written.
    #[error("corrupt {file}: {reason}")]
    Corrupt {
        /// The object's key.
        file: String,
        /// How it is damaged.
        reason: String,
    },
    /// More samples than the caller allows.
    #[error("more samples than are allowed")]
    TooManySamples,
    /// The store did not answer.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl From<BlockError> for StorageError {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::Corrupt { file, reason } => Self::Corrupt { what: format!("{file}: {reason}") },
            BlockError::TooManySamples => Self::TooManySamples,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockStats {
    /// Number of series with samples.
    pub series: u64,
    /// Number of samples, floats and histograms, stale markers included.
    pub samples: u64,
    /// Number of exemplars.
    pub exemplars: u64,
    /// Earliest timestamp, ms, inclusive; 0 for an empty block.
    pub min_time: TimestampMs,
    /// Latest timestamp, ms, inclusive; 0 for an empty block.
    pub max_time: TimestampMs,
    /// Wrapping sum over all floats of [`sample_hash`], all histograms of [`histogram_hash`] and all exemplars of
    /// [`exemplar_hash`].
    pub set_hash: u128,
}

/// The files of a new block, not yet stored.
#[derive(Clone, Debug)]
pub struct WrittenBlock {
    /// Name within the block, and content.
    pub files: Vec<(String, Bytes)>,
    /// What is in them.
    pub stats: BlockStats,
}

/// The key of a block's file.
#[must_use]
pub fn object_key(block_id: &str, file: &str) -> String {
    format!("block/{block_id}/{file}")
}

/// The order in which a block stores series: by metric name bytewise, then by the other labels as
/// [`Labels`] compare. It differs from the order of [`Labels`] only where a label's name sorts before `__name__`.
#[must_use]
pub fn compare(a: &Labels, b: &Labels) -> Ordering {
    fn rest(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
        labels.iter().filter(|(name, _)| *name != METRIC_NAME)
    }
    a.metric_name().cmp(b.metric_name()).then_with(|| rest(a).cmp(rest(b)))
}

/// The hash of one sample: xxh3-128 of labels hash, timestamp and value bits, each as 8 bytes, little end first.
///
/// Hashes of a set of samples are added (wrapping), so that the sum does not depend on their order or grouping and two
/// sets can be merged by adding: what a compaction must conserve. `labels_hash` is [`Labels::hash`].
#[must_use]
pub fn sample_hash(labels_hash: u64, timestamp: TimestampMs, value_bits: u64) -> u128 {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&labels_hash.to_le_bytes());
    bytes[8..16].copy_from_slice(&timestamp.to_le_bytes());
    bytes[16..].copy_from_slice(&value_bits.to_le_bytes());
    xxh3_128(&bytes)
}

/// As [`sample_hash`], of a native histogram: every field counts, floats by their bits.
#[must_use]
pub fn histogram_hash(labels_hash: u64, timestamp: TimestampMs, histogram: &FloatHistogram) -> u128 {
    let buckets = histogram.positive_buckets.len() + histogram.negative_buckets.len();
    let mut bytes = Vec::with_capacity(96 + 8 * (buckets + histogram.custom_values.len()));
    bytes.push(b'h');
    bytes.extend_from_slice(&labels_hash.to_le_bytes());
    bytes.extend_from_slice(&timestamp.to_le_bytes());
    bytes.push(histogram.counter_reset_hint as u8);
    bytes.extend_from_slice(&histogram.schema.to_le_bytes());
    for value in [histogram.zero_threshold, histogram.zero_count, histogram.count, histogram.sum] {
        bytes.extend_from_slice(&value.to_bits().to_le_bytes());
    }
    for spans in [&histogram.positive_spans, &histogram.negative_spans] {
        bytes.extend_from_slice(&(spans.len() as u64).to_le_bytes());
        for Span { offset, length } in spans {
            bytes.extend_from_slice(&offset.to_le_bytes());
            bytes.extend_from_slice(&length.to_le_bytes());
        }
    }
    for floats in [&histogram.positive_buckets, &histogram.negative_buckets, &histogram.custom_values] {
        bytes.extend_from_slice(&(floats.len() as u64).to_le_bytes());
        for value in floats {
            bytes.extend_from_slice(&value.to_bits().to_le_bytes());
        }
    }
    xxh3_128(&bytes)
}

/// As [`sample_hash`], of an exemplar: its own labels count as well.
#[must_use]
pub fn exemplar_hash(labels_hash: u64, exemplar: &Exemplar) -> u128 {
    let mut bytes = [0; 33];
    bytes[0] = b'e';
    bytes[1..9].copy_from_slice(&labels_hash.to_le_bytes());
    bytes[9..17].copy_from_slice(&exemplar.timestamp.to_le_bytes());
    bytes[17..25].copy_from_slice(&exemplar.value.to_bits().to_le_bytes());
    bytes[25..].copy_from_slice(&exemplar.labels.hash().to_le_bytes());
    xxh3_128(&bytes)
}
