//! Names of configurations and target snapshots, and the end of those that nobody names any more.
//!
//! ```text
//! config/<ulid>-<hash>     the ulid says when it was stored, the hash what it is
//! ```
//!
//! A name that was deleted is spent, so the same content that comes back later gets another name. Of equal content in a
//! row only the first is stored.

use bytes::Bytes;
use platform::{Cas, Platform, RowKey, unique_id};
use wire::Pointer;

use crate::{ControlError, configuration, group_state, targets};

/// What has been replaced for so long is deleted, ms: no task that names it can still be in time.
const KEPT_MS: i64 = 3_600_000;
/// Keys a page of a list.
const PAGE: usize = 1_000;
/// Length of a ULID.
const ULID_LEN: usize = 26;

/// Stores `body` under a new name, unless `current` is it already; its name.
pub(crate) async fn store_content(
    platform: &Platform,
    kind: &str,
    body: &[u8],
    current: Option<&str>,
) -> Result<String, ControlError> {
    let hash = format!("-{:032x}", xxhash_rust::xxh3::xxh3_128(body));
    if let Some(current) = current.filter(|current| current.ends_with(&hash)) {
        return Ok(current.to_owned());
    }
    let id = unique_id(&*platform.clock, &*platform.entropy);
    let key = format!("{kind}/{id}{hash}");
    platform.objects.create(&key, Bytes::copy_from_slice(body)).await?;
    Ok(key)
}

/// Deletes the configurations and target snapshots that were replaced an hour ago or longer, and the states of rule
/// groups that have been replaced; how many. For the collector alone, which may delete.
///
/// # Errors
/// [`ControlError`]; another call goes on where this one stopped.
pub async fn collect(platform: &Platform) -> Result<u64, ControlError> {
    let mut deleted = group_state::collect(platform).await?;
    for (kind, register) in
        [(configuration::KIND, configuration::register()), (targets::KIND, targets::register())]
    {
        deleted += collect_kind(platform, kind, &register).await?;
    }
    Ok(deleted)
}

async fn collect_kind(platform: &Platform, kind: &str, register: &RowKey) -> Result<u64, ControlError> {
    let stored = list(platform, &format!("{kind}/")).await?;
    let Some(row) = platform.rows.get(register).await? else { return Ok(0) };
    let pointer: Pointer = wire::decode("register", &row.value)?;
    let oldest = platform.clock.now_ms().saturating_sub(KEPT_MS);
    // One was replaced when the next was stored. Names sort by time.
    let replaced_before =
        |next: Option<&String>| next.and_then(|key| stored_at(key)).is_some_and(|at| at < oldest);
    let doomed: Vec<&String> = stored
        .iter()
        .enumerate()
        .filter(|(at, key)| **key != pointer.key && replaced_before(stored.get(at + 1)))
        .map(|(_, key)| key)
        .collect();
    if doomed.is_empty() {
        return Ok(0);
    }
    // The fence: a publisher that stored one of these and has not made it current yet can no longer do so.
    if let Cas::Lost(_) = platform.rows.compare_and_set(register, row.version, row.value.clone()).await? {
        return Ok(0);
    }
    for key in &doomed {
        platform.objects.delete(key).await?;
    }
    Ok(doomed.len() as u64)
}

/// Every key below a prefix, in order.
pub(crate) async fn list(platform: &Platform, prefix: &str) -> Result<Vec<String>, ControlError> {
    let mut keys: Vec<String> = Vec::new();
    loop {
        let page = platform.objects.list(prefix, keys.last().map(String::as_str), PAGE).await?;
        let full = page.len() >= PAGE;
        keys.extend(page.into_iter().map(|object| object.key));
        if !full {
            return Ok(keys);
        }
    }
}

/// When the object of this name was stored, ms since the epoch. A name of another form is from no known time.
pub(crate) fn stored_at(key: &str) -> Option<i64> {
    const DIGITS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let (_, name) = key.split_once('/')?;
    let (id, _) = name.split_once('-').filter(|(id, _)| id.len() == ULID_LEN)?;
    // 48 bits of time are the first ten digits.
    id.get(..10)?.chars().try_fold(0i64, |time, digit| {
        let value = DIGITS.find(digit)?;
        Some(time << 5 | i64::try_from(value).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_when_it_was_stored() {
        let world = platform_sim::World::new(1);
        let platform = world.platform();
        let key =
            world.run(async move { store_content(&platform, "config", b"x", None).await }).done().unwrap();
        let at = stored_at(&key).unwrap();
        assert!((world.now_ms() - 1_000..=world.now_ms()).contains(&at), "{key}: {at}");
        for other in ["config/00ff", "config", "config/-", "config/01M824TCHZPVYBE3XQC2Z0A5G-00"] {
            assert_eq!(stored_at(other), None, "{other}");
        }
    }
}
