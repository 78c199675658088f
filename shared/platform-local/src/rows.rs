//! Rows in one embedded store file.
//!
//! ```text
//!  create, compare_and_set, delete ──► channel ──► one thread: all that waits ──► one transaction, one sync ──► replies
//!  get, query ───────────────────────► a snapshot, on a thread that may block
//! ```
//!
//! A disk takes as long to sync one row as a hundred, so what callers ask for while one transaction is being synced goes
//! into the next one together. Each sees what those before it in the batch did; all learn their outcome when it is
//! durable.

mod store;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use platform::{Cas, PlatformError, PlatformFuture, Row, RowKey, RowPut, RowRange, Rows, check_row};
use tokio::sync::oneshot;

use crate::blocking::{self, lock};
use crate::{DirectoryLock, LocalError};
use store::Store;
use writer::{Change, Outcome, Request};

/// Rows in a store file in a directory that this process has locked.
#[derive(Debug)]
pub struct LocalRows {
    /// Dropped, it ends the thread.
    requests: Mutex<Option<mpsc::Sender<Request>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    store: Arc<Store>,
    _lock: Arc<DirectoryLock>,
}

impl LocalRows {
    /// Opens the store file, made where it does not exist, and starts the thread that writes.
    ///
    /// # Errors
    /// [`LocalError::Rows`] where it is damaged or of another version.
    pub fn open(path: &Path, directory_lock: Arc<DirectoryLock>) -> Result<Self, LocalError> {
        let failed = |reason: String| LocalError::Rows { path: path.to_path_buf(), reason };
        let store = Arc::new(Store::open(store::file(path)).map_err(|error| failed(error.to_string()))?);
        Self::start(store, directory_lock).map_err(|error| failed(error.to_string()))
    }

    fn start(store: Arc<Store>, directory_lock: Arc<DirectoryLock>) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let writing = Arc::clone(&store);
        let thread =
            thread::Builder::new().name("rows".to_owned()).spawn(move || writer::run(&writing, &receiver))?;
        Ok(Self {
            requests: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            store,
            _lock: directory_lock,
        })
    }

    /// Commits what has been asked for, refuses what comes later, and closes the store.
    pub async fn close(&self) {
        lock(&self.requests).take();
        let (thread, store) = (lock(&self.thread).take(), Arc::clone(&self.store));
        let closed = blocking::run("close rows".to_owned(), move || {
            finish(thread, &store);
            Ok(())
        });
        if let Err(error) = closed.await {
            tracing::error!(%error, "closing the store of rows");
        }
    }

    async fn change(&self, operation: String, change: Change) -> Result<Outcome, PlatformError> {
        let (reply, replied) = oneshot::channel();
        let request = Request { operation: operation.clone(), change, reply };
        let sent = lock(&self.requests).as_ref().is_some_and(|requests| requests.send(request).is_ok());
        if !sent {
            return Err(PlatformError::Denied { operation, reason: "the store is closed".to_owned() });
        }
        let lost = |_| PlatformError::Ambiguous { operation, reason: "the writing thread ended".to_owned() };
        replied.await.map_err(lost)?
    }
}

impl Drop for LocalRows {
    fn drop(&mut self) {
        lock(&self.requests).take();
        finish(lock(&self.thread).take(), &self.store);
    }
}

fn finish(thread: Option<JoinHandle<()>>, store: &Store) {
    if let Some(Err(_)) = thread.map(JoinHandle::join) {
        tracing::error!("the thread that writes rows panicked");
    }
    store.close();
}

impl Rows for LocalRows {
    fn create<'a>(
        &'a self,
        key: &'a RowKey,
        value: Bytes,
        expires_at_s: Option<i64>,
    ) -> PlatformFuture<'a, RowPut> {
        Box::pin(async move {
            check_row("create row", key, value.len())?;
            let change = Change::Create { key: key.clone(), value, expires_at_s };
            match self.change(format!("create row {key}"), change).await? {
                Outcome::Put(put) => Ok(put),
                Outcome::Cas(_) | Outcome::Deleted => Err(mixed_up("create row", key)),
            }
        })
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a RowKey,
        expected: u64,
        value: Bytes,
    ) -> PlatformFuture<'a, Cas> {
        Box::pin(async move {
            check_row("set row", key, value.len())?;
            let change = Change::CompareAndSet { key: key.clone(), expected, value };
            match self.change(format!("set row {key}"), change).await? {
                Outcome::Cas(cas) => Ok(cas),
                Outcome::Put(_) | Outcome::Deleted => Err(mixed_up("set row", key)),
            }
        })
    }

    fn get<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, Option<Row>> {
        Box::pin(async move {
            check_row("get row", key, 0)?;
            let operation = format!("get row {key}");
            let (store, key, failed) = (Arc::clone(&self.store), key.clone(), operation.clone());
            blocking::run(operation, move || store.get(&key).map_err(|error| error.into_refusal(&failed)))
                .await
        })
    }

    fn query<'a>(&'a self, range: &'a RowRange, limit: usize) -> PlatformFuture<'a, Vec<Row>> {
        Box::pin(async move {
            let operation = format!("query rows {}", range.partition);
            let (store, range, failed) = (Arc::clone(&self.store), range.clone(), operation.clone());
            blocking::run(operation, move || {
                store.query(&range, limit).map_err(|error| error.into_refusal(&failed))
            })
            .await
        })
    }

    fn delete<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, ()> {
        Box::pin(async move {
            check_row("delete row", key, 0)?;
            self.change(format!("delete row {key}"), Change::Delete { key: key.clone() }).await?;
            Ok(())
        })
    }
}

fn mixed_up(operation: &str, key: &RowKey) -> PlatformError {
    let reason = "the reply is of another kind".to_owned();
    PlatformError::Ambiguous { operation: format!("{operation} {key}"), reason }
}

#[cfg(test)]
mod tests;
