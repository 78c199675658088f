//! Time of work in memory: what this thread spent on a core, so that others on the machine do not count.

use std::time::{Duration, Instant};

/// How long a batch of runs takes at least, so that the 4 ms in which Linux counts do not matter.
const BATCH: Duration = Duration::from_millis(200);

/// Runs `work`, which must stay on this thread, once, and says how long it took: on a core where Linux tells, else by the
/// clock.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
    let now = Instant::now;
    let (start, before) = (now(), time_on_core());
    let result = work();
    let took = now().duration_since(start);
    let on_core = before.zip(time_on_core()).and_then(|(before, after)| after.checked_sub(before));
    (result, on_core.filter(|on_core| !on_core.is_zero()).unwrap_or(took))
}

/// What this thread has spent on a core so far; `None` where nobody tells.
#[must_use]
pub fn time_on_core() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Runs `work` over and over, in `n` batches (one at least) each of which takes a while, and gives the last result and the
/// shortest time of one run: on a shared machine that of the batch that was disturbed the least.
pub fn best_of<T>(n: usize, mut work: impl FnMut() -> T) -> (T, Duration) {
    let (mut result, first) = timed(&mut work);
    let runs = (BATCH.as_secs_f64() / first.as_secs_f64().max(1e-6)).ceil().clamp(1.0, 1_000.0) as u32;
    let mut best = Duration::MAX;
    for _ in 0..n.max(1) {
        let ((), took) = timed(|| (0..runs).for_each(|_| result = work()));
        best = best.min(took / runs);
    }
    (result, best)
}

/// Things a second, in millions.
#[must_use]
pub fn millions_per_second(things: u64, took: Duration) -> f64 {
    things as f64 / took.as_secs_f64().max(1e-9) / 1e6
}
