//! Random native histograms: exponential and custom buckets, growing, resetting and gauges, alone and among floats.

use platform_sim::Random;
use prometheus_engine::{Histogram, Series};

/// A counter: it grows and resets, and sometimes changes its layout.
pub(crate) fn counter(random: &mut Random, times: &[i64]) -> Series {
    let mut layout = Layout::draw(random);
    let mut histogram = layout.empty();
    let mut first = true;
    all(times, || {
        let reset = random.chance(0.03);
        if reset || random.chance(0.01) {
            if random.chance(0.4) {
                layout = Layout::draw(random);
            }
            histogram = layout.empty();
        }
        layout.observe(random, &mut histogram);
        let mut sample = histogram.clone();
        sample.hint = if first || reset { 0 } else { 2 };
        if random.chance(0.03) {
            sample.hint = random.below(3) as u8;
        }
        first = false;
        stale_at_times(random, sample)
    })
}

/// A gauge: every sample is drawn anew.
pub(crate) fn gauge(random: &mut Random, times: &[i64]) -> Series {
    let layout = Layout::draw(random);
    all(times, || {
        let mut histogram = layout.empty();
        layout.observe(random, &mut histogram);
        histogram.hint = 3;
        stale_at_times(random, histogram)
    })
}

/// Floats and histograms in turn.
pub(crate) fn mixed(random: &mut Random, times: &[i64]) -> Series {
    let mut series = counter(random, times);
    let mut float = random.chance(0.5);
    for sample in &mut series.h {
        if random.chance(0.1) {
            float = !float;
        }
        if float {
            *sample = None;
        }
    }
    series.f = times.iter().map(|time| (*time / 1_000) as f64).collect();
    series
}

fn all(times: &[i64], mut sample: impl FnMut() -> Histogram) -> Series {
    let h = times.iter().map(|_| Some(sample())).collect();
    Series { t: times.to_vec(), f: vec![0.0; times.len()], h, ..Series::default() }
}

fn stale_at_times(random: &mut Random, histogram: Histogram) -> Histogram {
    if random.chance(0.01) {
        return Histogram { sum: model::value::stale_nan(), ..Histogram::default() };
    }
    histogram
}

struct Layout {
    schema: i32,
    positive: Vec<(i64, i64)>,
    negative: Vec<(i64, i64)>,
    zero_threshold: f64,
    bounds: Vec<f64>,
}

impl Layout {
    fn draw(random: &mut Random) -> Self {
        if random.chance(0.3) {
            let bounds: &[f64] =
                [&[0.1, 0.5, 1.0, 5.0][..], &[0.5, 1.0, 2.0], &[-1.0, 0.0, 1.0]][random.below(3) as usize];
            let positive = vec![(0, bounds.len() as i64 + 1)];
            return Self {
                schema: -53,
                positive,
                negative: Vec::new(),
                zero_threshold: 0.0,
                bounds: bounds.to_vec(),
            };
        }
        let schema = [0, 0, 1, 2, 3, -1, -2][random.below(7) as usize];
        let mut spans = |chance: f64| {
            if !random.chance(chance) {
                return Vec::new();
            }
            let mut spans = vec![(random.below(6) as i64 - 3, 1 + random.below(3) as i64)];
            if random.chance(0.4) {
                spans.push((1 + random.below(3) as i64, 1 + random.below(2) as i64));
            }
            spans
        };
        let (positive, negative) = (spans(0.9), spans(0.3));
        let zero_threshold = [0.0, 0.001, 0.001, 0.05, 1e-128][random.below(5) as usize];
        Self { schema, positive, negative, zero_threshold, bounds: Vec::new() }
    }

    fn empty(&self) -> Histogram {
        let buckets =
            |spans: &[(i64, i64)]| vec![0.0; spans.iter().map(|(_, length)| *length as usize).sum()];
        Histogram {
            schema: self.schema,
            zt: self.zero_threshold,
            ps: self.positive.clone(),
            ns: self.negative.clone(),
            pb: buckets(&self.positive),
            nb: buckets(&self.negative),
            cv: self.bounds.clone(),
            ..Histogram::default()
        }
    }

    fn observe(&self, random: &mut Random, histogram: &mut Histogram) {
        for bucket in histogram.pb.iter_mut().chain(&mut histogram.nb) {
            let more = random.below(6) as f64;
            *bucket += more;
            histogram.count += more;
        }
        if self.schema != -53 {
            let more = random.below(3) as f64;
            histogram.zc += more;
            histogram.count += more;
        }
        histogram.sum += (random.unit() - 0.2) * 10.0;
        if random.chance(0.002) {
            // An observation that is no number is in no bucket.
            histogram.count += 1.0;
            histogram.sum = model::value::normal_nan();
        }
    }
}
