//! Doing several things at once, boundedly.

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};

use crate::error::TsdbError;

/// Something to be waited for. Boxed: next to a round trip that costs nothing.
pub(crate) type Work<'a, T> = BoxFuture<'a, Result<T, TsdbError>>;

/// What all of `works` give, in their order, at most `at_once` being under way. The first error ends it.
pub(crate) async fn together<T: Send>(works: Vec<Work<'_, T>>, at_once: usize) -> Result<Vec<T>, TsdbError> {
    stream::iter(works).buffered(at_once.max(1)).try_collect().await
}
