//! The one function that every call of a port goes through.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use platform::PlatformError;

use crate::explore::SHORT_NS;
use crate::fault::{Fate, Operation, Situation};
use crate::random::{fnv, fnv_from};
use crate::stores::Stores;
use crate::trace::{EffectRecord, Outcome};
use crate::world::{Change, Handle, Moment, State, Timer, nanos};

/// What was drawn for one call.
pub(crate) struct Draw {
    index: u64,
    actor: Arc<str>,
    operation: Operation,
    subject: String,
    pub(crate) before: Duration,
    pub(crate) after: Duration,
    pub(crate) fate: Fate,
}

impl Handle {
    /// Calls a store: draws latency and fate, and applies `change` as the fate has it.
    pub(crate) async fn effect<R, A>(
        &self,
        operation: Operation,
        subject: &str,
        change: A,
    ) -> Result<R, PlatformError>
    where
        R: Outcome + Send + 'static,
        A: FnOnce(&mut Stores, Moment) -> R + Send + 'static,
    {
        self.gate().await;
        let draw = self.draw_fate(operation, subject).await;
        let named = || format!("{operation:?} {subject}");
        let refused = || PlatformError::Throttled { operation: named() };
        let unknown = |reason: &str| {
            if operation.changes() {
                PlatformError::Ambiguous { operation: named(), reason: reason.to_owned() }
            } else {
                refused()
            }
        };
        self.sleep_for(draw.before).await;
        match draw.fate {
            Fate::Ok | Fate::LoseAck | Fate::CrashAfter => {}
            Fate::Slow(duration) => self.sleep_for(duration).await,
            Fate::Refuse => {
                self.note(&draw, String::new());
                return Err(refused());
            }
            Fate::CrashBefore => {
                self.note(&draw, String::new());
                return self.crash().await;
            }
            Fate::Late(delay) => {
                self.note(&draw, String::new());
                if operation.changes() {
                    let change: Change = Box::new(move |stores, moment| change(stores, moment).summary());
                    self.land_later(&draw, delay, change);
                }
                return Err(unknown("timed out"));
            }
        }
        let result = self.apply(&draw, change).await;
        match draw.fate {
            Fate::LoseAck => Err(unknown("the answer was lost")),
            Fate::CrashAfter => self.crash().await,
            Fate::Ok | Fate::Refuse | Fate::Late(_) | Fate::Slow(_) | Fate::CrashBefore => {
                self.sleep_for(draw.after).await;
                Ok(result)
            }
        }
    }

    /// Draws what becomes of a call; an actor that crashes does not come so far.
    pub(crate) async fn draw_fate(&self, operation: Operation, subject: &str) -> Draw {
        let draw = {
            let mut guard = self.lock();
            let at_ms = self.moment(&guard).now_ms;
            let state: &mut State = &mut guard;
            if state.actors.is_crashing() {
                None
            } else {
                Some(self.draw_now(state, at_ms, operation, subject))
            }
        };
        match draw {
            Some(draw) => draw,
            None => std::future::pending().await,
        }
    }

    fn draw_now(&self, state: &mut State, at_ms: i64, operation: Operation, subject: &str) -> Draw {
        let index = state.effects;
        state.effects += 1;
        let latency = self.inner.options.latency;
        let nth = state.actors.count_effect();
        let (streams, actor) = state.actors.current_streams();
        let before = streams.latency.duration(latency.min, latency.max);
        let after = streams.latency.duration(latency.min, latency.max);
        let situation = Situation { index, at_ms, actor: &actor, nth, operation, subject };
        let fate = state.faults.fate(&situation, &mut streams.faults);
        let told = fnv_from(fnv(subject.as_bytes()), fate.name().as_bytes());
        state.learn(fnv_from(told, &[operation as u8]));
        if fate != Fate::Ok {
            *state.trace.counters.faults.entry(fate.name()).or_default() += 1;
        }
        Draw { index, actor, operation, subject: subject.to_owned(), before, after, fate }
    }

    fn record(&self, state: &State, draw: &Draw, outcome: String) -> EffectRecord {
        EffectRecord {
            index: draw.index,
            at_ms: self.moment(state).now_ms,
            actor: draw.actor.as_ref().to_owned(),
            operation: draw.operation,
            subject: draw.subject.clone(),
            fate: draw.fate,
            outcome,
        }
    }

    /// Records what became of a call.
    pub(crate) fn note(&self, draw: &Draw, outcome: String) {
        let mut state = self.lock();
        let record = self.record(&state, draw, outcome);
        state.learn(fnv(record.outcome.as_bytes()));
        state.trace.note(record);
    }

    /// The only place where a store changes in time.
    async fn apply<R, A>(&self, draw: &Draw, change: A) -> R
    where
        R: Outcome,
        A: FnOnce(&mut Stores, Moment) -> R,
    {
        let applied = {
            let mut state = self.lock();
            let moment = self.moment(&state);
            if state.actors.is_crashing() {
                None
            } else {
                let result = change(&mut state.stores, moment);
                let record = self.record(&state, draw, result.summary());
                state.learn(fnv(record.outcome.as_bytes()));
                state.trace.note(record);
                ring(&mut state);
                Some(result)
            }
        };
        match applied {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }

    fn land_later(&self, draw: &Draw, delay: Duration, change: Change) {
        let mut state = self.lock();
        let record = self.record(&state, draw, String::new());
        let history = state.actors.history();
        if let Some(explore) = state.explore.as_mut() {
            explore.add_land(history, record, change);
            return;
        }
        let at_ns = state.now_ns.saturating_add(nanos(delay));
        state.sequence += 1;
        let key = (at_ns, state.sequence);
        state.timers.insert(key, Timer::Land(record, change));
    }

    /// Lets a late effect happen.
    pub(crate) fn land(&self, state: &mut State, record: EffectRecord, change: Change) {
        let moment = self.moment(state);
        let outcome = change(&mut state.stores, moment);
        state.trace.counters.late_landed += 1;
        state.trace.note(EffectRecord { at_ms: moment.now_ms, outcome, ..record });
        ring(state);
    }

    pub(crate) fn sleep_for(&self, duration: Duration) -> Sleep {
        let at_ns = self.lock().now_ns.saturating_add(nanos(duration));
        self.sleep_until(at_ns)
    }

    pub(crate) fn sleep_until(&self, at_ns: u64) -> Sleep {
        Sleep { handle: self.clone(), at_ns, key: None }
    }
}

/// Lets receivers look again where something was sent.
fn ring(state: &mut State) {
    for queue in state.stores.queues.iter_mut().filter(|queue| queue.rung) {
        queue.rung = false;
        for waker in queue.waiting.drain(..) {
            waker.wake();
        }
    }
}

/// Completes at a time.
#[derive(Debug)]
pub(crate) struct Sleep {
    handle: Handle,
    at_ns: u64,
    key: Option<(u64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let handle = self.handle.clone();
        let mut state = handle.lock();
        if state.actors.is_crashing() {
            return Poll::Pending;
        }
        let short = state.explore.is_some() && self.at_ns < state.now_ns.saturating_add(SHORT_NS);
        if short || state.now_ns >= self.at_ns {
            return Poll::Ready(());
        }
        let key = match self.key {
            Some(key) => key,
            None => {
                state.sequence += 1;
                (self.at_ns, state.sequence)
            }
        };
        state.timers.insert(key, Timer::Wake(context.waker().clone()));
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.handle.lock().timers.remove(&key);
        }
    }
}
