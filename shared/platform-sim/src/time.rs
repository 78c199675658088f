//! Virtual time, and randomness from the seed.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use platform::{Clock, Entropy};

use crate::Handle;

#[derive(Debug)]
pub(crate) struct SimClock {
    world: Handle,
    skew_ms: i64,
}

impl SimClock {
    pub(crate) fn new(world: Handle, skew_ms: i64) -> Self {
        Self { world, skew_ms }
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> i64 {
        let now = self.world.now_ms();
        self.world.learn(now.unsigned_abs());
        now.saturating_add(self.skew_ms)
    }

    fn monotonic_ns(&self) -> u64 {
        self.world.lock().now_ns
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.world.sleep_for(duration))
    }
}

#[derive(Debug)]
pub(crate) struct SimEntropy {
    world: Handle,
}

impl SimEntropy {
    pub(crate) fn new(world: Handle) -> Self {
        Self { world }
    }
}

impl Entropy for SimEntropy {
    fn next_u64(&self) -> u64 {
        self.world.draw()
    }
}
