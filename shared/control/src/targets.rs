//! Which targets discovery last found.

use bytes::Bytes;
use platform::{ByteRange, Cas, Platform, RowKey};
use wire::{Pointer, TargetSnapshot};

use crate::{ControlError, PARTITION, content_key};

/// The current snapshot as it was read: what a change of it must be based on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRegister {
    /// Version of the register; 0 where there is none yet.
    pub version: u64,
    /// The object that the register names.
    pub key: Option<String>,
    /// Its content.
    pub snapshot: Option<TargetSnapshot>,
}

/// The targets that discovery last found.
///
/// # Errors
/// [`ControlError`].
pub async fn current_targets(platform: &Platform) -> Result<SnapshotRegister, ControlError> {
    let Some(row) = platform.rows.get(&register()).await? else {
        return Ok(SnapshotRegister { version: 0, key: None, snapshot: None });
    };
    let pointer: Pointer = wire::decode("targets register", &row.value)?;
    let object = platform.objects.read(&pointer.key, None, ByteRange::All).await?;
    let snapshot = wire::decode("target snapshot", &object.body)?;
    Ok(SnapshotRegister { version: row.version, key: Some(pointer.key), snapshot: Some(snapshot) })
}

/// Makes `snapshot` the current one unless it is already, or somebody else has changed the register since `base` was
/// read: then theirs stands, for it is at least as new.
///
/// # Errors
/// [`ControlError`].
pub async fn publish_targets(
    platform: &Platform,
    base: &SnapshotRegister,
    snapshot: &TargetSnapshot,
) -> Result<(), ControlError> {
    let body = wire::encode(snapshot);
    let key = content_key("targets", &body);
    if base.key.as_deref() == Some(key.as_str()) {
        return Ok(());
    }
    platform.objects.create(&key, Bytes::from(body)).await?;
    let pointer = Pointer { v: 1, key, set_at: platform.clock.now_ms() };
    let value = Bytes::from(wire::encode(&pointer));
    match platform.rows.compare_and_set(&register(), base.version, value).await? {
        Cas::Done(_) | Cas::Lost(_) => Ok(()),
    }
}

fn register() -> RowKey {
    RowKey::new(PARTITION, "targets")
}
