//! Time and randomness, both injected.

use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The time of day, and waiting.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;

    /// Nanoseconds on a clock that never goes back, from an arbitrary origin: for measuring durations.
    fn monotonic_ns(&self) -> u64;

    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A source of randomness.
pub trait Entropy: Send + Sync {
    /// 64 random bits.
    fn next_u64(&self) -> u64;
}

/// An identifier that no other attempt will have and that sorts by time: a ULID (26 characters, Crockford base 32).
#[must_use]
pub fn unique_id(clock: &dyn Clock, entropy: &dyn Entropy) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let time = u128::from(clock.now_ms().unsigned_abs()) & ((1 << 48) - 1);
    let random = (u128::from(entropy.next_u64()) << 64 | u128::from(entropy.next_u64())) & ((1 << 80) - 1);
    let bits = time << 80 | random;
    let mut id = String::with_capacity(26);
    for position in (0..26).rev() {
        let digit = (bits >> (position * 5)) as usize & 31;
        let _ = write!(id, "{}", char::from(DIGITS[digit]));
    }
    id
}
