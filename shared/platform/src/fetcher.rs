//! HTTP out: scrapes, discovery, Alertmanager.

use std::time::Duration;

use bytes::Bytes;

use crate::PlatformFuture;

/// A request's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// GET
    Get,
    /// POST
    Post,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// Its method.
    pub method: HttpMethod,
    /// An absolute `http` or `https` URL.
    pub url: String,
    /// Header names and values; they may hold secrets, so a request is never logged whole.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Bytes,
    /// From connecting to the last byte of the answer.
    pub timeout: Duration,
    /// The answer's body may be at most so many bytes, as received and again after decompression.
    pub body_bytes_max: u64,
    /// Whether to follow redirects (at most 10; credentials are not sent on to another host).
    pub follow_redirects: bool,
    /// Whether an invalid certificate is accepted.
    pub insecure_skip_verify: bool,
}

/// An answer of any status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The status as the server wrote it: `500 Internal Server Error`.
    pub status_line: String,
    /// The `Content-Type`, or empty.
    pub content_type: String,
    /// The body, decompressed where it was `gzip`.
    pub body: Bytes,
}

/// Why there is no answer. Texts follow Go's `net/http`, for users know them from `lastError`; the caller puts
/// `Get "http://…": ` before them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Nothing listens, no route, reset.
    #[error("{0}")]
    Connect(String),
    /// The name does not resolve.
    #[error("{0}")]
    Resolve(String),
    /// The timeout passed.
    #[error("context deadline exceeded")]
    Timeout,
    /// The body is larger than allowed.
    #[error("body size limit exceeded")]
    BodyTooLarge,
    /// The address is one that must not be reached: loopback or metadata addresses on Lambda.
    #[error("address {0} is not allowed")]
    Denied(String),
    /// A malformed URL, header, answer or encoding; a TLS failure; too many redirects.
    #[error("{0}")]
    Protocol(String),
}

/// A client for HTTP.
///
/// # Contract
/// - An answer of any status is `Ok`; the caller judges it.
/// - The time, the body (received and decompressed) and the redirects are bounded by the request.
/// - Nothing is retried.
pub trait Fetcher: Send + Sync {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// [`FetchError`].
    fn fetch(&self, request: HttpRequest) -> PlatformFuture<'_, HttpResponse, FetchError>;
}
