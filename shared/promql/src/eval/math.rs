//! Arithmetic as Go does it, and summation that loses less than plain addition.

use crate::parser::ast::BinaryOp;
use crate::plan::function::MathFunction;

/// `math.Max`: an infinity wins over NaN, NaN over all else.
pub(crate) fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        model::value::normal_nan()
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else if a > b {
        a
    } else {
        b
    }
}

/// `math.Min`: a negative infinity wins over NaN, NaN over all else.
pub(crate) fn go_min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        model::value::normal_nan()
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { a } else { b }
    } else if a < b {
        a
    } else {
        b
    }
}

/// The value of an arithmetic operator; that of any other is the left operand.
pub(crate) fn arithmetic(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        _ => a,
    }
}

/// Whether a comparison holds; `true` for any other operator.
pub(crate) fn compare(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Eq => a == b,
        BinaryOp::Ne => a != b,
        BinaryOp::Lt => a < b,
        BinaryOp::Le => a <= b,
        BinaryOp::Gt => a > b,
        BinaryOp::Ge => a >= b,
        _ => true,
    }
}

/// The value of an operator between scalars: comparisons give 0 or 1.
pub(crate) fn scalar_operation(op: BinaryOp, a: f64, b: f64) -> f64 {
    if crate::plan::is_comparison(op) { f64::from(u8::from(compare(op, a, b))) } else { arithmetic(op, a, b) }
}

impl MathFunction {
    /// The function's value.
    pub(crate) fn apply(self, x: f64) -> f64 {
        match self {
            Self::Abs => x.abs(),
            Self::Acos => x.acos(),
            Self::Acosh => x.acosh(),
            Self::Asin => x.asin(),
            Self::Asinh => x.asinh(),
            Self::Atan => x.atan(),
            Self::Atanh => x.atanh(),
            Self::Ceil => x.ceil(),
            Self::Cos => x.cos(),
            Self::Cosh => x.cosh(),
            // In this order, as rounding shows.
            Self::Deg => x * 180.0 / std::f64::consts::PI,
            Self::Exp => x.exp(),
            Self::Floor => x.floor(),
            Self::Ln => x.ln(),
            Self::Log10 => x.log10(),
            Self::Log2 => x.log2(),
            Self::Rad => x * std::f64::consts::PI / 180.0,
            Self::Sgn if x < 0.0 => -1.0,
            Self::Sgn if x > 0.0 => 1.0,
            Self::Sgn => x,
            Self::Sin => x.sin(),
            Self::Sinh => x.sinh(),
            Self::Sqrt => x.sqrt(),
            Self::Tan => x.tan(),
            Self::Tanh => x.tanh(),
        }
    }
}

/// A sum and what rounding took from it: Kahan summation with Neumaier's improvement. Source: `util/kahansum`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct KahanSum {
    /// The sum without compensation.
    pub(crate) sum: f64,
    /// The compensation.
    pub(crate) compensation: f64,
}

impl KahanSum {
    /// A sum that starts with `first`.
    pub(crate) fn new(first: f64) -> Self {
        Self { sum: first, compensation: 0.0 }
    }

    /// The sum with `value` added.
    pub(crate) fn plus(self, value: f64) -> Self {
        let total = self.sum + value;
        let compensation = if total.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.compensation + ((self.sum - total) + value)
        } else {
            self.compensation + ((value - total) + self.sum)
        };
        Self { sum: total, compensation }
    }

    /// Adds `value`.
    pub(crate) fn add(&mut self, value: f64) {
        *self = self.plus(value);
    }

    /// The sum with compensation.
    pub(crate) fn total(self) -> f64 {
        self.sum + self.compensation
    }
}

/// A mean over a Kahan sum, which turns into a running mean where the sum would overflow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mean {
    sum: KahanSum,
    /// The running mean, once the sum has overflowed.
    incremental: bool,
    count: f64,
}

impl Mean {
    /// The mean of one value.
    pub(crate) fn new(first: f64) -> Self {
        Self { sum: KahanSum::new(first), incremental: false, count: 1.0 }
    }

    /// Takes another value in.
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let sum = self.sum.plus(value);
            if !sum.sum.is_infinite() {
                self.sum = sum;
                return;
            }
            self.incremental = true;
            self.sum.sum /= self.count - 1.0;
            self.sum.compensation /= self.count - 1.0;
        }
        let share = (self.count - 1.0) / self.count;
        let scaled = KahanSum { sum: share * self.sum.sum, compensation: share * self.sum.compensation };
        self.sum = scaled.plus(value / self.count);
    }

    /// The mean.
    pub(crate) fn value(self) -> f64 {
        if self.incremental {
            self.sum.total()
        } else {
            self.sum.sum / self.count + self.sum.compensation / self.count
        }
    }
}

/// The quantile `q` of `values`, which get reordered: linear between neighbours, NaN lowest.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return model::value::normal_nan();
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower_index = (rank.floor().max(0.0) as usize).min(last);
    let weight = rank - rank.floor();
    let (_, lower, above) = values.select_nth_unstable_by(lower_index, |a, b| order_nan_first(*a, *b));
    let lower = *lower;
    let upper = above.iter().copied().min_by(|a, b| order_nan_first(*a, *b)).unwrap_or(lower);
    lower * (1.0 - weight) + upper * weight
}

fn order_nan_first(a: f64, b: f64) -> std::cmp::Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
        (false, false) => a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_win_over_nan_as_in_go() {
        assert_eq!(go_max(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert!(go_max(f64::NAN, 1.0).is_nan());
        assert_eq!(go_min(f64::NEG_INFINITY, f64::NAN), f64::NEG_INFINITY);
        assert!(go_max(-0.0, 0.0).is_sign_positive());
        assert!(go_min(0.0, -0.0).is_sign_negative());
    }

    #[test]
    fn a_sum_keeps_what_rounding_would_lose() {
        let mut sum = KahanSum::default();
        for value in [1.0, 1e100, 1.0, -1e100] {
            sum.add(value);
        }
        assert_eq!(sum.total(), 2.0);
    }

    #[test]
    fn a_mean_does_not_overflow() {
        let mut mean = Mean::new(f64::MAX);
        mean.add(f64::MAX);
        mean.add(f64::MAX);
        assert!((mean.value() / f64::MAX - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_quantile_lies_between_its_neighbours() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(quantile(0.25, &mut [0.0, 1.0]), 0.25);
        assert!(quantile(0.0, &mut [1.0, f64::NAN]).is_nan());
        assert_eq!(quantile(1.0, &mut [1.0, f64::NAN]), 1.0);
        assert_eq!(quantile(-1.0, &mut [1.0]), f64::NEG_INFINITY);
        assert!(quantile(0.5, &mut []).is_nan());
    }
}
