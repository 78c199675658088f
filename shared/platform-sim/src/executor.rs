//! One thread that polls actors, in an order drawn from the seed, and moves the time when none can go on.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::Random;
use crate::explore::Chosen;
use crate::random::{fnv, fnv_from};
use crate::world::{Handle, Timer};

/// Names an actor of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActorId(u64);

/// The actor that [`crate::World::run`] runs itself.
const MAIN: ActorId = ActorId(0);

/// The actor crashed: through a fault, or killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crashed;

impl std::fmt::Display for Crashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the actor crashed")
    }
}

impl std::error::Error for Crashed {}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// With a result.
    Done(T),
    /// The main actor crashed.
    Crashed,
    /// The main actor waits for something that will never happen, or there was no end of polling.
    Stalled,
}

impl<T> Ended<T> {
    /// The result of a run that was to end with one.
    ///
    /// # Panics
    /// Where it crashed or stalled.
    #[track_caller]
    pub fn done(self) -> T {
        let result = match self {
            Self::Done(result) => Ok(result),
            Self::Crashed => Err("its main actor crashed"),
            Self::Stalled => Err("it stalled: its main actor waits for ever"),
        };
        result.expect("a run that ends with a result")
    }
}

/// An actor's result, to be awaited by another one or read after a run. Dropping it does not stop the actor.
#[derive(Debug)]
pub struct Join<T> {
    id: ActorId,
    slot: Arc<Mutex<Slot<T>>>,
}

#[derive(Debug)]
struct Slot<T> {
    result: Option<Result<T, Crashed>>,
    waker: Option<Waker>,
}

impl<T> Join<T> {
    /// Whose result it is.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.id
    }

    /// Takes the result if the actor has ended.
    #[must_use]
    pub fn take(&self) -> Option<Result<T, Crashed>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).result.take()
    }
}

impl<T> Future for Join<T> {
    type Output = Result<T, Crashed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Reports an actor's end, its crash included: then it is dropped with the actor's future.
struct Report<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

impl<T> Report<T> {
    fn set(&self, result: Result<T, Crashed>) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.result = Some(result);
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct ReportCrash<T>(Option<Report<T>>);

impl<T> Drop for ReportCrash<T> {
    fn drop(&mut self) {
        if let Some(report) = self.0.take() {
            report.set(Err(Crashed));
        }
    }
}

type ActorFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) struct Actors {
    root: Random,
    next_id: u64,
    /// How many actors of each name there were.
    names: BTreeMap<String, u64>,
    actors: BTreeMap<ActorId, Actor>,
    current: ActorId,
    /// The current actor has met a crash: it must do nothing more, and is dropped when its poll returns.
    crashing: bool,
    schedule: Random,
}

struct Actor {
    name: Arc<str>,
    /// Absent while it is polled, and for the main actor.
    future: Option<ActorFuture>,
    frozen: bool,
    waker: Arc<ActorWaker>,
    streams: Streams,
    /// How many effects it has begun.
    effects: u64,
    /// A hash of all that it has been told, in an explored world.
    history: u64,
}

/// An actor's randomness, by use: so that a change of one use shifts no draw of another.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    pub(crate) entropy: Random,
    pub(crate) latency: Random,
    pub(crate) faults: Random,
    pub(crate) queue: Random,
}

impl Streams {
    fn new(random: &Random) -> Self {
        Self {
            entropy: random.split("entropy"),
            latency: random.split("latency"),
            faults: random.split("faults"),
            queue: random.split("queue"),
        }
    }
}

impl Actors {
    pub(crate) fn new(seed: u64) -> Self {
        let root = Random::new(seed).split("actors");
        Self {
            next_id: 1,
            names: BTreeMap::new(),
            actors: BTreeMap::new(),
            current: MAIN,
            crashing: false,
            schedule: root.split("schedule"),
            root,
        }
    }

    fn add(&mut self, name: &str, future: Option<ActorFuture>, waker: Arc<ActorWaker>) {
        let count = self.names.entry(name.to_owned()).or_default();
        *count += 1;
        let unique = format!("{name} {count}");
        let streams = Streams::new(&self.root.split(&unique));
        let (id, history) = (waker.id, fnv(unique.as_bytes()));
        let name = name.into();
        self.actors.insert(id, Actor { name, future, frozen: false, waker, streams, effects: 0, history });
    }

    pub(crate) fn name(&self, id: ActorId) -> Arc<str> {
        self.actors.get(&id).map_or_else(|| "".into(), |actor| Arc::clone(&actor.name))
    }

    /// How many effects the current actor began before this one.
    pub(crate) fn count_effect(&mut self) -> u64 {
        let current = self.current;
        self.actors.get_mut(&current).map_or(0, |actor| {
            actor.effects += 1;
            actor.effects - 1
        })
    }

    pub(crate) fn learn(&mut self, what: u64) {
        let current = self.current;
        if let Some(actor) = self.actors.get_mut(&current) {
            actor.history = fnv_from(actor.history, &what.to_le_bytes());
        }
    }

    pub(crate) fn history(&self) -> u64 {
        self.actors.get(&self.current).map_or(0, |actor| actor.history)
    }

    /// A hash of all that the living have been told.
    pub(crate) fn histories(&self) -> u64 {
        self.actors.values().fold(0, |sum, actor| sum.wrapping_add(fnv(&actor.history.to_le_bytes())))
    }

    /// The streams of the actor that is being polled, and its name.
    pub(crate) fn current_streams(&mut self) -> (&mut Streams, Arc<str>) {
        let root = &self.root;
        let current = self.current;
        // Only a port called outside of a run has no actor.
        let actor = self.actors.entry(current).or_insert_with(|| Actor {
            name: "main".into(),
            future: None,
            frozen: false,
            waker: Arc::new(ActorWaker { id: current, queued: AtomicBool::new(true), ready: Arc::default() }),
            streams: Streams::new(&root.split("outside")),
            effects: 0,
            history: 0,
        });
        let name = Arc::clone(&actor.name);
        (&mut actor.streams, name)
    }

    pub(crate) fn current_random(&mut self) -> &mut Random {
        &mut self.current_streams().0.entropy
    }

    pub(crate) fn is_crashing(&self) -> bool {
        self.crashing
    }

    pub(crate) fn begin_crash(&mut self) {
        self.crashing = true;
    }
}

/// Which actors can go on.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    queue: Mutex<VecDeque<ActorId>>,
}

impl Ready {
    fn push(&self, id: ActorId) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(id);
    }

    /// Takes one of them, drawn at random.
    fn take(&self, random: &mut Random) -> Option<ActorId> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(random.below(queue.len() as u64)).unwrap_or(0);
        queue.remove(index)
    }

    /// All of them, in order of their age.
    fn all(&self) -> Vec<ActorId> {
        let mut all: Vec<ActorId> =
            self.queue.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        all.sort_unstable();
        all
    }

    /// Takes this one.
    fn remove(&self, id: ActorId) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).retain(|ready| *ready != id);
    }
}

struct ActorWaker {
    id: ActorId,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for ActorWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.push(self.id);
        }
    }
}

enum Polled {
    Pending,
    Done,
    Crashed,
}

impl Handle {
    fn waker(&self, id: ActorId) -> Arc<ActorWaker> {
        self.inner.ready.push(id);
        Arc::new(ActorWaker { id, queued: AtomicBool::new(true), ready: Arc::clone(&self.inner.ready) })
    }

    pub(crate) fn spawn_actor<F>(&self, name: &str, future: F) -> Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let slot = Arc::new(Mutex::new(Slot { result: None, waker: None }));
        let mut report = ReportCrash(Some(Report { slot: Arc::clone(&slot) }));
        let reporting = async move {
            let result = future.await;
            if let Some(report) = report.0.take() {
                report.set(Ok(result));
            }
        };
        let mut state = self.lock();
        let id = ActorId(state.actors.next_id);
        state.actors.next_id += 1;
        let waker = self.waker(id);
        state.actors.add(name, Some(Box::pin(reporting)), waker);
        Join { id, slot }
    }

    pub(crate) fn kill_actor(&self, id: ActorId) {
        let dropped = {
            let mut state = self.lock();
            if state.actors.current == id {
                state.actors.begin_crash();
                return;
            }
            let dropped = state.actors.actors.remove(&id);
            state.trace.counters.crashes += u64::from(dropped.is_some());
            dropped
        };
        // Its drop may wake others, and lock again.
        drop(dropped);
    }

    pub(crate) fn set_frozen(&self, id: ActorId, frozen: bool) {
        let mut state = self.lock();
        if let Some(actor) = state.actors.actors.get_mut(&id) {
            actor.frozen = frozen;
            if !frozen {
                actor.waker.wake_by_ref();
            }
        }
    }

    pub(crate) fn drop_actors(&self) {
        let actors = std::mem::take(&mut self.lock().actors.actors);
        drop(actors);
        let timers = std::mem::take(&mut self.lock().timers);
        drop(timers);
        // What answers for the targets, and who decides, may hold handles as well.
        let (targets, explore) = {
            let mut state = self.lock();
            (state.targets.take(), state.explore.take())
        };
        drop((targets, explore));
    }

    pub(crate) fn run_main<F: Future>(&self, future: F) -> Ended<F::Output> {
        let mut main = Some(Box::pin(future));
        let waker = self.waker(MAIN);
        self.lock().actors.add("main", None, Arc::clone(&waker));
        let main_waker = Waker::from(waker);
        let mut result = None;
        let mut polls = 0;
        let ended = loop {
            polls += 1;
            if polls > self.inner.options.polls_max {
                break Ended::Stalled;
            }
            let Some(id) = self.take_ready() else {
                if self.advance(None) {
                    continue;
                }
                break Ended::Stalled;
            };
            if id != MAIN {
                self.poll_actor(id);
                continue;
            }
            let Some(future) = main.as_mut() else { continue };
            let polled = self.poll_one(MAIN, &main_waker, |context| {
                let polled = future.as_mut().poll(context);
                polled.map(|output| result = Some(output))
            });
            match (polled, result.take()) {
                (Polled::Crashed, _) => break Ended::Crashed,
                (Polled::Done, Some(result)) => break Ended::Done(result),
                (Polled::Done | Polled::Pending, _) => {}
            }
        };
        drop(main.take());
        self.lock().actors.actors.remove(&MAIN);
        ended
    }

    /// Runs actors until nothing is due, or nothing before `until_ns`, which is then the time.
    pub(crate) fn run_actors(&self, until_ns: Option<u64>) {
        let mut polls = 0;
        while polls < self.inner.options.polls_max {
            polls += 1;
            match self.take_ready() {
                Some(id) => self.poll_actor(id),
                None if self.is_stopped() => break,
                None if self.advance(until_ns) => {}
                None => break,
            }
        }
        if let Some(until_ns) = until_ns {
            let mut state = self.lock();
            state.now_ns = state.now_ns.max(until_ns);
        }
    }

    fn take_ready(&self) -> Option<ActorId> {
        let mut state = self.lock();
        if state.explore.is_none() {
            return self.inner.ready.take(&mut state.actors.schedule);
        }
        loop {
            let mut ready = self.inner.ready.all();
            ready.retain(|id| state.actors.actors.contains_key(id));
            match self.choose(&mut state, &ready)? {
                Chosen::Landed => {}
                Chosen::Stopped => return None,
                Chosen::Actor(id) => {
                    self.inner.ready.remove(id);
                    return Some(id);
                }
            }
        }
    }

    fn poll_actor(&self, id: ActorId) {
        let (mut future, waker) = {
            let mut state = self.lock();
            let Some(actor) = state.actors.actors.get_mut(&id) else { return };
            if actor.frozen {
                // Wakes that come while it is frozen are remembered by the thaw.
                actor.waker.queued.store(false, Ordering::Relaxed);
                return;
            }
            let Some(future) = actor.future.take() else { return };
            (future, Waker::from(Arc::clone(&actor.waker)))
        };
        let polled = self.poll_one(id, &waker, |context| future.as_mut().poll(context));
        let mut state = self.lock();
        match polled {
            Polled::Pending => {
                if let Some(actor) = state.actors.actors.get_mut(&id) {
                    actor.future = Some(future);
                }
            }
            Polled::Done | Polled::Crashed => {
                let ended = state.actors.actors.remove(&id);
                drop(state);
                drop((future, ended));
            }
        }
    }

    fn poll_one(
        &self,
        id: ActorId,
        waker: &Waker,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<()>,
    ) -> Polled {
        {
            let mut state = self.lock();
            state.actors.current = id;
            if let Some(actor) = state.actors.actors.get(&id) {
                actor.waker.queued.store(false, Ordering::Relaxed);
            }
        }
        let polled = poll(&mut Context::from_waker(waker));
        let mut state = self.lock();
        state.actors.current = MAIN;
        if std::mem::take(&mut state.actors.crashing) {
            state.trace.counters.crashes += 1;
            return Polled::Crashed;
        }
        match polled {
            Poll::Ready(()) => Polled::Done,
            Poll::Pending => Polled::Pending,
        }
    }

    /// Moves the time to what is due next, and lets it happen; whether there was anything.
    fn advance(&self, until_ns: Option<u64>) -> bool {
        let mut state = self.lock();
        let Some(entry) = state.timers.first_entry() else { return false };
        if until_ns.is_some_and(|until_ns| entry.key().0 > until_ns) {
            return false;
        }
        let ((at_ns, _), timer) = entry.remove_entry();
        state.now_ns = state.now_ns.max(at_ns);
        match timer {
            Timer::Wake(waker) => {
                drop(state);
                waker.wake();
            }
            Timer::Land(record, change) => self.land(&mut state, record, change),
        }
        true
    }

    /// Never completes: the actor is dropped when its poll returns.
    pub(crate) async fn crash<T>(&self) -> T {
        self.lock().actors.begin_crash();
        std::future::pending().await
    }

    /// Runs `future` as an actor of its own and waits for its end: an invocation that may crash while its caller, the
    /// machinery that would start it again, goes on.
    ///
    /// # Errors
    /// [`Crashed`].
    pub async fn invoke<F>(&self, name: &str, future: F) -> Result<F::Output, Crashed>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        pin!(self.spawn_actor(name, future)).await
    }
}
