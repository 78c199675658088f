//! Ports that count what is asked of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use platform::{
    ByteRange, Cas, ListedObject, Object, Objects, PlatformFuture, Put, Row, RowKey, RowPut, RowRange, Rows,
    Version,
};

/// What DynamoDB adds to an item's key and value: names of four attributes, version and expiry, at most.
const ITEM_OVERHEAD_BYTES: u64 = 24;

/// What was asked of the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectCounts {
    /// Creations.
    pub puts: u64,
    /// Bytes that they sent.
    pub put_bytes: u64,
    /// Reads: S3 GETs.
    pub reads: u64,
    /// Bytes that they gave.
    pub read_bytes: u64,
    /// Lists.
    pub lists: u64,
    /// Deletions.
    pub deletes: u64,
    /// Every read in order.
    pub log: Vec<ReadRequest>,
    /// Every creation in order: key and length.
    pub created: Vec<(String, u64)>,
}

/// One read of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// The object's key.
    pub key: String,
    /// What was asked for.
    pub range: ByteRange,
    /// How many bytes came.
    pub bytes: u64,
}

/// What was asked of the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Creations and changes.
    pub writes: u64,
    /// Bytes of their keys and values.
    pub write_bytes: u64,
    /// DynamoDB's write units: per write its bytes and [`RowCounts::write_units_of`] an item's overhead, in whole KiB.
    pub write_units: u64,
    /// Reads of one row.
    pub gets: u64,
    /// Reads of a range.
    pub queries: u64,
}

impl RowCounts {
    /// The write units of one item whose key and value have so many bytes.
    #[must_use]
    pub fn write_units_of(bytes: u64) -> u64 {
        cost::units::write_units(bytes + ITEM_OVERHEAD_BYTES)
    }
}

/// Objects that count.
pub struct CountingObjects {
    inner: Arc<dyn Objects>,
    counts: Mutex<ObjectCounts>,
}

/// Rows that count.
pub struct CountingRows {
    inner: Arc<dyn Rows>,
    counts: Mutex<RowCounts>,
}

impl std::fmt::Debug for CountingObjects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CountingObjects").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for CountingRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CountingRows").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl CountingObjects {
    /// Counts what is asked of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Objects>) -> Self {
        Self { inner, counts: Mutex::default() }
    }

    /// What was asked since the last call.
    pub fn take(&self) -> ObjectCounts {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, ObjectCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CountingRows {
    /// Counts what is asked of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Rows>) -> Self {
        Self { inner, counts: Mutex::default() }
    }

    /// What was asked since the last call.
    pub fn take(&self) -> RowCounts {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, RowCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_write(&self, key: &RowKey, value: &Bytes) {
        let bytes = (key.partition.len() + key.sort.len() + value.len()) as u64;
        let mut counts = self.lock();
        counts.writes += 1;
        counts.write_bytes += bytes;
        counts.write_units += RowCounts::write_units_of(bytes);
    }
}

impl Objects for CountingObjects {
    fn create<'a>(&'a self, key: &'a str, body: Bytes) -> PlatformFuture<'a, Put> {
        let len = body.len() as u64;
        let mut counts = self.lock();
        counts.puts += 1;
        counts.put_bytes += len;
        counts.created.push((key.to_owned(), len));
        drop(counts);
        self.inner.create(key, body)
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        version: Option<&'a Version>,
        range: ByteRange,
    ) -> PlatformFuture<'a, Object> {
        Box::pin(async move {
            let object = self.inner.read(key, version, range).await;
            let bytes = object.as_ref().map_or(0, |object| object.body.len() as u64);
            let mut counts = self.lock();
            counts.reads += 1;
            counts.read_bytes += bytes;
            counts.log.push(ReadRequest { key: key.to_owned(), range, bytes });
            object
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> PlatformFuture<'a, Vec<ListedObject>> {
        self.lock().lists += 1;
        self.inner.list(prefix, after, limit)
    }

    fn delete<'a>(&'a self, key: &'a str) -> PlatformFuture<'a, ()> {
        self.lock().deletes += 1;
        self.inner.delete(key)
    }
}

impl Rows for CountingRows {
    fn create<'a>(
        &'a self,
        key: &'a RowKey,
        value: Bytes,
        expires_at_s: Option<i64>,
    ) -> PlatformFuture<'a, RowPut> {
        self.count_write(key, &value);
        self.inner.create(key, value, expires_at_s)
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a RowKey,
        expected: u64,
        value: Bytes,
    ) -> PlatformFuture<'a, Cas> {
        self.count_write(key, &value);
        self.inner.compare_and_set(key, expected, value)
    }

    fn get<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, Option<Row>> {
        self.lock().gets += 1;
        self.inner.get(key)
    }

    fn query<'a>(&'a self, range: &'a RowRange, limit: usize) -> PlatformFuture<'a, Vec<Row>> {
        self.lock().queries += 1;
        self.inner.query(range, limit)
    }

    fn delete<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, ()> {
        self.inner.delete(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_units_are_whole_and_count_the_item_s_overhead() {
        assert_eq!(RowCounts::write_units_of(1_000), 1);
        assert_eq!(RowCounts::write_units_of(1_001), 2);
        assert_eq!(RowCounts::write_units_of(0), 1);
    }
}
