//! How an invocation's time is divided.

use std::time::Duration;

use platform::{Clock, Deadline};

/// Of the time that is left, handlers get all but a tenth, which is at least and at most so long: to store what they
/// have, to be given up, to answer.
const MARGIN_PART: u32 = 10;
const MARGIN_MIN: Duration = Duration::from_millis(500);
const MARGIN_MAX: Duration = Duration::from_secs(5);
/// What still runs so long before Lambda would kill the process is given up, so that the rest of the batch is answered
/// for, and the numbers are told.
const ANSWER: Duration = Duration::from_millis(250);

/// When work must be done, and when it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What handlers are told.
    pub deadline: Deadline,
    /// When handlers that do not heed it are dropped.
    pub end: Deadline,
}

impl Budget {
    /// The budget of an invocation that Lambda kills at `killed_at`, ms since the epoch.
    #[must_use]
    pub fn until(killed_at: i64, clock: &dyn Clock) -> Self {
        let left = Deadline(killed_at).remaining(clock);
        let margin = (left / MARGIN_PART).clamp(MARGIN_MIN, MARGIN_MAX);
        Self { deadline: before(killed_at, margin), end: before(killed_at, ANSWER) }
    }
}

fn before(at: i64, margin: Duration) -> Deadline {
    Deadline(at.saturating_sub(i64::try_from(margin.as_millis()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_stop_first_then_they_are_dropped_then_lambda_kills() {
        let world = platform_sim::World::new(1);
        let platform = world.platform();
        let now = platform.clock.now_ms();
        for (seconds, margin) in [(1, 500), (30, 3_000), (900, 5_000)] {
            let killed_at = now + seconds * 1_000;
            let budget = Budget::until(killed_at, &*platform.clock);
            assert_eq!(budget.deadline, Deadline(killed_at - margin), "{seconds} s");
            assert!(budget.deadline < budget.end && budget.end < Deadline(killed_at));
        }
    }
}
