//! Why a scrape failed, in Prometheus's words.

use textparse::{ContentTypeError, InvalidNames, ParseError};

/// Why a scrape failed. Its text is the target's `lastError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeError {
    /// Discovery decided that the target must not be fetched.
    #[error("{0}")]
    Forced(String),
    /// The task names a scrape pool that its configuration lacks.
    #[error("no scrape config with job name {0:?}")]
    UnknownPool(String),
    /// There was no answer.
    #[error("Get {url:?}: {reason}")]
    Get {
        /// What was asked for, without a password.
        url: String,
        /// Why not.
        reason: String,
    },
    /// `body_size_limit`
    #[error("body size limit exceeded")]
    BodySizeLimit,
    /// An answer other than 200.
    #[error("server returned HTTP status {0}")]
    Status(String),
    /// Not in the text format, by its own account.
    #[error(transparent)]
    ContentType(#[from] ContentTypeError),
    /// Not in the text format.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A name that is not UTF-8.
    #[error(transparent)]
    InvalidNames(#[from] InvalidNames),
    /// A name that relabelling made empty.
    #[error("invalid metric name or label names: {0}")]
    InvalidLabels(String),
    /// A series without a name, after relabelling.
    #[error("missing metric name (__name__ label)")]
    NameMissing,
    /// A label that a series has twice.
    #[error("label name \"{0}\" is not unique: invalid sample")]
    DuplicateLabel(String),
    /// `sample_limit`
    #[error("sample limit exceeded")]
    SampleLimit,
    /// `label_limit`
    #[error("label_limit exceeded (metric: {metric}, number of labels: {labels}, limit: {limit})")]
    LabelLimit {
        /// The metric's name, cut off.
        metric: String,
        /// How many labels it has.
        labels: u64,
        /// How many it may have.
        limit: u64,
    },
    /// `label_name_length_limit`
    #[error(
        "label_name_length_limit exceeded (metric: {metric}, label name: {name}, length: {length}, limit: {limit})"
    )]
    LabelNameLengthLimit {
        /// The metric's name, cut off.
        metric: String,
        /// The label's name, cut off.
        name: String,
        /// Its length in bytes.
        length: u64,
        /// The longest it may be.
        limit: u64,
    },
    /// `label_value_length_limit`
    #[error(
        "label_value_length_limit exceeded (metric: {metric}, label name: {name}, value: {value}, length: {length}, \
         limit: {limit})"
    )]
    LabelValueLengthLimit {
        /// The metric's name, cut off.
        metric: String,
        /// The label's name, cut off.
        name: String,
        /// Its value, cut off and quoted.
        value: String,
        /// The value's length in bytes.
        length: u64,
        /// The longest it may be.
        limit: u64,
    },
}
