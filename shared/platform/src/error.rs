//! Errors that answer one question: what does the caller do now?

/// What went wrong in a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// Refused before anything happened; later it may go.
    #[error("{operation} was throttled")]
    Throttled {
        /// The port's method and key.
        operation: String,
    },
    /// It may have happened, may still happen, or never. Read before you conclude.
    #[error("{operation} has an unknown outcome: {reason}")]
    Ambiguous {
        /// The port's method and key.
        operation: String,
        /// What is known.
        reason: String,
    },
    /// There is no such object, row or version.
    #[error("{what} not found")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// It is there, but damaged.
    #[error("{what} is corrupt: {reason}")]
    Corrupt {
        /// What was asked for.
        what: String,
        /// How it is damaged.
        reason: String,
    },
    /// Not allowed, or the store is full or read-only: a person must act.
    #[error("{operation} was denied: {reason}")]
    Denied {
        /// The port's method and key.
        operation: String,
        /// The store's own words.
        reason: String,
    },
    /// The caller broke the contract: a malformed key, a body over the port's limit.
    #[error("{operation} is invalid: {reason}")]
    Invalid {
        /// The port's method and key.
        operation: String,
        /// What is malformed.
        reason: String,
    },
}

/// What a failed task's caller should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Deliver it again; nothing happened or what happened is idempotent.
    Later,
    /// As `Later`, but the outcome must be re-read first.
    Ambiguous,
    /// It can never succeed: to the dead-letter queue with its reason.
    Never,
}

impl PlatformError {
    /// What to do about it.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Throttled { .. } | Self::NotFound { .. } => Retry::Later,
            Self::Ambiguous { .. } => Retry::Ambiguous,
            Self::Corrupt { .. } | Self::Denied { .. } | Self::Invalid { .. } => Retry::Never,
        }
    }
}
