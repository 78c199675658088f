//! Instants.

/// Milliseconds since the Unix epoch. May be negative.
pub type TimestampMs = i64;

/// The largest multiple of `step_ms` that is not after `timestamp_ms`. `step_ms` must be positive.
#[must_use]
pub fn align_down(timestamp_ms: TimestampMs, step_ms: i64) -> TimestampMs {
    timestamp_ms - timestamp_ms.rem_euclid(step_ms.max(1))
}

#[cfg(test)]
mod tests {
    use super::align_down;

    #[test]
    fn alignment_rounds_towards_the_past_on_both_sides_of_the_epoch() {
        assert_eq!(align_down(7_199_999, 7_200_000), 0);
        assert_eq!(align_down(7_200_000, 7_200_000), 7_200_000);
        assert_eq!(align_down(-1, 7_200_000), -7_200_000);
    }
}
