//! Objects in memory.

use bytes::Bytes;
use platform::{ByteRange, ListedObject, Object, Objects, PlatformFuture, Put, Version, check_object_key};

use crate::stores::Stores;
use crate::{Handle, Operation};

#[derive(Debug)]
pub(crate) struct SimObjects {
    world: Handle,
}

impl SimObjects {
    pub(crate) fn new(world: Handle) -> Self {
        Self { world }
    }
}

impl Objects for SimObjects {
    fn create<'a>(&'a self, key: &'a str, body: Bytes) -> PlatformFuture<'a, Put> {
        Box::pin(async move {
            check_object_key("create", key)?;
            let owned = key.to_owned();
            let change = move |stores: &mut Stores, _| stores.create(&owned, body);
            self.world.effect(Operation::ObjectCreate, key, change).await?
        })
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        version: Option<&'a Version>,
        range: ByteRange,
    ) -> PlatformFuture<'a, Object> {
        Box::pin(async move {
            check_object_key("read", key)?;
            let (owned, version) = (key.to_owned(), version.cloned());
            let read = move |stores: &mut Stores, _| stores.read(&owned, version.as_ref(), range);
            self.world.effect(Operation::ObjectRead, key, read).await?
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> PlatformFuture<'a, Vec<ListedObject>> {
        Box::pin(async move {
            let (owned, after) = (prefix.to_owned(), after.map(str::to_owned));
            let list = move |stores: &mut Stores, _| stores.list(&owned, after.as_deref(), limit);
            self.world.effect(Operation::ObjectList, prefix, list).await
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> PlatformFuture<'a, ()> {
        Box::pin(async move {
            check_object_key("delete", key)?;
            let owned = key.to_owned();
            let change = move |stores: &mut Stores, _| stores.delete(&owned);
            self.world.effect(Operation::ObjectDelete, key, change).await
        })
    }
}
