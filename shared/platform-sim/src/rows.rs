//! Rows in memory.

use bytes::Bytes;
use platform::{Cas, PlatformFuture, Row, RowKey, RowPut, RowRange, Rows, check_row};

use crate::stores::Stores;
use crate::world::Moment;
use crate::{Handle, Operation};

#[derive(Debug)]
pub(crate) struct SimRows {
    world: Handle,
}

impl SimRows {
    pub(crate) fn new(world: Handle) -> Self {
        Self { world }
    }

    /// An effect on the rows that have not vanished by then.
    async fn effect<R, A>(
        &self,
        operation: Operation,
        subject: &str,
        change: A,
    ) -> Result<R, platform::PlatformError>
    where
        R: crate::trace::Outcome + Send + 'static,
        A: FnOnce(&mut Stores) -> R + Send + 'static,
    {
        let change = move |stores: &mut Stores, moment: Moment| {
            stores.expire(moment.now_ms / 1_000);
            change(stores)
        };
        self.world.effect(operation, subject, change).await
    }
}

impl Rows for SimRows {
    fn create<'a>(
        &'a self,
        key: &'a RowKey,
        value: Bytes,
        expires_at_s: Option<i64>,
    ) -> PlatformFuture<'a, RowPut> {
        Box::pin(async move {
            check_row("create row", key, value.len())?;
            let owned = key.clone();
            let change = move |stores: &mut Stores| stores.create_row(&owned, value, expires_at_s);
            self.effect(Operation::RowCreate, &key.to_string(), change).await
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
            let owned = key.clone();
            let change = move |stores: &mut Stores| stores.compare_and_set(&owned, expected, value);
            self.effect(Operation::RowCompareAndSet, &key.to_string(), change).await
        })
    }

    fn get<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, Option<Row>> {
        Box::pin(async move {
            check_row("get row", key, 0)?;
            let owned = key.clone();
            self.effect(Operation::RowGet, &key.to_string(), move |stores| stores.get_row(&owned)).await
        })
    }

    fn query<'a>(&'a self, range: &'a RowRange, limit: usize) -> PlatformFuture<'a, Vec<Row>> {
        Box::pin(async move {
            let owned = range.clone();
            let read = move |stores: &mut Stores| stores.query_rows(&owned, limit);
            self.effect(Operation::RowQuery, &range.partition, read).await
        })
    }

    fn delete<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, ()> {
        Box::pin(async move {
            check_row("delete row", key, 0)?;
            let owned = key.clone();
            self.effect(Operation::RowDelete, &key.to_string(), move |stores| stores.delete_row(&owned)).await
        })
    }
}
