//! The whole pipeline, simulated: the real handlers on a simulated platform, under faults, against an oracle.

pub mod audit;
pub mod chaos;
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
pub mod watch;
pub mod workers;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lock whose holders do not fail half-way.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
