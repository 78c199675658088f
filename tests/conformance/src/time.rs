//! The contracts of [`Clock`] and [`Entropy`].

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use platform::{Clock, Entropy, unique_id};

/// Checks an adapter's clock, which it lets run for some tens of milliseconds.
///
/// # Panics
/// Where the adapter breaks the contract.
pub async fn clock(clock: &dyn Clock) {
    const STEP: Duration = Duration::from_millis(20);
    let (start_ms, start_ns) = (clock.now_ms(), clock.monotonic_ns());
    assert!(start_ms > 1_577_836_800_000, "{start_ms} ms is before 2020");
    clock.sleep(STEP).await;
    let passed = Duration::from_nanos(clock.monotonic_ns() - start_ns);
    assert!(passed >= STEP, "slept {passed:?}");
    let passed_ms = clock.now_ms() - start_ms;
    // The time of day is cut to milliseconds at both ends.
    assert!(passed_ms >= 19, "{passed_ms} ms passed");

    let start_ns = clock.monotonic_ns();
    join_all((0..10).map(|_| clock.sleep(STEP))).await;
    let passed = Duration::from_nanos(clock.monotonic_ns() - start_ns);
    assert!(passed >= STEP && passed < STEP * 9, "ten sleeps at once took {passed:?}");
    clock.sleep(Duration::ZERO).await;

    let mut last_ns = clock.monotonic_ns();
    for _ in 0..1_000 {
        let now_ns = clock.monotonic_ns();
        assert!(now_ns >= last_ns, "the clock went back");
        last_ns = now_ns;
    }
}

/// Checks an adapter's randomness, as far as that can be.
///
/// # Panics
/// Where it repeats itself, or a bit never changes.
pub fn entropy(entropy: &dyn Entropy, clock: &dyn Clock) {
    const DRAWS: usize = 1_000;
    let draws: BTreeSet<u64> = (0..DRAWS).map(|_| entropy.next_u64()).collect();
    assert_eq!(draws.len(), DRAWS);
    for bit in 0..64 {
        let set = draws.iter().filter(|draw| *draw >> bit & 1 == 1).count();
        assert!((350..650).contains(&set), "bit {bit} is set in {set} of {DRAWS} draws");
    }
    let ids: BTreeSet<String> = (0..DRAWS).map(|_| unique_id(clock, entropy)).collect();
    assert_eq!(ids.len(), DRAWS);
}
