//! One function: what it does with each kind of event.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use platform::{Clock, Deadline, Handler};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::batch;
use crate::budget::Budget;
use crate::dead_letters::DeadLetterQueue;
use crate::event::{Event, Record, Scheduled};
use crate::parts::Parts;
use crate::task::{Failed, Work, panic_text, work};
use crate::web;

/// Answers requests.
pub type Web = Arc<dyn Fn(http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> + Send + Sync>;

type ScheduledWork = Box<dyn Fn(&Scheduled, Deadline) -> Work + Send + Sync>;
type QueuedWork = Box<dyn Fn(&str, Deadline) -> Result<Work, Failed> + Send + Sync>;

/// What a function does with its events. Events that it has nothing for are errors.
pub struct Function {
    name: &'static str,
    clock: Arc<dyn Clock>,
    scheduled: BTreeMap<&'static str, ScheduledWork>,
    queued: Option<QueuedWork>,
    dead_letters: Option<Arc<dyn DeadLetterQueue>>,
    web: Option<Web>,
}

/// An invocation that failed as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvocationError(pub String);

/// An answer, and how many of the invocation's tasks failed nevertheless.
pub(crate) struct Answered {
    pub(crate) answer: Value,
    pub(crate) errors: u64,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Function {
    /// A function that does nothing yet.
    #[must_use]
    pub fn new(parts: &Parts) -> Self {
        Self {
            name: parts.name,
            clock: Arc::clone(&parts.platform.clock),
            scheduled: BTreeMap::new(),
            queued: None,
            dead_letters: parts.dead_letters.clone(),
            web: None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// With a handler for the schedules that name `task`; `to_task` says what is asked of it.
    #[must_use]
    pub fn scheduled<H>(mut self, task: &'static str, to_task: fn(&Scheduled) -> H::Task, handler: H) -> Self
    where
        H: Handler + 'static,
        H::Task: Clone + Sync + 'static,
    {
        let (handler, clock) = (Arc::new(handler), Arc::clone(&self.clock));
        let begin = move |at: &Scheduled, deadline| work(&handler, &clock, to_task(at), deadline);
        self.scheduled.insert(task, Box::new(begin));
        self
    }

    /// With a handler for the messages of a queue.
    #[must_use]
    pub fn queued<H>(mut self, handler: H) -> Self
    where
        H: Handler + 'static,
        H::Task: DeserializeOwned + Clone + Sync + 'static,
    {
        let (handler, clock) = (Arc::new(handler), Arc::clone(&self.clock));
        self.queued = Some(Box::new(move |body, deadline| {
            let task = wire::decode::<H::Task>("task", body.as_bytes());
            let task = task.map_err(|error| Failed::for_ever(error.to_string()))?;
            Ok(work(&handler, &clock, task, deadline))
        }));
        self
    }

    /// With answers to HTTP requests.
    #[must_use]
    pub fn web(mut self, web: Web) -> Self {
        self.web = Some(web);
        self
    }

    /// Handles one event, as the Runtime API gives it, within a budget; the answer as the Runtime API takes it.
    ///
    /// # Errors
    /// [`InvocationError`] where the event is not for this function, or its one task failed.
    pub async fn invoke(&self, payload: Value, budget: Budget) -> Result<Value, InvocationError> {
        self.answer(payload, budget).await.map(|answered| answered.answer)
    }

    pub(crate) async fn answer(&self, payload: Value, budget: Budget) -> Result<Answered, InvocationError> {
        match Event::decode(payload, self.clock.now_ms()).map_err(InvocationError)? {
            Event::Schedule(scheduled) => {
                self.on_schedule(&scheduled, budget).await?;
                Ok(Answered { answer: Value::Null, errors: 0 })
            }
            Event::Queue(records) => self.on_batch(records, budget).await,
            Event::Web(payload) => self.on_request(payload, budget).await,
        }
    }

    async fn on_schedule(&self, scheduled: &Scheduled, budget: Budget) -> Result<(), InvocationError> {
        let Some(begin) = self.scheduled.get(scheduled.task.as_str()) else {
            return Err(InvocationError(format!("{} has no task {:?}", self.name, scheduled.task)));
        };
        let work = begin(scheduled, budget.deadline);
        let ended = tokio::time::timeout(budget.end.remaining(&*self.clock), work).await;
        ended
            .unwrap_or_else(|_| Err(Failed::for_now("not done when the time was up")))
            .map_err(|failed| InvocationError(failed.reason))
    }

    async fn on_batch(&self, records: Vec<Record>, budget: Budget) -> Result<Answered, InvocationError> {
        let Some(begin) = &self.queued else {
            return Err(InvocationError(format!("{} takes no messages", self.name)));
        };
        let begin = |body: &str| begin(body, budget.deadline);
        let dead_letters = self.dead_letters.as_deref();
        let outcome = batch::handle(self.name, records, begin, dead_letters, budget, &*self.clock).await;
        Ok(Answered { answer: outcome.answer(), errors: outcome.errors })
    }

    async fn on_request(&self, payload: Value, budget: Budget) -> Result<Answered, InvocationError> {
        let Some(web) = &self.web else {
            return Err(InvocationError(format!("{} answers no requests", self.name)));
        };
        let request = match web::request(payload) {
            Ok(request) => request,
            Err(error) => return Ok(answered(web::failure(400, "bad_data", &error))),
        };
        // A task of its own: where it computes for long, what it waits for beside is not held up.
        let mut running = JoinSet::new();
        running.spawn(AssertUnwindSafe(web(request)).catch_unwind());
        let joined = tokio::time::timeout(budget.end.remaining(&*self.clock), running.join_next()).await;
        Ok(answered(match joined {
            Ok(Some(Ok(Ok(response)))) => response,
            Ok(Some(Ok(Err(panic)))) => {
                tracing::error!(reason = panic_text(&*panic), "a request failed unexpectedly");
                web::failure(500, "internal", "internal error")
            }
            Ok(_) => web::failure(500, "internal", "internal error"),
            Err(_) => web::failure(503, "timeout", "the function's time was up before the answer was ready"),
        }))
    }
}

fn answered(response: http::Response<Bytes>) -> Answered {
    let response = web::within_limit(response);
    let errors = u64::from(response.status().is_server_error());
    Answered { answer: web::answer(response), errors }
}
