//! A world in memory: objects, rows, a virtual clock, faults at chosen effects, and an executor that decides who goes
//! on at every effect. A crash is a future that is dropped.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use platform::{
    ByteRange, Cas, Clock, Entropy, ListedObject, Object, Objects, PlatformError, PlatformFuture, Put, Row,
    RowKey, RowPut, RowRange, Rows, Version,
};

use crate::ports::Ports;

/// What becomes of one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Refused before anything happened.
    Refuse,
    /// Done, but reported unknown.
    LoseAck,
    /// Reported unknown, and done so many effects later.
    Late(u64),
    /// The caller is dropped before it.
    CrashBefore,
    /// The caller is dropped after it.
    CrashAfter,
}

/// The caller was dropped at an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crashed;

type Apply = Box<dyn FnOnce(&mut State) + Send>;

#[derive(Default)]
pub(crate) struct State {
    pub now: i64,
    pub objects: BTreeMap<String, (Bytes, u64)>,
    pub rows: BTreeMap<(String, String), (Bytes, u64, Option<i64>)>,
    /// Effects so far.
    pub effects: u64,
    /// Faults by effect.
    pub fates: BTreeMap<u64, Fate>,
    /// Every effect, for failure reports.
    pub log: Vec<String>,
    created: u64,
    random: u64,
    late: Vec<(u64, Apply)>,
    sleepers: BTreeMap<u64, (i64, Waker)>,
    crashed: bool,
    yielded: bool,
}

/// The world. Clones are the same world.
#[derive(Clone, Default)]
pub(crate) struct World {
    state: Arc<Mutex<State>>,
}

impl World {
    /// An empty world at `now`, ms.
    pub(crate) fn new(now: i64) -> Self {
        let world = Self::default();
        world.state().now = now;
        world
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn ports(&self) -> Ports {
        Ports {
            objects: Arc::new(self.clone()),
            rows: Arc::new(self.clone()),
            clock: Arc::new(self.clone()),
            entropy: Arc::new(self.clone()),
        }
    }

    /// Lets every late effect land.
    pub(crate) fn settle(&self) {
        let mut state = self.state();
        for (_, apply) in std::mem::take(&mut state.late) {
            apply(&mut state);
        }
        state.fates.clear();
    }

    /// Runs one future to its end.
    pub(crate) fn run<T: Send>(&self, future: impl Future<Output = T> + Send) -> Result<T, Crashed> {
        self.run_all(vec![Box::pin(future)], |_| 0).remove(0)
    }

    /// Runs several futures to their ends. Whenever one has made an effect, `choose` says which of so many that are
    /// left goes on.
    pub(crate) fn run_all<'a, T: Send>(
        &self,
        futures: Vec<Pin<Box<dyn Future<Output = T> + Send + 'a>>>,
        mut choose: impl FnMut(usize) -> usize,
    ) -> Vec<Result<T, Crashed>> {
        let mut outcomes: Vec<Option<Result<T, Crashed>>> = futures.iter().map(|_| None).collect();
        let mut running: Vec<_> = futures.into_iter().enumerate().collect();
        let mut idle = 0;
        while !running.is_empty() {
            let at = choose(running.len()) % running.len();
            let (task, future) = &mut running[at];
            match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => {
                    outcomes[*task] = Some(Ok(outcome));
                    drop(running.remove(at));
                    idle = 0;
                }
                Poll::Pending if std::mem::take(&mut self.state().crashed) => {
                    outcomes[*task] = Some(Err(Crashed));
                    drop(running.remove(at));
                    idle = 0;
                }
                Poll::Pending if std::mem::take(&mut self.state().yielded) => idle = 0,
                Poll::Pending => idle += 1,
            }
            // Everybody may be asleep: time passes.
            if idle > 4 * running.len() {
                let mut state = self.state();
                let first = state.sleepers.values().map(|(until, _)| *until).min();
                state.now = first.expect("nobody will ever wake").max(state.now);
                state.sleepers.values().for_each(|(_, waker)| waker.wake_by_ref());
                idle = 0;
            }
        }
        outcomes.into_iter().flatten().collect()
    }

    async fn effect<R: Send + 'static>(
        &self,
        name: String,
        writes: bool,
        apply: impl FnOnce(&mut State) -> R + Send + 'static,
    ) -> Result<R, PlatformError> {
        YieldOnce { world: self, done: false }.await;
        let fate = {
            let mut state = self.state();
            state.effects += 1;
            let now = state.effects;
            let all = std::mem::take(&mut state.late);
            let (due, later): (Vec<_>, Vec<_>) = all.into_iter().partition(|(at, _)| *at <= now);
            state.late = later;
            for (_, apply) in due {
                apply(&mut state);
            }
            let fate = state.fates.get(&now).copied();
            state.log.push(format!("{now} {name} {fate:?}"));
            fate
        };
        let ambiguous =
            || PlatformError::Ambiguous { operation: name.clone(), reason: "connection reset".to_owned() };
        match fate {
            Some(Fate::CrashBefore) => self.crash().await,
            Some(Fate::Refuse) => return Err(PlatformError::Throttled { operation: name }),
            Some(Fate::LoseAck | Fate::Late(_)) if !writes => {
                return Err(PlatformError::Throttled { operation: name });
            }
            Some(Fate::Late(after)) => {
                let mut state = self.state();
                let due = state.effects + after;
                state.late.push((due, Box::new(move |state| drop(apply(state)))));
                return Err(ambiguous());
            }
            _ => {}
        }
        let result = apply(&mut self.state());
        match fate {
            Some(Fate::LoseAck) => Err(ambiguous()),
            Some(Fate::CrashAfter) => {
                self.crash().await;
                Ok(result)
            }
            _ => Ok(result),
        }
    }

    async fn crash(&self) {
        self.state().crashed = true;
        std::future::pending::<()>().await;
    }
}

struct YieldOnce<'a> {
    world: &'a World,
    done: bool,
}

impl Future for YieldOnce<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.done {
            return Poll::Ready(());
        }
        self.done = true;
        self.world.state().yielded = true;
        // Futures that hold many poll only those that called.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

struct Sleep<'a> {
    world: &'a World,
    id: u64,
    until: i64,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.world.state();
        if state.now >= self.until {
            return Poll::Ready(());
        }
        state.sleepers.insert(self.id, (self.until, cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.world.state().sleepers.remove(&self.id);
    }
}

impl Clock for World {
    fn now_ms(&self) -> i64 {
        self.state().now
    }

    fn monotonic_ns(&self) -> u64 {
        self.state().now.unsigned_abs() * 1_000_000
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut state = self.state();
        state.created += 1;
        let (id, until) = (state.created, state.now + i64::try_from(duration.as_millis()).unwrap());
        drop(state);
        Box::pin(Sleep { world: self, id, until })
    }
}

impl Entropy for World {
    fn next_u64(&self) -> u64 {
        let mut state = self.state();
        state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state.random ^ (state.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    }
}

impl Objects for World {
    fn create<'a>(&'a self, key: &'a str, body: Bytes) -> PlatformFuture<'a, Put> {
        let name = key.to_owned();
        Box::pin(self.effect(format!("create {key}"), true, move |state| {
            if state.objects.contains_key(&name) {
                return Put::Exists;
            }
            state.created += 1;
            let version = state.created;
            state.objects.insert(name, (body, version));
            Put::Created(Version(version.to_string()))
        }))
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        version: Option<&'a Version>,
        range: ByteRange,
    ) -> PlatformFuture<'a, Object> {
        let (name, wanted) = (key.to_owned(), version.cloned());
        Box::pin(async move {
            let found = self
                .effect(format!("read {key}"), false, move |state| state.objects.get(&name).cloned())
                .await?
                .map(|(body, version)| (body, Version(version.to_string())))
                .filter(|(_, version)| wanted.is_none_or(|wanted| wanted == *version));
            let (body, version) = found.ok_or(PlatformError::NotFound { what: key.to_owned() })?;
            let len = body.len() as u64;
            let (start, end) = match range {
                ByteRange::All => (0, len),
                ByteRange::At { start, len: count } => (start.min(len), (start + count).min(len)),
                ByteRange::Last(count) => (len.saturating_sub(count), len),
            };
            Ok(Object { body: body.slice(start as usize..end as usize), version, len })
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> PlatformFuture<'a, Vec<ListedObject>> {
        let (start, after) = (prefix.to_owned(), after.map(str::to_owned));
        Box::pin(self.effect(format!("list {prefix}"), false, move |state| {
            let below = state.objects.range(start.clone()..).take_while(|(key, _)| key.starts_with(&start));
            let found = below.filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after)).map(
                |(key, (body, version))| ListedObject {
                    key: key.clone(),
                    version: Version(version.to_string()),
                    len: body.len() as u64,
                },
            );
            found.take(limit).collect()
        }))
    }

    fn delete<'a>(&'a self, key: &'a str) -> PlatformFuture<'a, ()> {
        let name = key.to_owned();
        Box::pin(self.effect(format!("delete {key}"), true, move |state| drop(state.objects.remove(&name))))
    }
}

fn row(key: &(String, String), (value, version, expires_at_s): &(Bytes, u64, Option<i64>)) -> Row {
    Row {
        key: RowKey::new(&key.0, &key.1),
        version: *version,
        value: value.clone(),
        expires_at_s: *expires_at_s,
    }
}

fn name(key: &RowKey) -> (String, String) {
    (key.partition.clone(), key.sort.clone())
}

impl Rows for World {
    fn create<'a>(
        &'a self,
        key: &'a RowKey,
        value: Bytes,
        expires_at_s: Option<i64>,
    ) -> PlatformFuture<'a, RowPut> {
        let name = name(key);
        Box::pin(self.effect(format!("create {} {}", name.0, name.1), true, move |state| {
            if let Some(there) = state.rows.get(&name) {
                return RowPut::Exists(row(&name, there));
            }
            state.rows.insert(name, (value, 1, expires_at_s));
            RowPut::Created
        }))
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a RowKey,
        expected: u64,
        value: Bytes,
    ) -> PlatformFuture<'a, Cas> {
        let name = name(key);
        Box::pin(self.effect(format!("cas {} {expected}", name.0), true, move |state| {
            let there = state.rows.get(&name);
            if there.map_or(0, |(_, version, _)| *version) != expected {
                return Cas::Lost(there.map(|there| row(&name, there)));
            }
            state.rows.insert(name, (value, expected + 1, None));
            Cas::Done(expected + 1)
        }))
    }

    fn get<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, Option<Row>> {
        let name = name(key);
        Box::pin(self.effect(format!("get {} {}", name.0, name.1), false, move |state| {
            state.rows.get(&name).map(|there| row(&name, there))
        }))
    }

    fn query<'a>(&'a self, range: &'a RowRange, limit: usize) -> PlatformFuture<'a, Vec<Row>> {
        let range = range.clone();
        Box::pin(self.effect(format!("query {} {}", range.partition, range.from), false, move |state| {
            let from = (range.partition.clone(), range.from.clone());
            let within = state.rows.range(from..).take_while(|((partition, sort), _)| {
                *partition == range.partition && range.until.as_ref().is_none_or(|until| sort < until)
            });
            within.map(|(key, there)| row(key, there)).take(limit).collect()
        }))
    }

    fn delete<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, ()> {
        let name = name(key);
        let what = format!("delete {} {}", name.0, name.1);
        Box::pin(self.effect(what, true, move |state| drop(state.rows.remove(&name))))
    }
}
