//! Objects as S3 bills them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use platform::{ByteRange, ListedObject, Meter, Object, Objects, PlatformFuture, Put, Version};

use crate::s3;

/// Keys that one request of a list gives at most.
const LIST_PAGE: usize = 1_000;

/// Objects whose requests are told to a meter.
pub struct MeteredObjects {
    inner: Arc<dyn Objects>,
    meter: Arc<dyn Meter>,
}

impl fmt::Debug for MeteredObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeteredObjects").finish_non_exhaustive()
    }
}

impl MeteredObjects {
    /// Tells `meter` what is asked of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Objects>, meter: Arc<dyn Meter>) -> Self {
        Self { inner, meter }
    }
}

impl Objects for MeteredObjects {
    fn create<'a>(&'a self, key: &'a str, body: Bytes) -> PlatformFuture<'a, Put> {
        self.meter.count(s3("PutObject", body.len() as u64, 0));
        self.inner.create(key, body)
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        version: Option<&'a Version>,
        range: ByteRange,
    ) -> PlatformFuture<'a, Object> {
        Box::pin(async move {
            let result = self.inner.read(key, version, range).await;
            let received = result.as_ref().map_or(0, |object| object.body.len());
            self.meter.count(s3("GetObject", 0, received as u64));
            result
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> PlatformFuture<'a, Vec<ListedObject>> {
        Box::pin(async move {
            let result = self.inner.list(prefix, after, limit).await;
            let listed = result.as_ref().map_or(0, Vec::len);
            for _ in 0..listed.div_ceil(LIST_PAGE).max(1) {
                self.meter.count(s3("ListObjectsV2", 0, 0));
            }
            result
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> PlatformFuture<'a, ()> {
        self.meter.count(s3("DeleteObject", 0, 0));
        self.inner.delete(key)
    }
}
