//! The store file, and reading it.

use std::fmt;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use platform::{PlatformError, Row, RowKey, RowRange};
use redb::{
    Database, DatabaseError, ReadOnlyTable, ReadableDatabase, TableDefinition, TableError, WriteTransaction,
};

/// How much of the file is kept in memory, in bytes.
const CACHE_BYTES: usize = 64 << 20;

/// Partition and sort key.
pub(super) type StoredKey = (&'static str, &'static str);

/// Version, when it expires in seconds since the epoch, value.
pub(super) type StoredRow = (u64, Option<i64>, &'static [u8]);

/// Every row.
pub(super) const ROWS: TableDefinition<'static, StoredKey, StoredRow> = TableDefinition::new("rows");

/// (when it expires, partition, sort) of every row that does.
pub(super) const EXPIRIES: TableDefinition<'static, (i64, &str, &str), ()> = TableDefinition::new("expiries");

/// Opens the store, or opens it again.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// The store. After a failed read or write it can only be closed and opened again, which the next write does.
pub(super) struct Store {
    opener: Opener,
    database: RwLock<Option<Database>>,
}

/// Why a transaction failed.
#[derive(Debug)]
pub(super) enum StoreError {
    /// Before its commit: nothing has changed.
    Refused(redb::Error),
    /// In its commit: it may have been done.
    Unknown(redb::Error),
    /// The store is closed, or could not be opened again.
    Closed(String),
}

impl StoreError {
    /// What a caller that only read is told.
    pub(super) fn into_refusal(self, operation: &str) -> PlatformError {
        let operation = operation.to_owned();
        match self {
            Self::Refused(redb::Error::Corrupted(reason)) => {
                PlatformError::Corrupt { what: operation, reason }
            }
            Self::Refused(error) | Self::Unknown(error) => {
                PlatformError::Denied { operation, reason: error.to_string() }
            }
            Self::Closed(reason) => PlatformError::Denied { operation, reason },
        }
    }

    /// What a caller that asked for a change is told.
    pub(super) fn to_change_error(&self, operation: &str) -> PlatformError {
        let operation = operation.to_owned();
        match self {
            Self::Refused(error) => PlatformError::Denied { operation, reason: error.to_string() },
            Self::Unknown(error) => PlatformError::Ambiguous { operation, reason: error.to_string() },
            Self::Closed(reason) => PlatformError::Denied { operation, reason: reason.clone() },
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// Opens a store in a file, made where it does not exist. Of some damage the store's own code only tells by a panic.
pub(super) fn file(path: &Path) -> Opener {
    let path = path.to_path_buf();
    Box::new(move || {
        let create = || Database::builder().set_cache_size(CACHE_BYTES).create(&path);
        std::panic::catch_unwind(create).unwrap_or_else(|_| {
            let reason = "the file is damaged".to_owned();
            Err(DatabaseError::Storage(redb::StorageError::Corrupted(reason)))
        })
    })
}

impl Store {
    pub(super) fn open(opener: Opener) -> Result<Self, DatabaseError> {
        let database = opener()?;
        Ok(Self { opener, database: RwLock::new(Some(database)) })
    }

    pub(super) fn close(&self) {
        self.database.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) fn get(&self, key: &RowKey) -> Result<Option<Row>, StoreError> {
        self.read(|rows| {
            let Some(found) = rows.get((key.partition.as_str(), key.sort.as_str()))? else { return Ok(None) };
            Ok(Some(row_of(key.clone(), found.value())))
        })
        .map(Option::flatten)
    }

    pub(super) fn query(&self, range: &RowRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        let partition = range.partition.as_str();
        // An empty range is nothing, not the panic that the store would make of its bounds.
        if range.until.as_ref().is_some_and(|until| *until <= range.from) {
            return Ok(Vec::new());
        }
        let found = self.read(|rows| {
            let mut found = Vec::new();
            for entry in rows.range((partition, range.from.as_str())..)?.take(limit) {
                let (key, value) = entry?;
                let (own_partition, sort) = key.value();
                if own_partition != partition
                    || range.until.as_ref().is_some_and(|until| sort >= until.as_str())
                {
                    break;
                }
                found.push(row_of(RowKey::new(partition, sort), value.value()));
            }
            Ok(found)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Reads a snapshot of the rows; `None` where none was ever written.
    fn read<T>(
        &self,
        read: impl FnOnce(&ReadOnlyTable<StoredKey, StoredRow>) -> Result<T, redb::Error>,
    ) -> Result<Option<T>, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = database.as_ref() else { return Err(StoreError::Closed(CLOSED.to_owned())) };
        let refused = |error: redb::Error| StoreError::Refused(error);
        let transaction = database.begin_read().map_err(|error| refused(error.into()))?;
        match transaction.open_table(ROWS) {
            Ok(rows) => read(&rows).map(Some).map_err(refused),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(refused(error.into())),
        }
    }

    /// Runs a transaction and makes it durable, if `change` says that it changed anything.
    pub(super) fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(T, Changed), redb::Error>,
    ) -> Result<T, StoreError> {
        let result = {
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            match database.as_ref() {
                Some(database) => write(database, change),
                None => Err(StoreError::Closed(CLOSED.to_owned())),
            }
        };
        if let Err(StoreError::Refused(error) | StoreError::Unknown(error)) = &result
            && needs_reopening(error)
        {
            tracing::error!(%error, "the store of rows failed; opening it again");
            self.reopen();
        }
        result
    }

    /// Opens the store again where an earlier attempt failed.
    pub(super) fn ensure_open(&self) {
        let closed = self.database.read().unwrap_or_else(PoisonError::into_inner).is_none();
        if closed {
            self.reopen();
        }
    }

    fn reopen(&self) {
        // Waits for the readers, whose snapshots keep the file.
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The file must be free before it is opened.
        database.take();
        match (self.opener)() {
            Ok(opened) => *database = Some(opened),
            Err(error) => tracing::error!(%error, "opening the store of rows again"),
        }
    }
}

/// Whether a transaction is worth committing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Yes,
    No,
}

const CLOSED: &str = "the store is closed";

fn write<T>(
    database: &Database,
    change: impl FnOnce(&WriteTransaction) -> Result<(T, Changed), redb::Error>,
) -> Result<T, StoreError> {
    let refused = |error: redb::Error| StoreError::Refused(error);
    let transaction = database.begin_write().map_err(|error| refused(error.into()))?;
    match change(&transaction) {
        Ok((outcome, Changed::Yes)) => {
            transaction.commit().map_err(|error| StoreError::Unknown(error.into()))?;
            Ok(outcome)
        }
        Ok((outcome, Changed::No)) => {
            transaction.abort().map_err(|error| refused(error.into()))?;
            Ok(outcome)
        }
        Err(error) => {
            if let Err(error) = transaction.abort() {
                tracing::debug!(%error, "aborting a failed transaction");
            }
            Err(refused(error))
        }
    }
}

fn needs_reopening(error: &redb::Error) -> bool {
    matches!(
        error,
        redb::Error::Io(_) | redb::Error::Backend(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed
    )
}

pub(super) fn row_of(key: RowKey, (version, expires_at_s, value): (u64, Option<i64>, &[u8])) -> Row {
    Row { key, version, value: Bytes::copy_from_slice(value), expires_at_s }
}
