//! What can go wrong in the store, and what to do about it.

use platform::{PlatformError, Retry};
use storage::StorageError;

use crate::block::BlockError;

/// Why the store could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TsdbError {
    /// A port failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// Something stored is not what was written (S11). Nothing is ever answered from it.
    #[error("corrupt {what}: {reason}")]
    Corrupt {
        /// Its key.
        what: String,
        /// How it is damaged.
        reason: String,
    },
    /// Going on would break an invariant: the scope stops until a person has looked (P14).
    #[error("{invariant} violated: {reason}")]
    Halt {
        /// Which invariant.
        invariant: &'static str,
        /// Where.
        reason: String,
    },
    /// The caller broke the contract.
    #[error("invalid {0}")]
    Invalid(String),
    /// Samples that no segment or block can hold.
    #[error("encoding {what}: {reason}")]
    Encode {
        /// What was written.
        what: String,
        /// The encoder's words.
        reason: String,
    },
    /// The deadline passed.
    #[error("the deadline passed while {0}")]
    Deadline(&'static str),
    /// A query would hold more samples than allowed.
    #[error("too many samples")]
    TooManySamples,
    /// What a reader was reading was collected, again and again.
    #[error("the store changed faster than it could be read")]
    Restarts,
}

impl TsdbError {
    /// What the task's caller should do about it.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Platform(error) => error.retry(),
            Self::Deadline(_) | Self::Restarts => Retry::Later,
            Self::Corrupt { .. }
            | Self::Halt { .. }
            | Self::Invalid(_)
            | Self::Encode { .. }
            | Self::TooManySamples => Retry::Never,
        }
    }

    /// Whether an object or row was not there: under a reader, that means that the head has moved on.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Platform(PlatformError::NotFound { .. }))
    }
}

impl From<BlockError> for TsdbError {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::Platform(error) => Self::Platform(error),
            BlockError::Corrupt { file, reason } => Self::Corrupt { what: file, reason },
            BlockError::TooManySamples => Self::TooManySamples,
            error @ (BlockError::Unsorted(_) | BlockError::Malformed(_) | BlockError::Encode { .. }) => {
                Self::Encode { what: "a block".to_owned(), reason: error.to_string() }
            }
        }
    }
}

impl From<TsdbError> for StorageError {
    fn from(error: TsdbError) -> Self {
        match error {
            TsdbError::Corrupt { what, reason } => Self::Corrupt { what: format!("{what}: {reason}") },
            TsdbError::Platform(PlatformError::Corrupt { what, reason }) => {
                Self::Corrupt { what: format!("{what}: {reason}") }
            }
            TsdbError::TooManySamples => Self::TooManySamples,
            // Loading is part of evaluation in Prometheus, and so are its words.
            TsdbError::Deadline(_) => Self::Timeout("expression evaluation"),
            other => Self::Unavailable(other.to_string()),
        }
    }
}
