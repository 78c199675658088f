//! The thread that changes rows.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use platform::{Cas, PlatformError, RowKey, RowPut};
use platform_system::now_ms;
use redb::{ReadableTable, Table, WriteTransaction};
use tokio::sync::oneshot;

use super::store::{Changed, EXPIRIES, ROWS, Store, StoreError, StoredKey, StoredRow, row_of};

/// How many changes one transaction takes at most.
const BATCH_MAX: usize = 1_024;

/// After how many bytes of values a transaction takes no further change.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// How often expired rows are looked for.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);

/// How many expired rows one transaction removes.
const PURGE_MAX: usize = 1_000;

/// A change that a caller waits for.
#[derive(Debug)]
pub(super) struct Request {
    /// The port's method and key.
    pub(super) operation: String,
    pub(super) change: Change,
    pub(super) reply: oneshot::Sender<Result<Outcome, PlatformError>>,
}

#[derive(Debug)]
pub(super) enum Change {
    Create { key: RowKey, value: Bytes, expires_at_s: Option<i64> },
    CompareAndSet { key: RowKey, expected: u64, value: Bytes },
    Delete { key: RowKey },
}

#[derive(Debug)]
pub(super) enum Outcome {
    Put(RowPut),
    Cas(Cas),
    Deleted,
}

impl Change {
    fn bytes(&self) -> usize {
        match self {
            Self::Create { value, .. } | Self::CompareAndSet { value, .. } => value.len(),
            Self::Delete { .. } => 0,
        }
    }
}

/// Serves requests until nobody can send any more.
pub(super) fn run(store: &Store, requests: &Receiver<Request>) {
    let mut purge_at = Instant::now();
    loop {
        if Instant::now() >= purge_at {
            let more = purge(store, now_ms() / 1_000);
            purge_at = Instant::now() + if more { Duration::ZERO } else { PURGE_INTERVAL };
        }
        match requests.recv_timeout(purge_at.saturating_duration_since(Instant::now())) {
            Ok(first) => commit(store, gather(first, requests)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// What else waits by now.
fn gather(first: Request, requests: &Receiver<Request>) -> Vec<Request> {
    let mut bytes = first.change.bytes();
    let mut batch = vec![first];
    while batch.len() < BATCH_MAX
        && bytes < BATCH_BYTES_MAX
        && let Ok(request) = requests.try_recv()
    {
        bytes += request.change.bytes();
        batch.push(request);
    }
    batch
}

/// Does a batch in one transaction, and replies once it is durable. Who no longer waits is a crashed caller.
fn commit(store: &Store, batch: Vec<Request>) {
    store.ensure_open();
    let result = store.write(|transaction| apply_all(transaction, &batch));
    match result {
        Ok(outcomes) => {
            for (request, outcome) in batch.into_iter().zip(outcomes) {
                let _ = request.reply.send(Ok(outcome));
            }
        }
        Err(error) => {
            for request in batch {
                let error = error.to_change_error(&request.operation);
                let _ = request.reply.send(Err(error));
            }
        }
    }
}

struct Tables<'a> {
    rows: Table<'a, StoredKey, StoredRow>,
    expiries: Table<'a, (i64, &'static str, &'static str), ()>,
    changed: Changed,
}

impl<'a> Tables<'a> {
    fn open(transaction: &'a WriteTransaction) -> Result<Self, redb::Error> {
        let rows = transaction.open_table(ROWS)?;
        let expiries = transaction.open_table(EXPIRIES)?;
        Ok(Self { rows, expiries, changed: Changed::No })
    }

    fn get(&self, key: &RowKey) -> Result<Option<platform::Row>, redb::Error> {
        let found = self.rows.get((key.partition.as_str(), key.sort.as_str()))?;
        Ok(found.map(|found| row_of(key.clone(), found.value())))
    }

    fn put(
        &mut self,
        key: &RowKey,
        version: u64,
        value: &Bytes,
        expires_at_s: Option<i64>,
    ) -> Result<(), redb::Error> {
        self.changed = Changed::Yes;
        let (partition, sort) = (key.partition.as_str(), key.sort.as_str());
        self.rows.insert((partition, sort), (version, expires_at_s, value.as_ref()))?;
        if let Some(expires_at_s) = expires_at_s {
            self.expiries.insert((expires_at_s, partition, sort), ())?;
        }
        Ok(())
    }

    fn remove(&mut self, key: &RowKey) -> Result<(), redb::Error> {
        let (partition, sort) = (key.partition.as_str(), key.sort.as_str());
        let removed = self.rows.remove((partition, sort))?.map(|removed| removed.value().1);
        if let Some(expires_at_s) = removed {
            self.changed = Changed::Yes;
            if let Some(expires_at_s) = expires_at_s {
                self.expiries.remove((expires_at_s, partition, sort))?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, change: &Change) -> Result<Outcome, redb::Error> {
        match change {
            Change::Create { key, value, expires_at_s } => {
                if let Some(row) = self.get(key)? {
                    return Ok(Outcome::Put(RowPut::Exists(row)));
                }
                self.put(key, 1, value, *expires_at_s)?;
                Ok(Outcome::Put(RowPut::Created))
            }
            Change::CompareAndSet { key, expected, value } => {
                let row = self.get(key)?;
                let (version, expires_at_s) =
                    row.as_ref().map_or((0, None), |row| (row.version, row.expires_at_s));
                if version != *expected {
                    return Ok(Outcome::Cas(Cas::Lost(row)));
                }
                self.put(key, version + 1, value, expires_at_s)?;
                Ok(Outcome::Cas(Cas::Done(version + 1)))
            }
            Change::Delete { key } => {
                self.remove(key)?;
                Ok(Outcome::Deleted)
            }
        }
    }
}

fn apply_all(
    transaction: &WriteTransaction,
    batch: &[Request],
) -> Result<(Vec<Outcome>, Changed), redb::Error> {
    let mut tables = Tables::open(transaction)?;
    let outcomes = batch.iter().map(|request| tables.apply(&request.change)).collect::<Result<_, _>>()?;
    Ok((outcomes, tables.changed))
}

/// Removes rows that have expired; whether there may be more of them.
pub(super) fn purge(store: &Store, now_s: i64) -> bool {
    let purged = store.write(|transaction| {
        let mut tables = Tables::open(transaction)?;
        let expired: Vec<RowKey> = tables
            .expiries
            .range(..(now_s, "", ""))?
            .take(PURGE_MAX)
            .map(|entry| entry.map(|(key, _)| RowKey::new(key.value().1, key.value().2)))
            .collect::<Result<_, _>>()?;
        for key in &expired {
            tables.remove(key)?;
        }
        Ok((expired.len(), tables.changed))
    });
    match purged {
        Ok(count) => count == PURGE_MAX,
        Err(StoreError::Closed(_)) => false,
        Err(error) => {
            tracing::warn!(?error, "removing expired rows");
            false
        }
    }
}
