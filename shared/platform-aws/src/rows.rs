//! Rows in DynamoDB.

mod item;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure as OnFailure,
};
use bytes::Bytes;
use platform::{
    Cas, PlatformError, PlatformFuture, ROW_KEY_BYTES_MAX, Row, RowKey, RowPut, RowRange, Rows, check_row,
};

use crate::caller::{Call, Caller};
use crate::failure::{Failure, judge};
use item::{EXPIRY, PARTITION, SORT, VALUE, VERSION, WRITER, binary, number, text};

pub(crate) use item::item_bytes;

/// Rows of a table with partition key `pk` and sort key `sk`, both strings.
///
/// ```text
///  pk, sk   the key        v    the value, binary       n   the version, a number
///  exp      when it may vanish, seconds; the table's TTL attribute; absent where never
///  w        which call wrote a register: how a call knows its own earlier attempt when it meets it
/// ```
#[derive(Clone)]
pub struct AwsRows {
    client: Client,
    table: String,
    caller: Arc<Caller>,
}

impl std::fmt::Debug for AwsRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsRows").field("table", &self.table).finish_non_exhaustive()
    }
}

/// What is in the way of a conditional write.
enum Condition {
    /// This is there; nothing where `None`.
    Failed(Option<item::Stored>),
    /// Something else went wrong.
    Other(Failure),
}

impl AwsRows {
    pub(crate) fn new(client: Client, table: String, caller: Arc<Caller>) -> Self {
        Self { client, table, caller }
    }

    /// A write of a row of version 1 that must not be there.
    fn put(&self, key: &RowKey, value: &Bytes) -> PutItemFluentBuilder {
        self.client
            .put_item()
            .table_name(&self.table)
            .item(PARTITION, text(&key.partition))
            .item(SORT, text(&key.sort))
            .item(VALUE, binary(value))
            .item(VERSION, number(1))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    /// A write of the value and version of a row that must be at version `expected`. The expiry stays.
    fn update(&self, key: &RowKey, expected: u64, value: &Bytes, writer: u64) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key(PARTITION, text(&key.partition))
            .key(SORT, text(&key.sort))
            .update_expression("SET v = :v, n = n + :one, w = :w")
            .condition_expression("n = :expected")
            .expression_attribute_values(":v", binary(value))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":w", number(writer))
            .expression_attribute_values(":expected", number(expected))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    async fn create_row(
        &self,
        key: &RowKey,
        value: &Bytes,
        expires_at_s: Option<i64>,
    ) -> Result<RowPut, PlatformError> {
        let what = format!("create row {key}");
        let call = Call::change("dynamodb", "PutItem", what.clone()).with_body(value.len() as u64);
        let attempt = |_| {
            let mut request = self.put(key, value);
            if let Some(expires_at_s) = expires_at_s {
                request = request.item(EXPIRY, AttributeValue::N(expires_at_s.to_string()));
            }
            async {
                match sent_put(request, &what).await {
                    Ok(()) => Ok(RowPut::Created),
                    // Of an earlier attempt of this call, perhaps: the port allows for that.
                    Err(Condition::Failed(Some(stored))) => Ok(RowPut::Exists(stored.row)),
                    Err(Condition::Failed(None)) => {
                        Err(Failure::Refused("the row vanished while it was being read".to_owned()))
                    }
                    Err(Condition::Other(failure)) => Err(failure),
                }
            }
        };
        self.caller.call(call, attempt).await
    }

    async fn set_row(&self, key: &RowKey, expected: u64, value: &Bytes) -> Result<Cas, PlatformError> {
        let what = format!("set row {key}");
        let operation = if expected == 0 { "PutItem" } else { "UpdateItem" };
        let call = Call::change("dynamodb", operation, what.clone()).with_body(value.len() as u64);
        let writer = self.caller.entropy.next_u64();
        let done = Cas::Done(expected.saturating_add(1));
        let (what, done) = (&what, &done);
        let attempt = |unknown: bool| async move {
            let sent = if expected == 0 {
                sent_put(self.put(key, value).item(WRITER, number(writer)), what).await
            } else {
                sent_update(self.update(key, expected, value, writer), what).await
            };
            match sent {
                Ok(()) => Ok(done.clone()),
                Err(Condition::Failed(stored)) => met(stored, expected, writer, unknown, what),
                Err(Condition::Other(failure)) => Err(failure),
            }
        };
        self.caller.call(call, attempt).await
    }

    async fn get_row(&self, key: &RowKey) -> Result<Option<Row>, PlatformError> {
        let what = format!("get row {key}");
        let call = Call::read("dynamodb", "GetItem", what.clone());
        let attempt = |_| {
            let request = self
                .client
                .get_item()
                .table_name(&self.table)
                .key(PARTITION, text(&key.partition))
                .key(SORT, text(&key.sort))
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            async {
                let output = request.send().await.map_err(|error| judge(&error, &what))?;
                let stored = output.item.map(item::stored).transpose().map_err(Failure::Final)?;
                Ok(stored.map(|stored| stored.row))
            }
        };
        self.caller.call(call, attempt).await
    }

    async fn query_rows(&self, range: &RowRange, limit: usize) -> Result<Vec<Row>, PlatformError> {
        let empty = range.until.as_ref().is_some_and(|until| *until <= range.from);
        let mut rows: Vec<Row> = Vec::new();
        if empty || range.partition.is_empty() {
            return Ok(rows);
        }
        check_range(range)?;
        let mut from = range.from.clone();
        while rows.len() < limit {
            let (page, more) = self.query_page(range, &from, limit - rows.len()).await?;
            let Some(last) = page.last() else { break };
            from = format!("{}\0", last.key.sort);
            // DynamoDB's range has its end in it, ours has not.
            rows.extend(page.into_iter().filter(|row| range.until.as_ref() != Some(&row.key.sort)));
            if !more || range.until.as_ref().is_some_and(|until| *until <= from) {
                break;
            }
        }
        Ok(rows)
    }

    /// At most `limit` rows from the sort key `from` on, and whether there may be more.
    async fn query_page(
        &self,
        range: &RowRange,
        from: &str,
        limit: usize,
    ) -> Result<(Vec<Row>, bool), PlatformError> {
        let what = format!("query rows {}", range.partition);
        let condition = match (from.is_empty(), &range.until) {
            (true, None) => "pk = :pk",
            (true, Some(_)) => "pk = :pk AND sk < :until",
            (false, None) => "pk = :pk AND sk >= :from",
            (false, Some(_)) => "pk = :pk AND sk BETWEEN :from AND :until",
        };
        let call = Call::read("dynamodb", "Query", what.clone()).with_body(1 << 20);
        let attempt = |_| {
            let mut request = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression(condition)
                .expression_attribute_values(":pk", text(&range.partition))
                .consistent_read(true)
                .limit(i32::try_from(limit).unwrap_or(i32::MAX))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            if !from.is_empty() {
                request = request.expression_attribute_values(":from", text(from));
            }
            if let Some(until) = &range.until {
                request = request.expression_attribute_values(":until", text(until));
            }
            async {
                let output = request.send().await.map_err(|error| judge(&error, &what))?;
                let more = output.last_evaluated_key.is_some_and(|key| !key.is_empty());
                let rows = output.items.unwrap_or_default().into_iter();
                let rows: Result<Vec<Row>, PlatformError> =
                    rows.map(|item| item::stored(item).map(|stored| stored.row)).collect();
                Ok((rows.map_err(Failure::Final)?, more))
            }
        };
        self.caller.call(call, attempt).await
    }

    async fn delete_row(&self, key: &RowKey) -> Result<(), PlatformError> {
        let what = format!("delete row {key}");
        let call = Call::change("dynamodb", "DeleteItem", what.clone());
        let attempt = |_| {
            let request = self
                .client
                .delete_item()
                .table_name(&self.table)
                .key(PARTITION, text(&key.partition))
                .key(SORT, text(&key.sort))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            async { request.send().await.map(|_| ()).map_err(|error| judge(&error, &what)) }
        };
        self.caller.call(call, attempt).await
    }
}

impl Rows for AwsRows {
    fn create<'a>(
        &'a self,
        key: &'a RowKey,
        value: Bytes,
        expires_at_s: Option<i64>,
    ) -> PlatformFuture<'a, RowPut> {
        Box::pin(async move {
            check_row("create row", key, value.len())?;
            self.create_row(key, &value, expires_at_s).await
        })
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a RowKey,
        expected: u64,
        value: Bytes,
    ) -> PlatformFuture<'a, Cas> {
        Box::pin(async move {
            check_row("set row", key, value.len())?;
            self.set_row(key, expected, &value).await
        })
    }

    fn get<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, Option<Row>> {
        Box::pin(async move {
            check_row("get row", key, 0)?;
            self.get_row(key).await
        })
    }

    fn query<'a>(&'a self, range: &'a RowRange, limit: usize) -> PlatformFuture<'a, Vec<Row>> {
        Box::pin(self.query_rows(range, limit))
    }

    fn delete<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, ()> {
        Box::pin(async move {
            check_row("delete row", key, 0)?;
            self.delete_row(key).await
        })
    }
}

/// What a compare-and-set that did not find `expected` has come to. Where an earlier attempt of the same call may have
/// taken effect, the row may be at another version *because* of it.
fn met(
    stored: Option<item::Stored>,
    expected: u64,
    writer: u64,
    unknown: bool,
    what: &str,
) -> Result<Cas, Failure> {
    let Some(stored) = stored else { return Ok(Cas::Lost(None)) };
    let ours = expected.saturating_add(1);
    if stored.row.version == ours && stored.writer == Some(writer) {
        return Ok(Cas::Done(ours));
    }
    if unknown && stored.row.version > ours {
        // Somebody went on from version `ours`, and nothing tells any more whose that was.
        let reason = "an attempt had no answer, and the row has been changed since".to_owned();
        return Err(Failure::Final(PlatformError::Ambiguous { operation: what.to_owned(), reason }));
    }
    Ok(Cas::Lost(Some(stored.row)))
}

/// DynamoDB refuses bounds that no key can have.
fn check_range(range: &RowRange) -> Result<(), PlatformError> {
    // A row's key, and the zero byte after it from which a query goes on.
    let too_long = |part: &str| part.len() > ROW_KEY_BYTES_MAX + 1;
    if too_long(&range.partition) || too_long(&range.from) || range.until.as_deref().is_some_and(too_long) {
        let reason = format!("a part of the range is longer than {ROW_KEY_BYTES_MAX} bytes");
        return Err(PlatformError::Invalid { operation: "query rows".to_owned(), reason });
    }
    Ok(())
}

async fn sent_put(request: PutItemFluentBuilder, what: &str) -> Result<(), Condition> {
    match request.send().await {
        Ok(_) => Ok(()),
        Err(error) => match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => Err(condition(failed)),
            _ => Err(Condition::Other(judge(&error, what))),
        },
    }
}

async fn sent_update(request: UpdateItemFluentBuilder, what: &str) -> Result<(), Condition> {
    match request.send().await {
        Ok(_) => Ok(()),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => Err(condition(failed)),
            _ => Err(Condition::Other(judge(&error, what))),
        },
    }
}

fn condition(failed: &ConditionalCheckFailedException) -> Condition {
    match failed.item().cloned().map(item::stored).transpose() {
        Ok(stored) => Condition::Failed(stored),
        Err(error) => Condition::Other(Failure::Final(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(version: u64, writer: Option<u64>) -> item::Stored {
        let key = RowKey::new("p", "s");
        item::Stored { row: Row { key, version, value: Bytes::new(), expires_at_s: None }, writer }
    }

    #[test]
    fn an_attempt_that_meets_its_own_earlier_one_has_won() {
        let met = |stored, unknown| met(stored, 3, 77, unknown, "set row p/s");
        assert_eq!(met(Some(stored(4, Some(77))), true), Ok(Cas::Done(4)));
        assert_eq!(met(None, true), Ok(Cas::Lost(None)));
        for lost in [stored(4, Some(78)), stored(4, None), stored(2, Some(77))] {
            let row = lost.row.clone();
            assert_eq!(met(Some(lost), true), Ok(Cas::Lost(Some(row))));
        }
        let later = stored(5, Some(78));
        assert!(matches!(met(Some(later), true), Err(Failure::Final(PlatformError::Ambiguous { .. }))));
        assert!(matches!(met(Some(stored(5, Some(78))), false), Ok(Cas::Lost(Some(_)))));
    }
}
