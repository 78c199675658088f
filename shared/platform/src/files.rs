//! Files that a configuration refers to: file_sd targets, password files.

use crate::PlatformFuture;

/// Why a file cannot be read. Texts follow Go's `os`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// There is no such file.
    #[error("open {path}: no such file or directory")]
    NotFound {
        /// The path as asked for.
        path: String,
    },
    /// Larger than the limit.
    #[error("open {path}: file is larger than {bytes_max} bytes")]
    TooLarge {
        /// The path as asked for.
        path: String,
        /// The limit.
        bytes_max: u64,
    },
    /// Anything else.
    #[error("open {path}: {reason}")]
    Other {
        /// The path as asked for.
        path: String,
        /// The system's words.
        reason: String,
    },
}

/// Reads files by path: those of the machine, or objects under a prefix.
pub trait Files: Send + Sync {
    /// The whole of a file of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`FileError`].
    fn read<'a>(&'a self, path: &'a str, bytes_max: u64) -> PlatformFuture<'a, Vec<u8>, FileError>;

    /// The paths that match a pattern (`*` and `?` in the last segment), sorted; a plain path that does not exist
    /// gives none.
    ///
    /// # Errors
    /// [`FileError`].
    fn glob<'a>(&'a self, pattern: &'a str) -> PlatformFuture<'a, Vec<String>, FileError>;
}
