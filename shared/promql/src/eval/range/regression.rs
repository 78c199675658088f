//! `deriv`, `predict_linear`, `double_exponential_smoothing`

use crate::eval::math::KahanSum;
use crate::eval::range::{Window, WindowFunction};
use crate::query::QueryError;

/// `deriv`: slope per second of the line of least squares.
pub(super) fn derivative(window: &Window<'_>) -> Option<f64> {
    // Times relative to a sample are small numbers, which squares do not make inexact.
    let origin = *window.timestamps.first()?;
    line(window, origin).map(|(slope, _)| slope)
}

/// `predict_linear`: where that line is `ahead` seconds after the step.
pub(super) fn predict(window: &Window<'_>, ahead: f64) -> Option<f64> {
    line(window, window.time).map(|(slope, intercept)| slope * ahead + intercept)
}

/// Slope, and height at `origin`, of the line of least squares through two samples or more.
fn line(window: &Window<'_>, origin: i64) -> Option<(f64, f64)> {
    let first = *window.values.first()?;
    if window.values.len() < 2 {
        return None;
    }
    let zero = KahanSum::default();
    let (mut x, mut y, mut xy, mut xx) = (zero, zero, zero, zero);
    let mut constant = true;
    for (time, value) in window.timestamps.iter().zip(window.values) {
        constant = constant && *value == first;
        let at = time.saturating_sub(origin) as f64 / 1000.0;
        x.add(at);
        y.add(*value);
        xy.add(at * value);
        xx.add(at * at);
    }
    if constant {
        let nan = model::value::normal_nan();
        return Some(if first.is_infinite() { (nan, nan) } else { (0.0, first) });
    }
    let count = window.values.len() as f64;
    let (x, y, xy, xx) = (x.total(), y.total(), xy.total(), xx.total());
    let slope = (xy - x * y / count) / (xx - x * x / count);
    Some((slope, y / count - slope * x / count))
}

/// `double_exponential_smoothing`
pub(super) struct Smoothing<P> {
    /// Smoothing factor and trend factor at a step.
    factors: P,
}

impl<P: Fn(usize) -> (f64, f64)> Smoothing<P> {
    pub(super) fn new(factors: P) -> Self {
        Self { factors }
    }
}

impl<P: Fn(usize) -> (f64, f64)> WindowFunction for Smoothing<P> {
    fn value(&mut self, window: &Window<'_>) -> Result<Option<f64>, QueryError> {
        let (smoothing, trend_factor) = (self.factors)(window.step);
        check_factor("smoothing", "sf", smoothing)?;
        check_factor("trend", "tf", trend_factor)?;
        let [first, second, ..] = window.values else { return Ok(None) };
        let (mut before, mut level, mut trend) = (0.0, *first, second - first);
        for (at, value) in window.values.iter().enumerate().skip(1) {
            if at > 1 {
                trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
            }
            let next = smoothing * value + (1.0 - smoothing) * (level + trend);
            (before, level) = (level, next);
        }
        Ok(Some(level))
    }
}

fn check_factor(name: &str, symbol: &str, factor: f64) -> Result<(), QueryError> {
    if factor <= 0.0 || factor >= 1.0 {
        let message = format!("invalid {name} factor. Expected: 0 < {symbol} < 1, got: {}", fixed(factor));
        return Err(QueryError::Execution(message));
    }
    Ok(())
}

/// Go's `%f`.
fn fixed(value: f64) -> String {
    if value.is_finite() { format!("{value:.6}") } else { model::number::format_f(value) }
}
