//! The seam in memory, with virtual time and injected faults: what the simulator and unit tests run on.
//!
//! ```text
//!  World ── seed ──► Random, split for every actor
//!    │               FaultPlan ──► Fate of each effect
//!    ├── executor: one thread, actors polled one at a time, the next one drawn from the seed
//!    ├── timers:   (time, sequence) ──► wake an actor, or a change that lands late
//!    └── stores:   objects, rows, queues, files
//!          ▲
//!      effect: the one function that every call of a port goes through
//!          latency ─► refuse? crash? late? ─► the change ─► lost? crash? ─► latency
//! ```
//!
//! A crash is the drop of an actor's future. Time passes only when every actor waits. The same seed gives the same
//! effects, at the same times, with the same outcomes: [`Handle::trace_hash`] tells. Use no other source of time,
//! randomness or order in an actor, and no port outside of [`World::run`].
//!
//! ```
//! use platform_sim::{ScriptedFaults, Fate, World};
//! use platform::{Put, PlatformError};
//!
//! let world = World::new(7);
//! world.set_faults(ScriptedFaults::new().at(0, Fate::LoseAck));
//! let objects = world.platform().objects;
//! world.run(async {
//!     let first = objects.create("wal/1", "body".into()).await;
//!     assert!(matches!(first, Err(PlatformError::Ambiguous { .. })));
//!     assert_eq!(objects.create("wal/1", "body".into()).await, Ok(Put::Exists));
//! }).done();
//! ```

mod effect;
mod executor;
mod explore;
mod fault;
mod fetcher;
mod files;
mod objects;
mod queue;
mod random;
mod rows;
mod stores;
mod time;
mod trace;
mod world;

pub use executor::{ActorId, Crashed, Ended, Join};
pub use explore::{Driver, Step};
pub use fault::{Fate, FaultPlan, NoFaults, Operation, Port, RandomFaults, ScriptedFaults, Situation};
pub use fetcher::Answer;
pub use queue::{SimQueue, SimQueueDepth};
pub use random::Random;
pub use trace::{Counters, EffectRecord};
pub use world::{Handle, Latency, Snapshot, World, WorldOptions};

#[cfg(test)]
mod tests;
