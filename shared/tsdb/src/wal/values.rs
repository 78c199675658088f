//! The samples of one series after another as bits, each against what the series was before.
//!
//! ```text
//! event       unchanged | changed | absent      by the series' last three, and by its neighbour's
//! code        decimals 0-17 | raw | histogram   mostly the one before
//! difference  to the value before, or to where the last difference leads; or the neighbour's, as in buckets
//! ```

use super::bits::{Coder, Prob};
use super::decimal::{self, EXPONENT_MAX};
use super::numbers::{Numbers, length};

/// The value's 64 bits as they are.
pub(super) const RAW: u8 = EXPONENT_MAX + 1;
/// A native histogram.
pub(super) const HISTOGRAM: u8 = RAW + 1;
/// There was no value yet.
const NEVER: u8 = 31;
/// What probabilities that are taken over from an earlier segment count for.
const SEEN_TAKEN_OVER: u16 = 24;

/// What became of a series since the scrape before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Unchanged = 0,
    Changed = 1,
    Absent = 2,
}

/// A value as it is coded: its code, and its mantissa or its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) code: u8,
    pub(super) number: i64,
}

impl Value {
    /// A histogram's; the histogram itself is elsewhere.
    pub(super) const HISTOGRAM: Self = Self { code: HISTOGRAM, number: 0 };

    /// `value` with the code that the series had, even if a smaller one would do: differences stay small.
    pub(super) fn of(value: f64, slot: &Slot) -> Self {
        if slot.code <= EXPONENT_MAX
            && let Some(number) = decimal::at_exponent(value, slot.code)
        {
            return Self { code: slot.code, number };
        }
        match decimal::split(value) {
            Some((code, number)) => Self { code, number },
            None => Self { code: RAW, number: value.to_bits().cast_signed() },
        }
    }

    /// The float; `None` where it is a histogram or no value at all.
    pub(super) fn float(self) -> Option<f64> {
        if self.code == RAW {
            return Some(f64::from_bits(self.number.cast_unsigned()));
        }
        decimal::join(self.code, self.number)
    }
}

/// A series as a scrape left it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    number: i64,
    /// By how much it changed last.
    delta: i64,
    code: u8,
    /// The last three events, two bits each; 3 is none.
    history: u8,
    /// How long differences are, in quarters of a bit, smoothed: to the value before …
    flat: u8,
    /// … and to where the difference before leads.
    steady: u8,
    /// Whether its last difference was its neighbour's.
    same: bool,
}

impl Slot {
    pub(super) const NEW: Self =
        Self { number: 0, delta: 0, code: NEVER, history: 0x3f, flat: 0, steady: 0, same: false };

    /// The value that it last had.
    pub(super) fn value(&self) -> Value {
        Value { code: self.code, number: self.number }
    }

    pub(super) fn has_value(&self) -> bool {
        self.code != NEVER
    }

    fn remember(&mut self, event: Event) {
        self.history = (self.history << 2 | event as u8) & 0x3f;
    }
}

/// The series before, in the same scrape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Near {
    event: u8,
    delta: i64,
    same: bool,
    code: u8,
    number: i64,
}

impl Near {
    pub(super) const NONE: Self = Self { event: 3, delta: 0, same: false, code: NEVER, number: 0 };
}

/// Expectations about one chunk's values.
#[derive(Clone, Debug)]
pub(super) struct Values {
    unchanged: Vec<Prob>,
    absent: Vec<Prob>,
    same_code: [Prob; 4],
    codes: Vec<[Prob; 32]>,
    same_delta: [Prob; 8],
    deltas: Numbers,
    firsts: Numbers,
    /// As [`Slot::flat`] and [`Slot::steady`], of values that are their series' first, against their neighbours.
    first_flat: u8,
    first_steady: u8,
    raws: Vec<[Prob; 256]>,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            unchanged: vec![Prob::EVEN; 256],
            absent: vec![Prob::RARE; 256],
            same_code: [Prob::EVEN; 4],
            codes: vec![[Prob::EVEN; 32]; 32],
            same_delta: [Prob::EVEN; 8],
            deltas: Numbers::default(),
            firsts: Numbers::default(),
            first_flat: 8,
            first_steady: 8,
            raws: vec![[Prob::EVEN; 256]; 8],
        }
    }
}

impl Values {
    /// Whether there is a sample, and whether it is what it was; `dense` where there may be none.
    pub(super) fn code_event<C: Coder>(
        &mut self,
        coder: &mut C,
        slot: &mut Slot,
        near: &mut Near,
        dense: bool,
        event: Event,
    ) -> Event {
        let context = usize::from(slot.history) << 2 | usize::from(near.event);
        let event = if slot.has_value() && coder.bit(&mut self.unchanged[context], event == Event::Unchanged)
        {
            Event::Unchanged
        } else if dense && coder.bit(&mut self.absent[context], event == Event::Absent) {
            Event::Absent
        } else {
            Event::Changed
        };
        slot.remember(event);
        near.event = event as u8;
        event
    }

    /// A value that is not what it was. The number of a histogram is of no meaning.
    pub(super) fn code_value<C: Coder>(
        &mut self,
        coder: &mut C,
        slot: &mut Slot,
        near: &mut Near,
        value: Value,
    ) -> Value {
        let code = self.code_code(coder, slot, near, value.code);
        let number = match code {
            HISTOGRAM => 0,
            RAW => self.code_raw(coder, slot, value.number),
            _ if slot.code == code => self.code_delta(coder, slot, near, value.number),
            _ => self.code_first(coder, near, code, value.number),
        };
        if slot.code != code {
            (slot.delta, slot.flat, slot.steady, slot.same) = (0, self.first_flat / 2, u8::MAX, false);
        }
        (slot.code, slot.number) = (code, number);
        (near.code, near.number) = (code, number);
        Value { code, number }
    }

    fn code_code<C: Coder>(&mut self, coder: &mut C, slot: &Slot, near: &Near, code: u8) -> u8 {
        let (like, context) = match (slot.has_value(), near.code) {
            (true, _) => (slot.code, usize::from(slot.code == RAW)),
            (false, code) if code != NEVER => (code, 2),
            _ => (NEVER, 3),
        };
        if like != NEVER && coder.bit(&mut self.same_code[context], code == like) {
            return like;
        }
        let code = coder.tree(&mut self.codes[usize::from(like & 31)], 5, u32::from(code)) as u8;
        if code > HISTOGRAM {
            coder.refuse();
            return 0;
        }
        code
    }

    fn code_raw<C: Coder>(&mut self, coder: &mut C, slot: &Slot, number: i64) -> i64 {
        let base = if slot.code == RAW { slot.number } else { 0 };
        let given = (number ^ base).cast_unsigned().to_be_bytes();
        let mut bytes = [0u8; 8];
        for ((out, byte), probs) in bytes.iter_mut().zip(given).zip(&mut self.raws) {
            *out = coder.tree(probs, 8, u32::from(byte)) as u8;
        }
        u64::from_be_bytes(bytes).cast_signed() ^ base
    }

    fn code_delta<C: Coder>(&mut self, coder: &mut C, slot: &mut Slot, near: &mut Near, number: i64) -> i64 {
        let given = number.wrapping_sub(slot.number);
        let mut same = false;
        if near.delta != 0 {
            let context = usize::from(slot.same) << 2
                | usize::from(near.same) << 1
                | usize::from(slot.delta == near.delta);
            same = coder.bit(&mut self.same_delta[context], given == near.delta);
        }
        let delta = if same {
            near.delta
        } else {
            // Where the last difference leads, if that has been nearer.
            let base = if slot.steady < slot.flat { slot.delta } else { 0 };
            let expected = (slot.steady.min(slot.flat) + 2) / 4;
            let like = if base == 0 { slot.delta } else { 0 };
            self.deltas.code(coder, expected, like, given.wrapping_sub(base)).wrapping_add(base)
        };
        smooth(&mut slot.flat, length(delta));
        let steady = length(delta.wrapping_sub(slot.delta));
        if slot.steady == u8::MAX {
            slot.steady = steady * 4
        } else {
            smooth(&mut slot.steady, steady)
        }
        (slot.delta, slot.same) = (delta, same);
        (near.delta, near.same) = (delta, same);
        slot.number.wrapping_add(delta)
    }

    fn code_first<C: Coder>(&mut self, coder: &mut C, near: &Near, code: u8, number: i64) -> i64 {
        let neighbour = if near.code == code { near.number } else { 0 };
        let base = if self.first_steady < self.first_flat { neighbour } else { 0 };
        let expected = (self.first_steady.min(self.first_flat) + 2) / 4;
        let number =
            self.firsts.code(coder, expected, neighbour, number.wrapping_sub(base)).wrapping_add(base);
        smooth(&mut self.first_flat, length(number));
        smooth(&mut self.first_steady, length(number.wrapping_sub(neighbour)));
        number
    }

    /// As the expectations of a segment that follows this one.
    pub(super) fn age(&mut self) {
        let probs = self.unchanged.iter_mut().chain(&mut self.absent).chain(&mut self.same_code);
        let probs = probs.chain(&mut self.same_delta).chain(self.codes.iter_mut().flatten());
        probs.chain(self.raws.iter_mut().flatten()).for_each(|prob| prob.age(SEEN_TAKEN_OVER));
        self.deltas.age(SEEN_TAKEN_OVER);
        self.firsts.age(SEEN_TAKEN_OVER);
    }
}

fn smooth(average: &mut u8, length: u8) {
    // At most 64 bits are 256 quarters less one.
    let now = (u16::from(length) * 4).min(252);
    *average = (u16::from(*average) + now).div_ceil(2) as u8;
}
