//! How a row's values are stored: the first way that gives every value back bit for bit.
//!
//! 1. *Constant*: one value for all samples, NaN and -0.0 included.
//! 2. *Scaled*: `m * mul / div` with an integer `m` per sample: decimals, integers with a common factor, products.
//! 3. *Scaled with residual*: `m * mul / div + r * ulp`, for decimals with rounding noise (sums of floats), if it is
//!    shorter than the doubles themselves.
//! 4. *Raw* doubles.
//!
//! The formulas are evaluated from left to right in `f64`, by the engine as by SQL, so both see the same bits.

use std::sync::Arc;

use super::delta::packed_bits;

/// Decimal places tried, in `m / 10^e` and in `m * 10^-e`.
const DECIMALS_MAX: usize = 9;
const POWERS: [f64; DECIMALS_MAX + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
const FRACTIONS: [f64; DECIMALS_MAX + 1] = [1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9];
/// Bound on mantissas, so that differences of two fit.
const MANTISSA_LIMIT: f64 = 4_611_686_018_427_387_904.0;
/// Integers below it, and their products with each other as long as they stay below it, are exact in `f64`.
const EXACT_LIMIT: u64 = 1 << 53;
/// Bound on residuals.
const RESIDUAL_LIMIT: f64 = EXACT_LIMIT as f64;
/// Added to a number below [`ROUND_LIMIT`] in magnitude it leaves the nearest integer in the lowest bits of the sum.
const ROUND_MAGIC: f64 = 6_755_399_441_055_744.0;
const ROUND_LIMIT: f64 = 2_251_799_813_685_248.0;
/// How many values are looked at to choose the decimals of the residual form.
const PROBE_LEN: usize = 128;
/// How many values are tried before all are.
const FIRST_PROBES: usize = 6;
/// Values that are fitted without looking whether they did.
const FIT_CHUNK: usize = 64;

/// The stored form of one row's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RowForm {
    Constant(f64),
    /// [`Encoder::mantissas`] have the integers.
    Scaled(Scale),
    /// With [`Encoder::residuals`] in this unit.
    ScaledWithResidual(Scale, f64),
    Raw,
}

/// The factors of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) mul: f64,
    pub(super) div: f64,
}

impl Scale {
    const ONE: Self = Self { mul: 1.0, div: 1.0 };

    /// The value of `m`.
    pub(super) fn value(self, m: i64) -> f64 {
        m as f64 * self.mul / self.div
    }

    /// The value of `m` and its residual.
    pub(super) fn value_with_residual(self, m: i64, r: i64, ulp: f64) -> f64 {
        self.value(m) + r as f64 * ulp
    }

    /// The values of `m`. Factors of 1 are left out: they change no bit.
    pub(super) fn values(self, m: &[i64]) -> Arc<[f64]> {
        match (self.mul == 1.0, self.div == 1.0) {
            (true, true) => m.iter().map(|m| *m as f64).collect(),
            (true, false) => m.iter().map(|m| *m as f64 / self.div).collect(),
            (false, true) => m.iter().map(|m| *m as f64 * self.mul).collect(),
            (false, false) => m.iter().map(|m| self.value(*m)).collect(),
        }
    }

    /// The values of `m` and their residuals.
    pub(super) fn values_with_residuals(self, m: &[i64], r: &[i64], ulp: f64) -> Arc<[f64]> {
        m.iter().zip(r).map(|(m, r)| self.value_with_residual(*m, *r, ulp)).collect()
    }

    fn decimals(places: usize) -> Self {
        Self { mul: 1.0, div: POWERS[places] }
    }

    /// The integer that gives `value` back.
    fn mantissa(self, value: f64) -> Option<i64> {
        let m = nearest(value * self.div / self.mul)?;
        (self.value(m).to_bits() == value.to_bits()).then_some(m)
    }
}

/// Chooses how rows are stored, with the memory of the row before.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    m: Vec<i64>,
    r: Vec<i64>,
}

impl Encoder {
    /// Chooses the stored form of `values`, which are not empty.
    pub(super) fn encode(&mut self, values: &[f64]) -> RowForm {
        let first = values.first().copied().unwrap_or_default();
        let Some(other) = values.iter().find(|value| value.to_bits() != first.to_bits()) else {
            return RowForm::Constant(first);
        };
        // A few values rule out most scales.
        let step = (values.len() / FIRST_PROBES).max(1);
        let mut probes = vec![first, *other];
        probes.extend(values.iter().step_by(step).skip(1).take(FIRST_PROBES));
        let quotients = (0..=DECIMALS_MAX).map(Scale::decimals);
        let products = (1..=DECIMALS_MAX).map(|places| Scale { mul: FRACTIONS[places], div: 1.0 });
        for scale in quotients.chain(products) {
            if probes.iter().all(|value| scale.mantissa(*value).is_some()) {
                match self.fit(values, scale) {
                    Ok(()) => return RowForm::Scaled(self.divide_by_common_factor(scale)),
                    Err(exception) => probes.push(exception),
                }
            }
        }
        self.fit_with_residual(values).or_else(|| self.fit_units(values)).unwrap_or(RowForm::Raw)
    }

    /// The integers of a scaled row.
    pub(super) fn mantissas(&self) -> &[i64] {
        &self.m
    }

    /// What remains of each value of a row that is scaled with residuals.
    pub(super) fn residuals(&self) -> &[i64] {
        &self.r
    }

    /// Finds the integers that give every value back at `scale`, or a value for which there is none.
    fn fit(&mut self, values: &[f64], scale: Scale) -> Result<(), f64> {
        self.m.clear();
        self.m.reserve(values.len());
        for chunk in values.chunks(FIT_CHUNK) {
            let start = self.m.len();
            let fits = if scale == Scale::ONE {
                fit_integers(chunk, &mut self.m)
            } else if scale.mul == 1.0 {
                fit_chunk(chunk, &mut self.m, |v| v * scale.div, |m| m / scale.div)
            } else {
                fit_chunk(chunk, &mut self.m, |v| v * scale.div / scale.mul, |m| m * scale.mul / scale.div)
            };
            if !fits {
                self.m.truncate(start);
                for value in chunk {
                    self.m.push(scale.mantissa(*value).ok_or(*value)?);
                }
            }
        }
        Ok(())
    }

    /// Byte gauges are multiples of a page size: their quotients are shorter.
    fn divide_by_common_factor(&mut self, scale: Scale) -> Scale {
        if scale.mul != 1.0 {
            return scale;
        }
        let mut factor = 0u64;
        let mut most = 0;
        for m in &self.m {
            let m = m.unsigned_abs();
            most = most.max(m);
            if factor == 0 || m % factor != 0 {
                factor = greatest_common_divisor(factor, m);
                if factor == 1 {
                    return scale;
                }
            }
        }
        let Ok(divisor) = i64::try_from(factor) else { return scale };
        let divided = Scale { mul: divisor as f64, div: scale.div };
        let is_exact = |m: &i64| divided.value(m / divisor).to_bits() == scale.value(*m).to_bits();
        if divisor == 0 || most >= EXACT_LIMIT && !self.m.iter().all(is_exact) {
            return scale;
        }
        self.m.iter_mut().for_each(|m| *m /= divisor);
        divided
    }

    fn fit_with_residual(&mut self, values: &[f64]) -> Option<RowForm> {
        if values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let probe = values.get(..PROBE_LEN).unwrap_or(values);
        let mut best: Option<(u64, usize)> = None;
        for places in 0..=DECIMALS_MAX {
            if self.split(probe, Scale::decimals(places)).is_some() {
                let found = (packed_bits(&self.m) + packed_bits(&self.r), places);
                best = Some(best.map_or(found, |best| best.min(found)));
            }
        }
        let scale = Scale::decimals(best?.1);
        let ulp = self.split(values, scale)?;
        // What has no decimals takes 53 bits or so in this form as in the next, which is simpler.
        let raw_bits = values.len() as u64 * 64;
        let is_shorter = (packed_bits(&self.m) + packed_bits(&self.r)) * 10 < raw_bits * 7;
        is_shorter.then_some(RowForm::ScaledWithResidual(scale, ulp))
    }

    /// Finds integers and residuals that give every value back at `scale`, and the residuals' unit.
    fn split(&mut self, values: &[f64], scale: Scale) -> Option<f64> {
        self.m.clear();
        self.r.clear();
        let mut ulp = f64::INFINITY;
        for value in values {
            let mantissa = nearest(value * scale.div / scale.mul)?;
            self.m.push(mantissa);
            for of in [*value, scale.value(mantissa)] {
                if of != 0.0 {
                    ulp = ulp.min(ulp_of(of));
                }
            }
        }
        for (value, m) in values.iter().zip(&self.m) {
            let residual = (value - scale.value(*m)) / ulp;
            if residual.is_nan() || residual.abs() >= RESIDUAL_LIMIT {
                return None;
            }
            let residual = residual as i64;
            if scale.value_with_residual(*m, residual, ulp).to_bits() != value.to_bits() {
                return None;
            }
            self.r.push(residual);
        }
        Some(ulp)
    }

    /// Doubles of about the same size are integers in the unit of the smallest's last bit: noise takes its mantissa's bits
    /// alone.
    fn fit_units(&mut self, values: &[f64]) -> Option<RowForm> {
        let sizes = values.iter().filter(|value| **value != 0.0);
        let ulp = sizes.map(|value| ulp_of(*value)).fold(f64::INFINITY, f64::min);
        let scale = Scale { mul: ulp, div: 1.0 };
        if !(ulp.is_finite() && ulp > 0.0) || self.fit(values, scale).is_err() {
            return None;
        }
        // Doubles compress a little: a sixteenth.
        (packed_bits(&self.m) * 16 < values.len() as u64 * 64 * 15).then_some(RowForm::Scaled(scale))
    }
}

fn fit_integers(values: &[f64], m: &mut Vec<i64>) -> bool {
    let mut fits = true;
    m.extend(values.iter().map(|value| {
        let integer = *value as i64;
        fits &= (integer as f64).to_bits() == value.to_bits() && value.abs() < MANTISSA_LIMIT;
        integer
    }));
    fits
}

/// Rounds `unscaled` values to integers without a branch; says whether all are small enough for that, and come back.
fn fit_chunk(
    values: &[f64],
    m: &mut Vec<i64>,
    unscaled: impl Fn(f64) -> f64,
    scaled: impl Fn(f64) -> f64,
) -> bool {
    let mut fits = true;
    m.extend(values.iter().map(|value| {
        let exact = unscaled(*value);
        let sum = exact + ROUND_MAGIC;
        fits &= exact.abs() < ROUND_LIMIT && scaled(sum - ROUND_MAGIC).to_bits() == value.to_bits();
        (sum.to_bits() as i64).wrapping_sub(ROUND_MAGIC.to_bits() as i64)
    }));
    fits
}

/// The nearest integer, if it is not too large.
fn nearest(value: f64) -> Option<i64> {
    if value.abs() < ROUND_LIMIT {
        return Some(((value + ROUND_MAGIC) - ROUND_MAGIC) as i64);
    }
    // From twice the limit on every double is an integer.
    let round = || if value.abs() < ROUND_LIMIT * 2.0 { value.round() as i64 } else { value as i64 };
    (value.abs() < MANTISSA_LIMIT).then(round)
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The distance to the next larger magnitude.
fn ulp_of(value: f64) -> f64 {
    let magnitude = value.abs();
    f64::from_bits(magnitude.to_bits() + 1) - magnitude
}

#[cfg(test)]
mod tests {
    use model::value::{NORMAL_NAN_BITS, normal_nan};
    use proptest::prelude::*;

    use super::*;

    fn decode(encoder: &Encoder, form: RowForm, values: &[f64]) -> Vec<u64> {
        let decoded: Arc<[f64]> = match form {
            RowForm::Constant(value) => vec![value; values.len()].into(),
            RowForm::Raw => values.into(),
            RowForm::Scaled(scale) => {
                let slowly: Vec<f64> = encoder.mantissas().iter().map(|m| scale.value(*m)).collect();
                let quickly = scale.values(encoder.mantissas());
                assert!(slowly.iter().zip(&*quickly).all(|(a, b)| a.to_bits() == b.to_bits()));
                quickly
            }
            RowForm::ScaledWithResidual(scale, ulp) => {
                scale.values_with_residuals(encoder.mantissas(), encoder.residuals(), ulp)
            }
        };
        decoded.iter().map(|value| value.to_bits()).collect()
    }

    fn check(values: &[f64]) -> RowForm {
        let mut encoder = Encoder::default();
        // What is left of another row must not matter.
        encoder.encode(&[1.5, 2.25, 1e-9]);
        let form = encoder.encode(values);
        assert_eq!(decode(&encoder, form, values), values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        form
    }

    fn scale_of(values: &[f64]) -> (f64, f64) {
        match check(values) {
            RowForm::Scaled(scale) => (scale.mul, scale.div),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn equal_bits_are_a_constant() {
        assert_eq!(check(&[1.5, 1.5]), RowForm::Constant(1.5));
        let RowForm::Constant(nan) = check(&[normal_nan(), normal_nan()]) else { panic!("not a constant") };
        assert_eq!(nan.to_bits(), NORMAL_NAN_BITS);
        assert_eq!(check(&[0.0, -0.0]), RowForm::Raw);
    }

    #[test]
    fn the_fewest_decimals_win() {
        assert_eq!(scale_of(&[1.0, 2.0]), (1.0, 1.0));
        assert_eq!(scale_of(&[1.25, 2.01]), (1.0, 100.0));
        assert_eq!(scale_of(&[4096.0, 8192.0, 40960.0]), (4096.0, 1.0));
        assert_eq!(scale_of(&[1e17, 3e17]), (1e17, 1.0));
        assert_eq!(scale_of(&[0.25, 0.75, 1.5]), (25.0, 100.0));
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
        assert!(matches!(check(&values), RowForm::ScaledWithResidual(..)));
    }

    #[test]
    fn noise_of_one_size_takes_its_mantissas_and_mixtures_are_raw() {
        let random = |n: u64| (n * n * n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let noise: Vec<f64> = (1..100).map(|n| 1.0 + random(n) as f64 / u64::MAX as f64).collect();
        assert_eq!(scale_of(&noise), (f64::EPSILON, 1.0));
        let of_all_sizes: Vec<f64> = (1..100).map(|n| f64::from_bits(random(n) >> 2)).collect();
        assert_eq!(check(&of_all_sizes), RowForm::Raw);
        assert_eq!(check(&[1.0, f64::NAN, 2.0]), RowForm::Raw);
        assert_eq!(check(&[1.0, f64::INFINITY]), RowForm::Raw);
        assert_eq!(check(&[1.0, -0.0]), RowForm::Raw);
    }

    #[test]
    fn the_edges_of_exact_integers_come_back() {
        let edge = EXACT_LIMIT as f64;
        for limit in [edge, ROUND_LIMIT, MANTISSA_LIMIT, i64::MAX as f64] {
            for scale in [1.0, 0.5, 3.0, 0.1, 1e-9] {
                let around: Vec<f64> = (-4..5).map(|n| (limit + f64::from(n)) * scale).collect();
                check(&around);
                check(&around.iter().map(|value| -value).collect::<Vec<_>>());
            }
        }
        check(&[f64::MIN_POSITIVE, 5e-324, 1e-310, 0.0]);
        check(&[f64::MAX, f64::MIN, f64::MAX / 2.0]);
    }

    #[test]
    fn a_late_exception_raises_the_decimals() {
        for (exception, div) in [(0.5, 10.0), (0.125, 1_000.0), (1e-9, 1e9)] {
            let mut values: Vec<f64> = (0..1_000).map(f64::from).collect();
            values[777] = exception;
            assert_eq!(scale_of(&values).1, div);
        }
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
