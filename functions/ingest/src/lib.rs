//! The ingest function: what others push becomes WAL segments.
//!
//! ```text
//! POST /api/v1/write ─► remote: decompress, decode, check ─► scrapes, one for each target and instant
//!                                                                │
//!                    204, or why not  ◄── durable ◄── one segment (tick = arrival, shard = hash of the content)
//! ```
//!
//! # Contract
//! A request is answered with success only once all that it brought is durable (rule P3). The segment is named by its
//! content, so that a retry which meets its twin writes nothing; a later retry brings equal samples, of which readers take
//! the first (rules P1, P13). Samples may have any age within the retention, and come in any order. What was
//! unacknowledged may be stored or not; a sender that sends it again loses and doubles nothing.
//!
//! Status codes are those of Prometheus (`storage/remote/write_handler.go`): 400 and 415 mean that sending the same again is
//! no use, 5xx that it is.

mod scrapes;

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, Method, StatusCode};
use model::TimestampMs;
use platform::{Platform, Retry};
use remote::{Limits, Message, WriteRequest};
use telemetry::{Metrics, Pushed};
use tsdb::{Appended, Shard, Store, TsdbError};
use xxhash_rust::xxh3::xxh3_128_with_seed;

pub use scrapes::scrapes;

/// How far in the future a sample may lie, ms: `maxAheadTime` of Prometheus.
const AHEAD_MS_MAX: i64 = 10 * 60 * 1000;

/// A request with its whole body.
pub type Request = http::Request<Bytes>;
/// A response with its whole body.
pub type Response = http::Response<Bytes>;

/// The function.
pub struct Ingest {
    platform: Platform,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    limits: Limits,
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingest").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What a request is answered with.
struct Answer {
    status: StatusCode,
    /// For the sender's log; empty with success.
    message: String,
    /// Whether the counts of what was written are told (version 2.0).
    told: bool,
    pushed: Pushed,
}

impl Ingest {
    /// The function over a platform and a store.
    #[must_use]
    pub fn new(platform: Platform, store: Arc<Store>, metrics: Arc<Metrics>) -> Self {
        Self { platform, store, metrics, limits: Limits::default() }
    }

    /// Answers a request to any path: there is one.
    pub async fn route(&self, request: Request) -> Response {
        if request.uri().path() == "/api/v1/write" {
            return self.write(request).await;
        }
        let mut response = plain("404 page not found");
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    }

    /// Answers a request to `/api/v1/write`. Never fails: errors are answers.
    pub async fn write(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST {
            return method_not_allowed();
        }
        let mut answer = match self.decode(&parts.headers, &body) {
            Ok((message, request, decompressed)) => self.store(message, request, &decompressed).await,
            Err(answer) => answer,
        };
        answer.pushed.bytes = body.len() as u64;
        self.metrics.pushed(answer.status.as_u16(), &answer.pushed);
        respond(&answer)
    }

    fn decode(&self, headers: &HeaderMap, body: &[u8]) -> Result<(Message, WriteRequest, Vec<u8>), Answer> {
        let refused = |status, message: String| {
            tracing::error!(err = %message, "Error decoding remote write request");
            Answer { status, message, told: false, pushed: Pushed::default() }
        };
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let message = Message::of(text(CONTENT_TYPE))
            .map_err(|error| refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, error.to_string()))?;
        let encoding = text(CONTENT_ENCODING);
        if !encoding.is_empty() && encoding != "snappy" {
            let error = format!(
                "{encoding} encoding (compression) is not accepted by this server; only snappy is acceptable"
            );
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
        }
        let bad = |error: remote::DecodeError| refused(StatusCode::BAD_REQUEST, error.to_string());
        let decompressed = remote::decompress(body, &self.limits).map_err(bad)?;
        let request = remote::decode(message, &decompressed, self.limits, &self.times()).map_err(bad)?;
        Ok((message, request, decompressed))
    }

    /// The instants that are stored: what retention would drop at once is refused instead, so that nobody believes it
    /// to be there.
    fn times(&self) -> RangeInclusive<TimestampMs> {
        let now = self.platform.clock.now_ms();
        let oldest = self.store.settings().retention_ms.map_or(0, |retention| now.saturating_sub(retention));
        oldest.max(0)..=now.saturating_add(AHEAD_MS_MAX)
    }

    async fn store(&self, message: Message, request: WriteRequest, content: &[u8]) -> Answer {
        let told = message == Message::V2;
        let pushed = counts(&request);
        let refusal = request.refused.told();
        if pushed.invalid_labels > 0 {
            tracing::warn!(samples = pushed.invalid_labels, "Invalid metric names or labels");
        }
        let tick = self.platform.clock.now_ms();
        let scrapes = scrapes(request, tick);
        if !scrapes.is_empty()
            && let Err((status, message)) = self.append(tick, shard(message, content), &scrapes).await
        {
            tracing::error!(err = %message, "Error while storing the remote write request");
            return Answer { status, message, told, pushed: Pushed::default() };
        }
        match refusal {
            None => Answer { status: StatusCode::NO_CONTENT, message: String::new(), told, pushed },
            Some(message) => {
                tracing::error!(refused = pushed.refused, err = %message, "Samples of a remote write request were refused");
                Answer { status: StatusCode::BAD_REQUEST, message, told, pushed }
            }
        }
    }

    /// Makes the scrapes durable, or says why they are not certain to be.
    async fn append(
        &self,
        tick: TimestampMs,
        shard: Shard,
        scrapes: &[storage::Scrape],
    ) -> Result<(), (StatusCode, String)> {
        match self.store.append(tick, shard, scrapes).await {
            Ok(Appended::Written(summary)) => {
                self.metrics.segment_written(summary.bytes, summary.samples);
                Ok(())
            }
            Ok(Appended::AlreadyThere) => Ok(()),
            Ok(Appended::TooLate) => {
                let message = "writing took too long to be certain; send it again".to_owned();
                Err((StatusCode::SERVICE_UNAVAILABLE, message))
            }
            Err(error) => Err((status_of(&error), error.to_string())),
        }
    }
}

/// What names a request: equal content is the same cause. The version takes part, for the same bytes mean something else
/// in the other.
fn shard(message: Message, content: &[u8]) -> Shard {
    Shard::push(xxh3_128_with_seed(content, u64::from(message == Message::V2)))
}

fn counts(request: &WriteRequest) -> Pushed {
    let (floats, histograms, exemplars) = request.counts();
    Pushed {
        bytes: 0,
        floats: floats as u64,
        histograms: histograms as u64,
        exemplars: exemplars as u64,
        refused: request.refused.count() as u64,
        invalid_labels: request.refused.invalid_labels,
    }
}

fn status_of(error: &TsdbError) -> StatusCode {
    match error {
        // No retry makes it fit.
        TsdbError::Encode { .. } => StatusCode::BAD_REQUEST,
        error if error.retry() == Retry::Later => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn respond(answer: &Answer) -> Response {
    let mut response =
        if answer.message.is_empty() { Response::new(Bytes::new()) } else { plain(&answer.message) };
    *response.status_mut() = answer.status;
    if answer.told {
        for (name, count) in [
            ("x-prometheus-remote-write-samples-written", answer.pushed.floats),
            ("x-prometheus-remote-write-histograms-written", answer.pushed.histograms),
            ("x-prometheus-remote-write-exemplars-written", answer.pushed.exemplars),
        ] {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(count));
        }
    }
    response
}

fn method_not_allowed() -> Response {
    let mut response = plain("Method Not Allowed");
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("OPTIONS, POST"));
    response
}

/// Go's `http.Error`.
fn plain(message: &str) -> Response {
    let mut response = Response::new(Bytes::from(format!("{message}\n")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
