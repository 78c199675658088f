//! The whole pipeline, simulated: the real handlers on a simulated platform, under faults, against an oracle.
//!
//! ```text
//!               plan (seed) ─► day: schedules, queues, sandboxes (workers, process) ─► the real discovery, scraper, ruler,
//!                               │    faults (chaos), planted bugs (mutant)               compactor, collector, query, store
//!  fleet: targets that say ◄────┘                                                        │ real codecs, real Parquet
//!  something else each time                                                              ▼
//!       │                      ledger: what was acknowledged        watch: what callers are told    platform_sim
//!       └──────────► oracle ◄──────┘ ◄── audit: readers of three kinds, the head, the blocks one by one
//!
//!  explore: a scenario's invocations, every schedule and every fault within bounds, the same oracle at every end
//! ```
//!
//! Nothing stands in for anything: segments, layouts, manifests and blocks are what production writes, on a platform in
//! memory ([`platform_sim`]) whose clock, queues and failures are the simulation's. Two things are not simulated here:
//! unreadable discovery files (a cold start that meets one finds no targets, as Prometheus would), and HTTP in (the query
//! function is called directly, pushes go to `Store::append`).
//!
//! # The random days
//! A seed is a [`plan::Plan`]: settings, targets, a swarm of faults (each kind off in half of the seeds, storms, one service
//! dark), sandboxes that freeze for hours, schedules that fire twice, late or never, messages that are delivered twice,
//! targets and configurations that change, clients that push samples of any age, clocks that differ. Every hour readers of
//! three kinds are audited: a fresh one, one that lives on, and the query function; every six hours everything, block by block.
//! Then the faults stop: targets must be scraped, rules evaluated, segments compacted, and in the end no object be left that
//! the head does not name.
//!
//! # The explorer
//! See [`explore`]. Exhausted means: every schedule of the scenario's invocations with at most so many preemptions and
//! faults was run, or led to a state from which everything had been run.
//!
//! # Commands
//! ```text
//! cargo test -p sim                                        the quick run: some seeds, the smallest scenarios, all mutants
//! SIM_SEEDS=17,42 cargo test -p sim                        those seeds, a day each; a failure is shrunk to a ready test
//! cargo run --release -p sim -- days 2000 [--from SEED] [--threads 2]
//! cargo run --release -p sim -- explore [KIND ...] [--preemptions 1] [--faults 1] [--threads 2]
//! cargo run --release -p sim -- mutants [--days 20]        where each planted bug is found, and by which random day
//! cargo run --release -p sim -- seed 17 [--hours 24] [--mutant NoFence]
//! ```
//! Long runs print progress, tables for people and a line of JSON, and fail where anything was violated, not exhausted, not
//! found, or (from 200 days on) a sometimes-mark was never hit. Seeds in `regressions.txt` run first, in the
//! quick run those of at most six hours.

pub mod audit;
pub mod chaos;
pub mod command;
pub mod day;
pub mod explore;
pub mod fleet;
pub mod ledger;
pub mod marks;
pub mod mutant;
pub mod oracle;
pub mod plan;
pub mod process;
pub mod rules;
pub mod shrink;
pub mod watch;
pub mod workers;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lock whose holders do not fail half-way.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
