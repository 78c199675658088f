//! What a rule group remembers between evaluations.
//!
//! It is in the register itself, or, where an alert storm makes it too large for a row, in an object that the register
//! names. Every evaluation stores a new object; the collector deletes those that were replaced.

use bytes::Bytes;
use platform::{ByteRange, Cas, Platform, Row, RowKey, RowRange, unique_id};
use wire::{Pointer, RuleGroupState};

use crate::ControlError;
use crate::content::{list, stored_at};

const PARTITION: &str = "alerts";
/// Where states are that are too large for a row.
const KIND: &str = "alerts";
/// A larger state is stored as an object. A row may have 400 KB.
const INLINE_BYTES_MAX: usize = 256 << 10;
/// An object that no register names is deleted when it is so old, ms: longer than any invocation lasts, so that whoever
/// stored it can no longer be about to name it.
const KEPT_MS: i64 = 20 * 60_000;
/// Rows a page of a query.
const PAGE: usize = 1_000;

/// A rule group's state as it was read: what a change of it must be based on.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRegister {
    /// Version of the register; 0 where there is none yet.
    pub version: u64,
    /// Its content; the default where there is none yet.
    pub state: RuleGroupState,
}

/// The state of the group `group` of the rule file `file`.
///
/// # Errors
/// [`ControlError`].
pub async fn group_state(
    platform: &Platform,
    file: &str,
    group: &str,
) -> Result<GroupRegister, ControlError> {
    match platform.rows.get(&register(file, group)).await? {
        None => Ok(GroupRegister { version: 0, state: RuleGroupState { v: 1, ..RuleGroupState::default() } }),
        Some(row) => Ok(GroupRegister { version: row.version, state: read_state(platform, &row).await? }),
    }
}

/// Replaces the state that was read as `base`. `false` where somebody else has changed it since: another invocation
/// has evaluated the group.
///
/// # Errors
/// [`ControlError`].
pub async fn store_group_state(
    platform: &Platform,
    file: &str,
    group: &str,
    base: &GroupRegister,
    state: &RuleGroupState,
) -> Result<bool, ControlError> {
    let register = register(file, group);
    let mut value = Bytes::from(wire::encode(state));
    if value.len() > INLINE_BYTES_MAX {
        let id = unique_id(&*platform.clock, &*platform.entropy);
        let key = format!("{KIND}/{id}-{}", register.sort);
        platform.objects.create(&key, value).await?;
        value = Bytes::from(wire::encode(&Pointer { v: 1, key, set_at: platform.clock.now_ms() }));
    }
    match platform.rows.compare_and_set(&register, base.version, value).await? {
        Cas::Done(_) => Ok(true),
        Cas::Lost(_) => Ok(false),
    }
}

/// Names are hashed: they may be longer than a key, and hold anything.
fn register(file: &str, group: &str) -> RowKey {
    let identity = format!("{file}\0{group}");
    RowKey::new(PARTITION, format!("{:032x}", xxhash_rust::xxh3::xxh3_128(identity.as_bytes())))
}

async fn read_state(platform: &Platform, row: &Row) -> Result<RuleGroupState, ControlError> {
    match pointer(row) {
        None => Ok(wire::decode("rule group state", &row.value)?),
        Some(pointer) => {
            let object = platform.objects.read(&pointer.key, None, ByteRange::All).await?;
            Ok(wire::decode("rule group state", &object.body)?)
        }
    }
}

/// Where a register's state is, if not in the register. A state itself has no key, and so is no pointer.
fn pointer(row: &Row) -> Option<Pointer> {
    wire::decode("rule group register", &row.value).ok()
}

/// Deletes the objects that no register names any more; how many.
pub(crate) async fn collect(platform: &Platform) -> Result<u64, ControlError> {
    let oldest = platform.clock.now_ms().saturating_sub(KEPT_MS);
    let mut stored = list(platform, &format!("{KIND}/")).await?;
    stored.retain(|key| stored_at(key).is_some_and(|at| at < oldest));
    if stored.is_empty() {
        return Ok(0);
    }
    let mut range = RowRange { partition: PARTITION.to_owned(), from: "0".to_owned(), until: None };
    loop {
        let page = platform.rows.query(&range, PAGE).await?;
        let named: Vec<String> = page.iter().filter_map(pointer).map(|pointer| pointer.key).collect();
        stored.retain(|key| !named.contains(key));
        match page.last() {
            Some(last) if page.len() >= PAGE => range.from = format!("{}\0", last.key.sort),
            _ => break,
        }
    }
    for key in &stored {
        platform.objects.delete(key).await?;
    }
    Ok(stored.len() as u64)
}
