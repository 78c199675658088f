//! What the world holds. Every change happens in one of these methods, under the world's lock.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::task::Waker;

use bytes::Bytes;
use platform::{
    ByteRange, Cas, ListedObject, Object, PlatformError, Put, Row, RowKey, RowPut, RowRange, Version,
};

use xxhash_rust::xxh3::xxh3_64;

use crate::random::{fnv, fnv_from};

/// How long an expired row may still be seen, in seconds: DynamoDB promises a few days at most.
const EXPIRY_LAG_S: u64 = 48 * 3_600;

#[derive(Clone, Debug, Default)]
pub(crate) struct Stores {
    objects: BTreeMap<String, Stored>,
    /// How often each key was created: versions depend on nothing else, so that equal states are equal.
    created: BTreeMap<String, u64>,
    /// A sum of hashes over all that is here: equal states have equal hashes.
    hash: u64,
    rows: BTreeMap<RowKey, Row>,
    /// When expired rows vanish.
    vanishing: BTreeSet<(i64, RowKey)>,
    deleted: BTreeSet<String>,
    pub(crate) names_reused: u64,
    pub(crate) queues: [QueueState; 2],
    pub(crate) files: BTreeMap<String, Bytes>,
}

#[derive(Clone, Debug)]
struct Stored {
    version: Version,
    body: Bytes,
}

/// A queue's messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueueState {
    pub(crate) next_id: u64,
    pub(crate) messages: BTreeMap<u64, StoredMessage>,
    pub(crate) dead: Vec<Bytes>,
    /// Receivers that wait for a message.
    pub(crate) waiting: Vec<Waker>,
    /// Whether something was sent since they last looked.
    pub(crate) rung: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct StoredMessage {
    pub(crate) body: Bytes,
    pub(crate) receive_count: u32,
    /// When it can be delivered next, ns of the world's time.
    pub(crate) due_ns: u64,
}

impl Stores {
    pub(crate) fn create(&mut self, key: &str, body: Bytes) -> Result<Put, PlatformError> {
        if self.objects.contains_key(key) {
            return Ok(Put::Exists);
        }
        let below = format!("{key}/");
        let is_directory =
            self.objects.range(below.clone()..).next().is_some_and(|(key, _)| key.starts_with(&below));
        let mut parents = key.match_indices('/').filter_map(|(end, _)| key.get(..end));
        if is_directory || parents.any(|parent| self.objects.contains_key(parent)) {
            let reason = "a key and a directory would have one name".to_owned();
            return Err(PlatformError::Invalid { operation: format!("create {key}"), reason });
        }
        let count = self.created.entry(key.to_owned()).or_default();
        *count += 1;
        // No two objects have one version, whatever their keys.
        let version = Version(format!("{:016x}.{count}", fnv(key.as_bytes())));
        let stored = Stored { version: version.clone(), body };
        self.hash = self.hash.wrapping_add(object_hash(key, &stored));
        self.objects.insert(key.to_owned(), stored);
        self.names_reused += u64::from(self.deleted.contains(key));
        Ok(Put::Created(version))
    }

    pub(crate) fn read(
        &self,
        key: &str,
        version: Option<&Version>,
        range: ByteRange,
    ) -> Result<Object, PlatformError> {
        let found =
            self.objects.get(key).filter(|stored| version.is_none_or(|version| *version == stored.version));
        let Some(stored) = found else {
            return Err(PlatformError::NotFound { what: format!("object {key}") });
        };
        let len = stored.body.len();
        let bounded = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX).min(len);
        let (start, end) = match range {
            ByteRange::All => (0, len),
            ByteRange::At { start, len } => (bounded(start), bounded(start.saturating_add(len))),
            ByteRange::Last(wanted) => (len - bounded(wanted), len),
        };
        Ok(Object { body: stored.body.slice(start..end), version: stored.version.clone(), len: len as u64 })
    }

    pub(crate) fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<ListedObject> {
        let start = after.filter(|after| *after >= prefix).unwrap_or(prefix);
        self.objects
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(key, _)| after.is_none_or(|after| key.as_str() > after))
            .take(limit)
            .map(|(key, stored)| ListedObject {
                key: key.clone(),
                version: stored.version.clone(),
                len: stored.body.len() as u64,
            })
            .collect()
    }

    pub(crate) fn delete(&mut self, key: &str) {
        if let Some(stored) = self.objects.remove(key) {
            self.hash = self.hash.wrapping_sub(object_hash(key, &stored));
            self.deleted.insert(key.to_owned());
        }
    }

    /// Lets rows vanish whose time has come.
    pub(crate) fn expire(&mut self, now_s: i64) {
        while self.vanishing.first().is_some_and(|(at_s, _)| *at_s <= now_s) {
            if let Some((_, key)) = self.vanishing.pop_first() {
                if let Some(row) = self.rows.remove(&key) {
                    self.hash = self.hash.wrapping_sub(row_hash(&row));
                }
                self.deleted.insert(format!("row {key}"));
            }
        }
    }

    fn insert_row(&mut self, row: Row) {
        if let Some(expires_at_s) = row.expires_at_s {
            self.vanishing.insert((vanishes_at_s(&row.key, expires_at_s), row.key.clone()));
        }
        self.hash = self.hash.wrapping_add(row_hash(&row));
        if let Some(replaced) = self.rows.insert(row.key.clone(), row) {
            self.hash = self.hash.wrapping_sub(row_hash(&replaced));
        }
    }

    pub(crate) fn create_row(&mut self, key: &RowKey, value: Bytes, expires_at_s: Option<i64>) -> RowPut {
        if let Some(row) = self.rows.get(key) {
            return RowPut::Exists(row.clone());
        }
        self.names_reused += u64::from(self.deleted.contains(&format!("row {key}")));
        self.insert_row(Row { key: key.clone(), version: 1, value, expires_at_s });
        RowPut::Created
    }

    pub(crate) fn compare_and_set(&mut self, key: &RowKey, expected: u64, value: Bytes) -> Cas {
        let row = self.rows.get(key);
        let (version, expires_at_s) = row.map_or((0, None), |row| (row.version, row.expires_at_s));
        if version != expected {
            return Cas::Lost(row.cloned());
        }
        self.insert_row(Row { key: key.clone(), version: version + 1, value, expires_at_s });
        Cas::Done(version + 1)
    }

    pub(crate) fn get_row(&self, key: &RowKey) -> Option<Row> {
        self.rows.get(key).cloned()
    }

    pub(crate) fn query_rows(&self, range: &RowRange, limit: usize) -> Vec<Row> {
        let within = |row: &Row| {
            row.key.partition == range.partition
                && range.until.as_ref().is_none_or(|until| row.key.sort < *until)
        };
        let start = RowKey::new(range.partition.clone(), range.from.clone());
        self.rows
            .range(start..)
            .map(|(_, row)| row)
            .take_while(|row| within(row))
            .take(limit)
            .cloned()
            .collect()
    }

    pub(crate) fn delete_row(&mut self, key: &RowKey) {
        if let Some(row) = self.rows.remove(key) {
            self.hash = self.hash.wrapping_sub(row_hash(&row));
            if let Some(expires_at_s) = row.expires_at_s {
                self.vanishing.remove(&(vanishes_at_s(key, expires_at_s), row.key));
            }
            self.deleted.insert(format!("row {key}"));
        }
    }

    /// A row, for an auditor.
    pub(crate) fn peek_row(&self, key: &RowKey) -> Option<&Row> {
        self.rows.get(key)
    }

    /// An object, for an auditor.
    pub(crate) fn peek_object(&self, key: &str) -> Option<&Bytes> {
        self.objects.get(key).map(|stored| &stored.body)
    }

    /// A hash of all objects, rows and messages.
    pub(crate) fn hash(&self) -> u64 {
        let queue = |queue: &QueueState| {
            let message = |(id, message): (&u64, &StoredMessage)| {
                let head = fnv_from(*id, &message.due_ns.to_le_bytes());
                fnv_from(fnv_from(head, &message.receive_count.to_le_bytes()), &message.body)
            };
            queue.messages.iter().map(message).fold(queue.dead.len() as u64, u64::wrapping_add)
        };
        let [scrapes, rules] = &self.queues;
        self.hash.wrapping_add(queue(scrapes)).wrapping_add(queue(rules).rotate_left(1))
    }

    pub(crate) fn object_keys(&self) -> Vec<String> {
        self.objects.keys().cloned().collect()
    }

    pub(crate) fn all_rows(&self) -> Vec<Row> {
        self.rows.values().cloned().collect()
    }

    /// Replaces an object's body in place, as a failing disk would.
    pub(crate) fn corrupt(&mut self, key: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Some(stored) = self.objects.get_mut(key) else { return false };
        let mut body = stored.body.to_vec();
        change(&mut body);
        self.hash = self.hash.wrapping_sub(object_hash(key, stored));
        stored.body = body.into();
        self.hash = self.hash.wrapping_add(object_hash(key, stored));
        true
    }
}

fn object_hash(key: &str, stored: &Stored) -> u64 {
    xxh3_64(&stored.body) ^ fnv_from(fnv(key.as_bytes()), stored.version.0.as_bytes())
}

fn row_hash(row: &Row) -> u64 {
    let key = fnv_from(fnv(row.key.partition.as_bytes()), row.key.sort.as_bytes());
    xxh3_64(&row.value).rotate_left(1) ^ fnv_from(key, &row.version.to_le_bytes())
}

/// Some time after its expiry, which differs from row to row and not from run to run.
fn vanishes_at_s(key: &RowKey, expires_at_s: i64) -> i64 {
    expires_at_s.saturating_add_unsigned(fnv(key.to_string().as_bytes()) % EXPIRY_LAG_S)
}
