//! The two NaNs. Source: `model/value/value.go` of Prometheus.
//!
//! Both are NaN to arithmetic; only their bits tell them apart, so they are compared by bits and the stale marker
//! never takes part in arithmetic.

/// Bits of the NaN that stands for an ordinary "not a number" (Go's `math.NaN`; Rust's `f64::NAN` differs).
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// Bits of the stale marker: the series has no value from this instant on.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The ordinary NaN as Prometheus stores it.
#[must_use]
pub fn normal_nan() -> f64 {
    f64::from_bits(NORMAL_NAN_BITS)
}

/// The stale marker.
#[must_use]
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `value` is the stale marker.
#[must_use]
pub fn is_stale_nan(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}
