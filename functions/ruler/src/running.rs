//! Which groups this process is evaluating, so that a slow group is not evaluated many times at once.
//!
//! That two processes evaluate a group is rare and harmless: the state's compare-and-set decides. In one process the
//! ticks of a group that takes longer than its interval would pile up, each making the others slower.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The ticks under way by group.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<BTreeMap<u64, i64>>);

/// What became of the wish to evaluate a group.
pub(crate) enum Begun<'a> {
    /// Nobody else does; others are kept from it until this is dropped.
    Alone(Guard<'a>),
    /// Somebody else is evaluating the same tick.
    SameTick,
    /// Somebody else is evaluating another tick.
    OtherTick,
}

/// Keeps others from evaluating a group.
pub(crate) struct Guard<'a> {
    running: &'a Running,
    group: u64,
}

impl Running {
    /// Begins to evaluate a group, named by its hash, at `tick`, ms.
    pub(crate) fn begin(&self, group: u64, tick: i64) -> Begun<'_> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match running.get(&group) {
            Some(other) if *other == tick => Begun::SameTick,
            Some(_) => Begun::OtherTick,
            None => {
                running.insert(group, tick);
                Begun::Alone(Guard { running: self, group })
            }
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_evaluated_once_at_a_time() {
        let running = Running::default();
        let first = running.begin(1, 10);
        assert!(matches!(first, Begun::Alone(_)));
        assert!(matches!(running.begin(1, 10), Begun::SameTick));
        assert!(matches!(running.begin(1, 20), Begun::OtherTick));
        assert!(matches!(running.begin(2, 20), Begun::Alone(_)));
        drop(first);
        assert!(matches!(running.begin(1, 20), Begun::Alone(_)));
    }
}
