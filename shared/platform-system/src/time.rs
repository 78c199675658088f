//! The system's time and randomness.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use platform::{Clock, Entropy};
use rustls::crypto::SecureRandom;

/// The system's clock.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        now_ms()
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Milliseconds since the epoch; 0 where the system's clock stands before it.
#[must_use]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The system's secure randomness.
#[derive(Debug)]
pub struct SystemEntropy {
    source: &'static dyn SecureRandom,
}

impl SystemEntropy {
    /// The system's source.
    #[must_use]
    pub fn new() -> Self {
        Self { source: rustls::crypto::ring::default_provider().secure_random }
    }
}

impl Default for SystemEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for SystemEntropy {
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        match self.source.fill(&mut bytes) {
            Ok(()) => u64::from_le_bytes(bytes),
            // The system has none to give, which it does not do after boot. Identifiers must still differ: hash the time
            // under a key that the process drew when it started and that changes at each use.
            Err(_) => RandomState::new().hash_one(SystemTime::now()),
        }
    }
}
