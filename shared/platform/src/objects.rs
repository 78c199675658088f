//! Immutable objects: S3, or a directory.

use std::fmt;

use bytes::Bytes;

use crate::PlatformFuture;

/// The identity of one stored body: an ETag. Equal only for one creation of one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub String);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What became of a creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// This call created the object.
    Created(Version),
    /// The key was taken, perhaps by an earlier attempt of the same caller whose outcome it never learned.
    Exists,
}

/// An object as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// Which creation of it.
    pub version: Version,
    /// Its length in bytes.
    pub len: u64,
}

/// Which bytes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// The whole.
    All,
    /// From `start`, `len` bytes, or fewer where the object ends.
    At {
        /// First byte.
        start: u64,
        /// How many.
        len: u64,
    },
    /// The last so many bytes, or all of a shorter object.
    Last(u64),
}

/// Bytes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The bytes asked for.
    pub body: Bytes,
    /// Which creation they are of.
    pub version: Version,
    /// Length of the whole object in bytes.
    pub len: u64,
}

/// A store of immutable objects.
///
/// Keys are 1 to 512 bytes of `[A-Za-z0-9._=-]` segments joined by single `/`; no segment is `.` or `..` or longer than
/// 255 bytes. A key is not also the beginning of another one's segments: `a` and `a/b` cannot both exist, as they could
/// not in a directory.
///
/// # Contract
/// - `create` is atomic and durable when it returns [`Put::Created`]; of concurrent creators exactly one gets it.
/// - A created object is at once visible to `read` and `list`, whole.
/// - `list` gives keys in bytewise order, after `after` (exclusive) where given, at most `limit`; fewer than `limit`
///   means that there are no more.
/// - A range that begins at or after the end of an object reads no bytes.
/// - `delete` of a key that is not there succeeds. Only the collector calls it.
pub trait Objects: Send + Sync {
    /// Creates `key` unless it exists.
    ///
    /// # Errors
    /// [`crate::PlatformError`]; after `Ambiguous` the object may be there now, or appear later.
    fn create<'a>(&'a self, key: &'a str, body: Bytes) -> PlatformFuture<'a, Put>;

    /// Bytes of `key`; of exactly `version` where it is given.
    ///
    /// # Errors
    /// `NotFound` where there is no such key, or not in that version.
    fn read<'a>(
        &'a self,
        key: &'a str,
        version: Option<&'a Version>,
        range: ByteRange,
    ) -> PlatformFuture<'a, Object>;

    /// The objects whose keys begin with `prefix`.
    ///
    /// # Errors
    /// [`crate::PlatformError`].
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> PlatformFuture<'a, Vec<ListedObject>>;

    /// Removes `key`.
    ///
    /// # Errors
    /// [`crate::PlatformError`].
    fn delete<'a>(&'a self, key: &'a str) -> PlatformFuture<'a, ()>;
}
