//! Native histograms as bits: counts as differences to the series' histogram before where both have the same buckets,
//! else to the bucket before.

use model::histogram::{BUCKETS_MAX, CounterResetHint, FloatHistogram, Span};

use super::bits::{Coder, Prob};
use super::decimal;
use super::numbers::{Numbers, length};
use super::values::{Slot, Value};

/// Counts from here on are not taken for integers: `f64` does not hold all of them.
const INTEGER_LIMIT: f64 = 9_007_199_254_740_992.0;

/// Expectations about one chunk's histograms.
#[derive(Clone, Debug)]
pub(super) struct Histograms {
    same_structure: Prob,
    integers: Prob,
    hint: [Prob; 4],
    same_hint: Prob,
    lists: Numbers,
    fresh: Numbers,
    deltas: Numbers,
    totals: Numbers,
    decimal_sum: Prob,
    sums: Numbers,
    codes: [Prob; 32],
}

impl Default for Histograms {
    fn default() -> Self {
        Self {
            same_structure: Prob::EVEN,
            integers: Prob::EVEN,
            hint: [Prob::EVEN; 4],
            same_hint: Prob::EVEN,
            lists: Numbers::default(),
            fresh: Numbers::default(),
            deltas: Numbers::default(),
            totals: Numbers::default(),
            decimal_sum: Prob::EVEN,
            sums: Numbers::default(),
            codes: [Prob::EVEN; 32],
        }
    }
}

impl Histograms {
    /// Codes `given`, which is there in writing only, against the series' histogram before.
    pub(super) fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        before: Option<&FloatHistogram>,
        given: Option<&FloatHistogram>,
    ) -> FloatHistogram {
        let blank = FloatHistogram::default();
        let source = given.unwrap_or(&blank);
        let same = before.filter(|before| given.is_none_or(|given| is_alike(before, given)));
        let same = before.filter(|_| coder.bit(&mut self.same_structure, same.is_some()));
        let mut out = match same {
            Some(before) => self.structure_of(coder, before, source),
            None => self.code_structure(coder, source),
        };
        let integers = coder.bit(&mut self.integers, has_integers(source));
        let base = same.filter(|before| !integers || has_integers(before));
        self.code_counts(coder, base, source, &mut out, integers);
        out.sum = self.code_sum(coder, same.map(|before| before.sum), source.sum);
        out
    }

    fn structure_of<C: Coder>(
        &mut self,
        coder: &mut C,
        before: &FloatHistogram,
        source: &FloatHistogram,
    ) -> FloatHistogram {
        let mut out = before.clone();
        if !coder.bit(&mut self.same_hint, source.counter_reset_hint == before.counter_reset_hint) {
            out.counter_reset_hint = self.code_hint(coder, source.counter_reset_hint);
        }
        out
    }

    fn code_hint<C: Coder>(&mut self, coder: &mut C, hint: CounterResetHint) -> CounterResetHint {
        let number = match hint {
            CounterResetHint::Unknown => 0,
            CounterResetHint::CounterReset => 1,
            CounterResetHint::NotCounterReset => 2,
            CounterResetHint::Gauge => 3,
        };
        match coder.tree(&mut self.hint, 2, number) {
            0 => CounterResetHint::Unknown,
            1 => CounterResetHint::CounterReset,
            2 => CounterResetHint::NotCounterReset,
            _ => CounterResetHint::Gauge,
        }
    }

    fn code_structure<C: Coder>(&mut self, coder: &mut C, source: &FloatHistogram) -> FloatHistogram {
        let mut out = FloatHistogram {
            counter_reset_hint: self.code_hint(coder, source.counter_reset_hint),
            schema: self.lists.code(coder, 2, 0, i64::from(source.schema)) as i32,
            zero_threshold: code_float(coder, source.zero_threshold),
            ..FloatHistogram::default()
        };
        (out.positive_spans, out.positive_buckets) =
            self.code_spans(coder, &source.positive_spans, source.positive_buckets.len());
        (out.negative_spans, out.negative_buckets) =
            self.code_spans(coder, &source.negative_spans, source.negative_buckets.len());
        let bounds = self.code_count(coder, source.custom_values.len());
        for at in 0..bounds {
            if coder.is_refused() {
                break;
            }
            out.custom_values.push(code_float(coder, source.custom_values.get(at).copied().unwrap_or(0.0)));
        }
        out
    }

    fn code_count<C: Coder>(&mut self, coder: &mut C, count: usize) -> usize {
        let count = self.lists.code_unsigned(coder, 2, count as u64);
        match usize::try_from(count) {
            Ok(count) if count <= BUCKETS_MAX => count,
            _ => {
                coder.refuse();
                0
            }
        }
    }

    fn code_spans<C: Coder>(
        &mut self,
        coder: &mut C,
        spans: &[Span],
        buckets: usize,
    ) -> (Vec<Span>, Vec<f64>) {
        let count = self.code_count(coder, spans.len());
        let mut out = Vec::new();
        for at in 0..count {
            if coder.is_refused() {
                break;
            }
            let span = spans.get(at).copied().unwrap_or_default();
            let offset = self.lists.code(coder, 3, 1, i64::from(span.offset));
            let length = self.lists.code_unsigned(coder, 2, u64::from(span.length));
            let (Ok(offset), Ok(length)) = (i32::try_from(offset), u32::try_from(length)) else {
                coder.refuse();
                break;
            };
            out.push(Span { offset, length });
        }
        let buckets = self.code_count(coder, buckets);
        (out, vec![0.0; buckets])
    }

    fn code_counts<C: Coder>(
        &mut self,
        coder: &mut C,
        base: Option<&FloatHistogram>,
        source: &FloatHistogram,
        out: &mut FloatHistogram,
        integers: bool,
    ) {
        let mut near = Count::default();
        let scalar = |histogram: Option<&FloatHistogram>, at: usize| {
            histogram.map(|histogram| [histogram.count, histogram.zero_count][at])
        };
        for at in 0..2 {
            let value = scalar(Some(source), at).unwrap_or(0.0);
            let coded = self.code_count_of(coder, scalar(base, at), value, integers, &mut near);
            if at == 0 { out.count = coded } else { out.zero_count = coded }
        }
        for negative in [false, true] {
            let side = |histogram: &FloatHistogram, at: usize| {
                let side = if negative { &histogram.negative_buckets } else { &histogram.positive_buckets };
                side.get(at).copied()
            };
            let slots = if negative { &mut out.negative_buckets } else { &mut out.positive_buckets };
            near = Count::default();
            for (at, slot) in slots.iter_mut().enumerate() {
                if coder.is_refused() {
                    return;
                }
                let before = base.map(|base| side(base, at).unwrap_or(0.0));
                let value = side(source, at).unwrap_or(0.0);
                *slot = self.code_count_of(coder, before, value, integers, &mut near);
            }
        }
    }

    /// One count, against the same of the histogram before or against the count before it.
    fn code_count_of<C: Coder>(
        &mut self,
        coder: &mut C,
        before: Option<f64>,
        value: f64,
        integers: bool,
        near: &mut Count,
    ) -> f64 {
        if !integers {
            let base = before.map_or(0, f64::to_bits);
            return f64::from_bits(code_bits(coder, value.to_bits() ^ base) ^ base);
        }
        let (numbers, base) = match before {
            Some(before) => (&mut self.deltas, before as i64),
            None => (&mut self.fresh, near.value),
        };
        let difference = numbers.code(coder, near.length, 1, (value as i64).wrapping_sub(base));
        *near = Count { value: base.wrapping_add(difference), length: length(difference) };
        near.value as f64
    }

    /// The sum: in decimal where it has not too many digits.
    fn code_sum<C: Coder>(&mut self, coder: &mut C, before: Option<f64>, sum: f64) -> f64 {
        let base = before.and_then(decimal::split);
        let slot_code = base.map_or(0, |(code, _)| code);
        let given = decimal::at_exponent(sum, slot_code).map(|mantissa| (slot_code, mantissa));
        let given = given.or_else(|| decimal::split(sum));
        if !coder.bit(&mut self.decimal_sum, given.is_some()) {
            let base = before.map_or(0, f64::to_bits);
            return f64::from_bits(code_bits(coder, sum.to_bits() ^ base) ^ base);
        }
        let (code, mantissa) = given.unwrap_or_default();
        let code = coder.tree(&mut self.codes, 5, u32::from(code)) as u8;
        let base = base.filter(|(base, _)| *base == code).map_or(0, |(_, mantissa)| mantissa);
        let numbers = if base == 0 { &mut self.totals } else { &mut self.sums };
        let mantissa = numbers.code(coder, 16, 1, mantissa.wrapping_sub(base)).wrapping_add(base);
        decimal::join(code, mantissa).unwrap_or_else(|| {
            coder.refuse();
            0.0
        })
    }
}

/// A count, and how long its difference was.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    value: i64,
    length: u8,
}

fn is_alike(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.has_structure_of(b)
        && a.positive_buckets.len() == b.positive_buckets.len()
        && a.negative_buckets.len() == b.negative_buckets.len()
}

fn has_integers(histogram: &FloatHistogram) -> bool {
    let counts = [histogram.count, histogram.zero_count];
    let mut all = counts.iter().chain(&histogram.positive_buckets).chain(&histogram.negative_buckets);
    all.all(|count| count.abs() < INTEGER_LIMIT && (*count as i64 as f64).to_bits() == count.to_bits())
}

fn code_float<C: Coder>(coder: &mut C, value: f64) -> f64 {
    f64::from_bits(code_bits(coder, value.to_bits()))
}

/// 64 bits of which the high ones are often zero.
pub(super) fn code_bits<C: Coder>(coder: &mut C, bits: u64) -> u64 {
    let len = coder.even_bits(7, u64::from(64 - bits.leading_zeros()));
    if len > 64 {
        coder.refuse();
        return 0;
    }
    coder.even_bits(len as u32, bits)
}

/// A float as a first value: in decimal if it can be.
pub(super) fn code_lone_float<C: Coder>(
    coder: &mut C,
    numbers: &mut Numbers,
    codes: &mut [Prob; 32],
    value: f64,
) -> f64 {
    let given = Value::of(value, &Slot::NEW);
    let code = coder.tree(codes, 5, u32::from(given.code)) as u8;
    let number = if code > decimal::EXPONENT_MAX {
        code_bits(coder, given.number.cast_unsigned()).cast_signed()
    } else {
        numbers.code(coder, 16, 1, given.number)
    };
    Value { code, number }.float().unwrap_or_else(|| {
        coder.refuse();
        0.0
    })
}
