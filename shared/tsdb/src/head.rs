//! The head register: the only thing whose change commits anything (P4, S6).
//!
//! ```text
//! load ─► compute the next manifest from it ─► commit: create the manifest, compare-and-set the register
//!   ▲                                            │ done │ lost: somebody else committed │ unknown (P6)
//!   └────────────────────────────────────────────┴──────┴───────────────────────────────┘
//! ```

use std::sync::Arc;

use bytes::Bytes;
use platform::{Cas, PlatformError, Row};
use wire::{Head, Manifest};

use crate::error::TsdbError;
use crate::invariants::check_manifest;
use crate::store::Store;
use crate::tombstones::settle;

/// The format version of head and manifest that this code writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// What was committed at one version of the register.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    /// The register's version; 0 before the first commit.
    pub version: u64,
    /// The register.
    pub head: Head,
    /// The manifest that it names; empty before the first commit.
    pub manifest: Arc<Manifest>,
}

/// What became of a commit.
#[derive(Debug)]
pub(crate) enum Commit {
    /// It is the head now, or was, before others followed.
    Done,
    /// Somebody else's came first; nothing has changed.
    Lost,
}

impl Store {
    /// The register alone, with its version.
    pub(crate) async fn head(&self) -> Result<(u64, Head), TsdbError> {
        match self.ports.row(&self.keys.head()).await? {
            Some(row) => Ok((row.version, decode_head(&row)?)),
            None => Ok((0, Head { v: FORMAT, manifest: None, watermark: 0 })),
        }
    }

    /// The latest commit. Between reading the register and the manifest that it named, both may be superseded and the
    /// manifest collected: then it starts over.
    pub(crate) async fn load(&self) -> Result<Committed, TsdbError> {
        for _ in 0..=crate::store::RESTARTS_MAX {
            let (version, head) = self.head().await?;
            match self.manifest(head.manifest.as_deref()).await {
                Ok(manifest) => return Ok(Committed { version, head, manifest }),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Err(TsdbError::Restarts)
    }

    /// The manifest with a key; manifests never change, so the last ones are kept.
    pub(crate) async fn manifest(&self, key: Option<&str>) -> Result<Arc<Manifest>, TsdbError> {
        let Some(key) = key else { return Ok(Arc::new(Manifest { v: FORMAT, ..Manifest::default() })) };
        if let Some(manifest) = self.caches.manifests.get(&key.to_owned()) {
            return Ok(manifest);
        }
        let body = self.ports.read_object(key).await?;
        if !self.keys.is_manifest(key, &body) {
            let reason = "its checksum is not the one in its name".to_owned();
            return Err(TsdbError::Corrupt { what: key.to_owned(), reason });
        }
        let manifest: Manifest = wire::decode("manifest", &body)
            .map_err(|e| TsdbError::Corrupt { what: key.to_owned(), reason: e.to_string() })?;
        check_format(key, manifest.v)?;
        let manifest = Arc::new(manifest);
        self.caches.manifests.insert(key.to_owned(), Arc::clone(&manifest), 1);
        Ok(manifest)
    }

    /// What follows a manifest, so far without a change.
    pub(crate) fn successor(&self, parent: &Committed) -> Manifest {
        let mut manifest = (*parent.manifest).clone();
        let oldest = self.ports.now().saturating_sub(self.settings.query_grace_ms);
        manifest.retired.retain(|retired| retired.at >= oldest);
        manifest
    }

    /// Makes `manifest` and `watermark` what follows `parent`, unless something else already does.
    ///
    /// On an error the outcome is unknown, and may still change: nothing that the manifest names may be deleted (P6).
    pub(crate) async fn commit(
        &self,
        parent: &Committed,
        mut manifest: Manifest,
        watermark: i64,
    ) -> Result<Commit, TsdbError> {
        settle(&mut manifest, watermark);
        check_manifest(&manifest)?;
        if watermark < parent.head.watermark {
            return Err(TsdbError::Halt {
                invariant: "S6",
                reason: format!("watermark back to {watermark}"),
            });
        }
        let key = if manifest == *parent.manifest && parent.head.manifest.is_some() {
            parent.head.manifest.clone()
        } else {
            let body = Bytes::from(wire::encode(&manifest));
            let key = self.keys.manifest(&self.ports.unique_id(), &body);
            self.ports.create_object(&key, &body).await?;
            Some(key)
        };
        self.set_head(parent, Head { v: FORMAT, manifest: key, watermark }).await
    }

    /// Makes every commit that was computed from `parent` or before fail (P7), and changes nothing else.
    pub(crate) async fn fence(&self, parent: &Committed) -> Result<Commit, TsdbError> {
        self.set_head(parent, parent.head.clone()).await
    }

    async fn set_head(&self, parent: &Committed, head: Head) -> Result<Commit, TsdbError> {
        let row = self.keys.head();
        let value = Bytes::from(wire::encode(&head));
        let outcome = self.ports.rows.compare_and_set(&row, parent.version, value).await;
        match outcome {
            Ok(Cas::Done(version)) if version == parent.version + 1 => Ok(Commit::Done),
            Ok(Cas::Done(version)) => Err(TsdbError::Halt {
                invariant: "S6",
                reason: format!("head went from version {} to {version}", parent.version),
            }),
            // The port may itself have repeated the call, so that the row which beat us may be our own.
            Ok(Cas::Lost(now)) => judge(parent, &head, now).map(|done| done.unwrap_or(Commit::Lost)),
            Err(error @ PlatformError::Ambiguous { .. }) => {
                let now = self.ports.row(&row).await?;
                judge(parent, &head, now)?.ok_or(TsdbError::Platform(error))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What became of setting `head` after `parent`, given the row as it is now; `None` while that is unknown.
///
/// A commit always changes the manifest's key or the watermark, so that at the version after `parent` an equal
/// head is ours. A fence changes neither; of two that are equal it does not matter whose was first.
fn judge(parent: &Committed, head: &Head, now: Option<Row>) -> Result<Option<Commit>, TsdbError> {
    let Some(row) = now else { return Ok(None) };
    let current = decode_head(&row)?;
    if row.version == parent.version + 1 {
        return Ok(Some(if current == *head { Commit::Done } else { Commit::Lost }));
    }
    // Further on, only a manifest that nobody else can have named tells.
    let ours = head.manifest != parent.head.manifest && current.manifest == head.manifest;
    Ok(ours.then_some(Commit::Done))
}

fn decode_head(row: &Row) -> Result<Head, TsdbError> {
    let what = format!("{}/{}", row.key.partition, row.key.sort);
    let head: Head = wire::decode("head", &row.value)
        .map_err(|e| TsdbError::Corrupt { what: what.clone(), reason: e.to_string() })?;
    check_format(&what, head.v)?;
    Ok(head)
}

fn check_format(what: &str, version: u32) -> Result<(), TsdbError> {
    if version != FORMAT {
        let reason = format!("format version {version} is not {FORMAT}: a newer release wrote it");
        return Err(TsdbError::Corrupt { what: what.to_owned(), reason });
    }
    Ok(())
}
