//! Ports that count what they are asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use platform::{
    ByteRange, Cas, ListedObject, Object, Objects, Platform, PlatformFuture, Put, Row, RowKey, RowPut,
    RowRange, Rows, Version,
};

/// Requests to stores, by what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Rows got, or queried for.
    pub row_reads: u64,
    /// Rows created, changed or deleted, or tried to be.
    pub row_writes: u64,
    /// Objects read.
    pub object_reads: u64,
    /// Objects created or deleted, and lists of them.
    pub object_writes: u64,
}

/// Counts requests.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; 4]);

impl Counts {
    /// What was asked since the last time.
    pub fn take(&self) -> Asked {
        let [row_reads, row_writes, object_reads, object_writes] =
            [0, 1, 2, 3].map(|kind: usize| self.0[kind].swap(0, Ordering::SeqCst));
        Asked { row_reads, row_writes, object_reads, object_writes }
    }

    fn add(&self, kind: usize) {
        self.0[kind].fetch_add(1, Ordering::SeqCst);
    }
}

/// The platform, with stores that count.
pub(super) fn counted(platform: &mut Platform) -> Arc<Counts> {
    let counts = Arc::new(Counts::default());
    let objects = Arc::clone(&platform.objects);
    platform.objects = Arc::new(CountedObjects { objects, counts: Arc::clone(&counts) });
    let rows = Arc::clone(&platform.rows);
    platform.rows = Arc::new(CountedRows { rows, counts: Arc::clone(&counts) });
    counts
}

struct CountedObjects {
    objects: Arc<dyn Objects>,
    counts: Arc<Counts>,
}

impl Objects for CountedObjects {
    fn create<'a>(&'a self, key: &'a str, body: Bytes) -> PlatformFuture<'a, Put> {
        self.counts.add(3);
        self.objects.create(key, body)
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        version: Option<&'a Version>,
        range: ByteRange,
    ) -> PlatformFuture<'a, Object> {
        self.counts.add(2);
        self.objects.read(key, version, range)
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> PlatformFuture<'a, Vec<ListedObject>> {
        self.counts.add(3);
        self.objects.list(prefix, after, limit)
    }

    fn delete<'a>(&'a self, key: &'a str) -> PlatformFuture<'a, ()> {
        self.counts.add(3);
        self.objects.delete(key)
    }
}

struct CountedRows {
    rows: Arc<dyn Rows>,
    counts: Arc<Counts>,
}

impl Rows for CountedRows {
    fn create<'a>(
        &'a self,
        key: &'a RowKey,
        value: Bytes,
        expires_at_s: Option<i64>,
    ) -> PlatformFuture<'a, RowPut> {
        self.counts.add(1);
        self.rows.create(key, value, expires_at_s)
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a RowKey,
        expected: u64,
        value: Bytes,
    ) -> PlatformFuture<'a, Cas> {
        self.counts.add(1);
        self.rows.compare_and_set(key, expected, value)
    }

    fn get<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, Option<Row>> {
        self.counts.add(0);
        self.rows.get(key)
    }

    fn query<'a>(&'a self, range: &'a RowRange, limit: usize) -> PlatformFuture<'a, Vec<Row>> {
        self.counts.add(0);
        self.rows.query(range, limit)
    }

    fn delete<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, ()> {
        self.counts.add(1);
        self.rows.delete(key)
    }
}
