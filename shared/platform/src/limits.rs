//! What keys and bodies every adapter accepts, so that all refuse the same.

use std::time::Duration;

use crate::{PlatformError, RowKey};

/// The longest object key in bytes.
pub const OBJECT_KEY_BYTES_MAX: usize = 512;

/// The longest segment of an object key in bytes: that of a file's name.
pub const OBJECT_SEGMENT_BYTES_MAX: usize = 255;

/// The longest partition and the longest sort key of a row in bytes.
pub const ROW_KEY_BYTES_MAX: usize = 512;

/// The largest row in bytes, its key included: that of a DynamoDB item.
pub const ROW_BYTES_MAX: usize = 400 * 1024;

/// The largest message in bytes.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// The longest delay of a message.
pub const MESSAGE_DELAY_MAX: Duration = Duration::from_secs(15 * 60);

/// Checks an object's key against the grammar of [`crate::Objects`].
///
/// # Errors
/// `Invalid`, saying what is wrong.
pub fn check_object_key(operation: &str, key: &str) -> Result<(), PlatformError> {
    let reason = if key.is_empty() {
        "the key is empty".to_owned()
    } else if key.len() > OBJECT_KEY_BYTES_MAX {
        format!("the key is longer than {OBJECT_KEY_BYTES_MAX} bytes")
    } else if let Some(segment) = key.split('/').find(|segment| !is_object_segment(segment)) {
        format!("{segment:?} is no key segment")
    } else {
        return Ok(());
    };
    Err(PlatformError::Invalid { operation: format!("{operation} {key}"), reason })
}

/// Whether `segment` may stand between two slashes of an object's key.
#[must_use]
pub fn is_object_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
        && segment.len() <= OBJECT_SEGMENT_BYTES_MAX
        && segment
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'=' | b'-'))
}

/// Checks a row's key, and the length of what it is to hold.
///
/// # Errors
/// `Invalid`, saying what is wrong.
pub fn check_row(operation: &str, key: &RowKey, value_bytes: usize) -> Result<(), PlatformError> {
    let reason = if key.partition.is_empty() || key.sort.is_empty() {
        "a part of the key is empty".to_owned()
    } else if key.partition.len() > ROW_KEY_BYTES_MAX || key.sort.len() > ROW_KEY_BYTES_MAX {
        format!("a part of the key is longer than {ROW_KEY_BYTES_MAX} bytes")
    } else if key.partition.len() + key.sort.len() + value_bytes > ROW_BYTES_MAX {
        format!("the row is larger than {ROW_BYTES_MAX} bytes")
    } else {
        return Ok(());
    };
    Err(PlatformError::Invalid { operation: format!("{operation} {key}"), reason })
}

/// Checks a message that is to be sent.
///
/// # Errors
/// `Invalid`, saying what is wrong.
pub fn check_message(operation: &str, body_bytes: usize, delay: Duration) -> Result<(), PlatformError> {
    let reason = if body_bytes > MESSAGE_BYTES_MAX {
        format!("the message is larger than {MESSAGE_BYTES_MAX} bytes")
    } else if delay > MESSAGE_DELAY_MAX {
        format!("the delay is longer than {} s", MESSAGE_DELAY_MAX.as_secs())
    } else {
        return Ok(());
    };
    Err(PlatformError::Invalid { operation: operation.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_grammar_pass_and_no_other() {
        for key in ["a", "wal/default/shard=3/1700000000000", "A-z_0.9=", "a/...", "..a/.b"] {
            check_object_key("create", key).unwrap();
        }
        let long_key = ["a"; 257].join("/");
        let long_segment = "a".repeat(256);
        for key in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "a/./b", "a b", "ä", "a\\b", "a\0", "a:b",
            "a%2Fb",
        ] {
            assert!(check_object_key("create", key).is_err(), "{key:?}");
        }
        assert!(check_object_key("create", &long_key).is_err());
        assert!(check_object_key("create", &long_segment).is_err());
    }

    #[test]
    fn rows_and_messages_are_bounded() {
        let key = RowKey::new("p", "s");
        check_row("create", &key, ROW_BYTES_MAX - 2).unwrap();
        assert!(check_row("create", &key, ROW_BYTES_MAX - 1).is_err());
        assert!(check_row("create", &RowKey::new("", "s"), 0).is_err());
        assert!(check_row("create", &RowKey::new("p", "x".repeat(513)), 0).is_err());
        check_message("send", MESSAGE_BYTES_MAX, MESSAGE_DELAY_MAX).unwrap();
        assert!(check_message("send", MESSAGE_BYTES_MAX + 1, Duration::ZERO).is_err());
        assert!(check_message("send", 0, MESSAGE_DELAY_MAX + Duration::from_secs(1)).is_err());
    }
}
