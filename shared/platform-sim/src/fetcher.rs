//! Targets by script.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use platform::{FetchError, Fetcher, HttpRequest, HttpResponse, PlatformFuture};

use crate::trace::Outcome;
use crate::{Fate, Handle, Operation};

/// What a scripted target does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How long it takes. A request that has less time fails with it.
    pub after: Duration,
    /// What it says.
    pub result: Result<HttpResponse, FetchError>,
}

impl Answer {
    /// 200 with a body in Prometheus's text format, at once.
    #[must_use]
    pub fn text(body: impl Into<Bytes>) -> Self {
        let response = HttpResponse {
            status: 200,
            status_line: "200 OK".to_owned(),
            content_type: "text/plain; version=0.0.4; charset=utf-8".to_owned(),
            body: body.into(),
        };
        Self { after: Duration::ZERO, result: Ok(response) }
    }

    /// No answer.
    #[must_use]
    pub fn error(error: FetchError) -> Self {
        Self { after: Duration::ZERO, result: Err(error) }
    }

    /// The same, later.
    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

/// All targets of a world.
pub(crate) trait Targets: Send + Sync {
    fn answer(&self, request: &HttpRequest, now_ms: i64) -> Answer;
}

impl<T: Fn(&HttpRequest, i64) -> Answer + Send + Sync> Targets for T {
    fn answer(&self, request: &HttpRequest, now_ms: i64) -> Answer {
        self(request, now_ms)
    }
}

#[derive(Debug)]
pub(crate) struct SimFetcher {
    world: Handle,
}

impl SimFetcher {
    pub(crate) fn new(world: Handle) -> Self {
        Self { world }
    }

    /// What the targets say now, bounded as the request asks.
    fn answer(&self, request: &HttpRequest) -> Answer {
        let (targets, now_ms) = {
            let state = self.world.lock();
            (state.targets.as_ref().map(Arc::clone), self.world.moment(&state).now_ms)
        };
        let refused =
            || Answer::error(FetchError::Connect("dial tcp: connect: connection refused".to_owned()));
        let mut answer = targets.map_or_else(refused, |targets| targets.answer(request, now_ms));
        if answer.result.as_ref().is_ok_and(|response| response.body.len() as u64 > request.body_bytes_max) {
            answer.result = Err(FetchError::BodyTooLarge);
        }
        answer
    }

    async fn fetch_within(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        self.world.gate().await;
        let draw = self.world.draw_fate(Operation::Fetch, &request.url).await;
        self.world.sleep_for(draw.before).await;
        match draw.fate {
            Fate::Refuse => {
                self.world.note(&draw, String::new());
                return Err(FetchError::Connect("dial tcp: connect: connection refused".to_owned()));
            }
            Fate::CrashBefore => {
                self.world.note(&draw, String::new());
                return self.world.crash().await;
            }
            Fate::Ok | Fate::LoseAck | Fate::Late(_) | Fate::Slow(_) | Fate::CrashAfter => {}
        }
        let mut answer = self.answer(&request);
        match draw.fate {
            // The target has answered, and nobody hears it.
            Fate::LoseAck | Fate::Late(_) => answer.after = Duration::MAX,
            Fate::Slow(duration) => answer.after = answer.after.saturating_add(duration),
            Fate::Ok | Fate::Refuse | Fate::CrashBefore | Fate::CrashAfter => {}
        }
        self.world.note(&draw, answer.result.summary());
        if draw.fate == Fate::CrashAfter {
            return self.world.crash().await;
        }
        let left = request.timeout.saturating_sub(draw.before);
        if answer.after >= left {
            self.world.sleep_for(left).await;
            return Err(FetchError::Timeout);
        }
        self.world.sleep_for(answer.after).await;
        answer.result
    }
}

impl Fetcher for SimFetcher {
    fn fetch(&self, request: HttpRequest) -> PlatformFuture<'_, HttpResponse, FetchError> {
        Box::pin(self.fetch_within(request))
    }
}

impl Outcome for Result<HttpResponse, FetchError> {
    fn summary(&self) -> String {
        match self {
            Ok(response) => format!("{} {}", response.status, response.body.summary()),
            Err(error) => error.to_string(),
        }
    }
}
