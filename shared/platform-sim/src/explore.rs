//! Exploring schedules: a driver, instead of the seed, decides which actor does its next effect, and when what is late
//! lands.
//!
//! In an explored world calls take no time, and a poll of an actor does one effect: so every effect is a point at which
//! another actor can go on. Waits shorter than a second, which are those between attempts, are over at once; longer
//! ones, which bound something, end only when nothing else can go on.
//!
//! What an actor does next depends on nothing but what it has been told: the results of its effects, and the time where
//! it asked. A hash of that, of the stores, of what is late and of the time is a hash of the world's state: from two
//! equal ones the same can follow, so a driver need not go on where it has been.

use std::sync::Arc;
use std::time::Duration;

use crate::executor::ActorId;
use crate::random::fnv_from;
use crate::trace::EffectRecord;
use crate::world::{Change, Handle, State, nanos};

/// What can happen next in an explored world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An actor goes on.
    Actor(ActorId, Arc<str>),
    /// A late effect lands; its number.
    Land(u64),
}

/// Decides what happens next.
pub trait Driver: Send {
    /// Which of `steps`, of which there is at least one. `None` ends the run here. `state` is a hash of everything that
    /// the future depends on, except for the driver's own decisions.
    fn choose(&mut self, steps: &[Step], state: u64) -> Option<usize>;
}

/// Waits that are shorter are over at once, ns.
pub(crate) const SHORT_NS: u64 = 1_000_000_000;

pub(crate) struct Explore {
    driver: Box<dyn Driver>,
    lands: Vec<Land>,
    next_land: u64,
    /// Whether the actor that is being polled has done its effect.
    pub(crate) stepped: bool,
    pub(crate) stopped: bool,
    observed: u64,
}

struct Land {
    id: u64,
    hash: u64,
    record: EffectRecord,
    change: Change,
}

/// What the driver chose.
pub(crate) enum Chosen {
    Actor(ActorId),
    Landed,
    Stopped,
}

impl Handle {
    /// Lets `driver` decide from now on. Calls should take no time: [`crate::Latency`] zero.
    pub fn explore(&self, driver: impl Driver + 'static) {
        let explore = Explore {
            driver: Box::new(driver),
            lands: Vec::new(),
            next_land: 0,
            stepped: false,
            stopped: false,
            observed: 0,
        };
        self.lock().explore = Some(explore);
    }

    /// No driver decides any more; what is late lands now.
    pub fn end_exploration(&self) {
        let mut state = self.lock();
        let lands = state.explore.take().map(|explore| explore.lands).unwrap_or_default();
        for land in lands {
            self.land(&mut state, land.record, land.change);
        }
    }

    /// Whether a driver decides.
    #[must_use]
    pub fn is_explored(&self) -> bool {
        self.lock().explore.is_some()
    }

    /// Whether the driver has ended the run.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.lock().explore.as_ref().is_some_and(|explore| explore.stopped)
    }

    /// A hash of the world's state, as the driver is told it.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        state_hash_of(&self.lock())
    }

    /// Makes something that a checker has noticed part of the world's state.
    pub fn observe(&self, what: u64) {
        if let Some(explore) = self.lock().explore.as_mut() {
            explore.observed = explore.observed.wrapping_add(fnv_from(what, b"observed"));
        }
    }

    /// Makes something that the current actor has been told in another way than by a port part of its state.
    pub fn learn(&self, what: u64) {
        self.lock().learn(what);
    }

    /// Lets time pass at once, as an effect of the current actor: whoever waits for less goes on when nobody else can.
    pub async fn jump(&self, duration: Duration) {
        self.gate().await;
        let mut state = self.lock();
        state.now_ns = state.now_ns.saturating_add(nanos(duration));
        state.learn(0);
    }

    /// Waits for its turn to do an effect.
    pub(crate) async fn gate(&self) {
        std::future::poll_fn(|context| {
            let mut state = self.lock();
            let Some(explore) = state.explore.as_mut() else { return std::task::Poll::Ready(()) };
            if explore.stepped {
                context.waker().wake_by_ref();
                return std::task::Poll::Pending;
            }
            explore.stepped = true;
            std::task::Poll::Ready(())
        })
        .await;
    }

    /// Asks the driver, if there is one, which of the actors that are ready goes on; `None` where nothing can.
    pub(crate) fn choose(&self, state: &mut State, ready: &[ActorId]) -> Option<Chosen> {
        let hash = state_hash_of(state);
        let named = |id: &ActorId| Step::Actor(*id, state.actors.name(*id));
        let mut steps: Vec<Step> = ready.iter().map(named).collect();
        let explore = state.explore.as_mut()?;
        steps.extend(explore.lands.iter().map(|land| Step::Land(land.id)));
        if steps.is_empty() {
            return None;
        }
        explore.stepped = false;
        let chosen = explore.driver.choose(&steps, hash);
        match chosen.and_then(|at| steps.get(at)) {
            Some(Step::Actor(id, _)) => Some(Chosen::Actor(*id)),
            Some(Step::Land(id)) => {
                let at = explore.lands.iter().position(|land| land.id == *id)?;
                let land = explore.lands.remove(at);
                self.land(state, land.record, land.change);
                Some(Chosen::Landed)
            }
            None => {
                explore.stopped = true;
                Some(Chosen::Stopped)
            }
        }
    }
}

impl Explore {
    pub(crate) fn add_land(&mut self, history: u64, record: EffectRecord, change: Change) {
        let id = self.next_land;
        self.next_land += 1;
        let hash = fnv_from(fnv_from(history, record.subject.as_bytes()), b"late");
        self.lands.push(Land { id, hash, record, change });
    }
}

impl State {
    /// Adds to what the current actor knows.
    pub(crate) fn learn(&mut self, what: u64) {
        if self.explore.is_some() {
            self.actors.learn(what);
        }
    }
}

fn state_hash_of(state: &State) -> u64 {
    let Some(explore) = state.explore.as_ref() else { return 0 };
    let lands = explore.lands.iter().fold(explore.observed, |sum, land| sum.wrapping_add(land.hash));
    let parts = [state.stores.hash(), state.actors.histories(), lands, state.now_ns];
    parts.iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| fnv_from(hash, &part.to_le_bytes()))
}
