//! Waiting for the world.

use std::time::{Duration, Instant};

/// Asks until there is an answer; fails after `timeout`, telling what was waited for and what was last seen.
pub fn eventually<T>(what: &str, timeout: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        let last = match ask() {
            Ok(answer) => return answer,
            Err(last) => last,
        };
        assert!(started.elapsed() < timeout, "{what}: not within {timeout:?}; last seen: {last}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
