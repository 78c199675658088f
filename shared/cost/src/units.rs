//! How many units of a price a request is, by its size.

/// A write unit of DynamoDB, bytes.
pub const WRITE_UNIT_BYTES: u64 = 1024;
/// A read unit of DynamoDB, bytes, read consistently.
pub const READ_UNIT_BYTES: u64 = 4096;
/// What SQS and SNS bill as one request, bytes.
pub const MESSAGE_UNIT_BYTES: u64 = 64 * 1024;
/// What an HTTP API bills as one request, bytes.
pub const HTTP_API_UNIT_BYTES: u64 = 512 * 1024;
/// What CloudWatch Logs adds to each event, bytes.
pub const LOG_EVENT_BYTES: u64 = 26;

/// What an item of the table has besides the key and the value: the names of its attributes (`pk`, `sk`, `v`, `n`,
/// `exp`: 9 bytes) and two numbers (version and expiry: up to 9 bytes).
pub const ITEM_OVERHEAD_BYTES: u64 = 18;

/// The bytes of an item, by those of its partition key, sort key and value.
#[must_use]
pub fn item_bytes(partition: usize, sort: usize, value: usize) -> u64 {
    (partition + sort + value) as u64 + ITEM_OVERHEAD_BYTES
}

/// Write units of writing an item of so many bytes. A write whose condition fails takes as many, by the larger of the
/// item that was there and the one that was to be.
#[must_use]
pub fn write_units(item_bytes: u64) -> u64 {
    item_bytes.div_ceil(WRITE_UNIT_BYTES).max(1)
}

/// Read units of one consistent read of so many bytes, be it of an item or of a page of a query: of a query, the sum of
/// its items' sizes is rounded up, not each.
#[must_use]
pub fn read_units(bytes: u64) -> u64 {
    bytes.div_ceil(READ_UNIT_BYTES).max(1)
}

/// Requests that sending or receiving a payload of so many bytes is billed as, by SQS and SNS.
#[must_use]
pub fn message_units(bytes: u64) -> u64 {
    bytes.div_ceil(MESSAGE_UNIT_BYTES).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_whole_and_at_least_one() {
        assert_eq!([0, 1, 1024, 1025].map(write_units), [1, 1, 1, 2]);
        assert_eq!([0, 4096, 4097].map(read_units), [1, 1, 2]);
        assert_eq!([0, 65_536, 65_537, 256 * 1024].map(message_units), [1, 1, 2, 4]);
        assert_eq!(item_bytes(3, 5, 1_000), 1_026);
    }

    proptest! {
        #[test]
        fn more_bytes_never_take_fewer_units(a in 0u64..1 << 40, b in 0u64..1 << 40) {
            let (less, more) = (a.min(b), a.max(b));
            prop_assert!(write_units(less) <= write_units(more));
            prop_assert!(read_units(less) <= read_units(more));
            prop_assert!(message_units(less) <= message_units(more));
            prop_assert!(read_units(more) <= write_units(more));
        }
    }
}
