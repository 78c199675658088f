//! Rows as DynamoDB bills them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use cost::units::{item_bytes, read_units, write_units};
use platform::{Billed, Cas, Meter, PlatformFuture, Row, RowKey, RowPut, RowRange, Rows};

/// A page of a query ends after so many bytes: 1 MB.
const QUERY_PAGE_BYTES: u64 = 1 << 20;

/// Rows whose requests are told to a meter.
pub struct MeteredRows {
    inner: Arc<dyn Rows>,
    meter: Arc<dyn Meter>,
}

impl fmt::Debug for MeteredRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeteredRows").finish_non_exhaustive()
    }
}

impl MeteredRows {
    /// Tells `meter` what is asked of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Rows>, meter: Arc<dyn Meter>) -> Self {
        Self { inner, meter }
    }

    fn write(&self, operation: &'static str, bytes: u64) {
        let units = write_units(bytes) as f64;
        self.meter.count(Billed { service: "dynamodb", operation, units, sent: bytes, received: 0 });
    }

    fn read(&self, operation: &'static str, bytes: u64) {
        let units = read_units(bytes) as f64;
        self.meter.count(Billed { service: "dynamodb", operation, units, sent: 0, received: bytes });
    }
}

fn bytes_of(key: &RowKey, value: &Bytes) -> u64 {
    item_bytes(key.partition.len(), key.sort.len(), value.len())
}

impl Rows for MeteredRows {
    fn create<'a>(
        &'a self,
        key: &'a RowKey,
        value: Bytes,
        expires_at_s: Option<i64>,
    ) -> PlatformFuture<'a, RowPut> {
        self.write("PutItem", bytes_of(key, &value));
        self.inner.create(key, value, expires_at_s)
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a RowKey,
        expected: u64,
        value: Bytes,
    ) -> PlatformFuture<'a, Cas> {
        self.write("UpdateItem", bytes_of(key, &value));
        self.inner.compare_and_set(key, expected, value)
    }

    fn get<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, Option<Row>> {
        Box::pin(async move {
            let result = self.inner.get(key).await;
            let found = result.as_ref().ok().and_then(Option::as_ref);
            self.read("GetItem", found.map_or(0, |row| bytes_of(&row.key, &row.value)));
            result
        })
    }

    fn query<'a>(&'a self, range: &'a RowRange, limit: usize) -> PlatformFuture<'a, Vec<Row>> {
        Box::pin(async move {
            let result = self.inner.query(range, limit).await;
            let rows = result.as_ref().map_or(&[][..], Vec::as_slice);
            let mut left: u64 = rows.iter().map(|row| bytes_of(&row.key, &row.value)).sum();
            while left > QUERY_PAGE_BYTES {
                self.read("Query", QUERY_PAGE_BYTES);
                left -= QUERY_PAGE_BYTES;
            }
            self.read("Query", left);
            result
        })
    }

    fn delete<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, ()> {
        self.write("DeleteItem", bytes_of(key, &Bytes::new()));
        self.inner.delete(key)
    }
}
