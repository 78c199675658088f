//! What happened: counted, hashed, and the latest kept to look at.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use bytes::Bytes;
use platform::{Cas, FileError, ListedObject, Message, Object, PlatformError, Put, Row, RowPut};
use xxhash_rust::xxh3::xxh3_64;

use crate::random::fnv_from;
use crate::{Fate, Operation};

/// One effect, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectRecord {
    /// How many effects there were before.
    pub index: u64,
    /// When it was done or failed, ms since the epoch.
    pub at_ms: i64,
    /// Who called.
    pub actor: String,
    /// What was called.
    pub operation: Operation,
    /// The key, the queue's name, the URL.
    pub subject: String,
    /// What became of it.
    pub fate: Fate,
    /// What the store did; empty where it did nothing.
    pub outcome: String,
}

impl fmt::Display for EffectRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, at_ms, actor, operation, subject, fate, outcome } = self;
        write!(f, "{index:>6} {at_ms} {actor} {operation:?} {subject} {} {outcome}", fate.name())
    }
}

/// How much happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls of ports.
    pub effects: u64,
    /// Injected faults by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Actors that crashed, through a fault or killed.
    pub crashes: u64,
    /// Late effects that have landed.
    pub late_landed: u64,
    /// Messages delivered twice at once.
    pub duplicates: u64,
    /// Creations of an object or a row under a name that had been deleted before. A late or a zombie caller does it;
    /// a protocol that relies on it is wrong.
    pub names_reused: u64,
    /// Messages given up.
    pub dead_letters: u64,
}

#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    /// How many records are kept.
    kept: usize,
    pub(crate) counters: Counters,
    records: VecDeque<EffectRecord>,
}

impl Trace {
    pub(crate) fn new(kept: usize) -> Self {
        Self { hash: 0, kept, counters: Counters::default(), records: VecDeque::new() }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn records(&self) -> Vec<EffectRecord> {
        self.records.iter().cloned().collect()
    }

    pub(crate) fn note(&mut self, record: EffectRecord) {
        self.note_line(&record.to_string());
        if self.records.len() >= self.kept {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    /// Hashes something that is no effect of its own.
    pub(crate) fn note_line(&mut self, line: &str) {
        self.hash = fnv_from(self.hash, line.as_bytes());
    }
}

/// What a store did, in one line that differs where the outcome does.
pub(crate) trait Outcome {
    fn summary(&self) -> String;
}

impl<T: Outcome> Outcome for Result<T, PlatformError> {
    fn summary(&self) -> String {
        match self {
            Ok(outcome) => outcome.summary(),
            Err(error) => error.to_string(),
        }
    }
}

impl<T: Outcome> Outcome for Result<T, FileError> {
    fn summary(&self) -> String {
        match self {
            Ok(outcome) => outcome.summary(),
            Err(error) => error.to_string(),
        }
    }
}

impl<T: Outcome> Outcome for Option<T> {
    fn summary(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), Outcome::summary)
    }
}

impl<T: Outcome> Outcome for Vec<T> {
    fn summary(&self) -> String {
        let hash = self.iter().fold(0, |hash, item| fnv_from(hash, item.summary().as_bytes()));
        format!("{} items {hash:016x}", self.len())
    }
}

impl Outcome for () {
    fn summary(&self) -> String {
        "done".to_owned()
    }
}

impl Outcome for String {
    fn summary(&self) -> String {
        self.clone()
    }
}

impl Outcome for Bytes {
    fn summary(&self) -> String {
        format!("{} bytes {:016x}", self.len(), xxh3_64(self))
    }
}

impl Outcome for Put {
    fn summary(&self) -> String {
        match self {
            Self::Created(version) => format!("created {version}"),
            Self::Exists => "exists".to_owned(),
        }
    }
}

impl Outcome for Object {
    fn summary(&self) -> String {
        format!("{} {}", self.version, self.body.summary())
    }
}

impl Outcome for ListedObject {
    fn summary(&self) -> String {
        format!("{} {} {}", self.key, self.version, self.len)
    }
}

impl Outcome for Row {
    fn summary(&self) -> String {
        format!("{} version {} {}", self.key, self.version, self.value.summary())
    }
}

impl Outcome for RowPut {
    fn summary(&self) -> String {
        match self {
            Self::Created => "created".to_owned(),
            Self::Exists(row) => format!("exists {}", row.summary()),
        }
    }
}

impl Outcome for Cas {
    fn summary(&self) -> String {
        match self {
            Self::Done(version) => format!("done version {version}"),
            Self::Lost(row) => format!("lost {}", row.summary()),
        }
    }
}

impl Outcome for Message {
    fn summary(&self) -> String {
        format!("{} {}", self.receipt.0, self.body.summary())
    }
}
