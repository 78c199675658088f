//! How a row's values are stored: the first way that gives every value back bit for bit.
//!
//! 1. *Constant*: one value for all samples, NaN and -0.0 included.
//! 2. *Scaled*: `m * mul / div` with an integer `m` per sample: decimals, integers with a common factor, products.
//! 3. *Scaled with residual*: `m * mul / div + r * ulp`, for decimals with rounding noise (sums of floats), if it is
//!    shorter than the doubles themselves.
//! 4. *Raw* doubles.
//!
//! The formulas are evaluated from left to right in `f64`, by the engine as by SQL, so both see the same bits.

/// Decimal places tried, in `m / 10^e` and in `m * 10^-e`.
const DECIMALS_MAX: usize = 9;
const POWERS: [f64; DECIMALS_MAX + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
const FRACTIONS: [f64; DECIMALS_MAX + 1] = [1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9];
/// Bound on mantissas, so that differences of two fit.
const MANTISSA_LIMIT: f64 = 4_611_686_018_427_387_904.0;
/// Bound on residuals: integers below it are exact in `f64`.
const RESIDUAL_LIMIT: f64 = 9_007_199_254_740_992.0;
/// How many values are looked at to choose the decimals of the residual form.
const PROBE_LEN: usize = 128;

/// The stored form of one row's values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RowValues {
    Constant(f64),
    Scaled { m: Vec<i64>, scale: Scale, residual: Option<Residual> },
    Raw,
}

/// The factors of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) mul: f64,
    pub(super) div: f64,
}

/// What remains of each value, in units of `ulp`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Residual {
    pub(super) r: Vec<i64>,
    pub(super) ulp: f64,
}

impl Scale {
    /// The value of `m`.
    pub(super) fn value(self, m: i64) -> f64 {
        m as f64 * self.mul / self.div
    }

    /// The value of `m` and its residual.
    pub(super) fn value_with_residual(self, m: i64, r: i64, ulp: f64) -> f64 {
        self.value(m) + r as f64 * ulp
    }

    fn decimals(places: usize) -> Self {
        Self { mul: 1.0, div: POWERS[places] }
    }
}

/// Chooses the stored form of `values`, which are not empty.
pub(super) fn encode(values: &[f64]) -> RowValues {
    let first = values.first().copied().unwrap_or_default();
    if values.iter().all(|value| value.to_bits() == first.to_bits()) {
        return RowValues::Constant(first);
    }
    let quotients = (0..=DECIMALS_MAX).map(Scale::decimals);
    let products = (1..=DECIMALS_MAX).map(|places| Scale { mul: FRACTIONS[places], div: 1.0 });
    for scale in quotients.chain(products) {
        if let Some(m) = fit(values, scale) {
            let (m, scale) = divide_by_common_factor(m, scale);
            return RowValues::Scaled { m, scale, residual: None };
        }
    }
    fit_with_residual(values).unwrap_or(RowValues::Raw)
}

/// The integers that give every value back at `scale`.
fn fit(values: &[f64], scale: Scale) -> Option<Vec<i64>> {
    let mut mantissas = Vec::new();
    for value in values {
        let m = mantissa(*value, scale)?;
        if scale.value(m).to_bits() != value.to_bits() {
            return None;
        }
        if mantissas.is_empty() {
            mantissas.reserve_exact(values.len());
        }
        mantissas.push(m);
    }
    Some(mantissas)
}

fn mantissa(value: f64, scale: Scale) -> Option<i64> {
    let m = (value * scale.div / scale.mul).round();
    (m.abs() < MANTISSA_LIMIT).then_some(m as i64)
}

/// Byte gauges are multiples of a page size: their quotients are shorter.
fn divide_by_common_factor(m: Vec<i64>, scale: Scale) -> (Vec<i64>, Scale) {
    let mut factor = 0u64;
    for value in &m {
        factor = greatest_common_divisor(factor, value.unsigned_abs());
        if factor == 1 {
            return (m, scale);
        }
    }
    let (Ok(divisor), true) = (i64::try_from(factor), scale == Scale::decimals(0)) else { return (m, scale) };
    if divisor == 0 {
        return (m, scale);
    }
    let divided = Scale { mul: divisor as f64, div: 1.0 };
    let quotients: Vec<i64> = m.iter().map(|value| value / divisor).collect();
    let same =
        |(quotient, value): (&i64, &i64)| divided.value(*quotient).to_bits() == scale.value(*value).to_bits();
    if quotients.iter().zip(&m).all(same) { (quotients, divided) } else { (m, scale) }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn fit_with_residual(values: &[f64]) -> Option<RowValues> {
    if values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let probe = values.get(..PROBE_LEN).unwrap_or(values);
    let places = (0..=DECIMALS_MAX)
        .filter_map(|places| {
            let (m, residual) = split(probe, Scale::decimals(places))?;
            Some((packed_bits(&m) + packed_bits(&residual.r), places))
        })
        .min()?
        .1;
    let scale = Scale::decimals(places);
    let (m, residual) = split(values, scale)?;
    // Doubles compress a little too: the residual form must be clearly shorter.
    let raw_bits = values.len() as u64 * 64;
    let is_shorter = (packed_bits(&m) + packed_bits(&residual.r)) * 5 < raw_bits * 4;
    is_shorter.then_some(RowValues::Scaled { m, scale, residual: Some(residual) })
}

/// Integers and residuals that give every value back at `scale`.
fn split(values: &[f64], scale: Scale) -> Option<(Vec<i64>, Residual)> {
    let mut m = Vec::with_capacity(values.len());
    let mut ulp = f64::INFINITY;
    for value in values {
        let mantissa = mantissa(*value, scale)?;
        m.push(mantissa);
        for of in [*value, scale.value(mantissa)] {
            if of != 0.0 {
                ulp = ulp.min(ulp_of(of));
            }
        }
    }
    let mut r = Vec::with_capacity(values.len());
    for (value, m) in values.iter().zip(&m) {
        let residual = (value - scale.value(*m)) / ulp;
        if residual.is_nan() || residual.abs() >= RESIDUAL_LIMIT {
            return None;
        }
        let residual = residual as i64;
        if scale.value_with_residual(*m, residual, ulp).to_bits() != value.to_bits() {
            return None;
        }
        r.push(residual);
    }
    Some((m, Residual { r, ulp }))
}

/// The distance to the next larger magnitude.
fn ulp_of(value: f64) -> f64 {
    let magnitude = value.abs();
    f64::from_bits(magnitude.to_bits() + 1) - magnitude
}

/// About how many bits `DELTA_BINARY_PACKED` takes for `values`.
fn packed_bits(values: &[i64]) -> u64 {
    let mut bits = 0;
    let mut deltas = [0i64; 128];
    let mut last = values.first().copied().unwrap_or_default();
    for block in values.get(1..).unwrap_or_default().chunks(deltas.len()) {
        for (delta, value) in deltas.iter_mut().zip(block) {
            *delta = value.wrapping_sub(last);
            last = *value;
        }
        let deltas = deltas.get(..block.len()).unwrap_or_default();
        let least = deltas.iter().copied().min().unwrap_or_default();
        for miniblock in deltas.chunks(32) {
            let most =
                miniblock.iter().map(|delta| delta.wrapping_sub(least) as u64).max().unwrap_or_default();
            bits += u64::from(64 - most.leading_zeros()) * miniblock.len() as u64 + 8;
        }
        bits += 32;
    }
    bits
}

#[cfg(test)]
mod tests {
    use model::value::{NORMAL_NAN_BITS, normal_nan};
    use proptest::prelude::*;

    use super::*;

    fn decode(encoded: &RowValues, values: &[f64]) -> Vec<u64> {
        let value = |index: usize| match encoded {
            RowValues::Constant(value) => *value,
            RowValues::Raw => values[index],
            RowValues::Scaled { m, scale, residual: None } => scale.value(m[index]),
            RowValues::Scaled { m, scale, residual: Some(residual) } => {
                scale.value_with_residual(m[index], residual.r[index], residual.ulp)
            }
        };
        (0..values.len()).map(|index| value(index).to_bits()).collect()
    }

    fn check(values: &[f64]) -> RowValues {
        let encoded = encode(values);
        assert_eq!(decode(&encoded, values), values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        encoded
    }

    fn scale_of(values: &[f64]) -> (f64, f64) {
        match check(values) {
            RowValues::Scaled { scale, residual: None, .. } => (scale.mul, scale.div),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn equal_bits_are_a_constant() {
        assert_eq!(check(&[1.5, 1.5]), RowValues::Constant(1.5));
        let RowValues::Constant(nan) = check(&[normal_nan(), normal_nan()]) else { panic!("not a constant") };
        assert_eq!(nan.to_bits(), NORMAL_NAN_BITS);
        assert_eq!(check(&[0.0, -0.0]), RowValues::Raw);
    }

    #[test]
    fn the_fewest_decimals_win() {
        assert_eq!(scale_of(&[1.0, 2.0]), (1.0, 1.0));
        assert_eq!(scale_of(&[1.25, 2.0]), (1.0, 100.0));
        assert_eq!(scale_of(&[4096.0, 8192.0, 40960.0]), (4096.0, 1.0));
        assert_eq!(scale_of(&[1e17, 3e17]), (1e17, 1.0));
    }

    #[test]
    fn products_with_a_fraction_are_seen() {
        let values: Vec<f64> = (1_000..2_000).map(|n| f64::from(n) * 0.001).collect();
        assert_eq!(scale_of(&values), (0.001, 1.0));
    }

    #[test]
    fn sums_of_decimals_get_a_residual() {
        let values: Vec<f64> = (0..500)
            .scan(1234.5, |sum, n| {
                *sum += f64::from(n % 17) * 0.001;
                Some(*sum)
            })
            .collect();
        assert!(matches!(check(&values), RowValues::Scaled { residual: Some(_), .. }));
    }

    #[test]
    fn noise_and_mixtures_are_raw() {
        let noise: Vec<f64> =
            (0..100u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) as f64).sqrt()).collect();
        assert_eq!(check(&noise), RowValues::Raw);
        assert_eq!(check(&[1.0, f64::NAN, 2.0]), RowValues::Raw);
        assert_eq!(check(&[1.0, f64::INFINITY]), RowValues::Raw);
    }

    proptest! {
        #[test]
        fn whatever_form_is_chosen_gives_every_bit_back(
            values in prop_oneof![
                prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 1..50),
                prop::collection::vec(any::<i64>().prop_map(|n| n as f64), 1..50),
                (1e-9..1e9, prop::collection::vec(any::<i32>(), 1..300)).prop_map(|(unit, ns)| {
                    ns.into_iter().map(|n| f64::from(n) * unit).collect()
                }),
                (0u32..10, prop::collection::vec(any::<i32>(), 1..300)).prop_map(|(places, ns)| {
                    ns.into_iter().map(|n| f64::from(n) / POWERS[places as usize]).collect()
                }),
                prop::collection::vec(0.0..10f64, 1..300).prop_map(|steps| {
                    steps.into_iter().scan(0.0, |sum, step| { *sum += (step * 1000.0).round() / 1000.0; Some(*sum) }).collect()
                }),
            ]
        ) {
            check(&values);
        }
    }
}
