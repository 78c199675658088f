//! `f64` as `mantissa / 10^exponent`, exactly or not at all.

/// Largest exponent: up to 10^22 a power of ten is an `f64`, and more than 17 digits no value needs.
pub(super) const EXPONENT_MAX: u8 = 17;

const POWERS: [f64; EXPONENT_MAX as usize + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17];
/// Mantissas stay below 2^53, where every integer is an `f64`.
const MANTISSA_LIMIT: f64 = 9_007_199_254_740_992.0;

/// The smallest exponent with which `value` comes back bit for bit, and its mantissa.
pub(super) fn split(value: f64) -> Option<(u8, i64)> {
    for exponent in 0..=EXPONENT_MAX {
        let scaled = value * POWERS[usize::from(exponent)];
        if scaled.is_nan() || scaled.abs() >= MANTISSA_LIMIT {
            return None;
        }
        if let Some(mantissa) = at_exponent(value, exponent) {
            return Some((exponent, mantissa));
        }
    }
    None
}

/// The mantissa of `value` at `exponent`, if it comes back bit for bit.
pub(super) fn at_exponent(value: f64, exponent: u8) -> Option<i64> {
    let scaled = value * POWERS.get(usize::from(exponent))?;
    // Most that are no integers are far from one: no need to divide.
    let rounded = scaled.round();
    if scaled.is_nan() || rounded.abs() >= MANTISSA_LIMIT || (scaled - rounded).abs() > scaled.abs() * 1e-15 {
        return None;
    }
    let mantissa = rounded as i64;
    (join(exponent, mantissa)?.to_bits() == value.to_bits()).then_some(mantissa)
}

/// `mantissa / 10^exponent`; `None` where there is no such exponent.
pub(super) fn join(exponent: u8, mantissa: i64) -> Option<f64> {
    POWERS.get(usize::from(exponent)).map(|power| mantissa as f64 / power)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_in_decimal_is_found(mantissa in -(1i64 << 50)..1 << 50, exponent in 0u8..=EXPONENT_MAX) {
            let value = join(exponent, mantissa).unwrap();
            let found = split(value);
            prop_assert!(mantissa == 0 || found.is_some_and(|(e, m)| e <= exponent && join(e, m) == Some(value)));
        }

        #[test]
        fn what_is_found_comes_back_bit_for_bit(bits: u64) {
            let value = f64::from_bits(bits);
            if let Some((exponent, mantissa)) = split(value) {
                prop_assert_eq!(join(exponent, mantissa).unwrap().to_bits(), bits);
            }
        }
    }

    #[test]
    fn zero_is_a_decimal_and_its_negative_is_not() {
        assert_eq!(split(0.0), Some((0, 0)));
        assert_eq!(split(-0.0), None);
        assert_eq!(split(0.1 + 0.2), None);
        assert_eq!(split(1e300), None);
    }
}
