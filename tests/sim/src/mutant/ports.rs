//! The adapters that mutants are made of.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use platform::{
    ByteRange, Cas, Clock, Entropy, ListedObject, Object, Objects, PlatformError, PlatformFuture, Put, Row,
    RowKey, RowPut, RowRange, Rows, Version,
};
use platform_sim::Handle;
use tsdb::keys::{Keys, SegmentKey};
use tsdb::{Scope, Shard};
use wire::{Head, Manifest};

use super::Mutant;
use crate::lock;

/// What the adapters of one process know.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The objects created since the head was last read or set.
    created: Vec<String>,
    /// Manifests that were stored under another name than their writer knows.
    renamed: BTreeMap<String, String>,
    /// A head that was read early.
    early: Option<Option<Row>>,
    /// The hash of the head that was read last, and how many numbers were drawn since.
    seed: (u64, u64),
    /// Whether a commit has forgotten its watermark; else it would be made for ever.
    forgot: bool,
    /// The first time that was asked for.
    frozen_ms: Option<i64>,
}

fn keys() -> Keys {
    Keys::new(Scope::default())
}

fn is_segment(key: &RowKey) -> bool {
    key.partition.starts_with("wal/")
}

fn is_head(key: &RowKey) -> bool {
    key.partition.starts_with("head/")
}

pub(super) struct MutantObjects {
    pub(super) mutant: Mutant,
    pub(super) inner: Arc<dyn Objects>,
    pub(super) shared: Arc<Mutex<Shared>>,
}

impl MutantObjects {
    /// The key without the attempt, where that is what is broken.
    fn key(&self, key: &str) -> String {
        match key.rsplit_once('-') {
            Some((cause, _)) if self.mutant == Mutant::PayloadByCause && key.starts_with("wal/") => {
                cause.to_owned()
            }
            _ => key.to_owned(),
        }
    }

    async fn create_broken(&self, key: &str, mut body: Bytes) -> Result<Put, PlatformError> {
        let mut stored = self.key(key);
        let forgets = matches!(self.mutant, Mutant::ForgetContext | Mutant::ForgetTombstones);
        if forgets
            && key.starts_with("manifest/")
            && let Ok(mut manifest) = wire::decode::<Manifest>("manifest", &body)
        {
            match self.mutant {
                Mutant::ForgetContext => manifest.context.clear(),
                _ => manifest.tombstones.clear(),
            }
            body = wire::encode(&manifest).into();
            let ulid = key.rsplit('/').next().and_then(|name| name.split('-').next()).unwrap_or_default();
            stored = keys().manifest(ulid, &body);
            lock(&self.shared).renamed.insert(key.to_owned(), stored.clone());
        }
        lock(&self.shared).created.push(stored.clone());
        match self.inner.create(&stored, body).await {
            Err(PlatformError::Throttled { .. }) if self.mutant == Mutant::RefusedIsExists => Ok(Put::Exists),
            Err(PlatformError::Ambiguous { .. }) if self.mutant == Mutant::UnknownIsDone => Ok(Put::Exists),
            put => put,
        }
    }
}

impl Objects for MutantObjects {
    fn create<'a>(&'a self, key: &'a str, body: Bytes) -> PlatformFuture<'a, Put> {
        Box::pin(self.create_broken(key, body))
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        version: Option<&'a Version>,
        range: ByteRange,
    ) -> PlatformFuture<'a, Object> {
        Box::pin(async move { self.inner.read(&self.key(key), version, range).await })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> PlatformFuture<'a, Vec<ListedObject>> {
        self.inner.list(prefix, after, limit)
    }

    fn delete<'a>(&'a self, key: &'a str) -> PlatformFuture<'a, ()> {
        self.inner.delete(key)
    }
}

pub(super) struct MutantRows {
    pub(super) mutant: Mutant,
    pub(super) inner: Arc<dyn Rows>,
    pub(super) objects: Arc<dyn Objects>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) shared: Arc<Mutex<Shared>>,
    pub(super) world: Handle,
}

impl MutantRows {
    async fn create_broken(
        &self,
        key: &RowKey,
        value: Bytes,
        expires_at_s: Option<i64>,
    ) -> Result<RowPut, PlatformError> {
        if !is_segment(key) {
            return self.inner.create(key, value, expires_at_s).await;
        }
        let mut key = key.clone();
        if self.mutant == Mutant::AttemptInKey
            && let Some(segment) = SegmentKey::parse(&key.sort)
            && let Some(shard) =
                Shard::parse(&format!("{}x{:x}", segment.shard, self.entropy.next_u64() & 0xffff))
        {
            key.sort = SegmentKey { shard, ..segment }.to_string();
        }
        let put = self.inner.create(&key, value.clone(), expires_at_s).await;
        match (self.mutant, put) {
            (Mutant::Overwrite, Ok(RowPut::Exists(row))) => {
                self.inner.compare_and_set(&key, row.version, value).await?;
                Ok(RowPut::Created)
            }
            (Mutant::ExistsIsCreated, Ok(RowPut::Exists(_))) => Ok(RowPut::Created),
            (Mutant::UnknownIsDone, Err(PlatformError::Ambiguous { .. })) => Ok(RowPut::Created),
            (Mutant::RefusedIsExists, Err(PlatformError::Throttled { .. })) => Ok(RowPut::Created),
            (_, put) => put,
        }
    }

    async fn set_broken(&self, key: &RowKey, expected: u64, value: Bytes) -> Result<Cas, PlatformError> {
        let blind = (is_head(key) && self.mutant == Mutant::BlindHead)
            || (key.partition == "alerts" && self.mutant == Mutant::BlindGroupState);
        if blind {
            let version = self.inner.get(key).await?.map_or(0, |row| row.version);
            self.inner.compare_and_set(key, version, value).await?;
            return Ok(Cas::Done(expected + 1));
        }
        if !is_head(key) {
            return self.inner.compare_and_set(key, expected, value).await;
        }
        let before = self.world.row(key);
        let is_fence = before.as_ref().is_some_and(|row| row.value == value);
        let Ok(head) = wire::decode::<Head>("head", &value) else {
            return self.inner.compare_and_set(key, expected, value).await;
        };
        let old = before.and_then(|row| wire::decode::<Head>("head", &row.value).ok());
        match self.mutant {
            Mutant::NoFence if is_fence => Ok(Cas::Done(expected + 1)),
            Mutant::DeleteBeforeCommit => {
                self.delete_inputs(old.as_ref(), &head).await?;
                self.inner.compare_and_set(key, expected, value).await
            }
            Mutant::ForgetWatermark if !std::mem::replace(&mut lock(&self.shared).forgot, true) => {
                let watermark = old.map_or(0, |old| old.watermark);
                let value = wire::encode(&Head { watermark, ..head }).into();
                self.inner.compare_and_set(key, expected, value).await
            }
            Mutant::ForgetContext | Mutant::ForgetTombstones => {
                let renamed =
                    head.manifest.as_ref().and_then(|key| lock(&self.shared).renamed.get(key).cloned());
                let manifest = renamed.or(head.manifest);
                let value = wire::encode(&Head { manifest, ..head }).into();
                self.inner.compare_and_set(key, expected, value).await
            }
            Mutant::TidyUnknown => {
                let created = std::mem::take(&mut lock(&self.shared).created);
                let cas = self.inner.compare_and_set(key, expected, value).await;
                if matches!(cas, Err(PlatformError::Ambiguous { .. })) {
                    for key in created {
                        self.objects.delete(&key).await?;
                    }
                }
                cas
            }
            _ => self.inner.compare_and_set(key, expected, value).await,
        }
    }

    /// Deletes the blocks that a commit will replace, and the segments that it will consume.
    async fn delete_inputs(&self, old: Option<&Head>, new: &Head) -> Result<(), PlatformError> {
        let manifest = |head: Option<&Head>| {
            let body = self.world.object(head?.manifest.as_ref()?)?;
            wire::decode::<Manifest>("manifest", &body).ok()
        };
        let from = old.map_or(0, |old| old.watermark).max(new.watermark - 86_400_000);
        let ranges = keys().segments(from, new.watermark);
        let (old, new) = (manifest(old).unwrap_or_default(), manifest(Some(new)).unwrap_or_default());
        for range in ranges {
            let rows = self.inner.query(&range, 1_000).await?;
            // What stale markers are derived from is not an input only.
            for row in rows.iter().filter(|row| !new.context.contains(&row.key.sort)) {
                self.inner.delete(&row.key).await?;
            }
        }
        for block in old.blocks.iter().filter(|block| !new.blocks.iter().any(|live| live.id == block.id)) {
            for file in &block.files {
                self.objects.delete(&tsdb::block::object_key(&block.id, &file.name)).await?;
            }
        }
        Ok(())
    }

    async fn get_broken(&self, key: &RowKey) -> Result<Option<Row>, PlatformError> {
        if !is_head(key) {
            return self.inner.get(key).await;
        }
        if let Some(early) = lock(&self.shared).early.take() {
            return Ok(early);
        }
        let row = self.inner.get(key).await?;
        let hash = row.as_ref().map_or(0, |row| xxhash_rust::xxh3::xxh3_64(&row.value));
        lock(&self.shared).seed = (hash, 0);
        lock(&self.shared).created.clear();
        Ok(row)
    }

    async fn query_broken(&self, range: &RowRange, limit: usize) -> Result<Vec<Row>, PlatformError> {
        let segments = range.partition.starts_with("wal/");
        if segments && self.mutant == Mutant::HeadBeforeList {
            let known = lock(&self.shared).early.is_some();
            if !known {
                let head = self.inner.get(&keys().head()).await?;
                lock(&self.shared).early = Some(head);
            }
        }
        let mut rows = self.inner.query(range, limit).await?;
        if segments && self.mutant == Mutant::ReverseList {
            rows.reverse();
        }
        Ok(rows)
    }
}

impl Rows for MutantRows {
    fn create<'a>(
        &'a self,
        key: &'a RowKey,
        value: Bytes,
        expires_at_s: Option<i64>,
    ) -> PlatformFuture<'a, RowPut> {
        Box::pin(self.create_broken(key, value, expires_at_s))
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a RowKey,
        expected: u64,
        value: Bytes,
    ) -> PlatformFuture<'a, Cas> {
        Box::pin(self.set_broken(key, expected, value))
    }

    fn get<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, Option<Row>> {
        Box::pin(self.get_broken(key))
    }

    fn query<'a>(&'a self, range: &'a RowRange, limit: usize) -> PlatformFuture<'a, Vec<Row>> {
        Box::pin(self.query_broken(range, limit))
    }

    fn delete<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, ()> {
        self.inner.delete(key)
    }
}

pub(super) struct MutantClock {
    pub(super) mutant: Mutant,
    pub(super) inner: Arc<dyn Clock>,
    pub(super) shared: Arc<Mutex<Shared>>,
    pub(super) world: Handle,
}

impl Clock for MutantClock {
    fn now_ms(&self) -> i64 {
        let now = self.inner.now_ms();
        match self.mutant {
            // Only where nobody waits for an instant, which would never come.
            Mutant::NeverLate if self.world.is_explored() => *lock(&self.shared).frozen_ms.get_or_insert(now),
            _ => now,
        }
    }

    fn monotonic_ns(&self) -> u64 {
        self.inner.monotonic_ns()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.inner.sleep(duration)
    }
}

pub(super) struct MutantEntropy {
    pub(super) mutant: Mutant,
    pub(super) inner: Arc<dyn Entropy>,
    pub(super) shared: Arc<Mutex<Shared>>,
}

impl Entropy for MutantEntropy {
    fn next_u64(&self) -> u64 {
        if self.mutant != Mutant::RepeatedNames {
            return self.inner.next_u64();
        }
        let mut shared = lock(&self.shared);
        shared.seed.1 += 1;
        let (hash, count) = shared.seed;
        hash.wrapping_add(count).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}
