//! Rows: DynamoDB, or an embedded ACID store.

use std::fmt;

use bytes::Bytes;

use crate::PlatformFuture;

/// Names a row: a partition, and a sort key within it. Both are 1 to 512 bytes of UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// What is queried together.
    pub partition: String,
    /// Orders rows within a partition, bytewise.
    pub sort: String,
}

impl RowKey {
    /// A key of the two parts.
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self { partition: partition.into(), sort: sort.into() }
    }
}

/// A stored row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub key: RowKey,
    /// 1 when created; one more with every compare-and-set.
    pub version: u64,
    /// What it holds; with its key at most 400 KB.
    pub value: Bytes,
    /// When it may vanish by itself, seconds since the epoch. Later than that it may still be seen for days.
    pub expires_at_s: Option<i64>,
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.sort)
    }
}

/// What became of a row's creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowPut {
    /// This call created it.
    Created,
    /// The key was taken; what is there now.
    Exists(Row),
}

/// What became of a compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cas {
    /// Done; the row's new version.
    Done(u64),
    /// The row was not at the expected version. What it is now, or `None` where there is none.
    Lost(Option<Row>),
}

/// Which rows of a partition: `from <= sort < until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRange {
    /// The partition.
    pub partition: String,
    /// First sort key, inclusive.
    pub from: String,
    /// Sort key to stop before; `None` for no bound.
    pub until: Option<String>,
}

/// A store of rows.
///
/// # Contract
/// - `create` and `compare_and_set` are atomic and durable when they return; of concurrent callers exactly one wins.
/// - `get` and `query` are strongly consistent.
/// - `query` gives rows in bytewise order of their sort keys, at most `limit`; fewer means that there are no more. To
///   go on, query again from the last sort key with a zero byte appended.
/// - A row past its expiry may or may not be seen, and its key must not be used again.
pub trait Rows: Send + Sync {
    /// Creates a row (version 1) unless its key is taken.
    ///
    /// # Errors
    /// [`crate::PlatformError`]; after `Ambiguous` the row may be there now, or appear later.
    fn create<'a>(
        &'a self,
        key: &'a RowKey,
        value: Bytes,
        expires_at_s: Option<i64>,
    ) -> PlatformFuture<'a, RowPut>;

    /// Replaces the value of a row that is at version `expected`, and keeps its expiry; with `expected` 0, creates it
    /// (version 1, no expiry) where there is none.
    ///
    /// # Errors
    /// [`crate::PlatformError`]; after `Ambiguous` it may have been done, or be done later.
    fn compare_and_set<'a>(&'a self, key: &'a RowKey, expected: u64, value: Bytes)
    -> PlatformFuture<'a, Cas>;

    /// The row, or `None`.
    ///
    /// # Errors
    /// [`crate::PlatformError`].
    fn get<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, Option<Row>>;

    /// Rows of a range in order.
    ///
    /// # Errors
    /// [`crate::PlatformError`].
    fn query<'a>(&'a self, range: &'a RowRange, limit: usize) -> PlatformFuture<'a, Vec<Row>>;

    /// Removes a row; that it is not there is no error. Only the collector calls it, and only where rows are free to
    /// delete: on DynamoDB they are left to expire.
    ///
    /// # Errors
    /// [`crate::PlatformError`].
    fn delete<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, ()>;
}
