//! Requests to one bucket, by whole key.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bytes::Bytes;
use platform::{ByteRange, ListedObject, Object, PlatformError, Put, Version};

use crate::caller::{Call, Caller};
use crate::failure::{Failure, code, judge, status};

/// Objects that one list request gives at most.
const PAGE_MAX: usize = 1_000;

/// No object is larger, and no header may name a byte beyond it.
const OBJECT_BYTES_MAX: u64 = 50 << 40;

/// What a read of unknown length has time for: the longest that anybody reads at once.
const READ_BYTES_EXPECTED: u64 = 64 << 20;

/// A bucket.
#[derive(Clone)]
pub(crate) struct Store {
    client: Client,
    bucket: String,
    caller: Arc<Caller>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

impl Store {
    /// The bucket of this name.
    pub(crate) fn new(client: Client, bucket: String, caller: Arc<Caller>) -> Self {
        Self { client, bucket, caller }
    }

    /// Creates `key` unless it exists. `what` is how errors tell it.
    pub(crate) async fn create(&self, key: &str, body: Bytes, what: String) -> Result<Put, PlatformError> {
        let call = Call::change("s3", "PutObject", what.clone()).with_body(body.len() as u64);
        let attempt = |_| {
            let body = ByteStream::from(body.clone());
            let request =
                self.client.put_object().bucket(&self.bucket).key(key).if_none_match("*").body(body);
            async {
                match request.send().await {
                    Ok(output) => Ok(Put::Created(version(output.e_tag()))),
                    // Of an earlier attempt of this call, perhaps: the port allows for that.
                    Err(error) if status(&error) == 412 => Ok(Put::Exists),
                    Err(error) => Err(judge(&error, &what)),
                }
            }
        };
        self.caller.call(call, attempt).await
    }

    /// Puts `key`, over whatever is there.
    pub(crate) async fn overwrite(&self, key: &str, body: Bytes, what: String) -> Result<(), PlatformError> {
        let call = Call::change("s3", "PutObject", what.clone()).with_body(body.len() as u64);
        let attempt = |_| {
            let body = ByteStream::from(body.clone());
            let request = self.client.put_object().bucket(&self.bucket).key(key).body(body);
            async { request.send().await.map(|_| ()).map_err(|error| judge(&error, &what)) }
        };
        self.caller.call(call, attempt).await
    }

    /// Bytes of `key`.
    pub(crate) async fn read(
        &self,
        key: &str,
        version: Option<&Version>,
        range: ByteRange,
        what: String,
    ) -> Result<Object, PlatformError> {
        let Some(range_bytes) = Range::of(range) else { return self.head(key, version, what).await };
        let call = Call::read("s3", "GetObject", what.clone()).with_body(range_bytes.len_max());
        let header = range_bytes.header();
        let attempt = |_| {
            let request = self
                .client
                .get_object()
                .bucket(&self.bucket)
                .key(key)
                .set_if_match(version.map(entity_tag))
                .set_range(header.clone());
            async {
                match request.send().await {
                    Ok(output) => collect(output, &what).await.map(Some),
                    Err(error) if status(&error) == 416 => Ok(None),
                    Err(error) => Err(judge_read(&error, &what)),
                }
            }
        };
        match self.caller.call(call, attempt).await? {
            Some(object) => Ok(object),
            None => self.head(key, version, what).await,
        }
    }

    /// The version and length of `key`, and none of its bytes.
    async fn head(&self, key: &str, wanted: Option<&Version>, what: String) -> Result<Object, PlatformError> {
        let call = Call::read("s3", "HeadObject", what.clone());
        let attempt = |_| {
            let request =
                self.client.head_object().bucket(&self.bucket).key(key).set_if_match(wanted.map(entity_tag));
            async {
                let output = request.send().await.map_err(|error| judge_read(&error, &what))?;
                let len = output.content_length().and_then(|len| u64::try_from(len).ok()).unwrap_or(0);
                Ok(Object { body: Bytes::new(), version: version(output.e_tag()), len })
            }
        };
        self.caller.call(call, attempt).await
    }

    /// Objects whose keys begin with `prefix`, after `after`, at most `limit`.
    pub(crate) async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        what: String,
    ) -> Result<Vec<ListedObject>, PlatformError> {
        let mut listed: Vec<ListedObject> = Vec::new();
        let mut after = after.map(str::to_owned);
        while listed.len() < limit {
            let page = PAGE_MAX.min(limit - listed.len());
            let call = Call::read("s3", "ListObjectsV2", what.clone());
            let attempt = |_| {
                let request = self
                    .client
                    .list_objects_v2()
                    .bucket(&self.bucket)
                    .prefix(prefix)
                    .set_start_after(after.clone())
                    .max_keys(i32::try_from(page).unwrap_or(i32::MAX));
                async { request.send().await.map_err(|error| judge(&error, &what)) }
            };
            let output = self.caller.call(call, attempt).await?;
            let before = listed.len();
            listed.extend(output.contents().iter().filter_map(listed_object));
            // From its last key rather than by its token: a page read again is the same page.
            after = listed.last().map(|object| object.key.clone());
            if output.is_truncated() != Some(true) || listed.len() == before {
                break;
            }
        }
        Ok(listed)
    }

    /// Removes `key`.
    pub(crate) async fn delete(&self, key: &str, what: String) -> Result<(), PlatformError> {
        let call = Call::change("s3", "DeleteObject", what.clone());
        let attempt = |_| {
            let request = self.client.delete_object().bucket(&self.bucket).key(key);
            async { request.send().await.map(|_| ()).map_err(|error| judge(&error, &what)) }
        };
        self.caller.call(call, attempt).await
    }
}

/// A range that has bytes.
#[derive(Clone, Copy)]
enum Range {
    All,
    At { start: u64, len: u64 },
    Last(u64),
}

impl Range {
    /// `None` for a range that is empty whatever the object is.
    fn of(range: ByteRange) -> Option<Self> {
        match range {
            ByteRange::All => Some(Self::All),
            ByteRange::At { len: 0, .. } | ByteRange::Last(0) => None,
            ByteRange::At { start, .. } if start >= OBJECT_BYTES_MAX => None,
            ByteRange::At { start, len } => Some(Self::At { start, len: len.min(OBJECT_BYTES_MAX) }),
            ByteRange::Last(len) => Some(Self::Last(len.min(OBJECT_BYTES_MAX))),
        }
    }

    fn header(self) -> Option<String> {
        match self {
            Self::All => None,
            Self::At { start, len } => Some(format!("bytes={start}-{}", start + len - 1)),
            Self::Last(len) => Some(format!("bytes=-{len}")),
        }
    }

    /// How many bytes there may be to wait for.
    fn len_max(self) -> u64 {
        match self {
            Self::All => READ_BYTES_EXPECTED,
            Self::At { len, .. } | Self::Last(len) => len.min(READ_BYTES_EXPECTED),
        }
    }
}

/// Reads an answer to its end.
async fn collect(output: GetObjectOutput, what: &str) -> Result<Object, Failure> {
    let expected = output.content_length().and_then(|len| u64::try_from(len).ok());
    let version = version(output.e_tag());
    // Of a part, `bytes 0-9/1234` tells the length of the whole.
    let total = output.content_range().map(|range| range.rsplit('/').next().and_then(|len| len.parse().ok()));
    let body = output.body.collect().await.map_err(|error| Failure::Unknown(error.to_string()))?.into_bytes();
    let received = body.len() as u64;
    if expected.is_some_and(|expected| expected != received) {
        return Err(Failure::Unknown(format!("the answer ended after {received} bytes")));
    }
    let corrupt = || {
        let reason = "the answer does not tell the object's length".to_owned();
        Failure::Final(PlatformError::Corrupt { what: what.to_owned(), reason })
    };
    let len = match total {
        None => received,
        Some(total) => total.ok_or_else(corrupt)?,
    };
    Ok(Object { body, version, len })
}

/// As [`judge`], of a request for an object that may not be there.
fn judge_read<E>(error: &SdkError<E, HttpResponse>, what: &str) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let absent = match status(error) {
        412 => true,
        404 => code(error) != "NoSuchBucket",
        _ => false,
    };
    if absent {
        Failure::Final(PlatformError::NotFound { what: what.to_owned() })
    } else {
        judge(error, what)
    }
}

/// An ETag without its quotation marks, for not every server and answer has them.
fn version(e_tag: Option<&str>) -> Version {
    Version(e_tag.unwrap_or_default().trim_matches('"').to_owned())
}

fn entity_tag(version: &Version) -> String {
    format!("\"{}\"", version.0)
}

fn listed_object(object: &aws_sdk_s3::types::Object) -> Option<ListedObject> {
    let len = object.size().and_then(|len| u64::try_from(len).ok()).unwrap_or(0);
    Some(ListedObject { key: object.key()?.to_owned(), version: version(object.e_tag()), len })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_headers_that_no_server_chokes_on() {
        let header = |range| Range::of(range).map(Range::header);
        assert_eq!(header(ByteRange::All), Some(None));
        assert_eq!(header(ByteRange::At { start: 3, len: 4 }), Some(Some("bytes=3-6".to_owned())));
        assert_eq!(header(ByteRange::Last(5)), Some(Some("bytes=-5".to_owned())));
        assert_eq!(header(ByteRange::At { start: 3, len: 0 }), None);
        assert_eq!(header(ByteRange::At { start: u64::MAX, len: u64::MAX }), None);
        assert_eq!(header(ByteRange::Last(0)), None);
        let last = header(ByteRange::Last(u64::MAX)).flatten();
        assert_eq!(last, Some(format!("bytes=-{OBJECT_BYTES_MAX}")));
    }

    #[test]
    fn a_version_is_the_tag_without_its_marks() {
        assert_eq!(version(Some("\"abc\"")), version(Some("abc")));
        assert_eq!(entity_tag(&version(Some("\"abc\""))), "\"abc\"");
    }
}
