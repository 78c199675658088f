//! `f64` as `mantissa / 10^exponent`, exactly or not at all.

/// Largest exponent.
pub(super) const EXPONENT_MAX: u8 = 9;

const POWERS: [f64; EXPONENT_MAX as usize + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// Mantissas stay below 2^53, where every integer is an `f64`.
const MANTISSA_LIMIT: f64 = 9_007_199_254_740_992.0;

/// The smallest exponent with which `value` comes back bit for bit, and its mantissa.
pub(super) fn split(value: f64) -> Option<(u8, i64)> {
    for exponent in 0..=EXPONENT_MAX {
        if let Some(mantissa) = at_exponent(value, exponent) {
            return Some((exponent, mantissa));
        }
    }
    None
}

/// The mantissa of `value` at `exponent`, if it comes back bit for bit.
pub(super) fn at_exponent(value: f64, exponent: u8) -> Option<i64> {
    let scaled = (value * POWERS.get(usize::from(exponent))?).round();
    if scaled.is_nan() || scaled.abs() >= MANTISSA_LIMIT {
        return None;
    }
    let mantissa = scaled as i64;
    (join(exponent, mantissa)?.to_bits() == value.to_bits()).then_some(mantissa)
}

/// `mantissa / 10^exponent`; `None` where there is no such exponent.
pub(super) fn join(exponent: u8, mantissa: i64) -> Option<f64> {
    POWERS.get(usize::from(exponent)).map(|power| mantissa as f64 / power)
}
