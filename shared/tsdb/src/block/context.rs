//! What the open blocks of one store share: a cache of what they decoded, and a bound on bytes in flight.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;

use crate::cache::Lru;

/// Cache and bound of blocks that are opened by themselves, by tools and tests.
const DEFAULT_CACHE_BYTES: usize = 256 << 20;
const DEFAULT_FETCH_BYTES: u64 = 256 << 20;

/// A cache of decoded indexes and timelines, and a budget of bytes that are fetched but not decoded yet.
#[derive(Debug)]
pub struct BlockContext {
    cache: Lru<CacheKey, dyn Any + Send + Sync>,
    budget: Arc<Budget>,
}

/// Names what was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CacheKey {
    /// Hash of the object's key.
    pub(super) file: u128,
    /// What of it, and the row group or the timeline's name.
    pub(super) part: (Part, i64),
}

/// Parts of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The metric names of a row group.
    Metrics,
    /// The labels of a row group.
    Labels,
    /// The other index columns of a row group.
    Rows,
    /// One timeline.
    Timeline,
}

impl BlockContext {
    /// A context that keeps up to `cache_bytes` of what was decoded, and lets readers hold up to `fetch_bytes_max` bytes
    /// that were fetched or are being fetched (one that needs more waits until it is alone).
    #[must_use]
    pub fn new(cache_bytes: usize, fetch_bytes_max: u64) -> Self {
        Self { cache: Lru::new(cache_bytes), budget: Budget::new(fetch_bytes_max) }
    }

    /// What is kept under `key`.
    pub(super) fn get<T: Send + Sync + 'static>(&self, key: &CacheKey) -> Option<Arc<T>> {
        self.cache.get(key)?.downcast().ok()
    }

    /// Keeps `value`, which occupies `bytes`.
    pub(super) fn insert<T: Send + Sync + 'static>(&self, key: CacheKey, value: &Arc<T>, bytes: usize) {
        self.cache.insert(key, Arc::<T>::clone(value), bytes);
    }

    /// Waits until `bytes` may be fetched. Whoever holds a permit must not ask for another, or all could wait.
    pub(super) async fn reserve(&self, bytes: u64) -> Permit {
        Budget::take(&self.budget, bytes).await
    }

    /// Bytes that what is kept occupies.
    #[must_use]
    pub fn cached_bytes(&self) -> usize {
        self.cache.weight()
    }
}

impl Default for BlockContext {
    fn default() -> Self {
        Self::new(DEFAULT_CACHE_BYTES, DEFAULT_FETCH_BYTES)
    }
}

/// A semaphore on bytes, first come, first served.
#[derive(Debug)]
struct Budget {
    max: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: u64,
    waiting: VecDeque<(u64, oneshot::Sender<Permit>)>,
}

/// Bytes of a budget; dropping it gives them back.
#[derive(Debug)]
pub(super) struct Permit {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    fn new(max: u64) -> Arc<Self> {
        let max = max.max(1);
        Arc::new(Self { max, state: Mutex::new(State { free: max, waiting: VecDeque::new() }) })
    }

    async fn take(budget: &Arc<Self>, bytes: u64) -> Permit {
        let bytes = bytes.min(budget.max);
        let receiver = {
            let mut state = budget.lock();
            if state.waiting.is_empty() && state.free >= bytes {
                state.free -= bytes;
                None
            } else {
                let (sender, receiver) = oneshot::channel();
                state.waiting.push_back((bytes, sender));
                Some(receiver)
            }
        };
        let granted = match receiver {
            Some(receiver) => receiver.await.ok(),
            None => Some(Permit { budget: Arc::clone(budget), bytes }),
        };
        // The sender is never dropped before it was served; a permit of nothing would be harmless.
        granted.unwrap_or_else(|| Permit { budget: Arc::clone(budget), bytes: 0 })
    }

    fn give_back(budget: &Arc<Self>, bytes: u64) {
        let mut served = Vec::new();
        {
            let mut state = budget.lock();
            state.free += bytes;
            while let Some((wanted, _)) = state.waiting.front()
                && *wanted <= state.free
            {
                let Some((wanted, sender)) = state.waiting.pop_front() else { break };
                state.free -= wanted;
                served.push((Permit { budget: Arc::clone(budget), bytes: wanted }, sender));
            }
        }
        // Without the lock: a permit that nobody waits for any more comes back at once.
        for (permit, sender) in served {
            let _ = sender.send(permit);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.bytes > 0 {
            Budget::give_back(&self.budget, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn bytes_in_flight_are_bounded_and_served_in_order() {
        let context = BlockContext::new(0, 100);
        let first = block_on(context.reserve(60));
        let mut large = Box::pin(context.reserve(1_000));
        let mut small = Box::pin(context.reserve(10));
        assert!((&mut large).now_or_never().is_none());
        assert!((&mut small).now_or_never().is_none(), "nobody overtakes");
        drop(first);
        let large = large.now_or_never().expect("what is larger than all goes alone");
        assert!((&mut small).now_or_never().is_none());
        drop(large);
        assert!(small.now_or_never().is_some());
    }

    #[test]
    fn who_stops_waiting_holds_nothing() {
        let context = BlockContext::new(0, 100);
        let first = block_on(context.reserve(100));
        let mut given_up = Box::pin(context.reserve(50));
        assert!((&mut given_up).now_or_never().is_none());
        let mut served_but_gone = Box::pin(context.reserve(50));
        assert!((&mut served_but_gone).now_or_never().is_none());
        drop(given_up);
        drop(first);
        drop(served_but_gone);
        assert!(Box::pin(context.reserve(100)).now_or_never().is_some());
    }
}
