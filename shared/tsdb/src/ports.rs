//! The ports that the store uses, with the retries that are safe to make here.
//!
//! Safe are reads, and creations whose key determines their content (an attempt-unique or content-addressed key): if
//! such a key is taken, it was taken by this very creation. Everything else is left to its caller, who must first
//! read what became of it (P6).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use platform::{
    ByteRange, Clock, Deadline, Entropy, ListedObject, Object, Objects, Platform, PlatformError,
    PlatformFuture, Put, Row, RowKey, RowRange, Rows, Version, unique_id,
};

use crate::error::TsdbError;

/// How often a call is made at most.
const ATTEMPTS: u32 = 4;
/// The wait before the second attempt; it doubles with every further one.
const BACKOFF: Duration = Duration::from_millis(50);
/// Keys a page of a list, rows a page of a query.
const PAGE: usize = 1000;

/// The part of a platform that a store needs.
#[derive(Clone)]
pub struct Ports {
    /// Blocks, manifests, layouts, bulky payloads.
    pub objects: Arc<dyn Objects>,
    /// Segments and the head register.
    pub rows: Arc<dyn Rows>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Names of attempts.
    pub entropy: Arc<dyn Entropy>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

impl From<Platform> for Ports {
    fn from(platform: Platform) -> Self {
        Self {
            objects: platform.objects,
            rows: platform.rows,
            clock: platform.clock,
            entropy: platform.entropy,
        }
    }
}

impl Ports {
    /// Milliseconds since the epoch.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now_ms()
    }

    /// A name that no other attempt has.
    pub(crate) fn unique_id(&self) -> String {
        unique_id(self.clock.as_ref(), self.entropy.as_ref())
    }

    /// Fails where the deadline has passed.
    pub(crate) fn check(&self, deadline: Deadline, doing: &'static str) -> Result<(), TsdbError> {
        if deadline.remaining(self.clock.as_ref()).is_zero() {
            return Err(TsdbError::Deadline(doing));
        }
        Ok(())
    }

    /// Creates an object whose key determines its content.
    pub(crate) async fn create_object(&self, key: &str, body: &Bytes) -> Result<(), PlatformError> {
        self.retrying(|| self.objects.create(key, body.clone())).await.map(|_| ())
    }

    /// The whole of an object.
    pub(crate) async fn read_object(&self, key: &str) -> Result<Bytes, PlatformError> {
        Ok(self.retrying(|| self.objects.read(key, None, ByteRange::All)).await?.body)
    }

    /// Every object below a prefix.
    pub(crate) async fn list_objects(&self, prefix: &str) -> Result<Vec<ListedObject>, PlatformError> {
        let mut found: Vec<ListedObject> = Vec::new();
        loop {
            let after = found.last().map(|object| object.key.clone());
            let page = self.retrying(|| self.objects.list(prefix, after.as_deref(), PAGE)).await?;
            let full = page.len() >= PAGE;
            found.extend(page);
            if !full {
                return Ok(found);
            }
        }
    }

    /// The first keys below a prefix, so many pages of them at most.
    pub(crate) async fn list_pages(&self, prefix: &str, pages: usize) -> Result<Vec<String>, PlatformError> {
        let mut found: Vec<String> = Vec::new();
        for _ in 0..pages {
            let after = found.last().cloned();
            let page = self.retrying(|| self.objects.list(prefix, after.as_deref(), PAGE)).await?;
            let full = page.len() >= PAGE;
            found.extend(page.into_iter().map(|object| object.key));
            if !full {
                break;
            }
        }
        Ok(found)
    }

    /// The keys below a prefix up to the first that does not satisfy `wanted`.
    pub(crate) async fn list_objects_while(
        &self,
        prefix: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, PlatformError> {
        let mut found: Vec<String> = Vec::new();
        loop {
            let after = found.last().cloned();
            let page = self.retrying(|| self.objects.list(prefix, after.as_deref(), PAGE)).await?;
            let len = page.len();
            let before = found.len();
            found.extend(page.into_iter().map(|object| object.key).take_while(|key| wanted(key)));
            if found.len() - before < PAGE || len < PAGE {
                return Ok(found);
            }
        }
    }

    /// Deletes an object for good.
    pub(crate) async fn delete_object(&self, key: &str) -> Result<(), PlatformError> {
        self.retrying(|| self.objects.delete(key)).await
    }

    /// Deletes a row for good.
    pub(crate) async fn delete_row(&self, key: &RowKey) -> Result<(), PlatformError> {
        self.retrying(|| self.rows.delete(key)).await
    }

    /// The objects, whose reads and lists are retried.
    pub(crate) fn retrying_objects(&self) -> Arc<dyn Objects> {
        Arc::new(RetryingObjects(self.clone()))
    }

    /// A row.
    pub(crate) async fn row(&self, key: &RowKey) -> Result<Option<Row>, PlatformError> {
        self.retrying(|| self.rows.get(key)).await
    }

    /// Every row of a range.
    pub(crate) async fn query_rows(&self, mut range: RowRange) -> Result<Vec<Row>, PlatformError> {
        let mut found = Vec::new();
        loop {
            let page = self.retrying(|| self.rows.query(&range, PAGE)).await?;
            let full = page.len() >= PAGE;
            if let Some(last) = page.last() {
                range.from = format!("{}\0", last.key.sort);
            }
            found.extend(page);
            if !full {
                return Ok(found);
            }
        }
    }

    /// Makes a call until its outcome is known and final, a few times at most.
    pub(crate) async fn retrying<T, F>(&self, call: impl Fn() -> F) -> Result<T, PlatformError>
    where
        F: Future<Output = Result<T, PlatformError>>,
    {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match call().await {
                Err(PlatformError::Throttled { .. } | PlatformError::Ambiguous { .. })
                    if attempt < ATTEMPTS =>
                {
                    self.clock.sleep(BACKOFF * (1 << (attempt - 1))).await;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Objects whose reads are retried, for readers that know nothing of retries.
struct RetryingObjects(Ports);

impl Objects for RetryingObjects {
    fn create<'a>(&'a self, key: &'a str, body: Bytes) -> PlatformFuture<'a, Put> {
        self.0.objects.create(key, body)
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        version: Option<&'a Version>,
        range: ByteRange,
    ) -> PlatformFuture<'a, Object> {
        Box::pin(self.0.retrying(move || self.0.objects.read(key, version, range)))
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> PlatformFuture<'a, Vec<ListedObject>> {
        Box::pin(self.0.retrying(move || self.0.objects.list(prefix, after, limit)))
    }

    fn delete<'a>(&'a self, key: &'a str) -> PlatformFuture<'a, ()> {
        self.0.objects.delete(key)
    }
}
