//! Wall-clock time of work in memory.

use std::time::{Duration, Instant};

/// Runs `work` once, and says how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
    let now = Instant::now;
    let start = now();
    let result = work();
    (result, now().duration_since(start))
}

/// Runs `work` `n` times (once at least), and gives the last result and the shortest time: on a shared machine the one that
/// was disturbed the least.
pub fn best_of<T>(n: usize, mut work: impl FnMut() -> T) -> (T, Duration) {
    let (mut result, mut best) = timed(&mut work);
    for _ in 1..n {
        let took;
        (result, took) = timed(&mut work);
        best = best.min(took);
    }
    (result, best)
}

/// Things a second, in millions.
#[must_use]
pub fn millions_per_second(things: u64, took: Duration) -> f64 {
    things as f64 / took.as_secs_f64().max(1e-9) / 1e6
}
