//! Least-recently-used caches of things that never change, so that nothing is ever invalidated.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A bounded map from names of immutable things to the things. Shared between concurrent calls.
#[derive(Debug)]
pub(crate) struct Lru<K, V: ?Sized> {
    weight_max: usize,
    state: Mutex<State<K, V>>,
}

#[derive(Debug)]
struct State<K, V: ?Sized> {
    entries: BTreeMap<K, Entry<V>>,
    by_use: BTreeMap<u64, K>,
    uses: u64,
    weight: usize,
}

#[derive(Debug)]
struct Entry<V: ?Sized> {
    value: Arc<V>,
    weight: usize,
    last_use: u64,
}

impl<K: Ord + Clone, V: ?Sized> Lru<K, V> {
    /// A cache of things whose weights sum to at most `weight_max`.
    pub(crate) fn new(weight_max: usize) -> Self {
        let state = State { entries: BTreeMap::new(), by_use: BTreeMap::new(), uses: 0, weight: 0 };
        Self { weight_max, state: Mutex::new(state) }
    }

    /// What is kept under `key`.
    pub(crate) fn get(&self, key: &K) -> Option<Arc<V>> {
        let mut state = self.lock();
        state.uses += 1;
        let now = state.uses;
        let entry = state.entries.get_mut(key)?;
        let before = std::mem::replace(&mut entry.last_use, now);
        let value = Arc::clone(&entry.value);
        state.by_use.remove(&before);
        state.by_use.insert(now, key.clone());
        Some(value)
    }

    /// Keeps `value`, unless it alone is too heavy, and drops the longest unused.
    pub(crate) fn insert(&self, key: K, value: Arc<V>, weight: usize) {
        if weight > self.weight_max {
            return;
        }
        let mut state = self.lock();
        state.remove(&key);
        while state.weight + weight > self.weight_max {
            let Some(oldest) = state.by_use.values().next().cloned() else { break };
            state.remove(&oldest);
        }
        state.uses += 1;
        let last_use = state.uses;
        state.weight += weight;
        state.by_use.insert(last_use, key.clone());
        state.entries.insert(key, Entry { value, weight, last_use });
    }

    /// The sum of the weights of what is kept.
    pub(crate) fn weight(&self) -> usize {
        self.lock().weight
    }

    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord, V: ?Sized> State<K, V> {
    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.last_use);
            self.weight -= entry.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_make_room() {
        let cache = Lru::new(10);
        for key in 0..3 {
            cache.insert(key, Arc::new(key), 3);
        }
        assert_eq!(cache.get(&0).as_deref(), Some(&0));
        cache.insert(3, Arc::new(3), 4);
        let kept: Vec<i32> = (0..4).filter(|key| cache.get(key).is_some()).collect();
        assert_eq!(kept, [0, 2, 3]);
    }

    #[test]
    fn what_is_too_heavy_is_not_kept_and_weights_are_replaced() {
        let cache = Lru::new(10);
        cache.insert(1, Arc::new(()), 11);
        assert!(cache.get(&1).is_none());
        for _ in 0..20 {
            cache.insert(2, Arc::new(()), 9);
        }
        assert!(cache.get(&2).is_some());
        assert_eq!(cache.weight(), 9);
    }
}
