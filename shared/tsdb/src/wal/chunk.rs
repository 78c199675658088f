//! One chunk: the series of a range of metric names, of all scrapes of a segment, coded one scrape after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{FloatHistogram, TimestampMs};

use super::bits::{Coder, Prob};
use super::exemplars::{Exemplars, Ranked};
use super::histograms::Histograms;
use super::layout::Layout;
use super::numbers::Numbers;
use super::values::{Event, HISTOGRAM, Near, Slot, Value, Values};

/// Expectations about a chunk, taught by what was coded of it, and of the same chunk of the segments before.
#[derive(Clone, Debug)]
pub(super) struct Models {
    values: Values,
    histograms: Histograms,
    exemplars: Exemplars,
    gaps: Numbers,
    timed: [Prob; 2],
    times: Numbers,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            values: Values::default(),
            histograms: Histograms::default(),
            exemplars: Exemplars::default(),
            gaps: Numbers::default(),
            timed: [Prob::EVEN; 2],
            times: Numbers::default(),
        }
    }
}

impl Models {
    /// What the next segment begins with.
    pub(super) fn aged(&self) -> Self {
        let mut next = self.clone();
        next.values.age();
        next
    }
}

/// The series of one layout in one chunk, as their last scrape left them; by rank, which is their order in the layout.
#[derive(Clone, Debug, Default)]
pub(super) struct States {
    slots: Vec<Slot>,
    histograms: BTreeMap<u32, Arc<FloatHistogram>>,
    exemplars: Vec<Ranked>,
}

impl States {
    /// About how much memory it takes.
    pub(super) fn size_bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot>() + self.histograms.len() * 512 + self.exemplars.len() * 128
    }
}

/// What a chunk has of one scrape; by rank.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// The ranks of the series that have a sample, ascending.
    pub(super) ranks: Vec<u32>,
    /// Per sample its float; of no meaning where it is a histogram.
    pub(super) values: Vec<f64>,
    /// Samples that are histograms: (index of the sample, histogram), ascending.
    pub(super) histograms: Vec<(u32, Arc<FloatHistogram>)>,
    /// Samples with an instant of their own: (index of the sample, ms), ascending.
    pub(super) times: Vec<(u32, TimestampMs)>,
    /// Exemplars, sorted by rank.
    pub(super) exemplars: Vec<Ranked>,
}

/// What the head of a scrape says of how it is coded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Number of the layout's series in the chunk.
    pub(super) series: usize,
    /// Only the samples are coded, not the absences.
    pub(super) sparse: bool,
    /// Some samples have an instant of their own.
    pub(super) timed: bool,
    /// There are exemplars.
    pub(super) exemplars: bool,
    pub(super) timestamp: TimestampMs,
}

/// A sample that is to be written.
enum Given<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

/// Codes one scrape's part of a chunk; `given` counts in writing, what is returned in reading.
pub(super) fn code_part<C: Coder>(
    coder: &mut C,
    models: &mut Models,
    states: &mut States,
    shape: Shape,
    given: &Part,
) -> Part {
    if states.slots.len() < shape.series {
        states.slots.resize(shape.series, Slot::NEW);
    }
    let mut pass =
        Pass { coder, models, states, given, near: Near::NONE, histogram: 0, out: Part::default() };
    if shape.sparse {
        pass.sparse(shape.series)
    } else {
        pass.dense(shape.series)
    }
    let mut out = pass.out;
    if shape.timed {
        out.times =
            code_times(coder, models, out.ranks.len().max(given.ranks.len()), shape.timestamp, &given.times);
    }
    if shape.exemplars {
        let before = std::mem::take(&mut states.exemplars);
        let coded = models.exemplars.code(coder, &before, shape.series, shape.timestamp, &given.exemplars);
        states.exemplars.clone_from(&coded);
        out.exemplars = coded;
    }
    out
}

/// One scrape's samples under way.
struct Pass<'a, C> {
    coder: &'a mut C,
    models: &'a mut Models,
    states: &'a mut States,
    given: &'a Part,
    near: Near,
    /// The next of the given histograms.
    histogram: usize,
    out: Part,
}

impl<'a, C: Coder> Pass<'a, C> {
    fn dense(&mut self, series: usize) {
        if C::READS {
            self.out.ranks.reserve(series);
            self.out.values.reserve(series);
        }
        let mut cursor = 0usize;
        for rank in 0..series as u32 {
            let given = self.take(&mut cursor, rank);
            self.sample(rank, given.as_ref(), true);
            if rank & 0xfff == 0 && self.coder.is_refused() {
                return;
            }
        }
    }

    fn sparse(&mut self, series: usize) {
        let count = self.models.gaps.code_unsigned(self.coder, 8, self.given.ranks.len() as u64);
        if count > series as u64 {
            return self.coder.refuse();
        }
        let (mut cursor, mut next) = (0usize, 0u64);
        for _ in 0..count {
            let rank = self.given.ranks.get(cursor).map_or(0, |rank| u64::from(*rank));
            let gap = self.models.gaps.code_unsigned(self.coder, 0, rank.wrapping_sub(next));
            let rank = next.saturating_add(gap);
            if rank >= series as u64 || self.coder.is_refused() {
                return self.coder.refuse();
            }
            let given = self.take(&mut cursor, rank as u32);
            self.sample(rank as u32, given.as_ref(), false);
            next = rank + 1;
        }
    }

    /// The given sample of a series, if there is one.
    fn take(&mut self, cursor: &mut usize, rank: u32) -> Option<Given<'a>> {
        if self.given.ranks.get(*cursor) != Some(&rank) {
            return None;
        }
        let at = *cursor;
        *cursor += 1;
        match self.given.histograms.get(self.histogram) {
            Some((index, histogram)) if *index as usize == at => {
                self.histogram += 1;
                Some(Given::Histogram(histogram))
            }
            _ => self.given.values.get(at).map(|value| Given::Float(*value)),
        }
    }

    fn sample(&mut self, rank: u32, given: Option<&Given<'a>>, dense: bool) {
        let Some(slot) = self.states.slots.get_mut(rank as usize) else { return self.coder.refuse() };
        let before = slot.value();
        let before_histogram =
            (before.code == HISTOGRAM).then(|| self.states.histograms.get(&rank)).flatten();
        let event = match given {
            None => Event::Absent,
            Some(Given::Float(value)) => {
                let same = before.float().is_some_and(|before| before.to_bits() == value.to_bits());
                if same { Event::Unchanged } else { Event::Changed }
            }
            Some(Given::Histogram(histogram)) => {
                let same = before_histogram.is_some_and(|before| before.bit_eq(histogram));
                if same { Event::Unchanged } else { Event::Changed }
            }
        };
        let values = &mut self.models.values;
        match values.code_event(self.coder, slot, &mut self.near, dense, event) {
            Event::Absent => return,
            Event::Unchanged if before.code == HISTOGRAM => {
                let Some(histogram) = before_histogram.cloned() else { return self.coder.refuse() };
                return self.found_histogram(rank, histogram);
            }
            Event::Unchanged => {}
            Event::Changed => {
                let value = match given {
                    Some(Given::Float(value)) => Value::of(*value, slot),
                    Some(Given::Histogram(_)) => Value::HISTOGRAM,
                    None => Value { code: 0, number: 0 },
                };
                if values.code_value(self.coder, slot, &mut self.near, value).code == HISTOGRAM {
                    let given = match given {
                        Some(Given::Histogram(histogram)) => Some(histogram.as_ref()),
                        _ => None,
                    };
                    let before = before_histogram.map(AsRef::as_ref);
                    let histogram = Arc::new(self.models.histograms.code(self.coder, before, given));
                    self.states.histograms.insert(rank, Arc::clone(&histogram));
                    return self.found_histogram(rank, histogram);
                }
            }
        }
        if C::READS {
            let Some(value) = slot.value().float() else { return self.coder.refuse() };
            self.out.ranks.push(rank);
            self.out.values.push(value);
        }
    }

    fn found_histogram(&mut self, rank: u32, histogram: Arc<FloatHistogram>) {
        if C::READS {
            if histogram.validate().is_err() {
                return self.coder.refuse();
            }
            self.out.histograms.push((self.out.ranks.len() as u32, histogram));
            self.out.ranks.push(rank);
            self.out.values.push(0.0);
        }
    }
}

fn code_times<C: Coder>(
    coder: &mut C,
    models: &mut Models,
    samples: usize,
    timestamp: TimestampMs,
    given: &[(u32, TimestampMs)],
) -> Vec<(u32, TimestampMs)> {
    let mut out = Vec::new();
    let (mut timed, mut last, mut next) = (false, timestamp, 0usize);
    for at in 0..samples as u32 {
        let own = given.get(next).filter(|(index, _)| *index == at);
        timed = coder.bit(&mut models.timed[usize::from(timed)], own.is_some());
        if timed {
            next += 1;
            let since = own.map_or(0, |(_, own)| own.wrapping_sub(last));
            last = models.times.code(coder, 0, -1, since).wrapping_add(last);
            out.push((at, last));
        }
    }
    out
}

/// Which series of a layout are in which chunk.
#[derive(Debug)]
pub(super) struct Members {
    /// Per chunk, indexes into the layout, ascending; a series' rank is its place.
    pub(super) chunks: Vec<Vec<u32>>,
}

impl Members {
    pub(super) fn of(layout: &Layout, boundaries: &[String]) -> Self {
        let mut chunks: Vec<Vec<u32>> = vec![Vec::new(); boundaries.len() + 1];
        if boundaries.is_empty() {
            return Self { chunks: vec![(0..layout.series.len() as u32).collect()] };
        }
        let mut last: Option<(&str, usize)> = None;
        for (index, labels) in (0u32..).zip(&layout.series) {
            let name = labels.metric_name();
            let chunk = match last {
                Some((before, chunk)) if before == name => chunk,
                _ => boundaries.partition_point(|first| first.as_str() <= name),
            };
            last = Some((name, chunk));
            if let Some(members) = chunks.get_mut(chunk) {
                members.push(index);
            }
        }
        Self { chunks }
    }

    /// Per index into the layout, its chunk and its rank there.
    pub(super) fn places(&self) -> Vec<(u32, u32)> {
        let mut places = vec![(0, 0); self.chunks.iter().map(Vec::len).sum()];
        for (chunk, members) in (0u32..).zip(&self.chunks) {
            for (rank, index) in (0u32..).zip(members) {
                if let Some(place) = places.get_mut(*index as usize) {
                    *place = (chunk, rank);
                }
            }
        }
        places
    }

    pub(super) fn len(&self, chunk: usize) -> usize {
        self.chunks.get(chunk).map_or(0, Vec::len)
    }
}
