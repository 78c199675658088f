//! Spans and buckets: building, merging, compacting and coarsening them.

use super::buckets::{clamp, indexed};
use super::kahan::Kahan;
use super::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Span};

/// What a bucket holds while histograms are added up.
pub(super) trait Cell: Copy {
    /// Both together.
    fn plus(self, other: Self) -> Self;
    /// A cell of that value; what has no room for a compensation drops it.
    fn of(value: Kahan) -> Self;
    /// The value without compensation.
    fn sum(self) -> f64;
    /// Whether it can be left out.
    fn is_empty(self) -> bool;
}

impl Cell for f64 {
    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn of(value: Kahan) -> Self {
        value.sum
    }

    fn sum(self) -> f64 {
        self
    }

    fn is_empty(self) -> bool {
        self == 0.0
    }
}

/// Spans and buckets that grow by ascending index. Neighbouring buckets are always in one span.
#[derive(Debug)]
pub(super) struct Layout<C> {
    pub(super) spans: Vec<Span>,
    pub(super) cells: Vec<C>,
    next: i64,
}

impl<C: Cell> Layout<C> {
    pub(super) fn with_capacity(buckets: usize) -> Self {
        Self { spans: Vec::new(), cells: Vec::with_capacity(buckets), next: 0 }
    }

    /// Appends a bucket; one of the same index as the last is added to it.
    pub(super) fn push(&mut self, index: i64, cell: C) {
        match self.spans.last_mut() {
            Some(_) if index + 1 == self.next => {
                if let Some(last) = self.cells.last_mut() {
                    *last = last.plus(cell);
                }
                return;
            }
            Some(span) if index == self.next => span.length += 1,
            Some(_) => self.spans.push(Span { offset: clamp(index - self.next), length: 1 }),
            None => self.spans.push(Span { offset: clamp(index), length: 1 }),
        }
        self.cells.push(cell);
        self.next = index + 1;
    }

    /// The buckets of `iter`, all of them.
    pub(super) fn collect(iter: impl Iterator<Item = (i64, C)>) -> Self {
        let mut layout = Self::with_capacity(iter.size_hint().1.unwrap_or_default().min(1 << 10));
        for (index, cell) in iter {
            layout.push(index, cell);
        }
        layout
    }

    /// The buckets of both, those of equal index added up.
    pub(super) fn merge(
        a: impl Iterator<Item = (i64, C)>,
        b: impl Iterator<Item = (i64, C)>,
        capacity: usize,
    ) -> Self {
        let (mut a, mut b) = (a.peekable(), b.peekable());
        let mut layout = Self::with_capacity(capacity);
        loop {
            let next = match (a.peek(), b.peek()) {
                (Some((left, _)), Some((right, _))) if left <= right => a.next(),
                (Some(_), None) => a.next(),
                _ => b.next(),
            };
            let Some((index, cell)) = next else { return layout };
            layout.push(index, cell);
        }
    }

    /// Without empty buckets, unless at most `max_empty` of them lie between others.
    fn without_empty(spans: &[Span], cells: &[C], max_empty: usize, empty: C) -> Self {
        let mut layout = Self::with_capacity(cells.len());
        for (index, cell) in indexed(spans, cells).filter(|(_, cell)| !cell.is_empty()) {
            let gap = index - layout.next;
            if !layout.cells.is_empty() && gap <= max_empty as i64 {
                for between in layout.next..index {
                    layout.push(between, empty);
                }
            }
            layout.push(index, cell);
        }
        layout
    }
}

/// Bucket indexes once the resolution is reduced by `shift` schemas. Source: `float_histogram.go:targetIdx`.
pub(super) fn coarser<T>(
    buckets: impl Iterator<Item = (i64, T)>,
    shift: u32,
) -> impl Iterator<Item = (i64, T)> {
    buckets.map(move |(index, cell)| (((index - 1) >> shift) + 1, cell))
}

/// By how many schemas `from` is finer than `to`.
pub(super) fn shift(from: i32, to: i32) -> u32 {
    u32::try_from(from.saturating_sub(to)).unwrap_or_default().min(16)
}

/// Takes out empty buckets, see [`FloatHistogram::compact`].
pub(super) fn compact<C: Cell>(spans: &mut Vec<Span>, cells: &mut Vec<C>, max_empty: usize, empty: C) {
    let tidy = |span: &Span| span.length > 0 && i64::from(span.offset) > max_empty as i64;
    let first_is_tidy = spans.first().is_none_or(|span| span.length > 0);
    if first_is_tidy && spans.iter().skip(1).all(tidy) && !cells.iter().any(|cell| cell.is_empty()) {
        return;
    }
    let layout = Layout::without_empty(spans, cells, max_empty, empty);
    (*spans, *cells) = (layout.spans, layout.cells);
}

impl FloatHistogram {
    /// Takes out empty buckets at the ends of spans, joins spans that are at most `max_empty` buckets apart, and splits
    /// those with more empty buckets in a row than that.
    pub fn compact(&mut self, max_empty: usize) -> &mut Self {
        compact(&mut self.positive_spans, &mut self.positive_buckets, max_empty, 0.0);
        compact(&mut self.negative_spans, &mut self.negative_buckets, max_empty, 0.0);
        self
    }

    /// Lowers the resolution to `schema`, as Prometheus's `CopyToSchema` does: what is known of a counter reset is lost.
    /// Nothing happens where that schema is not coarser, or either has custom buckets.
    pub fn reduce_to_schema(&mut self, schema: i32) {
        if schema < self.schema && schema != CUSTOM_BUCKETS_SCHEMA && !self.uses_custom_buckets() {
            self.reduce_resolution(schema);
            self.counter_reset_hint = super::CounterResetHint::Unknown;
        }
    }

    pub(super) fn reduce_resolution(&mut self, schema: i32) {
        let shift = shift(self.schema, schema);
        for (spans, buckets) in [
            (&mut self.positive_spans, &mut self.positive_buckets),
            (&mut self.negative_spans, &mut self.negative_buckets),
        ] {
            let layout = Layout::collect(coarser(indexed(spans, buckets), shift));
            (*spans, *buckets) = (layout.spans, layout.cells);
        }
        self.schema = schema;
    }

    /// Whether both hold the same data: counts and sums by their bits, the same buckets in the same spans. What is known
    /// of counter resets does not count.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        let floats = |a: &[f64], b: &[f64]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
        };
        self.schema == other.schema
            && self.count.to_bits() == other.count.to_bits()
            && self.sum.to_bits() == other.sum.to_bits()
            && (!self.uses_custom_buckets() || self.has_bounds_of(other))
            && self.zero_threshold == other.zero_threshold
            && self.zero_count.to_bits() == other.zero_count.to_bits()
            && solid_spans(&self.negative_spans).eq(solid_spans(&other.negative_spans))
            && floats(&self.negative_buckets, &other.negative_buckets)
            && solid_spans(&self.positive_spans).eq(solid_spans(&other.positive_spans))
            && floats(&self.positive_buckets, &other.positive_buckets)
    }

    /// Whether both have the same custom bounds.
    #[must_use]
    pub fn has_bounds_of(&self, other: &Self) -> bool {
        self.custom_values == other.custom_values
    }

    /// Bytes that Prometheus takes for it in memory, which its sample limit counts by.
    #[must_use]
    pub fn size(&self) -> usize {
        let elements = self.positive_spans.len()
            + self.negative_spans.len()
            + self.positive_buckets.len()
            + self.negative_buckets.len()
            + self.custom_values.len();
        168 + 8 * elements
    }
}

/// Spans with those of no length joined to the next.
fn solid_spans(spans: &[Span]) -> impl Iterator<Item = (i64, u32)> + '_ {
    let mut offset = 0i64;
    spans.iter().filter_map(move |span| {
        offset += i64::from(span.offset);
        (span.length > 0).then(|| (std::mem::take(&mut offset), span.length))
    })
}
