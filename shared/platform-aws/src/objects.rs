//! Objects in S3.

use bytes::Bytes;
use platform::{ByteRange, ListedObject, Object, Objects, PlatformFuture, Put, Version, check_object_key};

use crate::store::Store;

/// What keys begin with in the bucket, so that files are apart.
const PREFIX: &str = "data/";

/// Objects below `data/` of a bucket.
#[derive(Clone, Debug)]
pub struct AwsObjects {
    store: Store,
}

impl AwsObjects {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Objects for AwsObjects {
    fn create<'a>(&'a self, key: &'a str, body: Bytes) -> PlatformFuture<'a, Put> {
        Box::pin(async move {
            check_object_key("create", key)?;
            self.store.create(&stored(key), body, format!("create {key}")).await
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
            let mut object = self.store.read(&stored(key), version, range, format!("object {key}")).await?;
            if let Some(version) = version {
                object.version = version.clone();
            }
            Ok(object)
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> PlatformFuture<'a, Vec<ListedObject>> {
        Box::pin(async move {
            let after = after.map(stored);
            let what = format!("list {prefix}");
            let mut listed = self.store.list(&stored(prefix), after.as_deref(), limit, what).await?;
            for object in &mut listed {
                object.key.drain(..PREFIX.len().min(object.key.len()));
            }
            Ok(listed)
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> PlatformFuture<'a, ()> {
        Box::pin(async move {
            check_object_key("delete", key)?;
            self.store.delete(&stored(key), format!("delete {key}")).await
        })
    }
}

fn stored(key: &str) -> String {
    format!("{PREFIX}{key}")
}
