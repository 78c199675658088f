//! Which targets discovery last found, and by which targets each window was planned.

use bytes::Bytes;
use platform::{ByteRange, Cas, Platform, PlatformError, RowKey, RowPut};
use wire::{Pointer, TargetSnapshot};

use crate::content::store_content;
use crate::{ControlError, PARTITION};

pub(crate) const KIND: &str = "targets";

/// Partition of the plans of windows.
const PLANS: &str = "plans";
/// A plan is kept so long, seconds: long after every scrape of its window is too late.
const PLAN_KEPT_S: i64 = 86_400;

/// The current snapshot as it was read: what a change of it must be based on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRegister {
    /// Version of the register; 0 where there is none yet.
    pub version: u64,
    /// The object that the register names, if it is there.
    pub key: Option<String>,
    /// When these targets were found, ms since the epoch; 0 before the first.
    pub set_at: i64,
    /// Its content.
    pub snapshot: Option<TargetSnapshot>,
}

/// The targets that a window's scrapes are planned by: always the same ones, however often it is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowPlan {
    /// The object that holds them.
    pub key: String,
    /// When the window was first planned, ms since the epoch.
    pub planned_at: i64,
    /// Its content.
    pub snapshot: TargetSnapshot,
}

/// The targets that discovery last found.
///
/// # Errors
/// [`ControlError`].
pub async fn current_targets(platform: &Platform) -> Result<SnapshotRegister, ControlError> {
    let Some(row) = platform.rows.get(&register()).await? else {
        return Ok(SnapshotRegister { version: 0, key: None, set_at: 0, snapshot: None });
    };
    let pointer: Pointer = wire::decode("targets register", &row.value)?;
    let (version, set_at) = (row.version, pointer.set_at);
    match read_snapshot(platform, &pointer.key).await {
        Ok(snapshot) => {
            Ok(SnapshotRegister { version, key: Some(pointer.key), set_at, snapshot: Some(snapshot) })
        }
        // Lost, by whatever means: discovery finds the targets anew, and stores them under another name.
        Err(ControlError::Platform(PlatformError::NotFound { .. })) => {
            Ok(SnapshotRegister { version, key: None, set_at, snapshot: None })
        }
        Err(error) => Err(error),
    }
}

/// The plan of the window `from <= t < until`, ms, if it has been planned.
///
/// # Errors
/// [`ControlError`].
pub async fn window_plan(
    platform: &Platform,
    from: i64,
    until: i64,
) -> Result<Option<WindowPlan>, ControlError> {
    match platform.rows.get(&plan_key(from, until)).await? {
        None => Ok(None),
        Some(row) => Ok(Some(read_plan(platform, &row.value).await?)),
    }
}

/// Plans a window by `snapshot`, unless it has been planned already: then by what it was planned by. `base` is the
/// current snapshot, which is not stored again.
///
/// # Errors
/// [`ControlError`].
pub async fn plan_window(
    platform: &Platform,
    from: i64,
    until: i64,
    base: &SnapshotRegister,
    snapshot: TargetSnapshot,
) -> Result<WindowPlan, ControlError> {
    let key = store_content(platform, KIND, &wire::encode(&snapshot), base.key.as_deref()).await?;
    let planned_at = platform.clock.now_ms();
    let pointer = Pointer { v: 1, key: key.clone(), set_at: planned_at };
    let value = Bytes::from(wire::encode(&pointer));
    let expires_at_s = (planned_at / 1_000).saturating_add(PLAN_KEPT_S);
    match platform.rows.create(&plan_key(from, until), value, Some(expires_at_s)).await? {
        RowPut::Created => Ok(WindowPlan { key, planned_at, snapshot }),
        RowPut::Exists(row) => read_plan(platform, &row.value).await,
    }
}

/// Makes a plan's snapshot the current one unless it is already, or somebody else has changed the register since `base`
/// was read: then theirs stands, for it is at least as new.
///
/// # Errors
/// [`ControlError`].
pub async fn publish_targets(
    platform: &Platform,
    base: &SnapshotRegister,
    plan: &WindowPlan,
) -> Result<(), ControlError> {
    if base.key.as_deref() == Some(plan.key.as_str()) {
        return Ok(());
    }
    let pointer = Pointer { v: 1, key: plan.key.clone(), set_at: plan.planned_at };
    let value = Bytes::from(wire::encode(&pointer));
    match platform.rows.compare_and_set(&register(), base.version, value).await? {
        Cas::Done(_) | Cas::Lost(_) => Ok(()),
    }
}

async fn read_plan(platform: &Platform, value: &[u8]) -> Result<WindowPlan, ControlError> {
    let pointer: Pointer = wire::decode("plan of a window", value)?;
    let snapshot = read_snapshot(platform, &pointer.key).await?;
    Ok(WindowPlan { key: pointer.key, planned_at: pointer.set_at, snapshot })
}

async fn read_snapshot(platform: &Platform, key: &str) -> Result<TargetSnapshot, ControlError> {
    let object = platform.objects.read(key, None, ByteRange::All).await?;
    Ok(wire::decode("target snapshot", &object.body)?)
}

pub(crate) fn register() -> RowKey {
    RowKey::new(PARTITION, KIND)
}

fn plan_key(from: i64, until: i64) -> RowKey {
    RowKey::new(PLANS, format!("{from:020}-{until:020}"))
}
