//! Rows as DynamoDB's items.

use std::borrow::Borrow;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use platform::{PlatformError, Row, RowKey};

pub(super) const PARTITION: &str = "pk";
pub(super) const SORT: &str = "sk";
pub(super) const VALUE: &str = "v";
pub(super) const VERSION: &str = "n";
pub(super) const EXPIRY: &str = "exp";
pub(super) const WRITER: &str = "w";

/// A row, and which call wrote it where that is known.
pub(super) struct Stored {
    pub(super) row: Row,
    pub(super) writer: Option<u64>,
}

pub(super) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(super) fn binary(bytes: &Bytes) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes.to_vec()))
}

pub(super) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The row of an item.
///
/// # Errors
/// `Corrupt` where it is not one that this adapter writes.
pub(super) fn stored(
    item: impl IntoIterator<Item = (String, AttributeValue)>,
) -> Result<Stored, PlatformError> {
    let (mut key, mut value, mut version) = (RowKey::new("", ""), None, None);
    let (mut expires_at_s, mut writer) = (None, None);
    for (name, attribute) in item {
        match (name.as_str(), attribute) {
            (PARTITION, AttributeValue::S(text)) => key.partition = text,
            (SORT, AttributeValue::S(text)) => key.sort = text,
            (VALUE, AttributeValue::B(blob)) => value = Some(Bytes::from(blob.into_inner())),
            (VERSION, AttributeValue::N(digits)) => version = digits.parse().ok(),
            (EXPIRY, AttributeValue::N(digits)) => expires_at_s = digits.parse().ok(),
            (WRITER, AttributeValue::N(digits)) => writer = digits.parse().ok(),
            _ => {}
        }
    }
    match (value, version) {
        (Some(value), Some(version)) => Ok(Stored { row: Row { key, version, value, expires_at_s }, writer }),
        _ => Err(PlatformError::Corrupt {
            what: format!("row {key}"),
            reason: "its item has no value or no version".to_owned(),
        }),
    }
}

/// An item's size as DynamoDB bills it: names and values; a number is about half a byte a digit and one more.
pub(crate) fn item_bytes<N: Borrow<String>, V: Borrow<AttributeValue>>(
    item: impl Iterator<Item = (N, V)>,
) -> usize {
    item.map(|(name, value)| {
        let value = match value.borrow() {
            AttributeValue::S(text) => text.len(),
            AttributeValue::B(blob) => blob.as_ref().len(),
            AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
            _ => 0,
        };
        name.borrow().len() + value
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(pairs: Vec<(&str, AttributeValue)>) -> Vec<(String, AttributeValue)> {
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn an_item_that_is_no_row_is_corrupt() {
        let key = || vec![(PARTITION, text("p")), (SORT, text("s"))];
        let value = || (VALUE, binary(&Bytes::from_static(b"x")));
        let whole = item([key(), vec![value(), (VERSION, number(3)), (EXPIRY, number(9))]].concat());
        let read = stored(whole).unwrap();
        assert_eq!((read.row.version, read.row.expires_at_s, read.writer), (3, Some(9), None));
        for attributes in [
            vec![(VERSION, number(1))],
            vec![value()],
            vec![value(), (VERSION, text("1"))],
            vec![value(), (VERSION, AttributeValue::N("-1".to_owned()))],
            vec![(VALUE, text("x")), (VERSION, number(1))],
        ] {
            let read = stored(item([key(), attributes].concat()));
            assert!(matches!(read, Err(PlatformError::Corrupt { .. })));
        }
    }

    #[test]
    fn sizes_are_those_of_names_and_values() {
        let pairs = item(vec![(PARTITION, text("abc")), (VALUE, binary(&Bytes::from_static(&[0; 10])))]);
        assert_eq!(item_bytes(pairs.iter().map(|(name, value)| (name, value))), 2 + 3 + 1 + 10);
    }
}
