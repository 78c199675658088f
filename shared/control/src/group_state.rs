//! What a rule group remembers between evaluations.

use bytes::Bytes;
use platform::{Cas, Platform, RowKey};
use wire::RuleGroupState;

use crate::ControlError;

const PARTITION: &str = "alerts";

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
        Some(row) => {
            Ok(GroupRegister { version: row.version, state: wire::decode("rule group state", &row.value)? })
        }
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
    let value = Bytes::from(wire::encode(state));
    match platform.rows.compare_and_set(&register(file, group), base.version, value).await? {
        Cas::Done(_) => Ok(true),
        Cas::Lost(_) => Ok(false),
    }
}

/// Names are hashed: they may be longer than a key, and hold anything.
fn register(file: &str, group: &str) -> RowKey {
    let identity = format!("{file}\0{group}");
    RowKey::new(PARTITION, format!("{:032x}", xxhash_rust::xxh3::xxh3_128(identity.as_bytes())))
}
