//! Distributions over a stream of random numbers.

use platform_sim::Random;

/// A standard normal deviate.
pub fn normal(random: &mut Random) -> f64 {
    // Never 0, whose logarithm is infinite.
    let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}

/// A deviate whose logarithm is normal: `median` times e^(`spread` z).
pub fn log_normal(random: &mut Random, median: f64, spread: f64) -> f64 {
    median * (spread * normal(random)).exp()
}

/// An exponential deviate.
pub fn exponential(random: &mut Random, mean: f64) -> f64 {
    -mean * (1.0 - random.unit()).ln()
}

/// How many events of a rate happen: a Poisson deviate, from 30 on by the normal approximation.
pub fn poisson(random: &mut Random, mean: f64) -> f64 {
    if mean >= 30.0 {
        return (mean + mean.sqrt() * normal(random)).round().max(0.0);
    }
    let (mut events, mut product, limit) = (0.0, random.unit(), (-mean.max(0.0)).exp());
    while product > limit {
        events += 1.0;
        product *= random.unit();
    }
    events
}

/// An index below `end`, the low ones more often: the busy pod, the frequent handler.
pub fn skewed(random: &mut Random, end: usize) -> usize {
    let unit = random.unit();
    ((unit * unit * end as f64) as usize).min(end.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(mut draw: impl FnMut(&mut Random) -> f64) -> f64 {
        let mut random = Random::new(3);
        (0..20_000).map(|_| draw(&mut random)).sum::<f64>() / 20_000.0
    }

    #[test]
    fn means_are_as_asked_for() {
        assert!(mean(normal).abs() < 0.03);
        assert!((mean(|random| poisson(random, 2.5)) - 2.5).abs() < 0.05);
        assert!((mean(|random| poisson(random, 250.0)) - 250.0).abs() < 0.5);
        assert!((mean(|random| exponential(random, 4.0)) - 4.0).abs() < 0.15);
        assert!(mean(|random| poisson(random, 0.0)).abs() < f64::EPSILON);
    }

    #[test]
    fn skewed_draws_stay_below_their_end() {
        let mut random = Random::new(1);
        let draws: Vec<usize> = (0..1_000).map(|_| skewed(&mut random, 10)).collect();
        assert!(draws.iter().all(|draw| *draw < 10));
        assert!(draws.iter().filter(|draw| **draw < 5).count() > 600);
        assert_eq!(skewed(&mut random, 1), 0);
    }
}
